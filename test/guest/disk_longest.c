/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The longest stay in the kernel for disks: the most that a kick can find, in one ring or in 64, and what goes with 64
 * requests under way. As test/guest/longest: the machine counts instructions as time. On slow disks, so that no call is
 * interrupted by their ends before it is measured.
 * Runs first: yes
 * Run with: --icount --disk scratch:4M,iops=10 --disk scratch:4M,iops=10 -m 64M
 */
#include "test/guest/disk_ring.h"

#define LIMIT	20000
#define RINGS	64
#define RW	(EXO_RIGHT_READ | EXO_RIGHT_WRITE)

static struct exo_disk_ring *page[RINGS];
static exo_cap_t ring_frames, part[RINGS], blocks;
static uint64_t longest;

static inline uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static void note(const char *what, uint64_t took, int64_t result)
{
	printf("# %6lu  %s: %ld\n", (unsigned long)took, what, (long)result);
	longest = took > longest ? took : longest;
}

#define MEASURE(what, call) \
	do { \
		uint64_t began = count(); \
		int64_t result = (call); \
		note(what, count() - began, result); \
	} while (0)

/* Again and again: the longest one. */
#define REPEAT(what, call) \
	do { \
		uint64_t most = 0, began, took, calls = 0; \
		int64_t result; \
		do { \
			began = count(); \
			result = (call); \
			took = count() - began; \
			most = took > most ? took : most; \
			calls++; \
		} while (result == -EXO_EAGAIN); \
		printf("# %lu calls\n", (unsigned long)calls); \
		note(what, most, result); \
	} while (0)

static void post(unsigned ring, unsigned i, unsigned operation, uint32_t block, uint32_t frame, unsigned frames, unsigned flags)
{
	page[ring]->request[(page[ring]->taken + i) % EXO_DISK_SLOTS] = (struct exo_disk_request){ blocks, run[frame % RUNS],
		block, frame % RUN_FRAMES, (uint16_t)frames, (uint8_t)operation, (uint8_t)flags, i };
}

/* Until a disk has nothing of ours under way. */
static void drain(unsigned number)
{
	const struct exo_device_info *info = disk_entry(number);
	uint64_t busy;

	do {
		busy = info->busy_ns;
		core_sleep(core_now() + 200 * MS, core_disp->events);
		while (core_disp->pending)
			__atomic_exchange_n(&core_disp->pending, 0, __ATOMIC_RELAXED);
		for (exo_time_t end = core_now() + 100 * MS; core_now() < end; )
			;
	} while (info->busy_ns != busy);
}

/* What the disk may do at once is spent. */
static void spend(unsigned ring)
{
	exo_time_t end = core_now() + 2 * CORE_SECOND;

	for (unsigned i = 0; i < 3; i++) {
		uint32_t done = page[ring]->done;
		post(ring, 0, EXO_DISK_READ, 0, 0, 1, 0);
		page[ring]->posted = page[ring]->taken + 1;
		exo_disk_kick(part[ring]);
		while (page[ring]->done == done && core_now() < end)
			;
	}
}

static exo_cap_t frames_for_rings(void)
{
	uint32_t slot = caps_slot();
	exo_cap_t frames = made(slot, exo_frame_take(slot, EXO_PFN_ANY, EXO_TAKE_MAX));

	for (uint32_t left = RINGS - EXO_TAKE_MAX, n; frames && left; left -= n) {
		n = left < EXO_TAKE_MAX ? left : EXO_TAKE_MAX;
		if (exo_frame_take(frames, EXO_PFN_ANY, n) != n)
			return EXO_CAP_NONE;
	}
	return frames;
}

static bool bind(exo_cap_t disk, unsigned rings)
{
	for (unsigned i = 0; i < rings; i++) {
		part[i] = (exo_cap_t)caps_derive(disk, EXO_RIGHT_BIND, i, 1);
		if (exo_disk_bind(part[i], ring_frames, i))
			return false;
	}
	return true;
}

static void unbind(unsigned rings)
{
	for (unsigned i = 0; i < rings; i++)
		caps_delete(part[i]);
}

