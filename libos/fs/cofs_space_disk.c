/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free space of a cofs on the disk: where its blocks lie, reading and writing them. See cofs_disk.h.
 *
 * A commit writes each chunk of bits that has changed to the other of its two places, then each index block, and the
 * superblock has the sums: nothing needs to be allocated to write down what is allocated.
 */
#include <stdlib.h>
#include "libos/fs/cofs_private.h"

void cofs_space_layout(uint32_t blocks, uint32_t *chunks, uint32_t *indexes, uint32_t *fixed, uint32_t *log_blocks)
{
	*chunks = (blocks - 1) / COFS_CHUNK_BLOCKS + 1;
	*indexes = (*chunks - 1) / COFS_INDEX_CHUNKS + 1;
	*log_blocks = blocks / 64 < 16 ? 16 : blocks / 64 > 512 ? 512 : blocks / 64 & ~1u;
	*fixed = 1 + 2 * *indexes + 2 * *chunks + *log_blocks;
}

uint32_t cofs_index_block(const struct cofs *fs, uint32_t number, bool place)
{
	return 1 + (place ? fs->indexes : 0) + number;
}

uint32_t cofs_chunk_block(const struct cofs *fs, uint32_t number, bool place)
{
	return 1 + 2 * fs->indexes + (place ? fs->chunks : 0) + number;
}

static uint64_t sum_of(const struct cofs_index_entry *entry)
{
	return (uint64_t)entry->sum_high << 32 | entry->sum_low;
}

static int index_load(struct cofs *fs, uint32_t number, struct cofs_index *index)
{
	uint64_t sum = fs->super.index_sum[number];
	bool place = fs->super.index_place[number / 8] >> number % 8 & 1;
	int error;

	memset(index, 0, sizeof(*index));
	fs->index_place[number] = place;
	if (sum) {
		error = block_read(fs->device, cofs_index_block(fs, number, place), 1, index);
		if (error)
			return error;
		fs->counts.verified++;
		if (cofs_sum(index, BLOCK_BYTES) != sum)
			return -FS_EDAMAGED;
	}
	for (uint32_t i = 0; i < COFS_INDEX_CHUNKS && number * COFS_INDEX_CHUNKS + i < fs->chunks; i++) {
		struct cofs_chunk *chunk = &fs->chunk[number * COFS_INDEX_CHUNKS + i];

		chunk->sum = sum_of(&index->entry[i]);
		chunk->place = index->entry[i].free >> 31;
		chunk->free = chunk->sum ? index->entry[i].free & INT32_MAX : COFS_CHUNK_BLOCKS;
		if (chunk->free > COFS_CHUNK_BLOCKS)
			return -FS_EDAMAGED;
		chunk->available = chunk->free;
		fs->free_total += chunk->free;
		fs->free_now += chunk->free;
	}
	return 0;
}

int cofs_space_load(struct cofs *fs)
{
	struct cofs_page *page;
	int error;

	fs->chunk = calloc(fs->chunks, sizeof(*fs->chunk));
	fs->index_dirty = calloc(fs->indexes, sizeof(*fs->index_dirty));
	fs->index_place = calloc(fs->indexes, sizeof(*fs->index_place));
	if (!fs->chunk || !fs->index_dirty || !fs->index_place)
		return -ENOMEM;
	error = cofs_pool_temporary(fs, &page);
	if (error)
		return error;
	for (uint32_t i = 0; i < fs->indexes && !error; i++)
		error = index_load(fs, i, (struct cofs_index *)page->buffer.data);
	cofs_pool_drop(fs, page);
	fs->space_there = !error;
	return error;
}

void cofs_space_end(struct cofs *fs)
{
	for (uint32_t i = 0; fs->chunk && i < fs->chunks; i++)
		free(fs->chunk[i].now);
	free(fs->chunk);
	free(fs->index_dirty);
	free(fs->index_place);
}

/* Chunks that are as they were at the last commit and that hold nothing back need not stay. */
static void unload_some(struct cofs *fs)
{
	uint32_t there = 0;

	for (uint32_t i = 0; i < fs->chunks; i++)
		there += fs->chunk[i].now != NULL;
	for (uint32_t i = 0; i < fs->chunks && there > 128; i++) {
		struct cofs_chunk *chunk = &fs->chunk[i];

		if (!chunk->now || chunk->dirty || chunk->available != chunk->free)
			continue;
		free(chunk->now);
		chunk->now = chunk->stable = NULL;
		there--;
	}
}

/* What is never free: the front, the last block, and what is behind it. */
static bool fixed_right(const struct cofs *fs, const struct cofs_chunk *chunk, uint32_t number)
{
	uint64_t begin = (uint64_t)number * COFS_CHUNK_BLOCKS;

	for (uint64_t block = begin; block < begin + COFS_CHUNK_BLOCKS; block++) {
		if (block >= fs->fixed && block < fs->super.blocks - 1) {
			if (fs->super.blocks - 1 >= begin + COFS_CHUNK_BLOCKS)
				break;
			block = fs->super.blocks - 2;
			continue;
		}
		if (block % 64 == 0 && chunk->now[(block - begin) / 64] == ~0ull) {
			block += 63;
			continue;
		}
		if (!(chunk->now[(block - begin) / 64] >> (block - begin) % 64 & 1))
			return false;
	}
	return true;
}

