/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shares, demands and repossession: every documented error; tenants that answer, and hoarders that ignore everything,
 * in several disguises; and a checker that must see what is planted. Random operations: demand_random.c.
 */
#include "test/unit/tenants.h"

#define VICTIM(i) handle(0, T_ACCOUNT + (i))

/* Take by force until the demand has ended; the sum. */
static uint32_t repossess_all(unsigned by, unsigned from, unsigned *calls)
{
	uint32_t sum = 0;
	int64_t result;
	unsigned n = 0;

	null.now += ANSWER;
	do {
		result = AS(by, repossess, handle(by, T_ACCOUNT + from));
		sum += result > 0 ? (uint32_t)result : 0;
		n++;
	} while ((result == ERR(AGAIN) || result >= 0) && account_of(from)->demander && n < 10000);
	if (calls)
		*calls = n;
	return sum;
}

static const struct exo_abort *abort_of(unsigned i)
{
	return &tenant[i]->disp->abort;
}

/* --- shares --------------------------------------------------------------------------------------------- */

static void test_share(void)
{
	exo_cap_t root, one, two, below, weak;
	struct exo_shares *shares;
	uint32_t all;

	world_tenants(600, 0, 0);
	shares = (struct exo_shares *)world.env[0]->arg;
	root = world_handle(0, SLOT_ACCOUNT);
	one = world_handle(0, 20);
	two = world_handle(0, 21);
	all = ((struct account *)pfn_to_virt(world.root_account))->view.share[0].guaranteed;
	weak = (exo_cap_t)CALL(0, cap_derive, root, 0, 40, EXO_RIGHT_READ, 0, 0);
	is_int(share(0, one, 1, 0), ERR(CAP), "share: no parent");
	is_int(share(pool, one, 1, 0), ERR(TYPE), "share: parent is no account");
	is_int(share(weak, one, 1, 0), ERR(RIGHTS), "share: parent without CONTROL");
	is_int(share(root, 0, 1, 0), ERR(CAP), "share: no account");
	is_int(share(root, pool, 1, 0), ERR(TYPE), "share: not an account");
	is_int(share(one, two, 1, 0), ERR(INVAL), "share: not below");
	is_int(share(root, root, 1, 0), ERR(INVAL), "share: not its own parent");
	is_int(CALL(0, account_share, root, one, 4), ERR(RANGE), "share: offset not a multiple of 8");
	is_int(
	    CALL(0, account_share, root, one, 4096 - 40), ERR(RANGE), "share: outside of the argument frame");
	is_int(CALL(0, account_share, root, one, ~7ULL), ERR(RANGE), "share: an offset that wraps");
	is_int(share(root, one, all + 1, 0), ERR(QUOTA), "share: more than there is");
	is_int(share(root, one, all, 0), 0, "share: all there is");
	is_int(share(root, two, 1, 0), ERR(QUOTA), "share: then nothing is left");
	is_int(share(root, one, all - 10, 0), 0, "share: less");
	is_int(share(root, two, 10, 64), 0, "share: now it is, and all slices");
	is_int(share(root, one, 10, 1), ERR(QUOTA), "share: no slice is left");
	below = (exo_cap_t)CALL(0, account_make, 41, two, pool, pooled, 5);
	is_int(share(two, below, 8, 0), 0, "share: handed down");
	is_int(share(root, two, 7, 64), ERR(STATE), "share: less than it has promised");
	is_int(share(root, below, 8, 0), ERR(INVAL), "share: not right below");
	share(root, one, 0, 0);
	shares->share[2].guaranteed = 6;
	shares->share[2].limit = 5;
	is_int(CALL(0, account_share, root, one, 0), ERR(INVAL), "share: a guarantee above its limit");
	shares->share[2].limit = 6;
	shares->answer_ns = info->slice_ns - 1;
	is_int(CALL(0, account_share, root, one, 0), ERR(INVAL), "share: less than a slice to answer in");
	shares->answer_ns = info->slice_ns;
	shares->share[0].limit = 0;
	is_int(CALL(0, account_share, root, one, 0), 0, "share: a limit below what is used");
	is_int(AS(0, frame_take, T_FREE, EXO_PFN_ANY, 1), ERR(QUOTA), "nothing more can be had then");
	is_int(CALL(0, cap_delete, below), 0, "an account goes");
	is_int(((struct account *)pfn_to_virt(tenant_account[1]))->view.share[0].promised, 0,
	    "what it was promised is free");
	shares->share[0].limit = 1;
	shares->share[1].limit = 2;
	is_int(CALL(0, account_share, root, one, 0), 0, "share: limits of several kinds");
	is_int(AS(0, slice_take, T_FREE, 0, 0, 3), ERR(QUOTA), "three slices are too many");
	is_int(AS(0, slice_take, T_FREE, 0, 0, 2) > 0, 1, "two are not");
	is_int(AS(0, slice_take, T_FREE + 1, 0, 5, 1), ERR(QUOTA), "one more is");
	is_int(AS(0, cap_delete, handle(0, T_FREE)), 0, "given back");
	is_int(account_of(0)->view.share[1].used, 0, "they are charged no more");
}

