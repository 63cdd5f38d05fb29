/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What two threads of this computer give, beside which the guest's two CPUs are put: `hostpair N`
 * interprets a small program N times, much as the emulator runs a guest (a dispatch that cannot be
 * foretold, some memory, some arithmetic), in one thread and in two at once, in turn, and prints the best
 * of each: `host one NS two NS`.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WORDS	4096
#define STEPS	1000
#define PHASES	5	/* as in test/guest/twocpus.c */

static uint64_t rounds;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void *work(void *arg)
{
	uint64_t *memory = calloc(WORDS, sizeof(*memory)), value = 1;

	if (!memory)
		abort();
	for (uint64_t i = 0; i < rounds * STEPS; i++) {
		value = value * 6364136223846793005ULL + 1442695040888963407ULL;
		uint64_t *word = &memory[value >> 52];
		switch (value >> 40 & 7) {
		case 0: *word += value; break;
		case 1: value ^= *word; break;
		case 2: *word = value; break;
		case 3: value += i; break;
		case 4: *word ^= i; break;
		case 5: value -= *word >> 3; break;
		case 6: value += *word << 1; break;
		default: *word = ~*word; break;
		}
	}
	*(volatile uint64_t *)arg = value;
	free(memory);
	return NULL;
}

static uint64_t run(unsigned threads)
{
	uint64_t began = now_ns(), sink[2][8];
	pthread_t thread[2];

	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, work, &sink[i][0]))
			exit(1);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return now_ns() - began;
}

int main(int argc, char **argv)
{
	uint64_t one = UINT64_MAX, two = UINT64_MAX, took;

	rounds = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	if (!rounds) {
		fprintf(stderr, "usage: hostpair ROUNDS\n");
		return 2;
	}
	for (unsigned i = 0; i < PHASES; i++) {
		took = run(1);
		one = took < one ? took : one;
		took = run(2);
		two = took < two ? took : two;
	}
	printf("host one %" PRIu64 " two %" PRIu64 "\n", one, two);
	return 0;
}
