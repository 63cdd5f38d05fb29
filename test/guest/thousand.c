/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 1,000 environments alive at once: all run, each in its own space, all are woken, all end with what
 * they were told, and every frame is back afterwards.
 *
 * Run with: -m 512M
 */
#define TINIES_MAX	1000
#include "test/guest/tiny.h"

#define RUNS	0	/* words of the data page: how often it ran, */
#define END	1	/* whether to end, */
#define OWN	2	/* and what only this one has */

static struct tiny all[TINIES_MAX];

TINY void live(uint64_t reasons)
{
	(void)reasons;
	tiny_word(RUNS)++;
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
		good += all[i].word[RUNS] == runs && all[i].word[OWN] == i && tiny_state(&all[i]) == state;
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
	return tap_done();
}
