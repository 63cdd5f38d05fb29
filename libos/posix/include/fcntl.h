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
#ifdef __cplusplus
}
#endif

#endif
