/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes for programs: getrandom(), of core's generator.
 *
 * random() with states that programs keep: an additive feedback generator (Knuth, The Art of Computer
 * Programming, volume 2, 3.2.2), x[n] = x[n - 3] + x[n - 31], whose lowest bit is dropped. A state of fewer
 * than 128 bytes holds a linear congruential one.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include "libos/core/core.h"
#include "libos/posix/signals.h"

#define WORDS	31
#define GAP	3
#define LARGE	128
#define SMALL	8
#define LARGE_KIND 0x72616e64u

/* In the caller's memory; `kind` tells which one it is. */
struct state {
	uint32_t kind;
	uint32_t word[];	/* at most WORDS, of which the first is where it is; else the value */
};

static uint32_t first[LARGE / 4 + 1];
static struct state *now = (struct state *)first;
static uint32_t place;

static uint32_t next(void)
{
	uint32_t value;

	if (now->kind != LARGE_KIND)
		return (now->word[0] = now->word[0] * 1103515245u + 12345u) & 0x7fffffff;
	value = now->word[place] += now->word[(place + WORDS - GAP) % WORDS];
	place = (place + 1) % WORDS;
	return value >> 1;
}

void srandom(unsigned seed)
{
	uint64_t value = seed ? seed : 1;

	if (now == (struct state *)first)
		now->kind = LARGE_KIND;
	now->word[0] = (uint32_t)value;
	if (now->kind != LARGE_KIND)
		return;
	for (unsigned i = 1; i < WORDS; i++) {
		value = value * 16807 % 0x7fffffff;
		now->word[i] = (uint32_t)value;
	}
	place = 0;
	for (unsigned i = 0; i < 10 * WORDS; i++)
		next();
}

long random(void)
{
	if (!now->kind)
		srandom(1);
	return (long)next();
}

/* Where a large state is, is kept in its kind's place by turning it so that it begins at 0. */
static void rest(void)
{
	uint32_t turned[WORDS];

	if (now->kind != LARGE_KIND || !place)
		return;
	for (unsigned i = 0; i < WORDS; i++)
		turned[i] = now->word[(place + i) % WORDS];
	for (unsigned i = 0; i < WORDS; i++)
		now->word[i] = turned[i];
	place = 0;
}

char *initstate(unsigned seed, char *memory, size_t bytes)
{
	char *old = (char *)now;

	if (bytes < SMALL) {
		errno = EINVAL;
		return NULL;
	}
	rest();
	now = (struct state *)memory;
	now->kind = bytes >= LARGE ? LARGE_KIND : 1;
	srandom(seed);
	return old;
}

char *setstate(char *memory)
{
	char *old = (char *)now;

	rest();
	now = (struct state *)memory;
	place = 0;
	return old;
}

ssize_t getrandom(void *to, size_t bytes, unsigned flags)
{
	if (flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM)) {
		errno = EINVAL;
		return -1;
	}
	bool was = posix_enter();
	core_random(to, bytes);
	posix_leave(was);
	return (ssize_t)bytes;
}
