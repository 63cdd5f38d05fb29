/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split capabilities: random calls of three environments against a naive model: take, derive, split into the own or
 * another's table, give up, end, map, unmap, change rights, delete, revoke, devices that pin frames; on two CPUs.
 *
 * The model keeps what each capability covers, as a set of frames, and what each page maps, through which. It has no
 * records, rings or counts: who holds a frame is found by asking all. After each call kernel and model agree on all
 * capabilities, pages and counts, the kernel's invariants hold, no TLB allows more than the tables, and the promise is
 * kept: what one sibling may write, no other one holds or maps.
 */
#include <stdlib.h>
#include <string.h>
#include "exo/spaces.h"
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define R	EXO_MAP_READ
#define W	EXO_MAP_WRITE
#define X	EXO_MAP_EXEC
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)

#define SLOTS		10	/* of each environment, from SLOT_FREE on */
#define CAPS		(WORLD_ENVS * SLOTS)
#define RECORDS		40	/* slot with frames for records */
#define PAGES		24	/* of each environment */
#define FRAMES		2048
#define NOBODY		(-1)

struct cap {
	bool there, split;
	exo_pfn_t first;
	uint32_t count;
	uint32_t held;		/* a bit a frame */
	unsigned rights;
	int parent;
};

struct page {
	exo_pfn_t pfn;		/* 0: not mapped */
	unsigned flags, may;
	int through;
	bool used;		/* accessed: a TLB may have it */
};

static struct cap caps[CAPS];
static struct page pages[WORLD_ENVS][PAGES];
static uint64_t tlb[2][WORLD_ENVS][PAGES];
static bool left[FRAMES], pinned[FRAMES];

/* --- the model ------------------------------------------------------------------------------------------ */

static unsigned env_of(int c)
{
	return (unsigned)c / SLOTS;
}

static uint32_t slot_of(int c)
{
	return SLOT_FREE + (uint32_t)c % SLOTS;
}

static exo_cap_t handle_of(int c)
{
	return world_handle(env_of(c), slot_of(c));
}

static bool covers(int c, exo_pfn_t pfn)
{
	return caps[c].there && pfn - caps[c].first < caps[c].count &&
	    (caps[c].held >> (pfn - caps[c].first) & 1);
}

static bool covers_all(int c, exo_pfn_t pfn, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (!covers(c, pfn + i))
			return false;
	return true;
}

static unsigned holds(exo_pfn_t pfn)
{
	unsigned n = 0;
	int c;

	for (c = 0; c < CAPS; c++)
		n += covers(c, pfn);
	return n;
}

static unsigned maps(exo_pfn_t pfn)
{
	unsigned n = 0, e, i;

	for (e = 0; e < WORLD_ENVS; e++)
		for (i = 0; i < PAGES; i++)
			n += pages[e][i].pfn == pfn;
	return n;
}

static bool is_above(int c, int above)
{
	for (; c != NOBODY; c = caps[c].parent)
		if (c == above)
			return true;
	return false;
}

static bool has_child(int c)
{
	int i;

	for (i = 0; i < CAPS; i++)
		if (caps[i].there && caps[i].parent == c)
			return true;
	return false;
}

/* Does nobody else hold it, and perhaps map it, but for one page? */
static bool alone(int c, exo_pfn_t pfn, const struct page *but)
{
	int i;

	for (i = 0; i < CAPS; i++)
		if (covers(i, pfn) && !is_above(c, i))
			return false;
	if (pinned[pfn])
		return false;
	return covers(c, pfn) && (!left[pfn] || maps(pfn) == (but && but->pfn == pfn));
}

/* Frames that nothing maps any more were not left by anybody. */
static void settle(void)
{
	exo_pfn_t pfn;

	for (pfn = 0; pfn < FRAMES; pfn++)
		left[pfn] = left[pfn] && maps(pfn);
}

static void forget(int c)
{
	unsigned e, i;
	int child;

	for (e = 0; e < WORLD_ENVS; e++)
		for (i = 0; i < PAGES; i++)
			if (pages[e][i].pfn && pages[e][i].through == c)
				pages[e][i] = (struct page){ 0 };
	for (child = 0; child < CAPS; child++)
		if (caps[child].there && caps[child].parent == c)
			caps[child].parent = caps[c].parent;
	caps[c] = (struct cap){ 0 };
}

/* --- what must hold ------------------------------------------------------------------------------------- */

