/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small machine with a few environments on the fake port, and the checker of the kernel's invariants.
 *
 * The environments are made as the kernel makes the first one: each has its own space with one leaf table
 * from WORLD_VA on, an account below the root account, and in its slots 1..4 itself, its space, its account,
 * and the frames it was made of. world_call() makes a call as one of them and, unless told not to, checks
 * everything afterwards.
 */
#ifndef TEST_UNIT_WORLD_H
#define TEST_UNIT_WORLD_H

#include "arch/null/null.h"

#define WORLD_ENVS	3
#define WORLD_VA	0x40000000ULL	/* the leaf table maps 2 MiB from here on */
#define WORLD_RUN	12		/* frames that an environment is made of */

enum { SLOT_ENV = 1, SLOT_SPACE, SLOT_ACCOUNT, SLOT_SELF, SLOT_PEER, SLOT_CONSOLE, SLOT_FREE = 8 };

struct world {
	struct env *env[WORLD_ENVS];
	exo_pfn_t run[WORLD_ENVS];	/* first frame of each */
	exo_pfn_t root_account;
	uint64_t calls;
	bool unchecked;			/* world_call does not check: for large runs of cheap calls */
};
extern struct world world;

/* Boot a machine with so many frames of memory and make the environments. */
void world_boot(uint32_t frames);
/* The same with several CPUs; null_on says which one makes the calls. */
void world_boot_cpus(uint32_t frames, unsigned cpus);
/* Charge an environment to an account of its own below the root, which ends with it; a frame for that in a slot of its own. */
void world_tenant(unsigned who, uint32_t slot);
/* A call as an environment; ends the program with a message when an invariant is broken or the kernel did
 * not return. */
int64_t world_call(unsigned who, unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
    uint64_t a5);
/* The same call again and again while it says AGAIN. */
int64_t world_finish(unsigned who, unsigned nr, uint64_t a0, uint64_t a1);
/* Handle of what is in a slot now. */
exo_cap_t world_handle(unsigned who, uint32_t slot);
/* Every invariant of frames, accounts, capabilities and spaces. NULL: all hold; else what is broken. */
const char *world_check(void);

/* Pseudo-random numbers: the same in every run, unless EXO_TEST_SEED says otherwise. */
uint64_t world_random(void);
static inline uint32_t below(uint32_t n) { return (uint32_t)(world_random() % n); }
/* Steps of a random test: `n`, or the number in EXO_TEST_STEPS, or 20 times as many with EXO_TEST_LONG=1. */
unsigned world_steps(unsigned n);

#define CALL(who, name, ...)	CALL_(who, EXO_CALL_##name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(who, nr, a0, a1, a2, a3, a4, a5, ...) \
	world_call(who, nr, (uint64_t)(a0), (uint64_t)(a1), (uint64_t)(a2), (uint64_t)(a3), \
	    (uint64_t)(a4), (uint64_t)(a5))

#endif
