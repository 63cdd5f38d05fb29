/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the port does on several CPUs: all are up, time is one and the same on each and for who moves, each
 * has a timer, and an environment that is moved about while it computes keeps its registers: general, FPU,
 * SSE, bases.
 *
 * Runs first: yes. Run with: --smp 4
 */
#include "test/guest/tiny.h"

#define INFO_VA		0x5f8000ULL	/* where a tiny one sees the exposed pages' first */
#define ROUNDS		400
#define CLOCK_MS	2500
#define PATIENCE_MS	15000		/* on a busy computer */

/* Words. */
enum { HERS, MINE, BACK, READS, SLEPT, EARLY, LAST_SLEEP, ROUND, BAD, WIDE = 32 };


TINY_INLINE exo_time_t tiny_now(void)
{
	const volatile struct exo_clock *clock = &((const volatile struct exo_info *)INFO_VA)->clock;
	uint32_t sequence, low, high;
	exo_time_t now;
	int64_t ticks;

	do {
		while ((sequence = clock->sequence) & 1)
			;
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
		ticks = (int64_t)(((uint64_t)high << 32 | low) - clock->counter);
		now = clock->ns;
		if (ticks > 0)
			now += (uint64_t)((unsigned __int128)(uint64_t)ticks * clock->scale >> 32);
	} while (clock->sequence != sequence);
	return now;
}

/* Its time is never before the test's, nor before its own. */
TINY static void clock_run(uint64_t reasons)
{
	exo_time_t last = 0, hers, now;

	(void)reasons;
	for (;;) {
		hers = tiny_word(HERS);
		now = tiny_now();
		if (now < hers || now < last)
			tiny_word(BACK)++;
		last = now;
		tiny_word(MINE) = now;
		tiny_word(READS)++;
	}
}

/* Sleep for a while, again and again: never too short. */
TINY static void sleep_run(uint64_t reasons)
{
	exo_time_t now = tiny_now();

	(void)reasons;
	if (tiny_word(LAST_SLEEP) && now < tiny_word(LAST_SLEEP))
		tiny_word(EARLY)++;
	tiny_word(SLEPT)++;
	tiny_word(LAST_SLEEP) = now + 2 * MS;
	for (;;)
		tiny_sleep(tiny_word(LAST_SLEEP));
}

/* All registers hold a pattern for a while, and then still do. */
TINY static void registers_run(uint64_t reasons)
{
	volatile uint64_t *wide = &tiny_word(WIDE);
	uint64_t base, fs, bad = 0, a, b;

	(void)reasons;
	tiny_call(EXO_CALL_env_fsbase, 0x123456789000, 0, 0, 0, 0, 0);
	for (base = 1;; base += 0x0101010101) {
		__asm__ volatile(
		    "movq %[base], %%xmm0; paddq %%xmm0, %%xmm0\n\t"
		    "movq %[base], %%xmm15; punpcklqdq %%xmm0, %%xmm15\n\t"
		    "fninit; movq %[base], 32(%[wide]); fildq 32(%[wide])\n\t"
		    "mov %[base], %%r12; not %%r12\n\t"
		    "mov $3000, %%ecx\n1:\tdec %%ecx; jnz 1b\n\t"
		    "movdqu %%xmm0, (%[wide]); movdqu %%xmm15, 16(%[wide])\n\t"
		    "fistpq 32(%[wide]); mov %%r12, %[a]; not %[a]"
		    : [a] "=&r"(a)
		    : [base] "r"(base), [wide] "r"(wide)
		    : "rcx", "r12", "memory", "cc");
		b = 2 * base;
		bad += wide[0] != b || wide[2] != base || wide[3] != b || wide[4] != base || a != base;
		if (((const volatile struct exo_info *)INFO_VA)->cpu_features & EXO_CPU_FSGSBASE) {
			__asm__ volatile("rdfsbase %0" : "=r"(fs));
			bad += fs != 0x123456789000;
		}
		tiny_word(BAD) = bad;
		tiny_word(ROUND)++;
	}
}

/* With the exposed page, on a CPU. */
static bool begin(struct tiny *tiny, void (*entry)(uint64_t), unsigned on)
{
	return tiny_make(tiny, entry, 0) &&
	       write_one(tiny->space, INFO_VA | EXO_MAP_READ, core_named(EXO_NAME_INFO), 0, 1) == 1 &&
	       exo_env_move(tiny->env, on) == 0 && tiny_start(tiny);
}

