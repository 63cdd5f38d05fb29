/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sum of cofs: for machines whose vector registers are not at hand, five instructions for two words.
 *
 * Four lanes take every fourth word: h = rotate(h + w). After two words a lane is multiplied by an odd number. Each step
 * is a bijection of h for a given w, and of w for a given h, and so is the folding of the lanes at the end: a change in
 * one word, however small, always changes the sum; other changes go unseen with a chance of about 2^-64. The rotations
 * see to it that no two neighbouring words of a lane cancel out in the upper bits, which products never mix. It is no
 * secret: who can write to the disk can make a sum.
 *
 * Everything is there twice, the same lines for any processor and for those with BMI2, whose rotations leave the flags
 * alone: an emulator computes these by a function of its own after each of the others, which takes longer than all the
 * rest of the sum. A loop that lay across a page boundary would be slow there, too: hence the alignment.
 */
#include "libos/fs/cofs_private.h"

#define ODD_1	0x9e3779b97f4a7c15ull
#define ODD_2	0xc2b2ae3d27d4eb4full

#define INLINE	static inline __attribute__((always_inline))
#define WHOLE	aligned(1024)	/* no function here is longer */

#ifdef __x86_64__
#include <cpuid.h>

#define BMI2	target("bmi2")

static bool has_bmi2(void)
{
	static signed char known;
	unsigned a, b, c, d;

	if (!known)
		known = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_BMI2 ? 1 : -1;
	return known > 0;
}
#else
#define BMI2

static bool has_bmi2(void)
{
	return false;
}
#endif

typedef uint64_t word __attribute__((aligned(1), may_alias));

INLINE uint64_t rotate(uint64_t h, unsigned bits)
{
	return h << bits | h >> (64 - bits);
}

INLINE uint64_t finish(uint64_t h)
{
	h ^= h >> 32;
	h *= ODD_2;
	h ^= h >> 29;
	h *= ODD_1;
	return h ^ h >> 32;
}

#define STEP(h, i)	(h) = rotate(rotate((h) + w[i], 29) + w[(i) + 4], 31) * ODD_1
#define STEP_COPY(h, i) do {						\
	uint64_t one = w[i], other = w[(i) + 4];			\
									\
	(h) = rotate(rotate((h) + one, 29) + other, 31) * ODD_1;	\
	to[i] = one;							\
	to[(i) + 4] = other;						\
} while (0)

INLINE uint64_t fold(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	a = finish(a) + b;
	a = finish(a) + c;
	a = finish(finish(a) + d);
	return a ? a : 1;
}

INLINE uint64_t sum(const void *memory, size_t bytes)
{
	const word *w = memory;
	uint64_t a = bytes, b = ODD_1, c = ODD_2, d = ~ODD_1;
	size_t words = bytes / 8;

	for (; words >= 16; words -= 16, w += 16) {
		STEP(a, 0);
		STEP(b, 1);
		STEP(c, 2);
		STEP(d, 3);
		STEP(a, 8);
		STEP(b, 9);
		STEP(c, 10);
		STEP(d, 11);
	}
	for (; words; words--, w++)
		a = rotate(a + *w, 29) * ODD_1;
	return fold(a, b, c, d);
}

INLINE uint64_t sum_copy(void *memory, const void *page)
{
	const word *w = page;
	volatile word *to = memory;
	uint64_t a = BLOCK_BYTES, b = ODD_1, c = ODD_2, d = ~ODD_1;

	for (size_t words = BLOCK_BYTES / 8; words; words -= 16, w += 16, to += 16) {
		STEP_COPY(a, 0);
		STEP_COPY(b, 1);
		STEP_COPY(c, 2);
		STEP_COPY(d, 3);
		STEP_COPY(a, 8);
		STEP_COPY(b, 9);
		STEP_COPY(c, 10);
		STEP_COPY(d, 11);
	}
	return fold(a, b, c, d);
}

__attribute__((WHOLE, noinline)) uint64_t cofs_sum_plain(const void *memory, size_t bytes)
{
	return sum(memory, bytes);
}

__attribute__((WHOLE, noinline)) uint64_t cofs_sum_copy_plain(void *memory, const void *page)
{
	return sum_copy(memory, page);
}

__attribute__((WHOLE, noinline, BMI2)) static uint64_t sum_bmi2(const void *memory, size_t bytes)
{
	return sum(memory, bytes);
}

__attribute__((WHOLE, noinline, BMI2)) static uint64_t sum_copy_bmi2(void *memory, const void *page)
{
	return sum_copy(memory, page);
}

uint64_t cofs_sum(const void *memory, size_t bytes)
{
	return has_bmi2() ? sum_bmi2(memory, bytes) : cofs_sum_plain(memory, bytes);
}

uint64_t cofs_sum_copy(void *memory, const void *page)
{
	return has_bmi2() ? sum_copy_bmi2(memory, page) : cofs_sum_copy_plain(memory, page);
}

uint64_t cofs_name_hash(uint64_t seed, const char *name, size_t bytes)
{
	uint64_t h = seed ^ bytes * ODD_2;

	for (; bytes >= 8; bytes -= 8, name += 8)
		h = rotate((h + *(const word *)name) * ODD_1, 29);
	uint64_t last = 0;

	for (size_t i = 0; i < bytes; i++)
		last |= (uint64_t)(uint8_t)name[i] << 8 * i;
	return finish((h ^ last) * ODD_2) >> 16;
}
