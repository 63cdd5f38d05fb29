/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sbrk: what malloc grows by. One region of addresses, as large as the machine's memory; pages come at first
 * touch. What it promises is looked up, not reserved: since fork shares pages, a process may come to need
 * more than was ever asked for, and one that finds no frame then ends.
 */
#include <errno.h>
#include <unistd.h>
#include "libos/posix/memory.h"

#define LEAST_BYTES	(64ULL << 20)

static struct vm_region heap = { .pager = vm_zero_pager, .flags = EXO_MAP_READ | EXO_MAP_WRITE };
static uint64_t end;

static bool begin(void)
{
	uint64_t bytes = (uint64_t)core_info->frames_total * EXO_PAGE_SIZE;

	if (bytes < LEAST_BYTES)
		bytes = LEAST_BYTES;
	heap.start = vm_addresses(bytes);
	heap.end = heap.start + bytes;
	end = heap.start;
	return heap.start && vm_add(&heap);
}

void *sbrk(ptrdiff_t change)
{
	uint64_t old, wanted, pages_old, pages_new;

	if (!end && !begin())
		goto full;
	old = end;
	wanted = old + (uint64_t)change;
	if (wanted < heap.start || wanted > heap.end || (change > 0) != (wanted > old && change))
		goto full;
	pages_old = PAGE_UP(old) / EXO_PAGE_SIZE;
	pages_new = PAGE_UP(wanted) / EXO_PAGE_SIZE;
	if (pages_new > pages_old && !memory_left(pages_new - pages_old))
		goto full;
	if (pages_new < pages_old)
		memory_discard(pages_new * EXO_PAGE_SIZE, (pages_old - pages_new) * EXO_PAGE_SIZE);
	end = wanted;
	return (void *)old;
full:
	errno = ENOMEM;
	return (void *)-1;
}