static void all_up(void)
{
	exo_time_t end = core_now() + PATIENCE_MS * MS;
	unsigned i, up;

	ok(core_info->cpus == 4 && core_info->cpu.entries >= 4, "4 CPUs");
	do {
		for (i = up = 0; i < core_info->cpus; i++)
			up += ((const volatile struct exo_cpu_info *)info_cpu(i))->state == EXO_CPU_RUNS;
	} while (up < core_info->cpus && core_now() < end);
	ok(up == 4, "all are up");
	for (i = 1; i < core_info->cpus; i++)
		ok(info_cpu(i)->id != info_cpu(i - 1)->id, "numbers %u and %u", info_cpu(i - 1)->id,
		    info_cpu(i)->id);
}

static void time_is_one(void)
{
	exo_time_t end = core_now() + CLOCK_MS * MS, now, last = 0;
	struct tiny other[2];
	uint64_t back = 0, reads = 0, his;
	uint32_t sequence = core_info->clock.sequence;
	unsigned i;

	ok(begin(&other[0], clock_run, 1) && begin(&other[1], clock_run, 2),
	    "two look at the clock on CPUs 1 and 2");
	do {
		for (i = 0; i < 2; i++) {
			his = other[i].word[MINE];
			now = core_now();
			back += now < his || now < last;
			last = now;
			other[i].word[HERS] = now;
		}
		if (reads++ % 256 == 0)
			core_yield(EXO_CAP_NONE);	/* the kernel looks at its clock */
	} while (last < end);
	printf("# read %lu, %lu and %lu times; %u pieces\n", reads, other[0].word[READS],
	    other[1].word[READS], (core_info->clock.sequence - sequence) / 2);
	ok(!back && !other[0].word[BACK] && !other[1].word[BACK], "time went back %lu, %lu, %lu times", back,
	    other[0].word[BACK], other[1].word[BACK]);
	ok(core_info->clock.sequence != sequence && other[0].word[READS] > 100 && other[1].word[READS] > 100,
	    "they ran, and the clock's rate was found anew");
	tiny_drop(&other[0]);
	tiny_drop(&other[1]);
}

static void timers(void)
{
	struct tiny sleeper[3];
	exo_time_t end = core_now() + PATIENCE_MS * MS;
	unsigned i;

	for (i = 0; i < 3; i++)
		ok(begin(&sleeper[i], sleep_run, i + 1), "a sleeper on CPU %u", i + 1);
	while (core_now() < end && (sleeper[0].word[SLEPT] < 50 || sleeper[1].word[SLEPT] < 50 ||
	    sleeper[2].word[SLEPT] < 50))
		;
	for (i = 0; i < 3; i++) {
		ok(sleeper[i].word[SLEPT] >= 50 && !sleeper[i].word[EARLY],
		    "CPU %u: slept %lu times, %lu too short", i + 1,
		    sleeper[i].word[SLEPT], sleeper[i].word[EARLY]);
		ok(info_cpu(i + 1)->interrupts > 0 && info_cpu(i + 1)->asked > 0,
		    "CPU %u: %lu interrupts, asked %lu times", i + 1,
		    info_cpu(i + 1)->interrupts, info_cpu(i + 1)->asked);
		tiny_drop(&sleeper[i]);
	}
}

static void moved_about(void)
{
	struct tiny tiny;
	unsigned i, moved = 0;
	exo_time_t end = core_now() + PATIENCE_MS * MS;
	uint64_t round;

	ok(begin(&tiny, registers_run, 1), "one that computes");
	for (i = 0; i < ROUNDS; i++) {
		round = tiny.word[ROUND];
		moved += exo_env_move(tiny.env, i % 3 + 1) == 0;
		while (tiny.word[ROUND] == round && core_now() < end)
			;
	}
	ok(moved == ROUNDS, "moved %u times", moved);
	ok(tiny.word[ROUND] >= ROUNDS && tiny.word[BAD] == 0, "%lu rounds, %lu spoilt", tiny.word[ROUND],
	    tiny.word[BAD]);
	for (i = 0; i < 3; i++)
		ok(exo_env_move(tiny.env, 0) == 0 && exo_env_move(tiny.env, 3) == 0,
		    "to the test's CPU and away");
	round = tiny.word[ROUND];
	while (tiny.word[ROUND] == round && core_now() < end)
		;
	ok(tiny.word[ROUND] > round && tiny.word[BAD] == 0, "it goes on");
	tiny_drop(&tiny);
}

int main(void)
{
	all_up();
	time_is_one();
	timers();
	moved_about();
	return call_done();
}
