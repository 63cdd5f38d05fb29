/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of a cofs: putting and deleting items, and writing it.
 *
 * The way down makes every block on it dirty: once between two commits it gets a new place, and its parent's sum of it is
 * 0 from then on. All that can fail comes first: the blocks of the way, then memory and blocks for the splits, as many as
 * there can be; then the item is put or deleted, which cannot fail but by finding a free space that is damaged. Blocks
 * that are less than a quarter full are joined with a neighbour if both fill three quarters at most.
 */
#include "libos/fs/cofs_private.h"

/* A dirty, empty block of the tree. */
static int block_new(struct cofs *fs, unsigned level, struct cofs_page **page)
{
	struct cofs_head *head;
	uint32_t block;
	int error = cofs_space_node(fs, &block);

	if (error)
		return error;
	if (cofs_pool_find(fs, 0, block))
		return -FS_EDAMAGED;
	error = cofs_pool_new(fs, 0, block, NULL, page);
	if (error) {
		(void)cofs_space_give(fs, block, 1);
		return error;
	}
	head = cofs_head(*page);
	memset(head, 0, BLOCK_BYTES);
	head->magic = COFS_HEAD_MAGIC;
	head->level = (uint8_t)level;
	head->heap = BLOCK_BYTES;
	head->block = block;
	(*page)->buffer.valid = true;
	cofs_page_dirty(fs, *page);
	return 0;
}

static int block_free(struct cofs *fs, struct cofs_page *page)
{
	uint32_t block = cofs_head(page)->block;

	cofs_pool_drop(fs, page);
	return cofs_space_give(fs, block, 1);
}

/* Copy on write: it gets another place. */
static int block_dirty(struct cofs *fs, struct cofs_page *page)
{
	struct cofs_head *head = cofs_head(page);
	uint32_t block, old = head->block;
	int error;

	if (page->buffer.dirty)
		return 0;
	error = cofs_space_node(fs, &block);
	if (error)
		return error;
	if (cofs_pool_find(fs, 0, block))
		return -FS_EDAMAGED;
	error = cofs_space_give(fs, old, 1);
	if (error)
		return error;
	cofs_pool_move(fs, page, block);
	head->block = block;
	cofs_page_dirty(fs, page);
	return 0;
}

static int descend(struct cofs *fs, struct cofs_key key, struct cofs_path *path)
{
	uint32_t *block = &fs->super.root;
	uint64_t *sum = &fs->super.root_sum;

	for (unsigned level = fs->levels; level-- > 0;) {
		struct cofs_page *page;
		int error = cofs_tree_load(fs, *block, *sum, level, &page);

		if (!error)
			error = block_dirty(fs, page);
		if (error)
			return error;
		*block = cofs_head(page)->block;
		*sum = 0;
		path->page[level] = page;
		if (!level)
			break;
		path->slot[level] = (uint16_t)cofs_branch_slot(cofs_head(page), key);
		struct cofs_branch *branch = &cofs_branches(cofs_head(page))[path->slot[level]];

		block = &branch->block;
		sum = &branch->sum;
	}
	path->slot[0] = (uint16_t)cofs_leaf_slot(cofs_head(path->page[0]), key);
	return 0;
}

static uint32_t leaf_space(const struct cofs_head *head)
{
	return (uint32_t)(COFS_LEAF_ROOM - head->used - head->count * sizeof(struct cofs_slot));
}

static void slots_shift(void *at, size_t bytes, size_t by)
{
	uint64_t *word = (uint64_t *)((uint8_t *)at + bytes);

	for (by /= 8; bytes; bytes -= 8) {
		word--;
		word[by] = *word;
	}
}

/* Items to the end without gaps. */
static void leaf_pack(struct cofs *fs, struct cofs_head *head)
{
	struct cofs_slot *slot = cofs_slots(head);

	memcpy(fs->scratch, head, BLOCK_BYTES);
	head->heap = BLOCK_BYTES;
	for (unsigned i = 0; i < head->count; i++) {
		head->heap = (uint16_t)(head->heap - slot[i].bytes);
		memcpy((uint8_t *)head + head->heap, fs->scratch + slot[i].at, slot[i].bytes);
		slot[i].at = head->heap;
	}
}

