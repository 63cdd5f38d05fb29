/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the pages of a cofs file lie, and writing out those that are dirty.
 *
 * Extent items have up to 64 blocks each and the sum of every block. A page that is written out always gets a new block:
 * what is on the disk is never overwritten. A file of at most COFS_INLINE_MAX bytes is written into the tree instead.
 */
#include "libos/fs/cofs_private.h"

int cofs_extent_check(const struct cofs *fs, const struct cofs_item *item)
{
	struct cofs_extent head;

	if (item->bytes < offsetof(struct cofs_extent, sum))
		return -FS_EDAMAGED;
	memcpy(&head, item->data, offsetof(struct cofs_extent, sum));
	if (!head.count || head.count > COFS_EXTENT_MAX || head.block < fs->fixed || head.block >= fs->super.blocks ||
	    head.count > fs->super.blocks - 1 - head.block ||
	    item->bytes != offsetof(struct cofs_extent, sum) + head.count * 8u ||
	    cofs_key_offset(item->key) > COFS_BYTES_MAX / BLOCK_BYTES - head.count)
		return -FS_EDAMAGED;
	return 0;
}

/* The item as a part of the file; -ENOENT: it is none of this node's extents. */
static int map_of(const struct cofs *fs, const struct cofs_item *item, uint64_t number, struct cofs_map *map)
{
	struct cofs_extent head;
	int error;

	if (item->key.object != number || cofs_key_kind(item->key) != COFS_EXTENT)
		return -ENOENT;
	error = cofs_extent_check(fs, item);
	if (error)
		return error;
	memcpy(&head, item->data, offsetof(struct cofs_extent, sum));
	map->first = cofs_key_offset(item->key);
	map->count = head.count;
	map->block = head.block;
	memcpy(map->sum, item->data + offsetof(struct cofs_extent, sum), head.count * 8u);
	return 0;
}

static int hole(struct cofs *fs, struct cofs_node *node, uint64_t index, struct cofs_map *map)
{
	struct cofs_item item;
	uint64_t end = index + UINT32_MAX;
	int error = cofs_tree_next(fs, cofs_key(node->node.number, COFS_EXTENT, index), &item);

	if (error && error != -ENOENT)
		return error;
	if (!error && item.key.object == node->node.number && cofs_key_kind(item.key) == COFS_EXTENT &&
	    cofs_key_offset(item.key) < end)
		end = cofs_key_offset(item.key);
	map->first = index;
	map->count = (uint32_t)(end - index);
	map->block = 0;
	return 0;
}

/* The part that `index` is in. */
int cofs_map_get(struct cofs *fs, struct cofs_node *node, uint64_t index, struct cofs_map *map)
{
	struct cofs_item item;
	int error;

	if (node->fresh || (node->inode.flags & COFS_INODE_INLINE) || index > COFS_OFFSET_MAX) {
		*map = (struct cofs_map){ .first = index, .count = UINT32_MAX };
		return 0;
	}
	error = cofs_tree_before(fs, cofs_key(node->node.number, COFS_EXTENT, index), &item);
	if (!error)
		error = map_of(fs, &item, node->node.number, map);
	if (error && error != -ENOENT)
		return error;
	if (!error && index - map->first < map->count)
		return 0;
	return hole(fs, node, index, map);
}

static int extent_put(struct cofs *fs, struct cofs_node *node, uint64_t index, uint32_t block, uint32_t count,
    const uint64_t *sums)
{
	struct cofs_extent extent = { .block = block, .count = (uint16_t)count };

	memcpy(extent.sum, sums, count * 8u);
	return cofs_tree_put(fs, cofs_key(node->node.number, COFS_EXTENT, index), &extent,
	    (uint32_t)offsetof(struct cofs_extent, sum) + count * 8);
}

