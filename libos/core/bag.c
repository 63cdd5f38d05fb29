/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bags of frames. See frame.h. Their runs come from the kernel directly, apart from the program's own.
 */
#include "libos/core/frame.h"
#include "libos/core/spawn.h"

#pragma weak info_frame		/* programs that make no others do without the exposed table */

static void describe(struct frame *frame, const struct frame_run *run, uint32_t first)
{
	*frame = (struct frame){ .cap = run->cap, .first = first, .pfn = run->first + first };
}

/*
 * The next `count` free frames in a row below *at, as the exposed table says now; *at is the first one then. False:
 * there are none, or this program does not look into the table.
 */
static bool find_free(exo_pfn_t *at, uint32_t count)
{
	const char *table = info_frame ? (const char *)info_frame(0) : NULL;
	uint32_t run = 0;

	for (exo_pfn_t pfn = *at; table && pfn-- > 1;) {
		const struct exo_frame_info *frame =
			(const struct exo_frame_info *)(table + (uint64_t)pfn * core_info->frames.stride);

		run = frame->state == EXO_FRAME_FREE ? run + 1 : 0;
		if (run == count) {
			*at = pfn;
			return true;
		}
	}
	return false;
}

/* Into a slot, when memory is in pieces and the kernel's first ones are too small. */
static bool take_found(uint32_t slot, uint32_t count)
{
	exo_pfn_t at = core_info->frames_total;
	int64_t error = -EXO_EBUSY;

	while (error == -EXO_EBUSY && find_free(&at, count))
		error = exo_frame_take(slot, at, count);
	return error >= 0;
}

int64_t frame_bag_take(struct frame_bag *bag, uint32_t count, struct frame *frame)
{
	struct frame_run *last = bag->runs ? &bag->run[bag->runs - 1] : NULL;

	core_stack();
	if (last) {
		int64_t taken = exo_frame_take(last->cap, last->first + last->count, count);
		if (taken == count) {
			describe(frame, last, last->count);
			last->count += count;
			return 0;
		}
		if (taken > 0)
			exo_frame_give(last->cap, (uint64_t)taken);
	}
	uint32_t slot = bag->runs < FRAME_BAG_RUNS ? caps_slot() : 0;
	if (!slot)
		return -EXO_EFULL;
	int64_t error = exo_frame_take(slot, EXO_PFN_ANY, count);
	if (error < 0)
		return error;
	if (caps_at(slot)->count < count) {
		caps_delete(caps_handle(slot));
		if (!frame_take_by_number(slot, count) && !take_found(slot, count))
			return -EXO_EFULL;
	}
	last = &bag->run[bag->runs++];
	*last = (struct frame_run){ caps_handle(slot), (exo_pfn_t)caps_at(slot)->first, count };
	describe(frame, last, 0);
	return 0;
}

bool frame_bag_drop(struct frame_bag *bag)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < bag->runs; i++)
		if (caps_delete(bag->run[i].cap) == -EXO_EBUSY)
			bag->run[kept++] = bag->run[i];
	bag->runs = kept;
	return !kept;
}

uint32_t frame_bag_count(const struct frame_bag *bag)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < bag->runs; i++)
		count += bag->run[i].count;
	return count;
}
