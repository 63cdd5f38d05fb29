/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers UDP to one port at arrival: an echo that counts. Everything else goes the usual way. */
#include <exo/bpf.h>
#include "apps/echo/echo.h"

#define UDP	17

struct echo_state state;

EXO_PROGRAM(packet) int udp_echo(struct exo_packet *packet)
{
	struct echo_state *own = &state;
	const uint8_t *in = (const uint8_t *)packet->data, *end = (const uint8_t *)packet->end;
	uint64_t bytes;
	uint8_t *out;

	ECHO_KNOWN(own);
	if (in + ECHO_LEAST > end || !echo_for(in, UDP, own->address) ||
	    ECHO_16(in, ECHO_PORT_TO) != own->port)
		return EXO_PACKET_KEEP;
	bytes = packet->bytes;
	out = own->answer[own->echoes % ECHO_SLOTS];
	ECHO_KNOWN(out);
	echo_copy(out, in, end, bytes);
	echo_turn(out, in);
	echo_turn_ports(out, in);
	if (exo_code_send(out, bytes))
		return EXO_PACKET_DROP;
	own->echoes++;
	own->octets += bytes;
	return EXO_PACKET_DONE;
}
