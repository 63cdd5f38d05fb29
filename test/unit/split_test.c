/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split capabilities where it takes many calls or others interfere: thousands of entries, searches that are disturbed,
 * large pages, frames that devices use, repossession, death. Random operations on small ones: split_random.c.
 */
#include "exo/spaces.h"
#include "test/unit/tenants.h"

#define R	EXO_MAP_READ
#define W	EXO_MAP_WRITE
#define SPACE	world_handle(0, SLOT_SPACE)
#define MANY	1200
#define SOURCE	10
#define TWIN	11
#define RECORDS	12
#define BIG	512		/* large pages: frames from here on */

static int64_t write_pages(unsigned who, uint64_t va_flags, exo_cap_t cap, uint32_t first, uint32_t count)
{
	*(struct exo_map *)world.env[who]->arg = (struct exo_map){ va_flags, cap, first, count, 0 };
	return CALL(who, space_write, world_handle(who, SLOT_SPACE), 0, 1);
}

/* An environment's frames from pfn on, in a slot. */
static exo_cap_t take_frames(unsigned who, uint32_t slot, uint64_t pfn, uint32_t count)
{
	int64_t cap = CALL(who, frame_take, slot, pfn, count < 24 ? count : 24);
	uint32_t have;

	for (have = 24; have < count; have += 24)
		CALL(who, frame_take, cap, EXO_PFN_ANY, count - have < 24 ? count - have : 24);
	return (exo_cap_t)cap;
}

static unsigned writable(unsigned who, unsigned pages)
{
	unsigned i, n = 0;

	for (i = 0; i < pages; i++)
		n += (*space_walk(world.env[who]->root, WORLD_VA + i * 4096ULL, 1) &
		    (EXO_PTE_WRITE | EXO_PTE_MAY_WRITE)) != 0;
	return n;
}

/* --- many entries --------------------------------------------------------------------------------------- */

static void map_many(exo_cap_t cap, exo_cap_t tables)
{
	unsigned i, good = 0;

	CALL(0, space_table, SPACE, WORLD_VA + LARGE_BYTES, EXO_LEVEL_PAGES, tables, 0);
	CALL(0, space_table, SPACE, WORLD_VA + 2 * LARGE_BYTES, EXO_LEVEL_PAGES, tables, 3);
	for (i = 0; i < MANY; i += 100)
		good += write_pages(0, (WORLD_VA + i * 4096ULL) | R | W, cap, i, 100) == 1;
	is_int(good, MANY / 100, "many pages");
	is_int(writable(0, MANY), MANY, "all writable");
}

static void test_many(bool disturbed)
{
	exo_cap_t source, records, tables;
	unsigned calls = 0, most = 0, before = MANY, now;
	struct exo_cap *cap;
	int64_t result;

	world_boot(2000);
	source = take_frames(0, SOURCE, EXO_PFN_ANY, MANY);
	records = take_frames(0, RECORDS, EXO_PFN_ANY, 4);
	tables = take_frames(0, RECORDS + 1, EXO_PFN_ANY, 6);
	map_many(source, tables);
	cap = cap_slot(world.env[0], SOURCE);
	for (;;) {
		result = CALL(0, cap_split, source, 0, TWIN, records, 0);
		now = writable(0, MANY);
		if (before - now > most)
			most = before - now;
		before = now;
		if (result != ERR(AGAIN) || ++calls > 100)
			break;
		if (disturbed && calls % 2)
			space_search_anew(cap);		/* as another search does that has the same marker */
		write_pages(0, WORLD_VA + calls * 4096ULL, 0, 0, 1);
		if (write_pages(0, (WORLD_VA + (calls + 200) * 4096ULL) | R | W, source, calls, 1) != ERR(RIGHTS) ||
		    write_pages(0, (WORLD_VA + (calls + 200) * 4096ULL) | R, source, calls, 1) != 1)
			calls = 100;
	}
	ok(result == (int64_t)world_handle(0, TWIN), "split in %u calls, at most %u entries each", calls + 1, most);
	ok(calls >= 2 && calls < 20 && most <= 320, "bounded");
	is_int(writable(0, MANY), 0, disturbed ? "nothing is writable, though the search was disturbed" :
	    "nothing is writable then");
	is_int(write_pages(0, WORLD_VA | R | W, source, 7, 1), ERR(RIGHTS), "not before the sibling has all");
	for (calls = 0; cap_slot(world.env[0], TWIN)->count < MANY; calls++)
		if (CALL(0, cap_split, source, 0, world_handle(0, TWIN), 0, 0) <= 0)
			break;
	is_int(calls, (MANY - 1) / EXO_RANGE_MAX, "it gets its frames in steps");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, TWIN), 0), 0, "it goes");
	is_int(world_finish(0, EXO_CALL_split_end, source, 0), 0, "and the source is whole again");
	is_int(write_pages(0, WORLD_VA | R | W, source, 0, 100), 1, "and maps writable");
}

