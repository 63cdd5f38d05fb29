/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-table entries by batches of struct exo_map in the argument frame. See space.h.
 */
#include "libos/core/space.h"
#include "libos/core/spawn.h"

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
	return frame_alloc_object(count, frame) ? 0 : -EXO_EQUOTA;
}

/* Link what is missing on the way to an address's table of pages, or of large ones, from the bottom up. */
static int64_t link_tables(exo_cap_t space, struct frame_bag *bag, exo_vaddr_t va, bool large)
{
	static const uint8_t small_levels[] = { EXO_LEVEL_PAGES, EXO_LEVEL_1G, EXO_LEVEL_512G, 0 };
	static const uint8_t large_levels[] = { EXO_LEVEL_LARGE, EXO_LEVEL_512G, 0 };
	const uint8_t *level = large ? large_levels : small_levels;
	struct frame frame[3];
	int64_t error = -EXO_EINVAL;
	unsigned i;

	for (i = 0; level[i]; i++) {
		error = take_run(bag, i == 0 ? 3 : 1, &frame[i]);
		if (error)
			return error;
		error = exo_space_table(space, va, level[i], frame[i].cap, frame[i].first);
		if (error != -EXO_ENOTABLE)
			break;
	}
	while (error >= 0 && i-- > 0)
		error = exo_space_table(space, va, level[i], frame[i].cap, frame[i].first);
	return error < 0 ? error : 0;
}

int64_t space_write_all(exo_cap_t space, struct frame_bag *bag, uint64_t offset, uint32_t count)
{
	while (count) {
		int64_t done = exo_space_write(space, offset, count);
		if (done == -EXO_ENOTABLE) {
			const struct exo_map *map = core_arg(offset);
			int64_t error = link_tables(space, bag, PAGE_DOWN(map->va), map->va & EXO_MAP_LARGE);
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
		error = link_tables(own, NULL, PAGE_DOWN(wanted.va), false);
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

int64_t space_protect_page(exo_vaddr_t va, unsigned flags)
{
	const struct frame none = { .cap = EXO_CAP_NONE };

	return space_map_frame(va, flags, &none);
}

/* --- large pages ---------------------------------------------------------------------------------------- */

/* Frames from pfn on, all of them or none. */
static int64_t take_at(exo_pfn_t pfn, uint32_t count)
{
	int64_t cap = exo_frame_take(caps_slot(), pfn, EXO_TAKE_MAX), got = EXO_TAKE_MAX;
	uint32_t have;

	if (cap < 0)
		return cap;
	for (have = EXO_TAKE_MAX; have < count; have += (uint32_t)got) {
		uint32_t more = count - have < EXO_TAKE_MAX ? count - have : EXO_TAKE_MAX;
		got = exo_frame_take((exo_cap_t)cap, EXO_PFN_ANY, more);
		if (got < 0) {
			caps_delete((exo_cap_t)cap);
			return got;
		}
	}
	return cap;
}

static bool all_free(exo_pfn_t pfn, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct exo_frame_info *frame = info_frame(pfn + i);
		if (!frame || frame->state != EXO_FRAME_FREE)
			return false;
	}
	return true;
}

int64_t space_large_take(uint32_t count)
{
	uint32_t frames = count * EXO_LARGE_FRAMES;

	core_stack();
	if (!count || count > core_info->frames_total / EXO_LARGE_FRAMES)
		return -EXO_EINVAL;
	for (exo_pfn_t pfn = 0; pfn + frames <= core_info->frames_total; pfn += EXO_LARGE_FRAMES) {
		int64_t cap = all_free(pfn, frames) ? take_at(pfn, frames) : -EXO_EBUSY;
		if (cap != -EXO_EBUSY)
			return cap;
	}
	return -EXO_EFULL;
}

int64_t space_map_large(exo_vaddr_t va, unsigned flags, exo_cap_t cap, uint32_t first, uint32_t count)
{
	struct exo_map *map = core_arg(0);

	core_stack();
	while (count) {
		uint32_t part = count < EXO_LARGE_BATCH_MAX ? count : EXO_LARGE_BATCH_MAX;
		uint32_t left = 512 - (uint32_t)(va / SPACE_LARGE_BYTES) % 512;
		if (part > left)
			part = left;
		*map = (struct exo_map){ va | flags | EXO_MAP_LARGE, cap, first, part, 0 };
		int64_t error = space_write_all(own, NULL, 0, 1);
		if (error)
			return error;
		va += part * SPACE_LARGE_BYTES;
		first += part * EXO_LARGE_FRAMES;
		count -= part;
	}
	return 0;
}

int64_t space_protect_large(exo_vaddr_t va, unsigned flags, uint32_t count)
{
	return space_map_large(va, flags, EXO_CAP_NONE, 0, count);
}

int64_t space_seal(void)
{
	return exo_space_seal(own);
}

/* --- unmapping ------------------------------------------------------------------------------------------ */

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
