/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the benchmark program share: reading the counter, and reporting a figure.
 *
 * Meant to run under `-icount shift=0,sleep=off`, where the time-stamp counter counts executed instructions, so every
 * figure repeats to the digit. A figure is the mean over its repetitions, the loop around it subtracted.
 */
#ifndef APPS_BENCH_BENCH_H
#define APPS_BENCH_BENCH_H

#include "libos/core/core.h"
#include "libos/core/spawn.h"

static inline uint64_t bench_count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

/* What reading the counter twice adds to a figure that is measured piece by piece. */
static inline uint64_t bench_count_cost(void)
{
	uint64_t began = bench_count();

	return bench_count() - began;
}

/* Events of the whole machine, from the exposed pages. */
struct bench_events {
	uint64_t switches, invalidations;
};

struct bench_run {
	uint64_t began;
	struct bench_events before;
};

/* Start, then stop and print `NAME VALUE insns`, with the events for one operation behind it. */
void bench_begin(struct bench_run *run);
void bench_end(struct bench_run *run, const char *name, uint64_t operations, uint64_t overhead);

/* The same for a figure that was measured in pieces. */
void bench_report(const char *name, uint64_t instructions);

/* A failed preparation ends the program with a message. */
void bench_need(bool holds, const char *what);

/* memory.c */
void bench_memory(void);
/* switch.c: between threads and environments; bench_peer is the other environment's program. */
void bench_switch(void);
_Noreturn void bench_peer(void);
/* cow.c: copy-on-write regions. */
void bench_cow(void);
/* spawn.c: environments, and calls among many of them. */
void bench_spawn(void);
/* So many environments that run all the time; does not return. */
_Noreturn void bench_spin(unsigned count);
/* This program again, as another environment with the argument `role`, started and run once. */
void bench_again(struct spawn *spawn, const char *role);
/* caps.c: capabilities, entries, slices, accounts, wakeups; bench_sleeper is the other environment's program. */
void bench_caps(void);
_Noreturn void bench_sleeper(void);
/* code.c: checking and compiling the largest programs. */
void bench_code(void);
/* disk.c: reading from a disk. */
void bench_disk(void);
/* kick.c: kicks, sleeping on a program; bench_watcher is the other environment's. */
void bench_kick(void);
_Noreturn void bench_watcher(void);

#endif
