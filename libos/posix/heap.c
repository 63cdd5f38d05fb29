/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sbrk: what malloc grows by. It may grow to the size of the machine's memory; pages come at first touch. What it
 * promises is looked up, not reserved: since fork shares pages, a process may come to need more than was ever asked
 * for, and one that finds no frame then ends.
 *
 * The region ends a page behind what is in use, and grows with it. What lies between it and `limit` is its own as long as
 * maps find addresses elsewhere: a process that has filled its addresses with maps has no more memory to get, either.
 */
#include <errno.h>
#include <unistd.h>
#include "libos/posix/map.h"
#include "libos/posix/memory.h"
#include "libos/posix/signals.h"

#define LEAST_BYTES	(64ULL << 20)

extern char __end[];

static struct vm_region heap = { .pager = vm_zero_pager, .flags = EXO_MAP_READ | EXO_MAP_WRITE };
static uint64_t end, limit;
void (*posix_locks_new)(exo_vaddr_t va, exo_vaddr_t end);

static exo_vaddr_t region_end(uint64_t used)
{
	return PAGE_UP(used) + EXO_PAGE_SIZE;
}

static bool begin(void)
{
	uint64_t bytes = (uint64_t)core_info->frames_total * EXO_PAGE_SIZE;

	if (bytes < LEAST_BYTES)
		bytes = LEAST_BYTES;
	heap.start = vm_addresses(bytes);
	if (!heap.start)
		return false;
	limit = heap.start + bytes;
	heap.end = region_end(heap.start);
	if (!vm_add(&heap))
		return false;
	end = heap.start;
	return true;
}

bool memory_heap_rest(exo_vaddr_t *start, exo_vaddr_t *last)
{
	*start = heap.end + EXO_PAGE_SIZE;
	*last = limit;
	return end && *start < limit;
}

bool memory_allowed(uint64_t own, uint64_t addresses)
{
	const struct wire_page *page = (const struct wire_page *)WIRE_VA_PAGE;

	if (!(page->not_data | page->not_space))
		return true;
	own += end - heap.start;
	addresses += end - heap.start + (uint64_t)__end - EXO_VA_IMAGE + WIRE_STACK;
	for (const struct vm_region *region = vm_first(); region; region = region->next) {
		enum posix_map_kind kind = posix_map_kind(region);

		addresses += kind ? region->end - region->start : 0;
		if (kind && kind != POSIX_MAP_SHARED && region->flags & EXO_MAP_WRITE)
			own += region->end - region->start;
	}
	return own <= ~page->not_data && addresses <= ~page->not_space;
}

/* Where it ended before; 0: there is not so much. Inside brackets. */
static uint64_t move(ptrdiff_t change)
{
	uint64_t old, wanted, pages_old, pages_new;

	if (!end && !begin())
		return 0;
	old = end;
	wanted = old + (uint64_t)change;
	if (wanted < heap.start || wanted > limit - EXO_PAGE_SIZE || (change > 0) != (wanted > old && change) ||
	    (heap.next && heap.next->start < region_end(wanted)))
		return 0;
	pages_old = PAGE_UP(old) / EXO_PAGE_SIZE;
	pages_new = PAGE_UP(wanted) / EXO_PAGE_SIZE;
	if (pages_new > pages_old && (!memory_left(pages_new - pages_old) ||
				      !memory_allowed((uint64_t)change, (uint64_t)change)))
		return 0;
	if (pages_new < pages_old)
		memory_discard(pages_new * EXO_PAGE_SIZE, (pages_old - pages_new) * EXO_PAGE_SIZE);
	end = wanted;
	heap.end = region_end(wanted);
	if (posix_locks_new && wanted > old)
		posix_locks_new(old, wanted);
	return old;
}

void *sbrk(ptrdiff_t change)
{
	bool was = posix_enter();
	uint64_t old = move(change);

	posix_leave(was);
	if (old)
		return (void *)old;
	errno = ENOMEM;
	return (void *)-1;
}
