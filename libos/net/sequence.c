/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a connection's sequence numbers begin (RFC 6528): a clock of 4 us plus a keyed hash of its addresses and ports.
 */
#include "libos/core/core.h"
#include "libos/net/sequence.h"
#include "libos/net/siphash.h"

uint32_t net_sequence(uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port)
{
	static uint64_t secret[2];

	if (!secret[0])
		core_random(secret, sizeof(secret));
	return (uint32_t)siphash_12(secret, (uint64_t)local << 32 | remote, (uint32_t)local_port << 16 | remote_port) +
	    (uint32_t)(core_now() / 4000);
}
