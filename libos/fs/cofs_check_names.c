/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a cofs: every name names a node, every node has as many names as it says or is an orphan, every directory is
 * found from the root, its hash is the name's, and what a node says of its size fits what it has.
 */
#include "libos/fs/cofs_check.h"

static unsigned long long n(uint64_t number)
{
	return (unsigned long long)number;
}

static void name_look(struct check *check, const struct cofs_item *item)
{
	struct check_node *node, *directory = check_find(check, item->key.object);
	struct cofs_found found;
	const char *name;
	size_t bytes;

	if (cofs_entry_read(item, &found, &name, &bytes)) {
		check_fault(check, "directory %llu: an entry cannot be", n(item->key.object));
		return;
	}
	check->report->names++;
	if (cofs_name_hash(check->fs->super.seed, name, bytes) != cofs_key_offset(item->key) >> 8)
		check_fault(check, "directory %llu: an entry is not where it belongs", n(item->key.object));
	node = check_find(check, found.number);
	if (!node || node->inode.kind != found.kind) {
		check_fault(check, "directory %llu: an entry names node %llu, which is not there", n(item->key.object),
		    n(found.number));
		return;
	}
	node->names++;
	if (node->inode.kind != FS_DIRECTORY)
		return;
	if (node->parent != item->key.object)
		check_fault(check, "directory %llu is in %llu, and says %llu", n(node->number), n(item->key.object),
		    n(node->parent));
	if (directory)
		directory->children++;
}

static void orphan_look(struct check *check, const struct cofs_item *item)
{
	struct check_node *node = check_find(check, cofs_key_offset(item->key));

	check->report->orphans++;
	if (!node || node->inode.links || node->orphan)
		check_fault(check, "orphan %llu is none", n(cofs_key_offset(item->key)));
	else
		node->orphan = true;
}

static void node_look(struct check *check, struct check_node *node)
{
	const struct cofs_inode *inode = &node->inode;
	bool directory = inode->kind == FS_DIRECTORY, root = node->number == COFS_ROOT;
	uint32_t links = directory ? node->names || root ? 2 + node->children : 0 : node->names;

	if (directory && node->names > 1u - root)
		check_fault(check, "directory %llu has %u names", n(node->number), node->names);
	if (inode->links != links)
		check_fault(check, "node %llu: %u links, but there are %u", n(node->number), inode->links, links);
	if (!inode->links != node->orphan)
		check_fault(check, "node %llu: no name, and no orphan", n(node->number));
	if (inode->blocks != node->blocks)
		check_fault(check, "node %llu: %llu blocks, but there are %llu", n(node->number), n(inode->blocks),
		    n(node->blocks));
	if (node->extents_end > (inode->bytes + BLOCK_BYTES - 1) / BLOCK_BYTES)
		check_fault(check, "node %llu: blocks behind the end", n(node->number));
	if (!(inode->flags & COFS_INODE_INLINE) != !node->data)
		check_fault(check, "node %llu: its data is not in the tree", n(node->number));
	if (directory && inode->number_next > 1u << COFS_GROUP_SHIFT)
		check_fault(check, "directory %llu: its next number cannot be", n(node->number));
}

/* Up from a directory: to the root, or to one that is known to be found from it. */
static void reach(struct check *check, struct check_node *node)
{
	struct check_node *up = node;
	uint64_t steps = 0;

	while (up && up->number != COFS_ROOT && !up->reached && up->inode.links && steps++ <= check->nodes)
		up = check_find(check, up->parent);
	if (!up || steps > check->nodes) {
		check_fault(check, "directory %llu is not found from the root", n(node->number));
		return;
	}
	for (up = node; up->number != COFS_ROOT && !up->reached && up->inode.links; up = check_find(check, up->parent))
		up->reached = true;
}

int check_names(struct check *check)
{
	struct cofs_key key = { 0, 0 };
	struct cofs_item item;
	int error;

	while (!(error = cofs_tree_next(check->fs, key, &item))) {
		if (!item.key.object && cofs_key_kind(item.key) == COFS_ORPHAN)
			orphan_look(check, &item);
		else if (item.key.object && cofs_key_kind(item.key) == COFS_NAME)
			name_look(check, &item);
		key = item.key;
		key.object += !++key.word;
		if (item.key.object && cofs_key_kind(item.key) > COFS_NAME)
			key = cofs_key(item.key.object + 1, 0, 0);
	}
	if (error != -ENOENT) {
		if (error == -ENOMEM)
			return error;
		if (!check->report->faults)
			check_fault(check, "the tree cannot be walked through");
		return 0;
	}
	for (uint64_t i = 0; i < check->nodes; i++)
		node_look(check, &check->node[i]);
	for (uint64_t i = 0; i < check->nodes; i++)
		if (check->node[i].inode.kind == FS_DIRECTORY && check->node[i].inode.links)
			reach(check, &check->node[i]);
	if (!check_find(check, COFS_ROOT))
		check_fault(check, "there is no root");
	return 0;
}
