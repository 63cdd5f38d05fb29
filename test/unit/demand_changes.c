/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is taken by force changes while it is being taken: between two calls capabilities are deleted, derived, grow, or
 * their environment goes and another has its number. Each case stops where a call has used up its budget in the middle
 * of a capability with many mappings.
 */
#include "test/unit/tenants.h"

#define VICTIM	handle(0, T_ACCOUNT + 1)
#define PAGES	40	/* times that frames are mapped: more than a call can cut */

static bool map_run(unsigned i, uint32_t slot, uint32_t page, uint32_t first, uint32_t count)
{
	*(struct exo_map *)tenant[i]->arg = (struct exo_map){ (WORLD_VA + page * EXO_PAGE_SIZE) | EXO_MAP_READ,
		handle(i, slot), first, count, 0 };
	return AS(i, space_write, handle(i, T_SPACE), 0, 1) == 1;
}

/* 8 frames from `first` on, PAGES times. */
static void map_often(unsigned i, uint32_t slot, uint32_t first)
{
	unsigned k, good = 0;

	for (k = 0; k < PAGES; k++)
		good += map_run(i, slot, k * 8, first, 8);
	is_int(good, PAGES, "mapped often");
}

/* Until a capability in slot `slot` is being shortened; then it has lost some of its mappings. */
static void begin(uint32_t slot)
{
	const struct account_force *force = &account_of(1)->force;
	unsigned n;

	null.now += ANSWER;
	for (n = 0; n < 100 && account_of(1)->demander; n++) {
		if (AS(0, repossess, VICTIM) != ERR(AGAIN))
			break;
		if (force->generation && force->slot == slot)
			break;
	}
	ok(force->generation && force->slot == slot, "force is at work in the middle");
}

static uint32_t finish(void)
{
	uint32_t sum = 0;
	int64_t result;
	unsigned n;

	for (n = 0; n < 1000 && account_of(1)->demander; n++) {
		result = AS(0, repossess, VICTIM);
		sum += result > 0 ? (uint32_t)result : 0;
	}
	ok(n < 1000, "it ends");
	return sum;
}

/* The demand is met otherwise, the frames are mapped anew, and demanded anew. */
static void test_mapped_anew(void)
{
	world_tenants(900, 400, 5);
	take(1, 20, 8);
	take(1, 30, 60);
	map_often(1, 30, 52);
	AS(0, demand, VICTIM, EXO_TYPE_FRAME, 8);
	begin(30);
	is_int(AS(1, frame_give, handle(1, 20), 8), 8, "others are given");
	ok(!account_of(1)->demander && cap(1, 30)->count == 60, "it keeps these");
	ok(map_run(1, 30, PAGES * 8, 52, 8), "maps them once more");
	is_int(AS(0, demand, VICTIM, EXO_TYPE_FRAME, 8), 0, "8 are demanded again");
	null.now += ANSWER;
	is_int(finish(), 8, "and taken, with all that maps them");
}

static struct env *make_env(unsigned slot, unsigned account)
{
	struct exo_env_params *params = (struct exo_env_params *)world.env[0]->arg;
	struct env *env;

	memset(params, 0, sizeof(*params));
	if (CALL(0, env_create, slot, world_handle(0, SLOT_SPACE), world_handle(0, 20 + account), pool, pooled,
		0) <= 0)
		return NULL;
	pooled += 4;
	env = pfn_to_virt(cap_slot(world.env[0], slot)->object);
	env_set_state(env, EXO_ENV_ASLEEP);
	CALL(0, cap_derive, world_handle(0, SLOT_SPACE), world_handle(0, slot), T_SPACE, EXO_RIGHT_WRITE, 0, 0);
	return env;
}

/* 60 frames of its own, twice, so that the first pass passes them over. */
static void take_twice(unsigned i)
{
	take(i, 20, 60);
	AS(i, cap_derive, handle(i, 20), 0, 41, RWX, 0, 60);
	AS(i, cap_derive, handle(i, 20), 0, 42, RWX, 0, 60);
	AS(i, cap_delete, handle(i, 20));
}

