/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading, writing, cutting and cloning files of a cofs. All happens in pages in memory; see cofs_map.c for the disk.
 */
#include "libos/fs/cofs_private.h"

#define STEP_PAGES	(COFS_ATOMIC / BLOCK_BYTES)
#define CLONE_PUTS	12	/* changes of the tree that sharing one extent may make */

void cofs_touch(struct cofs *fs, struct cofs_node *node, bool data)
{
	struct fs_time now = cofs_now(fs);

	node->inode.changed = now.seconds;
	node->inode.changed_ns = now.nanoseconds;
	if (data) {
		node->inode.modified = now.seconds;
		node->inode.modified_ns = now.nanoseconds;
	}
	cofs_node_changed(fs, node);
}

/* As most systems do: the time of reading is kept when it says something new since the last change. */
static void read_time(struct cofs *fs, struct cofs_node *node)
{
	struct fs_time now;

	if (node->inode.accessed > node->inode.modified || fs->fs.read_only || fs->wrecked ||
	    (node->inode.accessed == node->inode.modified && node->inode.accessed_ns > node->inode.modified_ns) ||
	    !cofs_room(fs, 4, 0, false))
		return;
	now = cofs_now(fs);
	node->inode.accessed = now.seconds;
	node->inode.accessed_ns = now.nanoseconds;
	cofs_node_changed(fs, node);
}

