/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of disk drivers: what stands in for the disk resource, the contents of the disk as the device has them and
 * as they should be, and random requests. The test includes the driver's source behind this, which then calls the fakes
 * below, and supplies device_step(): the device does one of the requests that it has, any of them.
 *
 * Under way is a request that the driver took and has not given back. No two of these touch the same blocks, nor the
 * same frames, so their order does not matter. What is expected of a write is done when it is submitted.
 */
#include <stdlib.h>

#include "test/unit/tap.h"
#include "test/unit/world.h"
#include "exo/dev/virtio.h"
#include "exo/disks.h"

#define BLOCKS		512
#define POOL		2048	/* frames for data */

static struct disk *disk;		/* that the driver added */
static struct exo_device_info disk_info;
static bool disk_refused;		/* there are enough */
static uint64_t under_way;		/* flights */
static struct disk_transfer transfers[DISK_FLIGHTS];
static bool fails[DISK_FLIGHTS];	/* the device will say so */
static unsigned ends, wrong_ends, settles;
static unsigned char image[BLOCKS][EXO_PAGE_SIZE], expected[BLOCKS][EXO_PAGE_SIZE];
static bool block_busy[BLOCKS];
static exo_pfn_t pool;
static bool pool_busy[POOL];

/* The device does one of the requests that it has; false: it has none. */
static bool device_step(void);

static bool fake_disk_add(struct disk *new, const char *kind)
{
	(void)kind;
	if (disk_refused || !new->blocks)
		return false;
	disk = new;
	disk->info = &disk_info;
	return true;
}

static unsigned part_blocks(const struct disk_part *part)
{
	return part->bytes / EXO_PAGE_SIZE;
}

/* Frames of a request go back; false: what it read is not what is expected. */
static bool transfer_end(unsigned flight)
{
	const struct disk_transfer *t = &transfers[flight];
	bool right = true;
	uint64_t block = t->block;

	for (unsigned i = 0; i < t->parts; i++) {
		for (unsigned j = 0; j < part_blocks(&t->part[i]); j++, block++) {
			paddr_t address = t->part[i].address + j * EXO_PAGE_SIZE;

			if (t->operation == EXO_DISK_READ && !fails[flight])
				right = right && !memcmp(phys_to_virt(address), expected[block], EXO_PAGE_SIZE);
			pool_busy[(address >> EXO_PAGE_SHIFT) - pool] = false;
		}
	}
	for (uint64_t b = t->block; b < t->block + t->blocks; b++)
		block_busy[b] = false;
	return right;
}

static unsigned fake_disk_done(struct disk *of, unsigned flight, bool failed)
{
	ends++;
	if (of != disk || flight >= DISK_FLIGHTS || !(under_way >> flight & 1) || failed != fails[flight] ||
	    !transfer_end(flight)) {
		wrong_ends++;
		return 100;
	}
	under_way &= ~(1ULL << flight);
	return 400;
}

static bool fake_disk_settled(struct disk *of)
{
	(void)of;
	settles++;
	return false;
}

static void fake_lock(void)
{
}

#define disk_add fake_disk_add
#define disk_done fake_disk_done
#define disk_settled fake_disk_settled
#define disk_again arch_irq_again
#define disks_lock fake_lock
#define disks_unlock fake_lock

static void fake_start(uint32_t frames)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	world_boot(frames);
	null.quiet = true;
	disk = NULL;
	memset(&disk_info, 0, sizeof(disk_info));
	under_way = 0;
	ends = wrong_ends = settles = 0;
	memset(block_busy, 0, sizeof(block_busy));
	memset(pool_busy, 0, sizeof(pool_busy));
	for (unsigned i = 0; i < BLOCKS; i++) {
		memset(image[i], (int)(i * 7 + 1), EXO_PAGE_SIZE);
		memcpy(expected[i], image[i], EXO_PAGE_SIZE);
	}
}

/* Frames in one piece; 0: none just now. */
static paddr_t pool_take(unsigned count)
{
	unsigned at = below(POOL), free = 0;

	for (unsigned i = at; i < at + 2 * POOL; i++) {
		free = i % POOL == 0 || pool_busy[i % POOL] ? !pool_busy[i % POOL] : free + 1;
		if (free >= count) {
			memset(&pool_busy[i % POOL + 1 - count], true, count);
			return (paddr_t)(pool + i % POOL + 1 - count) << EXO_PAGE_SHIFT;
		}
	}
	return 0;
}

static bool blocks_free(uint64_t block, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (block + i >= BLOCKS || block_busy[block + i])
			return false;
	}
	return true;
}

