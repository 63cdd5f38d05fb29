/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The own capability table: which slots are free is read from the table itself, which the kernel keeps and
 * the creator has mapped at EXO_VA_CAPS; frames are added when it is full, and mapped behind it.
 *
 * Slots are handed out in turn, so that one that was asked for and not used yet is not given out again at
 * once.
 */
#include "libos/core/frame.h"
#include "libos/core/space.h"

static uint32_t table_frames = 1;
static uint32_t next_slot = 1;
static bool growing;
static uint32_t reserved, reserved_end;	/* slots that are given out elsewhere */

const struct exo_cap *caps_at(uint32_t slot)
{
	if (slot == 0 || slot >= table_frames * EXO_CAPS_PER_FRAME)
		return NULL;
	return (const struct exo_cap *)EXO_VA_CAPS + slot;
}

exo_cap_t caps_handle(uint32_t slot)
{
	const struct exo_cap *cap = caps_at(slot);

	return cap ? exo_cap_make(slot, cap->generation) : EXO_CAP_NONE;
}

static bool grow(void)
{
	struct frame frame;
	bool grown = false;

	if (growing || table_frames == EXO_CAP_FRAMES_MAX)
		return false;
	growing = true;
	if (frame_alloc_object(1, &frame) && exo_cap_table(frame.cap, frame.first) >= 0) {
		exo_vaddr_t va = EXO_VA_CAPS + (exo_vaddr_t)table_frames * EXO_PAGE_SIZE;
		grown = space_map_frame(va, EXO_MAP_READ, &frame) >= 0;
		if (grown)
			table_frames++;
	}
	growing = false;
	return grown;
}

static uint32_t scan(uint32_t from, uint32_t to)
{
	for (uint32_t slot = from; slot < to; slot++)
		if (slot >= reserved && slot < reserved_end)
			slot = reserved_end - 1;
		else if (caps_at(slot)->type == EXO_TYPE_NONE)
			return slot;
	return 0;
}

uint32_t caps_slot(void)
{
	core_stack();
	uint32_t slots = table_frames * EXO_CAPS_PER_FRAME;
	uint32_t slot = scan(next_slot, slots);

	/* The last two slots are kept for the frames that a larger table may need. */
	if (!slot || slot >= slots - 2) {
		uint32_t low = scan(1, next_slot < slots ? next_slot : slots);
		if (low)
			slot = low;
		else if (grow())
			slot = scan(slots - 2, table_frames * EXO_CAPS_PER_FRAME);
	}
	if (slot)
		next_slot = slot + 1;
	return slot;
}

/* The first of a run of free slots; the last two stay, as above. */
static uint32_t scan_run(uint32_t from, uint32_t count)
{
	uint32_t run = 0;

	for (uint32_t slot = from; slot < table_frames * EXO_CAPS_PER_FRAME - 2; slot++) {
		run = caps_at(slot)->type == EXO_TYPE_NONE && (slot < reserved || slot >= reserved_end) ? run + 1 : 0;
		if (run == count)
			return slot + 1 - count;
	}
	return 0;
}

uint32_t caps_slots(uint32_t count)
{
	uint32_t first;

	core_stack();
	while (!(first = scan_run(next_slot, count)) && !(first = scan_run(1, count)))
		if (!grow())
			return 0;
	next_slot = first + count;
	return first;
}

void caps_reserve(uint32_t first, uint32_t end)
{
	reserved = first;
	reserved_end = end;
}

void caps_forked(void)
{
	table_frames = 1;
	next_slot = 1;
	growing = false;
}

int64_t caps_delete(exo_cap_t cap)
{
	int64_t error;

	do
		error = exo_cap_delete(cap);
	while (error == -EXO_EAGAIN);
	return error;
}

int64_t caps_flow_make(uint64_t slot, exo_cap_t parent, exo_cap_t frames, uint64_t first, uint64_t offset)
{
	int64_t result;

	do
		result = exo_flow_make(slot, parent, frames, first, offset);
	while (result == -EXO_EAGAIN);
	return result;
}

int64_t caps_derive(exo_cap_t source, uint64_t rights, uint64_t first, uint64_t count)
{
	uint32_t slot = caps_slot();

	if (!slot)
		return -EXO_EFULL;
	if (!count) {
		const struct exo_cap *cap = caps_at(exo_cap_slot(source));
		bool ranged = cap && (cap->type == EXO_TYPE_FRAME || cap->type == EXO_TYPE_SLICE);
		if (ranged && cap->count > first)
			count = cap->count - first;
	}
	int64_t error = exo_cap_derive(source, EXO_CAP_NONE, slot, rights, first, count);
	return error < 0 ? error : (int64_t)caps_handle(slot);
}
