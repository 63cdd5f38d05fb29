/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What GNU's regular expressions have beyond POSIX' and picolibc's, written in what picolibc's have.
 */
#ifndef LIBOS_POSIX_REGEX_EXTEND_H
#define LIBOS_POSIX_REGEX_EXTEND_H

#include <stddef.h>
#include <stdint.h>

#define REGEX_EXTEND_GROUPS	63	/* groups of a pattern that has groups of ours */

/* Bytes that a pattern may have when it is written anew. */
#define REGEX_EXTEND_ROOM(length)	(18 * (length) + 3)

/*
 * Writes a pattern of `length` bytes, none of them 0, anew; to `to`, which has room. *flags, those of regcomp, may get
 * REG_EXTENDED; *ours gets a bit for each group that the pattern has not, bit 0 for the first. Returns the new length.
 * A pattern that is wrong stays so.
 */
size_t posix_regex_extend(char *to, const char *pattern, size_t length, int *flags, uint64_t *ours);

#endif
