/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pseudo-random numbers for tests, the same each time: an xorshift (G. Marsaglia, Journal of Statistical Software 8(14), 2003)
 * with a multiplication behind it (S. Vigna, ACM TOMS 42(4), 2016). The upper bits are the better ones.
 */
#ifndef TEST_LIB_RANDOM_H
#define TEST_LIB_RANDOM_H

#include <stdint.h>

/* The next number of a state, which is never 0. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1d;
}

#endif