/* Pages [from, to) have no blocks any more. `extents`, unless NULL: how many may be looked at, counted down to 0. */
int cofs_map_remove(struct cofs *fs, struct cofs_node *node, uint64_t from, uint64_t to, unsigned *extents)
{
	struct cofs_map map;
	int error = 0;

	if (node->fresh)
		return 0;
	fs->map_number = 0;
	while (from < to && !error) {
		error = cofs_map_get(fs, node, from, &map);
		if (error)
			return error;
		uint64_t end = map.first + map.count, cut = end < to ? end : to;

		if (!map.block) {
			if (map.count == UINT32_MAX && end < to) {
				struct cofs_item item;

				error = cofs_tree_next(fs, cofs_key(node->node.number, COFS_EXTENT, end), &item);
				if (error == -ENOENT || (!error && (item.key.object != node->node.number ||
				    cofs_key_kind(item.key) != COFS_EXTENT)))
					return 0;
				cut = error ? cut : cofs_key_offset(item.key);
			}
			from = cut;
			continue;
		}
		if (extents && !(*extents)--) {
			*extents = 0;
			return 0;
		}
		uint32_t skip = (uint32_t)(from - map.first), gone = (uint32_t)(cut - from), left = map.count - skip - gone;

		if (left)
			error = extent_put(fs, node, cut, map.block + skip + gone, left, map.sum + skip + gone);
		if (!error)
			error = skip ? extent_put(fs, node, map.first, map.block, skip, map.sum) :
			    cofs_tree_delete(fs, cofs_key(node->node.number, COFS_EXTENT, map.first));
		if (!error)
			error = cofs_release(fs, map.block + skip, gone);
		if (!error && node->inode.blocks < gone)
			error = -FS_EDAMAGED;
		if (error)
			return cofs_wreck(fs, error);
		node->inode.blocks -= gone;
		cofs_node_changed(fs, node);
		from = cut;
	}
	return error;
}

/* Pages [index, index + count) that have no blocks get these; an extent that they go on from grows. */
int cofs_map_put(struct cofs *fs, struct cofs_node *node, uint64_t index, uint32_t block, uint32_t count,
    const uint64_t *sums)
{
	struct cofs_map map;
	int error;

	fs->map_number = 0;
	if (index && !node->fresh) {
		error = cofs_map_get(fs, node, index - 1, &map);
		if (error)
			return error;
		if (map.block && map.block + map.count == block && map.count + count <= COFS_EXTENT_MAX &&
		    map.first + map.count == index) {
			memcpy(map.sum + map.count, sums, count * 8u);
			error = extent_put(fs, node, map.first, map.block, map.count + count, map.sum);
			goto out;
		}
	}
	if (node->fresh) {
		error = cofs_node_store(fs, node);
		if (error)
			return error;
	}
	error = extent_put(fs, node, index, block, count, sums);
out:
	if (error)
		return error;
	node->inode.blocks += count;
	cofs_node_changed(fs, node);
	return 0;
}

/* What changing the extents of pages [index, end) will look at is in memory then, and cannot fail to come. */
static int prepare(struct cofs *fs, struct cofs_node *node, uint64_t index, uint64_t end)
{
	int error = cofs_pool_ready(fs, (uint32_t)(end - index) + 4 * COFS_LEVELS);

	while (!error && index < end) {
		struct cofs_item item;
		struct cofs_map map;

		error = cofs_map_get(fs, node, index, &map);
		if (!error && map.block)
			error = cofs_tree_before(fs, cofs_key(0, COFS_SHARED, map.block), &item);
		if (!error || error == -ENOENT)
			error = cofs_tree_next(fs, cofs_key(0, COFS_SHARED, map.block), &item);
		if (error == -ENOENT)
			error = 0;
		index = map.first + map.count;
	}
	return error;
}

/* A page as it shall be on the disk: itself, or a copy when somebody may change it meanwhile. */
static int to_write(struct cofs *fs, struct cofs_node *node, struct cofs_page *page, struct cofs_page **write)
{
	uint64_t at = page->index * BLOCK_BYTES, end = node->inode.bytes;

	*write = page;
	if (page->writers) {
		int error = cofs_pool_temporary(fs, write);

		if (error)
			return error;
		memcpy((*write)->buffer.data, page->buffer.data, BLOCK_BYTES);
	}
	if (end - at < BLOCK_BYTES)
		memset((*write)->buffer.data + (end - at), 0, BLOCK_BYTES - (end - at));
	return 0;
}

