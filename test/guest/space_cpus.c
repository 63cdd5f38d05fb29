/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A space that runs on one CPU is changed from another: what is taken away is gone there, too, when the
 * call returns, and no dirty bit is lost on the way. The other side writes to a page without end and counts
 * its rounds; where its writes appear shows what its CPU believes.
 *
 * Run with: --smp 2 -m 64M
 */
#include "test/guest/tiny.h"

#define R	EXO_MAP_READ
#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)
#define PAGE	(TINY_CAPS + 0x1000)	/* the page that is changed under it */
#define FRAMES	4
#define TURNS	400
#define LARGE	0x600000000000ULL

enum { ROUNDS, WHERE, STOP, SPACE_CAP, FRAMES_CAP, LOST };

/* Writes the number of the round, again and again. */
TINY static void writer(uint64_t reasons)
{
	volatile uint64_t *page = (volatile uint64_t *)tiny_word(WHERE);

	(void)reasons;
	while (!tiny_word(STOP)) {
		*page = tiny_word(ROUNDS) + 1;
		tiny_word(ROUNDS)++;
	}
	for (;;)
		tiny_sleep(EXO_NEVER);
}

/* The same, and changes its own space all the while, which asks for the kernel's lock. */
TINY static void mapper(uint64_t reasons)
{
	volatile uint64_t *page = (volatile uint64_t *)PAGE, *own = (volatile uint64_t *)(PAGE + 0x1000);
	volatile struct exo_map *map = (volatile struct exo_map *)TINY_ARG;

	(void)reasons;
	while (!tiny_word(STOP)) {
		map->va = (PAGE + 0x1000) | RW;
		map->cap = tiny_word(FRAMES_CAP);
		map->first = (uint32_t)tiny_word(ROUNDS) % 2;
		map->count = 1;
		if (tiny_call(EXO_CALL_space_write, tiny_word(SPACE_CAP), 0, 1, 0, 0, 0) != 1)
			tiny_word(LOST)++;
		if (tiny_word(ROUNDS) && !(map->old & EXO_PTE_DIRTY))
			tiny_word(LOST)++;
		*own = 1;
		*page = tiny_word(ROUNDS) + 1;
		tiny_word(ROUNDS)++;
	}
	for (;;)
		tiny_sleep(EXO_NEVER);
}

static struct tiny other;
static exo_cap_t frames;
static exo_vaddr_t view;	/* the frames, here */

static volatile uint64_t *frame_word(unsigned i)
{
	return (volatile uint64_t *)(view + i * EXO_PAGE_SIZE);
}

/* It has gone round twice: one whole round lies behind what was before. False: it stands still. */
static bool goes_round(void)
{
	uint64_t from = other.word[ROUNDS];
	exo_time_t end = core_now() + 2000 * MS;

	while (other.word[ROUNDS] < from + 2)
		if (core_now() > end)
			return false;
	return true;
}

