/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, without the types and functions of 64 bits that are another name for the plain ones there, and
 * with what libos/include has of it.
 */
#ifndef EXO_POSIX_SYS_STAT_H
#define EXO_POSIX_SYS_STAT_H

#include <sys/cdefs.h>
#undef __LARGEFILE64_VISIBLE
#define __LARGEFILE64_VISIBLE	0
#include_next <sys/stat.h>

#endif
