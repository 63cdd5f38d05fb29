/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: mapping frames at pages, in the own space and in a child's.
 *
 * Page tables are linked when an address first needs one; their frames come from the frame allocator (own
 * space) or from the caller's bag (a child's). Nothing here keeps track of what is mapped where: that is
 * vm.h's.
 */
#ifndef LIBOS_CORE_SPACE_H
#define LIBOS_CORE_SPACE_H

#include <exo/space.h>
#include "libos/core/frame.h"

#define SPACE_LARGE_BYTES	((uint64_t)EXO_LARGE_FRAMES * EXO_PAGE_SIZE)
#define PAGE_DOWN(address)	((address) & ~(uint64_t)(EXO_PAGE_SIZE - 1))
#define PAGE_UP(address)	PAGE_DOWN((address) + EXO_PAGE_SIZE - 1)

/*
 * Map one frame in the own space, replacing what was there. [upcall] The fast path of page faults: one call.
 * 0 or an error.
 */
int64_t space_map_frame(exo_vaddr_t va, unsigned flags, const struct frame *frame);

/* Map `pages` consecutive frames of a capability, from frame `first` on; flags 0 unmaps. 0 or an error. */
int64_t space_map(exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t pages);
/* The same in another space, whose tables come from `bag`. */
int64_t space_map_in(exo_cap_t space, struct frame_bag *bag, exo_vaddr_t va, unsigned flags, exo_cap_t cap,
		     uint32_t first, uint32_t pages);
/*
 * Change the rights of mapped pages of the own space, down or up: as far as the capability had them that
 * each was mapped through (EXO_PTE_MAY_*). Contents and dirty bits stay. Pages that are not mapped are
 * passed over. RIGHTS: one may not have what is asked for; those before it, 2 MiB at a time, are done.
 */
int64_t space_protect(exo_vaddr_t va, unsigned flags, uint32_t pages);
/* The same for one page, with a page table: one call. [upcall] */
int64_t space_protect_page(exo_vaddr_t va, unsigned flags);

/*
 * Large pages, 2 MiB each. space_large_take: a new capability for `count` times 512 consecutive free frames
 * that begin at a multiple of 512, fresh; an error when there are none (FULL). It is the caller's, and not
 * the frame allocator's. space_map_large: map `count` of them at va, a multiple of 2 MiB, from frame
 * `first` of the capability on; flags 0 unmaps. The gibibyte around va is one for large pages from then on
 * (they and pages of 4 KiB can lie in it); BUSY: it, or one of the 2 MiB, has page tables of the other kind
 * already. space_protect_large as space_protect.
 */
int64_t space_large_take(uint32_t count);
int64_t space_map_large(exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t count);
int64_t space_protect_large(exo_vaddr_t va, unsigned flags, uint32_t count);

/*
 * From now on the own space's executable pages stay as they are and no page becomes executable: what
 * unmaps, replaces or changes one gets SEALED. It cannot be undone. Code stays writable for whoever holds
 * its frames with WRITE.
 */
int64_t space_seal(void);
/*
 * Unmap pages of the own space and put the frames that the allocator knows back. Returns how many were
 * mapped.
 */
int64_t space_unmap_free(exo_vaddr_t va, uint32_t pages);
/*
 * Give descriptors (in the argument frame, from offset on) to the kernel, linking tables as needed; all of
 * them are done when 0 is returned. The bag is NULL for the own space.
 */
int64_t space_write_all(exo_cap_t space, struct frame_bag *bag, uint64_t offset, uint32_t count);
/* Called once by core_start. */
void space_start(void);
/* The own space's capability. */
exo_cap_t space_own(void);

#endif
