/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers ICMP echo requests (RFC 792) at arrival. Everything else goes the usual way. */
#include <exo/bpf.h>
#include "apps/echo/echo.h"

#define ICMP	1
#define REQUEST	8	/* type; the code is 0 */

uint64_t echoes, octets;	/* read by the application */
uint32_t address;		/* set by it: its own, network order; 0: any */
uint32_t next;
uint8_t answer[ECHO_SLOTS][ECHO_BYTES];

EXO_PROGRAM(packet) int icmp_echo(struct exo_packet *packet)
{
	const uint8_t *in = (const uint8_t *)packet->data;
	uint8_t *out = answer[next % ECHO_SLOTS];
	uint32_t sum;

	if (in + ECHO_LEAST > (const uint8_t *)packet->end || !echo_for(in, ICMP, address) ||
	    ECHO_16(in, ECHO_PORT_FROM) != REQUEST)
		return EXO_PACKET_KEEP;
	exo_code_copy(out, packet->bytes, 0, 0);
	echo_turn(out, in);
	ECHO_16(out, ECHO_PORT_FROM) = 0;
	sum = ECHO_16(in, ECHO_PORT_TO) + REQUEST;
	ECHO_16(out, ECHO_PORT_TO) = (uint16_t)(sum + (sum >> 16));
	if (exo_code_send(out, packet->bytes))
		return EXO_PACKET_DROP;
	next++;
	echoes++;
	octets += packet->bytes;
	return EXO_PACKET_DONE;
}
