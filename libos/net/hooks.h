/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions of libos/net that lwIP calls by the hooks of lwipopts.h.
 */
#ifndef LIBOS_NET_HOOKS_H
#define LIBOS_NET_HOOKS_H

#include "lwip/ip_addr.h"

/* Where a connection's sequence numbers begin: a clock plus a keyed hash of its addresses and ports. */
u32_t net_initial_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote, u16_t remote_port);

#endif
