/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's own physical frames: taken from the kernel in runs, handed out singly, recycled, given back.
 *
 * Frames are named by number, as everywhere in Exo. A capability of the program covers a run of them; runs
 * grow at their end as long as the next frame is free, so that few capability slots are used. A frame comes
 * either *fresh* (zeroed by the kernel) or *recycled* (dirty: whoever needs zeros clears it).
 *
 * Reservation: frame_reserve takes frames ahead of use, so that a promise of memory (sbrk) is kept at the
 * page fault. All but the printing of figures is [upcall]: page-fault handlers take frames.
 */
#ifndef LIBOS_CORE_FRAME_H
#define LIBOS_CORE_FRAME_H

#include "libos/core/core.h"

struct frame {
	exo_cap_t cap;		/* covers it ... */
	uint32_t first;		/* ... as its frame number `first` */
	exo_pfn_t pfn;
	bool dirty;		/* holds old contents */
};

/*
 * One frame, or `count` consecutive ones under one capability (at most EXO_TAKE_MAX). False: there are none
 * left.
 */
bool frame_alloc(struct frame *frame);
bool frame_alloc_run(uint32_t count, struct frame *frame);
/* The same for what will be a kernel object and not come back: a large program has such frames apart. */
bool frame_alloc_object(uint32_t count, struct frame *frame);
/* A slot below those of all runs, for what shall be taken by force last; any other, if it is in use. */
uint32_t frame_low_slot(void);
/* One of those that were reserved. */
bool frame_alloc_reserved(struct frame *frame);
/*
 * Make sure that `count` more frames are at hand than before; false (and nothing changed) if that cannot be.
 */
bool frame_reserve(uint32_t count);
void frame_unreserve(uint32_t count);

/* Put a frame back: it must not be mapped any more. Gives runs back to the kernel once many are unused. */
void frame_free(exo_pfn_t pfn);
/* Give back what can be given back; returns how many frames. */
uint32_t frame_trim(void);
/*
 * The same up to a number of frames: what was never used first, then the unused ends of runs.
 * frame_give_back_now is [upcall] at any moment: it gives nothing while a thread is inside the allocator.
 */
uint32_t frame_give_back(uint32_t count);
uint32_t frame_give_back_now(uint32_t count);
struct frame_run {
	exo_cap_t cap;
	exo_pfn_t first;
	uint32_t count;
};
/*
 * Make unused frames the ends of runs, by moving pages of core's own regions, and give `count` back. Returns
 * how many were. For threads. pack.c
 */
uint32_t frame_pack(uint32_t count);
/* For that: the runs, in the order in which they were taken; an unused frame that is not in [first, end). */
uint32_t frame_runs(void);
bool frame_run_at(uint32_t index, struct frame_run *run);
bool frame_alloc_outside(exo_pfn_t first, exo_pfn_t end, struct frame *frame);
/*
 * Copy the page at `va`, which is frame `from`, to another frame, and map that there with these flags. False:
 * it is somebody else's, too, or a device's; nothing has changed. The caller puts the one or the other frame
 * back.
 */
bool frame_move(exo_vaddr_t va, unsigned flags, exo_pfn_t from, const struct frame *to);
/*
 * Forget what was taken by force; returns how many frames. For threads and fault handlers (0 inside the
 * allocator). Frames that had been handed out are their users' loss: pages of theirs are not mapped any more.
 */
uint32_t frame_resync(void);
/* Which capability of the allocator covers a frame; false: none. */
bool frame_find(exo_pfn_t pfn, struct frame *frame);

/*
 * A run of so many frames in a free slot, where memory is in pieces: the kernel's own choice looks at the first few free
 * runs only. False: none was found at a number of places. [upcall]
 */
bool frame_take_by_number(uint32_t slot, uint32_t count);
/* In a copy of a program, which has none of its frames: the allocator begins anew. */
void frame_forked(void);

/* How many frames the allocator holds, and how many of these are unused now. */
uint32_t frame_held(void);
uint32_t frame_unused(void);
/* How many more it could take: what is free in the machine, and what its limit leaves. */
uint32_t frame_left(void);

/* A bag: runs of frames for a purpose of their own, e.g. a child's; taken exactly, dropped together. */
#define FRAME_BAG_RUNS	16
struct frame_bag {
	uint32_t runs;
	struct frame_run run[FRAME_BAG_RUNS];
};
/*
 * Take `count` (at most EXO_TAKE_MAX) fresh consecutive frames into a bag, wherever there are so many in a row; 0 or an
 * error. Cost: if memory is in many pieces, up to a load for each frame of the machine.
 */
int64_t frame_bag_take(struct frame_bag *bag, uint32_t count, struct frame *frame);
/*
 * Delete all its capabilities: frames that nobody else holds are free again. False: some cover objects still
 * in use (an account to which frames are charged that a device reads from); they stay in the bag.
 */
bool frame_bag_drop(struct frame_bag *bag);
uint32_t frame_bag_count(const struct frame_bag *bag);

#endif