/* --- demands -------------------------------------------------------------------------------------------- */

static void test_demand_errors(void)
{
	exo_cap_t below, weak;

	world_tenants(600, 50, 10);
	take(1, T_FREE, 30);
	weak = (exo_cap_t)CALL(0, cap_derive, world_handle(0, 21), world_handle(0, 30), 40, 0, 0, 0);
	is_int(AS(0, demand, 0, EXO_TYPE_FRAME, 5), ERR(CAP), "demand: no account");
	is_int(AS(0, demand, handle(0, T_SPACE), EXO_TYPE_FRAME, 5), ERR(TYPE), "demand: not an account");
	is_int(AS(0, demand, weak, EXO_TYPE_FRAME, 5), ERR(RIGHTS), "demand: without READ");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_ENV, 5), ERR(INVAL), "demand: of what cannot be demanded");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 0), ERR(INVAL), "demand: nothing");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 1ULL << 32), ERR(INVAL), "demand: beyond 32 bits");
	is_int(AS(0, demand, VICTIM(0), EXO_TYPE_FRAME, 5), ERR(INVAL), "demand: of oneself");
	CALL(0, cap_derive, world_handle(0, SLOT_ACCOUNT), world_handle(0, 30), 41, EXO_RIGHT_READ, 0, 0);
	is_int(AS(0, demand, handle(0, 41), EXO_TYPE_FRAME, 5), ERR(INVAL), "demand: of the one above");
	below = (exo_cap_t)CALL(0, account_make, 41, world_handle(0, 20), pool, pooled, 5);
	CALL(0, cap_derive, below, world_handle(0, 30), 42, EXO_RIGHT_READ, 0, 0);
	is_int(AS(0, demand, handle(0, 42), EXO_TYPE_FRAME, 5), ERR(INVAL), "demand: of one below");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 21), ERR(STATE), "demand: more than it has beyond");
	is_int(AS(0, demand, VICTIM(2), EXO_TYPE_FRAME, 1), ERR(STATE), "demand: of one that has nothing");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_SLICE, 1), ERR(STATE), "demand: slices, which it has not");
	is_int(AS(1, demand, handle(1, T_ACCOUNT), EXO_TYPE_FRAME, 1), ERR(STATE),
	    "demand: without being due any");
	take(0, T_FREE, 45);
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 6), ERR(STATE), "demand: more than is missing");
	is_int(AS(0, repossess, VICTIM(1)), ERR(STATE), "repossess: nothing was demanded");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 3), 0, "demand");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 1), ERR(BUSY), "demand: one is pending");
	is_int(AS(0, repossess, VICTIM(1)), ERR(STATE), "repossess: too early");
	is_int(AS(0, repossess, 0), ERR(CAP), "repossess: no account");
	is_int(AS(0, repossess, handle(0, T_SPACE)), ERR(TYPE), "repossess: not an account");
	is_int(AS(0, repossess, weak), ERR(RIGHTS), "repossess: without READ");
	null.now += ANSWER;
	is_int(AS(2, repossess, handle(2, T_ACCOUNT + 1)), ERR(STATE), "repossess: by another");
	take(2, T_FREE, 9);
	is_int(AS(0, demand, VICTIM(2), EXO_TYPE_FRAME, 3), ERR(STATE),
	    "demand: what is asked for already counts");
	is_int(AS(0, demand, VICTIM(2), EXO_TYPE_FRAME, 2), 0, "demand: of a second");
	ok(abort_of(1)->demands == 1 && abort_of(1)->demand_what == EXO_TYPE_FRAME &&
		abort_of(1)->demand_count == 3 && (tenant[1]->disp->pending & EXO_EVENT_DEMAND),
	    "who is asked can read it");
	is_int(world_finish(0, EXO_CALL_env_destroy, world_handle(0, 30), 0), 0, "the one who asked goes");
	ok(!account_of(1)->demander && !account_of(2)->demander && !demands, "and its demands with it");
}

