/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounting a cofs after a power cut: the records of the log that go on from the last commit are applied, in memory.
 *
 * Records count while they follow one another. Each but the last was stable before the next was written; of the last one
 * the data that it speaks of may be missing, so the sums of its extents are tried: if one is wrong, it had not been
 * promised. If a record is missing in front of one that is there, the log is damaged, which is an error. Before anything
 * is applied, all blocks that records take are held, so that the tree's new blocks do not come to lie on them. Nothing
 * is written before the commit that follows, so a power cut in the middle changes nothing.
 */
#include <stdlib.h>
#include "libos/fs/cofs_private.h"

struct replay {
	struct cofs *fs;
	uint8_t *memory;		/* COFS_RECORD_BLOCKS pages */
	uint32_t half;			/* blocks of half the log */
	uint64_t *wanted;		/* block, sum: what the last record takes, and must have there */
	uint32_t wanted_count, wanted_max;
};

/* Does a record begin at block `at` of a half? Then memory has it. */
static int read_one(struct replay *replay, uint32_t at, unsigned half, uint32_t number)
{
	struct cofs *fs = replay->fs;
	struct cofs_record *record = (struct cofs_record *)replay->memory;
	uint32_t block = fs->super.log_first + half * replay->half + at, blocks;
	uint64_t sum, id;
	int error = block_read(fs->device, block, 1, record);

	if (error)
		return error;
	memcpy(&id, fs->super.id, sizeof(id));
	if (record->magic != COFS_LOG_MAGIC || record->generation != fs->super.generation || record->id != id ||
	    record->at != at || record->number != number || record->bytes % 8 ||
	    record->bytes <= sizeof(*record) || record->bytes > COFS_RECORD_BLOCKS * BLOCK_BYTES)
		return -ENOENT;
	blocks = (record->bytes - 1) / BLOCK_BYTES + 1;
	if (at + blocks > replay->half)
		return -ENOENT;
	error = blocks == 1 ? 0 : block_read(fs->device, block + 1, blocks - 1, replay->memory + BLOCK_BYTES);
	if (error)
		return error;
	sum = record->sum;
	record->sum = 0;
	return cofs_sum(record, record->bytes) == sum ? 0 : -ENOENT;
}

/* From either half. */
static int read_record(struct replay *replay, uint32_t at, uint32_t number)
{
	int error = read_one(replay, at, 0, number);

	return error ? read_one(replay, at, 1, number) : 0;
}

static const struct cofs_log_entry *next(struct replay *replay, uint32_t *at)
{
	const struct cofs_record *record = (const struct cofs_record *)replay->memory;
	const struct cofs_log_entry *entry = (const struct cofs_log_entry *)(replay->memory + *at);
	uint32_t need;

	if (*at + sizeof(*entry) > record->bytes)
		return NULL;
	need = (uint32_t)sizeof(*entry) + ((entry->bytes + 7u) & ~7u);
	if (*at + need > record->bytes || entry->bytes > COFS_ITEM_MAX)
		return NULL;
	*at += need;
	return entry;
}

static int want(struct replay *replay, uint64_t first, uint32_t count)
{
	if (count > replay->fs->super.blocks)
		return -FS_EDAMAGED;
	if (replay->wanted_count + count > replay->wanted_max) {
		uint32_t max = (replay->wanted_count + count) * 2;
		uint64_t *wanted = realloc(replay->wanted, (size_t)max * 2 * sizeof(*wanted));

		if (!wanted)
			return -ENOMEM;
		replay->wanted = wanted;
		replay->wanted_max = max;
	}
	for (uint32_t i = 0; i < count; i++) {
		replay->wanted[2 * replay->wanted_count] = first + i;
		replay->wanted[2 * replay->wanted_count++ + 1] = 0;
	}
	return 0;
}

static int want_sums(struct replay *replay, const struct cofs_log_entry *entry)
{
	const struct cofs_extent *extent = (const struct cofs_extent *)(entry + 1);
	struct cofs_item item = { entry->key, (const uint8_t *)extent, entry->bytes };

	if (cofs_extent_check(replay->fs, &item))
		return -FS_EDAMAGED;
	for (uint32_t i = 0; i < replay->wanted_count; i++)
		if (replay->wanted[2 * i] - extent->block < extent->count)
			replay->wanted[2 * i + 1] = extent->sum[replay->wanted[2 * i] - extent->block];
	return 0;
}

static void want_not(struct replay *replay, uint64_t first, uint32_t count)
{
	for (uint32_t i = 0; i < replay->wanted_count; i++)
		if (replay->wanted[2 * i] - first < count) {
			replay->wanted_count--;
			replay->wanted[2 * i] = replay->wanted[2 * replay->wanted_count];
			replay->wanted[2 * i + 1] = replay->wanted[2 * replay->wanted_count + 1];
			i--;
		}
}

