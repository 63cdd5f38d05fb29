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

/* Queues, semaphores and shared memory have descriptors of their own kinds, or none. */
#define S_TYPEISMQ(st)	((void)(st), 0)
#define S_TYPEISSEM(st)	((void)(st), 0)
#define S_TYPEISSHM(st)	((void)(st), 0)

#endif
