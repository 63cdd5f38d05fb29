/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What two CPUs give, for `make bench`: two pairs of environments, one on each CPU, compute, take
 * exceptions, make transfers, yield, map and unmap pages; one of them alone and both at once, in turn
 * (argument speed=OPERATIONS). And what goes from one CPU to the other: a wakeup there and back between
 * two that sleep meanwhile, moving an environment that sleeps (argument cross=1): under --icount all
 * instructions of both CPUs count, and an idle CPU executes none.
 *
 * Runs first: yes
 * Run with: --smp 2
 */
#include "test/guest/workers.h"

#define PHASES	5	/* of each kind, in turn; the best counts: this computer does other things, too */
#define REPEAT	1000
#define WARM	100

static void need(bool holds, const char *what)
{
	if (holds)
		return;
	printf("twocpus: no %s\n", what);
	exo_machine_halt(core_named(EXO_NAME_MACHINE), 1);
}

/* So many pairs make operations: from the first one's begin to the last one's end, in ns. */
static uint64_t run(struct work_pair *pair, unsigned count, uint64_t operations)
{
	uint64_t began = EXO_NEVER, ended = 0;

	for (unsigned i = 0; i < count; i++) {
		pair[i].word[WORK_GO] += operations;
		need(exo_wake(pair[i].worker.spawn.env) == 0, "wakeup");
	}
	for (unsigned i = 0; i < count; i++) {
		while (pair[i].word[WORK_DONE] != pair[i].word[WORK_GO])
			core_sleep(core_now() + 2 * MS, work_events());
		if (pair[i].word[WORK_BEGAN] < began)
			began = pair[i].word[WORK_BEGAN];
		if (pair[i].word[WORK_ENDED] > ended)
			ended = pair[i].word[WORK_ENDED];
		need(!pair[i].word[WORK_BAD], "good result");
	}
	return ended - began;
}

static void speed(uint64_t operations)
{
	static struct work_pair pair[WORK_PAIRS];
	uint64_t one = EXO_NEVER, two = EXO_NEVER, took;

	for (unsigned i = 0; i < WORK_PAIRS; i++) {
		need(work_make(&pair[i], i), "pair of environments");
		pair[i].word[WORK_HOW] = WORK_MIXED;
		pair[i].word[WORK_PATIENCE] = 20 * MS;
		pair[i].word[WORK_PEER_SLEEPS] = 1;
	}
	run(pair, WORK_PAIRS, WARM);
	for (unsigned i = 0; i < PHASES; i++) {
		took = run(&pair[1], 1, operations);
		one = took < one ? took : one;
		took = run(pair, WORK_PAIRS, operations);
		two = took < two ? took : two;
	}
	printf("speed one %lu two %lu\n", one, two);
}

/* --- across CPUs ---------------------------------------------------------------------------------------- */

static inline uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

/* The other one: wakes whom it was told of each time that it is woken. */
static _Noreturn void echo(void)
{
	exo_cap_t director = core_named("director");
	uint64_t events = work_events();

	for (;;) {
		core_sleep(EXO_NEVER, events);
		if (work_events() == events)
			continue;
		events = work_events();
		exo_wake(director);
	}
}

/* With time between: many wakeups in a short time are a storm, which the kernel calms. */
static void wakes(const struct member *other)
{
	uint64_t total = 0, began, events;

	for (unsigned i = 0; i < REPEAT; i++) {
		core_sleep(core_now() + MS / 20, work_events());
		events = work_events();
		began = count();
		int64_t result = exo_wake(other->spawn.env);
		while (work_events() == events)
			core_sleep(EXO_NEVER, events);
		total += count() - began;
		need(result == 0, "wakeup");
	}
	printf("bench wake_cross_rtt %lu insns\n", total / REPEAT);
}

static void moves(const struct member *other)
{
	uint64_t total = 0, began;

	for (unsigned i = 0; i < REPEAT; i++) {
		need(family_await(other, EXO_ENV_ASLEEP, 5000), "sleep");
		began = count();
		int64_t result = exo_env_move(other->spawn.env, i % 2);
		total += count() - began;
		need(result == 0, "move");
	}
	printf("bench env_move %lu insns\n", total / REPEAT);
}

static void cross(void)
{
	static struct member other;
	uint32_t slot = caps_slot();
	exo_cap_t director = made(slot, exo_entry_make(slot, EXO_CAP_NONE, 0));

	family_grant(&other, "director", director, EXO_RIGHT_EXEC, 0);
	need(family_make(&other, "echo", NULL) && exo_env_move(other.spawn.env, 1) == 0 &&
		 spawn_start(&other.spawn) == 0, "environment on the other CPU");
	need(family_await(&other, EXO_ENV_ASLEEP, 5000), "sleep");
	wakes(&other);
	moves(&other);
}

int main(void)
{
	uint64_t operations;

	work_begin();
	if (core_argument(1) && !strcmp(core_argument(1), "echo"))
		echo();
	need(core_info->cpus == WORK_PAIRS && work_cpus(), "second CPU");
	operations = call_option("speed", 0);
	if (operations)
		speed(operations);
	if (call_option("cross", 0))
		cross();
	exo_machine_halt(core_named(EXO_NAME_MACHINE), 0);
}
