/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and directories of a cofs in memory, one struct cofs_node for each number, and the end of those without names.
 *
 * What changes in one stays there until the next commit or fsync; a file that comes and goes in between never touches the
 * tree. Nodes that nobody holds are kept for a while, least recently used first out, and their pages go with them. A node
 * without names goes when nobody holds it any more. If a commit or fsync comes before that, or it has more blocks than one
 * step removes, an item says that it is an orphan, and mounting finds it; orphans are removed a part at a time, in front
 * of other operations.
 */
#include <stdlib.h>
#include "libos/fs/cofs_private.h"

#define SMALL_BLOCKS	4	/* a file that goes at once */
#define STEP_PUTS	10	/* changes of the tree that removing one extent may make */

int cofs_inode_check(const struct cofs_inode *inode, uint64_t number)
{
	bool directory = inode->kind == FS_DIRECTORY;

	if (inode->kind < FS_FILE || inode->kind > FS_BLOCK || inode->flags & ~COFS_INODE_INLINE ||
	    inode->bytes > COFS_BYTES_MAX || inode->mode > 07777 || !number || number > COFS_OFFSET_MAX)
		return -FS_EDAMAGED;
	if (inode->flags & COFS_INODE_INLINE && (inode->bytes > COFS_INLINE_MAX || inode->blocks || directory))
		return -FS_EDAMAGED;
	if (directory && (inode->group > COFS_GROUP_MAX || inode->bytes || inode->blocks))
		return -FS_EDAMAGED;
	if (inode->kind == FS_SYMLINK && (inode->bytes > FS_LINK_MAX || !inode->bytes))
		return -FS_EDAMAGED;
	if (inode->accessed_ns > 999999999 || inode->modified_ns > 999999999 || inode->changed_ns > 999999999)
		return -FS_EDAMAGED;
	return 0;
}

static struct cofs_node **bucket(struct cofs *fs, uint64_t number)
{
	return &fs->nodes[(number ^ number >> COFS_GROUP_SHIFT) & fs->node_mask];
}

static struct cofs_node *find(struct cofs *fs, uint64_t number)
{
	struct fs_node *node = (struct fs_node *)*bucket(fs, number);

	while (node && node->number != number)
		node = node->hash_next;
	return node ? cofs_node_of(node) : NULL;
}

static void idle_out(struct cofs *fs, struct cofs_node *node)
{
	if (!node->idle)
		return;
	*(node->idle_prev ? &node->idle_prev->idle_next : &fs->idle_first) = node->idle_next;
	*(node->idle_next ? &node->idle_next->idle_prev : &fs->idle_last) = node->idle_prev;
	node->idle = false;
	fs->idle_count--;
}

static void list_out(struct cofs *fs, struct cofs_node *node)
{
	if (!node->listed)
		return;
	*(node->dirty_prev ? &node->dirty_prev->dirty_next : &fs->dirty_nodes) = node->dirty_next;
	*(node->dirty_next ? &node->dirty_next->dirty_prev : &fs->dirty_last) = node->dirty_prev;
	node->listed = false;
	fs->dirty_node_count--;
}

void cofs_node_list(struct cofs *fs, struct cofs_node *node)
{
	if (node->listed)
		return;
	node->listed = true;
	node->dirty_next = NULL;
	node->dirty_prev = fs->dirty_last;
	*(fs->dirty_last ? &fs->dirty_last->dirty_next : &fs->dirty_nodes) = node;
	fs->dirty_last = node;
	fs->dirty_node_count++;
}

void cofs_node_changed(struct cofs *fs, struct cofs_node *node)
{
	node->dirty = true;
	cofs_node_list(fs, node);
}

void cofs_node_stored(struct cofs *fs, struct cofs_node *node)
{
	if (!node->dirty && !node->dirty_count)
		list_out(fs, node);
}

/* Out of memory, with its pages, whatever they have. */
static void drop(struct cofs *fs, struct cofs_node *node)
{
	struct cofs_page *page, *next;

	for (page = node->pages; page; page = next) {
		next = page->next;
		cofs_io_wait(fs, page);
		cofs_pool_drop(fs, page);
	}
	idle_out(fs, node);
	list_out(fs, node);
	if (fs->map_number == node->node.number)
		fs->map_number = 0;
	*(node->node.hash_prev ? &node->node.hash_prev->hash_next : (struct fs_node **)bucket(fs, node->node.number)) =
	    node->node.hash_next;
	if (node->node.hash_next)
		node->node.hash_next->hash_prev = node->node.hash_prev;
	node->idle_next = fs->node_unused;
	fs->node_unused = node;
}

