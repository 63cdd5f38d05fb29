/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libos/disk: an extent as a block device: data in any shape arrives, many threads and many more requests than the ring
 * has slots, forced writes, errors, an extent and shares that are taken away, and no frame left behind.
 *
 * Run with: --smp 2 --disk scratch:64M
 * Time limit: 120 s
 */
#include <stdlib.h>
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "test/guest/tap.h"

#define BLOCKS		(64 << 20 >> 12)
#define THREADS		40
#define MANY		300

static struct block_device *device;
static uint32_t seed = 1;

static uint32_t chance(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)seed * below >> 32);
}

static void mark(void *memory, uint32_t block, uint32_t salt)
{
	uint32_t *word = memory;

	for (uint32_t i = 0; i < BLOCK_BYTES / 4; i++)
		word[i] = block * 2654435761u + salt + i;
}

static bool marked(const void *memory, uint32_t block, uint32_t salt)
{
	const uint32_t *word = memory;

	for (uint32_t i = 0; i < BLOCK_BYTES / 4; i++)
		if (word[i] != block * 2654435761u + salt + i)
			return false;
	return true;
}

/* --- shapes ---------------------------------------------------------------------------------------------- */

static void test_shapes(void)
{
	unsigned bad = 0;
	char *memory = block_memory(device, 128);

	for (unsigned round = 0; round < 60; round++) {
		uint32_t parts = 1 + chance(BLOCK_PARTS_MAX), sum = 0, block = chance(BLOCKS - 64), at = 0;
		struct block_request request = { .block = block, .operation = BLOCK_WRITE };
		for (uint32_t i = 0; i < parts && sum < 64; i++) {
			uint32_t count = 1 + chance(8);
			count = count < 64 - sum ? count : 64 - sum;
			at += chance(3);
			request.part[i].memory = memory + (size_t)(at % (128 - count)) * BLOCK_BYTES;
			request.part[i].blocks = count;
			request.parts = (uint16_t)(i + 1);
			at = at % (128 - count) + count;
			sum += count;
			if (at > 110)
				break;
		}
		request.count = sum;
		for (uint32_t i = 0, n = 0; i < request.parts; i++)
			for (uint32_t j = 0; j < request.part[i].blocks; j++, n++)
				mark((char *)request.part[i].memory + (size_t)j * BLOCK_BYTES, block + n, round);
		block_submit(device, &request);
		bad += block_wait(device, &request) != 0;
		char *back = block_memory(device, sum);
		bad += block_read(device, block, sum, back) != 0;
		for (uint32_t i = 0; i < sum; i++)
			bad += !marked(back + (size_t)i * BLOCK_BYTES, block + i, round);
		block_memory_free(device, back, sum);
	}
	ok(!bad, "writes of up to 16 parts come back (%u wrong)", bad);
	block_memory_free(device, memory, 128);
}

/* Memory in which no two pages are neighbours in a capability. */
static void test_scattered(void)
{
	char *hole[64], *memory;
	unsigned bad = 0;

	for (unsigned i = 0; i < 64; i++)
		hole[i] = block_memory(device, 1);
	for (unsigned i = 0; i < 64; i += 2)
		block_memory_free(device, hole[i], 1);
	memory = block_memory(device, 64);
	for (unsigned i = 0; i < 64; i++)
		mark(memory + i * BLOCK_BYTES, 77 + i, 5);
	bad += block_write(device, 77, 64, memory, 0) != 0;
	memset(memory, 0, 64 * BLOCK_BYTES);
	bad += block_read(device, 77, 64, memory) != 0;
	for (unsigned i = 0; i < 64; i++)
		bad += !marked(memory + i * BLOCK_BYTES, 77 + i, 5);
	for (unsigned i = 1; i < 64; i += 2)
		block_memory_free(device, hole[i], 1);
	block_memory_free(device, memory, 64);
	ok(!bad, "64 blocks to and from frames that lie about (%u wrong)", bad);
}

/* --- many ------------------------------------------------------------------------------------------------ */

static unsigned ended, chained;
static struct block_request follow;

