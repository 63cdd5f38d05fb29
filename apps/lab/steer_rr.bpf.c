/* SPDX-License-Identifier: BSD-2-Clause */
/* Each ring in turn: perfect balance, and whatever a ring has learned is asked of another the next time. */
#include <exo/bpf.h>
#include "steer.h"

uint32_t turn;

EXO_PROGRAM(packet) int steer(struct exo_packet *packet)
{
	(void)packet;
	return EXO_PACKET_STEER + turn++ % STEER_RINGS;
}
