/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For test/e2e/extents.py. What each block holds follows from the seed and the number of writes, so another boot can
 * tell whether all is there.
 *
 *	load NAME SEED WRITES RUN	THREADS threads write the extent NAME and look at what they wrote, and at `common`, which may
 *					only be read; then wait on `meet`, which is shared, until the other has done so in this RUN
 *	check NAME SEED WRITES		NAME holds what those writes have left
 *	churn ROUNDS			extents of the disk come and go; each change is told when it is stable
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/thread.h"
#include "libos/disk/disk.h"
#include "libos/disk/gpt.h"

#define THREADS	4

static struct block_device *own, *common, *meet;
static uint32_t seed, writes, *version;	/* version: of each block, 0: not written */
static unsigned bad;
static bool checking;

static void mark(void *memory, uint32_t block, uint32_t salt)
{
	uint32_t *word = memory;

	for (uint32_t i = 0; i < BLOCK_BYTES / 4; i++)
		word[i] = block * 2654435761u + salt * 40503u + i;
}

static bool marked(const void *memory, uint32_t block, uint32_t salt)
{
	const uint32_t *word = memory;

	for (uint32_t i = 0; i < BLOCK_BYTES / 4; i++)
		if (word[i] != block * 2654435761u + salt * 40503u + i)
			return false;
	return true;
}

static uint32_t next(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*state * below >> 32);
}

static void look(char *memory, uint32_t block)
{
	if (version[block])
		bad += block_read(own, block, 1, memory) || !marked(memory, block, version[block]);
	if (common) {
		block %= common->blocks;
		bad += block_read(common, block, 1, memory) || !marked(memory, block, 0);
	}
}

static void worker(void *arg)
{
	uint32_t number = (uint32_t)(uintptr_t)arg, part = own->blocks / THREADS, state = seed * 977 + number, other = number;
	char *memory = block_memory(own, 8);

	for (uint32_t i = 1; i <= writes / THREADS; i++) {
		uint32_t count = 1 + next(&state, 8), block = number * part + next(&state, part - count);
		for (uint32_t j = 0; j < count; j++) {
			version[block + j] = seed + i * THREADS + number;
			if (!checking)
				mark(memory + j * BLOCK_BYTES, block + j, version[block + j]);
		}
		if (checking)
			continue;
		bad += block_write(own, block, count, memory, i % 16 ? 0 : BLOCK_FUA) != 0;
		if (i % 4 == 0)
			look(memory, number * part + next(&other, part));
	}
	for (uint32_t i = 0; checking && i < part; i++)
		look(memory, number * part + i);
	bad += !checking && block_flush(own);
	block_memory_free(own, memory, 8);
}

/* Who may only read cannot write, whatever it believes. */
static void try_common(void)
{
	char *memory = block_memory(common, 1);

	bad += block_write(common, 0, 1, memory, 0) != -EROFS;
	common->flags &= ~BLOCK_READ_ONLY;
	bad += block_write(common, 0, 1, memory, 0) != -EACCES;
	bad += block_read(common, common->blocks, 1, memory) != -EINVAL;
	block_memory_free(common, memory, 1);
}

static bool meets(unsigned side, uint32_t run)
{
	char *memory = block_memory(meet, 1);
	bool met = false;

	mark(memory, side, run);
	bad += block_write(meet, side, 1, memory, BLOCK_FUA) != 0;
	for (unsigned i = 0; i < 3000 && !met; i++) {
		met = !block_read(meet, !side, 1, memory) && marked(memory, !side, run);
		if (!met)
			thread_sleep(core_now() + CORE_SECOND / 50);
	}
	block_memory_free(meet, memory, 1);
	return met;
}

static int load(const char *name, uint32_t run)
{
	struct thread *thread[THREADS];

	if (disk_extent_open(name, &own) || (!checking && (disk_extent_open("common", &common) || disk_extent_open("meet", &meet)))) {
		printf("%s: cannot open its extents\n", name);
		return 1;
	}
	version = calloc(own->blocks, sizeof(*version));
	for (unsigned i = 0; i < THREADS; i++)
		thread[i] = thread_create("worker", worker, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(thread[i]);
	if (common)
		try_common();
	/* Told before the other is: that one may end the machine. */
	printf("%s: %lu blocks written, %lu read, %u wrong\n", name, (unsigned long)own->writes, (unsigned long)own->reads, bad);
	fflush(stdout);
	if (!checking && !meets(name[0] == 'r', run)) {
		printf("%s: the other never came\n", name);
		return 1;
	}
	return bad != 0;
}

static int churn(unsigned rounds)
{
	static struct gpt gpt;
	struct gpt_extent extent;
	uint8_t uuid[16];
	char label[16];

	if (disk_extent_open(EXO_NAME_BLOCKS, &own) || gpt_read(own, &gpt))
		return 1;
	for (unsigned i = 0; i < rounds; i++) {
		snprintf(label, sizeof(label), "r%u", i);
		core_random(uuid, sizeof(uuid));
		if (gpt_add(&gpt, label, 256, gpt_type_linux, uuid, NULL) || gpt_write(own, &gpt))
			return 1;
		snprintf(label, sizeof(label), "r%u", i - 2);
		if (i >= 2 && !gpt_find(&gpt, label, &extent)) {
			gpt_remove(&gpt, extent.number);
			if (gpt_write(own, &gpt))
				return 1;
		}
		printf("round %u\n", i);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "churn"))
		return churn((unsigned)atoi(argv[2]));
	if (argc < 5)
		return 2;
	checking = !strcmp(argv[1], "check");
	seed = (uint32_t)atoi(argv[3]);
	writes = (uint32_t)atoi(argv[4]);
	return load(argv[2], argc > 5 ? (uint32_t)atoi(argv[5]) : 0);
}
