/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy of packet steering to modify: to which ring does a request go? It runs in the kernel when a
 * packet arrives, checked before (doc/code.md): what may lie beyond the packet's end must be tested for.
 *
 * What there is to decide by: the request (steer.h), packet->bytes, packet->time, and variables, which stay
 * from packet to packet. The answer is EXO_PACKET_STEER + 0 to STEER_RINGS - 1.
 *
 * This one sends all to the first ring.
 */
#include <exo/bpf.h>
#include "steer.h"

EXO_PROGRAM(packet) int steer(struct exo_packet *packet)
{
	const struct steer_request *request = (const struct steer_request *)packet->data;

	if ((const uint8_t *)(request + 1) > (const uint8_t *)packet->end)
		return EXO_PACKET_KEEP;
	return EXO_PACKET_STEER + 0;
}
