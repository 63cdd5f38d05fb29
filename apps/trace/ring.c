/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel writes a record, then `head`. What is copied here may be overwritten meanwhile: `head`, read again, tells.
 */
#include "apps/trace/ring.h"
#include "libos/core/space.h"
#include "libos/vm/vm.h"

int64_t ring_take(uint32_t most, exo_cap_t *cap, exo_pfn_t *first)
{
	uint32_t slot = caps_slot(), frames = most < EXO_TAKE_MAX ? most : EXO_TAKE_MAX;
	int64_t taken = exo_frame_take(slot, EXO_PFN_ANY, frames);

	if (taken < 0)
		return taken;
	*cap = caps_handle(slot);
	*first = (exo_pfn_t)caps_at(slot)->first;
	while (frames < most) {
		uint32_t more = most - frames < EXO_TAKE_MAX ? most - frames : EXO_TAKE_MAX;
		if (exo_frame_take(*cap, caps_at(slot)->first + frames, more) <= 0)
			break;
		frames = caps_at(slot)->count;
	}
	return frames;
}

static int64_t frames_of(struct ring *ring, uint32_t frames)
{
	exo_vaddr_t at = vm_addresses((uint64_t)frames * EXO_PAGE_SIZE);
	int64_t got = at ? ring_take(frames, &ring->cap, &ring->first) : -EXO_EFULL;

	if (got < 0)
		return got;
	int64_t error = space_map(at, EXO_MAP_READ, ring->cap, 0, (uint32_t)got);
	if (error < 0)
		return error;
	ring->head = (const struct exo_trace *)at;
	ring->frames = (uint32_t)got;
	return 0;
}

int64_t ring_start(struct ring *ring, exo_cap_t env, uint64_t mask, uint32_t frames)
{
	int64_t error = ring->frames ? 0 : frames_of(ring, frames);

	ring->shown = 0;
	return error < 0 ? error : exo_trace(env, ring->cap, 0, ring->frames, mask);
}

static const struct exo_trace_record *record_at(const struct ring *ring, uint64_t number)
{
	return (const struct exo_trace_record *)(ring->head + 1) + number % ring->head->records;
}

bool ring_next(struct ring *ring, struct exo_trace_record *record, uint64_t *lost)
{
	const struct exo_trace *head = ring->head;

	*lost = 0;
	if (ring->shown == __atomic_load_n(&head->head, __ATOMIC_ACQUIRE))
		return false;
	*record = *record_at(ring, ring->shown);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	uint64_t now = __atomic_load_n(&head->head, __ATOMIC_RELAXED), left = now - ring->shown;
	if (left >= head->records) {	/* what was copied may be half of another */
		*lost = left - head->records / 2;
		ring->shown = now - head->records / 2;
	} else {
		ring->shown++;
	}
	return true;
}

struct exo_trace_record ring_newest(const struct ring *ring, unsigned before)
{
	uint64_t head = __atomic_load_n(&ring->head->head, __ATOMIC_ACQUIRE);

	return head > before && before < ring->head->records ? *record_at(ring, head - 1 - before) :
	    (struct exo_trace_record){ 0 };
}