/* Give `t` data in pieces of random sizes. */
static void transfer_parts(struct disk_transfer *t)
{
	unsigned left = t->blocks, take;

	while (left) {
		take = t->parts == EXO_DISK_PARTS_MAX - 1 ? left : 1 + below(below(2) ? left : left < 3 ? left : 3);
		t->part[t->parts].address = pool_take(take);
		if (!t->part[t->parts].address) {
			printf("Bail out! no frames\n");
			exit(1);
		}
		t->part[t->parts].bytes = take * EXO_PAGE_SIZE;
		for (unsigned i = 0; i < take; i++)
			memset(phys_to_virt(t->part[t->parts].address + i * EXO_PAGE_SIZE), (int)world_random(), EXO_PAGE_SIZE);
		t->parts++;
		left -= take;
	}
}

/* What the disk is after it. */
static void transfer_expect(const struct disk_transfer *t)
{
	uint64_t block = t->block;

	for (unsigned i = 0; i < t->parts && t->operation == EXO_DISK_WRITE; i++) {
		memcpy(expected[block], phys_to_virt(t->part[i].address), t->part[i].bytes);
		block += part_blocks(&t->part[i]);
	}
	if (t->operation >= EXO_DISK_DISCARD)
		memset(expected[block], 0, t->blocks * EXO_PAGE_SIZE);
}

/* One request; false: the blocks are busy, or the driver has no room. Its flight is the lowest that is free. */
static bool transfer_random(unsigned operations, bool may_fail)
{
	unsigned flight = under_way == ~0ULL ? DISK_FLIGHTS : (unsigned)__builtin_ctzll(~under_way);
	struct disk_transfer t = { .operation = (uint8_t)below(operations) };

	if (flight == DISK_FLIGHTS)
		return false;
	if (t.operation != EXO_DISK_FLUSH) {
		t.blocks = below(3) ? 1 + below(4) : 1 + below(EXO_DISK_BLOCKS_MAX);
		t.block = below(BLOCKS);
		if (!blocks_free(t.block, t.blocks))
			return false;
	}
	t.flags = t.operation == EXO_DISK_WRITE && disk->flags & EXO_DISK_HAS_FUA && below(4) == 0 ? EXO_DISK_FUA : 0;
	if (t.operation <= EXO_DISK_WRITE)
		transfer_parts(&t);
	transfers[flight] = t;
	fails[flight] = may_fail && below(8) == 0;
	if (!disk->submit(disk, flight, &t)) {
		transfer_end(flight);
		return false;
	}
	for (unsigned i = 0; i < t.blocks; i++)
		block_busy[t.block + i] = true;
	under_way |= 1ULL << flight;
	if (!fails[flight])
		transfer_expect(&t);
	return true;
}

/* Requests and ends in random order; then all must have ended, and the disk be as expected. */
static void requests_random(unsigned steps, unsigned operations, const char *what)
{
	unsigned posted = 0;
	bool full = false;

	for (unsigned i = 0; i < steps; i++) {
		for (unsigned n = below(6); n; n--)
			posted += transfer_random(operations, true);
		disk->notify(disk);
		full |= __builtin_popcountll(under_way) > 12;
		for (unsigned n = below(4); n && device_step(); n--)
			;
		if (below(3))
			null.irq(null.irq_arg);
	}
	while (device_step())
		;
	for (unsigned i = 0; under_way && i < 100; i++)
		null.irq(null.irq_arg);
	ok(under_way == 0 && ends == posted && posted > steps, "%s: %u requests, each ended once", what, posted);
	is_int(wrong_ends, 0, "with the right result and contents");
	ok(!memcmp(image, expected, sizeof(image)), "the disk is as it should be");
	ok(full, "many were under way at once");
}

/* The device has forgotten what it had, and did nothing of it: the kernel ends it all. */
static void forgotten(void)
{
	for (; under_way; under_way &= under_way - 1) {
		unsigned flight = (unsigned)__builtin_ctzll(under_way);
		const struct disk_transfer *t = &transfers[flight];

		fails[flight] = true;
		transfer_end(flight);
		for (uint64_t b = t->block; b < t->block + t->blocks; b++)
			memcpy(expected[b], image[b], EXO_PAGE_SIZE);
	}
}

/* Have it in the middle of its work, some ends not taken yet. */
static void in_the_middle(void)
{
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned n = below(6); n; n--)
			transfer_random(EXO_DISK_ZEROES + 1, false);
		disk->notify(disk);
		for (unsigned n = below(4); n && device_step(); n--)
			;
		if (i < 30 && below(2))
			null.irq(null.irq_arg);
	}
}

/* Take as many as it can; then all come back. The driver has lost nothing by what was before. */
static void room_is(unsigned wanted, const char *what)
{
	struct disk_transfer t = { .operation = EXO_DISK_FLUSH };
	unsigned count = 0;

	while (count < DISK_FLIGHTS) {
		transfers[count] = t;
		fails[count] = false;
		if (!disk->submit(disk, count, &t))
			break;
		under_way |= 1ULL << count++;
	}
	is_int(count, wanted, what);
	disk->notify(disk);
	while (device_step())
		;
	for (unsigned i = 0; i < 16; i++)
		null.irq(null.irq_arg);
	ok(under_way == 0, "and they all end");
}
