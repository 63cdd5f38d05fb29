/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers ICMP echo requests (RFC 792) at arrival. Everything else goes the usual way. */
#include <exo/bpf.h>
#include "apps/echo/echo.h"

struct echo_state state;

EXO_PROGRAM(packet) int icmp_echo(struct exo_packet *packet)
{
	struct echo_state *own = &state;
	const uint8_t *in = (const uint8_t *)packet->data, *end = (const uint8_t *)packet->end;
	uint64_t bytes;
	uint32_t sum;
	uint8_t *out;

	ECHO_KNOWN(own);
	if (in + ECHO_LEAST > end || !echo_asked(in, own))
		return EXO_PACKET_KEEP;
	bytes = packet->bytes;
	out = own->answer[own->echoes % ECHO_SLOTS];
	ECHO_KNOWN(out);
	echo_answer(out, in, end, bytes);
	sum = ECHO_16(in, ECHO_PORT_TO) + ECHO_REQUEST;
	sum += sum >> 16;
	ECHO_KNOWN(sum);
	ECHO_32(out, ECHO_PORT_FROM) = sum << 16;	/* behind a type and a code that are 0 */
	if (__builtin_expect(exo_code_send(out, bytes) != 0, 0))
		return EXO_PACKET_DROP;
	own->echoes++;
	return EXO_PACKET_DONE;
}
