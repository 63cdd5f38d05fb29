/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frame allocator of a program. See frame.h.
 *
 * F1 runs[0..run_count) are disjoint; each is all that its capability covers
 * F2 [fresh, fresh_end) lies in the last run and was never handed out
 * F3 a set bit of the map means: in one of the runs, handed out once, put back since; `recycled` counts them
 * F4 reserved <= frame_unused()
 * F5 busy != 0 while a thread is between two states of the tables: an upcall gives no frames back then
 *
 * What was taken by force is seen by comparing each run with its capability (frame_resync): the kernel takes
 * from a capability's last frame down. The map's first page lies in the first run, whose slot is the lowest.
 *
 * The tables lie in the low 2 MiB, whose page tables every creator links: runs beyond RUNS_STATIC at
 * META_RUNS, the map (a bit per frame of the machine) at META_MAP. Their pages are mapped when first needed,
 * with frames of the allocator itself; the map's by the very frame that is put back.
 */
#include "libos/core/frame.h"
#include "libos/core/space.h"
#include <string.h>

#define META_RUNS	0x60000
#define META_MAP	0x70000
#define META_END	0x100000
#define PAGE_BITS	(8 * EXO_PAGE_SIZE)
#define RUNS_STATIC	16
#define RUNS_PER_PAGE	(EXO_PAGE_SIZE / sizeof(struct frame_run))
#define RUNS_MAX	((META_MAP - META_RUNS) / sizeof(struct frame_run))
#define PLACES		128	/* that are tried by number */
#define RECYCLED_KEPT	16	/* recycled frames up to this many wait until fresh ones run out */
#define OBJECTS_APART	256	/* frames held from which on kernel objects get frames of their own */
#define TRIM_AT		64	/* unused recycled frames at which runs are given back */

static struct frame_run runs_static[RUNS_STATIC];
static struct frame_run *runs = runs_static;
static uint32_t run_count, run_max = RUNS_STATIC;
static exo_pfn_t fresh, fresh_end;
static uint32_t held, recycled, reserved;
static uint32_t spare_slot, low_slot;
/* Frames for a large program's kernel objects, apart from its runs: from within, they could not be given. */
static struct frame_run objects;
static uint32_t objects_used, objects_apart = OBJECTS_APART;
/* Which pages of the map are there. */
static uint64_t map_pages[(META_END - META_MAP) / EXO_PAGE_SIZE / 64 + 1];
static exo_pfn_t map_hint;
/* Where the map's pages lie, and how many bits are set in each: they are forgotten with a lost page. */
static exo_pfn_t map_frame[(META_END - META_MAP) / EXO_PAGE_SIZE];
static uint16_t map_count[(META_END - META_MAP) / EXO_PAGE_SIZE];
static volatile uint32_t busy;

static uint64_t *map_word(exo_pfn_t pfn)
{
	return (uint64_t *)META_MAP + pfn / 64;
}

static bool map_has(exo_pfn_t pfn)
{
	uint32_t page = pfn / PAGE_BITS;

	return page < (META_END - META_MAP) / EXO_PAGE_SIZE && map_pages[page / 64] >> page % 64 & 1;
}

static bool map_test(exo_pfn_t pfn)
{
	return map_has(pfn) && *map_word(pfn) >> pfn % 64 & 1;
}

static void map_set(exo_pfn_t pfn)
{
	*map_word(pfn) |= 1ULL << pfn % 64;
	map_count[pfn / PAGE_BITS]++;
	recycled++;
}

static void map_clear(exo_pfn_t pfn)
{
	*map_word(pfn) &= ~(1ULL << pfn % 64);
	map_count[pfn / PAGE_BITS]--;
	recycled--;
}

/* The page of the map for a frame, made of another; false: it cannot be mapped. */
static bool map_page(exo_pfn_t pfn, const struct frame *frame)
{
	uint32_t page = pfn / PAGE_BITS;
	exo_vaddr_t va = META_MAP + (exo_vaddr_t)page * EXO_PAGE_SIZE;

	if (va >= META_END || space_map_frame(va, EXO_MAP_READ | EXO_MAP_WRITE, frame) < 0)
		return false;
	memset((void *)va, 0, EXO_PAGE_SIZE);
	map_pages[page / 64] |= 1ULL << page % 64;
	map_frame[page] = frame->pfn;
	map_count[page] = 0;
	return true;
}