static bool start(void (*entry)(uint64_t))
{
	if (!tiny_make(&other, entry, 2))
		return false;
	other.word[WHERE] = PAGE;
	other.word[SPACE_CAP] = (uint64_t)tiny_grant(&other, other.space, 8, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	other.word[FRAMES_CAP] = (uint64_t)exo_cap_derive(other.frames, other.env, 9,
	    EXO_RIGHT_READ | EXO_RIGHT_WRITE, other.spare, 2);
	return write_one(other.space, PAGE | RW, frames, 0, 1) == 1 && exo_env_move(other.env, 1) == 0 &&
	       tiny_start(&other);
}

static void stop(void)
{
	other.word[STOP] = 1;
	tiny_await(&other, EXO_ENV_ASLEEP, 5000);
	tiny_drop(&other);
}

/* Nothing is written to a frame any more. */
static bool quiet(unsigned i)
{
	uint64_t was = *frame_word(i);

	return goes_round() && *frame_word(i) == was;
}

static void replaced(void (*entry)(uint64_t))
{
	unsigned stale = 0, lost = 0, still = 0, dirty = 0;

	if (!ok(start(entry), "a writer on the other CPU") || !ok(goes_round(), "it writes"))
		return;
	for (unsigned i = 1; i <= TURNS && !still; i++) {
		unsigned now = i % FRAMES, before = (i - 1) % FRAMES;
		uint64_t old;

		*frame_word(now) = 0;
		write_one(other.space, PAGE | RW, frames, now, 1);
		old = ((volatile struct exo_map *)core_arg(0))->old;
		lost += *frame_word(before) && !(old & EXO_PTE_DIRTY);
		dirty += (old & EXO_PTE_DIRTY) != 0;
		stale += !quiet(before);
		still += i % 2 && !*frame_word(now);
	}
	ok(!stale, "what was replaced is written to no more (%u times it was)", stale);
	ok(!lost && dirty > TURNS / 2, "what was written to was dirty (%u times not, %u times)", lost, dirty);
	ok(!still, "what came is written to");
	is((int64_t)other.word[LOST], 0, "its own pages changed as it asked");
	stop();
}

/* Reading goes on, so the writer is not at fault; what its CPU remembers of the right to write must go. */
static void protected(void)
{
	exo_cap_t strong;

	if (!ok(start(writer), "a writer on the other CPU") || !ok(goes_round(), "it writes"))
		return;
	is(write_one(other.space, PAGE | R, 0, 0, 1), 1, "its page becomes read-only");
	uint64_t was = *frame_word(0);
	ok(tiny_await(&other, EXO_ENV_ENDED, 5000), "it ends");
	is((int64_t)*frame_word(0), (int64_t)was, "nothing was written after the call");
	is(tiny_info(&other)->cause, 14, "of a page fault");
	tiny_drop(&other);
	strong = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 1, 1);
	if (!ok(start(writer), "another one") || !ok(goes_round(), "it writes"))
		return;
	is(write_one(other.space, PAGE | RW, strong, 0, 1), 1, "through a derived capability");
	ok(goes_round(), "it writes");
	is(exo_cap_delete(strong), 0, "which goes");
	was = *frame_word(1);
	ok(tiny_await(&other, EXO_ENV_ENDED, 5000), "it ends");
	is((int64_t)*frame_word(1), (int64_t)was, "nothing was written after the call");
	tiny_drop(&other);
}

/* The same with large pages: two in turn under the writer. */
static void large(void)
{
	int64_t taken = space_large_take(2);
	exo_cap_t big = (exo_cap_t)taken, tables = take_frames(4);
	unsigned stale = 0, lost = 0;
	uint64_t old;

	if (!ok(taken > 0 && space_map_large(LARGE, RW, big, 0, 2) == 0, "two large pages"))
		return;
	if (!ok(tiny_make(&other, writer, 0), "a writer"))
		return;
	other.word[WHERE] = LARGE + 0x123450;
	is(exo_space_table(other.space, LARGE, EXO_LEVEL_512G, tables, 0), 0, "a table");
	is(exo_space_table(other.space, LARGE, EXO_LEVEL_LARGE, tables, 1), 0, "and one for large pages");
	is(write_one(other.space, LARGE | RW | EXO_MAP_LARGE, big, 0, 1), 1, "one in its space");
	ok(exo_env_move(other.env, 1) == 0 && tiny_start(&other) && goes_round(), "it writes");
	for (unsigned i = 1; i < TURNS / 4; i++) {
		volatile uint64_t *before = (volatile uint64_t *)(LARGE + 0x123450 + (i - 1) % 2 * 0x200000);

		write_one(other.space, LARGE | RW | EXO_MAP_LARGE, big, i % 2 * 512, 1);
		old = ((volatile struct exo_map *)core_arg(0))->old;
		uint64_t was = *before;
		stale += !goes_round() || *before != was;
		lost += !(old & EXO_PTE_DIRTY);
	}
	ok(!stale && !lost, "what was replaced is written to no more, and was dirty (%u, %u)", stale, lost);
	stop();
	caps_delete(tables);
	caps_delete(big);
}

int main(void)
{
	frames = take_frames(FRAMES);
	view = vm_addresses(FRAMES * EXO_PAGE_SIZE);
	if (ok(core_info->cpus == 2, "two CPUs") &&
	    ok(!space_map(view, RW, frames, 0, FRAMES), "frames to see")) {
		replaced(writer);
		replaced(mapper);
		protected();
		large();
	}
	return call_done();
}
