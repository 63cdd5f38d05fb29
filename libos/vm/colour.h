/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page colouring: frames whose numbers have a remainder of one's choice.
 *
 * A cache that is indexed by physical address puts frame n where frames n + colours, n + 2 * colours ... go,
 * too. Who takes frames of some colours only, uses that part of the cache only, and leaves the rest to others
 * (or to its own other pages). Which frames are free is read from the exposed frame table, and they are asked
 * for by number.
 *
 * A set is a source of frames for a pager: .take = colour_take, .give = colour_give, .frame_arg = &set. Its
 * memory is the caller's: one run for each `width` frames, more where memory is in pieces. Pages of 2 MiB by
 * number: space.h.
 */
#ifndef LIBOS_VM_COLOUR_H
#define LIBOS_VM_COLOUR_H

#include "libos/core/frame.h"

#define COLOUR_WIDTH_MAX	EXO_TAKE_MAX

struct colour_run {
	exo_cap_t cap;			/* covers it; 0: unused */
	exo_pfn_t first;
	uint32_t count;
	uint32_t out, dirty;		/* bits: frames that are handed out; that have been before */
};

struct colour_set {
	/* Filled by the caller. */
	uint32_t colours;		/* that there are: size of the cache / its ways / 4096 */
	uint32_t first, width;		/* wanted: 1 to COLOUR_WIDTH_MAX from first on, below `colours` */
	struct colour_run *run;
	uint32_t runs;			/* of `run`, all zero at first */
	/* Kept; zero at first. */
	exo_pfn_t at;			/* where to look on */
	uint32_t frames;		/* that are handed out */
};

/*
 * One more frame of the set's colours. False: there is none, or no room for a run. `set` is a struct
 * colour_set.
 */
bool colour_take(void *set, struct frame *frame);
/* One goes back; it is mapped nowhere. */
void colour_give(void *set, const struct frame *frame);

static inline uint32_t colour_of(const struct colour_set *set, exo_pfn_t pfn)
{
	return pfn % set->colours;
}

#endif
