/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012) of 12 bytes: a keyed function whose value tells nobody
 * without the key what others will be.
 */
#ifndef LIBOS_NET_SIPHASH_H
#define LIBOS_NET_SIPHASH_H

#include <stdint.h>

struct siphash {
	uint64_t v[4];
};

static inline uint64_t siphash_turn(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void siphash_rounds(struct siphash *s, unsigned rounds)
{
	uint64_t a = s->v[0], b = s->v[1], c = s->v[2], d = s->v[3];

	while (rounds--) {
		a += b, b = siphash_turn(b, 13) ^ a, a = siphash_turn(a, 32);
		c += d, d = siphash_turn(d, 16) ^ c;
		a += d, d = siphash_turn(d, 21) ^ a;
		c += b, b = siphash_turn(b, 17) ^ c, c = siphash_turn(c, 32);
	}
	*s = (struct siphash){ { a, b, c, d } };
}

static inline void siphash_word(struct siphash *s, uint64_t word)
{
	s->v[3] ^= word;
	siphash_rounds(s, 2);
	s->v[0] ^= word;
}

/* Of the bytes of `first` and then of `second`, each from its lowest on. Cost: about 150 instructions. */
static inline uint64_t siphash_12(const uint64_t key[2], uint64_t first, uint32_t second)
{
	struct siphash s = { { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
			       key[1] ^ 0x7465646279746573 } };

	siphash_word(&s, first);
	siphash_word(&s, 12ULL << 56 | second);
	s.v[2] ^= 0xff;
	siphash_rounds(&s, 4);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

#endif
