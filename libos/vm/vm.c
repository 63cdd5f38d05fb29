/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions and the dispatch of page faults. See vm.h.
 *
 * Programs have few regions (heap, stacks, what they add), and faults come in runs: a sorted list with a hint
 * at the last region found is both small and short on the hot path.
 */
#include "libos/vm/vm.h"

#define NO_TABLE	"out of memory: no frame for a page table"

static struct vm_region *regions;
static struct vm_region nowhere;	/* empty: no address is in it */
struct vm_region *vm_hint = &nowhere;
static exo_vaddr_t free_address;

void vm_start(void)
{
	free_address = PAGE_UP(core_begin->heap);
}

exo_vaddr_t vm_addresses(uint64_t bytes)
{
	exo_vaddr_t at = free_address;

	bytes = PAGE_UP(bytes);
	if (!bytes || bytes > core_begin->heap_end - at)
		return 0;
	free_address = at + bytes;
	return at;
}

bool vm_add(struct vm_region *region)
{
	struct vm_region *prev = NULL, *next = regions;

	core_stack();
	while (next && next->start < region->start) {
		prev = next;
		next = next->next;
	}
	if (region->start >= region->end || (prev && prev->end > region->start) ||
	    (next && next->start < region->end))
		return false;
	region->prev = prev;
	region->next = next;
	if (prev)
		prev->next = region;
	else
		regions = region;
	if (next)
		next->prev = region;
	return true;
}

void vm_remove(struct vm_region *region)
{
	core_stack();
	space_unmap_free(region->start, (uint32_t)((region->end - region->start) / EXO_PAGE_SIZE));
	if (region->prev)
		region->prev->next = region->next;
	else
		regions = region->next;
	if (region->next)
		region->next->prev = region->prev;
	if (vm_hint == region)
		vm_hint = &nowhere;
}

struct vm_region *vm_find(exo_vaddr_t va)
{
	struct vm_region *region = vm_hint;

	if (vm_inside(region, va))
		return region;
	for (region = regions; region && region->end <= va; region = region->next)
		;
	if (!region || va < region->start)
		return NULL;
	return vm_hint = region;
}

struct vm_region *vm_first(void)
{
	return regions;
}

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

const char *vm_fault(const struct exo_regs *regs)
{
	struct vm_region *region = vm_find(regs->address);

	if (region)
		return vm_ask(region, regs);
	return regs->error & VM_ERROR_PRESENT ? "against the page's rights" :
		regs->address < EXO_PAGE_SIZE ? "NULL pointer" : "nothing is mapped there";
}
