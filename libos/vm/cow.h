/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy-on-write regions: memory that is cloned to another environment, or to another place, by sharing its
 * frames until one side writes.
 *
 * A region's frames come from runs of its own. Cloning splits the capability of each (exo_cap_split): the
 * twin gets siblings of them in its table, and a ticket that says which page is which frame. Neither side
 * trusts the other: what one has not copied yet, the other cannot write. A write to a shared page copies it,
 * maps the copy and gives the hold up (exo_split_give); the last one that holds a page just maps it writable
 * again. Clones can be cloned.
 *
 *   block    needs                    gives
 *   cow.c    area.h, vm.h, frame.h    cloned regions
 *
 * W1 page[p] is 0 (never touched: zeros) or (run + 1) << COW_INDEX_BITS | index of its frame in the run
 * W2 frames are handed out of the last run only, as long as it is not shared
 * W3 the window maps at most one frame, which is also a page's, and none while a clone is made
 */
#ifndef LIBOS_VM_COW_H
#define LIBOS_VM_COW_H

#include "libos/vm/area.h"
#include "libos/vm/vm.h"

#define COW_RUNS	64
#define COW_INDEX_BITS	24

struct cow_run {
	exo_cap_t cap;
	exo_pfn_t first;
	uint32_t count, used;	/* frames; handed out */
	exo_pfn_t record;	/* own frame that is its record, once it was split; 0: another's */
	bool shared;
};

struct cow {
	struct vm_region region;	/* region.start: where it is */
	uint32_t pages, runs;
	struct cow_run run[COW_RUNS];
	struct vm_area area;		/* the region, the window, a guard page, the table */
	uint32_t *page;
	uint64_t copied, again;		/* faults that copied a page; that found it theirs alone */
};

/* What the twin is told; the cloner writes it where both can read it. */
struct cow_ticket {
	uint32_t pages, runs;
	struct {
		exo_cap_t cap;
		uint64_t count;
	} run[COW_RUNS];
	uint32_t page[];
};
static inline uint64_t cow_ticket_bytes(const struct cow *cow)
{
	return sizeof(struct cow_ticket) + (uint64_t)cow->pages * sizeof(uint32_t);
}

/* The frames that a clone costs the cloner: records of the twin's capabilities. */
struct cow_twin {
	uint32_t runs;
	exo_pfn_t record[COW_RUNS];
};

/* Make a region of so many pages, all zero, and put it in force. False: no memory; nothing is left behind. */
bool cow_make(struct cow *cow, uint32_t pages);
/* Have so many frames at hand, so that as many faults take none. False: there are too few, or too many runs. */
bool cow_reserve(struct cow *cow, uint32_t count);
/*
 * Clone a region: siblings of its capabilities are made in the table of `env` (an ENV capability with GRANT;
 * EXO_CAP_NONE: the own) in slots from `slot` on, as many as the region has runs, which must be free. The
 * ticket has cow_ticket_bytes. 0, or an error: what siblings were made, are there.
 */
int64_t cow_clone(struct cow *cow, exo_cap_t env, uint32_t slot, struct cow_ticket *ticket,
		  struct cow_twin *twin);
/* The twin is gone, and its capabilities: their records are the cloner's memory again. */
void cow_twin_gone(struct cow_twin *twin);
/* The twin's side: make a region of a ticket, with all pages that are there mapped to read. False: no memory. */
bool cow_adopt(struct cow *cow, const struct cow_ticket *ticket);
/* Of the shared runs, have those back for good that are its alone, and whole. Returns how many are shared still. */
uint32_t cow_end(struct cow *cow);
/* Take the region away, with all that it holds. */
void cow_drop(struct cow *cow);

#endif
