/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: what is written when.
 *
 * Operations change buffers and inodes in memory; changed metadata stays pinned there until a commit, which writes all
 * of it in this order, with a flush of the device between the steps:
 *   first	bitmaps (with more taken), data, new blocks of pointers, and new directory blocks without their names
 *   inodes	and older blocks of pointers; link counts only rise
 *   names	directory blocks. A rename between two blocks gives the one that loses the name a higher *rank*; ranks
 *		are written one after the other, so a name is never nowhere
 *   late	inodes whose link count has sunk, or that are gone
 *   free	what the inodes do not refer to any more is free from now on, in memory; bitmaps follow with the next
 *		commit, or at the end of a sync
 * So the disk never refers to what is not there or another's. Where blocks are smaller than buffers, one buffer can hold
 * several kinds; it then goes with the latest, and a crash can lose a new name that was not synced yet. An inode that
 * was made since the last writing of metadata is on no disk, and may be freed at once (ext2_fresh).
 *
 * This is the order of soft updates (Ganger and Patt, OSDI 1994) without rolling back: what must come late is not
 * done in memory before. A commit costs up to four flushes and is only needed when there is no room, and at a sync.
 */
#include <stdlib.h>

#include "libos/fs/ext2_impl.h"

#define KEPT_MAX	1024	/* inodes that wait for a commit */
#define FREED_MAX	8192	/* extents that do so */
#define BARE_MAX	16
#define PINS_LEAST	8
#define FSYNC_WALK	8192	/* blocks: from here on, everybody's data is written */

static struct ext2_pin *pin_of(struct ext2 *e, const struct buffer *buffer)
{
	return buffer->owner ? &e->pin[(uintptr_t)buffer->owner - 1] : NULL;
}

void ext2_changed(struct ext2 *e, struct buffer *buffer, unsigned class)
{
	struct ext2_pin *pin = pin_of(e, buffer);

	cache_dirty(e->fs.cache, buffer);
	if (pin) {
		if (class > pin->class)
			pin->class = (uint8_t)class;
		return;
	}
	e->pin[e->pins] = (struct ext2_pin){ .buffer = buffer, .class = (uint8_t)class };
	buffer->owner = (void *)(uintptr_t)++e->pins;
	buffer->pinned = true;
}

void ext2_changed_pointers(struct ext2 *e, struct buffer *buffer)
{
	ext2_changed(e, buffer, pin_of(e, buffer) ? EXT2_PIN_FIRST : EXT2_PIN_INODE);
}

void ext2_changed_new(struct ext2 *e, struct buffer *buffer, uint32_t where)
{
	ext2_changed(e, buffer, EXT2_PIN_DIR);
	pin_of(e, buffer)->new_parts |= (uint8_t)(1 << ((ext2_part(e, buffer, where) - buffer->data) >> 10));
}

bool ext2_ordered(struct ext2 *e, struct buffer *first, struct buffer *then)
{
	struct ext2_pin *f = pin_of(e, first), *t = pin_of(e, then);

	if (f == t)
		return true;
	if (t->class <= f->class) {
		if (t->before || f->class == EXT2_PIN_DIR + EXT2_RANKS - 1)
			return false;
		t->class = f->class + 1;
	}
	f->before = true;
	return true;
}

/* The last pin takes the place of this one. */
static void unpin(struct ext2 *e, struct ext2_pin *pin)
{
	pin->buffer->pinned = false;
	pin->buffer->owner = NULL;
	*pin = e->pin[--e->pins];
	if (pin != &e->pin[e->pins])
		pin->buffer->owner = (void *)(uintptr_t)(pin - e->pin + 1);
}

