/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers ICMP echo requests (RFC 792) at arrival. Everything else goes the usual way. */
#include <exo/bpf.h>
#include "apps/echo/echo.h"

#define ICMP	1
#define REQUEST	8	/* type; the code is 0 */

struct echo_state state;

EXO_PROGRAM(packet) int icmp_echo(struct exo_packet *packet)
{
	struct echo_state *own = &state;
	const uint8_t *in = (const uint8_t *)packet->data, *end = (const uint8_t *)packet->end;
	uint64_t bytes;
	uint32_t sum;
	uint8_t *out;

	ECHO_KNOWN(own);
	if (in + ECHO_LEAST > end || !echo_for(in, ICMP, own->address) ||
	    ECHO_16(in, ECHO_PORT_FROM) != REQUEST)
		return EXO_PACKET_KEEP;
	bytes = packet->bytes;
	out = own->answer[own->echoes % ECHO_SLOTS];
	ECHO_KNOWN(out);
	echo_copy(out, in, end, bytes);
	echo_turn(out, in);
	sum = ECHO_16(in, ECHO_PORT_TO) + REQUEST;
	sum += sum >> 16;
	ECHO_KNOWN(sum);
	ECHO_32(out, ECHO_PORT_FROM) = sum << 16;	/* behind a type and a code that are 0 */
	if (exo_code_send(out, bytes))
		return EXO_PACKET_DROP;
	own->echoes++;
	own->octets += bytes;
	return EXO_PACKET_DONE;
}
