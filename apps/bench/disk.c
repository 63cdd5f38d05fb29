/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading from a disk through libos/disk: one block at a time from anywhere, and 64 MiB in a row. For a disk that answers
 * at once (run.py gives it the emulator's null device), so that the count is what the machine did and nothing was waited for.
 */
#include "apps/bench/bench.h"
#include "libos/disk/disk.h"

#define READS		10000
#define WARM		200
#define AT_ONCE		8
#define EACH		64			/* blocks of a request */
#define IN_A_ROW	((64 << 20) / BLOCK_BYTES)

static struct block_device *device;

static void one_by_one(void)
{
	char *memory = block_memory(device, 1);
	uint64_t state = 1;
	struct bench_run run;

	bench_need(memory != NULL, "memory for the disk");
	for (unsigned i = 0; i < WARM + READS; i++) {
		if (i == WARM)
			bench_begin(&run);
		state = state * 6364136223846793005u + 1442695040888963407u;
		bench_need(!block_read(device, (uint32_t)((state >> 33) % device->blocks), 1, memory), "a read");
	}
	bench_end(&run, "disk_read_4k", READS, 0);
	block_memory_free(device, memory, 1);
}

static void in_a_row(void)
{
	static struct block_request request[AT_ONCE];
	struct bench_run run;

	for (unsigned i = 0; i < AT_ONCE; i++) {
		request[i] = (struct block_request){ .operation = BLOCK_READ, .parts = 1, .count = EACH };
		request[i].part[0].memory = block_memory(device, EACH);
		request[i].part[0].blocks = EACH;
		bench_need(request[i].part[0].memory != NULL, "memory for the disk");
	}
	bench_begin(&run);
	for (uint32_t block = 0, i = 0; block < IN_A_ROW; block += EACH, i = (i + 1) % AT_ONCE) {
		bench_need(!block_wait(device, &request[i]), "a read");
		request[i].block = block;
		block_submit(device, &request[i]);
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		bench_need(!block_wait(device, &request[i]), "a read");
	bench_end(&run, "disk_read_64m_block", IN_A_ROW, 0);
}

void bench_disk(void)
{
	bench_need(!disk_extent_open(EXO_NAME_BLOCKS, &device) && device->blocks >= IN_A_ROW, "a disk of 64 MiB or more");
	one_by_one();
	in_a_row();
}
