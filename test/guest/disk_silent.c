/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libos/disk with a disk that ends nothing for far longer than the program is ready to wait: it is reset, whoever waits gets
 * an answer, and others run meanwhile.
 *
 * Run with: --disk scratch:16M,bps=64K
 * Time limit: 120 s
 */
#include <string.h>
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "test/guest/tap.h"

#define MANY		3
#define RUN		64	/* blocks: four seconds each */

static unsigned turns;
static bool over;

static void other(void *arg)
{
	(void)arg;
	for (; !over; turns++)
		thread_sleep(core_now() + CORE_SECOND / 100);
}

int main(void)
{
	struct block_request request[MANY];
	struct block_device *device;
	exo_time_t begun;
	unsigned failed = 0, odd = 0;

	if (!ok(disk_extent_open(EXO_NAME_BLOCKS, &device) == 0, "a disk that moves 16 blocks a second"))
		return tap_done();
	disk_patience(device, 2 * CORE_SECOND);
	char *memory = block_memory(device, RUN);
	ok(memory && thread_create("other", other, NULL), "memory, and another thread");
	thread_sleep(core_now() + 3 * CORE_SECOND);
	ok(block_read(device, 0, 1, memory) == 0, "that nobody asked for anything for longer than that is no silence");
	begun = core_now();
	for (unsigned i = 0; i < MANY; i++) {
		request[i] = (struct block_request){ .operation = BLOCK_READ, .block = i * RUN, .count = RUN, .parts = 1,
			.part = { { .memory = memory, .blocks = RUN } } };
		block_submit(device, &request[i]);
	}
	for (unsigned i = 0; i < MANY; i++) {
		int result = block_wait(device, &request[i]);
		failed += result != 0;
		odd += result && result != -EIO;
	}
	exo_time_t took = core_now() - begun;
	ok(!odd && took > CORE_SECOND && took < 30 * CORE_SECOND, "%u requests ended after %lu ms, %u with EIO", MANY,
	    (unsigned long)(took / 1000000), failed);
	ok(turns > 50, "another thread ran meanwhile: %u times", turns);
	over = true;
	disk_patience(device, EXO_NEVER);	/* the emulator makes up for what it has not waited for */
	memset(memory, 0x5a, BLOCK_BYTES);
	ok(block_write(device, 9, 1, memory, 0) == 0, "the disk works");
	memset(memory, 0, BLOCK_BYTES);
	ok(block_read(device, 9, 1, memory) == 0 && memory[77] == 0x5a, "and has what was written");
	block_memory_free(device, memory, RUN);
	device->ops->close(device);
	return tap_done();
}
