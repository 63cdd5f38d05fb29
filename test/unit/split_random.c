/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split capabilities: random calls of three environments against a naive model: take, derive, split into the own or
 * another's table, give up, end, map, unmap, change rights, delete, revoke, devices that pin frames; on two CPUs.
 *
 * After each call kernel and model (split_model.h) agree on all capabilities, pages and counts, the kernel's invariants hold,
 * no TLB allows more than the tables, and the promise is kept: what one sibling may write, no other one holds or maps.
 */
#include <stdlib.h>
#include "test/unit/split_model.h"

/* --- CPUs ----------------------------------------------------------------------------------------------- */

static void on_tlb(uint64_t va, bool all)
{
	unsigned c = (unsigned)(null.cpu - null.cpus), e, i;

	for (e = 0; e < WORLD_ENVS; e++)
		for (i = 0; i < PAGES; i++)
			if (all || va == WORLD_VA + i * 4096ULL)
				tlb[c][e][i] = 0;
}

/* Each CPU may have loaded any space, and uses some of its pages. */
static void run_somewhere(unsigned who)
{
	unsigned c, e, i;

	for (c = 0; c < 2; c++) {
		null_on(c);
		e = c == 1 ? who : below(WORLD_ENVS);
		if (here.space != world.env[e]->root)
			memset(tlb[c], 0, sizeof(tlb[c]));
		here.current = world.env[e];
		here.space = world.env[e]->root;
		for (i = below(PAGES); i < PAGES && below(8); i++) {
			if (!pages[e][i].pfn)
				continue;
			*entry_of(e, i) |= EXO_PTE_ACCESSED | (pages[e][i].flags & W ? EXO_PTE_DIRTY : 0);
			tlb[c][e][i] = *entry_of(e, i);
		}
	}
}

/* --- steps ---------------------------------------------------------------------------------------------- */

static int any_cap(void)
{
	int c = (int)below(CAPS), i;

	for (i = 0; i < CAPS && !caps[c].there; i++)
		c = (c + 1) % CAPS;
	return c;
}

/* A slot of an environment's table that is free, or one that is not. */
static int any_slot(unsigned e)
{
	int c = (int)(e * SLOTS + below(SLOTS)), i;

	for (i = 0; i < SLOTS && caps[c].there && below(20); i++)
		c = (int)(e * SLOTS) + (c - (int)(e * SLOTS) + 1) % SLOTS;
	return c;
}

static bool step_take(void)
{
	unsigned e = below(WORLD_ENVS), count = 1 + below(16);
	int c = any_slot(e);
	int64_t result;

	run_somewhere(e);
	result = CALL(e, frame_take, slot_of(c), EXO_PFN_ANY, count);
	if (caps[c].there || result == ERR(FULL))
		return result == (caps[c].there ? ERR(SLOT) : ERR(FULL));
	caps[c] = (struct cap){ true, false, (exo_pfn_t)cap_slot(world.env[e], slot_of(c))->first,
		cap_slot(world.env[e], slot_of(c))->count, 0, RWX, NOBODY };
	caps[c].held = (1U << caps[c].count) - 1;
	return result > 0;
}

static bool step_derive(void)
{
	int c = any_cap(), to;
	unsigned e = env_of(c), target = below(2) ? e : (e + 1) % WORLD_ENVS, rights = below(4) ? RWX : below(8);
	uint32_t first, count;
	int64_t result, want = 0;

	if (!caps[c].there)
		return true;
	to = any_slot(target);
	first = below(caps[c].count);
	count = 1 + below(caps[c].count - first);
	run_somewhere(e);
	result = CALL(e, cap_derive, handle_of(c), target == e ? 0 : world_handle(e, SLOT_PEER), slot_of(to), rights,
	    first, count);
	if (rights & ~caps[c].rights)
		want = ERR(RIGHTS);
	else if (caps[c].split)
		want = ERR(STATE);
	else if (result == ERR(DEPTH))
		return true;
	else if (caps[to].there)
		want = ERR(SLOT);
	if (want)
		return result == want;
	caps[to] = (struct cap){ true, false, caps[c].first + first, count, (1U << count) - 1, rights, c };
	return result > 0;
}