int64_t cofs_read(struct fs_node *fs_node, uint64_t at, void *memory, size_t bytes)
{
	struct cofs_node *node = cofs_node_of(fs_node);
	struct cofs *fs = cofs_owner(node);
	uint64_t wanted = 0;	/* pages before it were told of */
	size_t done = 0;

	if (node->node.kind == FS_DIRECTORY)
		return -EISDIR;
	if (at >= node->inode.bytes)
		return 0;
	if (bytes > node->inode.bytes - at)
		bytes = (size_t)(node->inode.bytes - at);
	while (done < bytes) {
		uint64_t index = (at + done) / BLOCK_BYTES;
		size_t skip = (at + done) % BLOCK_BYTES, part = BLOCK_BYTES - skip;
		struct cofs_page *page;
		int error;

		if (part > bytes - done)
			part = bytes - done;
		/* Anew after so many, lest what was read ahead has to go before it is asked for. */
		if (index >= wanted) {
			wanted = (at + bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
			if (wanted - index > cofs_pages_at_once(fs))
				wanted = index + cofs_pages_at_once(fs);
			cofs_page_wanted(fs, node, index, wanted);
		}
		page = NULL;
		error = part == BLOCK_BYTES && bytes > BLOCK_BYTES ?
		    cofs_page_copy(fs, node, index, (char *)memory + done) : cofs_page_get(fs, node, index, false, &page);
		if (error < 0)
			return done ? (int64_t)done : error;
		if (error)
			;	/* it is copied */
		else if (page)
			memcpy((char *)memory + done, page->buffer.data + skip, part);
		else
			memset((char *)memory + done, 0, part);
		done += part;
	}
	read_time(fs, node);
	return (int64_t)done;
}

/* The page that bytes [skip, skip + part) of are going to be written. */
static int page_for(struct cofs *fs, struct cofs_node *node, uint64_t index, size_t part, struct cofs_page **page)
{
	if (part < BLOCK_BYTES && index * BLOCK_BYTES < node->inode.bytes)
		return cofs_page_get(fs, node, index, true, page);
	*page = cofs_pool_find(fs, node->node.number, index);
	if (*page) {
		cofs_io_wait(fs, *page);
		(*page)->buffer.valid = (*page)->checked = true;
		return 0;
	}
	int error = cofs_pool_new(fs, node->node.number, index, node, page);

	if (error)
		return error;
	if (part < BLOCK_BYTES)
		memset((*page)->buffer.data, 0, BLOCK_BYTES);
	(*page)->buffer.valid = true;
	return 0;
}

/* A small file that lies in the tree is going to have `bytes`: its page is written anew, to whatever place. */
static int from_inline(struct cofs *fs, struct cofs_node *node, uint64_t bytes)
{
	struct cofs_page *page;
	int error;

	if (!(node->inode.flags & COFS_INODE_INLINE) || bytes == node->inode.bytes)
		return 0;
	error = cofs_page_get(fs, node, 0, true, &page);
	if (!error)
		cofs_page_dirty(fs, page);
	return error;
}

/* At most COFS_ATOMIC bytes: how many were written, if any. */
static int64_t write_step(struct cofs *fs, struct cofs_node *node, uint64_t at, const char *memory, size_t bytes)
{
	size_t done = 0;
	int error = cofs_begin(fs, 6, (unsigned)((at % BLOCK_BYTES + bytes - 1) / BLOCK_BYTES + 2), false);

	if (!error && at + bytes > node->inode.bytes)
		error = from_inline(fs, node, at + bytes);
	while (!error && done < bytes) {
		size_t skip = (at + done) % BLOCK_BYTES, part = BLOCK_BYTES - skip;
		struct cofs_page *page;

		if (part > bytes - done)
			part = bytes - done;
		error = page_for(fs, node, (at + done) / BLOCK_BYTES, part, &page);
		if (error)
			break;
		memcpy(page->buffer.data + skip, memory + done, part);
		cofs_page_dirty(fs, page);
		done += part;
		if (at + done > node->inode.bytes)
			node->inode.bytes = at + done;
	}
	if (!done)
		return error;
	cofs_touch(fs, node, true);
	return (int64_t)done;
}

int64_t cofs_write(struct fs_node *fs_node, uint64_t at, const void *memory, size_t bytes)
{
	struct cofs_node *node = cofs_node_of(fs_node);
	size_t done = 0;

	if (node->node.kind != FS_FILE)
		return node->node.kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (at >= COFS_BYTES_MAX || bytes > COFS_BYTES_MAX - at)
		return -EFBIG;
	while (done < bytes) {
		size_t part = bytes - done < COFS_ATOMIC ? bytes - done : COFS_ATOMIC;
		int64_t wrote = write_step(cofs_owner(node), node, at + done, (const char *)memory + done, part);

		if (wrote == -ENOSPC && part > 1) {
			/* Perhaps there is room for one page. */
			uint64_t rest = BLOCK_BYTES - (at + done) % BLOCK_BYTES;

			part = rest < part ? (size_t)rest : part;
			wrote = write_step(cofs_owner(node), node, at + done, (const char *)memory + done, part);
		}
		if (wrote < 0)
			return done ? (int64_t)done : wrote;
		done += (size_t)wrote;
		if ((size_t)wrote < part)
			break;
	}
	return (int64_t)done;
}

static int grow(struct cofs *fs, struct cofs_node *node, uint64_t bytes)
{
	int error = cofs_begin(fs, 6, 1, false);

	if (!error)
		error = from_inline(fs, node, bytes);
	if (error)
		return error;
	node->inode.bytes = bytes;
	cofs_touch(fs, node, true);
	return 0;
}

/* What is behind the end in the last page is zero. */
static int cut_page(struct cofs *fs, struct cofs_node *node, uint64_t bytes)
{
	struct cofs_page *page;
	int error;

	if (!(bytes % BLOCK_BYTES))
		return 0;
	error = cofs_page_get(fs, node, bytes / BLOCK_BYTES, false, &page);
	if (error || !page)
		return error;
	cofs_io_wait(fs, page);
	memset(page->buffer.data + bytes % BLOCK_BYTES, 0, BLOCK_BYTES - bytes % BLOCK_BYTES);
	cofs_page_dirty(fs, page);
	return 0;
}

/* Where the file may end when its last extent is gone, or `bytes` if that is more. */
static int last_extent(struct cofs *fs, struct cofs_node *node, uint64_t bytes, uint64_t *end)
{
	struct cofs_item item;
	int error = cofs_tree_before(fs, cofs_key(node->node.number, COFS_EXTENT, COFS_OFFSET_MAX), &item);

	*end = bytes;
	if (error)
		return error == -ENOENT ? 0 : error;
	if (item.key.object == node->node.number && cofs_key_kind(item.key) == COFS_EXTENT &&
	    cofs_key_offset(item.key) * BLOCK_BYTES > bytes)
		*end = cofs_key_offset(item.key) * BLOCK_BYTES;
	return 0;
}

static int shrink(struct cofs *fs, struct cofs_node *node, uint64_t bytes)
{
	unsigned batch = cofs_room(fs, CLONE_PUTS * STEP_PAGES, 2, true) ? STEP_PAGES : 1;
	int error = cofs_begin(fs, CLONE_PUTS * batch, 2, true);
	uint64_t end = node->inode.bytes;

	if (!error)
		error = cut_page(fs, node, bytes);
	for (; !error && batch && end > bytes; batch--) {
		error = last_extent(fs, node, bytes, &end);
		if (error)
			break;
		uint64_t pages = (end + BLOCK_BYTES - 1) / BLOCK_BYTES;

		cofs_pages_forget(fs, node, pages);
		node->inode.bytes = end;
		cofs_touch(fs, node, true);
		error = cofs_map_remove(fs, node, pages, COFS_BYTES_MAX / BLOCK_BYTES, NULL);
	}
	if (!error && !node->inode.bytes && node->inode.flags & COFS_INODE_INLINE) {
		error = cofs_tree_delete(fs, cofs_key(node->node.number, COFS_DATA, 0));
		node->inode.flags = 0;
		if (error)
			error = cofs_wreck(fs, error == -ENOENT ? -FS_EDAMAGED : error);
	} else if (!error && node->inode.flags & COFS_INODE_INLINE) {
		struct cofs_page *page;

		error = cofs_page_get(fs, node, 0, true, &page);
		if (!error)
			cofs_page_dirty(fs, page);
	}
	return error;
}

int cofs_truncate(struct fs_node *fs_node, uint64_t bytes)
{
	struct cofs_node *node = cofs_node_of(fs_node);
	struct cofs *fs = cofs_owner(node);
	int error = 0;

	if (node->node.kind != FS_FILE)
		return node->node.kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (bytes > COFS_BYTES_MAX)
		return -EFBIG;
	if (bytes >= node->inode.bytes)
		return grow(fs, node, bytes);
	while (!error && node->inode.bytes > bytes)
		error = shrink(fs, node, bytes);
	return error;
}

static int clone_inline(struct cofs *fs, struct cofs_node *from, struct cofs_node *to)
{
	struct cofs_item item;
	int error = cofs_tree_find(fs, cofs_key(from->node.number, COFS_DATA, 0), &item);

	if (error || item.bytes > BLOCK_BYTES)
		return error && error != -ENOENT ? error : -FS_EDAMAGED;
	uint64_t copy[COFS_INLINE_MAX / 8 + 1];

	if (item.bytes > sizeof(copy))
		return -FS_EDAMAGED;
	memcpy(copy, item.data, item.bytes);
	error = cofs_tree_put(fs, cofs_key(to->node.number, COFS_DATA, 0), copy, item.bytes);
	if (error)
		return error;
	to->inode.flags = COFS_INODE_INLINE;
	to->inode.bytes = item.bytes;
	return 0;
}

/* Some extents from page *index on; *index is behind the last, or UINT64_MAX. */
static int clone_step(struct cofs *fs, struct cofs_node *from, struct cofs_node *to, uint64_t *index)
{
	unsigned batch = cofs_room(fs, CLONE_PUTS * STEP_PAGES, 0, false) ? STEP_PAGES : 1;
	int error = cofs_begin(fs, CLONE_PUTS * batch, 0, false);

	for (; !error && batch; batch--) {
		struct cofs_item item;
		struct cofs_map map;

		error = cofs_tree_next(fs, cofs_key(from->node.number, COFS_EXTENT, *index), &item);
		if (error == -ENOENT || (!error && (item.key.object != from->node.number ||
		    cofs_key_kind(item.key) != COFS_EXTENT))) {
			*index = UINT64_MAX;
			return 0;
		}
		if (!error)
			error = cofs_map_get(fs, from, cofs_key_offset(item.key), &map);
		if (error || !map.block)
			return error ? error : -FS_EDAMAGED;
		error = cofs_share(fs, map.block, map.count);
		if (!error)
			error = cofs_map_put(fs, to, map.first, map.block, map.count, map.sum);
		if (error)
			return cofs_wreck(fs, error);
		*index = map.first + map.count;
		to->inode.bytes = *index * BLOCK_BYTES < from->inode.bytes ? *index * BLOCK_BYTES : from->inode.bytes;
	}
	return error;
}

int cofs_clone(struct fs_node *fs_from, struct fs_node *fs_to)
{
	struct cofs_node *from = cofs_node_of(fs_from), *to = cofs_node_of(fs_to);
	struct cofs *fs = cofs_owner(from);
	uint64_t index = 0;
	int error;

	if (from == to || from->node.kind != FS_FILE || to->node.kind != FS_FILE || fs_from->fs != fs_to->fs)
		return -EINVAL;
	if (to->inode.bytes)
		return -EINVAL;
	error = cofs_begin(fs, 12, 2, false);
	if (!error && from->dirty_count)
		error = cofs_write_out(fs, from);
	if (error)
		return error;
	cofs_pages_forget(fs, to, 0);
	if (from->inode.flags & COFS_INODE_INLINE)
		error = clone_inline(fs, from, to);
	else
		while (!error && index != UINT64_MAX)
			error = clone_step(fs, from, to, &index);
	if (error)
		return error;
	to->inode.bytes = from->inode.bytes;
	cofs_touch(fs, to, true);
	return 0;
}