/* Is all data there that the record in memory speaks of? -ENOENT: no. */
static int data_there(struct replay *replay)
{
	uint32_t at = sizeof(struct cofs_record);
	const struct cofs_log_entry *entry;
	int error = 0;

	replay->wanted_count = 0;
	while (!error && (entry = next(replay, &at))) {
		if (entry->change == COFS_TAKE)
			error = want(replay, entry->key.object, entry->count);
		else if (entry->change == COFS_PUT && entry->key.object && cofs_key_kind(entry->key) == COFS_EXTENT)
			error = want_sums(replay, entry);
		else if (entry->change == COFS_GIVE)
			want_not(replay, entry->key.object, entry->count);
	}
	for (uint32_t i = 0; !error && i < replay->wanted_count; i++) {
		struct cofs_page *page;

		if (!replay->wanted[2 * i + 1])
			continue;
		if (replay->wanted[2 * i] >= replay->fs->super.blocks)
			return -FS_EDAMAGED;
		error = cofs_pool_temporary(replay->fs, &page);
		if (error)
			break;
		error = block_read(replay->fs->device, (uint32_t)replay->wanted[2 * i], 1, page->buffer.data);
		if (!error && cofs_sum(page->buffer.data, BLOCK_BYTES) != replay->wanted[2 * i + 1])
			error = -ENOENT;
		cofs_pool_drop(replay->fs, page);
	}
	return error;
}

static int apply_entry(struct cofs *fs, const struct cofs_log_entry *entry, bool hold_only)
{
	int error = 0;

	if (hold_only)
		return entry->change == COFS_TAKE && entry->key.object <= UINT32_MAX ?
		    cofs_space_hold(fs, (uint32_t)entry->key.object, entry->count) : 0;
	switch ((enum cofs_change)entry->change) {
	case COFS_PUT:
		if (cofs_key_kind(entry->key) == COFS_INODE && entry->key.object >> COFS_GROUP_SHIFT >= fs->super.group_next)
			fs->super.group_next = (entry->key.object >> COFS_GROUP_SHIFT) + 1;
		return cofs_tree_put(fs, entry->key, entry + 1, entry->bytes);
	case COFS_DELETE:
		error = cofs_tree_delete(fs, entry->key);
		return error == -ENOENT ? -FS_EDAMAGED : error;
	case COFS_TAKE:
	case COFS_GIVE:
		if (entry->key.object > UINT32_MAX)
			return -FS_EDAMAGED;
		return (entry->change == COFS_TAKE ? cofs_space_mark : cofs_space_give)(fs, (uint32_t)entry->key.object,
		    entry->count);
	}
	return -FS_EDAMAGED;
}

static int apply(struct replay *replay, bool hold_only)
{
	const struct cofs_record *record = (const struct cofs_record *)replay->memory;
	uint32_t at = sizeof(struct cofs_record);
	const struct cofs_log_entry *entry;
	int error = 0;

	while (!error && (entry = next(replay, &at)))
		error = apply_entry(replay->fs, entry, hold_only);
	return error ? error : at == record->bytes ? 0 : -FS_EDAMAGED;
}

/* Behind the last record that is there, none of this generation may begin. */
static int none_behind(struct replay *replay, uint32_t count)
{
	struct cofs *fs = replay->fs;
	uint32_t some;

	for (uint32_t at = 0; at < 2 * replay->half; at += some) {
		int error;

		some = 2 * replay->half - at < COFS_RECORD_BLOCKS ? 2 * replay->half - at : COFS_RECORD_BLOCKS;
		error = block_read(fs->device, fs->super.log_first + at, some, replay->memory);
		if (error)
			return error;
		for (uint32_t i = 0; i < some; i++) {
			const struct cofs_record *record = (const void *)(replay->memory + (size_t)i * BLOCK_BYTES);

			if (record->magic == COFS_LOG_MAGIC && record->generation == fs->super.generation &&
			    !memcmp(&record->id, fs->super.id, sizeof(record->id)) && record->number > count &&
			    record->at == (at + i) % replay->half)
				return -FS_EDAMAGED;
		}
	}
	return 0;
}

/* How many records there are, and where the last one begins. */
static int count_records(struct replay *replay, uint32_t *count, uint32_t *last)
{
	const struct cofs_record *record = (const struct cofs_record *)replay->memory;
	uint32_t at = 0;
	int error = 0;

	*count = *last = 0;
	for (; at < replay->half; (*count)++) {
		error = read_record(replay, at, *count);
		if (error)
			break;
		*last = at;
		at += (record->bytes - 1) / BLOCK_BYTES + 1;
	}
	return error && error != -ENOENT ? error : none_behind(replay, *count);
}

static int all_records(struct replay *replay, uint32_t count, bool hold_only)
{
	const struct cofs_record *record = (const struct cofs_record *)replay->memory;
	uint32_t at = 0;
	int error = 0;

	for (uint32_t i = 0; i < count && !error; i++) {
		error = read_record(replay, at, i);
		if (error == -ENOENT)
			error = -FS_EDAMAGED;
		if (!error)
			error = apply(replay, hold_only);
		at += (record->bytes - 1) / BLOCK_BYTES + 1;
	}
	return error;
}

int cofs_replay(struct cofs *fs)
{
	struct replay replay = { .fs = fs, .half = fs->super.log_blocks / 2 };
	uint32_t count, last;
	int error;

	replay.memory = block_memory(fs->device, COFS_RECORD_BLOCKS);
	if (!replay.memory)
		return -ENOMEM;
	error = count_records(&replay, &count, &last);
	if (!error && count) {
		error = read_record(&replay, last, count - 1);
		if (!error)
			error = data_there(&replay);
		if (error == -ENOENT) {
			count--;
			error = 0;
		}
	}
	fs->replaying = true;
	if (!error)
		error = all_records(&replay, count, true);
	if (!error)
		error = all_records(&replay, count, false);
	fs->replaying = false;
	fs->replayed = count;
	free(replay.wanted);
	block_memory_free(fs->device, replay.memory, COFS_RECORD_BLOCKS);
	return error;
}
