/* SPDX-License-Identifier: BSD-2-Clause */
/* Names that match a pattern. */
#ifndef EXO_POSIX_GLOB_H
#define EXO_POSIX_GLOB_H

#include <stddef.h>

typedef struct {
	size_t gl_pathc;	/* paths so far */
	char **gl_pathv;
	size_t gl_offs;		/* NULLs to begin with */
	size_t gl_matchc;	/* of the last call */
	int gl_flags;
} glob_t;

#define GLOB_APPEND	0x0001
#define GLOB_DOOFFS	0x0002
#define GLOB_ERR	0x0004
#define GLOB_MARK	0x0008
#define GLOB_NOCHECK	0x0010
#define GLOB_NOSORT	0x0020
#define GLOB_NOESCAPE	0x2000
#define GLOB_NOSPACE	(-1)
#define GLOB_ABORTED	(-2)
#define GLOB_NOMATCH	(-3)

#ifdef __cplusplus
extern "C" {
#endif
int glob(const char *__restrict, int, int (*)(const char *, int), glob_t *__restrict);
void globfree(glob_t *);
#ifdef __cplusplus
}
#endif

#endif
