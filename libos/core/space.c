/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-table entries by batches of struct exo_map in the argument frame. See space.h.
 */
#include "libos/core/space.h"

#define BATCH	64	/* descriptors of single pages that one call is given */

static exo_cap_t own;

void space_start(void)
{
	own = core_named(EXO_NAME_SPACE);
}

exo_cap_t space_own(void)
{
	return own;
}

static int64_t take_run(struct frame_bag *bag, uint32_t count, struct frame *frame)
{
	if (bag)
		return frame_bag_take(bag, count, frame);
	return frame_alloc_run(count, frame) ? 0 : -EXO_EQUOTA;
}

/* Link what is missing on the way to the page table of an address, from the bottom up. */
static int64_t link_tables(exo_cap_t space, struct frame_bag *bag, exo_vaddr_t va)
{
	struct frame frame[EXO_LEVEL_512G + 1];
	int64_t error;

	for (unsigned level = EXO_LEVEL_PAGES; level <= EXO_LEVEL_512G; level++) {
		error = take_run(bag, level == EXO_LEVEL_PAGES ? 3 : 1, &frame[level]);
		if (error)
			return error;
		error = exo_space_table(space, va, level, frame[level].cap, frame[level].first);
		if (error == -EXO_ENOTABLE)
			continue;
		while (error >= 0 && --level >= EXO_LEVEL_PAGES)
			error = exo_space_table(space, va, level, frame[level].cap, frame[level].first);
		return error < 0 ? error : 0;
	}
	return -EXO_EINVAL;
}

int64_t space_write_all(exo_cap_t space, struct frame_bag *bag, uint64_t offset, uint32_t count)
{
	while (count) {
		int64_t done = exo_space_write(space, offset, count);
		if (done == -EXO_ENOTABLE) {
			const struct exo_map *map = core_arg(offset);
			int64_t error = link_tables(space, bag, PAGE_DOWN(map->va));
			if (error)
				return error;
			continue;
		}
		if (done < 0)
			return done;
		offset += (uint64_t)done * sizeof(struct exo_map);
		count -= (uint32_t)done;
	}
	return 0;
}

/* A page table is missing: link it, and do again what the descriptor says, which linking overwrites. */
static __attribute__((noinline)) int64_t map_frame_slowly(int64_t error)
{
	struct exo_map *map = core_arg(CORE_ARG_FAULT);
	struct exo_map wanted = *map;

	if (error == -EXO_ENOTABLE)
		error = link_tables(own, NULL, PAGE_DOWN(wanted.va));
	if (error)
		return error;
	*map = wanted;
	error = exo_space_write(own, CORE_ARG_FAULT, 1);
	return error < 0 ? error : 0;
}

int64_t space_map_frame(exo_vaddr_t va, unsigned flags, const struct frame *frame)
{
	struct exo_map *map = core_arg(CORE_ARG_FAULT);

	map->va = va | flags;
	map->cap = frame->cap;
	map->first = frame->first;
	map->count = 1;
	int64_t done = exo_space_write(own, CORE_ARG_FAULT, 1);
	return __builtin_expect(done > 0, 1) ? 0 : map_frame_slowly(done);
}

/* Pages from va on that lie in the same 2 MiB, at most `limit`: a descriptor never crosses a page table. */
static uint32_t same_table(exo_vaddr_t va, uint32_t limit)
{
	uint32_t left = 512 - (uint32_t)(va >> EXO_PAGE_SHIFT) % 512;

	return left < limit ? left : limit;
}

int64_t space_map_in(exo_cap_t space, struct frame_bag *bag, exo_vaddr_t va, unsigned flags, exo_cap_t cap,
		     uint32_t first, uint32_t pages)
{
	struct exo_map *map = core_arg(0);

	core_stack();
	while (pages) {
		uint32_t part = same_table(va, pages < EXO_MAP_BATCH_MAX ? pages : EXO_MAP_BATCH_MAX);
		*map = (struct exo_map){ va | flags, cap, first, part, 0 };
		int64_t error = space_write_all(space, bag, 0, 1);
		if (error)
			return error;
		va += (exo_vaddr_t)part * EXO_PAGE_SIZE;
		pages -= part;
		first += part;
	}
	return 0;
}

int64_t space_map(exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t pages)
{
	return space_map_in(own, NULL, va, flags, cap, first, pages);
}

int64_t space_protect(exo_vaddr_t va, unsigned flags, uint32_t pages)
{
	return space_map(va, flags, EXO_CAP_NONE, 0, pages);
}

int64_t space_unmap_free(exo_vaddr_t va, uint32_t pages)
{
	struct exo_map *map = core_arg(0);
	exo_pfn_t freed[BATCH];
	int64_t unmapped = 0;

	core_stack();
	while (pages) {
		uint32_t part = same_table(va, pages < BATCH ? pages : BATCH);
		for (uint32_t i = 0; i < part; i++)
			map[i] = (struct exo_map){ va + (exo_vaddr_t)i * EXO_PAGE_SIZE, EXO_CAP_NONE, 0, 1,
						   0 };
		int64_t done = exo_space_write(own, 0, part);
		if (done < 0 && done != -EXO_ENOTABLE)
			return done;
		uint32_t step = done > 0 ? (uint32_t)done : part; /* no table: nothing was mapped there */
		uint32_t count = 0;
		for (uint32_t i = 0; done > 0 && i < step; i++)
			if (map[i].old & EXO_PTE_PRESENT)
				freed[count++] = (exo_pfn_t)((map[i].old & EXO_PTE_FRAME) >> EXO_PAGE_SHIFT);
		unmapped += count;
		while (count)
			frame_free(freed[--count]);
		va += (exo_vaddr_t)step * EXO_PAGE_SIZE;
		pages -= step;
	}
	return unmapped;
}