static struct frame_run *run_of(exo_pfn_t pfn)
{
	for (uint32_t i = run_count; i-- > 0;)
		if (pfn - runs[i].first < runs[i].count)
			return &runs[i];
	return NULL;
}

static void describe(struct frame *frame, const struct frame_run *run, exo_pfn_t pfn, bool dirty)
{
	frame->cap = run->cap;
	frame->first = pfn - run->first;
	frame->pfn = pfn;
	frame->dirty = dirty;
}

bool frame_find(exo_pfn_t pfn, struct frame *frame)
{
	const struct frame_run *run = run_of(pfn);

	if (run)
		describe(frame, run, pfn, true);
	return run != NULL;
}

/* Room for one more run; the page that it may take comes from the fresh frames. */
static bool room_for_run(void)
{
	struct frame frame;

	if (run_count < run_max)
		return true;
	if (run_count >= RUNS_MAX || fresh == fresh_end)
		return false;
	describe(&frame, &runs[run_count - 1], fresh, false);
	exo_vaddr_t va = META_RUNS + (run_max == RUNS_STATIC ? 0 : run_max * sizeof(struct frame_run));
	if (space_map_frame(va, EXO_MAP_READ | EXO_MAP_WRITE, &frame) < 0)
		return false;
	fresh++;
	if (run_max == RUNS_STATIC) {
		memcpy((void *)META_RUNS, runs_static, sizeof(runs_static));
		runs = (struct frame_run *)META_RUNS;
		run_max = RUNS_PER_PAGE;
	} else {
		run_max += RUNS_PER_PAGE;
	}
	return true;
}

/* The fresh frames that are left are no longer at the end: keep them as recycled ones. */
static void retire_fresh(void)
{
	exo_pfn_t from = fresh, end = fresh_end;

	fresh = fresh_end = 0;
	for (; from < end; from++)
		frame_free(from);
}

/* From the top of memory down, at places that lie so far apart that what is taken there can mostly grow. */
bool frame_take_by_number(uint32_t slot, uint32_t count)
{
	uint32_t total = core_info->frames_total, step = total / PLACES > count ? total / PLACES : count;

	for (uint32_t pfn = total; pfn > count + step; pfn -= step) {
		int64_t error = exo_frame_take(slot, pfn - count, count);
		if (error >= 0)
			return true;
		if (error != -EXO_EBUSY && error != -EXO_ERANGE)
			return false;
	}
	return false;
}

/* A run elsewhere, of at least `least` frames and at most `count`. */
static bool take_new_run(uint32_t count, uint32_t least)
{
	/* Others may have come round to the spare slot. */
	bool spare = spare_slot && caps_at(spare_slot)->type == EXO_TYPE_NONE;
	if (!low_slot)
		low_slot = caps_slot();
	uint32_t slot = spare ? spare_slot : caps_slot();

	if (!slot || !room_for_run())
		return false;
	if (exo_frame_take(slot, EXO_PFN_ANY, count) < 0)
		return false;
	if (caps_at(slot)->count < least) {
		caps_delete(caps_handle(slot));
		if (!frame_take_by_number(slot, least))
			return false;
	}
	spare_slot = 0;
	const struct exo_cap *cap = caps_at(slot);
	exo_pfn_t first = (exo_pfn_t)cap->first;
	retire_fresh();
	runs[run_count++] = (struct frame_run){ caps_handle(slot), first, cap->count };
	fresh = first;
	fresh_end = first + cap->count;
	held += cap->count;
	if (run_count == 1 && !map_has(first) && cap->count > 1) {
		struct frame frame;
		describe(&frame, &runs[0], fresh++, false);
		map_page(first, &frame);
	}
	return true;
}

/* Behind the last run if possible; there, too, it may be fewer. */
static bool take(uint32_t count, uint32_t least)
{
	struct frame_run *last = run_count ? &runs[run_count - 1] : NULL;
	int64_t taken = last ? exo_frame_take(last->cap, last->first + last->count, count) : 0;

	if (taken <= 0)
		return take_new_run(count, least);
	if (fresh == fresh_end)
		fresh = last->first + last->count;
	last->count += (uint32_t)taken;
	fresh_end = last->first + last->count;
	held += (uint32_t)taken;
	return true;
}

