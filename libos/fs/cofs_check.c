/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a cofs without changing it: the file system as a mount that only reads sees it, the log applied in memory.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "libos/fs/cofs_check.h"

void check_fault(struct check *check, const char *format, ...)
{
	struct cofs_report *report = check->report;
	va_list args;

	if (report->faults < sizeof(report->fault) / sizeof(report->fault[0])) {
		va_start(args, format);
		vsnprintf(report->fault[report->faults], sizeof(report->fault[0]), format, args);
		va_end(args);
	}
	report->faults++;
}

struct check_node *check_find(struct check *check, uint64_t number)
{
	uint64_t low = 0, high = check->nodes;

	while (low < high) {
		uint64_t middle = (low + high) / 2;

		if (check->node[middle].number == number)
			return &check->node[middle];
		if (check->node[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static unsigned long long name_of(struct cofs_key key)
{
	return (unsigned long long)key.object;
}

static int item_inode(struct check *check, const struct cofs_item *item)
{
	struct check_node *node;

	if (item->bytes != sizeof(struct cofs_inode) || item->key.word != cofs_key(0, COFS_INODE, 0).word) {
		check_fault(check, "node %llu: inode item of %u bytes", name_of(item->key), item->bytes);
		return 0;
	}
	if (check->nodes == check->nodes_max) {
		uint64_t max = check->nodes_max * 2 + 64;

		node = realloc(check->node, max * sizeof(*node));
		if (!node)
			return -ENOMEM;
		check->node = node;
		check->nodes_max = max;
	}
	node = &check->node[check->nodes++];
	memset(node, 0, sizeof(*node));
	node->number = item->key.object;
	memcpy(&node->inode, item->data, sizeof(node->inode));
	if (cofs_inode_check(&node->inode, node->number))
		check_fault(check, "node %llu: its inode cannot be", name_of(item->key));
	if (node->number >> COFS_GROUP_SHIFT >= check->fs->super.group_next)
		check_fault(check, "node %llu: its number was never given", name_of(item->key));
	if (node->inode.kind == FS_DIRECTORY) {
		node->parent = node->inode.device_or_parent;
		check->report->directories++;
	} else {
		check->report->files++;
	}
	return 0;
}

static int item_extent(struct check *check, const struct cofs_item *item)
{
	struct check_node *node = check_find(check, item->key.object);
	struct cofs_extent extent;
	uint64_t index = cofs_key_offset(item->key);

	if (cofs_extent_check(check->fs, item)) {
		check_fault(check, "node %llu: the extent at page %llu cannot be", name_of(item->key),
		    (unsigned long long)index);
		return 0;
	}
	memcpy(&extent, item->data, item->bytes);
	if (!node) {
		check_fault(check, "node %llu: an extent of none", name_of(item->key));
		return 0;
	}
	if (index < node->extents_end)
		check_fault(check, "node %llu: extents overlap", name_of(item->key));
	node->extents_end = index + extent.count;
	node->blocks += extent.count;
	check->report->data_blocks += extent.count;
	if (block_read(check->fs->device, extent.block, extent.count, check->data)) {
		check_fault(check, "node %llu: pages from %llu on cannot be read", name_of(item->key),
		    (unsigned long long)index);
		return check_use(check, extent.block, extent.count, "data");
	}
	for (unsigned i = 0; i < extent.count; i++)
		if (cofs_sum(check->data + i * BLOCK_BYTES, BLOCK_BYTES) != extent.sum[i])
			check_fault(check, "node %llu: page %llu, block %u has another sum", name_of(item->key),
			    (unsigned long long)index + i, extent.block + i);
	return check_use(check, extent.block, extent.count, "data");
}

static int item_look(struct check *check, const struct cofs_item *item)
{
	struct check_node *node = check_find(check, item->key.object);

	if (check->any && !cofs_key_less(check->last, item->key))
		check_fault(check, "node %llu: items are not in order", name_of(item->key));
	check->any = true;
	check->last = item->key;
	switch (cofs_key_kind(item->key)) {
	case COFS_INODE:
		return item_inode(check, item);
	case COFS_EXTENT:
		return item_extent(check, item);
	case COFS_DATA:
		if (!node || node->data || cofs_key_offset(item->key) || item->bytes != node->inode.bytes ||
		    !(node->inode.flags & COFS_INODE_INLINE))
			check_fault(check, "node %llu: data in the tree that should not be", name_of(item->key));
		else
			node->data = true;
		return 0;
	case COFS_NAME:
		if (!node || node->inode.kind != FS_DIRECTORY)
			check_fault(check, "node %llu: names, but no directory", name_of(item->key));
		return 0;	/* check_names() */
	case COFS_SHARED:
	case COFS_ORPHAN:
		if (item->key.object)
			break;
		return 0;	/* check_space(), check_names() */
	}
	check_fault(check, "node %llu: an item of kind %d", name_of(item->key), (int)cofs_key_kind(item->key));
	return 0;
}

/* A block of the tree and all below it; keys in [low, high), high NULL: no bound. */
static int walk(struct check *check, uint32_t block, uint64_t sum, unsigned level, struct cofs_key low,
    const struct cofs_key *high)
{
	struct cofs_page *page;
	const struct cofs_head *head;
	int error = cofs_tree_load(check->fs, block, sum, level, &page);

	if (error == -ENOMEM)
		return error;
	if (error) {
		check_fault(check, "block %u of the tree, level %u: %s", block, level,
		    error == -FS_EDAMAGED ? "damaged" : "cannot be read");
		return 0;
	}
	check->report->tree_blocks++;
	memcpy(check->leaf[level], page->buffer.data, BLOCK_BYTES);
	head = (const struct cofs_head *)check->leaf[level];
	if (block < check->fs->super.blocks)
		error = check_use(check, block, 1, "the tree");
	if (!head->count && level + 1 != check->fs->levels)
		check_fault(check, "block %u of the tree is empty", block);
	for (unsigned i = 0; i < head->count && !error; i++) {
		const struct cofs_slot *slot = &cofs_slots(head)[i];
		const struct cofs_branch *branch = &cofs_branches(head)[i];
		struct cofs_key key = level ? branch->key : slot->key;
		struct cofs_item item = { key, check->leaf[level] + slot->at, slot->bytes };

		if ((level ? i && cofs_key_less(key, low) : cofs_key_less(key, low)) || (high && !cofs_key_less(key, *high)))
			check_fault(check, "block %u of the tree: a key is not where it belongs", block);
		if (!level)
			error = item_look(check, &item);
		else
			error = walk(check, branch->block, branch->sum, level - 1, i ? key : low,
			    i + 1u < head->count ? &branch[1].key : high);
	}
	return error;
}

static int all(struct check *check)
{
	int error = walk(check, check->fs->super.root, check->fs->super.root_sum, check->fs->levels - 1,
	    (struct cofs_key){ 0, 0 }, NULL);

	if (!error)
		error = check_names(check);
	if (!error)
		error = check_space(check);
	if (!error && check->nodes != check->fs->files)
		check_fault(check, "%llu nodes, but the count says %llu", (unsigned long long)check->nodes,
		    (unsigned long long)check->fs->files);
	return error;
}

static int memory(struct check *check)
{
	bool there = true;

	for (unsigned i = 0; i < COFS_LEVELS; i++)
		there &= (check->leaf[i] = malloc(BLOCK_BYTES)) != NULL;
	check->users = calloc(check->fs->chunks, sizeof(*check->users));
	check->data = block_memory(check->fs->device, COFS_EXTENT_MAX);
	return there && check->users && check->data ? 0 : -ENOMEM;
}

static void memory_end(struct check *check)
{
	for (unsigned i = 0; i < COFS_LEVELS; i++)
		free(check->leaf[i]);
	for (uint32_t i = 0; check->users && i < check->fs->chunks; i++)
		free(check->users[i]);
	free(check->users);
	free(check->node);
	if (check->data)
		block_memory_free(check->fs->device, check->data, COFS_EXTENT_MAX);
}

int cofs_check(struct block_device *device, struct cofs_report *report)
{
	struct fs_mount how = { .device = device, .read_only = true };
	struct check check = { .report = report };
	struct fs_node *root;
	int error;

	memset(report, 0, sizeof(*report));
	error = cofs_mount(&check.fs, &root, &how);
	if (error == -FS_EDAMAGED) {
		check_fault(&check, "a superblock, the log or the root is damaged");
		return 1;
	}
	if (error)
		return error;
	fs_put(root);
	report->generation = check.fs->super.generation;
	report->records = check.fs->replayed;
	error = memory(&check);
	if (!error)
		error = all(&check);
	memory_end(&check);
	cofs_end(check.fs);
	return error ? error : report->faults != 0;
}
