/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drand48() and its kin: x = a x + c modulo 2^48. picolibc has a sequence for each thread, begun anew in each; POSIX has one
 * for a process, which srand48() in one thread begins for all. As elsewhere the sequence of who calls none of the
 * functions that begin it starts at 0.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BITS		48
#define MASK		((1ULL << BITS) - 1)
#define FACTOR		0x5deece66dULL
#define ADDEND		0xbU
#define LOW		0x330eU		/* of a seed of 32 bits, below it */

typedef unsigned short word48[3];	/* the lowest 16 bits first */

static word48 own;
static uint64_t factor = FACTOR;
static uint16_t addend = ADDEND;

static uint64_t of_words(const word48 words)
{
	return words[0] | (uint64_t)words[1] << 16 | (uint64_t)words[2] << 32;
}

static uint64_t next(word48 words)
{
	uint64_t x = (of_words(words) * factor + addend) & MASK;

	words[0] = (unsigned short)x;
	words[1] = (unsigned short)(x >> 16);
	words[2] = (unsigned short)(x >> 32);
	return x;
}

double erand48(word48 words)
{
	return (double)next(words) / (double)(1ULL << BITS);
}

long nrand48(word48 words)
{
	return (long)(next(words) >> (BITS - 31));
}

long jrand48(word48 words)
{
	return (int32_t)(next(words) >> (BITS - 32));
}

double drand48(void)
{
	return erand48(own);
}

long lrand48(void)
{
	return nrand48(own);
}

long mrand48(void)
{
	return jrand48(own);
}

unsigned short *seed48(word48 words)
{
	static word48 old;
	word48 given;

	memcpy(given, words, sizeof(given));	/* may be `old` */
	memcpy(old, own, sizeof(old));
	memcpy(own, given, sizeof(own));
	factor = FACTOR;
	addend = ADDEND;
	return old;
}

void srand48(long seed)
{
	word48 words = { LOW, (unsigned short)seed, (unsigned short)((unsigned long)seed >> 16) };

	(void)seed48(words);
}

void lcong48(unsigned short words[7])
{
	memcpy(own, words, sizeof(own));
	factor = of_words(words + 3);
	addend = words[6];
}
