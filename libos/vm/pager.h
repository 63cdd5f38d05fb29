/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paged regions: addresses with a bounded number of frames, backed by a store, under a policy of the
 * program's choice.
 *
 * A page is read from the store when it is touched. When all frames are taken, the region's policy (policy.h)
 * names a page to go; if the processor has marked it dirty it is written to the store before its frame is
 * used again. Which pages were used and written is read from the own page tables by plain loads; a fault
 * costs one or two calls.
 *
 *   block           needs                              gives
 *   policy*.c       nothing                            which page goes
 *   area.c          space.h, frame.h, vm.h             addresses whose page-table entries can be read
 *   store_memory.c  area.h                             a store in memory
 *   pager.c         policy.h, area.h, vm.h, thread.h   the region
 *   colour.c        frame.h, spawn.h (the frame table) frames by number, also for a pager's `take`
 *
 * P1 page p of the region is mapped iff set.page[p].resident; its frame is frame[page[p].slot];
 *    a frame that was taken by force is found out when the page is wanted
 * P2 each frame of the region is mapped at the window, too, always: there it is filled and written back
 * P3 a frame is either one page's or in the list of free ones
 *
 * A store that answers at once runs as upcall code, with upcalls off. One that blocks (a disk) is asked by
 * the thread that faulted (core_fault_defer), one fault of the region at a time; the other threads go on
 * meanwhile.
 */
#ifndef LIBOS_VM_PAGER_H
#define LIBOS_VM_PAGER_H

#include "libos/core/revoke.h"
#include "libos/core/thread.h"
#include "libos/vm/area.h"
#include "libos/vm/policy.h"
#include "libos/vm/vm.h"

/*
 * Where pages are when they have no frame. `to` and `from` are one page, aligned, always mapped. NULL: done;
 * else a sentence, with which the program ends. [upcall] unless `blocks`. A store never touches the region
 * itself.
 */
struct pager_store {
	const char *(*read)(struct pager_store *store, uint32_t page, void *to);
	const char *(*write)(struct pager_store *store, uint32_t page, const void *from);
	bool blocks;
};

struct pager_frame {
	exo_cap_t cap;
	uint32_t first;
	exo_pfn_t pfn;		/* 0: this slot has no frame now */
	uint32_t page;		/* whose it is, or the next of its list */
};

struct pager_page {
	uint32_t slot;		/* of its frame, if it is resident */
	uint16_t used, written;	/* what its entry said before it was written anew */
};

struct pager {
	/* Filled by the caller; what is zero is as it says. */
	uint32_t pages;				/* of the region */
	uint32_t frames;			/* that it may have, >= 1; pager_limit changes it */
	unsigned flags;				/* EXO_MAP_*; 0: readable and writable */
	struct pager_store *store;
	const struct policy *policy;		/* NULL: policy_default */
	void *arg;				/* set.arg, for a policy of the program's own */
	bool (*take)(void *arg, struct frame *frame);	/* where frames come from; NULL: frame_alloc ... */
	void (*give)(void *arg, const struct frame *frame);	/* ... and where they go; NULL: frame_free */
	void *frame_arg;
	/* Filled by pager_make. */
	struct vm_region region;		/* region.start: where it is; region.faults: so far */
	uint64_t reads, writes;			/* pages, from and to the store */
	struct policy_set set;
	struct vm_area area;			/* the region, a guard page, the window, the tables below */
	struct pager_frame *frame;		/* by slot */
	struct pager_page *page;
	uint32_t slots, free, empty;		/* how many; first with a free frame; first without one */
	uint32_t clearing, clear[8];	/* pages whose accessed bit is about to be cleared */
	struct thread_mutex mutex;		/* for stores that block */
	struct revoke_giver giver;		/* pager_offer */
	uint32_t least;
};

/* Make the region and put it in force. False: no memory, or a bad number; nothing is left behind. */
bool pager_make(struct pager *pager);
/* Write what is dirty and take the region away. NULL, or why the store could not (the region stays). */
const char *pager_drop(struct pager *pager);
/* Write what is dirty; pages stay. NULL, or why the store could not. */
const char *pager_sync(struct pager *pager);
/* Another policy from now on (NULL: policy_default). All pages go, so that it begins as at first. */
const char *pager_policy(struct pager *pager, const struct policy *policy);
/*
 * Have `frames` frames (>= 1; more than at first: as many as at first) from now on: what is above goes back,
 * by the policy's choice of pages, or comes from where frames come from. For programs that are asked for
 * memory.
 */
const char *pager_limit(struct pager *pager, uint32_t frames);
/*
 * When the program is asked for memory (revoke.h), give frames of the region, by the policy's choice of
 * pages, but for `least` (>= 1) that it keeps; pager_limit has them back. Regions of lower `order` are asked
 * first. False: its store blocks, or it was offered before. What is taken by force instead is mended at the
 * next touch: from the store if the region cannot be written, else from the program's spill (revoke_spill);
 * without one that has room, the program ends.
 */
bool pager_offer(struct pager *pager, int order, uint32_t least);

/* A store of `pages` pages in the program's own frames, at first all zero. False: no memory. */
struct pager_memory {
	struct pager_store store;
	struct vm_area area;
	uint32_t pages;
};
bool pager_memory_make(struct pager_memory *memory, uint32_t pages);
void pager_memory_drop(struct pager_memory *memory);

#endif
