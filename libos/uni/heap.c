/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sbrk: what malloc grows by. The heap is one region of addresses, as large as the machine's memory; its
 * pages get their frames at first touch, from those that were reserved when the heap grew, so malloc fails
 * and the touch does not.
 */
#include <errno.h>
#include <unistd.h>
#include "libos/vm/vm.h"

#define LEAST_BYTES	(16ULL << 20)

static struct vm_region heap = {
	.pager = vm_zero_pager, .flags = EXO_MAP_READ | EXO_MAP_WRITE, .reserved = true,
};
static uint64_t end;

static int begin(void)
{
	uint64_t bytes = (uint64_t)core_info->frames_total * EXO_PAGE_SIZE;

	if (bytes < LEAST_BYTES)
		bytes = LEAST_BYTES;
	heap.start = vm_addresses(bytes);
	heap.end = heap.start + bytes;
	end = heap.start;
	return heap.start && vm_add(&heap) ? 0 : -1;
}

void *sbrk(ptrdiff_t change)
{
	uint64_t old, wanted, pages_old, pages_new;

	if (!end && begin()) {
		errno = ENOMEM;
		return (void *)-1;
	}
	old = end;
	wanted = old + (uint64_t)change;
	if (wanted < heap.start || wanted > heap.end || (change > 0) != (wanted > old && change)) {
		errno = ENOMEM;
		return (void *)-1;
	}
	pages_old = PAGE_UP(old) / EXO_PAGE_SIZE;
	pages_new = PAGE_UP(wanted) / EXO_PAGE_SIZE;
	if (pages_new > pages_old && !frame_reserve((uint32_t)(pages_new - pages_old))) {
		errno = ENOMEM;
		return (void *)-1;
	}
	if (pages_new < pages_old) {
		/* Pages never touched still have their reservation. */
		int64_t touched =
			space_unmap_free(pages_new * EXO_PAGE_SIZE, (uint32_t)(pages_old - pages_new));
		frame_unreserve((uint32_t)((int64_t)(pages_old - pages_new) - (touched > 0 ? touched : 0)));
	}
	end = wanted;
	return (void *)old;
}
