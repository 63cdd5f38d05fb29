/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks that several extents of a cofs have: items of the tree, each for a range of blocks with as many users. Blocks in
 * no item have one user, if they are in use at all; ranges do not overlap.
 */
#include "libos/fs/cofs_private.h"

struct part {
	uint32_t first, count, users;	/* users 1: no item */
};

static struct cofs_key key_of(uint32_t block)
{
	return cofs_key(0, COFS_SHARED, block);
}

/* The range that has `block`, and which: users 1, up to the next item or `end`. */
static int part_of(struct cofs *fs, uint32_t block, uint32_t end, struct part *part)
{
	struct cofs_item item;
	struct cofs_shared shared;
	int error = cofs_tree_before(fs, key_of(block), &item);

	if (error && error != -ENOENT)
		return error;
	for (int i = 0; i < 2; i++) {
		if (!error && !item.key.object && cofs_key_kind(item.key) == COFS_SHARED) {
			uint64_t first = cofs_key_offset(item.key);

			if (item.bytes != sizeof(shared))
				return -FS_EDAMAGED;
			memcpy(&shared, item.data, sizeof(shared));
			if (shared.users < 2 || !shared.count || first >= fs->super.blocks ||
			    shared.count > fs->super.blocks - first)
				return -FS_EDAMAGED;
			if (first <= block && block < first + shared.count) {
				*part = (struct part){ (uint32_t)first, shared.count, shared.users };
				return 0;
			}
			if (i) {
				*part = (struct part){ block, (uint32_t)(first < end ? first : end) - block, 1 };
				return 0;
			}
		}
		if (!i)
			error = cofs_tree_next(fs, key_of(block), &item);
		if (error && error != -ENOENT)
			return error;
	}
	*part = (struct part){ block, end - block, 1 };
	return 0;
}

static int put(struct cofs *fs, uint32_t first, uint32_t count, uint32_t users)
{
	struct cofs_shared shared = { count, users };

	return count && users > 1 ? cofs_tree_put(fs, key_of(first), &shared, sizeof(shared)) : 0;
}

/* Blocks [first, end) of a part get another number of users; neighbours with as many, before it, take them in. */
static int change(struct cofs *fs, const struct part *part, uint32_t first, uint32_t end, uint32_t users)
{
	uint32_t part_end = part->first + part->count;
	struct part before;
	int error = 0;

	if (part->users > 1 && part->first == first)
		error = users > 1 ? 0 : cofs_tree_delete(fs, key_of(first));
	else if (part->users > 1)
		error = put(fs, part->first, first - part->first, part->users);
	if (!error && part->users > 1)
		error = put(fs, end, part_end - end, part->users);
	if (!error && users > 1 && first > fs->fixed) {
		error = part_of(fs, first - 1, first, &before);
		if (!error && before.users == users && before.first + before.count == first) {
			if (part->users > 1 && part->first == first)
				error = cofs_tree_delete(fs, key_of(first));
			return error ? error : put(fs, before.first, end - before.first, users);
		}
	}
	return error ? error : put(fs, first, end - first, users);
}

int cofs_share(struct cofs *fs, uint32_t first, uint32_t count)
{
	uint32_t end = first + count;

	while (first < end) {
		struct part part;
		int error = part_of(fs, first, end, &part);
		uint32_t to = part.first + part.count < end ? part.first + part.count : end;

		if (!error && part.users == UINT32_MAX)
			error = -EMLINK;
		if (!error)
			error = change(fs, &part, first, to, part.users + 1);
		if (error)
			return error;
		first = to;
	}
	return 0;
}

int cofs_release(struct cofs *fs, uint32_t first, uint32_t count)
{
	uint32_t end = first + count;

	while (first < end) {
		struct part part;
		int error = part_of(fs, first, end, &part);
		uint32_t to = part.first + part.count < end ? part.first + part.count : end;

		if (error)
			return error;
		if (part.users > 1) {
			error = change(fs, &part, first, to, part.users - 1);
		} else {
			error = cofs_space_give(fs, first, to - first);
			if (!error)
				cofs_log_blocks(fs, COFS_GIVE, first, to - first);
		}
		if (error)
			return error;
		first = to;
	}
	return 0;
}