static void test_full(void)
{
	exo_cap_t frames, parent;
	unsigned i;
	int64_t result = 0;

	world_boot(900);
	pool = (exo_cap_t)CALL(0, frame_take, SLOT_FREE, EXO_PFN_ANY, 24);
	pooled = 0;
	parent = world_handle(0, SLOT_ACCOUNT);
	make_tenant(0, parent, 100, 0);
	frames = (exo_cap_t)CALL(0, frame_take, 9, EXO_PFN_ANY, 24);
	for (i = 0; i < EXO_DEMANDS_MAX + 1; i++) { /* accounts that nobody answers for */
		struct exo_cap *to = cap_free_slot(world.env[0], 50 + i);
		exo_pfn_t pfn = frame_find(1);

		CALL(0, account_make, 40 + i, parent, frames, i, EXO_UNLIMITED);
		frame_claim(pfn, NULL);
		frame_table[pfn].account = cap_slot(world.env[0], 40 + i)->object;
		info_frame[pfn].owner = world.env[0]->index;
		world.env[0]->info->frames++;
		account_charge(pfn_to_virt(frame_table[pfn].account), EXO_SHARE_FRAMES, 1);
		cap_fill(to, EXO_TYPE_FRAME, RWX, pfn, 1, 0, NULL, 50 + i);
		CALL(0, cap_derive, world_handle(0, 40 + i), world_handle(0, 30), 40 + i, EXO_RIGHT_READ, 0,
		    0);
		result = AS(0, demand, handle(0, 40 + i), EXO_TYPE_FRAME, 1);
		if (result)
			break;
	}
	ok(result == ERR(FULL) && i == EXO_DEMANDS_MAX, "demand: %u at a time", EXO_DEMANDS_MAX);
	is_int(CALL(0, cap_delete, world_handle(0, 50)), 0, "one is met");
	is_int(account_of(0)->view.credit[0], 1, "it is kept");
	is_int(
	    AS(0, demand, handle(0, 40 + i), EXO_TYPE_FRAME, 1), 0, "and there is room for another demand");
	null.now += 1000 * ANSWER;
	is_int(
	    AS(0, repossess, handle(0, 42)), 1, "a frame of nobody's but in a stranger's table comes back");
	is_int(cap_slot(world.env[0], 52)->type, EXO_TYPE_NONE, "from there");
}