/* Left off in the middle: it ends as if nothing had been. */
static void test_abandoned(void)
{
	exo_cap_t source, records, tables;

	world_boot(2000);
	source = take_frames(0, SOURCE, EXO_PFN_ANY, MANY);
	records = take_frames(0, RECORDS, EXO_PFN_ANY, 4);
	tables = take_frames(0, RECORDS + 1, EXO_PFN_ANY, 6);
	map_many(source, tables);
	is_int(CALL(0, cap_split, source, 0, TWIN, records, 0), ERR(AGAIN), "begun");
	ok(cap_slot(world.env[0], SOURCE)->rights & EXO_RIGHT_RESTORE, "it cannot write any more");
	is_int(world_finish(0, EXO_CALL_split_end, source, 0), 0, "and ended");
	is_int(write_pages(0, WORLD_VA | R | W, source, 0, 100), 1, "it can");
	is_int(CALL(0, cap_split, source, 0, TWIN, records, 0), ERR(AGAIN), "begun again");
	is_int(world_finish(0, EXO_CALL_cap_delete, source, 0), 0, "and deleted");
	is_int(info_frame[cap_slot(world.env[0], RECORDS)->first].state, EXO_FRAME_OWNED, "its record is memory");
}

/* A sibling of all that a capability holds, in slot TWIN + n: how many calls the first of its frames took. */
static unsigned split_all(exo_cap_t source, unsigned n, exo_cap_t records, uint32_t first)
{
	const struct exo_cap *from = cap_slot(world.env[0], exo_cap_slot(source)), *to = cap_slot(world.env[0], TWIN + n);
	unsigned calls = 1;

	while (CALL(0, cap_split, source, 0, TWIN + n, records, first) == ERR(AGAIN) && calls < 100)
		calls++;
	while (to->count < from->count && CALL(0, cap_split, source, 0, world_handle(0, TWIN + n), 0, 0) > 0)
		;
	return calls;
}

/* How many frames two capabilities do not both hold or both not. */
static unsigned differ(const struct exo_cap *one, const struct exo_cap *other)
{
	unsigned i, n = one->count != other->count;

	for (i = 0; i < one->count; i++)
		n += split_holds(one, (exo_pfn_t)one->first + i, 1) != split_holds(other, (exo_pfn_t)one->first + i, 1);
	return n;
}

