/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 1,000 environments alive at once: all run, each in its own space, all are woken, all end with what
 * they were told, and every frame is back afterwards. Then 600 sleep on programs of their own: what concerns one
 * runs one program and costs what it costs alone.
 *
 * Run with: -m 512M
 */
#define TINIES_MAX	1000
#include "test/guest/tiny.h"
#include "test/guest/sleepers.h"

#define LIVES	0	/* words of the data page: how often it ran, */
#define END	1	/* whether to end, */
#define OWN	2	/* and what only this one has */
#define WATCHERS	600
#define TIMES		200

static struct tiny all[TINIES_MAX];

TINY void live(uint64_t reasons)
{
	(void)reasons;
	tiny_word(LIVES)++;
	if (tiny_word(END))
		tiny_exit(tiny_word(OWN) & 0xff);
	tiny_sleep(EXO_NEVER);
}

static unsigned make_all(void)
{
	unsigned count = 0;

	for (; count < TINIES_MAX && tiny_make(&all[count], live, 0); count++)
		all[count].word[OWN] = count;
	return count;
}

/*
 * How many of every `step`-th from `first` on have run so often, are in this state, and have only what is
 * theirs.
 */
static unsigned count_those(unsigned first, unsigned step, uint64_t runs, uint32_t state)
{
	unsigned good = 0;

	for (unsigned i = first; i < TINIES_MAX; i += step)
		good += all[i].word[LIVES] == runs && all[i].word[OWN] == i && tiny_state(&all[i]) == state;
	return good;
}

static bool await(unsigned first, unsigned step, uint64_t runs, uint32_t state)
{
	exo_time_t end = core_now() + 20 * CORE_SECOND;

	while (count_those(first, step, runs, state) != (TINIES_MAX - first + step - 1) / step) {
		if (core_now() > end)
			return false;
		core_yield(EXO_CAP_NONE);
	}
	return true;
}

static unsigned wake(unsigned first, unsigned step, bool end)
{
	unsigned good = 0;

	for (unsigned i = first; i < TINIES_MAX; i += step) {
		all[i].word[END] = end;
		good += exo_wake(all[i].env) == 0;
	}
	return good;
}

static unsigned ended_well(void)
{
	unsigned good = 0;

	for (unsigned i = 0; i < TINIES_MAX; i++) {
		const struct exo_env_info *info = tiny_info(&all[i]);
		good += info->cause == EXO_CAUSE_EXIT && info->status == (i & 0xff);
	}
	return good;
}

static void live_and_die(void)
{
	unsigned started = 0;

	for (unsigned i = 0; i < TINIES_MAX; i++)
		started += tiny_start(&all[i]);
	ok(started == TINIES_MAX, "all start");
	ok(await(0, 1, 1, EXO_ENV_ASLEEP), "all have run once, and sleep");
	ok(wake(1, 2, true) == TINIES_MAX / 2 && await(1, 2, 2, EXO_ENV_ENDED), "every second is woken and ends");
	ok(count_those(0, 2, 1, EXO_ENV_ASLEEP) == TINIES_MAX / 2, "the others sleep on");
	ok(wake(0, 2, false) == TINIES_MAX / 2 && await(0, 2, 2, EXO_ENV_ASLEEP), "they are woken and sleep again");
	wake(0, 2, true);
	ok(await(0, 2, 3, EXO_ENV_ENDED), "they end");
	ok(ended_well() == TINIES_MAX, "all with their own status");
}

/* --- sleeping on programs ------------------------------------------------------------------------------------- */

static struct program programs[WATCHERS];

static uint64_t all_runs(unsigned count)
{
	uint64_t runs = 0;

	for (unsigned i = 0; i < count; i++)
		runs += sleeper_runs(&all[i]);
	return runs;
}

/* An event and a kick that concern one of them only; ns for each, the best of some. */
static uint64_t cost_of_one(unsigned which)
{
	uint64_t best = ~0ULL;

	for (unsigned k = 0; k < 5; k++) {
		exo_time_t from = core_now();
		for (unsigned i = 0; i < TIMES; i++) {
			exo_wake(all[which].env);
			exo_kick(all[which].frames, TINY_DATA_FRAME);
		}
		if ((core_now() - from) / TIMES < best)
			best = (core_now() - from) / TIMES;
	}
	return best;
}

static void watch_all(void)
{
	unsigned asleep = 0, i;
	uint64_t alone = 0, runs, woke = 0;

	for (i = 0; i < WATCHERS; i++) {
		if (!tiny_make(&all[i], sleeper, 0))
			break;
		if (!program_load(&programs[i], 1, 64, WHEN_NOT_ZERO(8 * SLEEPER_WORDS)) ||
		    exo_code_bind(programs[i].code, 0, all[i].frames, TINY_DATA_FRAME) || !tiny_start(&all[i]) ||
		    !tiny_await(&all[i], EXO_ENV_ASLEEP, 5000))
			break;
		all[i].word[ON] = (uint64_t)tiny_grant(&all[i], programs[i].code, 5, EXO_RIGHT_EXEC);
		asleep += sleeper_arm(&all[i], EXO_NEVER) == SLEEPS;
		if (i == 0)
			alone = cost_of_one(0);
	}
	is(asleep, WATCHERS, "sleep on a program each");
	runs = all_runs(WATCHERS);
	uint64_t among = cost_of_one(0);
	runs = all_runs(WATCHERS) - runs;
	is(runs, 5 * 2 * TIMES, "an event and a kick of one's run one program each, and no other");
	/* A look at each would cost hundreds of times as much; the emulator's own caches are worth a factor of two. */
	ok(among < alone * 4, "they cost %lu ns among %u, %lu alone", among, WATCHERS, alone);
	runs = all_runs(WATCHERS);
	for (i = 0; i < WATCHERS; i++) {
		uint64_t upcalls = all[i].word[RUNS];
		all[i].word[SLEEPER_WORDS] = 1;
		exo_kick(all[i].frames, TINY_DATA_FRAME);
		woke += sleeper_woke(&all[i], upcalls);
	}
	is(woke, WATCHERS, "each wakes by its own word");
	is(all_runs(WATCHERS) - runs, WATCHERS, "by one run each");
	for (i = 0; i < WATCHERS; i++) {
		tiny_drop(&all[i]);
		program_drop(&programs[i]);
	}
}

int main(void)
{
	if (!ok(info_env(1) != NULL, "the exposed table of environments"))
		return tap_done();
	tiny_prepare();
	for (unsigned round = 0; round < 2; round++) {	/* what the libOS keeps for so many, it has in the second */
		struct books before = books_now();
		unsigned made = make_all();
		uint32_t each = (before.free - books_now().free + TINIES_MAX - 1) / TINIES_MAX;
		if (round) {
			ok(made == TINIES_MAX, "%u environments", made);
			ok(each <= 16, "%u frames each", each);
			live_and_die();
		}
		for (unsigned i = 0; i < made; i++)
			tiny_drop(&all[i]);
		if (round)
			ok(books_same(before), "every frame is back");
	}
	watch_all();
	return tap_done();
}
