/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Areas: addresses whose page-table entries the program reads by plain loads.
 *
 * An area is a number of whole page tables (2 MiB of addresses each) of the own space, linked once, with the
 * tables themselves mapped read-only one behind the other: entry[i] is that of page i, with the accessed and
 * dirty bits as the processor sets them. Entries are written as everywhere by exo_space_write.
 */
#ifndef LIBOS_VM_AREA_H
#define LIBOS_VM_AREA_H

#include "libos/core/space.h"

#define AREA_TABLE_PAGES	512	/* pages of one table */

struct vm_area {
	exo_vaddr_t va;			/* a multiple of 2 MiB */
	uint32_t tables;
	const volatile uint64_t *entry;	/* of page va + i * EXO_PAGE_SIZE */
};

/*
 * One that has at least `pages` pages, none of them mapped. False: no addresses or no memory. 3 frames a
 * table.
 */
bool area_take(struct vm_area *area, uint32_t pages);
/*
 * Done with it; nothing is mapped there. Its tables stay linked, and the next one that fits in is made of it.
 */
void area_give(const struct vm_area *area);

/*
 * [upcall] One page of an area, by one descriptor; flags 0 unmaps. Returns its old entry without NX, or an
 * error.
 */
int64_t area_write(const struct vm_area *area, uint32_t page, unsigned flags, exo_cap_t cap, uint32_t first);

/*
 * Map fresh frames, all zero, at pages of an area / take them out and free them. False: too few; none is
 * left.
 */
bool area_fill(const struct vm_area *area, uint32_t page, uint32_t count);
void area_empty(const struct vm_area *area, uint32_t page, uint32_t count);

static inline exo_vaddr_t area_page(const struct vm_area *area, uint32_t page)
{
	return area->va + (exo_vaddr_t)page * EXO_PAGE_SIZE;
}

#endif
