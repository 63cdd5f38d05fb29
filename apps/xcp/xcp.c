/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xcp: copies a file, or with -r a tree, without touching what is in the files.
 *
 * After XCP of Xok/ExOS (Kaashoek and others, SOSP 1997): first all names are made and it is found out where all the
 * blocks lie; these are then read in the order of the disk, with many requests under way, and each buffer that comes
 * becomes the page of the copy as it is (fs_ops.adopt): the processor never moves a byte. Writing goes on behind. A file
 * system that lets files share blocks is asked for that instead (fs_ops.clone). What cannot go that way (other file
 * systems, pages in use, the boot archive) is read and written.
 *
 * Usage: xcp [-r] [-t] SOURCE... TARGET, as cp.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "apps/cp/words.h"
#include "libos/fs/vfs.h"

#define AHEAD_PAGES	512	/* that are read while others are given away */
#define LIST_PAGES	64	/* that are given away together */
#define FLUSH_PAGES	4096	/* that are written before the disk is told to make them stable */

/* A run of pages of one file that lie one after another. */
struct run {
	struct fs_node *to;
	struct fs_node *from;
	uint64_t at;		/* in both files */
	uint32_t block, count;
};

static struct cp_words words;
static struct vfs_mount *mount;	/* of all runs */
static struct run *runs;
static uint32_t run_count, run_max;
static struct block_request flush;
static uint64_t total, touched;

static int complain(const char *path, int64_t error)
{
	fprintf(stderr, "xcp: %s: %s\n", path, strerror((int)-error));
	return 1;
}

/* --- what is to be done --------------------------------------------------------------------------------- */

static int add_run(struct fs_node *from, struct fs_node *to, uint64_t at, uint32_t block, uint32_t count)
{
	if (run_count == run_max) {
		uint32_t more = run_max ? run_max * 2 : 256;
		struct run *larger = realloc(runs, more * sizeof(*runs));

		if (!larger)
			return -ENOMEM;
		runs = larger;
		run_max = more;
	}
	fs_hold(from);
	fs_hold(to);
	runs[run_count++] = (struct run){ to, from, at, block, count };
	return 0;
}

/* Where a file lies; the copy gets its length. With the file system's lock held. */
static int plan(struct fs_node *from, struct fs_node *to)
{
	const struct fs_ops *ops = from->fs->ops;
	struct fs_attributes attributes;
	int result = ops->attributes(from, &attributes);

	if (!result)
		result = ops->truncate(to, attributes.bytes);
	for (uint64_t at = 0; !result && at < attributes.bytes;) {
		uint64_t pages = (attributes.bytes - at + BLOCK_BYTES - 1) / BLOCK_BYTES;
		uint32_t block, count;

		result = ops->map(from, at, &block, &count);
		if (result || !count)
			break;
		if (count > pages)
			count = (uint32_t)pages;
		if (block)
			result = add_run(from, to, at, block, count);
		at += (uint64_t)count * BLOCK_BYTES;
	}
	total += result ? 0 : attributes.bytes;
	return result;
}

/* Where two files may have the same blocks, that is a copy. */
static int share(struct vfs_file *from, struct vfs_file *to)
{
	const struct vfs_place *place = &from->place;
	struct fs_attributes attributes;
	int result;

	vfs_enter(place->mount);
	result = place->mount->fs->ops->attributes(place->node, &attributes);
	if (!result)
		result = place->mount->fs->ops->clone(place->node, to->place.node);
	vfs_leave(place->mount);
	total += result ? 0 : attributes.bytes;
	return result;
}

/* The ordinary way. */
static int64_t copy_whole(struct vfs_file *from, struct vfs_file *to)
{
	int64_t done = vfs_copy(from, 0, to, 0, INT64_MAX / 2);

	if (done > 0) {
		total += (uint64_t)done;
		touched += (uint64_t)done;
	}
	return done < 0 ? done : 0;
}