int main(void)
{
	exo_vaddr_t va = vm_addresses(RINGS * EXO_PAGE_SIZE);
	exo_cap_t disk = core_named(EXO_NAME_DISK), lent[48];
	unsigned i, j;

	blocks = core_named(EXO_NAME_BLOCKS);
	ring_frames = frames_for_rings();
	if (!ok(disk && data_prepare() && ring_frames && !space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, ring_frames, 0, RINGS),
	    "a disk and frames"))
		return call_done();
	for (i = 0; i < RINGS; i++)
		page[i] = (struct exo_disk_ring *)(va + i * EXO_PAGE_SIZE);

	ok(bind(disk, 1), "one ring");
	spend(0);
	for (i = 0; i < 16; i++)
		post(0, i, EXO_DISK_WRITE, i, i, 1, 0);
	page[0]->posted = page[0]->taken + 16;
	MEASURE("kick: requests of one block", exo_disk_kick(part[0]));
	drain(0);
	spend(0);
	for (i = 0; i < 64; i++)
		post(0, i, EXO_DISK_WRITE, 1, 15 - i % 16, 4, (i % 16) < 15 ? EXO_DISK_MORE : 0);
	for (i = 0; i < 64; i++)
		page[0]->request[(page[0]->taken + i) % EXO_DISK_SLOTS].frame = 2 * (i % 6);
	page[0]->posted = page[0]->taken + 64;
	MEASURE("kick: requests of 16 parts and 64 blocks", exo_disk_kick(part[0]));
	drain(0);
	for (i = 0; i < 64; i++)
		post(0, i, EXO_DISK_READ, 1, 15 - i % 16, 4, EXO_DISK_MORE);
	page[0]->posted = page[0]->taken + 64;
	MEASURE("kick: 64 descriptors of one, which has no end", exo_disk_kick(part[0]));
	for (i = 0; i < 64; i++)
		post(0, i, 9, 1, 0, 4, 0);
	page[0]->posted = page[0]->taken + 64;
	MEASURE("kick: refused ones", exo_disk_kick(part[0]));
	unbind(1);

	ok(bind(disk, RINGS), "64 rings");
	spend(0);
	for (i = 0; i < RINGS; i++) {
		for (j = 0; j < 16; j++)
			post(i, j, EXO_DISK_READ, 1, j, 1, j < 15 ? EXO_DISK_MORE : 0);
		page[i]->request[15].frames = 0;
		page[i]->posted = 16;
	}
	MEASURE("kick: 64 rings with a request of 16 bad parts", exo_disk_kick(part[63]));
	for (j = 0; j < 20; j++)
		(void)exo_disk_kick(part[j]);
	spend(0);
	for (i = 0; i < RINGS; i++) {
		for (j = 0; j < 8; j++)
			post(i, j, EXO_DISK_READ, 1, j, 16, 0);
		page[i]->posted = page[i]->taken + 8;
	}
	MEASURE("kick: 64 rings with requests of 16 blocks", exo_disk_kick(part[5]));
	REPEAT("delete: the frames of 64 rings", exo_cap_delete(ring_frames));
	unbind(RINGS);

	/* A slow disk, all of which is under way. */
	ring_frames = frames_for_rings();
	space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, ring_frames, 0, RINGS);
	disk = core_named("disk1");
	exo_cap_t whole = core_named("blocks1");
	ok(bind(disk, 1), "a slow disk");
	for (i = 0; i < 48; i++)
		lent[i] = (exo_cap_t)caps_derive(whole, RW, i, 16);
	for (i = 0; i < 64; i++) {
		post(0, i, EXO_DISK_READ, 0, i, 4, 0);
		page[0]->request[i].blocks = lent[i % 48];
	}
	page[0]->posted = 64;
	while (exo_disk_kick(part[0]) > 0)
		;
	printf("# %u taken, %u done\n", page[0]->taken, page[0]->done);
	REPEAT("revoke: 48 ranges of blocks, with requests under way", exo_cap_revoke(whole));
	for (i = 0; i < 64; i++)
		post(0, i, EXO_DISK_READ, i, i, 4, 0);
	for (i = 0; i < 64; i++)
		page[0]->request[(page[0]->taken + i) % EXO_DISK_SLOTS].blocks = whole;
	page[0]->posted = page[0]->taken + 64;
	MEASURE("kick: reads beside 48 in limbo", exo_disk_kick(part[0]));
	REPEAT("reset: a disk with as many as it can have", exo_disk_reset(disk, EXO_DISK_STEP));
	REPEAT("delete: a ring with requests under way", exo_cap_delete(ring_frames));
	ok(longest <= LIMIT, "the longest stay has %lu instructions", (unsigned long)longest);
	return call_done();
}
