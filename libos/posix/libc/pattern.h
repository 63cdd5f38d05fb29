/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Characters and bracket expressions of patterns, for fnmatch and regular expressions.
 */
#ifndef LIBOS_POSIX_PATTERN_H
#define LIBOS_POSIX_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* What is asked of a bracket expression: is `c` in there? */
struct bracket {
	bool escapes, folds, bang;	/* \ quotes; case does not matter; ! is as ^ */
	int c;				/* is it in there? */
	bool in;
	int error;
};

/* The character of the locale at a place before `end`, and how many bytes it has; a byte that is none is one by itself. */
size_t posix_pattern_character(const char *at, const char *end, int *c);
/* Read one, from behind the [ to behind the ]; NULL: it is wrong (`error`: REG_EBRACK, REG_ECTYPE, REG_ECOLLATE, REG_ERANGE). */
const char *posix_pattern_bracket(const char *at, const char *end, struct bracket *bracket);

#endif
