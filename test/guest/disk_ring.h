/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The least that makes requests of a disk: a ring, frames, and requests by number, without any policy. For tests of disks
 * and their drivers, which run as the machine's first environment.
 */
#ifndef TEST_GUEST_DISK_RING_H
#define TEST_GUEST_DISK_RING_H

#include <exo/disk.h>
#include "test/guest/call.h"

#define RUNS		6	/* of frames */
#define RUN_FRAMES	16
#define FRAMES		(RUNS * RUN_FRAMES)

/* Frames for data: page i of `data` is frame i % RUN_FRAMES of run[i / RUN_FRAMES]. */
static exo_cap_t run[RUNS];
static char (*data)[EXO_PAGE_SIZE];

struct ring {
	exo_cap_t disk;
	struct exo_disk_ring *at;
	uint32_t posted, seen;
};

static inline bool data_prepare(void)
{
	exo_vaddr_t va = vm_addresses((uint64_t)FRAMES * EXO_PAGE_SIZE);

	data = (char (*)[EXO_PAGE_SIZE])va;
	for (unsigned i = 0; i < RUNS; i++) {
		run[i] = take_frames(RUN_FRAMES);
		if (!run[i] || space_map(va + i * RUN_FRAMES * EXO_PAGE_SIZE, EXO_MAP_READ | EXO_MAP_WRITE, run[i], 0, RUN_FRAMES))
			return false;
	}
	return true;
}

static inline const struct exo_device_info *disk_entry(unsigned number)
{
	for (unsigned i = 0; i < EXO_DEVICES_MAX; i++)
		if (core_info->device[i].kind == 2 && core_info->device[i].address[0] == number)
			return &core_info->device[i];
	return NULL;
}

/* A ring bound through a DISK capability. */
static inline bool ring_open(struct ring *ring, exo_cap_t disk)
{
	exo_cap_t frame = take_frames(1);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);

	*ring = (struct ring){ .disk = disk, .at = (struct exo_disk_ring *)va };
	return frame && !space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frame, 0, 1) && !exo_disk_bind(disk, frame, 0);
}

/* Room for that many descriptors. */
static inline bool ring_room(const struct ring *ring, unsigned count)
{
	return ring->posted + count - __atomic_load_n(&ring->at->taken, __ATOMIC_ACQUIRE) <= EXO_DISK_SLOTS;
}

/* One descriptor; the kernel sees it at ring_post. */
static inline void ring_add(struct ring *ring, const struct exo_disk_request *request)
{
	ring->at->request[ring->posted++ % EXO_DISK_SLOTS] = *request;
}

static inline int64_t ring_post(struct ring *ring)
{
	int64_t got, all = 0;

	__atomic_store_n(&ring->at->posted, ring->posted, __ATOMIC_RELEASE);
	while ((got = exo_disk_kick(ring->disk)) > 0 || got == -EXO_EAGAIN)
		all += got > 0 ? got : 0;
	return got < 0 ? got : all;
}

/* The next completion, waited for. false: none for ten seconds. */
static inline bool ring_next(struct ring *ring, struct exo_disk_done *done)
{
	exo_time_t end = core_now() + 10 * CORE_SECOND;

	while (__atomic_load_n(&ring->at->done, __ATOMIC_ACQUIRE) == ring->seen) {
		if (core_now() > end)
			return false;
		__builtin_ia32_pause();
	}
	*done = ring->at->completion[ring->seen++ % EXO_DISK_SLOTS];
	return true;
}

/* One request by itself; its result, or 1 if it does not end. Data is page 0. */
static inline int64_t ring_do(struct ring *ring, exo_cap_t blocks, unsigned operation, uint32_t block, unsigned flags)
{
	struct exo_disk_done done;

	ring_add(ring, &(struct exo_disk_request){ .blocks = blocks, .frames = run[0], .block = block, .count = 1,
		.operation = (uint8_t)operation, .flags = (uint8_t)flags, .tag = 77 });
	if (ring_post(ring) < 0 || !ring_next(ring, &done) || done.tag != 77)
		return 1;
	return done.result;
}

#endif
