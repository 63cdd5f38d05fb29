/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of UNIX sockets (POSIX.1-2017): paths. Names that begin with a NUL do not exist.
 */
#ifndef POSIX_SYS_UN_H
#define POSIX_SYS_UN_H

#include <sys/socket.h>

struct sockaddr_un {
	sa_family_t sun_family;
	char sun_path[108];
};

#define SUN_LEN(un)	(offsetof(struct sockaddr_un, sun_path) + __builtin_strlen((un)->sun_path))

#endif
