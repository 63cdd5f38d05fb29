/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP's socket options: lwIP's.
 */
#ifndef EXO_LIBC_NETINET_TCP_H
#define EXO_LIBC_NETINET_TCP_H

#include <sys/socket.h>

#endif