static void count(struct block_request *request)
{
	ended++;
	if (request->arg && !chained++) {
		follow = *request;
		follow.arg = NULL;
		block_submit(device, &follow);
	}
}

static void test_many(void)
{
	struct block_request *request = calloc(MANY, sizeof(*request));
	char *memory = block_memory(device, MANY);
	unsigned bad = 0;

	for (unsigned i = 0; i < MANY; i++) {
		mark(memory + (size_t)i * BLOCK_BYTES, 1000 + i * 7, 9);
		request[i] = (struct block_request){ .operation = BLOCK_WRITE, .parts = 1, .block = 1000 + i * 7, .count = 1,
			.ended = count, .arg = i == 3 ? memory : NULL };
		request[i].part[0].memory = memory + (size_t)i * BLOCK_BYTES;
		request[i].part[0].blocks = 1;
		block_submit(device, &request[i]);
	}
	for (unsigned i = 0; i < MANY; i++)
		bad += block_wait(device, &request[i]) != 0;
	bad += block_wait(device, &follow) != 0;
	ok(!bad && ended == MANY + 1, "%u requests at once, and one from the end of another: %u have ended", MANY, ended);
	char *back = block_memory(device, 1);
	for (unsigned i = 0; i < MANY; i++)
		bad += block_read(device, 1000 + i * 7, 1, back) || !marked(back, 1000 + i * 7, 9);
	ok(!bad, "each wrote its block (%u wrong)", bad);
	block_memory_free(device, back, 1);
	block_memory_free(device, memory, MANY);
	free(request);
}

static unsigned thread_bad, thread_done;

static void worker(void *arg)
{
	uint32_t own = (uint32_t)(uintptr_t)arg, first = 4000 + own * 100;
	char *memory = block_memory(device, 4);

	for (uint32_t i = 0; i < 25; i++) {
		for (uint32_t j = 0; j < 4; j++)
			mark(memory + j * BLOCK_BYTES, first + i * 4 + j, own);
		thread_bad += block_write(device, first + i * 4, 4, memory, i % 5 ? 0 : BLOCK_FUA) != 0;
		memset(memory, 0, 4 * BLOCK_BYTES);
		thread_bad += block_read(device, first + i * 4, 4, memory) != 0;
		for (uint32_t j = 0; j < 4; j++)
			thread_bad += !marked(memory + j * BLOCK_BYTES, first + i * 4 + j, own);
	}
	thread_bad += block_flush(device) != 0;
	block_memory_free(device, memory, 4);
	thread_done++;
}

