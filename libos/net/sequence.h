/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Initial sequence numbers of TCP.
 */
#ifndef LIBOS_NET_SEQUENCE_H
#define LIBOS_NET_SEQUENCE_H

#include <stdint.h>

/* Where a connection's numbers begin: addresses in network byte order, ports in the host's. Nobody else can guess it. */
uint32_t net_sequence(uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port);

#endif