void cofs_nodes_end(struct cofs *fs)
{
	struct cofs_node *node, *next;

	for (uint32_t i = 0; fs->nodes && i <= fs->node_mask; i++)
		while (fs->nodes[i])
			drop(fs, fs->nodes[i]);
	for (node = fs->node_unused; node; node = next) {
		next = node->idle_next;
		free(node);
	}
	free(fs->nodes);
}

bool cofs_busy(struct fs *mounted, const struct fs_node *root)
{
	const struct cofs *fs = (const struct cofs *)mounted;

	for (uint32_t i = 0; i <= fs->node_mask; i++)
		if (fs_held((const struct fs_node *)fs->nodes[i], root))
			return true;
	return false;
}

int cofs_node_new(struct cofs *fs, uint64_t number, struct cofs_node **node)
{
	struct cofs_node *new = fs->node_unused;
	struct fs_node **first = (struct fs_node **)bucket(fs, number);

	if (find(fs, number))
		return -FS_EDAMAGED;
	if (new)
		fs->node_unused = new->idle_next;
	else
		new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	memset(new, 0, sizeof(*new));
	new->node.fs = &fs->fs;
	new->node.number = number;
	new->node.holds = 1;
	new->node.hash_next = *first;
	if (*first)
		(*first)->hash_prev = &new->node;
	*first = &new->node;
	*node = new;
	return 0;
}

int cofs_node_get(struct cofs *fs, uint64_t number, struct cofs_node **node)
{
	struct cofs_item item;
	int error;

	*node = find(fs, number);
	if (*node) {
		idle_out(fs, *node);
		(*node)->node.holds++;
		return 0;
	}
	error = cofs_tree_find(fs, cofs_key(number, COFS_INODE, 0), &item);
	if (error)
		return error;
	if (item.bytes != sizeof(struct cofs_inode))
		return -FS_EDAMAGED;
	error = cofs_node_new(fs, number, node);
	if (error)
		return error;
	memcpy(&(*node)->inode, item.data, sizeof((*node)->inode));
	(*node)->node.kind = (*node)->inode.kind;
	error = cofs_inode_check(&(*node)->inode, number);
	if (error)
		drop(fs, *node);
	else
		(*node)->orphan = !(*node)->inode.links;
	return error;
}

int cofs_node_store(struct cofs *fs, struct cofs_node *node)
{
	int error = cofs_tree_put(fs, cofs_key(node->node.number, COFS_INODE, 0), &node->inode, sizeof(node->inode));

	if (error)
		return error;
	node->fresh = false;
	if (!node->inode.links && !node->orphan) {
		error = cofs_tree_put(fs, cofs_key(0, COFS_ORPHAN, node->node.number), "", 0);
		if (error)
			return error;
		node->orphan = true;
		fs->orphans |= !node->node.holds;
	}
	node->dirty = false;
	return 0;
}

static void idle_in(struct cofs *fs, struct cofs_node *node)
{
	struct cofs_node *oldest = fs->idle_first;

	node->idle = true;
	node->idle_next = NULL;
	node->idle_prev = fs->idle_last;
	*(fs->idle_last ? &fs->idle_last->idle_next : &fs->idle_first) = node;
	fs->idle_last = node;
	if (++fs->idle_count <= COFS_IDLE_MAX)
		return;
	for (int i = 0; i < 8 && oldest->listed && oldest != node; i++)
		oldest = oldest->idle_next;
	if (!oldest->listed)
		drop(fs, oldest);
}

/* The items of a node that goes come into memory, so that changing them cannot fail. */
int cofs_node_going(struct cofs *fs, struct cofs_node *node)
{
	uint64_t number = node->node.number;
	struct cofs_item item;
	int error = cofs_tree_find(fs, cofs_key(0, COFS_ORPHAN, number), &item);

	if ((!error || error == -ENOENT) && !node->fresh)
		error = cofs_tree_find(fs, cofs_key(number, COFS_INODE, 0), &item);
	if ((!error || error == -ENOENT) && node->inode.flags & COFS_INODE_INLINE)
		error = cofs_tree_find(fs, cofs_key(number, COFS_DATA, 0), &item);
	for (uint64_t index = 0; (!error || error == -ENOENT) && node->inode.blocks && index < SMALL_BLOCKS;) {
		struct cofs_map map;

		error = cofs_map_get(fs, node, index, &map);
		if (!error && map.block)
			error = cofs_tree_before(fs, cofs_key(0, COFS_SHARED, map.block), &item);
		if ((!error || error == -ENOENT) && map.block)
			error = cofs_tree_next(fs, cofs_key(0, COFS_SHARED, map.block), &item);
		index = map.first + map.count;
	}
	return error == -ENOENT ? 0 : error;
}

