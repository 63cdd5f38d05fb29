/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pagers of ordinary memory: a zeroed frame of core's allocator at first touch. A libOS whose memory is otherwise
 * (libos/posix/memory.c) has all of these functions itself, and the linker takes its.
 */
#include "libos/vm/vm.h"

#define NO_TABLE	"out of memory: no frame for a page table"

_Static_assert(VM_READ == EXO_MAP_READ && VM_WRITE == EXO_MAP_WRITE && VM_EXEC == EXO_MAP_EXEC,
	       "the same bits");

/* The frame holds old contents: writable until it is cleared. */
static __attribute__((noinline)) const char *map_dirty(const struct vm_region *region, exo_vaddr_t va,
						       struct frame *frame)
{
	uint64_t count = EXO_PAGE_SIZE / 8;
	void *to = (void *)va;

	if (space_map_frame(va, EXO_MAP_READ | EXO_MAP_WRITE, frame) < 0)
		return NO_TABLE;
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0ULL) : "memory");
	if (region->flags != (EXO_MAP_READ | EXO_MAP_WRITE) && space_map_frame(va, region->flags, frame) < 0)
		return NO_TABLE;
	return NULL;
}

const char *vm_zero_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	struct frame frame;
	const char *why;

	/* VM_* and EXO_MAP_* are the same bits. */
	if (present || (access & ~region->flags))
		return "access against the page's rights";
	do {
		if (!(region->reserved ? frame_alloc_reserved(&frame) : frame_alloc(&frame)))
			return "out of memory: no frame for a first touch";
		if (frame.dirty)
			why = map_dirty(region, PAGE_DOWN(va), &frame);
		else
			why = space_map_frame(PAGE_DOWN(va), region->flags, &frame) < 0 ? NO_TABLE : NULL;
		/* The frame may just have been taken by force. */
	} while (__builtin_expect(why != NULL, 0) && frame_resync());
	if (__builtin_expect(why != NULL, 0)) {
		(void)space_map(PAGE_DOWN(va), 0, EXO_CAP_NONE, 0, 1);
		frame_free(frame.pfn);
	}
	return why;
}

const char *vm_stack_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	if ((va - region->start) % region->slot_bytes < EXO_PAGE_SIZE)
		return "stack overflow";
	return vm_zero_pager(region, va, access, present);
}

bool vm_touch(exo_vaddr_t va, uint64_t bytes)
{
	for (exo_vaddr_t at = PAGE_DOWN(va); at < va + bytes; at += EXO_PAGE_SIZE) {
		struct exo_regs regs = { .address = at, .error = VM_ERROR_WRITE };
		struct vm_region *region = vm_find(at);
		if (!region)
			continue;
		/*
		 * Own page tables are not readable here: a lowering that changes nothing tells what is
		 * mapped.
		 */
		struct exo_map *map = core_arg(CORE_ARG_FAULT);
		*map = (struct exo_map){ at | region->flags, EXO_CAP_NONE, 0, 1, 0 };
		if (exo_space_write(space_own(), CORE_ARG_FAULT, 1) == 1 && (map->old & EXO_PTE_PRESENT))
			continue;
		if (vm_fault(&regs))
			return false;
	}
	return true;
}

void vm_release(exo_vaddr_t va, uint64_t bytes)
{
	space_unmap_free(va, (uint32_t)(bytes / EXO_PAGE_SIZE));
}