/*
 * At least `count` fresh frames in a row. More are taken at once the more the program has; fewer when memory
 * is short. False: not that many in a row; what came is kept.
 */
static bool refill(uint32_t count)
{
	uint32_t want = held / 4;

	if (count > EXO_TAKE_MAX)
		return false;
	if (want > EXO_TAKE_MAX)
		want = EXO_TAKE_MAX;
	if (want < count)
		want = count;
	if (!run_count && want < 2)
		want = 2;	/* one for the map */
	while (!take(want, count)) {
		if (want == count)
			return false;
		want = want / 2 > count ? want / 2 : count;
	}
	if (fresh_end - fresh < count && !take_new_run(count, count))
		return false;
	/* A larger capability table, and the next page of a full run table, are taken from what has just come. */
	if (!spare_slot)
		spare_slot = caps_slot();
	if (run_count == run_max)
		(void)room_for_run();
	return fresh_end - fresh >= count || refill(count);
}

static bool pop_recycled(struct frame *frame)
{
	exo_pfn_t at = map_hint & ~63u;
	uint32_t total = core_info->frames_total;

	for (uint32_t words = total / 64 + 2; words--; at = at + 64 >= total ? 0 : at + 64) {
		if (!map_has(at)) {
			at = (at | (PAGE_BITS - 1)) - 63;
			continue;
		}
		uint64_t *word = map_word(at);
		if (!*word)
			continue;
		exo_pfn_t pfn = at + (uint32_t)__builtin_ctzll(*word);
		map_clear(pfn);
		map_hint = pfn;
		describe(frame, run_of(pfn), pfn, true);
		return true;
	}
	return false;
}

static inline bool pop_fresh(struct frame *frame)
{
	describe(frame, &runs[run_count - 1], fresh++, false);
	return true;
}

static bool pop(struct frame *frame, uint32_t keep)
{
	if (frame_unused() <= keep && !refill(1))
		return false;
	if (recycled && (recycled > RECYCLED_KEPT || fresh == fresh_end) && pop_recycled(frame))
		return true;
	if (fresh == fresh_end && !refill(1))
		return false;
	return pop_fresh(frame);
}

static __attribute__((noinline)) bool alloc_slowly(struct frame *frame, uint32_t keep)
{
	core_stack();
	busy++;
	bool good = pop(frame, keep);
	busy--;
	return good;
}

/*
 * The fast way out of a page fault is not counted in `busy`: an upcall knows by the section whether a thread
 * is in it (F5). So nothing is called from there but alloc_slowly, which comes back to nothing but a return.
 */
#define FAST	__attribute__((section("frame_fast"), noinline))
extern const char __start_frame_fast[], __stop_frame_fast[];

static inline __attribute__((always_inline)) bool alloc(struct frame *frame, uint32_t keep)
{
	if (__builtin_expect(fresh_end - fresh > keep && recycled <= RECYCLED_KEPT, 1))
		return pop_fresh(frame);
	return alloc_slowly(frame, keep);
}

FAST bool frame_alloc(struct frame *frame)
{
	return alloc(frame, reserved);
}

FAST bool frame_alloc_reserved(struct frame *frame)
{
	if (reserved)
		reserved--;
	return alloc(frame, 0);
}

bool frame_alloc_run(uint32_t count, struct frame *frame)
{
	core_stack();
	busy++;
	bool good = (fresh_end - fresh >= count && frame_unused() >= reserved + count) || refill(count);
	good = good && fresh_end - fresh >= count;
	if (good) {
		describe(frame, &runs[run_count - 1], fresh, false);
		fresh += count;
	}
	busy--;
	return good;
}

static bool take_objects(void)
{
	uint32_t slot = caps_slot();

	if (!slot || !frame_take_by_number(slot, EXO_TAKE_MAX)) {
		objects_apart = held + held / 4;	/* memory is in pieces: not again soon */
		return false;
	}
	const struct exo_cap *cap = caps_at(slot);
	objects = (struct frame_run){ caps_handle(slot), (exo_pfn_t)cap->first, cap->count };
	objects_used = 0;
	held += cap->count;
	return true;
}