/* The environment goes, and one of another account has its index and a capability in the same slot. */
static void test_index_again(void)
{
	uint32_t index;

	world_tenants(1400, 400, 5);
	tenant[3] = make_env(40, 1);
	take_twice(1);
	take_twice(3);
	map_often(1, 42, 52);
	is_int(AS(0, demand, VICTIM, EXO_TYPE_FRAME, 100), 0, "100 are demanded");
	begin(42);
	index = tenant[1]->index;
	is_int(world_finish(0, EXO_CALL_env_destroy, world_handle(0, 31), 0), 0, "the one that loses them ends");
	is_int(account_of(1)->view.demand_left, 40, "40 are left of the demand");
	tenant[4] = make_env(41, 2);
	is_int(tenant[4]->index, index, "another has its index");
	take(4, 42, 60);
	is_int(finish(), 40, "40 are taken");
	is_int(cap(4, 42)->count, 60, "but not from that one");
	is_int(used(1), 20, "who has some keeps the rest");
}

/* Another tenant's 60 frames, charged to the account that owes; capabilities derived from them, the last is mapped. */
static void give_away(unsigned first, uint32_t demanded)
{
	world_tenants(900, 400, 5);
	take(1, 20, 60);
	AS(1, cap_derive, handle(1, 20), handle(1, T_PEER(3)), 40, RWX, 0, 60);
	AS(1, cap_delete, handle(1, 20));
	AS(2, cap_derive, handle(2, 40), 0, 50, RWX, 20, 40);
	AS(2, cap_derive, handle(2, 50), 0, 51, RWX, 0, 40);
	AS(2, cap_derive, handle(2, 40), 0, 52, RWX, first, 60 - first);
	map_often(2, 52, 52 - first);
	is_int(AS(0, demand, VICTIM, EXO_TYPE_FRAME, demanded), 0, "most are demanded");
	begin(40);
}

static void test_lifted(void)
{
	give_away(0, 30);
	is_int(AS(2, cap_delete, handle(2, 50)), 0, "one that was not reached yet is deleted");
	is_int(finish(), 30, "30 are taken");
	ok(cap(2, 40)->count == 30 && cap(2, 51)->count == 10, "also from what was derived from it");
}

static void test_orphaned(void)
{
	give_away(30, 40);
	ok(cap(2, 52)->object == 30 && cap(2, 52)->count == 0, "it is about to lose all");
	AS(2, cap_delete, handle(2, 51));
	AS(2, cap_delete, handle(2, 50));
	is_int(AS(2, cap_delete, handle(2, 40)), 0, "what it was derived from is deleted");
	is_int(finish(), 10, "30 are free then, 10 are taken");
	is_int(used(1), 20, "20 are left");
}

static void test_paused(void)
{
	give_away(0, 30);
	null.now += 1000 * info->slice_ns;
	is_int(AS(2, cap_derive, handle(2, 40), 0, 53, RWX, 0, 60) > 0, 1, "long after, one more is derived");
	is_int(finish(), 30, "30 are taken");
	is_int(cap(2, 53)->count, 30, "also from that one");
}

/* It gives slices while they are being taken, and loses no more than was demanded. */
static void test_slices_given(void)
{
	unsigned i;

	world_tenants(600, 0, 0);
	AS(1, slice_take, 20, 0, 0, 5);
	AS(1, slice_take, 30, 0, 32, 32);
	for (i = 0; i < 14; i++)
		AS(1, cap_derive, handle(1, 30), 0, 40 + i, EXO_RIGHT_BIND, 24, 8);
	is_int(AS(0, demand, VICTIM, EXO_TYPE_SLICE, 8), 0, "8 are demanded");
	begin(30);
	is_int(AS(1, cap_delete, handle(1, 20)), 0, "5 are given");
	is_int(finish(), 3, "3 are taken");
	is_int(cap(1, 30)->count, 29, "and no more");
}

