/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commits of a cofs, and the room that they need.
 *
 * A commit writes all that has changed to blocks that the last one does not use, flushes, and then the first superblock,
 * which makes it the state of the file system, at once and wholly; the second superblock follows. It happens in front of
 * an operation, when the last one is some seconds old, much is dirty, or the next operation needs what a commit sets free;
 * at sync and unmount; and instead of fsync when the log cannot take it.
 *
 * An operation begins only if the blocks are there for everything that was put off until now, at worst, and for itself;
 * what only adds leaves COFS_KEEP blocks, so that there is always room to remove something.
 */
#include "libos/fs/cofs_private.h"

#define PAGES_MORE	12	/* that an operation may load on its way */

struct fs_time cofs_now(struct cofs *fs)
{
	struct fs_time now = fs->time ? fs->time() : (struct fs_time){ 0, 0 };

	fs->clock = now.seconds;
	return now;
}

int cofs_wreck(struct cofs *fs, int error)
{
	fs->wrecked = true;
	return error ? error : -EIO;
}

/* Blocks that one change of the tree may need: the way down, and splits all the way up. */
static uint64_t put_blocks(const struct cofs *fs)
{
	return 2 * fs->levels + 2;
}

/* A page that is written out: itself, and the ways to its extent and to the range of shared blocks that it was in. */
static uint64_t page_blocks(const struct cofs *fs)
{
	return 1 + 2 * (fs->levels + 2);
}

/* What a commit needs at worst for that which has no place yet. */
static uint64_t deferred(const struct cofs *fs)
{
	return fs->dirty_page_count * page_blocks(fs) + fs->dirty_node_count * 3 * put_blocks(fs);
}

bool cofs_room(struct cofs *fs, unsigned puts, unsigned pages, bool frees)
{
	uint64_t need = puts * put_blocks(fs) + pages * page_blocks(fs) + (frees ? 0 : COFS_KEEP);

	return fs->free_now >= need + deferred(fs);
}

static int write_out_all(struct cofs *fs)
{
	int error = 0;

	for (struct cofs_node *node = fs->dirty_nodes; node && !error; node = node->dirty_next)
		if (node->dirty_count)
			error = cofs_write_out(fs, node);
	return error;
}

static int store_all(struct cofs *fs)
{
	struct cofs_node *node, *next;
	int error = 0;

	for (node = fs->dirty_nodes; node && !error; node = next) {
		next = node->dirty_next;
		if (node->dirty)
			error = cofs_node_store(fs, node);
		if (!error)
			cofs_node_stored(fs, node);
	}
	return error;
}

bool cofs_changed(const struct cofs *fs)
{
	return fs->dirty_tree_count || fs->dirty_nodes || fs->log_used > sizeof(struct cofs_record) ||
	    fs->log_over;
}

int cofs_super_write(struct block_device *device, const struct cofs_super *super, bool second, void *page, bool fua)
{
	struct cofs_super *copy = page;

	memcpy(copy, super, sizeof(*copy));
	copy->sum = cofs_sum(copy, offsetof(struct cofs_super, sum));
	return block_write(device, second ? super->blocks - 1 : 0, 1, copy, fua ? BLOCK_FUA : 0);
}

/* Write the superblock that was made last; if that fails, it may be there or not, and must be tried again. */
static int super_again(struct cofs *fs)
{
	int error = cofs_super_write(fs->device, &fs->unsure, false, fs->scratch, true);

	fs->super_unsure = error;
	if (!error)
		(void)cofs_super_write(fs->device, &fs->unsure, true, fs->scratch, false);
	return error;
}

/* All but the superblock is stable. When it fails, everything that either state uses is held until the next commit. */
static int super_commit(struct cofs *fs)
{
	int error;

	fs->super.generation++;
	fs->super.files = fs->files;
	fs->super.levels = fs->levels;
	fs->unsure = fs->super;
	error = super_again(fs);
	cofs_tree_written(fs);
	cofs_space_written(fs, !error);
	cofs_log_reset(fs);
	fs->counts.commits += !error;
	return error;
}

int cofs_commit(struct cofs *fs)
{
	int error, second;

	if (fs->fs.read_only)
		return 0;
	if (fs->wrecked)
		return -EIO;
	fs->committed = fs->clock;
	if (fs->super_unsure) {
		error = super_again(fs);
		if (error)
			return error;
	}
	if (!cofs_changed(fs))
		return 0;
	fs->log_over = true;
	error = write_out_all(fs);
	if (!error)
		error = store_all(fs);
	if (!error)
		error = cofs_tree_write(fs);
	if (!error)
		error = cofs_space_write(fs);
	second = cofs_io_wait_all(fs);
	if (error || second)
		return error ? error : second;
	error = block_flush(fs->device);
	return error ? error : super_commit(fs);
}

int cofs_stable(struct cofs *fs)
{
	int error;

	if (fs->fs.read_only)
		return 0;
	if (fs->wrecked)
		return -EIO;
	if (!cofs_changed(fs) && !fs->super_unsure)
		return 0;
	if (fs->super_unsure || fs->log_over || fs->dirty_page_count > COFS_FSYNC_MAX)
		return cofs_commit(fs);
	error = write_out_all(fs);
	if (!error)
		error = store_all(fs);
	if (!error)
		error = cofs_log_write(fs);
	return error == -ENOSPC ? cofs_commit(fs) : error;
}

/* More is dirty than should be. */
static bool much(const struct cofs *fs)
{
	return fs->dirty_tree_count > fs->page_max / 4 || fs->dirty_node_count > COFS_IDLE_MAX ||
	    fs->clock - fs->committed >= fs->commit_seconds || fs->clock < fs->committed;
}

int cofs_begin(struct cofs *fs, unsigned puts, unsigned pages, bool frees)
{
	int error;

	if (fs->fs.read_only)
		return -EROFS;
	if (fs->wrecked)
		return -EIO;
	if (much(fs)) {
		/* If it fails, whatever waits for it will be told; what is in memory is there. */
		error = cofs_changed(fs) || fs->super_unsure ? cofs_commit(fs) : 0;
		fs->committed = fs->clock;
		if (error && fs->dirty_tree_count > fs->page_max / 2)
			return error;
	}
	if (fs->dirty_page_count > fs->page_max / 2) {
		error = write_out_all(fs);
		if (error)
			return error;
	}
	if (fs->orphans) {
		error = cofs_reclaim(fs, 16);
		if (error)
			return error;
	}
	error = cofs_pool_ready(fs, puts + pages + PAGES_MORE);
	if (error)
		return error;
	if (cofs_room(fs, puts, pages, frees))
		return 0;
	if (!deferred(fs) && fs->free_now == fs->free_total && !fs->orphans)
		return -ENOSPC;
	error = cofs_commit(fs);
	while (!error && !cofs_room(fs, puts, pages, frees) && fs->orphans) {
		error = cofs_reclaim(fs, 64);
		if (!error)
			error = cofs_commit(fs);
	}
	return error ? error : cofs_room(fs, puts, pages, frees) ? 0 : -ENOSPC;
}
