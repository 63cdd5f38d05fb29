/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the echo at arrival (the .bpf.c files, which run in the kernel) and the echo in the application share: where things
 * lie in an Ethernet frame with an IPv4 header of 20 bytes, and how a request becomes its answer.
 *
 * What a program keeps is one variable, so that it finds all of that from one address (ECHO_KNOWN: the compiler is to take a
 * number as it is, not to make it anew by some other way).
 *
 * Addresses and ports change places, so the checksums of IPv4 and UDP stay right; an ICMP echo's type goes from 8 to 0,
 * and its checksum up by as much (RFC 1624).
 */
#ifndef APPS_ECHO_ECHO_H
#define APPS_ECHO_ECHO_H

#include <stdint.h>

#define ECHO_SLOTS	64	/* answers that may be on their way */
#define ECHO_BYTES	2048
#define ECHO_LEAST	42	/* headers up to UDP's, or an ICMP echo's */
#define ECHO_FIRST	64	/* bytes that a program copies by itself: less than a call of exo_code_copy() costs */

/* Programs may load and store at any address, but their compiler does not know: it would go byte by byte. */
#ifdef __bpf__
#define ECHO_ALIGNED	__attribute__((may_alias))
#else
#define ECHO_ALIGNED	__attribute__((aligned(1), may_alias))
#endif
typedef uint16_t ECHO_ALIGNED echo16;
typedef uint32_t ECHO_ALIGNED echo32;
typedef uint64_t ECHO_ALIGNED echo64;

#define ECHO_16(frame, at)	(*(echo16 *)((frame) + (at)))
#define ECHO_32(frame, at)	(*(echo32 *)((frame) + (at)))
#define ECHO_64(frame, at)	(*(echo64 *)((frame) + (at)))
#define ECHO_BE(number)		__builtin_bswap16(number)

#define ECHO_TYPE		12
#define ECHO_VERSION		14
#define ECHO_FRAGMENT		20
#define ECHO_WHOLE		ECHO_BE(0x4000)	/* it may not be cut; all else says that it was, or is reserved */
#define ECHO_PROTOCOL		23
#define ECHO_IP_FROM		26
#define ECHO_IP_TO		30
#define ECHO_PORT_FROM		34	/* ICMP: type and code */
#define ECHO_PORT_TO		36	/* ICMP: checksum */

struct echo_state {
	uint64_t echoes, octets;	/* read by the application */
	uint32_t address;		/* set by it: its own, network order; 0: any ... */
	uint16_t port;			/* ... and the port, if there are ports */
	uint8_t answer[ECHO_SLOTS][ECHO_BYTES] __attribute__((aligned(64)));
};

#define ECHO_KNOWN(number)	__asm__ ("" : "+r"(number))

/* A frame of at least ECHO_LEAST bytes: an unfragmented IPv4 packet of this protocol without options, to this address
 * (0: any)? */
static inline int echo_for(const uint8_t *frame, uint8_t protocol, uint32_t address)
{
	uint32_t fragment = ECHO_16(frame, ECHO_FRAGMENT) | ECHO_WHOLE;

	ECHO_KNOWN(fragment);
	return ECHO_16(frame, ECHO_TYPE) == ECHO_BE(0x0800) && frame[ECHO_VERSION] == 0x45 &&
	    frame[ECHO_PROTOCOL] == protocol && fragment == ECHO_WHOLE && (!address || ECHO_32(frame, ECHO_IP_TO) == address);
}

/* `out` is a copy of `in`, up to these fields. */
static inline void echo_turn(uint8_t *out, const uint8_t *in)
{
	ECHO_64(out, 0) = ECHO_64(in, 6);	/* two more than an address has, which the next one replaces */
	ECHO_32(out, 6) = ECHO_32(in, 0);
	ECHO_16(out, 10) = ECHO_16(in, 4);
	ECHO_32(out, ECHO_IP_FROM) = ECHO_32(in, ECHO_IP_TO);
	ECHO_32(out, ECHO_IP_TO) = ECHO_32(in, ECHO_IP_FROM);
}

#ifdef __bpf__
/* The frame from `in` to `end`, but for the first 8 bytes, which echo_turn() makes. */
static inline void echo_copy(uint8_t *out, const uint8_t *in, const uint8_t *end, uint64_t bytes)
{
	if (in + ECHO_FIRST > end) {
		exo_code_copy(out, bytes, 0, 0);
		return;
	}
	for (unsigned at = sizeof(uint64_t); at < ECHO_FIRST; at += sizeof(uint64_t))
		ECHO_64(out, at) = ECHO_64(in, at);
	if (bytes > ECHO_FIRST)
		exo_code_copy(out + ECHO_FIRST, bytes - ECHO_FIRST, ECHO_FIRST, 0);
}
#endif

static inline void echo_turn_ports(uint8_t *out, const uint8_t *in)
{
	ECHO_16(out, ECHO_PORT_FROM) = ECHO_16(in, ECHO_PORT_TO);
	ECHO_16(out, ECHO_PORT_TO) = ECHO_16(in, ECHO_PORT_FROM);
}

#endif
