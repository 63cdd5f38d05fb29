/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames by colour. See colour.h. A run is what is free of one window of `width` frames, under one
 * capability; it goes back when none of it is in use.
 */
#include "libos/vm/colour.h"
#include "libos/core/spawn.h"

static bool hand_out(struct colour_set *set, struct colour_run *run, struct frame *frame)
{
	uint32_t unused = ~run->out & (uint32_t)((1ULL << run->count) - 1);
	uint32_t i = (uint32_t)__builtin_ctz(unused);

	*frame = (struct frame){ run->cap, i, run->first + i, run->dirty >> i & 1 };
	run->out |= 1u << i;
	run->dirty |= 1u << i;
	set->frames++;
	return true;
}

static uint32_t free_from(exo_pfn_t pfn, uint32_t most)
{
	uint32_t count = 0;

	while (count < most && pfn + count < core_info->frames_total &&
	       info_frame(pfn + count)->state == EXO_FRAME_FREE)
		count++;
	return count;
}

/* Take what is free at the next place of the right colour, if others do not come first. */
static bool take_next(struct colour_set *set, struct colour_run *run, uint32_t slot)
{
	uint32_t colour = colour_of(set, set->at), count = 0;
	exo_pfn_t at = set->at;

	if (colour < set->first || colour >= set->first + set->width) {
		set->at += (set->first + set->colours - colour) % set->colours;
		return false;
	}
	count = free_from(at, set->first + set->width - colour);
	set->at += count ? count : 1;
	if (!count || exo_frame_take(slot, at, count) < 0)
		return false;
	*run = (struct colour_run){ .cap = caps_handle(slot), .first = at, .count = caps_at(slot)->count };
	return true;
}

bool colour_take(void *arg, struct frame *frame)
{
	struct colour_set *set = arg;
	struct colour_run *run = NULL;
	uint64_t left = 2ULL * core_info->frames_total;
	uint32_t slot;

	if (!set->width || set->width > COLOUR_WIDTH_MAX || set->first + set->width > set->colours ||
	    !info_frame(0))
		return false;
	for (uint32_t i = 0; i < set->runs; i++) {
		if (!set->run[i].cap)
			run = run ? run : &set->run[i];
		else if (set->run[i].out != (1u << set->run[i].count) - 1)
			return hand_out(set, &set->run[i], frame);
	}
	slot = run ? caps_slot() : 0;
	if (!slot)
		return false;
	/* Once round the whole of memory, from where the last one was found. */
	for (exo_pfn_t from = set->at; left; left--) {
		if (take_next(set, run, slot))
			return hand_out(set, run, frame);
		if (set->at >= core_info->frames_total) {
			if (!from)
				return false;
			set->at = from = 0;
		}
	}
	return false;
}

void colour_give(void *arg, const struct frame *frame)
{
	struct colour_set *set = arg;

	for (uint32_t i = 0; i < set->runs; i++) {
		struct colour_run *run = &set->run[i];
		if (run->cap != frame->cap || !(run->out >> frame->first & 1))
			continue;
		set->frames--;
		run->out &= ~(1u << frame->first);
		if (!run->out) {
			caps_delete(run->cap);
			*run = (struct colour_run){ 0 };
		}
		return;
	}
}
