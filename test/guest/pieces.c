/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory in pieces: half of all frames are free, nowhere as many in a row as are wanted but in one place, which is found
 * wherever it lies.
 *
 * Run with: -m 64
 */
#include "libos/core/spawn.h"
#include "test/guest/call.h"

#define SPARE	64		/* frames for what this program needs itself meanwhile */
#define RUNS	1024
#define HOLES	40

static exo_cap_t run[RUNS];
static uint32_t runs;

/* All of memory, in runs of EXO_TAKE_MAX as far as there are such. */
static void take_all(void)
{
	struct frame_bag rest = { 0 };
	struct frame frame;
	exo_cap_t cap;

	while (runs < RUNS && (cap = take_frames(EXO_TAKE_MAX)))
		run[runs++] = cap;
	for (uint32_t count = EXO_TAKE_MAX; count; count /= 2)
		while (!frame_bag_take(&rest, count, &frame))
			;
}

/* Each run keeps its first half. */
static bool halve_all(void)
{
	bool good = true;

	for (uint32_t i = 0; i < runs; i++)
		good &= exo_frame_give(run[i], EXO_TAKE_MAX / 2) == EXO_TAKE_MAX / 2;
	return good;
}

/* One run goes; what is taken then lies there, and goes again. */
static bool find_hole(uint32_t i)
{
	exo_pfn_t first = (exo_pfn_t)cap_of(run[i])->first;
	struct frame_bag bag = { 0 };
	struct frame frame;
	bool good;

	if (caps_delete(run[i]) < 0 || frame_bag_take(&bag, EXO_TAKE_MAX, &frame))
		return false;
	good = frame.pfn + EXO_TAKE_MAX > first && frame.pfn < first + EXO_TAKE_MAX;
	good &= frame_bag_drop(&bag);
	return good;
}

/* The half that the run had is taken again, so that memory is as it was. */
static bool fill_hole(uint32_t i, exo_pfn_t first)
{
	uint32_t slot = caps_slot();

	run[i] = made(slot, exo_frame_take(slot, first, EXO_TAKE_MAX / 2));
	return run[i] != EXO_CAP_NONE;
}

int main(void)
{
	struct frame_bag bag = { 0 };
	struct frame frame;
	unsigned found = 0, filled = 0;

	frame_reserve(SPARE);
	(void)info_frame(0);
	take_all();
	ok(runs > 2 * HOLES, "memory in %u runs", runs);
	ok(halve_all() && core_info->frames_free > runs * (EXO_TAKE_MAX / 2 - 1), "half of it is free");
	ok(frame_bag_take(&bag, EXO_TAKE_MAX, &frame) == -EXO_EFULL, "nowhere so many in a row as are wanted");
	for (uint32_t hole = 0; hole < HOLES; hole++) {
		uint32_t i = (hole * 2 + 1) * runs / (2 * HOLES);
		exo_pfn_t first = (exo_pfn_t)cap_of(run[i])->first;

		found += find_hole(i);
		filled += fill_hole(i, first);
	}
	ok(found == HOLES && filled == HOLES, "but in one place, which is found (%u of %u)", found, HOLES);
	ok(!frame_bag_take(&bag, EXO_TAKE_MAX / 2, &frame), "fewer are found at once");
	return tap_done();
}
