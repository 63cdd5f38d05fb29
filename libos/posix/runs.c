/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs of frames for private pages. See memory.h (M2, M3).
 *
 * Run i has slot MEMORY_SLOT + i of the capability table, in a child of fork the same. A run grows at its end
 * as long as it is not split and the next frame is free. What a child has from its parent (`inherited`) it
 * only reads or gives up: it takes frames from runs of its own, so that what the parent has not used yet
 * stays the parent's.
 */
#include "libos/core/spawn.h"
#include "libos/posix/runs.h"

#pragma GCC target("general-regs-only")

#define TAKE_LEAST	4	/* frames at a time: clearing one costs the kernel 600 instructions */
#define LARGE		96	/* frames held from which on a process is */
#define APART_MOST	64	/* parts of memory at whose beginnings a large process looks for room */
#define EMPTY_AT	14	/* runs from which on some are emptied, ... */
#define EMPTY_TO	8	/* ... down to so many, */
#define EMPTY_PAGES	192	/* ... of so many pages at a time */
#define TRIM_AT		64	/* spare frames of a run at which its unused end is given back */

struct memory_run memory_run[MEMORY_RUNS + 1];
exo_vaddr_t memory_hot[MEMORY_HOT_PAGES];
static uint32_t current;	/* the run that was made last */
static bool started;
uint32_t runs_ahead;

static uint64_t *bits_of(const struct memory_run *run)
{
	return (uint64_t *)(META_START + (uint64_t)(run - memory_run) * RUN_FRAMES_MAX / 8);
}

static uint32_t place_of(const struct memory_run *run, uint32_t index)
{
	return (uint32_t)(run - memory_run + 1) << MEMORY_INDEX_BITS | index;
}

static const struct exo_cap *cap_of(const struct memory_run *run)
{
	return caps_at(MEMORY_SLOT + (uint32_t)(run - memory_run));
}

bool runs_started(void)
{
	return started;
}

/* The capabilities that the image came with. */
void runs_start(void)
{
	started = true;
	/* The slots below are the keeper's to fill, one of them at any time (WIRE_SLOT_INFO). */
	caps_reserve(1, MEMORY_SLOT_FREE);
	for (uint32_t i = 0; i < MEMORY_RUNS; i++) {
		struct memory_run *run = &memory_run[i];
		const struct exo_cap *cap = cap_of(run);

		if (cap->type != EXO_TYPE_FRAME)
			break;		/* they follow each other */
		*run = (struct memory_run){ .cap = caps_handle(MEMORY_SLOT + i), .first = (exo_pfn_t)cap->first,
			.count = cap->count, .used = cap->count };
	}
}

uint32_t run_find(exo_pfn_t pfn)
{
	for (uint32_t i = 0; i < MEMORY_RUNS; i++)
		if (memory_run[i].cap && pfn - memory_run[i].first < memory_run[i].count)
			return place_of(&memory_run[i], pfn - memory_run[i].first);
	return 0;
}

/* Is a frame of a split run nobody else's? What the run is derived from holds it, too. */
static bool alone(const struct memory_run *run, uint32_t index)
{
	const struct exo_frame_info *frame = info_frame(run->first + index);

	return frame && frame->holds <= 1 + (cap_of(run)->parent != 0);
}

bool run_shared(uint32_t place)
{
	const struct memory_run *run = run_of(place);

	return run->split && (run->inherited || !alone(run, place & INDEX_MASK));
}

/* All of what is in the hot run's slot. */
static void adopt_hot(void)
{
	const struct exo_cap *cap = cap_of(&memory_run[MEMORY_HOT]);

	memory_run[MEMORY_HOT] = (struct memory_run){ 0 };
	if (cap->type == EXO_TYPE_FRAME && cap->count <= MEMORY_HOT_PAGES)
		memory_run[MEMORY_HOT] = (struct memory_run){ .cap = caps_handle(MEMORY_SLOT + MEMORY_HOT),
			.first = (exo_pfn_t)cap->first, .count = cap->count, .used = cap->count };
}

bool run_hot(void)
{
	if (!memory_run[MEMORY_HOT].cap && exo_frame_take(MEMORY_SLOT + MEMORY_HOT, EXO_PFN_ANY, MEMORY_HOT_PAGES) >= 0)
		adopt_hot();
	return memory_run[MEMORY_HOT].cap != EXO_CAP_NONE;
}

/* --- taking --------------------------------------------------------------------------------------------- */

/* Frames of all runs that frames are taken from. */
static uint32_t held(void)
{
	uint32_t frames = 0;

	for (uint32_t i = 0; i < MEMORY_RUNS; i++)
		frames += memory_run[i].inherited ? 0 : memory_run[i].count - memory_run[i].given;
	return frames;
}

static uint32_t pop_spare(struct memory_run *run)
{
	uint64_t *bits = bits_of(run);

	for (uint32_t i = 0; i < (run->used + 63) / 64; i++) {
		uint32_t index = i * 64 + (uint32_t)__builtin_ctzll(bits[i] | 1ULL << 63);

		if (!bits[i] || (run->split && !alone(run, index)))
			continue;
		bits[i] &= bits[i] - 1;
		run->spare--;
		return place_of(run, index);
	}
	return 0;
}

