/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private pages and fork: how the image's data becomes private before the first one, which pages are hot, what is moved so
 * that there are few runs, and what a child finds. See memory.h (M3, M4); faults and places are in memory.c. All of it is
 * upcall code, or runs on a wired stack.
 */
#include "libos/posix/call.h"
#include "libos/posix/leaves.h"

#pragma GCC target("general-regs-only")

#define HOT_BELOW	256U		/* bytes around a stack pointer that are hot */
#define HOT_ABOVE	512U
#define TLS_BELOW	512	/* of a thread pointer: what upcalls look at lies here, but for posix_inside */

extern char __data_start[], __wired_start[], __wired_end[], __end[];

static struct vm_region data, bss, args;
static bool owned;
bool memory_hot_mapped;

static void region_of_data(struct vm_region *region, exo_vaddr_t start, exo_vaddr_t end)
{
	*region = (struct vm_region){ .start = start, .end = PAGE_UP(end), .pager = vm_zero_pager, .flags = RW };
	if (region->start < region->end)
		vm_add(region);
}

void memory_start(void)
{
	if (runs_started())
		return;
	runs_start();
	region_of_data(&data, (exo_vaddr_t)__data_start, (exo_vaddr_t)__wired_start);
	region_of_data(&bss, (exo_vaddr_t)__wired_end, (exo_vaddr_t)__end);
	region_of_data(&args, ARGS_START, ARGS_END);
}

/* The pages of a region that the creator has mapped: which frame each is, the old entries say. */
static bool own_region(const struct vm_region *region)
{
	struct exo_map *map = core_arg(0);
	exo_vaddr_t va = region->start;
	uint32_t count, *at;
	int64_t done;

	for (; va < region->end; va += count * EXO_PAGE_SIZE) {
		for (count = 0; count < BATCH && va + count * EXO_PAGE_SIZE < region->end; count++)
			map[count] = (struct exo_map){ (va + count * EXO_PAGE_SIZE) | RW, EXO_CAP_NONE, 0, 1, 0 };
		done = exo_space_write(space_own(), 0, count);
		if (done < 0)
			return true;	/* no table: nothing is there */
		count = (uint32_t)done;
		for (uint32_t i = 0; i < count; i++) {
			exo_pfn_t pfn = (exo_pfn_t)((map[i].old & EXO_PTE_FRAME) >> EXO_PAGE_SHIFT);
			uint32_t place = map[i].old & EXO_PTE_PRESENT ? run_find(pfn) : 0;

			at = place ? place_at(va + i * EXO_PAGE_SIZE, true) : NULL;
			if (place && !at)
				return false;
			if (!place || *at)
				continue;
			*at = place;
			if (map_place(va + i * EXO_PAGE_SIZE, RW, place) < 0)
				return false;
		}
	}
	return true;
}

bool memory_own(void)
{
	core_stack();
	memory_start();
	posix_need_info();
	(void)info_frame(1);	/* mapped now, not at a fault */
	if (!owned)
		owned = own_region(&data) && own_region(&bss) && own_region(&args);
	return owned;
}

void memory_pack(void)
{
	uint64_t empty = runs_to_empty();

	for (uint32_t i = 0; empty && i < leaf_count; i++)
		for (uint32_t page = leaves[i].low; page < leaves[i].high; page++) {
			uint32_t *at = &leaf_places(i)[page];
			exo_vaddr_t va = ((exo_vaddr_t)leaves[i].key << 21) + page * EXO_PAGE_SIZE;
			const struct vm_region *region;

			if (!*at || !(empty >> ((*at >> MEMORY_INDEX_BITS) - 1) & 1))
				continue;
			region = vm_find(va);
			if (region && copy_page(va, region->flags, at, false, 1))
				empty = 0;	/* no memory: they stay where they are */
		}
	runs_emptied(empty);
}

/* Has an own mapping that shows what is there, or will have it by a fault. */
static bool is_hot(exo_vaddr_t va)
{
	const uint32_t *at = place_at(va, false);

	return at && run_of(*at) == &memory_run[MEMORY_HOT];
}

/* Upcall code finds what is in this page. */
static void be_there(exo_vaddr_t va)
{
	const uint32_t *at = place_at(va, false);

	if (at && *at && leaves[leaf_hint].lazy && (!memory_hot_mapped || !is_hot(va)))
		(void)map_place(va, EXO_MAP_READ, *at);
}

void memory_forked(exo_vaddr_t sp, exo_vaddr_t tls, exo_vaddr_t inside)
{
	runs_forked();
	info_forked();
	for (uint32_t i = 0; i < leaf_count; i++) {
		leaves[i].lazy = true;
		leaves[i].mapped = false;
	}
	/* Its first steps may not fault: what it finds on its stack is there. */
	for (exo_vaddr_t va = PAGE_DOWN(sp); va < sp + HOT_ABOVE; va += EXO_PAGE_SIZE)
		be_there(va);
	be_there(PAGE_DOWN(tls));
	be_there(PAGE_DOWN(tls - TLS_BELOW));
	be_there(PAGE_DOWN(inside));	/* a program's own variables may lie between */
}

/* A hot page is an ordinary one again; it stays hot if there is no memory. */
static void cool(uint32_t i)
{
	const struct vm_region *region = vm_find(memory_hot[i]);
	uint32_t *at = place_at(memory_hot[i], false), place = *at, copy;
	const char *why;
	bool dirty;

	copy = run_take(&dirty);
	if (copy && move_pages(memory_hot[i], region ? region->flags : 0, at, false, copy, 1, &why))
		run_release(place);
}

/* A page becomes hot, at the expense of one outside of [low, end). */
static void heat(exo_vaddr_t va, exo_vaddr_t low, exo_vaddr_t end)
{
	const struct vm_region *region = vm_find(va);
	uint32_t *at = place_at(va, false), place, i;
	const char *why;

	if (!at || !*at || run_of(*at) == &memory_run[MEMORY_HOT] || !region || region->flags != RW || !run_hot())
		return;
	for (i = 0; i < memory_run[MEMORY_HOT].count && memory_hot[i]; i++)
		;
	if (i == memory_run[MEMORY_HOT].count) {
		for (i = 0; i + 1 < memory_run[MEMORY_HOT].count && memory_hot[i] >= low && memory_hot[i] < end; i++)
			;
		cool(i);
	}
	if (memory_hot[i])
		return;
	place = *at;
	memory_hot[i] = va;
	if (move_pages(va, RW, at, false, (MEMORY_HOT + 1) << MEMORY_INDEX_BITS | i, 1, &why))
		run_release(place);
}

void memory_heat(exo_vaddr_t sp)
{
	exo_vaddr_t low = PAGE_DOWN(sp - HOT_BELOW), end = sp + HOT_ABOVE;

	for (uint32_t i = 0; i < MEMORY_HOT_PAGES; i++) {
		const struct vm_region *region = memory_hot[i] ? vm_find(memory_hot[i]) : NULL;

		if (memory_hot[i] && (!region || region->flags != RW))
			cool(i);
	}
	for (exo_vaddr_t va = low; va < end; va += EXO_PAGE_SIZE)
		heat(va, low, end);
}