/* Splitting again costs what was written in between, and hands on what there is left, whatever the gaps. */
static void test_again(void)
{
	static const uint32_t gaps[][2] = { { 0, 1 }, { 3, 67 }, { 128, 64 }, { 193, 62 }, { 300, 256 }, { 639, 2 }, { MANY - 1, 1 } };
	exo_cap_t source, records, tables, twin = world_handle(0, TWIN);
	struct exo_cap *cap, *sibling;
	unsigned i, given = 0;

	world_boot(2000);
	source = take_frames(0, SOURCE, EXO_PFN_ANY, MANY);
	records = take_frames(0, RECORDS + 6, EXO_PFN_ANY, 8);
	tables = take_frames(0, RECORDS + 7, EXO_PFN_ANY, 6);
	map_many(source, tables);
	cap = cap_slot(world.env[0], SOURCE);
	sibling = cap_slot(world.env[0], TWIN);
	ok(split_all(source, 0, records, 0) > 2, "the first split lowers all entries, in many calls");
	is_int(split_of(cap)->raised, 0, "none is counted then");
	for (i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++)
		given += CALL(0, split_give, twin, gaps[i][0], gaps[i][1]) == gaps[i][1];
	is_int(given, i, "the sibling gives up some");
	is_int(write_pages(0, (WORLD_VA + 130 * 4096ULL) | R | W, source, 130, 1), 1, "one is written in place");
	is_int(write_pages(0, (WORLD_VA + 131 * 4096ULL) | R | W, source, 131, 1), 1, "and another");
	is_int(write_pages(0, (WORLD_VA + 131 * 4096ULL), 0, 0, 1), 1, "which is unmapped again");
	is_int(write_pages(0, (WORLD_VA + 2 * 4096ULL) | R | W, source, 2, 1), ERR(RIGHTS), "one that is shared is not");
	is_int(split_of(cap)->raised, 2, "two are counted");
	split_all(source, 1, records, 2);
	is_int(split_of(cap)->raised, 0, "the second one searches to the end, since one is not found,");
	is_int(writable(0, MANY), 0, "and lowers that");
	is_int(differ(cap, cap_slot(world.env[0], TWIN + 1)), 0, "its sibling has all");
	is_int(split_all(source, 2, records, 3), 1, "the third one finds nothing to do");
	is_int(split_all(twin, 3, records, 4), 1, "the first sibling is split");
	is_int(differ(sibling, cap_slot(world.env[0], TWIN + 3)), 0, "into one that has what it had left");
	for (i = 0; i < 4; i++)
		is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, TWIN + i), 0), 0, "it goes");
	for (i = 0; i < MANY; i += 100)
		write_pages(0, WORLD_VA + i * 4096ULL, 0, 0, 100);
	is_int(world_finish(0, EXO_CALL_split_end, source, 0), 0, "and the source is whole again");
	for (i = 0; i < MANY; i += 100)
		write_pages(0, (WORLD_VA + i * 4096ULL) | R | W, source, i, 100);
	is_int(writable(0, MANY), MANY, "and maps writable");
	ok(split_all(source, 4, records, 0) > 1 && !writable(0, MANY), "split anew it is searched, whoever counted");
}

/* --- large pages ---------------------------------------------------------------------------------------- */

#define AT	(WORLD_VA + (1ULL << 30))
#define LARGE	(R | EXO_MAP_LARGE)

static void test_large(void)
{
	exo_cap_t source, records, tables, twin;

	world_boot(2400);
	source = take_frames(0, SOURCE, BIG, 2 * BIG);
	records = take_frames(0, RECORDS, EXO_PFN_ANY, 4);
	tables = take_frames(0, RECORDS + 1, EXO_PFN_ANY, 3);
	is_int(CALL(0, space_table, SPACE, AT, EXO_LEVEL_LARGE, tables, 0), 0, "a table");
	is_int(write_pages(0, AT | LARGE | W, source, 0, 2), 1, "two large pages");
	while ((twin = (exo_cap_t)CALL(0, cap_split, source, 0, TWIN, records, 0)) == (exo_cap_t)ERR(AGAIN))
		;
	while (cap_slot(world.env[0], TWIN)->count < 2 * BIG)
		CALL(0, cap_split, source, 0, twin, 0, 0);
	is_int(*space_walk(world.env[0]->root, AT, 2) & (EXO_PTE_WRITE | EXO_PTE_MAY_WRITE), 0, "split: lowered");
	is_int(write_pages(0, AT | LARGE | W, 0, 0, 1), ERR(RIGHTS), "not made writable again");
	is_int(write_pages(0, AT | LARGE | W, source, 0, 1), ERR(RIGHTS), "nor mapped so");
	is_int(write_pages(0, (AT + 2 * LARGE_BYTES) | LARGE, twin, 0, 2), ERR(INVAL), "through what is split one by one");
	is_int(write_pages(0, (AT + 2 * LARGE_BYTES) | LARGE, twin, 0, 1), 1, "mapped by the sibling");
	CALL(0, split_give, twin, 0, EXO_RANGE_MAX);
	is_int(write_pages(0, AT | LARGE | W, source, 0, 1), ERR(RIGHTS), "half of it is not enough");
	is_int(CALL(0, split_give, twin, EXO_RANGE_MAX, EXO_RANGE_MAX), EXO_RANGE_MAX, "given up, but mapped");
	is_int(write_pages(0, AT | LARGE | W, source, 0, 1), ERR(RIGHTS), "which the sibling still sees");
	is_int(write_pages(0, (AT + 2 * LARGE_BYTES) | EXO_MAP_LARGE, 0, 0, 1), 1, "till it unmaps it");
	is_int(write_pages(0, AT | LARGE | W, source, 0, 1), 1, "then it is written in place");
	is_int(write_pages(0, (AT + LARGE_BYTES) | LARGE | W, source, BIG, 1), ERR(RIGHTS), "the other one is shared");
	is_int(write_pages(0, (AT + 2 * LARGE_BYTES) | LARGE, twin, BIG, 1), 1, "mapped by the sibling");
	is_int(CALL(0, split_give, source, BIG, 2), 2, "the source gives up two frames, which it maps");
	is_int(world_finish(0, EXO_CALL_cap_delete, twin, 0), 0, "the sibling goes");
	ok(info_frame[2 * BIG].state == EXO_FRAME_OWNED && info_frame[2 * BIG].holds == 0, "they are kept by the page");
	is_int(world_finish(0, EXO_CALL_cap_delete, source, 0), 0, "the source goes");
	is_int(info_frame[2 * BIG].state, EXO_FRAME_FREE, "and with its page they are free");
	is_int(frames_left, 0, "no frame is left over");
}

