/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Areas of whole page tables. See area.h.
 *
 * A table that is linked stays linked as long as its space lives (there is no call to take one out), so areas
 * that were given up are kept, sorted by nothing, and the smallest that fits is used again.
 */
#include <string.h>
#include "libos/vm/area.h"
#include "libos/vm/vm.h"

#define AREAS_KEPT	16
#define TABLE_BYTES	((uint64_t)AREA_TABLE_PAGES * EXO_PAGE_SIZE)

static struct vm_area kept[AREAS_KEPT];

static bool reuse(struct vm_area *area, uint32_t tables)
{
	struct vm_area *best = NULL;

	for (unsigned i = 0; i < AREAS_KEPT; i++)
		if (kept[i].tables >= tables && (!best || kept[i].tables < best->tables))
			best = &kept[i];
	if (!best)
		return false;
	*area = *best;
	best->tables = 0;
	return true;
}

/* Link a table of the level, and those above it that are missing. */
static int64_t link_table(exo_vaddr_t va, unsigned level, struct frame *frame)
{
	int64_t error;

	if (!frame_alloc_object(level == EXO_LEVEL_PAGES ? 3 : 1, frame))
		return -EXO_EQUOTA;
	while ((error = exo_space_table(space_own(), va, level, frame->cap, frame->first)) == -EXO_ENOTABLE) {
		struct frame upper;
		if (level >= EXO_LEVEL_512G)
			return error;
		error = link_table(va, level + 1, &upper);
		if (error < 0)
			return error;
	}
	return error;
}

bool area_take(struct vm_area *area, uint32_t pages)
{
	uint32_t tables = (pages + AREA_TABLE_PAGES - 1) / AREA_TABLE_PAGES;
	exo_vaddr_t va, view;
	struct frame frame;

	core_stack();
	if (!tables || reuse(area, tables))
		return tables;
	va = vm_addresses((tables + 1) * TABLE_BYTES);
	view = vm_addresses((uint64_t)tables * EXO_PAGE_SIZE);
	if (!va || !view)
		return false;
	va = (va + TABLE_BYTES - 1) & ~(TABLE_BYTES - 1);
	for (uint32_t i = 0; i < tables; i++)
		if (link_table(va + i * TABLE_BYTES, EXO_LEVEL_PAGES, &frame) < 0 ||
		    space_map(view + (exo_vaddr_t)i * EXO_PAGE_SIZE, EXO_MAP_READ, frame.cap, frame.first, 1))
			return false;
	*area = (struct vm_area){ va, tables, (const volatile uint64_t *)view };
	return true;
}

void area_give(const struct vm_area *area)
{
	struct vm_area *least = &kept[0];

	for (unsigned i = 1; i < AREAS_KEPT; i++)
		if (kept[i].tables < least->tables)
			least = &kept[i];
	if (area->tables > least->tables)
		*least = *area;
}

int64_t area_write(const struct vm_area *area, uint32_t page, unsigned flags, exo_cap_t cap, uint32_t first)
{
	struct exo_map *map = core_arg(CORE_ARG_FAULT);

	*map = (struct exo_map){ area_page(area, page) | flags, cap, first, 1, 0 };
	int64_t done = exo_space_write(space_own(), CORE_ARG_FAULT, 1);
	return done < 0 ? done : (int64_t)(map->old & ~EXO_PTE_NX);
}

bool area_fill(const struct vm_area *area, uint32_t page, uint32_t count)
{
	struct frame frame;

	core_stack();
	for (uint32_t i = 0; i < count; i++) {
		if (!frame_alloc(&frame) ||
		    area_write(area, page + i, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first) < 0) {
			area_empty(area, page, i);
			return false;
		}
		if (frame.dirty)
			memset((void *)area_page(area, page + i), 0, EXO_PAGE_SIZE);
	}
	return true;
}

void area_empty(const struct vm_area *area, uint32_t page, uint32_t count)
{
	space_unmap_free(area_page(area, page), count);
}