/* There is room for it. */
static void leaf_insert(struct cofs *fs, struct cofs_head *head, unsigned at, struct cofs_key key, const void *data,
    uint32_t bytes)
{
	struct cofs_slot *slot = cofs_slots(head);

	if (head->heap < sizeof(*head) + (head->count + 1u) * sizeof(*slot) + bytes)
		leaf_pack(fs, head);
	slots_shift(slot + at, (head->count - at) * sizeof(*slot), sizeof(*slot));
	head->heap = (uint16_t)(head->heap - bytes);
	head->used = (uint16_t)(head->used + bytes);
	head->count++;
	slot[at] = (struct cofs_slot){ .key = key, .at = head->heap, .bytes = (uint16_t)bytes };
	memcpy((uint8_t *)head + head->heap, data, bytes);
}

static void leaf_remove(struct cofs_head *head, unsigned at)
{
	struct cofs_slot *slot = cofs_slots(head);

	head->used = (uint16_t)(head->used - slot[at].bytes);
	if (slot[at].at == head->heap)
		head->heap = (uint16_t)(head->heap + slot[at].bytes);
	head->count--;
	memmove(slot + at, slot + at + 1, (head->count - at) * sizeof(*slot));
	if (!head->count)
		head->heap = BLOCK_BYTES;
}

/* Move items from slot `at` on to an empty leaf. */
static void leaf_move(struct cofs_head *from, unsigned at, struct cofs_head *to, struct cofs *fs)
{
	const struct cofs_slot *slot = cofs_slots(from);

	for (unsigned i = at; i < from->count; i++)
		leaf_insert(fs, to, to->count, slot[i].key, (uint8_t *)from + slot[i].at, slot[i].bytes);
	for (; from->count > at; from->count--)
		from->used = (uint16_t)(from->used - slot[from->count - 1].bytes);
}

/* Where to part a full leaf so that the new item, at slot `at`, fits on its side: as evenly as can be, but at the very end
 * if it comes behind all, so that what is written in order fills blocks. */
static unsigned leaf_part(const struct cofs_head *head, unsigned at, uint32_t bytes)
{
	const struct cofs_slot *slot = cofs_slots(head);
	uint32_t total = head->used + head->count * (uint32_t)sizeof(*slot), need = bytes + (uint32_t)sizeof(*slot);
	uint32_t left = 0, best_worse = UINT32_MAX;
	unsigned best = at;

	if (at == head->count)
		return at;
	for (unsigned i = 0; i <= head->count; i++) {
		/* Items before i stay; the new one goes left if it comes before i. */
		uint32_t l = left + (at < i ? need : 0), r = total - left + (at < i ? 0 : need);
		uint32_t worse = l > r ? l : r;

		if (worse < best_worse) {
			best_worse = worse;
			best = i;
		}
		if (i < head->count)
			left += slot[i].bytes + (uint32_t)sizeof(*slot);
	}
	return best;
}

static void branch_insert(struct cofs_head *head, unsigned at, struct cofs_key key, uint32_t block)
{
	struct cofs_branch *branch = cofs_branches(head);

	slots_shift(branch + at, (head->count - at) * sizeof(*branch), sizeof(*branch));
	branch[at] = (struct cofs_branch){ .key = key, .block = block };
	head->count++;
}

/* A block has been parted: `spare[level]` are empty blocks of the levels above, one more than there are levels. */
static void branch_add(struct cofs *fs, struct cofs_path *path, struct cofs_page **spare, struct cofs_key key,
    uint32_t block)
{
	for (unsigned level = 1; level < fs->levels; level++) {
		struct cofs_head *head = cofs_head(path->page[level]), *right;
		unsigned at = path->slot[level] + 1u, part;

		if (head->count < COFS_BRANCHES) {
			branch_insert(head, at, key, block);
			return;
		}
		right = cofs_head(spare[level]);
		spare[level] = NULL;
		part = at == head->count ? at : head->count / 2u;
		memcpy(cofs_branches(right), cofs_branches(head) + part, (head->count - part) * sizeof(struct cofs_branch));
		right->count = (uint16_t)(head->count - part);
		head->count = (uint16_t)part;
		if (at > part || part == COFS_BRANCHES)
			branch_insert(right, at - part, key, block);
		else
			branch_insert(head, at, key, block);
		key = cofs_branches(right)[0].key;
		block = right->block;
	}
	struct cofs_head *root = cofs_head(spare[fs->levels]);

	spare[fs->levels] = NULL;
	branch_insert(root, 0, (struct cofs_key){ 0, 0 }, fs->super.root);
	branch_insert(root, 1, key, block);
	fs->super.root = root->block;
	fs->levels++;
}

