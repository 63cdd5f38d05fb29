/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, and what it lacks: the special times of utimensat() and futimens().
 */
#ifndef EXO_LIBC_SYS_STAT_H
#define EXO_LIBC_SYS_STAT_H

#include_next <sys/stat.h>

#define UTIME_NOW	(-2L)
#define UTIME_OMIT	(-1L)

#endif
