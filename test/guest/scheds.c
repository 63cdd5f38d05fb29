/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedulers of environments, on instructions counted as time (1 ns each): the test owns all slices and lends
 * them to tiny environments, which know nothing of it: some spin for ever, some are periodic tasks that sleep
 * between jobs.
 *
 * Run with: --icount
 *
 * Time limit: 180 s
 *
 * EDF runs for 20 s of guest time, with `long` for an hour. Tasks pass their time in runs of no-operations,
 * which the emulator counts like any instruction and executes quickly.
 */
#include "libos/sched/env.h"
#include "test/guest/tiny.h"

#define TINY_INFO	0x5f8000ULL
#define SLED		480
#define UNIT		(SLED + 2)	/* instructions, so ns */

enum { ROUNDS, PERIOD, WORK, RELEASE, JOBS, MISSES, LATEST };

TINY_INLINE void work(uint64_t units)
{
	__asm__ volatile("1:\n\t.rept 480\n\tnop\n\t.endr\n\tdec %0\n\tjnz 1b" : "+r"(units) :: "cc");
}

/* As core_now(). */
TINY_INLINE exo_time_t tiny_now(void)
{
	const volatile struct exo_clock *clock = &((const volatile struct exo_info *)TINY_INFO)->clock;
	uint32_t sequence, low, high;
	exo_time_t now;

	do {
		sequence = clock->sequence;
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
		uint64_t ticks = ((uint64_t)high << 32 | low) - clock->counter;
		now = clock->ns + (uint64_t)((unsigned __int128)ticks * clock->scale >> 32);
	} while (clock->sequence != sequence || sequence & 1);
	return now;
}

TINY static void spin(uint64_t reasons)
{
	(void)reasons;
	for (;;) {
		work(20);
		tiny_word(ROUNDS)++;
	}
}

/* A job of WORK units at each release; a release every PERIOD. */
TINY static void task(uint64_t reasons)
{
	(void)reasons;
	for (;;) {
		exo_time_t release = tiny_word(RELEASE), end = release + tiny_word(PERIOD), now = tiny_now();
		if (now < release) {
			tiny_sleep(release);
			continue;
		}
		work(tiny_word(WORK));
		now = tiny_now();
		tiny_word(JOBS)++;
		tiny_word(MISSES) += now > end;
		if (now - release > tiny_word(LATEST))
			tiny_word(LATEST) = now - release;
		tiny_word(RELEASE) = end;
	}
}

#define CLIENTS	8

static struct tiny runner[CLIENTS];
static struct env_client client[CLIENTS];
static struct env_sched sched;

static bool client_make(unsigned i, void (*entry)(uint64_t))
{
	if (!tiny_make(&runner[i], entry, 0))
		return false;
	client[i] = (struct env_client){ .env = runner[i].env, .id = runner[i].id };
	return write_one(runner[i].space, TINY_INFO | EXO_MAP_READ, core_named(EXO_NAME_INFO), 0, 1) == 1;
}

static bool begin(const struct env_policy *policy)
{
	sched = (struct env_sched){ .policy = policy, .seed = 12345 };
	return env_own(&sched, 0, EXO_SLICES) == 0;
}

static void end(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		env_remove(&sched, &client[i]);
		tiny_drop(&runner[i]);
	}
	env_disown(&sched);
}

/* --- shares --------------------------------------------------------------------------------------------- */

static uint64_t total(unsigned count)
{
	uint64_t ns = 0;

	for (unsigned i = 0; i < count; i++)
		ns += client[i].ns;
	return ns;
}