void ext2_forget(struct ext2 *e, uint32_t where, uint32_t count)
{
	struct buffer *buffer;

	if (e->block_bytes != BLOCK_BYTES)
		return;
	for (uint32_t i = 0; i < count; i++) {
		buffer = cache_peek(e->fs.cache, where + i);
		if (!buffer)
			continue;
		if (pin_of(e, buffer))
			unpin(e, pin_of(e, buffer));
		cache_put(e->fs.cache, buffer);
		if (!buffer->holds)
			cache_forget(e->fs.cache, where + i);
	}
}

/* Write what is pinned in classes from `least` to `most`; no flush. */
static int write_class(struct ext2 *e, unsigned least, unsigned most)
{
	uint32_t count = 0;
	int r;

	for (uint32_t i = 0; i < e->pins; i++)
		if (e->pin[i].class >= least && e->pin[i].class <= most) {
			cache_hold(e->pin[i].buffer);
			e->list[count++] = e->pin[i].buffer;
		}
	if (count == 0)
		return 0;
	r = e->marked ? ext2_mark(e, false) : 0;
	if (r == 0)
		r = cache_write_list(e->fs.cache, e->list, count);
	for (uint32_t i = 0; i < count; i++)
		cache_put(e->fs.cache, e->list[i]);
	for (uint32_t i = e->pins; r == 0 && i-- > 0;)
		if (e->pin[i].class >= least && e->pin[i].class <= most)
			unpin(e, &e->pin[i]);
	return r;
}

static bool has_class(const struct ext2 *e, unsigned class)
{
	for (uint32_t i = 0; i < e->pins; i++)
		if (e->pin[i].class == class)
			return true;
	return false;
}

static int write_pins(struct ext2 *e)
{
	return write_class(e, EXT2_PIN_FIRST, EXT2_PIN_DIR + EXT2_RANKS - 1);
}

/* A few new directory blocks, without their names; `copy` has room for them. */
static int write_bare_some(struct ext2 *e, uint32_t *from, uint8_t *copy)
{
	uint32_t place[BARE_MAX], count = 0;
	struct buffer *list[BARE_MAX];
	int r;

	for (; *from < e->pins && count < BARE_MAX; ++*from) {
		struct ext2_pin *pin = &e->pin[*from];

		if (!pin->new_parts)
			continue;
		memcpy(copy + count * BLOCK_BYTES, pin->buffer->data, BLOCK_BYTES);
		for (unsigned part = 0; part < 4; part++)
			if (pin->new_parts & 1 << part)
				ext2_dir_bare(e, pin->buffer->data + part * 1024);
		cache_hold(pin->buffer);
		list[count] = pin->buffer;
		place[count++] = *from;
	}
	if (count == 0)
		return 0;
	r = cache_write_list(e->fs.cache, list, count);
	for (uint32_t i = 0; i < count; i++) {
		struct ext2_pin *pin = &e->pin[place[i]];

		memcpy(pin->buffer->data, copy + i * BLOCK_BYTES, BLOCK_BYTES);
		cache_dirty(e->fs.cache, pin->buffer);
		if (r == 0)
			pin->new_parts = 0;
		cache_put(e->fs.cache, pin->buffer);
	}
	return r;
}

static int write_bare(struct ext2 *e)
{
	uint32_t from = 0;
	uint8_t *copy;
	int r = 0;

	while (from < e->pins && !e->pin[from].new_parts)
		from++;
	if (from == e->pins)
		return 0;
	copy = malloc(BARE_MAX * BLOCK_BYTES);
	if (!copy)
		return -ENOMEM;
	r = e->marked ? ext2_mark(e, false) : 0;
	while (r == 0 && from < e->pins)
		r = write_bare_some(e, &from, copy);
	free(copy);
	return r;
}

