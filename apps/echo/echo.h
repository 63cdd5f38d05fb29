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
#define ECHO_FRAGMENT		20	/* 0, but for a bit that says it may not be cut: ... */
#define ECHO_UNCUT		0xbf	/* ... of its first byte all the others */
#define ECHO_PROTOCOL		23
#define ECHO_ICMP		1
#define ECHO_UDP		17
#define ECHO_IP_FROM		26
#define ECHO_IP_TO		30
#define ECHO_PORT_FROM		34	/* ICMP: type and code */
#define ECHO_PORT_TO		36	/* ICMP: checksum */
#define ECHO_PORTS_END		38
#define ECHO_REQUEST		8	/* ICMP: type; the code is 0 */

/* What requests look like: three words of them, from these places on, with this mask. */
#define ECHO_WORDS		3
#define ECHO_WORD_AT(n)		((n) == 0 ? ECHO_TYPE : (n) == 1 ? ECHO_FRAGMENT - 4 : ECHO_IP_TO)
struct echo_word {
	uint64_t mask, value;
};

struct echo_state {
	uint64_t echoes;		/* read by the application */
	struct echo_word word[ECHO_WORDS];	/* set by it */
	uint8_t answer[ECHO_SLOTS][ECHO_BYTES] __attribute__((aligned(64)));
};

#define ECHO_KNOWN(number)	__asm__ ("" : "+r"(number))

/* Is a frame of at least ECHO_LEAST bytes a request? */
static inline int echo_asked(const uint8_t *frame, const struct echo_state *own)
{
	for (unsigned n = 0; n < ECHO_WORDS; n++)
		if ((ECHO_64(frame, ECHO_WORD_AT(n)) & own->word[n].mask) != own->word[n].value)
			return 0;
	return 1;
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
/* The same, and all else of the frame from `in` to `end`, but for ports. What a word has too much the next ones replace. */
static inline void echo_answer(uint8_t *out, const uint8_t *in, const uint8_t *end, uint64_t bytes)
{
	if (in + ECHO_FIRST > end) {
		exo_code_copy(out, bytes, 0, 0);
		echo_turn(out, in);
		return;
	}
	ECHO_64(out, 0) = ECHO_64(in, 6);
	ECHO_64(out, 6) = ECHO_64(in, 0);
	ECHO_64(out, 12) = ECHO_64(in, 12);
	ECHO_64(out, 20) = ECHO_64(in, 20);
	ECHO_64(out, ECHO_IP_FROM) = ECHO_64(in, ECHO_IP_TO);
	ECHO_32(out, ECHO_IP_TO) = ECHO_32(in, ECHO_IP_FROM);
	for (unsigned at = ECHO_PORTS_END; at + 8 <= ECHO_FIRST; at += sizeof(uint64_t))
		ECHO_64(out, at) = ECHO_64(in, at);
	ECHO_64(out, ECHO_FIRST - 8) = ECHO_64(in, ECHO_FIRST - 8);
	if (__builtin_expect(bytes > ECHO_FIRST, 0))
		exo_code_copy(out + ECHO_FIRST, bytes - ECHO_FIRST, ECHO_FIRST, 0);
}
#endif

static inline void echo_turn_ports(uint8_t *out, const uint8_t *in)
{
	ECHO_16(out, ECHO_PORT_FROM) = ECHO_16(in, ECHO_PORT_TO);
	ECHO_16(out, ECHO_PORT_TO) = ECHO_16(in, ECHO_PORT_FROM);
}

#endif
