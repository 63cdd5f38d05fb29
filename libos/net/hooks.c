/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions that lwIP calls by the hooks of lwipopts.h.
 */
#include "libos/net/hooks.h"
#include "libos/net/sequence.h"

u32_t net_initial_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote, u16_t remote_port)
{
	return net_sequence(ip4_addr_get_u32(ip_2_ip4(local)), local_port, ip4_addr_get_u32(ip_2_ip4(remote)), remote_port);
}