static uint64_t *entry_of(unsigned e, unsigned page)
{
	return space_walk(world.env[e]->root, WORLD_VA + page * 4096ULL, 1);
}

static const char *check_cap_of(int c)
{
	const struct exo_cap *cap = cap_slot(world.env[env_of(c)], slot_of(c));
	uint32_t i;

	if (!caps[c].there)
		return cap->type ? "a capability that should be gone" : NULL;
	if (cap->type != EXO_TYPE_FRAME || cap->first != caps[c].first || cap->count != caps[c].count ||
	    cap->rights != caps[c].rights)
		return "a capability is another";
	if (cap_is_split(cap) != caps[c].split)
		return "split or not";
	for (i = 0; i < caps[c].count; i++)
		if (split_holds(cap, caps[c].first + i, 1) != (caps[c].held >> i & 1))
			return "it holds other frames";
	return NULL;
}

static const char *check_page(unsigned e, unsigned i)
{
	const struct page *page = &pages[e][i];
	uint64_t entry = *entry_of(e, i);

	if (!page->pfn)
		return entry ? "a page is mapped" : NULL;
	if (entry_frame(entry) != page->pfn)
		return "a page maps another frame, or none";
	if (!(entry & EXO_PTE_WRITE) != !(page->flags & W) || !(entry & EXO_PTE_NX) != !!(page->flags & X))
		return "a page has other rights";
	return !(entry & EXO_PTE_MAY_WRITE) != !(page->may & W) ? "a page may get other rights" : NULL;
}

/* The promise: what is written through one sibling, no other one holds or maps. */
static const char *check_promise(unsigned e, unsigned i)
{
	const struct page *page = &pages[e][i], *other;
	unsigned f, j;
	int c;

	if (!page->pfn || !(page->may & W) || !caps[page->through].split)
		return NULL;
	for (c = 0; c < CAPS; c++)
		if (covers(c, page->pfn) && caps[c].split && c != page->through)
			return "one writes what another one holds";
	for (f = 0; f < WORLD_ENVS; f++)
		for (j = 0; j < PAGES; j++) {
			other = &pages[f][j];
			if (other->pfn == page->pfn && other->through != page->through &&
			    !is_above(page->through, other->through))
				return "one writes what another one maps";
		}
	return NULL;
}

static const char *check_frame_of(exo_pfn_t pfn)
{
	const struct frame *frame = &frame_table[pfn];
	bool kept = holds(pfn) || maps(pfn) || pinned[pfn];

	if (info_frame[pfn].state != EXO_FRAME_OWNED && info_frame[pfn].state != EXO_FRAME_FREE)
		return NULL;
	if (info_frame[pfn].state == EXO_FRAME_FREE)
		return kept ? "a frame is free too early" : NULL;
	if (!kept && frame->account && !info_frame[pfn].holds)
		return "a frame is not free";
	if (kept && (info_frame[pfn].holds != holds(pfn) || (frame->maps & ~FRAME_LEFT) != maps(pfn)))
		return "a frame's counts";
	return kept && !(frame->maps & FRAME_LEFT) != !left[pfn] ? "whether a frame was left" : NULL;
}

static const char *check_tlbs(void)
{
	unsigned c, e, i;

	for (c = 0; c < 2; c++)
		for (e = 0; e < WORLD_ENVS; e++)
			for (i = 0; i < PAGES; i++)
				if (tlb[c][e][i] && null.cpus[c].space == world.env[e]->root &&
				    (tlb[c][e][i] ^ *entry_of(e, i)) & (EXO_PTE_FRAME | PTE_RIGHTS))
					return "a TLB has an old entry";
	return NULL;
}

static const char *check(void)
{
	const char *what = NULL;
	exo_pfn_t pfn;
	unsigned e, i;
	int c;

	for (c = 0; c < CAPS && !what; c++)
		what = check_cap_of(c);
	for (e = 0; e < WORLD_ENVS; e++)
		for (i = 0; i < PAGES && !what; i++) {
			what = check_page(e, i);
			if (!what)
				what = check_promise(e, i);
		}
	for (pfn = 1; pfn < info->frames_total && !what; pfn++)
		what = check_frame_of(pfn);
	return what ? what : check_tlbs();
}

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
		if (frame_retypable((exo_pfn_t)cap->first + i) && frame_retypable((exo_pfn_t)cap->first + i + 1))
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
