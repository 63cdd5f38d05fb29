/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a process: what fork copies, and how.
 *
 * All that a program writes (data, heap, stacks, what it maps) is *private*: pages in frames of runs, each run one
 * capability in a slot from MEMORY_SLOT on. fork splits these (exo_cap_split): the child has siblings in the
 * same slots, both sides read the same frames, and who writes first copies the page, maps the copy and gives
 * the old frame up (exo_split_give); the last one that holds a frame maps it writable again. So neither side
 * trusts the other, and a fork costs as many calls as there are runs.
 *
 * What upcall code writes is *wired*: the data of core and of this libOS (user.ld puts it together), and the tables
 * here. Upcall code cannot wait for a page, so the parent copies these at fork; they are never shared. Who
 * writes from an upcall may write there, to the dispatcher page and to the page shared with the keeper, and
 * nowhere else.
 *
 * Regions are those of libos/vm/vm.h; their structs must be wired memory: static, or of memory_region_make. A
 * region's pages are private if its pager is vm_zero_pager or vm_stack_pager, or if its own pager calls
 * memory_zero; others' are not looked at by fork, and not there in the child until its pager maps them.
 *
 * M1 a page of a private region has a *place*: (run + 1) << MEMORY_INDEX_BITS | frame of it; 0: never
 *    touched. It lies in a leaf of 512 places, found by address; leaves are made as needed
 * M2 a frame of a run is some page's place, or handed out never (from `used` on), or its bit in `spare` is set
 * M3 a run that is not split is this process's alone. Through one that is, pages are mapped writable when nobody else
 *    holds their frame
 *    Runs that are mostly given up are emptied at a fork (memory_pack)
 * M4 what a child of fork writes at once, the top of its stack, is *hot*: the frames of these pages are those of run
 *    MEMORY_HOT, which is never split: fork copies them for the child's. memory_hot says which is whose; 0: nobody's
 * M5 core's own frame allocator (frame.h) has other runs, for page tables and the like; fork passes them by
 */
#ifndef LIBOS_POSIX_MEMORY_H
#define LIBOS_POSIX_MEMORY_H

#include "libos/vm/vm.h"

#define MEMORY_SLOT		8	/* the first image's WIRE_DATA run ... */
#define MEMORY_RUNS		27
#define MEMORY_HOT		MEMORY_RUNS	/* the run of hot pages, in the slot behind them */
#define MEMORY_HOT_PAGES	3
#define MEMORY_SLOT_WIRED	36	/* a child's wired pages: 5 slots, 115 pages; there are some 105 at most */
#define MEMORY_SLOT_WINDOW	41	/* for FORK_BEGIN ... */
#define MEMORY_WINDOW		12	/* slots */
#define MEMORY_SLOT_FREE	53	/* from here on: anybody's. In a child they are empty */
#define MEMORY_INDEX_BITS	24

/* A region with memory of its own for it; NULL: too many. Its pager is vm_zero_pager; vm_add puts it in force. */
struct vm_region *memory_region_make(void);
void memory_region_free(struct vm_region *region);

/*
 * So many bytes of addresses that no region has, page-aligned; found by looking for a gap. When there is none any more,
 * what vm_addresses has not given yet is used, and then what the heap has not grown to. 0: there are none.
 */
exo_vaddr_t memory_addresses(uint64_t bytes);
/* The addresses that sbrk can still come to need; others may take them before it does. False: it was never called. heap.c */
bool memory_heap_rest(exo_vaddr_t *start, exo_vaddr_t *end);

/*
 * [upcall] The page at va, of a private region, for a pager of the caller's own: zeros at first touch, a copy
 * when it is written and shared. Arguments and result as vm_pager.
 */
const char *memory_zero(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present);
/* Has a private page been touched? */
bool memory_there(exo_vaddr_t va);
/*
 * Change the rights of mapped pages of a private region, whose `flags` have them already. Flags 0: they are
 * unmapped but stay what they are. Pages that fork shares become writable when they are written.
 */
void memory_protect(exo_vaddr_t va, uint64_t bytes, unsigned flags);
/* Give private pages back: the next touch finds zeros. As vm_release. */
void memory_discard(exo_vaddr_t va, uint64_t bytes);
/* Could so many more pages be had now? What malloc and mmap ask before they promise. */
bool memory_left(uint64_t pages);
/* May it have so many bytes more of its own, and of addresses? RLIMIT_DATA, RLIMIT_AS. heap.c; inside brackets. */
bool memory_allowed(uint64_t own, uint64_t addresses);

/* --- for fork.c ------------------------------------------------------------------------------------------- */

struct memory_run {
	exo_cap_t cap;			/* EXO_CAP_NONE: this one is not in use */
	exo_pfn_t first;
	uint32_t count, used, spare, given;	/* frames; handed out ever; put back since; given up to others */
	bool split, inherited;
};
extern struct memory_run memory_run[MEMORY_RUNS + 1];
extern exo_vaddr_t memory_hot[MEMORY_HOT_PAGES];
extern bool memory_hot_mapped;		/* in a child: by its first instructions */
/* On a wired stack: the pages around this stack pointer are hot from now on, if there is memory for that. */
void memory_heat(exo_vaddr_t sp);

/* The stretches of wired pages, at most so many; how many. */
struct memory_stretch {
	exo_vaddr_t va;
	uint32_t pages;
	bool contents;			/* else it does not matter what is in them */
};
#define MEMORY_STRETCHES	16
uint32_t memory_wired(struct memory_stretch *list, uint32_t most);
/*
 * Addresses of the tables of pages (2 MiB each) in which private pages are; number i. 0: the lowest, or
 * nothing is there.
 */
bool memory_table(unsigned i, exo_vaddr_t *va);
/* On a wired stack: when there are many runs, pages of the emptiest are moved to others. */
void memory_pack(void);
/* Before the first fork: the image's data becomes private pages. */
bool memory_own(void);
/* Nothing is mapped at the window any more, so that all pages are mapped once. */
void memory_window_empty(void);
/* Called once, before anything is touched. */
void memory_start(void);
/* In the child, before anything else, as upcall code: its runs are its parent's siblings. It can go on at `sp`,
 * and look at what lies right below `tls` and at `inside`. */
void memory_forked(exo_vaddr_t sp, exo_vaddr_t tls, exo_vaddr_t inside);

#endif
