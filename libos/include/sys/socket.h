/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets (POSIX.1-2017). Types and constants are lwIP's; the functions are libos/net's, over uni's descriptors.
 */
#ifndef EXO_LIBC_SYS_SOCKET_H
#define EXO_LIBC_SYS_SOCKET_H

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/types.h>
#include "lwip/sockets.h"

#ifndef SOMAXCONN
#define SOMAXCONN	1024
#endif

#ifdef __cplusplus
extern "C" {
#endif
int socket(int family, int type, int protocol);
int bind(int fd, const struct sockaddr *address, socklen_t bytes);
int listen(int fd, int backlog);
int accept(int fd, struct sockaddr *address, socklen_t *bytes);
int connect(int fd, const struct sockaddr *address, socklen_t bytes);
int shutdown(int fd, int how);
int getsockname(int fd, struct sockaddr *address, socklen_t *bytes);
int getpeername(int fd, struct sockaddr *address, socklen_t *bytes);
int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);
int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
ssize_t recv(int fd, void *buffer, size_t bytes, int flags);
ssize_t recvfrom(int fd, void *buffer, size_t bytes, int flags, struct sockaddr *from, socklen_t *from_bytes);
ssize_t recvmsg(int fd, struct msghdr *message, int flags);
ssize_t send(int fd, const void *buffer, size_t bytes, int flags);
ssize_t sendto(int fd, const void *buffer, size_t bytes, int flags, const struct sockaddr *to, socklen_t to_bytes);
ssize_t sendmsg(int fd, const struct msghdr *message, int flags);
#ifdef __cplusplus
}
#endif

#endif