/* --- devices -------------------------------------------------------------------------------------------- */

static void test_pinned(void)
{
	exo_cap_t source, records, twin;
	exo_pfn_t pfn;

	world_boot(600);
	source = take_frames(0, SOURCE, EXO_PFN_ANY, 4);
	records = take_frames(0, RECORDS, EXO_PFN_ANY, 4);
	pfn = (exo_pfn_t)cap_slot(world.env[0], SOURCE)->first;
	frame_pin(pfn + 2);
	is_int(CALL(0, cap_split, source, 0, TWIN, records, 0), ERR(BUSY), "split BUSY: a device uses a frame");
	ok(cap_slot(world.env[0], SOURCE)->rights & W, "nothing has changed");
	frame_unpin(pfn + 2);
	twin = (exo_cap_t)CALL(0, cap_split, source, 0, TWIN, records, 0);
	frame_pin(pfn + 2);
	is_int(CALL(0, split_give, twin, 1, 2), ERR(BUSY), "give BUSY");
	CALL(0, split_give, twin, 0, 2);
	is_int(CALL(0, cap_split, source, 0, TWIN + 5, records, 2), (int64_t)world_handle(0, TWIN + 5),
	    "another sibling, up to the frame in use");
	is_int(cap_slot(world.env[0], TWIN + 5)->count, 2, "of two frames");
	is_int(CALL(0, cap_split, source, 0, world_handle(0, TWIN + 5), 0, 0), ERR(BUSY), "and no more");
	is_int(CALL(0, cap_split, source, 0, world_handle(0, TWIN + 5), 0, 0), ERR(STATE), "which ends it");
	is_int(CALL(0, cap_delete, world_handle(0, TWIN + 5)), 0, "it goes");
	is_int(CALL(0, cap_delete, twin), 0, "and the first one");
	is_int(write_pages(0, WORLD_VA | R | W, source, 2, 1), ERR(RIGHTS), "what a device uses is not written in place");
	is_int(CALL(0, split_end, source), ERR(BUSY), "end BUSY");
	frame_unpin(pfn + 2);
	is_int(write_pages(0, WORLD_VA | R | W, source, 2, 1), 1, "but afterwards");
	is_int(CALL(0, split_end, source), 0, "and ended");
}

/* --- others --------------------------------------------------------------------------------------------- */

static uint32_t held(unsigned i, uint32_t slot)
{
	const struct exo_cap *one = cap(i, slot);
	uint32_t n = 0, k;

	for (k = 0; one->type == EXO_TYPE_FRAME && k < one->count; k++)
		n += split_holds(one, (exo_pfn_t)one->first + k, 1);
	return n;
}