/* Two frames in a row for records, by their place in the environment's capability for them. */
static uint32_t record_place(unsigned e)
{
	const struct exo_cap *cap = cap_slot(world.env[e], RECORDS);
	uint32_t i;

	for (i = 0; i + 2 < cap->count; i++)
		if (frames_retypable((exo_pfn_t)cap->first + i, 2))
			break;
	return i;
}

/* What splitting would say, but for what it is given. */
static int64_t split_refused(int c)
{
	exo_pfn_t pfn;
	int i;

	if (!(caps[c].rights & R))
		return ERR(RIGHTS);
	if (!caps[c].split && !(caps[c].rights & W))
		return ERR(RIGHTS);
	if (has_child(c))
		return ERR(STATE);
	for (pfn = caps[c].first; pfn < caps[c].first + caps[c].count; pfn++) {
		if (covers(c, pfn) && pinned[pfn] && !caps[c].split)
			return ERR(BUSY);
		for (i = 0; i < CAPS && !caps[c].split; i++)
			if (covers(i, pfn) && !is_above(c, i))
				return ERR(BUSY);
	}
	return 0;
}

static void model_lower(int c)
{
	unsigned e, i;

	for (e = 0; e < WORLD_ENVS; e++)
		for (i = 0; i < PAGES; i++)
			if (pages[e][i].pfn && pages[e][i].through == c) {
				pages[e][i].flags &= ~(unsigned)W;
				pages[e][i].may &= ~(unsigned)W;
			}
}

static bool step_split(void)
{
	int c = any_cap(), to;
	unsigned e = env_of(c), target = below(2) ? e : (e + 1) % WORLD_ENVS;
	int64_t result, want;
	exo_pfn_t pfn;

	if (!caps[c].there)
		return true;
	to = any_slot(target);
	want = split_refused(c);
	run_somewhere(e);
	result = CALL(e, cap_split, handle_of(c), target == e ? 0 : world_handle(e, SLOT_PEER), slot_of(to),
	    world_handle(e, RECORDS), record_place(e));
	if (!want && caps[to].there)
		want = ERR(SLOT);
	if (want)
		return result == want;
	caps[c].rights = (caps[c].rights & (R | X)) | EXO_RIGHT_RESTORE;
	caps[c].split = true;
	model_lower(c);
	for (pfn = caps[c].first; pfn < caps[c].first + caps[c].count; pfn++)
		if (covers(c, pfn) && pinned[pfn])
			break;
	if (pfn == caps[c].first)
		return result == ERR(BUSY);
	caps[to] = caps[c];
	caps[to].count = pfn - caps[c].first;
	caps[to].held &= (1U << caps[to].count) - 1;
	if (result != (int64_t)handle_of(to) || caps[to].count == caps[c].count)
		return result == (int64_t)handle_of(to);
	return CALL(e, cap_split, handle_of(c), target == e ? 0 : world_handle(e, SLOT_PEER), result, 0, 0) == ERR(BUSY);
}

static bool step_give(void)
{
	int c = any_cap();
	uint32_t first, count, i;
	int64_t result, want;
	exo_pfn_t pfn;

	if (!caps[c].there)
		return true;
	first = below(caps[c].count);
	count = 1 + below(3);
	pfn = caps[c].first + first;
	want = !caps[c].split || !(caps[c].rights & R) ? ERR(RIGHTS) : !covers_all(c, pfn, count) ? ERR(RANGE) :
	    (int64_t)count;
	for (i = 0; i < count && want > 0; i++)
		if (pinned[pfn + i])
			want = ERR(BUSY);
	run_somewhere(env_of(c));
	result = CALL(env_of(c), split_give, handle_of(c), first, count);
	if (result != want || want < 0)
		return result == want;
	for (i = 0; i < count; i++) {
		left[pfn + i] = left[pfn + i] || maps(pfn + i);
		caps[c].held &= ~(1U << (first + i));
	}
	return true;
}

