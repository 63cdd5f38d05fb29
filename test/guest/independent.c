/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two CPUs do not get in each other's way on the hot ways of the kernel: a pair of environments on each
 * makes null calls, exceptions, transfers, yields, wakeups and sleeps, at the same time, 100,000 in all
 * each; meanwhile nobody has waited for the kernel's lock and no CPU has interrupted another. That
 * neither writes where the other does is seen from outside (test/e2e/lines.py), between the two
 * instructions of mark().
 *
 * Runs first: yes
 * Run with: --smp 2
 * Time limit: 120 s
 */
#include "test/guest/workers.h"

#define OPERATIONS	15000	/* of each of seven kinds */
#define WARM		200

/* An instruction that the emulator's plugin knows (test/lib/lines.c). */
static inline void mark(bool begin)
{
	if (begin)
		__asm__ volatile("movabs $0x4e4947454245584f, %%rax" ::: "rax");
	else
		__asm__ volatile("movabs $0x2e444e454245584f, %%rax" ::: "rax");
}

static struct exo_cpu_info counters(unsigned cpu)
{
	return *(const volatile struct exo_cpu_info *)info_cpu(cpu);
}

static bool go(struct work_pair pair[WORK_PAIRS], uint64_t operations, uint64_t how)
{
	bool done = true;

	for (unsigned i = 0; i < WORK_PAIRS; i++) {
		pair[i].word[WORK_HOW] = how;
		pair[i].word[WORK_GO] += operations;
	}
	for (unsigned i = 0; i < WORK_PAIRS; i++)
		done = work_await(&pair[i], 100) && done;
	return done;
}

int main(void)
{
	static struct work_pair pair[WORK_PAIRS];
	struct exo_cpu_info before[WORK_PAIRS], after[WORK_PAIRS];
	uint64_t operations, how, upcalls[WORK_PAIRS];

	work_begin();
	operations = call_option("operations", OPERATIONS);
	/* Mixed: to show that test/e2e/lines.py sees what is shared. */
	how = call_option("mixed", 0) ? WORK_MIXED : WORK_HOT;
	ok(core_info->cpus == WORK_PAIRS && work_cpus(), "two CPUs");
	for (unsigned i = 0; i < WORK_PAIRS; i++)
		ok(work_make(&pair[i], i), "a pair on CPU %u", i);
	ok(go(pair, WARM, how), "both pairs have begun");
	for (unsigned i = 0; i < WORK_PAIRS; i++) {
		before[i] = counters(i);
		upcalls[i] = info_env((uint32_t)pair[i].worker.spawn.id)->upcalls;
	}
	mark(true);
	bool done = go(pair, operations, how);
	mark(false);
	for (unsigned i = 0; i < WORK_PAIRS; i++) {
		after[i] = counters(i);
		upcalls[i] = info_env((uint32_t)pair[i].worker.spawn.id)->upcalls - upcalls[i];
	}

	ok(done, "both pairs have made %lu operations of each kind", operations);
	for (unsigned i = 0; i < WORK_PAIRS; i++) {
		is(pair[i].word[WORK_BAD], 0, "CPU %u: all went well", i);
		is(pair[i].word[WORK_TRAPS], operations + WARM, "CPU %u: an exception each", i);
		if (how == WORK_MIXED)
			continue;
		ok(upcalls[i] >= 3 * operations, "CPU %u: %lu upcalls of the worker", i, upcalls[i]);
		is(after[i].lock_waits - before[i].lock_waits, 0, "CPU %u: no wait for the lock", i);
		is(after[i].asked - before[i].asked, 0, "CPU %u: no interrupt from the other", i);
		printf("# CPU %u: %lu spaces loaded, %lu interrupts\n", i,
		    after[i].switches - before[i].switches, after[i].interrupts - before[i].interrupts);
	}
	for (unsigned i = 0; i < WORK_PAIRS; i++)
		work_drop(&pair[i]);
	return call_done();
}