/* A leaf is full: part it and put the item into one of the halves. */
static int leaf_split(struct cofs *fs, struct cofs_path *path, struct cofs_key key, const void *data, uint32_t bytes)
{
	struct cofs_page *spare[COFS_LEVELS + 1] = { 0 };
	struct cofs_head *head = cofs_head(path->page[0]), *right;
	unsigned need = 1, at = path->slot[0], part;
	int error = 0;

	while (need < fs->levels && cofs_head(path->page[need])->count == COFS_BRANCHES)
		need++;
	need += need == fs->levels;	/* a new root */
	if (need > COFS_LEVELS)
		return -ENOSPC;
	for (unsigned level = 0; level < need && !error; level++)
		error = block_new(fs, level, &spare[level]);
	if (error) {
		for (unsigned level = 0; level < need && spare[level]; level++)
			(void)block_free(fs, spare[level]);
		return error;
	}
	right = cofs_head(spare[0]);
	part = leaf_part(head, at, bytes);
	leaf_move(head, part, right, fs);
	leaf_pack(fs, head);
	if (at < part)
		leaf_insert(fs, head, at, key, data, bytes);
	else
		leaf_insert(fs, right, at - part, key, data, bytes);
	branch_add(fs, path, spare, cofs_slots(right)[0].key, right->block);
	return 0;
}

int cofs_tree_put(struct cofs *fs, struct cofs_key key, const void *data, uint32_t bytes)
{
	struct cofs_path path;
	struct cofs_head *head;
	struct cofs_slot *slot;
	bool there;
	int error;

	fs->names += cofs_key_kind(key) == COFS_NAME;
	if (bytes > COFS_ITEM_MAX)
		return -EINVAL;
	error = descend(fs, key, &path);
	if (error)
		return error;
	head = cofs_head(path.page[0]);
	slot = &cofs_slots(head)[path.slot[0]];
	there = path.slot[0] < head->count && !cofs_key_less(key, slot->key);
	if (there && slot->bytes == bytes) {
		memcpy((uint8_t *)head + slot->at, data, bytes);
		cofs_log_item(fs, COFS_PUT, key, data, bytes);
		return 0;
	}
	if (there && leaf_space(head) + slot->bytes < bytes) {
		/* It cannot be replaced where it is: see that the split succeeds before the old one goes. */
		if (!fs->fs.read_only && fs->free_now < 2 * fs->levels + 2)
			return -ENOSPC;
	}
	if (there)
		leaf_remove(head, path.slot[0]);
	if (leaf_space(head) >= bytes + sizeof(*slot))
		leaf_insert(fs, head, path.slot[0], key, data, bytes);
	else
		error = leaf_split(fs, &path, key, data, bytes);
	if (error)
		return there ? cofs_wreck(fs, error) : error;
	if (!there && cofs_key_kind(key) == COFS_INODE && key.object)
		fs->files++;
	cofs_log_item(fs, COFS_PUT, key, data, bytes);
	return 0;
}

/* Take the child at path->slot[level] out of its parent, and parents that are empty then out of theirs. */
static int branch_remove(struct cofs *fs, struct cofs_path *path, unsigned level)
{
	for (; level < fs->levels; level++) {
		struct cofs_head *head = cofs_head(path->page[level]);
		struct cofs_branch *branch = cofs_branches(head);
		unsigned at = path->slot[level];
		int error;

		head->count--;
		memmove(branch + at, branch + at + 1, (head->count - at) * sizeof(*branch));
		if (head->count)
			break;
		/* Never the root: it had at least two. */
		error = block_free(fs, path->page[level]);
		if (error)
			return error;
	}
	for (;;) {
		struct cofs_page *root;
		int error = cofs_tree_load(fs, fs->super.root, fs->super.root_sum, fs->levels - 1, &root);

		if (error || fs->levels == 1 || cofs_head(root)->count > 1)
			return error;
		fs->super.root_sum = cofs_branches(cofs_head(root))[0].sum;
		uint32_t child = cofs_branches(cofs_head(root))[0].block;

		error = block_free(fs, root);
		if (error)
			return error;
		fs->super.root = child;
		fs->levels--;
	}
}