/* From the frames that there are. */
static uint32_t take_there(bool *dirty)
{
	for (uint32_t i = 0; i < MEMORY_RUNS; i++) {
		struct memory_run *run = &memory_run[i];
		uint32_t place = run->spare && !run->inherited ? pop_spare(run) : 0;

		*dirty = place != 0;
		if (place)
			return place;
		if (run->used < run->count && !run->inherited && (!run->split || alone(run, run->used)))
			return place_of(run, run->used++);
	}
	return 0;
}

static uint32_t take_grown(struct memory_run *run, uint32_t wanted)
{
	int64_t got;

	if (!run->cap || run->split || run->count + wanted > RUN_FRAMES_MAX || cap_of(run)->parent)
		return 0;
	got = exo_frame_take(run->cap, EXO_PFN_ANY, wanted);
	if (got <= 0)
		return 0;
	run->count += (uint32_t)got;
	return place_of(run, run->used++);
}

/*
 * A place in the middle of as much as there is: at halves of memory, then at quarters, eighths ... that none
 * begins at yet. So the few runs that there can be grow long before one meets the next.
 */
static bool take_apart(uint32_t slot)
{
	uint32_t total = core_info->frames_total;

	for (uint32_t places = 2; places <= APART_MOST && total / places > EXO_TAKE_MAX; places *= 2)
		for (uint32_t i = places - 1; i < places; i -= 2) {
			int64_t error = exo_frame_take(slot, (exo_pfn_t)((uint64_t)total * i / places), EXO_TAKE_MAX);
			if (error >= 0)
				return true;
			if (error != -EXO_EBUSY && error != -EXO_ERANGE)
				return false;
		}
	return false;
}

/* Frames for a new run. A large process has few and long ones: it looks for places where they can grow. */
static bool take_frames(uint32_t slot, uint32_t wanted)
{
	const struct exo_cap *cap = caps_at(slot);

	if (held() >= LARGE && (take_apart(slot) || frame_take_by_number(slot, EXO_TAKE_MAX)))
		return true;
	if (exo_frame_take(slot, EXO_PFN_ANY, wanted) < 0)
		return false;
	if (cap->count >= wanted || cap->count >= TAKE_LEAST)
		return true;
	(void)caps_delete(caps_handle(slot));
	return frame_take_by_number(slot, wanted) || exo_frame_take(slot, EXO_PFN_ANY, wanted) >= 0;
}

static uint32_t take_new(uint32_t wanted)
{
	for (uint32_t i = 0; i < MEMORY_RUNS; i++) {
		struct memory_run *run = &memory_run[i];
		const struct exo_cap *cap = cap_of(run);

		if (run->cap || cap->type != EXO_TYPE_NONE)
			continue;
		if (!take_frames(MEMORY_SLOT + i, wanted))
			return 0;
		*run = (struct memory_run){ .cap = caps_handle(MEMORY_SLOT + i), .first = (exo_pfn_t)cap->first,
			.count = cap->count, .used = 1 };
		current = i;
		return place_of(run, 0);
	}
	return 0;
}

/* With all slots in use, any run may grow. */
static uint32_t take_any(uint32_t wanted)
{
	uint32_t place = 0;

	for (uint32_t i = 0; i < MEMORY_RUNS && !place; i++)
		place = take_grown(&memory_run[i], wanted);
	return place;
}

/* There are unused frames that a child has not given up yet, and slots enough for small runs: it soon will. */
static bool soon(void)
{
	uint32_t slots = 0;
	bool waits = false;

	for (uint32_t i = 0; i < MEMORY_RUNS; i++) {
		const struct memory_run *run = &memory_run[i];

		slots += run->cap != EXO_CAP_NONE;
		waits = waits || (run->split && !run->inherited && run->used < run->count);
	}
	return waits && slots < MEMORY_RUNS / 3;
}

static __attribute__((noinline)) uint32_t take_slowly(bool *dirty)
{
	uint32_t place = take_there(dirty), wanted;

	if (place)
		return place;
	wanted = held() / 4;
	if (wanted < 4 * runs_ahead)
		wanted = 4 * runs_ahead;
	if (wanted < TAKE_LEAST || soon())
		wanted = TAKE_LEAST;
	if (wanted > EXO_TAKE_MAX)
		wanted = EXO_TAKE_MAX;
	for (; !place && wanted; wanted /= 2) {
		place = take_grown(&memory_run[current], wanted);
		if (!place)
			place = take_new(wanted);
		if (!place)
			place = take_any(wanted);
	}
	return place;
}

uint32_t run_take(bool *dirty)
{
	struct memory_run *run = &memory_run[current];

	*dirty = false;
	if (run->used < run->count && !run->split && !run->spare)
		return place_of(run, run->used++);
	return take_slowly(dirty);
}

