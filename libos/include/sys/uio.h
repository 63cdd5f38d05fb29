/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing several pieces at once (POSIX.1-2017). struct iovec is the one that sockets use.
 */
#ifndef EXO_LIBC_SYS_UIO_H
#define EXO_LIBC_SYS_UIO_H

#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif
ssize_t readv(int fd, const struct iovec *pieces, int count);
ssize_t writev(int fd, const struct iovec *pieces, int count);
#ifdef __cplusplus
}
#endif

#endif
