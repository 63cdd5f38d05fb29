/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names to addresses (POSIX.1-2017). Types and constants are lwIP's.
 */
#ifndef EXO_LIBC_NETDB_H
#define EXO_LIBC_NETDB_H

#include <sys/socket.h>
#include "lwip/netdb.h"

#ifdef __cplusplus
extern "C" {
#endif
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result);
void freeaddrinfo(struct addrinfo *result);
const char *gai_strerror(int error);
struct hostent *gethostbyname(const char *name);
#ifdef __cplusplus
}
#endif

#endif