/* --- putting back --------------------------------------------------------------------------------------- */

/* All of it was given up. */
static void run_drop(struct memory_run *run)
{
	exo_cap_t cap = run->cap;

	memory_window_empty();		/* its frames are not there any more */
	*run = (struct memory_run){ 0 };
	(void)caps_delete(cap);
}

void run_give(uint32_t place, uint32_t pages)
{
	struct memory_run *run = run_of(place);

	if (exo_split_give(run->cap, place & INDEX_MASK, pages) != pages)
		return;
	run->given += pages;
	/* With nothing of it in use what was never used goes, too, but for the run that is taken from next. */
	if (run->given == run->count || (run->given == run->used && run != &memory_run[current]))
		run_drop(run);
}

/* The end of a run that no page uses goes back. */
static void trim(struct memory_run *run)
{
	uint64_t *bits = bits_of(run);
	uint32_t end = run->used;

	while (end && bits[(end - 1) / 64] >> (end - 1) % 64 & 1)
		end--;
	if (run->used - end < TRIM_AT || run->split)
		return;
	memory_window_empty();
	if (exo_frame_give(run->cap, run->count - end) < 0)
		return;
	for (uint32_t i = end; i < run->used; i++)
		bits[i / 64] &= ~(1ULL << i % 64);
	run->spare -= run->used - end;
	run->used = run->count = end;
	if (!end)
		run_drop(run);
}

void run_put(uint32_t place)
{
	struct memory_run *run = run_of(place);
	uint32_t index = place & INDEX_MASK;
	uint64_t *bits = bits_of(run) + index / 64;

	if (!meta_need((exo_vaddr_t)bits))
		return;			/* it stays ours, and unused */
	*bits |= 1ULL << index % 64;
	if (++run->spare % TRIM_AT == 0)
		trim(run);
}

void run_release(uint32_t place)
{
	struct memory_run *run = run_of(place);

	if (run == &memory_run[MEMORY_HOT])
		memory_hot[place & INDEX_MASK] = 0;
	else if (run->split && (run->inherited || !alone(run, place & INDEX_MASK)))
		run_give(place, 1);
	else
		run_put(place);
}

/* --- emptying ------------------------------------------------------------------------------------------- */

static uint32_t pages_of(const struct memory_run *run)
{
	return run->used - run->given - run->spare;
}

uint64_t runs_to_empty(void)
{
	uint64_t chosen = 0;
	uint32_t slots = 0, pages = 0;

	for (uint32_t i = 0; i < MEMORY_RUNS; i++)
		slots += memory_run[i].cap != EXO_CAP_NONE;
	for (bool more = slots > EMPTY_AT; more && slots > EMPTY_TO;) {
		struct memory_run *least = NULL;

		for (uint32_t i = 0; i < MEMORY_RUNS; i++) {
			struct memory_run *run = &memory_run[i];

			if (run->cap && run->split && !(chosen >> i & 1) &&
			    (!least || pages_of(run) < pages_of(least)))
				least = run;
		}
		more = least && pages + pages_of(least) <= EMPTY_PAGES;
		if (more) {
			pages += pages_of(least);
			chosen |= 1ULL << (least - memory_run);
			least->inherited = true;
			slots--;
		}
	}
	return chosen;
}

/* --- fork ----------------------------------------------------------------------------------------------- */

/* What no page of the parent's uses stays the parent's. */
static void give_unused(struct memory_run *run)
{
	uint64_t *bits = bits_of(run);
	uint32_t unused = run->count - run->used;

	run->used = run->count;		/* from here on all of it counts as handed out */
	for (uint32_t part; unused; unused -= part) {
		part = unused < EXO_RANGE_MAX ? unused : EXO_RANGE_MAX;
		if (exo_split_give(run->cap, run->count - unused, part) == part)
			run->given += part;
	}
	for (uint32_t i = 0; run->spare && i < (run->count + 63) / 64; i++)
		for (; bits[i]; run->spare--) {
			uint32_t index = i * 64 + (uint32_t)__builtin_ctzll(bits[i]);

			bits[i] &= bits[i] - 1;
			run_give(place_of(run, index), 1);
			if (!run->cap)
				return;		/* that was the last of it */
		}
	if (run->given == run->count)
		run_drop(run);
}

void runs_emptied(uint64_t chosen)
{
	for (uint32_t i = 0; i < MEMORY_RUNS; i++)
		if (chosen >> i & 1 && memory_run[i].cap && !pages_of(&memory_run[i]))
			give_unused(&memory_run[i]);
}

void runs_forked(void)
{
	current = 0;
	adopt_hot();
	for (uint32_t i = 0; i < MEMORY_RUNS; i++) {
		struct memory_run *run = &memory_run[i];

		if (!run->cap)
			continue;
		if (cap_of(run)->type != EXO_TYPE_FRAME) {
			*run = (struct memory_run){ 0 };
			continue;
		}
		run->cap = caps_handle(MEMORY_SLOT + i);
		run->split = run->inherited = true;
		give_unused(run);
	}
}
