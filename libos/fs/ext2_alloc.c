/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: bitmaps. Which blocks and inodes are taken.
 *
 * Blocks are taken in runs: at the goal if it is free, else at the next place in its group where a byte of the bitmap is
 * free, else at any bit, else in the groups after it. A file that grows takes some blocks ahead (in the bitmap they are
 * taken like others, and given back when the file is put or at a commit), so that files that grow together do not lie in
 * each other. Directories below the root go to the emptier groups; everything else stays near its directory.
 *
 * A bitmap is not believed either: what it calls free is not taken if it is metadata, and an inode only if it has no
 * links; a count that says more than the bitmap is mended. Both are remembered as damage.
 */
#include <stdlib.h>

#include "libos/fs/ext2_impl.h"

#define AHEAD	64	/* blocks that a growing file takes ahead */

static uint32_t group_of(const struct ext2 *e, uint32_t where)
{
	return (where - e->super.first_block) / e->super.blocks_per_group;
}

static uint32_t group_begin(const struct ext2 *e, uint32_t group)
{
	return e->super.first_block + group * e->super.blocks_per_group;
}

static uint32_t group_blocks(const struct ext2 *e, uint32_t group)
{
	uint32_t left = e->super.blocks - group_begin(e, group);

	return left < e->super.blocks_per_group ? left : e->super.blocks_per_group;
}

static void group_changed(struct ext2 *e, uint32_t group)
{
	e->gdt_changed[group * sizeof(struct ext2_group) >> e->block_shift] = 1;
}

static bool bit(const uint8_t *map, uint32_t i)
{
	return map[i >> 3] >> (i & 7) & 1;
}

/* The first clear bit in [from, to), or `to`. */
static uint32_t clear_bit(const uint8_t *map, uint32_t from, uint32_t to)
{
	uint64_t word;

	while (from < to && bit(map, from)) {
		from++;
		while (from % 64 == 0 && from + 64 <= to) {
			memcpy(&word, map + from / 8, sizeof(word));
			if (~word) {
				from += (uint32_t)__builtin_ctzll(~word);
				return from;
			}
			from += 64;
		}
	}
	return from < to ? from : to;
}

/* The first byte of clear bits that lies in [from, to), or `to`. */
static uint32_t clear_byte(const uint8_t *map, uint32_t from, uint32_t to)
{
	from = (from + 7) & ~7u;
	while (from + 8 <= to && map[from >> 3])
		from += 8;
	return from + 8 <= to ? from : to;
}

/* Where in a group to take blocks; `count`: nowhere. */
static uint32_t find_place(const uint8_t *map, uint32_t from, uint32_t least, uint32_t count, uint32_t want)
{
	uint32_t place;

	if (from < count && !bit(map, from))
		return from;
	if (from < least)
		from = least;
	if (want > 1) {
		place = clear_byte(map, from, count);
		if (place < count)
			return place;
		place = clear_byte(map, least, from);
		if (place < from)
			return place;
	}
	place = clear_bit(map, from, count);
	if (place < count)
		return place;
	place = clear_bit(map, least, from);
	return place < from ? place : count;
}

/* Take up to `want` blocks of one group from its bit `from` on. 0: there are none. */
static int take_of_group(struct ext2 *e, uint32_t group, uint32_t from, uint32_t want, struct ext2_extent *got)
{
	struct ext2_group *g = &e->group[group];
	uint32_t count = group_blocks(e, group), begin = group_begin(e, group), place, n = 0;
	struct buffer *buffer;
	uint8_t *map;
	int r = ext2_get(e, g->block_bitmap, &buffer);

	if (r < 0)
		return r;
	map = ext2_part(e, buffer, g->block_bitmap);
	e->hint[group].block = clear_bit(map, e->hint[group].block, count);
	for (;;) {
		place = find_place(map, from, e->hint[group].block, count, want);
		if (place == count || ext2_block_fits(e, begin + place))
			break;
		map[place >> 3] |= (uint8_t)(1 << (place & 7));
		ext2_damaged(e);
	}
	if (place < count && want > ext2_blocks_fit(e, begin + place))
		want = ext2_blocks_fit(e, begin + place);
	while (n < want && place + n < count && n < g->free_blocks && !bit(map, place + n)) {
		map[(place + n) >> 3] |= (uint8_t)(1 << ((place + n) & 7));
		n++;
	}
	if (n) {
		ext2_changed(e, buffer, EXT2_PIN_FIRST);
		g->free_blocks -= (uint16_t)n;
		e->free_blocks -= n;
		if (place == e->hint[group].block)
			e->hint[group].block = place + n;
		*got = (struct ext2_extent){ begin + place, n };
	} else {
		e->free_blocks -= g->free_blocks;
		g->free_blocks = 0;
		ext2_damaged(e);
	}
	group_changed(e, group);
	cache_put(e->fs.cache, buffer);
	return (int)n;
}

