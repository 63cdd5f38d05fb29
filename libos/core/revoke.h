/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answering demands: how a program takes part when memory or slices are wanted back (struct exo_abort in
 * exo/disp.h).
 *
 * On a demand the program gives back, in this order and until enough is given or the time has passed: frames
 * of its allocator that nobody uses; then what *givers* offer, in order of preference (caches that can be
 * filled again, pages that are clean, pages that can be written elsewhere, slices that are spare); then it
 * gives up, and what is missing is taken by force. A program that registers nothing answers with its unused
 * frames.
 *
 * Unused frames go back at the RUN upcall that brings the demand, whatever the program is doing then; givers
 * are asked by the thread scheduler's poller: when threads switch, or at once if the program sleeps. A frame
 * goes back to the machine as the end of a run (frame.h): pages of the heap and of stacks that lie behind it
 * are moved (pack.c). What cannot move, a page table say, keeps what lies before it.
 *
 * What was taken by force: the allocator compares its runs with the capability table, and forgets. A page
 * whose frame has gone is not mapped any more: its pager is asked at the next touch, as if it never had been.
 * A pager that cannot make its pages anew keeps each page's frame number, and gets the bytes from the spill,
 * if one was named and had room.
 */
#ifndef LIBOS_CORE_REVOKE_H
#define LIBOS_CORE_REVOKE_H

#include "libos/core/frame.h"

struct revoke_giver {
	/*
	 * Give about `count` of `what` (EXO_TYPE_FRAME: frame_free the frames, unmapped; EXO_TYPE_SLICE:
	 * delete slice capabilities or unbind), until `by`; returns how many. Runs in a thread, must not
	 * block; may be called again with the rest.
	 */
	uint32_t (*give)(struct revoke_giver *giver, uint32_t what, uint32_t count, exo_time_t by);
	/*
	 * Optional. Move pages of yours whose frames lie in [first, end) elsewhere, by frame_alloc_outside,
	 * frame_move and frame_free: what lies before them in their run can be given back only then.
	 */
	void (*vacate)(struct revoke_giver *giver, exo_pfn_t first, exo_pfn_t end);
	int order;			/* lower ones are asked first */
	void *arg;
	struct revoke_giver *next;
};
/* Memory is the caller's. */
void revoke_add_giver(struct revoke_giver *giver);
void revoke_remove_giver(struct revoke_giver *giver);

struct revoke_figures {
	uint64_t demands, wanted, given;	/* seen; units wanted in all; units given in all */
	uint64_t by_upcall;			/* of those, at the RUN upcall */
	uint64_t unmet;				/* demands for which not enough was found */
	uint64_t lost_frames, lost_slices;	/* taken by force, as the records say */
	uint64_t unrecorded;			/* losses whose record was overwritten before it was read */
};
extern struct revoke_figures revoke_figures;

/*
 * Set `pages` frames aside, to which the kernel copies what it takes by force, as long as there is room.
 * Their slot is a low one, so that they go last themselves. False: not so many in a row, or there is a spill
 * already.
 */
#define REVOKE_SPILL_MAX	256
bool revoke_spill(uint32_t pages);
/*
 * [upcall] Copy what a lost frame held to a page, which must be mapped and writable; once for each loss.
 * False: the frame was not lost, or there was no room for it.
 */
bool revoke_restore(exo_pfn_t lost, void *to);
/* Have givers move their pages out of frames [first, end). For pack.c. */
void revoke_vacate(exo_pfn_t first, exo_pfn_t end);
/* Ask for the poller's work now: forget what was lost, answer what is wanted. */
void revoke_poll(void);

/* Called once by core_start. */
void revoke_start(void);

#endif