/* A leaf has become small: join it with the one to its right, or it with the one to its left, if they have one parent. */
static int leaf_join(struct cofs *fs, struct cofs_path *path)
{
	struct cofs_head *parent = cofs_head(path->page[1]), *left, *right;
	unsigned slot = path->slot[1];
	struct cofs_branch *branch;
	struct cofs_page *other;
	int error;

	if (slot + 1u >= parent->count && !slot)
		return 0;
	branch = &cofs_branches(parent)[slot + 1u < parent->count ? slot + 1 : slot - 1];
	if (cofs_tree_load(fs, branch->block, branch->sum, 0, &other))
		return 0;
	left = cofs_head(slot + 1u < parent->count ? path->page[0] : other);
	right = cofs_head(slot + 1u < parent->count ? other : path->page[0]);
	if (leaf_space(left) + leaf_space(right) < COFS_LEAF_ROOM * 5 / 4)
		return 0;
	error = block_dirty(fs, other);
	if (error)
		return error == -ENOSPC ? 0 : error;
	branch->block = cofs_head(other)->block;
	branch->sum = 0;
	leaf_pack(fs, left);
	for (unsigned i = 0; i < right->count; i++) {
		const struct cofs_slot *from = &cofs_slots(right)[i];

		leaf_insert(fs, left, left->count, from->key, (uint8_t *)right + from->at, from->bytes);
	}
	error = block_free(fs, left == cofs_head(path->page[0]) ? other : path->page[0]);
	path->slot[1] = (uint16_t)(slot + 1u < parent->count ? slot + 1 : slot);
	return error ? error : branch_remove(fs, path, 1);
}

int cofs_tree_delete(struct cofs *fs, struct cofs_key key)
{
	struct cofs_path path;
	struct cofs_head *head;
	int error = descend(fs, key, &path);

	fs->names += cofs_key_kind(key) == COFS_NAME;
	if (error)
		return error;
	head = cofs_head(path.page[0]);
	if (path.slot[0] == head->count || cofs_key_less(key, cofs_slots(head)[path.slot[0]].key))
		return -ENOENT;
	leaf_remove(head, path.slot[0]);
	if (cofs_key_kind(key) == COFS_INODE && key.object && fs->files)
		fs->files--;
	cofs_log_item(fs, COFS_DELETE, key, NULL, 0);
	if (fs->levels == 1)
		return 0;
	if (!head->count) {
		error = block_free(fs, path.page[0]);
		if (!error)
			error = branch_remove(fs, &path, 1);
	} else if (leaf_space(head) > COFS_LEAF_ROOM * 3 / 4) {
		error = leaf_join(fs, &path);
	}
	return error ? cofs_wreck(fs, error) : 0;
}

/* The sums of all dirty blocks below this one, then its own. */
static int sums(struct cofs *fs, uint32_t block, unsigned level, uint64_t *sum)
{
	struct cofs_page *page = cofs_pool_find(fs, 0, block);
	struct cofs_head *head;

	if (!page)
		return cofs_wreck(fs, -EIO);
	head = cofs_head(page);
	for (unsigned i = 0; level && i < head->count; i++) {
		struct cofs_branch *branch = &cofs_branches(head)[i];
		int error = branch->sum ? 0 : sums(fs, branch->block, level - 1, &branch->sum);

		if (error)
			return error;
	}
	head->generation = fs->super.generation + 1;
	if (!level)
		memset((uint8_t *)(cofs_slots(head) + head->count), 0,
		    head->heap - sizeof(*head) - head->count * sizeof(struct cofs_slot));
	*sum = cofs_sum(head, BLOCK_BYTES);
	return 0;
}

int cofs_tree_write(struct cofs *fs)
{
	uint32_t count = 0, run;
	int error = fs->super.root_sum ? 0 : sums(fs, fs->super.root, fs->levels - 1, &fs->super.root_sum);

	if (!error)
		error = cofs_pool_list(fs, fs->dirty_tree_count);
	if (error)
		return error;
	for (struct buffer *buffer = fs->dirty_tree; buffer; buffer = buffer->dirty_next)
		fs->list[count++] = cofs_page_of(buffer);
	cofs_pages_sort(fs->list, count);
	for (uint32_t i = 0; i < count; i += run) {
		for (run = 1; i + run < count && run < COFS_EXTENT_MAX; run++)
			if (fs->list[i + run]->index != fs->list[i]->index + run)
				break;
		cofs_io_write(fs, fs->list + i, run, (uint32_t)fs->list[i]->index);
	}
	fs->counts.node_written += count;
	return 0;
}

void cofs_tree_written(struct cofs *fs)
{
	while (fs->dirty_tree)
		cofs_page_clean(fs, cofs_page_of(fs->dirty_tree));
}
