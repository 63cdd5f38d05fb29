/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of a cofs: what makes fsync one small write and one flush.
 *
 * Every change of an item of the tree, and of the free space for data, is an entry of the record that is being made in
 * memory, in order. fsync writes out what files have in memory only, which makes more entries, and the record, in one go
 * without order, then flushes. Records of a generation lie one after another from the log's beginning; each lies in both
 * halves of the log, so that one damaged block of it is none. A commit makes them all void, since they name the
 * generation they go on from. What does not fit makes the next fsync a commit.
 *
 * Blocks of data that a written record has taken are held until the next commit: replaying it must find them as they were.
 * Blocks of the tree are not in the log; replaying makes its own.
 */
#include "libos/fs/cofs_private.h"

#define ROOM	(COFS_RECORD_BLOCKS * BLOCK_BYTES)

/* An entry with room for `bytes` behind it; NULL: it does not fit. */
static struct cofs_log_entry *entry(struct cofs *fs, uint32_t bytes)
{
	struct cofs_log_entry *new = (struct cofs_log_entry *)(fs->log + fs->log_used);
	uint32_t need = (uint32_t)sizeof(*new) + ((bytes + 7) & ~7u);

	if (fs->log_over || fs->replaying || fs->fs.read_only)
		return NULL;
	if (fs->log_used + need > ROOM) {
		fs->log_over = true;
		return NULL;
	}
	if (bytes % 8)
		*(uint64_t *)(fs->log + fs->log_used + need - 8) = 0;
	fs->log_used += need;
	return new;
}

void cofs_log_item(struct cofs *fs, enum cofs_change change, struct cofs_key key, const void *data, uint32_t bytes)
{
	struct cofs_log_entry *new = entry(fs, bytes);

	if (!new)
		return;
	*new = (struct cofs_log_entry){ .change = (uint8_t)change, .bytes = (uint16_t)bytes, .key = key };
	if (bytes)
		memcpy(new + 1, data, bytes);
}

void cofs_log_blocks(struct cofs *fs, enum cofs_change change, uint32_t first, uint32_t count)
{
	struct cofs_log_entry *new = entry(fs, 0);

	if (new)
		*new = (struct cofs_log_entry){ .change = (uint8_t)change, .count = count, .key = { first, 0 } };
}

/* After a commit. */
void cofs_log_reset(struct cofs *fs)
{
	fs->log_used = sizeof(struct cofs_record);
	fs->log_over = false;
	fs->log_at = fs->log_number = 0;
}

/* What the record has taken is not to be given to anybody else before the next commit, even when it is given back. */
static int hold_taken(struct cofs *fs)
{
	uint32_t at = sizeof(struct cofs_record);
	int error = 0;

	while (at < fs->log_used && !error) {
		const struct cofs_log_entry *one = (const struct cofs_log_entry *)(fs->log + at);

		if (one->change == COFS_TAKE)
			error = cofs_space_hold(fs, (uint32_t)one->key.object, one->count);
		at += (uint32_t)sizeof(*one) + ((one->bytes + 7u) & ~7u);
	}
	return error;
}

static void record_request(struct cofs *fs, struct block_request *request, uint32_t block, uint32_t blocks)
{
	*request = (struct block_request){ .operation = BLOCK_WRITE, .parts = 1, .block = block, .count = blocks };
	request->part[0].memory = fs->log;
	request->part[0].blocks = blocks;
	block_submit(fs->device, request);
}

int cofs_log_write(struct cofs *fs)
{
	struct cofs_record *record = (struct cofs_record *)fs->log;
	uint32_t half = fs->super.log_blocks / 2, blocks = (fs->log_used - 1) / BLOCK_BYTES + 1;
	struct block_request copy[2];
	int error, second;

	if (fs->log_over || fs->log_at + blocks > half)
		return -ENOSPC;
	if (fs->log_used == sizeof(*record))
		return cofs_io_wait_all(fs);
	memset(fs->log + fs->log_used, 0, blocks * BLOCK_BYTES - fs->log_used);
	*record = (struct cofs_record){ .magic = COFS_LOG_MAGIC, .bytes = fs->log_used, .generation = fs->super.generation,
		.number = fs->log_number, .at = fs->log_at };
	memcpy(&record->id, fs->super.id, sizeof(record->id));
	record->sum = cofs_sum(fs->log, fs->log_used);
	record_request(fs, &copy[0], fs->super.log_first + fs->log_at, blocks);
	record_request(fs, &copy[1], fs->super.log_first + half + fs->log_at, blocks);
	error = block_wait(fs->device, &copy[0]);
	second = block_wait(fs->device, &copy[1]);
	if (second && !error)
		error = second;
	second = cofs_io_wait_all(fs);
	if (second && !error)
		error = second;
	if (error) {
		/* It may be there or not: nothing goes on from it. */
		fs->log_over = true;
		return error;
	}
	error = block_flush(fs->device);
	if (error) {
		fs->log_over = true;
		return error;
	}
	error = hold_taken(fs);
	if (error)
		fs->log_over = true;
	fs->log_at += blocks;
	fs->log_number++;
	fs->log_used = sizeof(struct cofs_record);
	fs->counts.log_writes++;
	fs->counts.log_blocks += blocks;
	return 0;
}
