/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers UDP to one port at arrival: an echo that counts. Everything else goes the usual way. */
#include <exo/bpf.h>
#include "apps/echo/echo.h"

#define UDP	17

uint64_t echoes, octets;	/* read by the application */
uint32_t address;		/* set by it: its own, network order, or 0 ... */
uint16_t port;			/* ... and the port */
uint32_t next;
uint8_t answer[ECHO_SLOTS][ECHO_BYTES];

EXO_PROGRAM(packet) int udp_echo(struct exo_packet *packet)
{
	const uint8_t *in = (const uint8_t *)packet->data;
	uint8_t *out = answer[next % ECHO_SLOTS];

	if (in + ECHO_LEAST > (const uint8_t *)packet->end || !echo_for(in, UDP, address) ||
	    ECHO_16(in, ECHO_PORT_TO) != port)
		return EXO_PACKET_KEEP;
	exo_code_copy(out, packet->bytes, 0, 0);
	echo_turn(out, in);
	echo_turn_ports(out, in);
	if (exo_code_send(out, packet->bytes))
		return EXO_PACKET_DROP;
	next++;
	echoes++;
	octets += packet->bytes;
	return EXO_PACKET_DONE;
}