/* One that could end, if there is any and often. */
static int any_alone(void)
{
	int c = any_cap(), i;
	exo_pfn_t pfn;

	for (i = 0; i < CAPS && below(8); i++, c = (c + 1) % CAPS) {
		for (pfn = caps[c].first; caps[c].split && pfn < caps[c].first + caps[c].count; pfn++)
			if (!alone(c, pfn, NULL))
				break;
		if (caps[c].split && pfn == caps[c].first + caps[c].count)
			break;
	}
	return c;
}

static bool step_end(void)
{
	int c = any_alone();
	int64_t result, want = 0;
	exo_pfn_t pfn;

	if (!caps[c].there)
		return true;
	if (!caps[c].split || !(caps[c].rights & R))
		want = ERR(RIGHTS);
	for (pfn = caps[c].first; pfn < caps[c].first + caps[c].count && !want; pfn++)
		if (!covers(c, pfn))
			want = ERR(RANGE);
		else if (!alone(c, pfn, NULL) || left[pfn])
			want = ERR(BUSY);
	run_somewhere(env_of(c));
	result = world_finish(env_of(c), EXO_CALL_split_end, handle_of(c), 0);
	if (!want) {
		caps[c].split = false;
		caps[c].rights = (caps[c].rights & (R | X)) | W;
	}
	return result == want;
}

static unsigned any_flags(void)
{
	static const unsigned flags[] = { 0, R, R | W, R | W, R | X };

	return flags[below(5)];
}

/* What mapping some pages would say. */
static int64_t map_refused(int c, unsigned e, unsigned page, uint32_t first, uint32_t count, unsigned flags, bool *write)
{
	exo_pfn_t pfn = caps[c].first + first;
	uint32_t i;

	*write = caps[c].rights & W;
	if (flags & ~caps[c].rights & (unsigned)~(caps[c].split ? W : 0))
		return ERR(RIGHTS);
	if (first + count > caps[c].count || !covers_all(c, pfn, count))
		return ERR(RANGE);
	if (caps[c].split)
		*write = true;
	for (i = 0; i < count && caps[c].split; i++)
		*write = *write && alone(c, pfn + i, count == 1 ? &pages[e][page] : NULL);
	return flags & W && !*write ? ERR(RIGHTS) : 0;
}

static bool step_map(void)
{
	int c = any_cap();
	unsigned e = env_of(c), page = below(PAGES), flags = any_flags(), space = below(4) ? e : (e + 1) % WORLD_ENVS, i;
	uint32_t first, count = below(3) ? 1 : 1 + below(4);
	struct exo_map *map = (struct exo_map *)(world.env[e]->arg + 64);
	int64_t result, want = 1;
	bool write = false;

	if (!caps[c].there || page + count > PAGES)
		return true;
	(void)space;
	first = below(caps[c].count);
	if (caps[c].split && pages[e][page].pfn && below(3) && pages[e][page].pfn - caps[c].first < caps[c].count) {
		first = pages[e][page].pfn - caps[c].first;
		flags = R | W;
		count = 1;
	}
	*map = (struct exo_map){ (WORLD_VA + page * 4096ULL) | flags, flags ? handle_of(c) : 0, first, count, 0 };
	if (flags) {
		want = map_refused(c, e, page, first, count, flags, &write);
		if (!want)
			want = 1;
	}
	run_somewhere(e);
	result = CALL(e, space_write, world_handle(e, SLOT_SPACE), 64, 1);
	if (result != want || want < 0)
		return result == want;
	for (i = 0; i < count; i++) {
		pages[e][page + i].pfn = 0;
		settle();
		pages[e][page + i] = flags ? (struct page){ caps[c].first + first + i, flags,
			(caps[c].rights & (R | X)) | (write ? W : 0), c, false } : (struct page){ 0 };
		if (flags && write && caps[c].split)
			left[caps[c].first + first + i] = false;
	}
	return true;
}