static void test_cooperative(void)
{
	uint32_t free_before;

	world_tenants(600, 100, 10);
	take(1, T_FREE, 60);
	while (AS(2, frame_take, handle(2, T_FREE), EXO_PFN_ANY, 8) > 0 ||
	       AS(2, frame_take, T_FREE, EXO_PFN_ANY, 8) > 0)
		;
	for (unsigned slot = T_FREE + 1; info->frames_free; slot++)
		take(2, slot, 8);
	is_int(AS(0, frame_take, T_FREE, EXO_PFN_ANY, 1), ERR(FULL), "all memory is taken");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 20), 0, "20 are demanded");
	is_int(AS(1, frame_give, handle(1, T_FREE), 15), 15, "15 are given");
	is_int(account_of(0)->view.credit[0], 15, "they are the other's credit");
	is_int(info->frames_promised, 15, "and promised");
	is_int(account_of(1)->view.demand_left, 5, "5 are left");
	is_int(AS(2, frame_take, 60, EXO_PFN_ANY, 1), ERR(FULL), "nobody else can take them");
	is_int(AS(1, frame_take, handle(1, T_FREE), EXO_PFN_ANY, 1), ERR(FULL), "nor who gave them");
	ok(!(tenant[0]->disp->pending & EXO_EVENT_ANSWERED), "the one who asked is not told yet");
	is_int(AS(1, frame_give, handle(1, T_FREE), 7), 7, "7 more");
	ok(tenant[0]->disp->pending & EXO_EVENT_ANSWERED, "it is told");
	ok(!account_of(1)->demander && !abort_of(1)->demand_what && account_of(0)->view.credit[0] == 20,
	    "the demand has ended");
	free_before = info->frames_free;
	is_int(AS(2, frame_take, 60, EXO_PFN_ANY, 8) > 0 && cap(2, 60)->count == 2, 1,
	    "the two beyond are anybody's");
	is_int(take(0, T_FREE, 20) > 0, 1, "the 20 can be taken");
	is_int(free_before - info->frames_free, 22, "all");
	is_int(info->frames_promised, 0, "nothing is promised any more");
	is_int(abort_of(1)->lost, 0, "nobody has lost anything");
}

/* --- force ---------------------------------------------------------------------------------------------- */

/* It holds three capabilities; what goes is said by slots. */
static void test_order(void)
{
	uint32_t low;

	world_tenants(900, 400, 20);
	take(1, 20, 30);
	take(1, 30, 40);
	take(1, 25, 50);
	low = used(1);
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 60), 0, "60 of 120 are demanded");
	is_int(repossess_all(0, 1, NULL), 60, "60 are taken");
	is_int(used(1), low - 60, "it has 60 less");
	ok(cap(1, 30)->type == EXO_TYPE_NONE && cap(1, 25)->count == 30 && cap(1, 20)->count == 30,
	    "those of the highest slots");
	ok(abort_of(1)->lost == 2 && abort_of(1)->loss[0].slot == 30 && abort_of(1)->loss[0].count == 40 &&
		abort_of(1)->loss[1].slot == 25 && abort_of(1)->loss[1].count == 20 &&
		abort_of(1)->loss[1].first == cap(1, 25)->first + 30 &&
		abort_of(1)->loss[1].why == EXO_LOSS_DEMAND &&
		abort_of(1)->loss[1].spilled == EXO_NOT_SPILLED,
	    "each loss is recorded");
	ok(tenant[1]->disp->pending & EXO_EVENT_LOST, "and told");
	is_int(account_of(0)->view.credit[0], 60, "they are kept for who asked");
	is_int(AS(0, repossess, VICTIM(1)), ERR(STATE), "repossess: it has ended");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 41), ERR(STATE),
	    "no more than what is beyond its guarantee");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, used(1) - 20), 0, "all that is");
	is_int(repossess_all(0, 1, NULL), 40, "is taken");
	is_int(used(1), 20, "its guarantee is left");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 1), ERR(STATE), "and stays");
	tenant[1]->disp->abort.demands = 0;
	AS(1, frame_take, 50, EXO_PFN_ANY, 10);
	AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 10);
	is_int(AS(0, repossess, VICTIM(1)), ERR(STATE), "repossess: not before its time");
	tenant[1]->info->ns += info->slice_ns;
	is_int(AS(0, repossess, VICTIM(1)), 10, "or before it has run for a slice");
}