bool frame_alloc_object(uint32_t count, struct frame *frame)
{
	core_stack();
	if (held < objects_apart || count > EXO_TAKE_MAX)
		return frame_alloc_run(count, frame);
	busy++;
	bool good = objects.count - objects_used >= count || take_objects();
	if (good) {
		describe(frame, &objects, objects.first + objects_used, false);
		objects_used += count;
	}
	busy--;
	return good || frame_alloc_run(count, frame);
}

uint32_t frame_low_slot(void)
{
	return low_slot && caps_at(low_slot)->type == EXO_TYPE_NONE ? low_slot : caps_slot();
}

bool frame_reserve(uint32_t count)
{
	bool good = true;

	core_stack();
	busy++;
	while (good && frame_unused() < reserved + count) {
		uint32_t missing = reserved + count - frame_unused();
		good = refill(missing < EXO_TAKE_MAX ? missing : EXO_TAKE_MAX) || refill(1);
	}
	if (good)
		reserved += count;
	busy--;
	if (!good)
		frame_trim();
	return good;
}

void frame_unreserve(uint32_t count)
{
	reserved -= count < reserved ? count : reserved;
}

static bool put_back(exo_pfn_t pfn)
{
	struct frame frame;

	if (!frame_find(pfn, &frame) || map_test(pfn))
		return false;
	if (!map_has(pfn)) {
		map_page(pfn, &frame);	/* else it stays held, unused, until the end */
		return false;
	}
	map_set(pfn);
	if (pfn < map_hint)
		map_hint = pfn;		/* the lowest are used first: ends of runs can be given back */
	return true;
}

void frame_free(exo_pfn_t pfn)
{
	core_stack();
	busy++;
	bool more = put_back(pfn);
	busy--;
	if (more && recycled >= TRIM_AT + reserved && recycled % TRIM_AT == 0)
		frame_trim();
}

/* --- giving back ---------------------------------------------------------------------------------------- */

/* At most `limit` of the unused end of a run; 0 when nothing could be given. */
static uint32_t trim_run(struct frame_run *run, uint32_t limit)
{
	uint32_t count = 0;
	exo_pfn_t end = run->first + run->count;

	if (limit > EXO_RANGE_MAX)
		limit = EXO_RANGE_MAX;
	while (count < run->count && count < limit && map_test(end - 1 - count))
		count++;
	if (count == run->count)
		count--;	/* the capability itself stays */
	if (!count || exo_frame_give(run->cap, count) < 0)
		return 0;
	for (uint32_t i = 1; i <= count; i++)
		map_clear(end - i);
	run->count -= count;
	held -= count;
	return count;
}

/* What was never handed out is the last run's end. */
static uint32_t trim_fresh(uint32_t limit)
{
	struct frame_run *last = runs + run_count - 1;
	uint32_t given = 0, part;

	if (limit > frame_unused() - reserved)
		limit = frame_unused() - reserved;
	while (fresh != fresh_end && given < limit) {
		part = fresh_end - fresh < limit - given ? fresh_end - fresh : limit - given;
		if (part > EXO_RANGE_MAX)
			part = EXO_RANGE_MAX;
		if (part >= last->count || exo_frame_give(last->cap, part) < 0)
			break;
		last->count -= part;
		held -= part;
		given += part;
		fresh_end -= part;
	}
	if (fresh == fresh_end)
		fresh = fresh_end = 0;
	return given;
}

static uint32_t trim_recycled(uint32_t limit)
{
	uint32_t given = 0, part;

	for (uint32_t i = run_count; i-- > 0 && recycled;) {
		if (i == run_count - 1 && fresh != fresh_end)
			continue;
		do {
			uint32_t most = frame_unused() - reserved;
			if (most > limit - given)
				most = limit - given;
			part = most ? trim_run(&runs[i], most) : 0;
			given += part;
		} while (part);
	}
	return given;
}

uint32_t frame_give_back(uint32_t count)
{
	uint32_t given;

	core_stack();
	busy++;
	given = trim_fresh(count);
	given += trim_recycled(count - given);
	busy--;
	return given;
}

uint32_t frame_trim(void)
{
	return frame_give_back(0xffffffff);
}

uint32_t frame_give_back_now(uint32_t count)
{
	uint64_t rip = core_disp->saved & EXO_SAVED_ON ? core_disp->on.rip : 0;

	uint64_t fast = (uint64_t)__start_frame_fast, bytes = (uint64_t)__stop_frame_fast - fast;

	return busy || rip - fast < bytes ? 0 : frame_give_back(count);
}

