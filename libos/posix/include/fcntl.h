/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, and what it lacks of POSIX.1-2017.
 */
#ifndef EXO_POSIX_FCNTL_H
#define EXO_POSIX_FCNTL_H

#include_next <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef O_TTY_INIT
#define O_TTY_INIT	0
#endif
#ifndef O_NDELAY
#define O_NDELAY	O_NONBLOCK
#endif

#ifndef O_ASYNC
#define O_ASYNC		_FASYNC	/* of sockets: SIGIO to whom F_SETOWN names; others ignore it */
#endif

#define POSIX_FADV_NORMAL	0
#define POSIX_FADV_RANDOM	1
#define POSIX_FADV_SEQUENTIAL	2
#define POSIX_FADV_WILLNEED	3
#define POSIX_FADV_DONTNEED	4
#define POSIX_FADV_NOREUSE	5

#ifdef __cplusplus
extern "C" {
#endif
int posix_fadvise(int fd, off_t offset, off_t bytes, int advice);
int posix_fallocate(int fd, off_t offset, off_t bytes);
#if __GNU_VISIBLE
/* Modes but 0: EOPNOTSUPP, as of a Linux file system that has them not. */
#define FALLOC_FL_KEEP_SIZE	0x01
#define FALLOC_FL_PUNCH_HOLE	0x02
#define FALLOC_FL_COLLAPSE_RANGE 0x08
#define FALLOC_FL_ZERO_RANGE	0x10
#define FALLOC_FL_INSERT_RANGE	0x20
int fallocate(int fd, int mode, off_t offset, off_t bytes);
#endif
#ifdef __cplusplus
}
#endif

#endif