/* Mapped, spilled, shared with another, moved about while the time runs. */
static void test_shared(void)
{
	exo_pfn_t first;
	uint32_t i, bad = 0;
	struct exo_map *map;

	world_tenants(900, 400, 5);
	take(1, 20, 40);
	take(1, T_FREE, 12);
	first = (exo_pfn_t)cap(1, 20)->first;
	AS(1, cap_derive, handle(1, 20), handle(1, T_PEER(3)), 40, RWX, 10, 30);
	AS(2, cap_derive, handle(2, 40), 0, 41, EXO_RIGHT_READ, 25, 5);
	map = (struct exo_map *)tenant[1]->arg;
	*map = (struct exo_map){ WORLD_VA | EXO_MAP_READ, handle(1, 20), 0, 40, 0 };
	is_int(AS(1, space_write, handle(1, T_SPACE), 0, 1), 1, "40 pages are mapped");
	map = (struct exo_map *)tenant[2]->arg;
	*map = (struct exo_map){ (WORLD_VA + 64 * 4096) | EXO_MAP_READ, handle(2, 40), 0, 30, 0 };
	is_int(AS(2, space_write, handle(2, T_SPACE), 0, 1), 1, "30 through a derived capability");
	for (i = 0; i < 40; i++)
		*(uint64_t *)pfn_to_virt(first + i) = 0x1000 + i;
	tenant[1]->disp->abort.spill = handle(1, T_FREE);
	tenant[1]->disp->abort.spill_next = 2;
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 14), 0, "14 are demanded");
	is_int(repossess_all(0, 1, NULL), 14, "14 are taken");
	ok(cap(1, 20)->count == 26 && cap(2, 40)->count == 16 && cap(2, 41)->type == EXO_TYPE_NONE,
	    "from all that covered them");
	ok(abort_of(2)->lost >= 2 && abort_of(2)->loss[0].slot == 41, "the others are told");
	for (i = 0; i < 14; i++)
		bad += !frame_is_free(first + 26 + i);
	is_int(bad, 0, "they are free");
	bad = 0;
	for (unsigned n = 0; n < abort_of(1)->lost; n++)
		for (i = 0; i < abort_of(1)->loss[n].count && abort_of(1)->loss[n].spilled + i < 12; i++)
			bad += *(uint64_t *)pfn_to_virt(
				   (exo_pfn_t)cap(1, T_FREE)->first + abort_of(1)->loss[n].spilled + i) !=
			       0x1000 + abort_of(1)->loss[n].first + i - first;
	ok(!bad && tenant[1]->disp->abort.spill_next == 12,
	    "what was in them is spilled, as far as there is room");
	is_int(frame_table[first].maps, 1, "the others stay mapped");
	is_int(AS(1, cap_derive, handle(1, 20), 0, 30, RWX, 0, 26) > 0, 1, "derive again");
}

/* All it has is given to another, and its own capabilities deleted. */
static void test_given_away(void)
{
	world_tenants(900, 400, 5);
	take(1, 20, 40);
	AS(1, cap_derive, handle(1, 20), handle(1, T_PEER(3)), 40, RWX, 0, 40);
	AS(1, cap_delete, handle(1, 20));
	take(2, 41, 7);
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 30), 0, "30 are demanded");
	is_int(repossess_all(0, 1, NULL), 30, "30 are taken");
	ok(cap(2, 40)->count == 10 && cap(2, 41)->count == 7, "from where they are");
	/* Several orphans over the same frames. */
	world_tenants(900, 400, 0);
	take(1, 20, 40);
	AS(1, cap_derive, handle(1, 20), handle(1, T_PEER(3)), 40, RWX, 0, 20);
	AS(1, cap_derive, handle(1, 20), handle(1, T_PEER(3)), 41, RWX, 10, 30);
	AS(1, cap_derive, handle(1, 20), 0, 42, RWX, 5, 10);
	AS(1, cap_delete, handle(1, 20));
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 35), 0, "35 are demanded");
	is_int(repossess_all(0, 1, NULL), 35, "35 are taken");
	is_int(used(1), 5, "5 are left");
}

