/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames and their mappings for a libOS without an allocator, regions or pagers: see bare.h.
 *
 * Slots of capabilities are taken in order behind those of the start record, from the table's first frame. What is mapped is
 * described in the upcalls' part of the argument frame, so that nothing of an interrupted call is written over.
 */
#include <exo/space.h>
#include "libos/core/bare.h"

#define PLACES	128	/* that are tried by number */

static const struct exo_cap *cap_at(uint32_t slot)
{
	return (const struct exo_cap *)EXO_VA_CAPS + slot;
}

/* A free slot; 0: there is none. */
static uint32_t free_slot(void)
{
	for (uint32_t slot = 1; slot < EXO_CAPS_PER_FRAME; slot++)
		if (cap_at(slot)->type == EXO_TYPE_NONE)
			return slot;
	return 0;
}

/* Where memory is in pieces the kernel's own choice looks at the first few only: try places over all of it. */
static int64_t take_by_number(uint32_t slot, uint32_t count)
{
	uint32_t total = core_info->frames_total, step = total / PLACES > count ? total / PLACES : count;
	int64_t error = -EXO_EFULL;

	for (uint32_t pfn = total; error < 0 && pfn > count + step; pfn -= step)
		error = exo_frame_take(slot, pfn - count, count);
	return error;
}

static uint32_t take(uint32_t least, uint32_t most, exo_cap_t *cap)
{
	uint32_t slot = free_slot(), first = most < EXO_TAKE_MAX ? most : EXO_TAKE_MAX;
	const struct exo_cap *taken = cap_at(slot);

	if (!slot || exo_frame_take(slot, EXO_PFN_ANY, first) < 0)
		return 0;
	*cap = exo_cap_make(slot, taken->generation);
	for (uint32_t had = 0; taken->count < most && taken->count != had;) {
		had = taken->count;
		if (exo_frame_take(*cap, taken->first + had, most - had < EXO_TAKE_MAX ? most - had : EXO_TAKE_MAX) < 0)
			break;
	}
	if (taken->count < least) {
		exo_cap_delete(*cap);
		if (least > EXO_TAKE_MAX || take_by_number(slot, least) < 0)
			return 0;
		*cap = exo_cap_make(slot, taken->generation);
	}
	return taken->count;
}

/* Link what is missing on the way to an address's page table, from the bottom up. */
static int64_t link_tables(exo_cap_t space, exo_vaddr_t va)
{
	static const uint8_t levels[] = { EXO_LEVEL_PAGES, EXO_LEVEL_1G, EXO_LEVEL_512G };
	exo_cap_t cap[3];
	int64_t error = -EXO_ENOTABLE;
	unsigned i;

	for (i = 0; i < 3 && error == -EXO_ENOTABLE; i++) {
		uint32_t count = i ? 1 : 3;
		if (!take(count, count, &cap[i]))
			return -EXO_EQUOTA;
		error = exo_space_table(space, va, levels[i], cap[i], 0);
	}
	for (i--; error >= 0 && i-- > 0;)
		error = exo_space_table(space, va, levels[i], cap[i], 0);
	return error;
}

int64_t bare_map(exo_vaddr_t at, unsigned rights, exo_cap_t cap, uint32_t first, uint32_t count)
{
	exo_cap_t space = core_named(EXO_NAME_SPACE);
	struct exo_map *map = core_arg(CORE_ARG_FAULT);
	int64_t error = 0;

	for (uint32_t done = 0; done < count && error >= 0;) {
		uint32_t part = 512 - (uint32_t)(at >> EXO_PAGE_SHIFT) % 512;
		if (part > count - done)
			part = count - done;
		if (part > EXO_MAP_BATCH_MAX)
			part = EXO_MAP_BATCH_MAX;
		*map = (struct exo_map){ at | rights, cap, first + done, part, 0 };
		error = exo_space_write(space, CORE_ARG_FAULT, 1);
		if (error == -EXO_ENOTABLE) {
			error = link_tables(space, at);
			continue;
		}
		done += part;
		at += (exo_vaddr_t)part * EXO_PAGE_SIZE;
	}
	return error < 0 ? error : 0;
}

uint32_t bare_frames(uint32_t least, uint32_t most, exo_vaddr_t at, exo_cap_t *cap)
{
	uint32_t count = take(least, most, cap);

	if (count && bare_map(at, EXO_MAP_READ | EXO_MAP_WRITE, *cap, 0, count) < 0) {
		exo_cap_delete(*cap);
		return 0;
	}
	return count;
}

exo_cap_t bare_take(uint32_t count)
{
	exo_cap_t cap;

	return take(count, count, &cap) ? cap : EXO_CAP_NONE;
}