/* It grows while it is being shortened: no more goes in one go than ever. */
static void test_grown(void)
{
	unsigned i;

	world_tenants(1800, 900, 5);
	take(1, 30, 60);
	for (i = 0; i < 14; i++)
		AS(1, cap_derive, handle(1, 30), 0, 40 + i, RWX, 0, 60);
	is_int(AS(0, demand, VICTIM, EXO_TYPE_FRAME, 50), 0, "50 are demanded");
	begin(30);
	for (i = 60; i < 900; i += 24)
		AS(1, frame_take, handle(1, 30), EXO_PFN_ANY, i + 24 < 900 ? 24 : 900 - i);
	is_int(cap(1, 30)->count, 900, "it grows");
	is_int(finish(), 50, "50 are taken");
	is_int(used(1), 850, "and no more");
}

/* Who may not read frames does not get to read them from its spill either. */
static void test_unreadable(void)
{
	world_tenants(900, 400, 5);
	take(1, T_FREE, 8);
	take(1, 20, 60);
	AS(1, cap_derive, handle(1, 20), 0, 30, EXO_RIGHT_WRITE, 0, 60);
	AS(1, cap_delete, handle(1, 20));
	tenant[1]->disp->abort.spill = handle(1, T_FREE);
	AS(0, demand, VICTIM, EXO_TYPE_FRAME, 8);
	null.now += ANSWER;
	is_int(finish(), 8, "8 are taken");
	ok(tenant[1]->disp->abort.lost == 1 && tenant[1]->disp->abort.loss[0].spilled == EXO_NOT_SPILLED &&
		tenant[1]->disp->abort.spill_next == 0,
	    "what could not be read is not spilled");
}

/* A space is emptied because of another's frames in it; whoever lives there maps what it can meanwhile. */
static void test_filled(void)
{
	exo_cap_t frames, there;
	unsigned n = 0, added = 0;
	int64_t result;

	world_tenants(900, 400, 0);
	frames = (exo_cap_t)CALL(0, frame_take, 50, EXO_PFN_ANY, 3);
	there = (exo_cap_t)CALL(0, cap_derive, frames, world_handle(0, 31), 40, RWX, 0, 0);
	is_int(AS(1, space_table, handle(1, T_SPACE), WORLD_VA + (2 << 20), EXO_LEVEL_PAGES, there, 0), 0,
	    "a table of another's frames");
	take(1, 20, 60);
	map_often(1, 20, 0);
	tenant[1]->root = world.env[0]->root;
	is_int(world_finish(0, EXO_CALL_cap_revoke, frames, 0), 0, "revoke");
	world.env[0]->root = world.env[1]->root;	/* the caller must live elsewhere */
	world.unchecked = true;
	do {
		result = CALL(0, frame_reclaim, frames, 0, 3);
		if (result == ERR(AGAIN))
			for (uint32_t k = 0; k < PAGES; k++)
				added += map_run(1, 20, k * 8, 0, 8);
	} while (result == ERR(AGAIN) && ++n < 200);
	world.env[0]->root = tenant[1]->root;
	world.unchecked = false;
	is_int(result, 0, "reclaimed");
	is_int(added, 0, "nothing can be mapped meanwhile");
	is_int(world_check() != NULL, 0, "the world is whole");
	do {
		result = AS(1, space_table, handle(1, T_SPACE), WORLD_VA, EXO_LEVEL_512G, handle(1, 20), 50);
	} while (result == ERR(AGAIN));
	is_int(result, 0, "when the rest is gone too, tables can be linked again");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_mapped_anew();
	test_index_again();
	test_lifted();
	test_orphaned();
	test_paused();
	test_slices_given();
	test_grown();
	test_unreadable();
	test_filled();
	return done();
}