/* While its time runs, and even while force is at work, it moves what it has. */
static void test_moving(void)
{
	unsigned i, n = 0;
	uint32_t sum = 0;
	int64_t result;

	world_tenants(1400, 600, 5);
	for (i = 0; i < 8; i++)
		take(1, 20 + i, 60);
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 400), 0, "400 of 480 are demanded");
	for (i = 0; i < 8; i++)
		AS(1, cap_derive, handle(1, 20 + i), 0, 40 + i, RWX, 0, 0);
	for (i = 0; i < 8; i++)
		AS(1, cap_delete, handle(1, 20 + i));
	null.now += ANSWER;
	do {
		result = AS(0, repossess, VICTIM(1));
		sum += result > 0 ? (uint32_t)result : 0;
		for (i = 0; i < 8; i++) {
			int64_t error = AS(1, cap_derive, handle(1, 40 + i), 0, 50 + i, RWX, 0, 0);

			if (error != ERR(CAP) && error != ERR(BUSY) && error != ERR(RANGE) &&
			    account_of(1)->demander)
				break;
			AS(1, cap_delete, handle(1, 50 + i));
		}
	} while ((result > 0 || result == ERR(AGAIN)) && account_of(1)->demander && ++n < 100 && i == 8);
	is_int(sum, 400, "400 are taken");
	is_int(i, 8, "derive: BUSY while force is at work");
	is_int(used(1), 80, "80 are left");
	is_int(abort_of(1)->lost > 0, 1, "and it knows");
}

/* Objects behind ordinary frames; all memory in page tables; an environment within its guarantee below. */
static void test_objects(void)
{
	unsigned calls, i, tables = 0;
	exo_cap_t inner;

	world_tenants(900, 400, 10);
	take(1, 20, 40);
	take(1, 30, 3);
	is_int(AS(1, space_create, 31, handle(1, 20), 39) > 0, 1, "a space in the last frame");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 20), 0, "20 are demanded");
	is_int(repossess_all(0, 1, NULL), 20, "20 are taken");
	ok(cap(1, 30)->type == EXO_TYPE_NONE && cap(1, 20)->count == 22,
	    "what is ordinary goes, whatever lies behind");
	is_int(cap(1, 31)->type, EXO_TYPE_SPACE, "the space is still there");
	is_int(env_state(tenant[1]) == EXO_ENV_ENDED, 0, "and so is the environment");

	world_tenants(900, 400, 10);
	take(1, 20, 230);
	AS(1, space_create, 31, handle(1, 20), 229);
	for (i = 40; i < 229; i++)
		AS(1, space_table, handle(1, 31), (uint64_t)(i - 40) << 39, EXO_LEVEL_512G, handle(1, 20), i);
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 35), 0, "behind 190 page tables, 35 are demanded");
	is_int(repossess_all(0, 1, NULL), 35, "35 are taken");
	is_int(cap(1, 20)->count, 5, "the capability ends before them");
	is_int(env_state(tenant[1]) == EXO_ENV_ENDED, 0, "nobody has ended");
	world_tenants(900, 400, 10);
	take(1, 20, 120);
	AS(1, space_create, 31, handle(1, 20), 0);
	for (i = 1; i < 120; tables++) {
		uint64_t va = (uint64_t)tables << 39;
		int64_t error = AS(1, space_table, handle(1, 31), va, EXO_LEVEL_512G, handle(1, 20), i++);

		if (!error && i < 120)
			error = AS(1, space_table, handle(1, 31), va, EXO_LEVEL_1G, handle(1, 20), i++);
		if (error)
			break;
	}
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 100), 0, "all is page tables; 100 are demanded");
	is_int(repossess_all(0, 1, &calls), 100, "100 come back");
	ok(tenant[1]->info->cause == EXO_CAUSE_REPOSSESSED, "the environment has ended for it");

	world_tenants(900, 400, 100);
	inner = (exo_cap_t)CALL(0, account_make, 40, world_handle(0, 21), pool, pooled++, EXO_UNLIMITED);
	is_int(share(world_handle(0, 21), inner, 60, 0), 0, "an account below, guaranteed 60 of 100");
	memset(world.env[0]->arg, 0, sizeof(struct exo_env_params));
	is_int(CALL(0, env_create, 41, world_handle(0, SLOT_SPACE), inner, pool, pooled, 0) > 0, 1,
	    "and one in it");
	tenant[3] = pfn_to_virt(cap_slot(world.env[0], 41)->object);
	tenant_account[3] = cap_slot(world.env[0], 40)->object;
	take(3, 60, 55);
	take(1, 10, 80);
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 35), 0, "35 that the two have beyond 100");
	is_int(repossess_all(0, 1, NULL), 35, "are taken");
	ok(used(3) == 55 && used(1) == 100 && cap(1, 10)->count == 45,
	    "not from the one within its guarantee");
}

