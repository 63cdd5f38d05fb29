/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual memory of a program: regions, each with its own pager.
 *
 * A region is a stretch of addresses with a function that is asked at each page fault in it. The region's
 * memory is the caller's (core allocates nothing); it stays in use until vm_remove. Pagers that exist:
 * vm_zero_pager (a zeroed frame at first touch), vm_stack_pager (the same in slots, each with a guard page
 * below). Others are one function: see vm_pager.
 *
 * V1 the list is sorted by address, regions are disjoint
 * V2 core's own memory (image, low pages) is in no region: a fault there has no pager
 */
#ifndef LIBOS_VM_VM_H
#define LIBOS_VM_VM_H

#include "libos/core/space.h"

#define VM_READ		1	/* what the faulting access was */
#define VM_WRITE	2
#define VM_EXEC		4

struct vm_region;

/*
 * [upcall] Called for a fault at `va` (not rounded) in the region; `access` is VM_*, `present` says that the
 * page was mapped and the access against its rights. NULL: resolved, the access is made again. Else a
 * sentence: the program ends with it. Mark it CORE_UPCALL.
 */
typedef const char *(*vm_pager)(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present);

struct vm_region {
	exo_vaddr_t start, end;		/* page-aligned, end exclusive */
	vm_pager pager;
	unsigned flags;			/* EXO_MAP_*: what the pager maps with */
	bool reserved;			/* frames come from those that frame_reserve has put aside */
	uint64_t slot_bytes;		/* vm_stack_pager: one stack with its guard page */
	void *arg;			/* the pager's own */
	uint64_t faults;		/* so far */
	struct vm_region *next, *prev;
};

/* Reserve `bytes` (rounded up) of unused addresses, which no region has; 0 when there are none. */
exo_vaddr_t vm_addresses(uint64_t bytes);
/* Where it goes on: of the addresses from here on it has given none, and passes by those that regions have. */
exo_vaddr_t vm_addresses_left(void);

/* Put a region in force. False: it overlaps one that is there. */
bool vm_add(struct vm_region *region);
/* Take it out, unmap its pages, put their frames back. */
void vm_remove(struct vm_region *region);
/* [upcall] The region of an address; NULL: none. */
struct vm_region *vm_find(exo_vaddr_t va);

/* The first region by address; the others by `next`. */
struct vm_region *vm_first(void);

const char *vm_zero_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present);
const char *vm_stack_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present);

/*
 * Fault a range of a region in before it is touched (fault handlers may not fault themselves). False: it
 * cannot be.
 */
bool vm_touch(exo_vaddr_t va, uint64_t bytes);

/* Unmap whole pages that these pagers have mapped, and put their frames back. */
void vm_release(exo_vaddr_t va, uint64_t bytes);

/* [upcall] The page-fault handler that core installs. NULL: resolved; else why not. */
const char *vm_fault(const struct exo_regs *regs);

/* Called once by core_start. */
void vm_start(void);

/* --- for the fault path --------------------------------------------------------------------------------- */

#define VM_ERROR_PRESENT	1	/* page-fault error code */
#define VM_ERROR_WRITE		2
#define VM_ERROR_EXEC		16

extern struct vm_region *vm_hint;	/* where the last fault was; never NULL */

static inline bool vm_inside(const struct vm_region *region, exo_vaddr_t va)
{
	return va - region->start < region->end - region->start;
}

/* Let the region's pager resolve a fault in it. */
static inline const char *vm_ask(struct vm_region *region, const struct exo_regs *regs)
{
	uint64_t error = regs->error;

	region->faults++;
	return region->pager(region, regs->address, error & VM_ERROR_EXEC ? VM_EXEC :
			     VM_READ << (error / VM_ERROR_WRITE & 1), error & VM_ERROR_PRESENT);
}

#endif