static int copy_file(const char *source, const char *target, unsigned mode)
{
	struct vfs_file *from, *to;
	int64_t result = vfs_open(NULL, source, VFS_READ, 0, &from);

	if (result)
		return complain(source, result);
	result = vfs_open(NULL, target, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, mode, &to);
	if (result) {
		vfs_file_put(from);
		return complain(target, result);
	}
	const struct fs_ops *ops = from->place.mount->fs->ops;
	result = from->place.mount == to->place.mount && ops->clone ? share(from, to) : -ENODEV;
	if (result == -ENODEV && ops->map && ops->adopt && from->place.mount == to->place.mount &&
	    (!mount || mount == from->place.mount)) {
		mount = from->place.mount;
		vfs_enter(mount);
		result = plan(from->place.node, to->place.node);
		vfs_leave(mount);
	}
	if (result == -ENODEV)
		result = copy_whole(from, to);
	vfs_file_put(from);
	vfs_file_put(to);
	return result ? complain(target, result) : 0;
}

static int copy(const char *source, const char *target);

/* On the heap: trees are deep, and stacks are not. */
static char *below(const char *directory, const char *name)
{
	char *path = malloc(strlen(directory) + strlen(name) + 2);

	if (path)
		sprintf(path, "%s/%s", directory, name);
	return path;
}

static int copy_directory(const char *source, const char *target, unsigned mode)
{
	const struct fs_attributes how = { .kind = FS_DIRECTORY, .mode = (uint16_t)mode | 0700 };
	struct vfs_file *dir;
	struct fs_entry entry;
	int status = 0, result = vfs_open(NULL, source, VFS_READ | VFS_DIRECTORY, 0, &dir);

	if (result)
		return complain(source, result);
	result = vfs_make(NULL, target, &how, NULL);
	if (result && result != -EEXIST)
		status = complain(target, result);
	while (!status && vfs_readdir(dir, &entry) == 1) {
		char *from, *to;

		if (!strcmp(entry.name, ".") || !strcmp(entry.name, ".."))
			continue;
		from = below(source, entry.name);
		to = below(target, entry.name);
		status |= from && to ? copy(from, to) : complain(source, -ENOMEM);
		free(from);
		free(to);
	}
	vfs_file_put(dir);
	return status;
}

static int copy_link(const char *source, const char *target)
{
	const struct fs_attributes how = { .kind = FS_SYMLINK };
	char text[PATH_BYTES];
	int result = vfs_readlink(NULL, source, text, sizeof(text) - 1);

	if (result < 0)
		return complain(source, result);
	text[result] = '\0';
	result = vfs_make(NULL, target, &how, text);
	return result ? complain(target, result) : 0;
}

static int copy(const char *source, const char *target)
{
	struct fs_attributes attributes;
	uint32_t number;
	int result = vfs_stat(NULL, source, !words.recursive, &attributes, &number);

	if (result)
		return complain(source, result);
	if (attributes.kind == FS_SYMLINK)
		return copy_link(source, target);
	if (attributes.kind != FS_DIRECTORY)
		return copy_file(source, target, attributes.mode);
	return words.recursive ? copy_directory(source, target, attributes.mode) : complain(source, -EISDIR);
}

/* --- moving the blocks ---------------------------------------------------------------------------------- */

static int by_block(const void *a, const void *b)
{
	uint32_t one = ((const struct run *)a)->block, other = ((const struct run *)b)->block;

	return (one > other) - (one < other);
}

/* Begin to read up to `pages` more, in the order of the disk; *run and *page are where that stands. */
static void ahead(struct cache *cache, uint32_t *run, uint32_t *page, uint32_t pages)
{
	while (pages && *run < run_count) {
		uint32_t left = runs[*run].count - *page, now = left < pages ? left : pages;

		cache_ahead(cache, runs[*run].block + *page, now);
		pages -= now;
		*page += now;
		if (*page == runs[*run].count) {
			*page = 0;
			(*run)++;
		}
	}
	block_poll(cache_device(cache));
}

/* One page by the processor: somebody else uses its buffer. 1. */
static int touch_page(const struct run *run, uint64_t at, const struct buffer *buffer)
{
	const struct fs_ops *ops = run->to->fs->ops;
	struct fs_attributes attributes;
	size_t bytes = BLOCK_BYTES;
	int result = ops->attributes(run->to, &attributes);

	if (result)
		return result;
	if (attributes.bytes - at < bytes)
		bytes = (size_t)(attributes.bytes - at);
	touched += bytes;
	int64_t done = ops->write(run->to, at, buffer->data, bytes);
	return done < 0 ? (int)done : done == (int64_t)bytes ? 1 : -ENOSPC;
}