/* What it has, others have made tables and an environment of; then the owner of frames takes its own back. */
static void test_others_objects(void)
{
	const struct exo_env_info *owed;
	struct exo_env_params *params;
	unsigned i;
	exo_cap_t frames, there;

	world_tenants(900, 400, 0);
	take(1, 20, 24);
	AS(1, cap_derive, handle(1, 20), handle(1, T_PEER(3)), 40, RWX, 0, 24);
	AS(1, cap_delete, handle(1, 20));
	AS(2, space_create, 41, handle(2, 40), 0);
	for (i = 0; i < 20; i++)
		AS(2, space_table, handle(2, 41), (uint64_t)i << 39, EXO_LEVEL_512G, handle(2, 40), 1 + i);
	params = (struct exo_env_params *)tenant[2]->arg;
	memset(params, 0, sizeof(*params));
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 24), 0,
	    "24 are demanded, which are a stranger's tables");
	owed = tenant[1]->info;
	is_int(repossess_all(0, 1, NULL), 23, "all but the root are taken");
	ok(!account_of(1)->demander && owed->cause == EXO_CAUSE_REPOSSESSED &&
		env_state(tenant[2]) != EXO_ENV_ENDED,
	    "the one who owed has ended, the stranger has not");

	world_tenants(900, 400, 0);
	frames = (exo_cap_t)CALL(0, frame_take, 50, EXO_PFN_ANY, 20);
	there = (exo_cap_t)CALL(0, cap_derive, frames, world_handle(0, 31), 40, RWX, 0, 20);
	is_int(AS(1, space_create, 41, there, 0) > 0, 1, "a tenant makes a space of another's frames");
	for (i = 0; i < 10; i++)
		AS(1, space_table, handle(1, 41), (uint64_t)i << 39, EXO_LEVEL_512G, there, 1 + i);
	params = (struct exo_env_params *)tenant[1]->arg;
	memset(params, 0, sizeof(*params));
	is_int(AS(1, env_create, 42, handle(1, 41), 0, there, 12, 0) > 0, 1, "and an environment");
	is_int(CALL(0, frame_reclaim, frames, 0, 0), ERR(INVAL), "reclaim: none");
	is_int(CALL(0, frame_reclaim, frames, 0, EXO_RANGE_MAX + 1), ERR(INVAL), "reclaim: too many");
	is_int(CALL(0, frame_reclaim, frames, 20, 1), ERR(RANGE), "reclaim: outside");
	is_int(CALL(0, frame_reclaim, world_handle(0, SLOT_ENV), 0, 1), ERR(TYPE), "reclaim: no frames");
	is_int(CALL(0, frame_reclaim, frames, 0, 20), ERR(BUSY), "reclaim: another holds them");
	is_int(AS(1, frame_reclaim, there, 0, 20), ERR(STATE), "reclaim: a derived capability");
	is_int(world_finish(0, EXO_CALL_cap_revoke, frames, 0), 0, "revoke");
	is_int(info_frame[cap_slot(world.env[0], 50)->first + 1].state, EXO_FRAME_TABLE,
	    "a table is a table still");
	while (CALL(0, frame_reclaim, frames, 0, 20) == ERR(AGAIN))
		;
	is_int(null.result, ERR(BUSY), "reclaim: the root is named by a capability");
	is_int(AS(1, cap_delete, handle(1, 41)), 0, "which goes");
	is_int(CALL(0, frame_reclaim, frames, 0, 20), 0, "then all is ordinary");
	is_int(AS(1, space_create, 41, handle(1, 41), 0), ERR(CAP), "a name that is stale");
	is_int(CALL(0, frame_reclaim, world_handle(0, SLOT_SELF), 0, 4), ERR(BUSY), "reclaim: not oneself");
	is_int(world_finish(0, EXO_CALL_cap_delete, frames, 0), 0, "they can be dropped");
}