uint32_t frame_runs(void)
{
	return run_count;
}

bool frame_run_at(uint32_t index, struct frame_run *run)
{
	if (index < run_count)
		*run = runs[index];
	return index < run_count;
}

bool frame_alloc_outside(exo_pfn_t first, exo_pfn_t end, struct frame *frame)
{
	uint32_t total = core_info->frames_total;
	bool good = false;

	busy++;
	for (exo_pfn_t at = 0; at < total && recycled && !good; at += 64) {
		if (!map_has(at)) {
			at |= PAGE_BITS - 64;
			continue;
		}
		for (uint64_t word = *map_word(at); word && !good; word &= word - 1) {
			exo_pfn_t pfn = at + (uint32_t)__builtin_ctzll(word);
			if (pfn >= first && pfn < end)
				continue;
			map_clear(pfn);
			describe(frame, run_of(pfn), pfn, true);
			good = true;
		}
	}
	busy--;
	return good;
}

/* --- what was taken by force ---------------------------------------------------------------------------- */

/* The pages of the map that lay in frames [first, end): what they said is forgotten. */
static void forget_map(exo_pfn_t first, exo_pfn_t end)
{
	for (uint32_t page = 0; page < (META_END - META_MAP) / EXO_PAGE_SIZE; page++)
		if (map_pages[page / 64] >> page % 64 & 1 && map_frame[page] >= first &&
		    map_frame[page] < end) {
			map_pages[page / 64] &= ~(1ULL << page % 64);
			recycled -= map_count[page];
		}
}

/* A run has only `count` frames left. */
static void cut_run(struct frame_run *run, uint32_t count)
{
	exo_pfn_t first = run->first + count, end = run->first + run->count;

	forget_map(first, end);
	for (exo_pfn_t pfn = first; pfn < end; pfn++)
		if (map_test(pfn))
			map_clear(pfn);
	if (run == &runs[run_count - 1] && fresh_end > first) {
		fresh_end = fresh < first ? first : fresh;
		if (fresh == fresh_end)
			fresh = fresh_end = 0;
	}
	held -= end - first;
	run->count = count;
}

uint32_t frame_resync(void)
{
	uint32_t before = held, kept = 0;

	if (busy)
		return 0;
	busy++;
	for (uint32_t i = 0; i < run_count; i++) {
		const struct exo_cap *cap = caps_at(exo_cap_slot(runs[i].cap));
		bool there = cap && cap->type == EXO_TYPE_FRAME && cap->generation == runs[i].cap >> 32;
		if (!there || cap->count < runs[i].count)
			cut_run(&runs[i], there ? cap->count : 0);
	}
	for (uint32_t i = 0; i < run_count; i++)
		if (runs[i].count)
			runs[kept++] = runs[i];
	run_count = kept;
	const struct exo_cap *cap = objects.cap ? caps_at(exo_cap_slot(objects.cap)) : NULL;
	if (cap) {
		bool there = cap->type == EXO_TYPE_FRAME && cap->generation == objects.cap >> 32;
		uint32_t count = there && cap->count < objects.count ? cap->count : there ? objects.count : 0;
		held -= objects.count - count;
		objects.count = count;
		if (objects_used > count)
			objects_used = count;
	}
	if (reserved > frame_unused())
		reserved = frame_unused();
	busy--;
	return before - held;
}

void frame_forked(void)
{
	runs = runs_static;
	run_count = 0;
	run_max = RUNS_STATIC;
	fresh = fresh_end = map_hint = 0;
	held = recycled = reserved = spare_slot = low_slot = 0;
	objects = (struct frame_run){ 0 };
	objects_used = 0;
	objects_apart = OBJECTS_APART;
	memset(map_pages, 0, sizeof(map_pages));
	busy = 0;
}

uint32_t frame_held(void)
{
	return held;
}

uint32_t frame_unused(void)
{
	return recycled + (fresh_end - fresh);
}

uint32_t frame_left(void)
{
	uint32_t limit = core_begin->frames, left = limit > held ? limit - held : 0;

	return !limit || left > core_info->frames_free ? core_info->frames_free : left;
}