/* The first two steps. In a commit: with everybody's data, and with a flush at the end if something is to follow. */
static int write_inodes(struct ext2 *e, bool commit)
{
	int r;

	e->epoch++;
	r = write_bare(e);
	if (r == 0 && commit)
		r = cache_write_all(e->fs.cache);
	if (r == 0)
		r = write_class(e, EXT2_PIN_FIRST, EXT2_PIN_FIRST);
	if (r == 0 && (commit ? e->pins : has_class(e, EXT2_PIN_INODE)))
		r = block_flush(e->device);
	if (r == 0)
		r = write_class(e, EXT2_PIN_INODE, EXT2_PIN_INODE);
	if (r == 0 && commit && e->pins)
		r = block_flush(e->device);
	return r;
}

/* One inode; if there is no buffer for it, others are written before, at the worst out of order. */
static int store_one(struct ext2 *e, struct ext2_inode *inode)
{
	int r = e->pins > e->pages / 2 ? -ENOMEM : ext2_inode_store(inode, false);

	if (r == -ENOMEM && e->pins) {
		r = write_inodes(e, false);
		if (r == 0)
			r = ext2_inode_store(inode, false);
	}
	if (r == -ENOMEM && e->pins) {
		r = write_pins(e);
		if (r == 0)
			r = ext2_inode_store(inode, false);
	}
	return r;
}