/* Who has asked and then does nothing does not keep others from asking. */
static void test_lapse(void)
{
	world_tenants(900, 100, 10);
	is_int(share(world_handle(0, SLOT_ACCOUNT), world_handle(0, 22), 50, 0), 0, "a third is due some, too");
	take(1, 20, 80);
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 30), 0, "one asks");
	null.now += 2 * ANSWER - 1;
	is_int(AS(2, demand, handle(2, T_ACCOUNT + 1), EXO_TYPE_FRAME, 40), ERR(BUSY), "another cannot");
	null.now += 1;
	is_int(AS(2, demand, handle(2, T_ACCOUNT + 1), EXO_TYPE_FRAME, 40), 0, "until twice the time has passed");
	is_int(AS(0, repossess, VICTIM(1)), ERR(STATE), "then the first has no demand any more");
	is_int(repossess_all(2, 1, NULL), 40, "and the other takes 40");
	ok(account_of(2)->view.credit[0] == 40 && !account_of(0)->due[0], "which are its own");
}

static void test_slices(void)
{
	world_tenants(600, 0, 0);
	is_int(AS(1, slice_take, 20, 0, 0, 64) > 0, 1, "one has all slices");
	AS(1, cap_derive, handle(1, 20), handle(1, T_PEER(3)), 40, EXO_RIGHT_READ | EXO_RIGHT_BIND, 50, 14);
	is_int(AS(0, slice_take, T_FREE, 0, 0, 1), ERR(BUSY), "none is free");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_SLICE, 8), 0, "8 are demanded");
	is_int(repossess_all(0, 1, NULL), 8, "and taken");
	ok(cap(1, 20)->count == 56 && cap(2, 40)->count == 6, "the last ones");
	is_int(AS(2, slice_take, 50, 0, 60, 1), ERR(FULL), "they are kept for who asked");
	is_int(AS(0, slice_take, T_FREE, 0, 56, 8) > 0, 1, "who can take them");
	is_int(account_of(0)->view.credit[1] + slices_promised, 0, "then nothing is promised");
	is_int(AS(0, demand, VICTIM(1), EXO_TYPE_SLICE, 1), ERR(STATE), "no more is due");
}

static void test_checker(void)
{
	struct account *one;

	world_tenants(600, 100, 10);
	take(1, T_FREE, 60);
	AS(0, demand, VICTIM(1), EXO_TYPE_FRAME, 20);
	AS(1, frame_give, handle(1, T_FREE), 15);
	one = account_of(0);
	ok(!world_check(), "the world is whole");
	one->view.credit[0]--;
	ok(world_check(), "the checker sees a lost credit");
	one->view.credit[0]++;
	one->due[0]++;
	ok(world_check(), "the checker sees a wrong sum of what is due");
	one->due[0]--;
	one->view.share[0].guaranteed++;
	ok(world_check(), "the checker sees a guarantee that nobody has promised");
	one->view.share[0].guaranteed--;
	one->view.share[1].used++;
	ok(world_check(), "the checker sees a wrong charge of slices");
	one->view.share[1].used--;
	info->frames_promised++;
	ok(world_check(), "the checker sees a wrong promise");
	info->frames_promised--;
	demands++;
	ok(world_check(), "the checker sees a demand that is none");
	demands--;
	one->demand_on[0] = 0;
	ok(world_check(), "the checker sees a demand that nobody has made");
	one->demand_on[0] = account_of(1)->self;
	ok(!world_check(), "the world is whole again");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_share();
	test_demand_errors();
	test_full();
	test_cooperative();
	test_order();
	test_shared();
	test_given_away();
	test_moving();
	test_objects();
	test_others_objects();
	test_lapse();
	test_slices();
	test_checker();
	return done();
}