static bool step_protect(void)
{
	unsigned e = below(WORLD_ENVS), page = below(PAGES), flags = R | (below(2) ? W : 0);
	struct exo_map *map = (struct exo_map *)world.env[e]->arg;
	int64_t result, want = 1;

	*map = (struct exo_map){ (WORLD_VA + page * 4096ULL) | flags, 0, 0, 1, 0 };
	if (pages[e][page].pfn && flags & W & ~pages[e][page].may)
		want = ERR(RIGHTS);
	run_somewhere(e);
	result = CALL(e, space_write, world_handle(e, SLOT_SPACE), 0, 1);
	if (want == 1 && pages[e][page].pfn)
		pages[e][page].flags = flags;
	return result == want;
}

static bool step_delete(void)
{
	int c = any_cap(), i;
	bool revoke = below(3) == 0;

	if (!caps[c].there)
		return true;
	run_somewhere(env_of(c));
	if (world_finish(env_of(c), revoke ? EXO_CALL_cap_revoke : EXO_CALL_cap_delete, handle_of(c), 0))
		return false;
	if (!revoke) {
		forget(c);
		return true;
	}
	for (i = 0; i < CAPS; i++)
		if (caps[i].there && i != c && is_above(i, c))
			caps[i].count = 0, caps[i].rights = 0xffff;
	for (i = 0; i < CAPS; i++)
		if (caps[i].there && caps[i].rights == 0xffff)
			forget(i);
	return true;
}

/* A device begins to use a frame, or has done with it. */
static bool step_pin(void)
{
	int c = any_cap();
	exo_pfn_t pfn;

	for (pfn = 1; pfn < info->frames_total; pfn++)
		if (pinned[pfn] && below(3)) {
			pinned[pfn] = false;
			frame_unpin(pfn);
		}
	pfn = caps[c].first;
	if (below(3) == 0 && caps[c].there && covers(c, pfn) && !pinned[pfn]) {
		pinned[pfn] = true;
		frame_pin(pfn);
	}
	return true;
}

/* --- running -------------------------------------------------------------------------------------------- */

static void prepare(void)
{
	unsigned e;

	world_boot_cpus(FRAMES - 1000, 2);
	memset(caps, 0, sizeof(caps));
	memset(pages, 0, sizeof(pages));
	memset(tlb, 0, sizeof(tlb));
	memset(left, 0, sizeof(left));
	memset(pinned, 0, sizeof(pinned));
	for (e = 0; e < WORLD_ENVS; e++) {
		CALL(e, frame_take, RECORDS, EXO_PFN_ANY, 24);
		CALL(e, frame_take, world_handle(e, RECORDS), EXO_PFN_ANY, 24);
	}
	null.on_tlb = on_tlb;
}

static const struct {
	const char *name;
	bool (*step)(void);
	unsigned weight;
} steps[] = {
	{ "take", step_take, 4 }, { "derive", step_derive, 4 }, { "split", step_split, 3 }, { "give", step_give, 5 },
	{ "end", step_end, 2 }, { "map", step_map, 12 }, { "protect", step_protect, 2 }, { "delete", step_delete, 4 },
	{ "pin", step_pin, 2 },
};
enum { SPLIT = 2, GIVE, END };

static unsigned draw(void)
{
	unsigned sum = 0, i, at;

	for (i = 0; i < COUNT_OF(steps); i++)
		sum += steps[i].weight;
	at = below(sum);
	for (i = 0; at >= steps[i].weight; i++)
		at -= steps[i].weight;
	return i;
}