static int take_somewhere(struct ext2 *e, uint32_t goal, uint32_t want, struct ext2_extent *got)
{
	uint32_t first, from;
	int r;

	if (goal < e->super.first_block || goal >= e->super.blocks)
		goal = e->super.first_block;
	first = group_of(e, goal);
	from = goal - group_begin(e, first);
	for (uint32_t i = 0; i < e->groups; i++) {
		uint32_t group = first + i < e->groups ? first + i : first + i - e->groups;

		if (!e->group[group].free_blocks)
			continue;
		r = take_of_group(e, group, i ? 0 : from, want, got);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return -ENOSPC;
}

int ext2_take_blocks(struct ext2 *e, uint32_t goal, uint32_t want, struct ext2_extent *got)
{
	int r = take_somewhere(e, goal, want, got);
	bool some = false;

	if (r != -ENOSPC)
		return r;
	for (struct ext2_inode *i = e->inodes; i; i = i->next) {
		some |= i->ahead.count;
		ext2_take_end(i);
	}
	return some ? take_somewhere(e, goal, want, got) : r;
}

int ext2_take(struct ext2_inode *inode, uint32_t goal, uint32_t want, bool more, struct ext2_extent *got)
{
	struct ext2_extent *ahead = &inode->ahead;
	int r;

	if (ahead->count == 0 || ahead->first != goal) {
		ext2_take_end(inode);
		r = ext2_take_blocks(ext2_of(&inode->node), goal, more ? want + AHEAD : want, ahead);
		if (r < 0) {
			ahead->count = 0;
			return r;
		}
	}
	*got = (struct ext2_extent){ ahead->first, want < ahead->count ? want : ahead->count };
	ahead->first += got->count;
	ahead->count -= got->count;
	return 0;
}

void ext2_take_end(struct ext2_inode *inode)
{
	if (inode->ahead.count)
		ext2_give_blocks(ext2_of(&inode->node), inode->ahead.first, inode->ahead.count, true);
	inode->ahead.count = 0;
}

/* Make blocks of one group free. */
static void clear_blocks(struct ext2 *e, uint32_t group, uint32_t first, uint32_t count)
{
	struct ext2_group *g = &e->group[group];
	uint32_t from = first - group_begin(e, group), cleared = 0;
	struct buffer *buffer;
	uint8_t *map;

	if (ext2_get(e, g->block_bitmap, &buffer) < 0) {
		ext2_damaged(e);
		return;
	}
	map = ext2_part(e, buffer, g->block_bitmap);
	for (uint32_t i = from; i < from + count; i++) {
		cleared += bit(map, i);
		map[i >> 3] &= (uint8_t)~(1 << (i & 7));
	}
	ext2_changed(e, buffer, EXT2_PIN_FIRST);
	cache_put(e->fs.cache, buffer);
	if (cleared != count)
		ext2_damaged(e);
	if (cleared > group_blocks(e, group) - g->free_blocks) {
		cleared = group_blocks(e, group) - g->free_blocks;
		ext2_damaged(e);
	}
	g->free_blocks += (uint16_t)cleared;
	e->free_blocks += cleared;
	if (from < e->hint[group].block)
		e->hint[group].block = from;
	group_changed(e, group);
}

static void give_now(struct ext2 *e, uint32_t first, uint32_t count)
{
	uint32_t group, n;

	for (; count; first += n, count -= n) {
		group = group_of(e, first);
		n = group_begin(e, group) + group_blocks(e, group) - first;
		if (n > count)
			n = count;
		clear_blocks(e, group, first, n);
	}
}

/* Room for one more element of `bytes` in an array of `used`. */
static bool grow(void **array, uint32_t used, uint32_t *max, size_t bytes)
{
	uint32_t more = *max ? *max * 2 : 256;
	void *larger;

	if (used < *max)
		return true;
	larger = realloc(*array, more * bytes);
	if (!larger)
		return false;
	*array = larger;
	*max = more;
	return true;
}

void ext2_give_blocks(struct ext2 *e, uint32_t first, uint32_t count, bool now)
{
	struct ext2_extent *last = e->freed ? &e->freed_blocks[e->freed - 1] : NULL;

	ext2_forget(e, first, count);
	if (now) {
		give_now(e, first, count);
		return;
	}
	e->freed_total += count;
	if (last && last->first + last->count == first) {
		last->count += count;
		return;
	}
	if (!grow((void **)&e->freed_blocks, e->freed, &e->freed_max, sizeof(*last))) {
		e->freed_total -= count;
		ext2_damaged(e);	/* they are lost until e2fsck finds them */
		return;
	}
	e->freed_blocks[e->freed++] = (struct ext2_extent){ first, count };
}

/* The inode bitmap of a number's group, held; NULL: it cannot be read. */
static uint8_t *inode_map(struct ext2 *e, uint32_t group, struct buffer **buffer)
{
	uint32_t where = e->group[group].inode_bitmap;

	return ext2_get(e, where, buffer) < 0 ? NULL : ext2_part(e, *buffer, where);
}

static void give_inode_now(struct ext2 *e, uint32_t number)
{
	uint32_t group = (number - 1) / e->super.inodes_per_group, i = (number - 1) % e->super.inodes_per_group;
	struct buffer *buffer;
	uint8_t *map = inode_map(e, group, &buffer);

	if (!map) {
		ext2_damaged(e);
		return;
	}
	if (!bit(map, i) || e->group[group].free_inodes >= e->super.inodes_per_group) {
		ext2_damaged(e);
	} else {
		e->group[group].free_inodes++;
		e->free_inodes++;
	}
	map[i >> 3] &= (uint8_t)~(1 << (i & 7));
	ext2_changed(e, buffer, EXT2_PIN_FIRST);
	cache_put(e->fs.cache, buffer);
	if (i < e->hint[group].inode)
		e->hint[group].inode = i;
	group_changed(e, group);
}

void ext2_give_inode(struct ext2 *e, uint32_t number, bool directory, bool now)
{
	struct ext2_group *g = &e->group[(number - 1) / e->super.inodes_per_group];

	if (directory && g->directories)
		g->directories--;
	group_changed(e, (number - 1) / e->super.inodes_per_group);
	if (now)
		give_inode_now(e, number);
	else if (grow((void **)&e->freed_inodes, e->freed_inode, &e->freed_inode_max, sizeof(*e->freed_inodes)))
		e->freed_inodes[e->freed_inode++] = number;
	else
		ext2_damaged(e);
}

void ext2_give_waiting(struct ext2 *e)
{
	while (e->freed_inode && e->pins < e->pages / 2)
		give_inode_now(e, e->freed_inodes[--e->freed_inode]);
	while (e->freed && e->pins < e->pages / 2) {
		struct ext2_extent *last = &e->freed_blocks[--e->freed];

		e->freed_total -= last->count;
		give_now(e, last->first, last->count);
	}
}

/* Take a free inode of a group. 0: there is none. */
static int take_inode_of(struct ext2 *e, uint32_t group, bool directory, uint32_t *number)
{
	struct ext2_group *g = &e->group[group];
	uint32_t i, count = e->super.inodes_per_group;
	struct buffer *buffer;
	uint8_t *map = inode_map(e, group, &buffer);

	if (!map)
		return -EIO;
	for (;;) {
		i = clear_bit(map, e->hint[group].inode, count);
		if (i == count)
			break;
		map[i >> 3] |= (uint8_t)(1 << (i & 7));
		e->hint[group].inode = i + 1;
		if (group * count + i + 1 >= e->first_inode)
			break;
		ext2_damaged(e);
	}
	group_changed(e, group);
	if (i == count) {
		e->free_inodes -= g->free_inodes;
		g->free_inodes = 0;
		ext2_damaged(e);
	} else {
		ext2_changed(e, buffer, EXT2_PIN_FIRST);
		g->free_inodes--;
		e->free_inodes--;
		g->directories += directory && g->directories < count;
		*number = group * count + i + 1;
	}
	cache_put(e->fs.cache, buffer);
	return i < count;
}

/* Where a directory below the root goes: a group that has more than the average of both. */
static uint32_t roomy_group(struct ext2 *e)
{
	for (uint32_t i = 0; i < e->groups; i++) {
		uint32_t group = (e->next_group + i) % e->groups;

		if (e->group[group].free_inodes && e->group[group].free_inodes >= e->free_inodes / e->groups &&
		    e->group[group].free_blocks >= e->free_blocks / e->groups) {
			e->next_group = (group + 1) % e->groups;
			return group;
		}
	}
	return 0;
}

int ext2_take_inode(struct ext2 *e, uint32_t parent, bool directory, uint32_t *number)
{
	uint32_t first = (parent - 1) / e->super.inodes_per_group;
	int r;

	if (directory && parent == EXT2_ROOT)
		first = roomy_group(e);
	for (unsigned bare = 0; bare < 2; bare++)	/* at first only groups that have room for its blocks */
		for (uint32_t i = 0; i < e->groups; i++) {
			uint32_t group = first + i < e->groups ? first + i : first + i - e->groups;

			if (!e->group[group].free_inodes || (!bare && !e->group[group].free_blocks))
				continue;
			r = take_inode_of(e, group, directory, number);
			if (r != 0)
				return r < 0 ? r : 0;
		}
	return -ENOSPC;
}

bool ext2_alone(const struct ext2_inode *inode, uint32_t buffer, struct ext2_extent own)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint32_t parts = BLOCK_BYTES >> e->block_shift, group = group_of(e, own.first);
	uint32_t begin = group_begin(e, group);
	struct buffer *map;
	bool alone = true;

	if (ext2_get(e, e->group[group].block_bitmap, &map) < 0)
		return false;
	for (uint32_t b = buffer * parts; alone && b < (buffer + 1) * parts; b++) {
		if (b - own.first < own.count || b - inode->ahead.first < inode->ahead.count)
			continue;
		alone = b >= begin && b - begin < group_blocks(e, group) && ext2_block_fits(e, b) &&
		    !bit(ext2_part(e, map, e->group[group].block_bitmap), b - begin);
	}
	cache_put(e->fs.cache, map);
	return alone;
}

static uint32_t count_clear(const uint8_t *map, uint32_t count)
{
	uint32_t clear = 0;

	for (uint32_t i = 0; i < count; i++)
		clear += !bit(map, i);
	return clear;
}

int ext2_recount(struct ext2 *e)
{
	e->free_blocks = e->free_inodes = 0;
	for (uint32_t i = 0; i < e->groups; i++) {
		struct ext2_group *g = &e->group[i];
		struct buffer *buffer;
		int r = ext2_get(e, g->block_bitmap, &buffer);

		if (r < 0)
			return r;
		g->free_blocks = (uint16_t)count_clear(ext2_part(e, buffer, g->block_bitmap), group_blocks(e, i));
		cache_put(e->fs.cache, buffer);
		r = ext2_get(e, g->inode_bitmap, &buffer);
		if (r < 0)
			return r;
		g->free_inodes = (uint16_t)count_clear(ext2_part(e, buffer, g->inode_bitmap), e->super.inodes_per_group);
		cache_put(e->fs.cache, buffer);
		e->free_blocks += g->free_blocks;
		e->free_inodes += g->free_inodes;
		group_changed(e, i);
	}
	return 0;
}
