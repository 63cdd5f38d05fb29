/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a cofs: every block is used by as many as the tree says, and by none if it is free, and nothing is lost.
 */
#include <stdlib.h>
#include "libos/fs/cofs_check.h"

int check_use(struct check *check, uint64_t first, uint32_t count, const char *what)
{
	for (uint64_t block = first; block < first + count; block++) {
		uint32_t **users = &check->users[block / COFS_CHUNK_BLOCKS];

		if (!*users)
			*users = calloc(COFS_CHUNK_BLOCKS, sizeof(**users));
		if (!*users)
			return -ENOMEM;
		if ((*users)[block % COFS_CHUNK_BLOCKS]++ && *what == 't')
			check_fault(check, "block %llu is used by %s and by others", (unsigned long long)block, what);
	}
	return 0;
}

/* Blocks that are shared lose all users but one, so that the others must have one or none. */
static void shared_look(struct check *check, const struct cofs_item *item, uint64_t *end)
{
	struct cofs_shared shared;
	uint64_t first = cofs_key_offset(item->key);

	if (item->bytes != sizeof(shared))
		goto cannot;
	memcpy(&shared, item->data, sizeof(shared));
	if (first < *end || !shared.count || shared.users < 2 || first + shared.count > check->fs->super.blocks)
		goto cannot;
	*end = first + shared.count;
	check->report->shared_blocks += shared.count;
	for (uint64_t block = first; block < *end; block++) {
		uint32_t *users = check->users[block / COFS_CHUNK_BLOCKS], *one = users ? &users[block % COFS_CHUNK_BLOCKS] : NULL;

		if (!one || *one != shared.users) {
			check_fault(check, "block %llu: %u users, but there are %u", (unsigned long long)block, shared.users,
			    one ? *one : 0);
			if (!one)
				return;
		}
		*one = 1;
	}
	return;
cannot:
	check_fault(check, "shared blocks from %llu on cannot be", (unsigned long long)first);
}

static void chunk_look(struct check *check, uint32_t number)
{
	struct cofs *fs = check->fs;
	const uint32_t *users = check->users[number];
	uint64_t left = fs->super.blocks - (uint64_t)number * COFS_CHUNK_BLOCKS;	/* those behind the end are used: fixed_right */
	int error = fs->chunk[number].now ? 0 : cofs_chunk_load(fs, number);

	if (error) {
		check_fault(check, "free space of blocks from %llu on: %s", (unsigned long long)number * COFS_CHUNK_BLOCKS,
		    error == -FS_EDAMAGED ? "damaged" : "cannot be read");
		return;
	}
	for (uint64_t i = 0; i < COFS_CHUNK_BLOCKS && i < left; i++) {
		uint64_t block = (uint64_t)number * COFS_CHUNK_BLOCKS + i;
		bool used = fs->chunk[number].now[i / 64] >> i % 64 & 1;
		uint32_t wanted = block < fs->fixed || block >= fs->super.blocks - 1;

		if (users)
			wanted += users[i];
		if (wanted > 1)
			check_fault(check, "block %llu has %u users", (unsigned long long)block, wanted);
		else if (used != wanted)
			check_fault(check, "block %llu is %s, but it is %s", (unsigned long long)block, used ? "not free" : "free",
			    wanted ? "used" : "not used");
		check->report->free_blocks += !used;
	}
}

int check_space(struct check *check)
{
	struct cofs_key key = cofs_key(0, COFS_SHARED, 0);
	struct cofs *fs = check->fs;
	struct cofs_item item;
	uint64_t end = 0;

	while (!cofs_tree_next(fs, key, &item) && !item.key.object && cofs_key_kind(item.key) == COFS_SHARED) {
		shared_look(check, &item, &end);
		key = item.key;
		key.word++;
	}
	if (!fs->space_there) {
		check_fault(check, "the index of the free space is damaged");
		return 0;
	}
	for (uint32_t i = 0; i < fs->chunks; i++) {
		bool there = fs->chunk[i].now != NULL;

		if (!there && !fs->chunk[i].sum && !check->users[i]) {
			check->report->free_blocks += COFS_CHUNK_BLOCKS;
			continue;
		}
		chunk_look(check, i);
		if (!there) {
			free(fs->chunk[i].now);
			fs->chunk[i].now = fs->chunk[i].stable = NULL;
		}
	}
	return 0;
}