static int store_inodes(struct ext2 *e)
{
	int r;

	for (struct ext2_inode *i = e->inodes; i; i = i->next) {
		ext2_take_end(i);
		if (!i->dirty)
			continue;
		r = store_one(e, i);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One inode whose link count sinks, or that goes. */
static int late_one(struct ext2 *e, struct ext2_inode *inode)
{
	int r = e->pins > e->pages / 2 ? write_pins(e) : 0;

	if (r < 0)
		return r;
	if (!inode->node.holds && inode->links == 0) {
		ext2_inode_delete(inode);
		return 0;
	}
	r = ext2_inode_store(inode, true);
	if (r == -ENOMEM && e->pins) {
		r = write_pins(e);
		if (r == 0)
			r = ext2_inode_store(inode, true);
	}
	if (r == 0 && !inode->node.holds)
		ext2_inode_forget(inode);
	return r;
}

/* All of them. 1: something was changed. */
static int late(struct ext2 *e)
{
	struct ext2_inode *next;
	int r = 0, some = 0;

	for (struct ext2_inode *i = e->inodes; i; i = next) {
		next = i->next;
		if (i->links >= i->disk_links && (i->node.holds || i->links)) {
			if (!i->node.holds && !i->dirty)
				ext2_inode_forget(i);
			continue;
		}
		if (!some)
			r = block_flush(e->device);
		some = 1;
		if (r == 0)
			r = late_one(e, i);
		if (r < 0)
			return r;
	}
	return some;
}

int ext2_commit(struct ext2 *e)
{
	int r = store_inodes(e), some;

	if (r == 0)
		r = write_inodes(e, true);
	for (unsigned rank = 0; r == 0 && e->pins && rank < EXT2_RANKS; rank++) {
		uint32_t before = e->pins;

		r = write_class(e, EXT2_PIN_DIR + rank, EXT2_PIN_DIR + rank);
		if (r == 0 && e->pins && e->pins != before)
			r = block_flush(e->device);
	}
	if (r < 0)
		return r;
	e->commits++;
	some = late(e);
	if (some > 0)
		r = write_pins(e);
	if (some >= 0 && r == 0 && (e->freed || e->freed_inode))
		r = block_flush(e->device);
	if (some < 0 || r < 0)
		return some < 0 ? some : r;
	ext2_give_waiting(e);
	return 0;
}

bool ext2_again(struct ext2 *e, int error)
{
	uint64_t waiting = e->freed_total + e->freed_inode;

	if (error == -ENOSPC && (e->kept || waiting))
		return ext2_commit(e) == 0 && (!waiting || e->freed_total + e->freed_inode < waiting);
	/* The cache is smaller than it was to be: from now on there are to be fewer pins. */
	if (error != -ENOMEM || !e->pins)
		return false;
	e->pins_most = e->pins / 2 > PINS_LEAST ? e->pins / 2 : PINS_LEAST;
	return ext2_commit(e) == 0;
}

int ext2_room(struct ext2 *e)
{
	if (e->fs.read_only)
		return -EROFS;
	if (e->pins > e->pins_most || e->kept > KEPT_MAX || e->freed > FREED_MAX || e->freed_inode > KEPT_MAX)
		return ext2_commit(e);
	return 0;
}

/* All is on the disk, and the disk does not say so yet. */
static bool in_order(const struct ext2 *e)
{
	bool orphans = false;

	for (struct ext2_inode *i = e->inodes; i; i = i->next)
		orphans |= i->links == 0;
	return !e->marked && e->was_valid && !e->damaged && !orphans && !e->pins && !e->freed && !e->freed_inode;
}

int ext2_sync(struct fs *fs)
{
	struct ext2 *e = (struct ext2 *)fs;
	int r;

	if (fs->read_only)
		return 0;
	r = ext2_commit(e);
	if (r == 0)
		r = ext2_super_store(e);
	if (r == 0)
		r = write_pins(e);
	if (r == 0)
		r = block_flush(e->device);
	return r == 0 && in_order(e) ? ext2_mark(e, true) : r;
}

bool ext2_unsaved(struct fs *fs)
{
	struct ext2 *e = (struct ext2 *)fs;
	bool inodes = false;

	for (struct ext2_inode *i = e->inodes; i; i = i->next)
		inodes |= i->dirty;
	return !fs->read_only && (inodes || e->super_changed || e->pins || cache_dirty_count(fs->cache));
}

/* The data of one file. 1: some of it lies in a buffer that has to wait for a commit. */
static int write_data(struct ext2_inode *inode)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint32_t at = inode->dirty_from, to = inode->dirty_to, where, run, count = 0, last;
	struct buffer *buffer;
	int r = 0, wait = 0;

	if (at >= to)
		return 0;
	if (to - at > FSYNC_WALK) {
		r = cache_write_all(e->fs.cache);
		wait = e->block_bytes != BLOCK_BYTES && e->pins;
	} else {
		for (; at < to && r == 0; at += run) {
			r = ext2_map(inode, at, to - at, &where, &run);
			if (r < 0 || run == 0)
				break;
			if (run > to - at)
				run = to - at;
			last = ext2_buffer_of(e, where + run - 1);
			for (uint32_t b = ext2_buffer_of(e, where); where && b <= last; b++) {
				buffer = count < e->pages ? cache_peek(e->fs.cache, b) : NULL;
				if (!buffer)
					continue;
				wait |= ext2_pinned(buffer);
				if (buffer->dirty && !ext2_pinned(buffer) && (!count || e->list[count - 1] != buffer))
					e->list[count++] = buffer;
				else
					cache_put(e->fs.cache, buffer);
			}
		}
		if (r == 0 && count)
			r = cache_write_list(e->fs.cache, e->list, count);
		for (uint32_t i = 0; i < count; i++)
			cache_put(e->fs.cache, e->list[i]);
	}
	if (r < 0)
		return r;
	if (!wait)
		inode->dirty_from = inode->dirty_to = 0;
	return wait;
}

int ext2_fsync(struct fs_node *node, bool data_only)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(node);
	bool all = node->kind == FS_DIRECTORY || inode->entered == e->commits;
	int r = 0;

	if (e->fs.read_only)
		return 0;
	if (!all) {
		r = write_data(inode);
		all = r > 0;
	}
	if (r >= 0 && all) {
		r = ext2_commit(e);
		if (r == 0)
			inode->dirty_from = inode->dirty_to = 0;
	} else if (r >= 0 && (e->pins || (inode->dirty && (inode->reshaped || !data_only)))) {
		if (inode->dirty)
			r = ext2_inode_store(inode, false);
		if (r == 0)
			r = write_inodes(e, false);
	}
	return r < 0 ? r : block_flush(e->device);
}
