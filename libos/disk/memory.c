/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a disk's requests may name: one stretch of addresses, and a table with the frame of each page of it.
 *
 * Frames are taken in short runs, as the allocator gives them, and go back one by one; addresses are found by looking
 * on from where the last ones were. The table is demand-zero memory: an entry without a capability is a free page.
 * A program that sends files over the network lends a run of frames that can be sent from (disk_memory_lend): as long
 * as there is room, memory is from there.
 */
#include <string.h>
#include "libos/disk/disk.h"
#include "libos/core/space.h"
#include "libos/vm/vm.h"

struct page {
	exo_cap_t cap;		/* 0: free */
	uint32_t first, pfn;	/* as the capability counts, and as the machine does */
};

static char *start;
static struct page *table;
static uint32_t pages_all, hint, known;	/* known: of the table; there is memory for so much of it */

static bool begin(void)
{
	static struct vm_region region;
	uint32_t count = core_info->frames_memory * 2;

	if (start)
		return true;
	exo_vaddr_t va = vm_addresses((uint64_t)count * EXO_PAGE_SIZE);
	region.start = va ? vm_addresses((uint64_t)count * sizeof(struct page)) : 0;
	region.end = region.start + PAGE_UP((uint64_t)count * sizeof(struct page));
	region.pager = vm_zero_pager;
	region.flags = EXO_MAP_READ | EXO_MAP_WRITE;
	if (!region.start || !vm_add(&region))
		return false;
	table = (struct page *)region.start;
	pages_all = count;
	start = (char *)va;
	return true;
}

/* That many free pages in a row, from `at` on; pages_all: there are none. */
static uint32_t look(uint32_t at, uint32_t pages)
{
	uint32_t run = 0;

	for (; at < pages_all; at++) {
		run = at < known && table[at].cap ? 0 : run + 1;
		if (run == pages)
			return at + 1 - pages;
	}
	return pages_all;
}

static void drop(uint32_t at, uint32_t pages)
{
	space_map((exo_vaddr_t)start + (uint64_t)at * EXO_PAGE_SIZE, 0, EXO_CAP_NONE, 0, pages);
	for (uint32_t i = at; i < at + pages; i++) {
		frame_free(table[i].pfn);
		table[i].cap = EXO_CAP_NONE;
	}
}

/* Frames for pages [at, at + pages), as many as one taking gives; returns how many; 0: there are none. */
static uint32_t take(uint32_t at, uint32_t pages)
{
	uint32_t count = pages < EXO_TAKE_MAX ? pages : EXO_TAKE_MAX;
	struct frame frame;

	if (at + count > known) {
		if (!vm_touch((exo_vaddr_t)&table[known], (at + count - known) * sizeof(table[at])))
			return 0;
		known = at + count;
	}
	if (!frame_alloc_run(count, &frame)) {
		count = 1;
		if (!frame_alloc(&frame))
			return 0;
	}
	exo_vaddr_t va = (exo_vaddr_t)start + (uint64_t)at * EXO_PAGE_SIZE;
	bool mapped = !space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first, count);
	for (uint32_t i = 0; i < count; i++) {
		if (mapped)
			table[at + i] = (struct page){ frame.cap, frame.first + i, frame.pfn + i };
		else
			frame_free(frame.pfn + i);
	}
	if (mapped && frame.dirty)
		memset((void *)va, 0, (size_t)count * EXO_PAGE_SIZE);
	return mapped ? count : 0;
}

/* --- what was lent --------------------------------------------------------------------------------------- */

#define LENT_MAX	1024

static struct {
	char *base;
	exo_cap_t cap;
	uint32_t first, pages;
	bool used[LENT_MAX];
} lent;

void disk_memory_lend(void *base, exo_cap_t cap, uint32_t first, uint32_t pages)
{
	lent.base = base;
	lent.cap = cap;
	lent.first = first;
	lent.pages = pages < LENT_MAX ? pages : LENT_MAX;
}

static void *lent_take(uint32_t pages)
{
	for (uint32_t at = 0, run = 0; at < lent.pages; at++) {
		run = lent.used[at] ? 0 : run + 1;
		if (run != pages)
			continue;
		at -= pages - 1;
		memset(&lent.used[at], true, pages);
		return memset(lent.base + (size_t)at * EXO_PAGE_SIZE, 0, (size_t)pages * EXO_PAGE_SIZE);
	}
	return NULL;
}

/* Which page of the lent ones; lent.pages or more: none. */
static uint64_t lent_page(const void *memory)
{
	uint64_t at = (uint64_t)((const char *)memory - lent.base) / EXO_PAGE_SIZE;

	return lent.pages ? at : UINT64_MAX;
}

/* --- both ------------------------------------------------------------------------------------------------ */

void *disk_memory(uint32_t pages)
{
	void *memory = lent.pages && pages ? lent_take(pages) : NULL;

	if (memory)
		return memory;
	if (!pages || !begin())
		return NULL;
	uint32_t at = look(hint, pages), have = 0;
	if (at == pages_all)
		at = look(0, pages);
	if (at == pages_all)
		return NULL;
	while (have < pages) {
		uint32_t got = take(at + have, pages - have);
		if (!got) {
			drop(at, have);
			return NULL;
		}
		have += got;
	}
	hint = at + pages;
	return start + (size_t)at * EXO_PAGE_SIZE;
}

void disk_memory_free(void *memory, uint32_t pages)
{
	uint32_t at = (uint32_t)(((char *)memory - start) / EXO_PAGE_SIZE);

	if (lent_page(memory) < lent.pages) {
		memset(&lent.used[lent_page(memory)], false, pages);
		return;
	}
	drop(at, pages);
	if (at < hint)
		hint = at;
}

bool disk_frame(const void *memory, exo_cap_t *cap, uint32_t *first, uint32_t *run, uint32_t most)
{
	uint64_t at = (uint64_t)((const char *)memory - start) / EXO_PAGE_SIZE;
	uint32_t count = 1;

	if (lent_page(memory) < lent.pages) {
		at = lent_page(memory);
		*cap = lent.cap;
		*first = lent.first + (uint32_t)at;
		*run = most < lent.pages - at ? most : lent.pages - (uint32_t)at;
		return (uintptr_t)memory % EXO_PAGE_SIZE == 0;
	}
	if (at >= known || (uintptr_t)memory % EXO_PAGE_SIZE || !table[at].cap)
		return false;
	const struct page *page = &table[at];
	while (count < most && at + count < known && page[count].cap == page->cap &&
	    page[count].first == page->first + count)
		count++;
	*cap = page->cap;
	*first = page->first;
	*run = count;
	return true;
}
