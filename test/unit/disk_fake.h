/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of disks: a disk that is an array. What the kernel submits waits until the test has it done, in any order;
 * only then bytes move between the array and the frames, as they lie by then. Told to stop, it forgets what it has, when
 * `deaf` is counted down.
 */
#ifndef TEST_UNIT_DISK_FAKE_H
#define TEST_UNIT_DISK_FAKE_H

#include <stdlib.h>
#include "exo/disks.h"
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define FAKE_BLOCKS	1000

enum { SLOT_SHARES = 40, SLOT_BLOCKS, SLOT_RING, SLOT_DATA };

static struct fake {
	struct disk disk;	/* first */
	uint8_t block[FAKE_BLOCKS][8];	/* the first bytes of each are all that the tests look at */
	struct disk_transfer transfer[DISK_FLIGHTS];
	bool busy[DISK_FLIGHTS];
	unsigned order[DISK_FLIGHTS];	/* those that are under way, the oldest first */
	unsigned count, most;		/* how many, and how many it has room for */
	unsigned submitted, notified, unnotified;
	unsigned deaf, slow;		/* so often it is told to stop, or to start, before it does */
	bool broken;			/* it does not start */
	unsigned stops, starts;
} fake;

static inline bool fake_submit(struct disk *disk, unsigned flight, const struct disk_transfer *transfer)
{
	(void)disk;
	if (fake.count >= fake.most)
		return false;
	if (flight >= DISK_FLIGHTS || fake.busy[flight]) {
		printf("Bail out! flight %u is under way\n", flight);
		exit(1);
	}
	fake.busy[flight] = true;
	fake.transfer[flight] = *transfer;
	fake.order[fake.count++] = flight;
	fake.submitted++;
	fake.unnotified++;
	return true;
}

static inline void fake_notify(struct disk *disk)
{
	(void)disk;
	fake.notified++;
	fake.unnotified = 0;
}

static inline bool fake_stop(struct disk *disk)
{
	(void)disk;
	fake.stops++;
	if (fake.deaf) {
		fake.deaf--;
		return false;
	}
	memset(fake.busy, 0, sizeof(fake.busy));
	fake.count = 0;
	return true;
}

static inline int64_t fake_restart(struct disk *disk)
{
	(void)disk;
	fake.starts++;
	if (fake.broken)
		return ERR(DEVICE);
	if (fake.slow) {
		fake.slow--;
		return ERR(AGAIN);
	}
	return 0;
}

/* What the device does for a flight. */
static inline void fake_work(const struct disk_transfer *transfer)
{
	uint64_t block = transfer->block;
	uint8_t *at;

	for (unsigned i = 0; i < transfer->parts; i++)
		for (uint32_t byte = 0; byte < transfer->part[i].bytes; byte += EXO_PAGE_SIZE, block++) {
			at = phys_to_virt(transfer->part[i].address + byte);
			if (transfer->operation == EXO_DISK_READ)
				memcpy(at, fake.block[block], 8);
			else
				memcpy(fake.block[block], at, 8);
		}
	if (transfer->operation == EXO_DISK_ZEROES)
		memset(fake.block[block], 0, 8 * transfer->blocks);
}

/* The i-th of those under way is done; not told yet. */
static inline void fake_done(unsigned i, bool failed)
{
	unsigned flight = fake.order[i];

	if (!failed)
		fake_work(&fake.transfer[flight]);
	fake.busy[flight] = false;
	fake.count--;
	memmove(&fake.order[i], &fake.order[i + 1], (fake.count - i) * sizeof(fake.order[0]));
	(void)disk_done(&fake.disk, flight, failed);
}

/* An interrupt in which so many of them are done, each chosen by world_random() if `any`. */
static inline bool fake_interrupt(unsigned count, bool any)
{
	bool more;

	disks_lock();
	for (; count && fake.count; count--)
		fake_done(any ? below(fake.count) : 0, false);
	more = disk_settled(&fake.disk);
	disks_unlock();
	return more;
}

static int64_t fake_add(void *arg)
{
	(void)arg;
	return disk_add(&fake.disk, "fake");
}

static inline void fake_fill(unsigned who, uint32_t slot, unsigned type, unsigned rights, uint64_t first, uint32_t count)
{
	cap_fill(cap_slot(world.env[who], slot), type, rights, first, count, 0, NULL, slot);
}

/* A machine with the disk; the first environment has all of it, in SLOT_SHARES and SLOT_BLOCKS. */
static inline void fake_boot(uint32_t frames, uint32_t flags)
{
	world_boot(frames);
	memset(&fake, 0, sizeof(fake));
	fake.disk.blocks = FAKE_BLOCKS;
	fake.disk.flags = flags;
	fake.disk.submit = fake_submit;
	fake.disk.notify = fake_notify;
	fake.disk.stop = fake_stop;
	fake.disk.start = fake_restart;
	fake.most = DISK_FLIGHTS;
	if (null_enter(fake_add, NULL) != NULL_RETURNED || !null.result) {
		printf("Bail out! no disk\n");
		exit(1);
	}
	fake_fill(0, SLOT_SHARES, EXO_TYPE_DISK, EXO_RIGHT_READ | EXO_RIGHT_BIND | EXO_RIGHT_CONTROL,
	    exo_disk_first(0, 0), EXO_DISK_SHARES);
	fake_fill(0, SLOT_BLOCKS, EXO_TYPE_BLOCKS, EXO_RIGHT_READ | EXO_RIGHT_WRITE, exo_disk_first(0, 0), FAKE_BLOCKS);
}

/* The ring in a frame of an environment's capability. */
static inline struct exo_disk_ring *fake_ring(unsigned who, uint32_t slot, uint32_t frame)
{
	return pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], slot)->first + frame);
}

static inline void fake_post(struct exo_disk_ring *ring, struct exo_disk_request request)
{
	ring->request[ring->posted % EXO_DISK_SLOTS] = request;
	ring->posted++;
}

#endif
