/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The invariants of disks, K1..K4 of exo/disks.h: part of test/lib/invariants.c, which calls it after each call of a
 * checked kernel and of unit tests. Its cost: flights and rings, and the blocks that are under way.
 */
#include "exo/disks.h"
#include "test/lib/invariants.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			return "disk: " #condition; \
	} while (0)

/* K1, K3. */
static const char *check_flight(const struct disk *disk, const struct disk_flight *flight)
{
	const struct disk_state *state = disk->state;
	const struct disk_transfer *transfer = &flight->transfer;
	const struct exo_cap *cap = flight->through;
	uint64_t blocks = 0;
	exo_pfn_t pfn, end;

	CHECK(flight->ring >= state->ring && flight->ring < state->ring + EXO_DISK_SHARES);
	CHECK(flight->gone || flight->ring->through);
	CHECK(transfer->parts <= EXO_DISK_PARTS_MAX && transfer->blocks <= EXO_DISK_BLOCKS_MAX);
	for (unsigned i = 0; i < transfer->parts; i++) {
		pfn = (exo_pfn_t)(transfer->part[i].address >> EXO_PAGE_SHIFT);
		end = pfn + (transfer->part[i].bytes >> EXO_PAGE_SHIFT);
		blocks += end - pfn;
		for (; pfn < end; pfn++) {
			CHECK(pfn < info->frames_total && frame_table[pfn].pins);
			CHECK(info_frame[pfn].state == EXO_FRAME_OWNED || info_frame[pfn].state == EXO_FRAME_RING ||
			    info_frame[pfn].state == EXO_FRAME_VOLUME);
		}
	}
	CHECK(!transfer->parts || blocks == transfer->blocks);
	CHECK(transfer->block + transfer->blocks <= disk->blocks);
	if (!cap)
		return NULL;
	CHECK(info_frame[cap_ref(cap) >> 6].state == EXO_FRAME_CAPS);
	CHECK(cap->type == EXO_TYPE_BLOCKS && cap->first >> EXO_DISK_SHIFT == disk->number);
	CHECK(cap->rights & (transfer->operation == EXO_DISK_READ ? EXO_RIGHT_READ : EXO_RIGHT_WRITE));
	if (transfer->operation == EXO_DISK_FLUSH)
		return NULL;
	CHECK(exo_disk_first(disk->number, transfer->block) >= cap->first);
	CHECK(exo_disk_first(disk->number, transfer->block) + transfer->blocks <= cap->first + cap->count);
	return NULL;
}

/* No two in limbo or beside it touch the same blocks, unless both were under way before: that cannot be seen here. */
static const char *check_flights(const struct disk *disk, uint32_t *of_ring)
{
	const struct disk_state *state = disk->state;
	unsigned flights = 0, limbo = 0;
	const char *broken;

	for (unsigned i = 0; i < DISK_FLIGHTS; i++) {
		if (!(state->under_way >> i & 1))
			continue;
		broken = check_flight(disk, &state->flight[i]);
		if (broken)
			return broken;
		flights++;
		limbo += !state->flight[i].through;
		of_ring[state->flight[i].ring->number] += !state->flight[i].gone;
	}
	CHECK(state->flights == flights && state->limbo == limbo);
	CHECK(!state->blocked || limbo);
	return NULL;
}

static const char *check_ring(const struct disk *disk, const struct disk_ring *ring, uint32_t flights)
{
	const struct exo_cap *through = ring->through, *frames = ring->frames;
	uint32_t slot;

	CHECK(ring->flights == flights);
	if (!(disk->state->rings >> ring->number & 1)) {
		CHECK(!through && !frames && !ring->page && !flights);
		return NULL;
	}
	CHECK(through && through->type == EXO_TYPE_DISK && through->rights & EXO_RIGHT_BIND);
	CHECK(through->first == exo_disk_first(disk->number, ring->number) && through->count == ring->shares);
	CHECK(frames && frames->type == EXO_TYPE_FRAME && frames->flags & CAP_RINGS);
	CHECK(ring->pfn >= frames->first && info_frame[ring->pfn].state == EXO_FRAME_RING && frame_table[ring->pfn].pins);
	CHECK(ring->page == pfn_to_virt(ring->pfn));
	CHECK(info_frame[ring->env->self].state == EXO_FRAME_ENV);
	CHECK(cap_env(through, &slot) == ring->env && cap_env(frames, &slot) == ring->env);
	return NULL;
}

static const char *check_disk(const struct disk *disk)
{
	const struct disk_state *state = disk->state;
	uint32_t flights[EXO_DISK_SHARES] = { 0 };
	const char *broken = check_flights(disk, flights);
	uint64_t bound = 0, own;

	for (unsigned i = 0; i < EXO_DISK_SHARES && !broken; i++) {
		broken = check_ring(disk, &state->ring[i], flights[i]);
		if (broken || !(state->rings >> i & 1))
			continue;
		CHECK(state->ring[i].shares && i + state->ring[i].shares <= EXO_DISK_SHARES);
		own = ~0ULL >> (64 - state->ring[i].shares) << i;
		CHECK(!(bound & own));
		bound |= own;
	}
	if (broken)
		return broken;
	CHECK(bound == state->bound);
	CHECK(!((state->told | state->blocked) & ~state->rings));
	return NULL;
}

const char *invariants_disks(void)
{
	const struct disk *disk;
	const char *broken = NULL;

	for (unsigned i = 0; !broken && (disk = disk_numbered(i)) != NULL; i++)
		broken = check_disk(disk);
	return broken;
}
