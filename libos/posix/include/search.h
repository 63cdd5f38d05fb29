/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, and what it lacks. */
#ifndef EXO_POSIX_SEARCH_H
#define EXO_POSIX_SEARCH_H

#include <stddef.h>
#include_next <search.h>

#ifdef __cplusplus
extern "C" {
#endif
void *lfind(const void *, const void *, size_t *, size_t, int (*)(const void *, const void *));
void *lsearch(const void *, void *, size_t *, size_t, int (*)(const void *, const void *));
void insque(void *, void *);
void remque(void *);
#ifdef __cplusplus
}
#endif

#endif