/* Three that spin, with these shares. */
static bool spinners(const struct env_policy *policy, const uint64_t share[3], uint64_t seconds)
{
	bool good = true;

	for (unsigned i = 0; i < 3; i++) {
		good = good && client_make(i, spin);
		client[i].share = share[i];
	}
	if (!ok(good && begin(policy), "%s: three that never stop", policy->name))
		return false;
	for (unsigned i = 0; i < 3; i++) {
		tiny_start(&runner[i]);
		env_add(&sched, &client[i]);
	}
	exo_time_t from = core_now();
	env_run(&sched, from + seconds * CORE_SECOND);
	from = core_now() - from;
	printf("# %s, %lu s: %lu %lu %lu us in %lu %lu %lu turns; %lu ppm for the scheduler\n", policy->name,
	    seconds,
	       client[0].ns / 1000, client[1].ns / 1000, client[2].ns / 1000, client[0].turns,
	       client[1].turns,
	       client[2].turns, (from - total(3)) * 1000 / (from / 1000));
	ok(total(3) > from / 100 * 99, "they have nearly all the time");
	return true;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Each has its share of all, within a part in `parts` of that. */
static bool shared(const uint64_t share[3], uint64_t parts)
{
	uint64_t all = total(3), sum = share[0] + share[1] + share[2];
	bool good = true;

	for (unsigned i = 0; i < 3; i++)
		good = good && distance(client[i].ns, all * share[i] / sum) <= all * share[i] / sum / parts;
	return good;
}

static void shares(void)
{
	static const uint64_t equal[] = { 1, 1, 1 }, ratio[] = { 3, 2, 1 };

	if (spinners(&env_rr, equal, 10))
		ok(shared(equal, 1000), "equal within 0.1 %%");
	end(3);
	if (spinners(&env_stride, ratio, 30)) {
		ok(shared(ratio, 1000), "3 : 2 : 1 within 0.1 %%");
		exo_time_t least = core_now(), most = 0;
		for (unsigned round = 0; round < 200; round++) {
			env_run(&sched, core_now() + 7 * MS);
			for (unsigned i = 0; i < 3; i++) {
				exo_time_t off = distance(client[i].ns * 6, total(3) * ratio[i]) / 6;
				most = off > most ? off : most;
				least = off < least ? off : least;
			}
		}
		ok(most <= 2 * core_info->slice_ns, "at any time within two slices (%lu us)", most / 1000);
		env_remove(&sched, &client[1]);
		uint64_t first = client[0].ns, third = client[2].ns;
		env_run(&sched, core_now() + 400 * MS);
		first = client[0].ns - first, third = client[2].ns - third;
		ok(distance(first, 3 * third) < first / 50, "without the second, 3 : 1");
		env_add(&sched, &client[1]);
		first = client[0].ns;
		env_run(&sched, core_now() + 600 * MS);
		ok(distance(client[0].ns - first, 300 * MS) < 10 * MS && distance(client[1].ns,
		    200 * MS) < 10 * MS,
		   "when it comes again it has its share, and no more");
	}
	end(3);
	if (spinners(&env_lottery, ratio, 30)) {
		uint64_t n = sched.turns;
		bool good = true;
		for (unsigned i = 0; i < 3; i++) {
			/* Four standard deviations, squared: 16 n p (1 - p), p = share / 6. */
			uint64_t off = distance(client[i].turns * 6, n * ratio[i]);
			good = good && off * off <= 16 * n * ratio[i] * (6 - ratio[i]);
		}
		ok(good && n >= 29000, "of %lu draws each has its share within four standard deviations", n);
	}
	end(3);
}

/* --- deadlines ------------------------------------------------------------------------------------------ */

#define TASKS		6
#define HOG		TASKS
/* Budget beyond the work: upcall, clock, sleep; and for each ms that it is interrupted once. ns */
#define RESERVE(period)	(4000 + (period) / 500)

/* ms; no two have a common divisor. Work is 15 % of the first's and 16 % of the others' periods: 95 %. */
static const uint64_t period_ms[TASKS] = { 1, 7, 11, 19, 31, 50 };

static bool tasks(const struct env_policy *policy)
{
	bool good = true;

	for (unsigned i = 0; i <= TASKS; i++)
		good = good && client_make(i, i == HOG ? spin : task);
	good = good && begin(policy);
	exo_time_t start = core_now() + 10 * MS;
	for (unsigned i = 0; i < TASKS; i++) {
		exo_time_t period = period_ms[i] * MS, part = i ? 16 : 15;
		runner[i].word[PERIOD] = period;
		runner[i].word[WORK] = (period * part / 100 + UNIT - 1) / UNIT;
		runner[i].word[RELEASE] = start;
		client[i].release = start;
		if (policy == &env_edf) {
			client[i].period = period;
			client[i].budget = runner[i].word[WORK] * UNIT + RESERVE(period);
		}
	}
	for (unsigned i = 0; i <= TASKS; i++) {
		tiny_start(&runner[i]);
		env_add(&sched, &client[i]);
	}
	return good;
}

static uint64_t misses(unsigned from, unsigned to)
{
	uint64_t sum = 0;

	for (unsigned i = from; i < to; i++)
		sum += runner[i].word[MISSES];
	return sum;
}

static void tell(exo_time_t elapsed)
{
	for (unsigned i = 0; i < TASKS; i++)
		printf("# period %2lu ms: %lu jobs, %lu late, the latest done after %lu us, %lu ppm of the CPU\n",
		       period_ms[i], runner[i].word[JOBS], runner[i].word[MISSES], runner[i].word[LATEST] / 1000,
		       client[i].ns * 1000 / (elapsed / 1000));
	printf("# hog: %lu ppm; scheduler: %lu ppm, %lu turns\n", client[HOG].ns * 1000 / (elapsed / 1000),
	       (elapsed - total(TASKS + 1)) * 1000 / (elapsed / 1000), sched.turns);
}

static void deadlines(void)
{
	uint64_t seconds = call_option("long", 0) ? 3600 : 20;
	exo_time_t from, elapsed;
	bool all = true;

	if (!ok(tasks(&env_edf), "six periodic tasks and one that never stops"))
		return;
	from = core_now();
	env_run(&sched, from + seconds * CORE_SECOND);
	elapsed = core_now() - from;
	tell(elapsed);
	for (unsigned i = 0; i < TASKS; i++)
		all = all && runner[i].word[JOBS] >= (seconds * 1000 - 20) / period_ms[i] - 1;
	ok(total(TASKS) >= elapsed / 1000 * 949, "the tasks use 95 %% of the CPU, for %lu s", seconds);
	ok(all && misses(0, TASKS) == 0, "EDF: no job missed its deadline");
	ok(client[HOG].ns > elapsed / 100, "the other has what is left");
	/* The longest one wants four times as much as it has: it alone is late. */
	runner[5].word[WORK] *= 4;
	env_run(&sched, core_now() + 2 * CORE_SECOND);
	ok(misses(0, 5) == 0 && runner[5].word[MISSES] > 5,
	    "who wants more than its budget makes nobody else late");
	end(TASKS + 1);
	if (ok(tasks(&env_rr), "the same by round robin")) {
		env_run(&sched, core_now() + CORE_SECOND);
		ok(misses(0, 1) > 100, "misses deadlines, and the tasks see it");
	}
	end(TASKS + 1);
}

int main(void)
{
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		if (round == 0)
			shares();
		else
			deadlines();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
