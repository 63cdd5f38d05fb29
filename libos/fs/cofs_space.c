/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free space of a cofs: taking and giving blocks, in memory. cofs_space_disk.c has what lies on the disk.
 *
 * A block may be taken when neither the state in memory uses it (now) nor the last commit and the log behind it (stable).
 * Blocks for the tree are looked for from the front of the disk after each commit, those for data behind where the last
 * ones were found, so that data lies in long pieces and the tree close together. A mount that only reads takes block
 * numbers behind the disk's end for the tree: they are never written.
 */
#include "libos/fs/cofs_private.h"

#define CHUNKS_TRIED	8	/* for a longer piece, once there is one */

static inline uint64_t in_use(const struct cofs_chunk *chunk, uint32_t word)
{
	return chunk->now[word] | chunk->stable[word];
}

/* The first block from `at` on whose bit is `wanted`; COFS_CHUNK_BLOCKS: there is none. */
static uint32_t find(const struct cofs_chunk *chunk, uint32_t at, bool wanted)
{
	for (uint32_t word = at / 64; at < COFS_CHUNK_BLOCKS; at = ++word * 64) {
		uint64_t bits = (wanted ? in_use(chunk, word) : ~in_use(chunk, word)) & ~0ull << at % 64;

		if (bits)
			return word * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return COFS_CHUNK_BLOCKS;
}

/* The first piece of `want` blocks from `at` on, else the longest: how long. */
static uint32_t piece(const struct cofs_chunk *chunk, uint32_t at, uint32_t want, uint32_t *first)
{
	uint32_t best = 0;

	while (at < COFS_CHUNK_BLOCKS) {
		uint32_t end;

		at = find(chunk, at, false);
		if (at == COFS_CHUNK_BLOCKS)
			break;
		end = want == 1 ? at + 1 : find(chunk, at, true);
		if (end - at > best) {
			best = end - at < want ? end - at : want;
			*first = at;
			if (best == want)
				break;
		}
		at = end;
	}
	return best;
}

/* The bits of [at, at + count) that lie in one word. */
static inline uint64_t mask(uint32_t at, uint32_t count)
{
	return (count >= 64 ? ~0ull : (1ull << count) - 1) << at % 64;
}

enum how { TAKE, MARK, HOLD, GIVE };

/* One word's part of a range. Whether it could be done. */
static bool change(struct cofs *fs, struct cofs_chunk *chunk, uint32_t word, uint64_t bits, enum how how)
{
	uint64_t now = chunk->now[word], stable = chunk->stable[word];
	uint32_t count = (uint32_t)__builtin_popcountll(bits), open;

	open = (uint32_t)__builtin_popcountll(bits & ~now & ~stable);
	if (how == GIVE) {
		if ((now & bits) != bits)
			return false;
		chunk->now[word] = now & ~bits;
		chunk->free += count;
		fs->free_total += count;
		open = (uint32_t)__builtin_popcountll(bits & ~stable);
		chunk->available += open;
		fs->free_now += open;
		return true;
	}
	if (how == HOLD) {
		chunk->stable[word] = stable | bits;
	} else {
		if (now & bits || (how == TAKE && stable & bits))
			return false;
		chunk->now[word] = now | bits;
		chunk->free -= count;
		fs->free_total -= count;
	}
	chunk->available -= open;
	fs->free_now -= open;
	return true;
}

static int range(struct cofs *fs, uint32_t first, uint32_t count, enum how how)
{
	if (fs->fs.read_only && !fs->space_there)
		return 0;
	if (first >= fs->super.blocks)
		return fs->fs.read_only ? 0 : -FS_EDAMAGED;
	if (first < fs->fixed || count > fs->super.blocks - 1 - first)
		return -FS_EDAMAGED;
	while (count) {
		uint32_t number = first / COFS_CHUNK_BLOCKS, at = first % COFS_CHUNK_BLOCKS;
		uint32_t part = 64 - at % 64 < count ? 64 - at % 64 : count;
		struct cofs_chunk *chunk = &fs->chunk[number];
		int error = chunk->now ? 0 : cofs_chunk_load(fs, number);

		if (error)
			return error;
		if (!change(fs, chunk, at / 64, mask(at, part), how))
			return -FS_EDAMAGED;
		chunk->dirty |= how != HOLD;
		first += part;
		count -= part;
	}
	return 0;
}

int cofs_space_give(struct cofs *fs, uint32_t first, uint32_t count)
{
	return range(fs, first, count, GIVE);
}

int cofs_space_mark(struct cofs *fs, uint32_t first, uint32_t count)
{
	return range(fs, first, count, MARK);
}

int cofs_space_hold(struct cofs *fs, uint32_t first, uint32_t count)
{
	return range(fs, first, count, HOLD);
}

int cofs_space_take(struct cofs *fs, uint32_t hint, uint32_t want, uint32_t *first, uint32_t *count)
{
	uint32_t best = 0, found, tried = 0, begin = hint / COFS_CHUNK_BLOCKS;
	int error;

	if (!fs->free_now)
		return -ENOSPC;
	if (begin >= fs->chunks)
		begin = hint = 0;
	/* The hint's chunk twice: from the hint on, and at last all of it. */
	for (uint32_t i = 0; i <= fs->chunks && best < want; i++) {
		uint32_t number = (begin + i) % fs->chunks, length;
		struct cofs_chunk *chunk = &fs->chunk[number];

		if (!chunk->available)
			continue;
		error = chunk->now ? 0 : cofs_chunk_load(fs, number);
		if (error)
			return error;
		length = piece(chunk, i ? 0 : hint % COFS_CHUNK_BLOCKS, want, &found);
		if (length > best) {
			best = length;
			*first = number * COFS_CHUNK_BLOCKS + found;
		}
		if (best && ++tried == CHUNKS_TRIED)
			break;
	}
	if (!best)
		return -ENOSPC;
	error = range(fs, *first, best, TAKE);
	*count = best;
	return error;
}

int cofs_space_node(struct cofs *fs, uint32_t *block)
{
	uint32_t count;
	int error;

	if (fs->fs.read_only) {
		if (fs->fake < fs->super.blocks)
			fs->fake = fs->super.blocks;
		*block = fs->fake++;
		return *block ? 0 : -ENOSPC;
	}
	error = cofs_space_take(fs, fs->node_hint, 1, block, &count);
	if (!error)
		fs->node_hint = *block + 1;
	return error;
}
