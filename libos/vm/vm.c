/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions and the dispatch of page faults. See vm.h.
 *
 * Programs have few regions (heap, stacks, what they add), and faults come in runs: a sorted list with a hint
 * at the last region found is both small and short on the hot path.
 */
#include "libos/vm/vm.h"

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
	for (struct vm_region *region = regions; region; region = region->next)
		if (region->end > at && (region->start < at || region->start - at < bytes))
			at = region->end;
	if (!bytes || at > core_begin->heap_end || bytes > core_begin->heap_end - at)
		return 0;
	free_address = at + bytes;
	return at;
}

exo_vaddr_t vm_addresses_left(void)
{
	return free_address;
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
	vm_release(region->start, region->end - region->start);
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

const char *vm_fault(const struct exo_regs *regs)
{
	struct vm_region *region = vm_find(regs->address);

	if (region)
		return vm_ask(region, regs);
	return regs->error & VM_ERROR_PRESENT ? "against the page's rights" :
		regs->address < EXO_PAGE_SIZE ? "NULL pointer" : "nothing is mapped there";
}
