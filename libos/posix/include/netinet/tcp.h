/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP's socket options.
 */
#ifndef POSIX_NETINET_TCP_H
#define POSIX_NETINET_TCP_H

#define TCP_NODELAY	1
#define TCP_MAXSEG	2	/* can only be read */
#define TCP_KEEPIDLE	4	/* seconds */
#define TCP_KEEPINTVL	5
#define TCP_KEEPCNT	6

#endif
