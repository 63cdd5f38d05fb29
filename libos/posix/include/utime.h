/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, with the types that it uses, and the function. */
#ifndef EXO_POSIX_UTIME_H
#define EXO_POSIX_UTIME_H

#include <sys/types.h>
#include_next <utime.h>

#ifdef __cplusplus
extern "C" {
#endif
int utime(const char *, const struct utimbuf *);
#ifdef __cplusplus
}
#endif

#endif
