/* SPDX-License-Identifier: BSD-2-Clause */
/* By what is asked for: a key finds the ring that has it at hand; one that all want burdens that ring. */
#include <exo/bpf.h>
#include "steer.h"

EXO_PROGRAM(packet) int steer(struct exo_packet *packet)
{
	const struct steer_request *request = (const struct steer_request *)packet->data;

	if ((const uint8_t *)(request + 1) > (const uint8_t *)packet->end)
		return EXO_PACKET_KEEP;
	return EXO_PACKET_STEER + steer_hash(request->key) % STEER_RINGS;
}
