/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split frame capabilities, as the other files see them.
 *
 * A frame capability with EXO_RIGHT_RESTORE is split: it had WRITE, and shares its frames with siblings,
 * which it was split into. Its `object` is the frame of its record (state SPLIT), which says which frames of
 * its range it still holds; those that it gave up are no more its than those outside its range. The structure
 * and the rules stand in split.c.
 */
#ifndef EXO_SPLITS_H
#define EXO_SPLITS_H

#include "exo/kernel.h"

#define SPLIT_WORDS	(EXO_SPLIT_MAX / 64)

struct split {			/* a frame of state SPLIT; [k] */
	cap_ref_t cap;		/* whose it is */
	uint32_t losing;	/* C7 */
	uint32_t checked;	/* split_end has looked at so many frames */
	uint64_t raised;	/* K4 */
	uint64_t spare[5];
	uint64_t held[SPLIT_WORDS];	/* a bit for each frame of the range */
};
_Static_assert(sizeof(struct split) == EXO_PAGE_SIZE, "one frame");

static inline bool cap_is_split(const struct exo_cap *cap)
{
	return cap->type == EXO_TYPE_FRAME && cap->rights & EXO_RIGHT_RESTORE;
}

static inline struct split *split_of(const struct exo_cap *cap)
{
	return pfn_to_virt(cap->object);
}

/* Of a frame capability: how many frames behind its end it is about to lose (C7). */
static inline uint32_t *cap_losing(struct exo_cap *cap)
{
	return unlikely(cap->rights & EXO_RIGHT_RESTORE) ? &split_of(cap)->losing : &cap->object;
}

/* Is a frame of its range still held by a split capability? */
static inline bool split_has(const struct exo_cap *cap, uint64_t pfn)
{
	uint64_t index = pfn - cap->first;

	return split_of(cap)->held[index / 64] >> index % 64 & 1;
}

/* Does a frame capability hold all frames of a run that lies in its range? */
bool split_holds(const struct exo_cap *cap, exo_pfn_t first, uint32_t count);
/* Nobody but it, and those that it is derived from, covers or maps the run, if the entry `old` is replaced. */
bool split_alone(const struct exo_cap *cap, exo_pfn_t pfn, uint32_t count, uint64_t old);
/* That was so, and the entry has been replaced by one with MAY_WRITE. */
void split_claim(const struct exo_cap *cap, exo_pfn_t pfn, uint32_t count);
/* As frame_unhold and frame_busy, for those of the run that a capability, split or not, holds. */
void split_unhold(struct exo_cap *cap, exo_pfn_t first, uint32_t count);
bool split_busy(const struct exo_cap *cap, exo_pfn_t first, uint32_t count);
static inline void cap_unhold(struct exo_cap *cap, exo_pfn_t first, uint32_t count)
{
	if (unlikely(cap->rights & EXO_RIGHT_RESTORE))
		split_unhold(cap, first, count);
	else
		frame_unhold(first, count);
}
static inline bool cap_busy(const struct exo_cap *cap, exo_pfn_t first, uint32_t count)
{
	return unlikely(cap->rights & EXO_RIGHT_RESTORE) ? split_busy(cap, first, count) :
	    frame_busy(first, count);
}
/* Frames of its range up to the last one that it holds; of a capability that is not split: all. */
uint32_t split_end_of(const struct exo_cap *cap);
/* It gives up some frames, from the end; with the last its record is ordinary memory. False: budget used up. */
bool split_drop(struct exo_cap *cap, unsigned *budget);

/* space.c: what is mapped through a capability cannot be written any more, nor be made writable. False: budget
 * used up, call again. */
bool space_lower(struct exo_cap *cap, unsigned *budget);

#endif