static void test_threads(void)
{
	struct thread *thread[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		thread[i] = thread_create("worker", worker, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(thread[i]);
	ok(!thread_bad && thread_done == THREADS, "%u threads write, flush and read at once (%u wrong)", thread_done, thread_bad);
}

/* --- what is refused ------------------------------------------------------------------------------------- */

static void test_errors(void)
{
	char *memory = block_memory(device, 2);
	struct block_request request = { .operation = BLOCK_READ, .parts = 1, .block = 5, .count = 1 };
	static char elsewhere[2 * BLOCK_BYTES] __attribute__((aligned(BLOCK_BYTES)));

	ok(block_read(device, BLOCKS, 1, memory) == -EINVAL, "behind the end");
	ok(block_read(device, BLOCKS - 1, 2, memory) == -EINVAL, "across the end");
	ok(block_read(device, UINT32_MAX, 1, memory) == -EINVAL, "at the last number there is");
	ok(block_read(device, BLOCKS - 1, 1, memory) == 0, "the last block");
	request.part[0].memory = elsewhere;
	request.part[0].blocks = 1;
	block_submit(device, &request);
	ok(block_wait(device, &request) == -EFAULT, "memory that is not the device's");
	request.part[0].memory = memory + 8;
	block_submit(device, &request);
	ok(block_wait(device, &request) == -EFAULT, "memory that begins no page");
	request.part[0].memory = memory;
	request.count = 2;
	block_submit(device, &request);
	ok(block_wait(device, &request) == -EINVAL, "parts that are not the count");
	request.operation = 99;
	block_submit(device, &request);
	ok(block_wait(device, &request) == -EINVAL, "an operation that there is not");
	ok(block_discard(device, 10, 1000) == 0, "a discard, done or ignored");
	block_memory_free(device, memory, 2);
}

static exo_cap_t part_of(exo_cap_t cap, uint64_t rights, uint64_t first, uint64_t count)
{
	int64_t part = caps_derive(cap, rights, first, count);

	return part > 0 ? (exo_cap_t)part : EXO_CAP_NONE;
}

/* A ring by capabilities: parts of disk and shares; they are taken away while it is used. */
static void test_capabilities(void)
{
	exo_cap_t all = core_named(EXO_NAME_BLOCKS), shares = part_of(core_named(EXO_NAME_DISK), EXO_RIGHT_BIND, 0, 8);
	exo_cap_t own = part_of(all, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 100, 50), read = part_of(all, EXO_RIGHT_READ, 100, 50);
	struct block_device *writable, *readable, *none;
	struct disk *disk, *second;

	ok(disk_open(shares, &disk) == 0, "a ring for 8 shares");
	ok(disk_open(shares, &second) == -EBUSY, "shares are part of one ring");
	ok(disk_open(all, &second) == -ENODEV, "blocks are no shares");
	ok(disk_extent(disk, shares, &none) == -ENOENT, "nor the other way");
	ok(!disk_extent(disk, own, &writable) && !disk_extent(disk, read, &readable) && writable->blocks == 50, "two extents");
	char *memory = block_memory(writable, 50);
	mark(memory, 7, 1);
	ok(block_write(writable, 7, 1, memory, BLOCK_FUA) == 0, "one is written");
	memset(memory, 0, BLOCK_BYTES);
	ok(block_read(readable, 7, 1, memory) == 0 && marked(memory, 7, 1), "the other sees it");
	ok(block_write(readable, 7, 1, memory, 0) == -EROFS, "but may not write");
	readable->flags &= ~BLOCK_READ_ONLY;
	ok(block_write(readable, 7, 1, memory, 0) == -EACCES, "nor if it believes so");
	ok(block_read(writable, 50, 1, memory) == -EINVAL, "behind the extent's end");
	writable->blocks = 60;
	ok(block_read(writable, 50, 1, memory) == -EINVAL, "the kernel looks, too");
	caps_delete(own);
	ok(block_read(writable, 7, 1, memory) == -ENXIO, "an extent that was taken away");
	ok(block_read(readable, 7, 1, memory) == 0, "the other one works");
	exo_cap_revoke(shares);
	ok(block_read(readable, 7, 1, memory) == -ENXIO, "shares that were taken away");
	ok(block_read(readable, 7, 1, memory) == -ENXIO, "and stay so");
	block_memory_free(readable, memory, 50);
	writable->ops->close(writable);
	readable->ops->close(readable);
	disk_close(disk);
	ok(!disk_open(shares, &disk), "a new ring");
	disk_close(disk);
	caps_delete(read);
	caps_delete(shares);
}

/* All of it; returns how many frames are in use at its end. */
static uint32_t all(void)
{
	struct block_device *again;

	if (!ok(disk_extent_open(EXO_NAME_BLOCKS, &device) == 0 && device->blocks == BLOCKS, "the disk"))
		return 0;
	ended = chained = thread_done = 0;
	test_shapes();
	test_scattered();
	test_many();
	test_threads();
	test_errors();
	ok(!disk_extent_open(EXO_NAME_BLOCKS, &again), "opened twice");
	again->ops->close(again);
	device->ops->close(device);
	test_capabilities();
	return frame_held() - frame_unused();
}

int main(void)
{
	ok(disk_extent_open("nothing", &device) == -ENOENT, "an extent that is not there");
	ok(disk_extent_open("console", &device) == -ENOENT, "a name of something else");
	uint32_t first = all(), second = all();
	ok(first == second, "frames in use after the first round %u, after the second %u", first, second);
	return tap_done();
}