/* May its buffer be given away? */
static bool ours(struct cache *cache, struct buffer *buffer)
{
	if (buffer->dirty && !buffer->pinned && cache_write(cache, buffer))
		return false;
	return buffer->holds == 1 && !buffer->dirty;
}

/* Up to LIST_PAGES of a run from `page` on; how many. */
static int move_pages(struct cache *cache, const struct run *run, uint32_t page)
{
	struct buffer *list[LIST_PAGES];
	uint64_t at = run->at + (uint64_t)page * BLOCK_BYTES;
	uint32_t count = 0, most = run->count - page < LIST_PAGES ? run->count - page : LIST_PAGES;
	int result = 0;

	while (count < most && !(result = cache_get(cache, run->block + page + count, &list[count])))
		if (!ours(cache, list[count++]))
			break;
	if (count > 1 && !ours(cache, list[count - 1]))
		cache_put(cache, list[--count]);
	if (count)
		result = ours(cache, list[0]) ? run->to->fs->ops->adopt(run->to, at, list, count) :
		    touch_page(run, at, list[0]);
	for (uint32_t i = 0; i < count; i++)
		cache_put(cache, list[i]);
	return result;
}

/* The disk makes stable what was written so far, while the rest is copied. */
static int flush_behind(struct block_device *device, uint32_t pages)
{
	static uint32_t since;

	since += pages;
	if (since < FLUSH_PAGES || flush.pending || flush.result)
		return flush.pending ? 0 : flush.result;
	since = 0;
	flush.operation = BLOCK_FLUSH;
	block_submit(device, &flush);
	return 0;
}

static int move_all(void)
{
	struct cache *cache = mount->fs->cache;
	uint32_t window = cache_pages(cache) / 4 < AHEAD_PAGES ? cache_pages(cache) / 4 : AHEAD_PAGES;
	uint32_t run = 0, page = 0, since = 0;
	int result = 0, flushed;

	flush.result = 0;
	qsort(runs, run_count, sizeof(*runs), by_block);
	ahead(cache, &run, &page, window);
	for (uint32_t i = 0; i < run_count && result >= 0; i++)
		for (uint32_t j = 0, moved; j < runs[i].count && result >= 0; j += moved) {
			result = move_pages(cache, &runs[i], j);
			moved = result < 0 ? 0 : (uint32_t)result;
			since += moved;
			if (result < 0 || since < window / 2)
				continue;
			cache_write_behind(cache, since);
			result = flush_behind(cache_device(cache), since);
			ahead(cache, &run, &page, since);
			since = 0;
		}
	for (uint32_t i = 0; i < run_count; i++) {
		fs_put(runs[i].from);
		fs_put(runs[i].to);
	}
	run_count = 0;
	flushed = block_wait(cache_device(cache), &flush);
	return result < 0 ? result : flushed;
}

/* One source, until all of it is on the disk. */
static int copy_one(void)
{
	double begin = cp_seconds(CLOCK_MONOTONIC), worked = cp_seconds(CLOCK_PROCESS_CPUTIME_ID);
	int status, result;

	total = touched = 0;
	mount = NULL;
	status = copy(words.source, words.target);
	if (mount) {
		vfs_enter(mount);
		result = move_all();
		vfs_leave(mount);
		if (result)
			status = complain(words.target, result);
	}
	result = vfs_sync();
	if (result)
		status = complain(words.target, result);
	if (words.timed)
		printf("xcp: %llu bytes in %.3f s, %.3f s of the processor's, %llu of them touched\n", (unsigned long long)total,
		    cp_seconds(CLOCK_MONOTONIC) - begin, cp_seconds(CLOCK_PROCESS_CPUTIME_ID) - worked,
		    (unsigned long long)touched);
	return status;
}

int main(int argc, char **argv)
{
	return cp_all(&words, argc, argv, copy_one);
}
