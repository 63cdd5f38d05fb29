/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kicks and sleeping on a program: another environment of this CPU sleeps on a word of a frame that it is given in a slot
 * that both know.
 */
#include "apps/bench/bench.h"
#include "libos/core/predicate.h"
#include "libos/core/spawn.h"
#include "libos/vm/vm.h"

#define REPEAT		1000
#define SLOT		60	/* of the other's table */

static struct spawn watcher;

void bench_watcher(void)
{
	static struct predicate predicate;
	exo_cap_t frame = exo_cap_make(SLOT, 1);
	int word;

	while (caps_at(SLOT)->type == EXO_TYPE_NONE)
		core_yield(core_named("partner"));
	word = predicate_add(&predicate, frame, 0, 0, 8, PREDICATE_DIFFERS);
	bench_need(word >= 0 && predicate_make(&predicate) == 0, "a predicate");
	predicate_arm(&predicate, word, ~0ULL, 0);
	predicate_events(&predicate, 0);
	for (;;)
		bench_need(predicate_sleep(&predicate, EXO_NEVER, core_disp->events) == 0, "sleep on it");
}

static uint64_t one_kick(exo_cap_t frame)
{
	uint64_t began = bench_count();
	int64_t result = exo_kick(frame, 0);
	uint64_t cost = bench_count() - began - bench_count_cost();

	bench_need(result == 0, "a kick");
	return cost;
}

static void until_asleep(void)
{
	const volatile struct exo_env_info *info = info_env((uint32_t)watcher.id);

	do
		core_yield(EXO_CAP_NONE);
	while (info->state != EXO_ENV_ASLEEP);
}

void bench_kick(void)
{
	int64_t frame = exo_frame_take(caps_slot(), EXO_PFN_ANY, 1);
	volatile uint64_t *word = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	uint64_t unwatched = 0, vain = 0, waking = 0, sleeping = 0, began;
	unsigned i;

	bench_need(frame > 0 && word && !space_map((exo_vaddr_t)word, EXO_MAP_READ | EXO_MAP_WRITE, (exo_cap_t)frame, 0, 1),
	    "a frame");
	for (i = 0; i < REPEAT; i++)
		unwatched += one_kick((exo_cap_t)frame);
	bench_again(&watcher, "watcher");
	bench_need(exo_cap_derive((exo_cap_t)frame, watcher.env, SLOT, EXO_RIGHT_READ, 0, 1) ==
	    (int64_t)exo_cap_make(SLOT, 1), "the other's frame");
	until_asleep();
	for (i = 0; i < REPEAT; i++) {
		vain += one_kick((exo_cap_t)frame);
		*word = 1;
		waking += one_kick((exo_cap_t)frame);
		*word = 0;
		began = bench_count();
		until_asleep();
		sleeping += bench_count() - began - bench_count_cost();
	}
	bench_report("kick_unwatched", unwatched / REPEAT);
	bench_report("kick_in_vain", vain / REPEAT);
	bench_report("kick_wakes", waking / REPEAT);
	bench_report("sleep_on_program", sleeping / REPEAT);
	spawn_destroy(&watcher);
	space_map((exo_vaddr_t)word, 0, EXO_CAP_NONE, 0, 1);
	caps_delete((exo_cap_t)frame);
}