int cofs_chunk_load(struct cofs *fs, uint32_t number)
{
	struct cofs_chunk *chunk = &fs->chunk[number];
	struct cofs_page *page;
	uint32_t free_bits = 0;
	int error;

	error = cofs_pool_temporary(fs, &page);
	if (error)
		return error;
	chunk->now = malloc(2 * BLOCK_BYTES);
	error = chunk->now ? 0 : -ENOMEM;
	if (!error && chunk->sum)
		error = block_read(fs->device, cofs_chunk_block(fs, number, chunk->place), 1, page->buffer.data);
	if (!error) {
		if (!chunk->sum)
			memset(page->buffer.data, 0, BLOCK_BYTES);
		else if (cofs_sum(page->buffer.data, BLOCK_BYTES) != chunk->sum)
			error = -FS_EDAMAGED;
		memcpy(chunk->now, page->buffer.data, BLOCK_BYTES);
		chunk->stable = chunk->now + BLOCK_BYTES / 8;
		memcpy(chunk->stable, chunk->now, BLOCK_BYTES);
		for (unsigned i = 0; i < BLOCK_BYTES / 8; i++)
			free_bits += (uint32_t)__builtin_popcountll(~chunk->now[i]);
		if (free_bits != chunk->free || !fixed_right(fs, chunk, number))
			error = -FS_EDAMAGED;
	}
	cofs_pool_drop(fs, page);
	if (error) {
		free(chunk->now);
		chunk->now = chunk->stable = NULL;
	}
	return error;
}

static int chunk_write(struct cofs *fs, uint32_t number)
{
	struct cofs_chunk *chunk = &fs->chunk[number];
	struct cofs_page *page;
	int error = cofs_pool_temporary(fs, &page);

	if (error)
		return error;
	memcpy(page->buffer.data, chunk->now, BLOCK_BYTES);
	chunk->sum = cofs_sum(page->buffer.data, BLOCK_BYTES);
	cofs_io_write(fs, &page, 1, cofs_chunk_block(fs, number, !chunk->place));
	fs->index_dirty[number / COFS_INDEX_CHUNKS] = true;
	return 0;
}

static int index_write(struct cofs *fs, uint32_t number)
{
	struct cofs_index *index;
	struct cofs_page *page;
	int error = cofs_pool_temporary(fs, &page);

	if (error)
		return error;
	index = (struct cofs_index *)page->buffer.data;
	memset(index, 0, sizeof(*index));
	for (uint32_t i = 0; i < COFS_INDEX_CHUNKS && number * COFS_INDEX_CHUNKS + i < fs->chunks; i++) {
		const struct cofs_chunk *chunk = &fs->chunk[number * COFS_INDEX_CHUNKS + i];

		if (!chunk->sum)
			continue;
		index->entry[i].sum_low = (uint32_t)chunk->sum;
		index->entry[i].sum_high = (uint32_t)(chunk->sum >> 32);
		index->entry[i].free = chunk->free | (uint32_t)(chunk->place ^ chunk->dirty) << 31;
	}
	fs->super.index_sum[number] = cofs_sum(index, BLOCK_BYTES);
	fs->super.index_place[number / 8] &= (uint8_t)~(1u << number % 8);
	fs->super.index_place[number / 8] |= (uint8_t)((unsigned)!fs->index_place[number] << number % 8);
	cofs_io_write(fs, &page, 1, cofs_index_block(fs, number, !fs->index_place[number]));
	return 0;
}

/* Begin to write what has changed since the last commit; it can be done again, if the commit fails. */
int cofs_space_write(struct cofs *fs)
{
	int error = 0;

	for (uint32_t i = 0; i < fs->chunks && !error; i++)
		if (fs->chunk[i].dirty)
			error = chunk_write(fs, i);
	for (uint32_t i = 0; i < fs->indexes && !error; i++)
		if (fs->index_dirty[i])
			error = index_write(fs, i);
	return error;
}

/* All is written. `sure`: the superblock, too, and what it does not use is free now; else what either state uses is held. */
void cofs_space_written(struct cofs *fs, bool sure)
{
	for (uint32_t i = 0; i < fs->chunks; i++) {
		struct cofs_chunk *chunk = &fs->chunk[i];

		if (!chunk->now || (!chunk->dirty && chunk->available == chunk->free))
			continue;
		for (unsigned word = 0; word < BLOCK_BYTES / 8; word++)
			chunk->stable[word] = sure ? chunk->now[word] : chunk->stable[word] | chunk->now[word];
		if (sure) {
			fs->free_now += chunk->free - chunk->available;
			chunk->available = chunk->free;
		}
		chunk->place ^= chunk->dirty;
		chunk->dirty = false;
	}
	for (uint32_t i = 0; i < fs->indexes; i++) {
		fs->index_place[i] ^= fs->index_dirty[i];
		fs->index_dirty[i] = false;
	}
	fs->node_hint = 0;
	unload_some(fs);
}
