/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers UDP to one port at arrival: an echo that counts. Everything else goes the usual way. */
#include <exo/bpf.h>
#include "apps/echo/echo.h"

struct echo_state state;

EXO_PROGRAM(packet) int udp_echo(struct exo_packet *packet)
{
	struct echo_state *own = &state;
	const uint8_t *in = (const uint8_t *)packet->data, *end = (const uint8_t *)packet->end;
	uint64_t bytes;
	uint8_t *out;

	ECHO_KNOWN(own);
	if (in + ECHO_LEAST > end || !echo_asked(in, own))
		return EXO_PACKET_KEEP;
	bytes = packet->bytes;
	out = own->answer[own->echoes % ECHO_SLOTS];
	ECHO_KNOWN(out);
	echo_answer(out, in, end, bytes);
	echo_turn_ports(out, in);
	if (__builtin_expect(exo_code_send(out, bytes) != 0, 0))
		return EXO_PACKET_DROP;
	own->echoes++;
	return EXO_PACKET_DONE;
}