static void test_random(unsigned count)
{
	unsigned done[COUNT_OF(steps)] = { 0 }, i, which = 0;
	const char *what = NULL;
	bool good = true;

	prepare();
	for (i = 0; i < count && good && !what; i++) {
		which = draw();
		null.result = -1000;
		good = steps[which].step();
		done[which] += null.result >= 0;
		settle();
		what = check();
		if (!what)
			what = world_check();
	}
	ok(good && !what, "%u random steps agree with the model and keep the promise", count);
	if (!good || what)
		printf("# step %u, %s: result %lld; %s\n", i, steps[which].name, (long long)null.result, what ? what : "");
	for (i = 0; i < COUNT_OF(steps); i++)
		printf("# %s: %u\n", steps[i].name, done[i]);
	ok(done[SPLIT] > count / 60 && done[GIVE] > count / 80 && done[END] > count / 400, "and much was done");
	null.on_tlb = NULL;
	null_on(0);
}

/* All goes: as many frames as before. */
static void test_end(void)
{
	uint32_t before, i, e;
	int c;

	prepare();
	before = info->frames_free;
	for (i = 0; i < 300; i++) {
		(void)steps[draw()].step();
		settle();
	}
	for (i = 1; i < info->frames_total; i++)
		if (pinned[i]) {
			pinned[i] = false;
			frame_unpin(i);
		}
	for (c = 0; c < CAPS; c++)
		if (caps[c].there) {
			world_finish(env_of(c), EXO_CALL_cap_delete, handle_of(c), 0);
			forget(c);
		}
	settle();
	for (e = 0, i = 0; e < WORLD_ENVS; e++)
		for (c = 0; c < PAGES; c++)
			i += pages[e][c].pfn != 0;
	ok(!check() && !world_check() && i == 0, "nothing is mapped when all are deleted");
	is_int(info->frames_free, before, "and all frames are free");
	null.on_tlb = NULL;
	null_on(0);
}

/* The checkers see it: a sibling's entry gets its right to write back behind the kernel's back. */
static void test_checker(void)
{
	struct exo_map *map;
	exo_cap_t cap;

	prepare();
	run_somewhere(0);
	cap = (exo_cap_t)CALL(0, frame_take, SLOT_FREE, EXO_PFN_ANY, 4);
	caps[0] = (struct cap){ true, false, (exo_pfn_t)cap_slot(world.env[0], SLOT_FREE)->first, 4, 15, RWX, NOBODY };
	map = (struct exo_map *)world.env[0]->arg;
	*map = (struct exo_map){ WORLD_VA | R | W, cap, 1, 1, 0 };
	CALL(0, space_write, world_handle(0, SLOT_SPACE), 0, 1);
	pages[0][0] = (struct page){ caps[0].first + 1, R | W, RWX, 0, false };
	ok(!check(), "the model agrees");
	ok(CALL(0, cap_split, cap, 0, slot_of(1), world_handle(0, RECORDS), 0) > 0, "split");
	caps[0].split = true;
	caps[0].rights = R | X | EXO_RIGHT_RESTORE;
	caps[1] = caps[0];
	model_lower(0);
	ok(!check(), "and agrees");
	*entry_of(0, 0) |= EXO_PTE_WRITE | EXO_PTE_MAY_WRITE;
	ok(check() && world_check(), "both see a right that came back (%s; %s)", check(), world_check());
	pages[0][0].flags = pages[0][0].may = R | W;
	ok(check(), "and the promise is broken (%s)", check());
	*entry_of(0, 0) &= ~(uint64_t)(EXO_PTE_WRITE | EXO_PTE_MAY_WRITE);
	pages[0][0].flags = pages[0][0].may = R;
	split_of(cap_slot(world.env[0], slot_of(1)))->held[0] = 1;
	ok(check() && world_check(), "and a record that says less (%s; %s)", check(), world_check());
	split_of(cap_slot(world.env[0], slot_of(1)))->held[0] = 15;
	null.on_tlb = NULL;
	null_on(0);
}

int main(void)
{
	test_checker();
	test_end();
	test_random(world_steps(6000));
	return done();
}
