/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of a cofs: blocks, how they are checked when they come from the disk, and searching.
 *
 * A block that is loaded has the sum that its parent wants, and a shape that cannot lead astray: right level, keys in
 * order, items inside, together no longer than the block. What items say is checked by who uses them. Searches go down
 * anew for each item, so no page is held between calls; each step of next and before makes the key larger or smaller,
 * so they end on any tree.
 */
#include "libos/fs/cofs_private.h"

static bool leaf_good(const struct cofs_head *head)
{
	const struct cofs_slot *slot = cofs_slots(head);
	uint32_t used = 0, front = sizeof(*head) + head->count * sizeof(*slot);

	if (head->count > COFS_LEAF_ROOM / sizeof(*slot) || head->heap > BLOCK_BYTES || head->heap < front)
		return false;
	for (unsigned i = 0; i < head->count; i++) {
		if (slot[i].at < head->heap || slot[i].bytes > COFS_ITEM_MAX || slot[i].at + slot[i].bytes > BLOCK_BYTES)
			return false;
		if (i && !cofs_key_less(slot[i - 1].key, slot[i].key))
			return false;
		used += slot[i].bytes;
	}
	return used == head->used && used <= BLOCK_BYTES - front;
}

static bool branch_good(const struct cofs *fs, const struct cofs_head *head)
{
	const struct cofs_branch *branch = cofs_branches(head);

	if (!head->count || head->count > COFS_BRANCHES)
		return false;
	for (unsigned i = 0; i < head->count; i++)
		if ((i && !cofs_key_less(branch[i - 1].key, branch[i].key)) || branch[i].block < fs->fixed ||
		    branch[i].block >= fs->super.blocks - 1 || !branch[i].sum)
			return false;
	return true;
}

/* The block's page; *page is NULL when it must be read. */
static int loaded(struct cofs *fs, uint32_t block, uint64_t sum, unsigned level, struct cofs_page **page)
{
	*page = cofs_pool_find(fs, 0, block);
	if (*page)
		return cofs_head(*page)->level == level ? 0 : -FS_EDAMAGED;
	return sum ? 0 : -FS_EDAMAGED;
}

int cofs_tree_load(struct cofs *fs, uint32_t block, uint64_t sum, unsigned level, struct cofs_page **page)
{
	const struct cofs_head *head;
	int error = loaded(fs, block, sum, level, page);

	if (error || *page) {
		fs->counts.hits++;
		return error;
	}
	fs->counts.misses++;
	error = cofs_pool_new(fs, 0, block, NULL, page);
	if (error)
		return error;
	error = block_read(fs->device, block, 1, (*page)->buffer.data);
	head = cofs_head(*page);
	if (!error) {
		fs->counts.verified++;
		if (cofs_sum(head, BLOCK_BYTES) != sum || head->magic != COFS_HEAD_MAGIC || head->level != level ||
		    head->block != block || !(level ? branch_good(fs, head) : leaf_good(head))) {
			fs->counts.damaged++;
			error = -FS_EDAMAGED;
		}
	}
	if (error)
		cofs_pool_drop(fs, *page);
	else
		(*page)->buffer.valid = true;
	return error;
}

unsigned cofs_leaf_slot(const struct cofs_head *head, struct cofs_key key)
{
	const struct cofs_slot *slot = cofs_slots(head);
	unsigned low = 0, high = head->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (cofs_key_less(slot[middle].key, key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

unsigned cofs_branch_slot(const struct cofs_head *head, struct cofs_key key)
{
	const struct cofs_branch *branch = cofs_branches(head);
	unsigned low = 0, high = head->count;

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (cofs_key_less(key, branch[middle].key))
			high = middle;
		else
			low = middle;
	}
	return low;
}

/* The leaf where key belongs; and the first key of the leaf behind it, and of itself, if there are such. */
struct around {
	bool has_next, has_first;
	struct cofs_key next, first;
};

static int descend(struct cofs *fs, struct cofs_key key, struct cofs_page **page, struct around *around)
{
	uint32_t block = fs->super.root;
	uint64_t sum = fs->super.root_sum;

	around->has_next = around->has_first = false;
	for (unsigned level = fs->levels; level-- > 0;) {
		int error = cofs_tree_load(fs, block, sum, level, page);

		if (error)
			return error;
		if (!level)
			break;
		const struct cofs_head *head = cofs_head(*page);
		const struct cofs_branch *branch = cofs_branches(head);
		unsigned slot = cofs_branch_slot(head, key);

		if (slot + 1u < head->count) {
			around->has_next = true;
			around->next = branch[slot + 1].key;
		}
		if (slot) {
			around->has_first = true;
			around->first = branch[slot].key;
		}
		block = branch[slot].block;
		sum = branch[slot].sum;
	}
	return 0;
}

static int give(const struct cofs_page *page, unsigned slot, struct cofs_item *item)
{
	const struct cofs_head *head = cofs_head(page);
	const struct cofs_slot *found = &cofs_slots(head)[slot];

	item->key = found->key;
	item->data = page->buffer.data + found->at;
	item->bytes = found->bytes;
	return 0;
}

int cofs_tree_find(struct cofs *fs, struct cofs_key key, struct cofs_item *item)
{
	struct cofs_page *page;
	struct around around;
	int error = descend(fs, key, &page, &around);

	if (error)
		return error;
	unsigned slot = cofs_leaf_slot(cofs_head(page), key);

	if (slot == cofs_head(page)->count || cofs_key_less(key, cofs_slots(cofs_head(page))[slot].key))
		return -ENOENT;
	return give(page, slot, item);
}

int cofs_tree_next(struct cofs *fs, struct cofs_key key, struct cofs_item *item)
{
	for (;;) {
		struct cofs_page *page;
		struct around around;
		int error = descend(fs, key, &page, &around);

		if (error)
			return error;
		unsigned slot = cofs_leaf_slot(cofs_head(page), key);

		if (slot < cofs_head(page)->count)
			return give(page, slot, item);
		if (!around.has_next)
			return -ENOENT;
		if (!cofs_key_less(key, around.next))
			return -FS_EDAMAGED;
		key = around.next;
	}
}

int cofs_tree_before(struct cofs *fs, struct cofs_key key, struct cofs_item *item)
{
	for (;;) {
		struct cofs_page *page;
		struct around around;
		int error = descend(fs, key, &page, &around);

		if (error)
			return error;
		const struct cofs_head *head = cofs_head(page);
		unsigned slot = cofs_leaf_slot(head, key);

		if (slot < head->count && !cofs_key_less(key, cofs_slots(head)[slot].key))
			return give(page, slot, item);
		if (slot)
			return give(page, slot - 1, item);
		if (!around.has_first)
			return -ENOENT;
		if (cofs_key_less(key, around.first) || !(around.first.object | around.first.word))
			return -FS_EDAMAGED;
		key = around.first;
		if (!key.word--)
			key.object--;
	}
}