/* All of it that is left in the tree, but its extents; then itself. */
static int erase(struct cofs *fs, struct cofs_node *node)
{
	uint64_t number = node->node.number;
	int error = 0;

	if (node->inode.flags & COFS_INODE_INLINE)
		error = cofs_tree_delete(fs, cofs_key(number, COFS_DATA, 0));
	if (!error && !node->fresh)
		error = cofs_tree_delete(fs, cofs_key(number, COFS_INODE, 0));
	if (!error && node->orphan)
		error = cofs_tree_delete(fs, cofs_key(0, COFS_ORPHAN, number));
	if (error)
		return cofs_wreck(fs, error);
	drop(fs, node);
	return 0;
}

/* Extents of a node that goes, a part of them. `left`: how many may still be removed. */
static int strip(struct cofs *fs, struct cofs_node *node, unsigned *left)
{
	int error = 0;

	cofs_pages_forget(fs, node, 0);
	while (node->inode.blocks && *left && !error) {
		unsigned one = 1;

		if (!cofs_room(fs, STEP_PUTS, 0, true)) {
			error = cofs_commit(fs);
			if (!error && !cofs_room(fs, STEP_PUTS, 0, true))
				error = -ENOSPC;
		}
		if (!error)
			error = cofs_pool_ready(fs, STEP_PUTS * 2);
		if (!error)
			error = cofs_node_going(fs, node);
		if (!error)
			error = cofs_map_remove(fs, node, 0, COFS_BYTES_MAX / BLOCK_BYTES, &one);
		if (!error && one)
			error = cofs_wreck(fs, -FS_EDAMAGED);
		(*left)--;
	}
	return error;
}

int cofs_reclaim(struct cofs *fs, unsigned extents)
{
	struct cofs_key key = cofs_key(0, COFS_ORPHAN, 0);
	int error = 0;

	if (fs->wrecked || fs->fs.read_only)
		return 0;
	while (extents) {
		struct cofs_node *node;
		struct cofs_item item;
		uint64_t number;

		error = cofs_tree_next(fs, key, &item);
		if (error || item.key.object || cofs_key_kind(item.key) != COFS_ORPHAN) {
			fs->orphans = false;
			return error == -ENOENT ? 0 : error;
		}
		number = cofs_key_offset(item.key);
		key = cofs_key(0, COFS_ORPHAN, number + 1);
		error = cofs_node_get(fs, number, &node);
		if (error)
			return error == -ENOENT ? -FS_EDAMAGED : error;
		if (node->node.holds > 1 || node->inode.links) {
			node->node.holds--;
			continue;
		}
		error = strip(fs, node, &extents);
		if (!error && !node->inode.blocks && !cofs_room(fs, STEP_PUTS, 0, true))
			error = cofs_commit(fs);
		if (!error && !node->inode.blocks)
			error = cofs_pool_ready(fs, STEP_PUTS * 2);
		if (!error && !node->inode.blocks)
			error = cofs_node_going(fs, node);
		if (!error && !node->inode.blocks) {
			extents -= !!extents;
			error = erase(fs, node);
			if (!error)
				continue;
		}
		node->node.holds = 0;
		idle_in(fs, node);
		if (error)
			return error;
	}
	return error;
}

/* One that is small, and has no orphan item, goes at once. 0: it has gone. */
static int go(struct cofs *fs, struct cofs_node *node)
{
	int error = 0;

	if (node->orphan || node->inode.blocks > SMALL_BLOCKS)
		return -EAGAIN;
	if (!node->fresh) {
		if (!cofs_room(fs, STEP_PUTS * SMALL_BLOCKS, 0, true))
			return -EAGAIN;
		error = cofs_pool_ready(fs, STEP_PUTS * SMALL_BLOCKS);
		if (!error)
			error = cofs_node_going(fs, node);
		if (error)
			return error;
	}
	cofs_pages_forget(fs, node, 0);
	if (node->inode.blocks)
		error = cofs_map_remove(fs, node, 0, COFS_BYTES_MAX / BLOCK_BYTES, NULL);
	if (!error && node->inode.blocks)
		error = cofs_wreck(fs, -FS_EDAMAGED);
	return error ? error : erase(fs, node);
}

void cofs_node_put(struct fs_node *put)
{
	struct cofs_node *node = cofs_node_of(put);
	struct cofs *fs = cofs_owner(node);

	if (!node->inode.links && !fs->wrecked && !fs->fs.read_only && !go(fs, node))
		return;
	idle_in(fs, node);
	if (node->inode.links || fs->wrecked || fs->fs.read_only)
		return;
	/* The next commit makes it an orphan, if this does not. */
	if (!node->orphan && cofs_room(fs, STEP_PUTS, 0, true) && !cofs_pool_ready(fs, STEP_PUTS * 2))
		(void)cofs_node_store(fs, node);
	fs->orphans |= node->orphan;
	(void)cofs_reclaim(fs, 16);
}