/* Dirty pages of a node that follow one another, at most COFS_EXTENT_MAX: as many of them as there is a piece for. */
static int run_out(struct cofs *fs, struct cofs_node *node, struct cofs_page **list, uint32_t want, uint32_t *done)
{
	struct cofs_page *write[COFS_EXTENT_MAX];
	uint64_t sums[COFS_EXTENT_MAX], index = list[0]->index;
	struct cofs_map before = { .block = 0 };
	uint32_t block, count, i;
	int error = prepare(fs, node, index, index + want);

	if (!error && index)
		error = cofs_map_get(fs, node, index - 1, &before);
	if (error)
		return error;
	error = cofs_space_take(fs, before.block ? before.block + (uint32_t)(index - before.first) : fs->data_hint, want,
	    &block, &count);
	if (error)
		return error;
	fs->data_hint = block + count;
	for (i = 0; i < count && !error; i++) {
		error = to_write(fs, node, list[i], &write[i]);
		if (!error)
			sums[i] = cofs_sum(write[i]->buffer.data, BLOCK_BYTES);
	}
	cofs_log_blocks(fs, COFS_TAKE, block, count);
	if (!error)
		error = cofs_map_remove(fs, node, index, index + count, NULL);
	if (!error)
		error = cofs_map_put(fs, node, index, block, count, sums);
	if (error) {
		/* What was taken is lost to this mount, and the tree may be half-changed. */
		while (i-- > 0)
			if (write[i] != list[i])
				cofs_pool_drop(fs, write[i]);
		return cofs_wreck(fs, error);
	}
	for (i = 0; i < count; i++)
		if (!list[i]->writers)
			cofs_page_clean(fs, list[i]);
	cofs_io_write(fs, write, count, block);
	fs->counts.data_written += count;
	*done = count;
	return 0;
}

/* A small file goes into the tree. */
static int inline_out(struct cofs *fs, struct cofs_node *node)
{
	struct cofs_page *page = cofs_pool_find(fs, node->node.number, 0);
	int error = 0;

	if (node->inode.blocks)
		error = cofs_map_remove(fs, node, 0, COFS_BYTES_MAX / BLOCK_BYTES, NULL);
	if (!error && node->inode.bytes)
		error = cofs_tree_put(fs, cofs_key(node->node.number, COFS_DATA, 0), page->buffer.data,
		    (uint32_t)node->inode.bytes);
	else if (!error && node->inode.flags & COFS_INODE_INLINE)
		error = cofs_tree_delete(fs, cofs_key(node->node.number, COFS_DATA, 0));
	if (error)
		return error;
	node->inode.flags = node->inode.bytes ? COFS_INODE_INLINE : 0;
	cofs_node_changed(fs, node);
	if (!page->writers)
		cofs_page_clean(fs, page);
	return 0;
}

static int leave_inline(struct cofs *fs, struct cofs_node *node)
{
	int error = cofs_tree_delete(fs, cofs_key(node->node.number, COFS_DATA, 0));

	if (error)
		return error == -ENOENT ? -FS_EDAMAGED : error;
	node->inode.flags &= (uint8_t)~COFS_INODE_INLINE;
	cofs_node_changed(fs, node);
	return 0;
}

/* Begin to write all dirty pages of a node. */
int cofs_write_out(struct cofs *fs, struct cofs_node *node)
{
	uint32_t count = 0, run, done;
	int error = cofs_pool_list(fs, node->dirty_count);

	if (error)
		return error;
	for (struct buffer *buffer = node->dirty_pages; buffer; buffer = buffer->dirty_next)
		fs->list[count++] = cofs_page_of(buffer);
	cofs_pages_sort(fs->list, count);
	for (uint32_t i = 0; i < count; i++)
		cofs_io_wait(fs, fs->list[i]);
	if (node->inode.bytes <= COFS_INLINE_MAX && count == 1 && !fs->list[0]->index)
		return inline_out(fs, node);
	if (count && node->inode.flags & COFS_INODE_INLINE)
		error = leave_inline(fs, node);
	for (uint32_t i = 0; i < count && !error; i += done) {
		for (run = 1; i + run < count && run < COFS_EXTENT_MAX; run++)
			if (fs->list[i + run]->index != fs->list[i]->index + run)
				break;
		error = run_out(fs, node, fs->list + i, run, &done);
	}
	return error;
}
