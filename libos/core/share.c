/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory whose holes are mended. See share.h.
 *
 * A fault in upcall code comes to core_fault_off, on a small stack and while a thread may be in the middle of
 * anything, the allocator included: so the page that mends is put aside beforehand, regions are found in a
 * list of their own, and nothing is called but one exo_space_write, in the part of the argument frame that is
 * the fault handlers'.
 */
#include "libos/core/share.h"

static struct share *shares;
static struct frame spare;

static bool mend(struct share *share, exo_vaddr_t va)
{
	share->holes++;
	return space_map_frame(PAGE_DOWN(va), share->region.flags, &spare) == 0;
}

bool share_mend(exo_vaddr_t va)
{
	struct share *share = shares;

	while (share && !vm_inside(&share->region, va))
		share = share->next;
	return share && mend(share, va);
}

static const char *pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	if (present || (access & ~region->flags))
		return "access against the page's rights";
	return mend((struct share *)region->arg, va) ? NULL : "shared memory has gone";
}

void *share_map(struct share *share, exo_cap_t cap, uint32_t first, uint32_t pages, unsigned flags)
{
	uint64_t bytes = (uint64_t)pages * EXO_PAGE_SIZE;
	exo_vaddr_t at = vm_addresses(bytes);

	if (!at || (!spare.cap && !frame_alloc(&spare)))
		return NULL;
	*share = (struct share){ .region = { .start = at, .end = at + bytes, .pager = pager, .flags = flags,
		.arg = share } };
	if (space_map(at, flags, cap, first, pages) || !vm_add(&share->region)) {
		space_map(at, 0, EXO_CAP_NONE, 0, pages);
		return NULL;
	}
	share->next = shares;
	__asm__ volatile("" ::: "memory");
	shares = share;
	return (void *)at;
}

void share_unmap(struct share *share)
{
	struct share **at = &shares;

	while (*at && *at != share)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = share->next;
	/* Unmapped first: none of these frames is one to put back. */
	space_map(share->region.start, 0, EXO_CAP_NONE, 0,
		  (uint32_t)((share->region.end - share->region.start) / EXO_PAGE_SIZE));
	vm_remove(&share->region);
}
