/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that has one domain of a volume and takes all that it can get: every block that it is given, every buffer, each held
 * by metadata that waits for contents which never come; and writes everybody's metadata back all the time, since what is being
 * written cannot be changed. For test/e2e/in_common.py.
 *
 * Usage: in_common_hog LABEL SECONDS. Says how much it got, and who refused more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/core/core.h"
#include "libos/disk/disk.h"
#include "libos/disk/disk_volume.h"
#include "libos/fs/common_disk.h"

#define SLOTS_FROM	20	/* of its table, that nothing else uses */

static struct volume *volume;
static struct exo_node_change change;
static unsigned gained, pinned, refused, foreign, written, nodes;
static uint64_t child[EXO_VOLUME_BUFFERS_MAX];
static uint32_t child_block[EXO_VOLUME_BUFFERS_MAX];
static unsigned char *page;

static int request(unsigned operation, uint32_t block)
{
	struct block_request r = { .operation = (uint8_t)operation, .parts = 1, .block = block, .count = 1, .through = volume->own };

	r.part[0].memory = page;
	r.part[0].blocks = 1;
	block_submit(volume->device, &r);
	return block_wait(volume->device, &r);
}

/* Slot i of metadata of one's own names `count` blocks of a type. */
static int64_t gain(uint64_t node, uint32_t meta, unsigned i, uint32_t block, uint32_t count, unsigned type)
{
	const volatile struct exo_volume_block *entry = volume_entry(volume, meta);
	struct common_slot value = { block, type << 24 | count, 0, 0 };

	if (entry->buffer == EXO_VOLUME_NONE)
		return -EXO_EBUSY;
	memset(&change, 0, sizeof(change));
	change.at = COMMON_SLOT_AT(i);
	change.bytes = sizeof(value);
	memcpy(change.old, volume_buffer(volume, entry->buffer) + change.at, sizeof(value));
	memcpy(change.new, &value, sizeof(value));
	for (uint32_t n = 0; n < count; n++) {
		change.gain[n].block = block + n;
		change.gain[n].type = type;
	}
	change.gains = count;
	return volume->ops->change(volume, node, &change);
}

static uint32_t free_block(uint32_t from, uint32_t count)
{
	uint32_t run = 0;

	for (; from < volume->blocks; from++) {
		run = volume_entry(volume, from)->state == EXO_BLOCK_FREE ? run + 1 : 0;
		if (run == count)
			return from + 1 - count;
	}
	return 0;
}

static void there(uint32_t block, uint32_t buffer)
{
	int64_t result = volume->ops->load(volume, volume->own, block, buffer);

	refused += result == -EXO_EQUOTA;
	if (result == 1 && !request(BLOCK_READ, block))
		(void)volume->ops->load(volume, volume->own, block, buffer);
}

/* A node in each buffer, with a block that is never written. */
static void take_buffers(void)
{
	for (uint32_t buffer = 0; buffer < volume->buffers && nodes < COMMON_SLOTS - SLOTS_FROM; buffer++) {
		uint32_t block = free_block(1, 1), data;
		int64_t cap;

		for (uint32_t own = 0; own < volume->buffers && volume_entry(volume, volume->own_block)->buffer == EXO_VOLUME_NONE; own++)
			there(volume->own_block, own);
		if (!child[nodes]) {
			if (!block || gain(volume->own, volume->own_block, SLOTS_FROM + nodes, block, 1, COMMON_NODE))
				return;
			cap = volume->ops->open(volume, volume->own, block, true);
			if (cap <= 0)
				return;
			child[nodes] = (uint64_t)cap;
			child_block[nodes] = block;
			gained++;
		}
		there(child_block[nodes], buffer);
		data = free_block(1, 1);
		if (volume_entry(volume, child_block[nodes])->buffer != buffer || !data)
			continue;
		if (gain(child[nodes], child_block[nodes], 0, data, 1, COMMON_DATA) == 0) {
			gained++;
			pinned++;
			nodes++;
		}
	}
}

static void take_blocks(void)
{
	for (unsigned n = 0; n < nodes; n++)
		for (unsigned slot = 1; slot < COMMON_MAP_FIRST; slot++) {
			uint32_t count = EXO_VOLUME_CHANGE_MAX, block = 0;

			while (count && !(block = free_block(1, count)))
				count /= 2;
			int64_t result = count ? gain(child[n], child_block[n], slot, block, count, COMMON_DATA) : -1;

			while (result == -EXO_EQUOTA && count > 1) {
				count /= 2;
				result = gain(child[n], child_block[n], slot, block, count, COMMON_DATA);
			}
			refused += result == -EXO_EQUOTA;
			gained += result == 0 ? count : 0;
			if (result)
				return;
		}
}

/* All that is in a buffer and another's is written back, changed or not. */
static void write_all(void)
{
	for (uint32_t i = 0; i < volume->buffers; i++) {
		uint32_t block = ((const volatile struct exo_volume *)volume->page)->buffer[i].block;

		if (block >= volume->blocks)
			continue;
		foreign++;
		written += request(BLOCK_WRITE, block) == 0;
	}
}

int main(int argc, char **argv)
{
	int error = argc == 3 ? disk_volume_take(argv[1], &volume) : -1;
	exo_time_t until = core_now() + (argc == 3 ? (uint64_t)atoi(argv[2]) : 0) * CORE_SECOND;

	page = error ? NULL : disk_memory(1);
	if (!page) {
		printf("in_common_hog: no volume: %d\n", error);
		return 1;
	}
	/* What others write at the moment cannot be changed: again, until there is no more to get. */
	for (unsigned tries = 0; tries < 1000 && !refused; tries++) {
		take_buffers();
		if (!refused)
			usleep(1000);
	}
	take_blocks();
	printf("in_common_hog: %u of %u blocks, %u of %u buffers, refused %u times\n", gained, volume->blocks, pinned, volume->buffers, refused);
	while (core_now() < until)
		write_all();
	printf("in_common_hog: %u of %u writes went through\n", written, foreign);
	usleep(2000000);
	return 0;
}
