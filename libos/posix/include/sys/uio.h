/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing several pieces at once (POSIX.1-2017), also at a place.
 */
#ifndef EXO_POSIX_SYS_UIO_H
#define EXO_POSIX_SYS_UIO_H

#include_next <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
ssize_t preadv(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset);
#ifdef __cplusplus
}
#endif

#endif