/* Two tenants share what one of them owes: what is taken is taken from both, and what nobody holds counts for nothing. */
static void test_repossess(void)
{
	uint32_t before, sum = 0, calls = 0;
	int64_t result;

	world_tenants(900, 200, 10);
	take(1, T_FREE, 60);
	take(1, T_FREE + 1, 4);
	is_int(AS(1, cap_split, handle(1, T_FREE), handle(1, T_PEER(3)), T_FREE, handle(1, T_FREE + 1), 0),
	    (int64_t)handle(2, T_FREE), "a sibling at another tenant's");
	is_int(AS(1, split_give, handle(1, T_FREE), 50, 10), 10, "one gives up its last ten");
	is_int(AS(2, split_give, handle(2, T_FREE), 20, 10), 10, "the other one ten in the middle");
	before = used(1);
	is_int(AS(0, demand, handle(0, T_ACCOUNT + 1), EXO_TYPE_FRAME, 40), 0, "a demand");
	null.now += ANSWER;
	do {
		result = AS(0, repossess, handle(0, T_ACCOUNT + 1));
		sum += result > 0 ? (uint32_t)result : 0;
	} while ((result == ERR(AGAIN) || result >= 0) && account_of(1)->demander && ++calls < 1000);
	is_int(sum, 40, "is met by force");
	is_int(used(1), before - 40, "exactly");
	ok(held(1, T_FREE) + held(2, T_FREE) >= 20, "what is left is held still: %u and %u", held(1, T_FREE),
	    held(2, T_FREE));
}

static void test_death(void)
{
	int64_t result;

	world_tenants(900, 200, 10);
	take(1, T_FREE, 60);
	take(1, T_FREE + 1, 4);
	AS(1, cap_split, handle(1, T_FREE), handle(1, T_PEER(3)), T_FREE, handle(1, T_FREE + 1), 0);
	is_int(info_frame[cap(1, T_FREE)->first].holds, 2, "shared with another tenant");
	is_int(AS(1, split_end, handle(1, T_FREE)), ERR(BUSY), "end BUSY");
	do
		result = CALL(0, env_destroy, world_handle(0, 32));
	while (result == ERR(AGAIN));
	is_int(result, 0, "which dies");
	is_int(AS(1, split_end, handle(1, T_FREE)), 0, "then it ends");
	AS(1, cap_split, handle(1, T_FREE), 0, T_FREE + 2, handle(1, T_FREE + 1), 0);
	is_int(AS(1, frame_reclaim, handle(1, T_FREE + 1), 1, 1), 0, "the owner of a record takes it back");
	ok(cap(1, T_FREE)->type == EXO_TYPE_NONE && cap(1, T_FREE + 2)->type == EXO_TYPE_FRAME, "and its capability goes");
	is_int(AS(1, split_end, handle(1, T_FREE + 2)), 0, "the other one ends");
}

/* A frame that is a kernel object, mapped to be read, when the last one goes that holds it: freed after both. */
static void test_object(void)
{
	exo_cap_t source, records;
	exo_pfn_t pfn;

	world_boot(600);
	source = take_frames(0, SOURCE, EXO_PFN_ANY, 4);
	records = take_frames(0, RECORDS, EXO_PFN_ANY, 4);
	pfn = (exo_pfn_t)cap_slot(world.env[0], SOURCE)->first;
	ok(CALL(0, account_make, RECORDS + 1, world_handle(0, SLOT_ACCOUNT), source, 0, 5) > 0, "an account in a frame");
	ok(CALL(0, cap_split, source, world_handle(0, SLOT_PEER), TWIN, records, 0) > 0, "which is shared with another");
	is_int(write_pages(0, WORLD_VA | R, source, 0, 1), 1, "and mapped");
	is_int(CALL(0, split_give, source, 0, 1), 1, "and given up");
	cap_slot(world.env[0], SLOT_PEER)->rights |= EXO_RIGHT_CONTROL;
	is_int(world_finish(0, EXO_CALL_env_destroy, world_handle(0, SLOT_PEER), 0), 0, "the other one dies");
	is_int(info_frame[pfn].holds, 0, "nobody holds it");
	is_int(CALL(0, cap_delete, world_handle(0, RECORDS + 1)), 0, "the account goes");
	is_int(info_frame[pfn].state, EXO_FRAME_OWNED, "what is still mapped is not free");
	is_int(write_pages(0, WORLD_VA, 0, 0, 1), 1, "until it is not");
	is_int(info_frame[pfn].state, EXO_FRAME_FREE, "any more");
}

int main(void)
{
	test_many(false);
	test_many(true);
	test_abandoned();
	test_again();
	test_large();
	test_pinned();
	test_repossess();
	test_death();
	test_object();
	return done();
}
