/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: which blocks a file has. Twelve pointers in the inode, then trees of one, two and three levels of pointer blocks.
 *
 * The way to a block is at most four indices (struct way): the first into the inode's pointers, the others into blocks
 * of pointers. What was looked up last is remembered as a run of neighbours. New pointer blocks are taken like the
 * file's own blocks and lie before the data that they lead to, so that a file is read forwards.
 *
 * A pointer is believed only if it is a block that files may have. Cutting frees no more blocks than the inode says
 * that it has, so that a tree that leads into itself ends.
 */
#include "libos/fs/ext2_impl.h"

struct way {
	unsigned depth;		/* blocks of pointers on it */
	uint32_t index[4];
};

static int find_way(const struct ext2 *e, uint32_t logical, struct way *way)
{
	uint32_t mask = e->pointers - 1;
	unsigned shift = e->pointers_shift;

	if (logical < EXT2_DIRECT) {
		*way = (struct way){ 0, { logical } };
		return 0;
	}
	logical -= EXT2_DIRECT;
	if (logical < e->pointers) {
		*way = (struct way){ 1, { EXT2_DIRECT, logical } };
		return 0;
	}
	logical -= e->pointers;
	if (logical < (uint64_t)e->pointers << shift) {
		*way = (struct way){ 2, { EXT2_DIRECT + 1, logical >> shift, logical & mask } };
		return 0;
	}
	logical -= e->pointers << shift;
	if (logical < (uint64_t)e->pointers << 2 * shift) {
		*way = (struct way){ 3, { EXT2_DIRECT + 2, logical >> 2 * shift, logical >> shift & mask, logical & mask } };
		return 0;
	}
	return -EFBIG;
}

/*
 * Follow a way as far as there are blocks. *level: how many blocks of pointers were there; the last of them is held in
 * *buffer (NULL: none), and *table is where its pointers, or the inode's, are.
 */
static int follow(struct ext2_inode *inode, const struct way *way, unsigned *level, struct buffer **buffer, uint32_t **table)
{
	struct ext2 *e = ext2_of(&inode->node);

	*buffer = NULL;
	*table = inode->pointer;
	for (*level = 0; *level < way->depth; ++*level) {
		uint32_t where = (*table)[way->index[*level]];
		struct buffer *next;
		int r;

		if (!where)
			return 0;
		r = ext2_block_fits(e, where) ? ext2_get(e, where, &next) : ext2_damaged(e);
		if (*buffer)
			cache_put(e->fs.cache, *buffer);
		*buffer = NULL;
		if (r < 0)
			return r;
		*buffer = next;
		*table = (uint32_t *)ext2_part(e, next, where);
	}
	return 0;
}

/* How many pointers from `index` on lead to neighbours, or (up to `want`) all nowhere. 0: the first one is damaged. */
static uint32_t run_of(const struct ext2 *e, const uint32_t *table, uint32_t index, uint32_t end, uint32_t want)
{
	uint32_t where = table[index], most = where ? ext2_blocks_fit(e, where) : want, n = 0;

	if (most > EXT2_RUN_MAX)
		most = EXT2_RUN_MAX;
	if (most > end - index)
		most = end - index;
	while (n < most && table[index + n] == (where ? where + n : 0))
		n++;
	return n;
}

int ext2_map(struct ext2_inode *inode, uint32_t logical, uint32_t want, uint32_t *where, uint32_t *blocks)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint32_t *table, index, skip = logical - inode->run_logical;
	struct buffer *buffer;
	struct way way;
	unsigned level;
	int r;

	if (skip >= inode->run_blocks) {
		r = find_way(e, logical, &way);
		if (r == 0)
			r = follow(inode, &way, &level, &buffer, &table);
		if (r < 0)
			return r;
		skip = 0;
		index = way.index[level];
		inode->run_logical = logical;
		inode->run_where = table[index];
		if (level < way.depth) {	/* nothing below: to the end of that block of pointers */
			inode->run_where = 0;
			inode->run_blocks = e->pointers - way.index[way.depth];
		} else {
			inode->run_blocks = run_of(e, table, index, level ? e->pointers : EXT2_DIRECT, want);
		}
		if (buffer)
			cache_put(e->fs.cache, buffer);
		if (inode->run_blocks == 0)
			return ext2_damaged(e);
	}
	*where = inode->run_where ? inode->run_where + skip : 0;
	*blocks = inode->run_blocks - skip;
	return 0;
}

/* Where the block at table[index] would lie best. */
static uint32_t goal_of(const struct ext2_inode *inode, uint32_t logical, const uint32_t *table, uint32_t index)
{
	const struct ext2 *e = ext2_of(&inode->node);

	if (inode->last_where && inode->last_logical + 1 == logical)
		return inode->last_where + 1;
	if (index && table[index - 1])
		return table[index - 1] + 1;
	if (inode->last_where)
		return inode->last_where + 1;
	return e->super.first_block + ((uint32_t)inode->node.number - 1) / e->super.inodes_per_group *
	    e->super.blocks_per_group;
}

/* New blocks of pointers, held, empty, each leading to the next one; they are not led to yet. On error: none. */
static int new_tables(struct ext2_inode *inode, const struct way *way, unsigned level, uint32_t *goal, uint32_t *where,
    struct buffer **buffer)
{
	struct ext2 *e = ext2_of(&inode->node);
	struct ext2_extent got;
	unsigned n;
	int r = 0;

	for (n = 0; level + n < way->depth; n++) {
		r = ext2_take(inode, *goal, 1, false, &got);
		if (r < 0)
			break;
		where[n] = got.first;
		*goal = got.first + 1;
		if (e->block_bytes == BLOCK_BYTES)
			r = cache_get_new(e->fs.cache, got.first, &buffer[n]);
		else
			r = ext2_get(e, got.first, &buffer[n]);
		if (r < 0) {
			ext2_give_blocks(e, got.first, 1, true);
			break;
		}
		memset(ext2_part(e, buffer[n], got.first), 0, e->block_bytes);
		if (n)
			((uint32_t *)ext2_part(e, buffer[n - 1], where[n - 1]))[way->index[level + n]] = got.first;
	}
	while (r < 0 && n-- > 0) {
		cache_put(e->fs.cache, buffer[n]);
		ext2_give_blocks(e, where[n], 1, true);
	}
	return r < 0 ? r : (int)n;
}

/* The new pointers are in place: let it be known. */
static void entered(struct ext2_inode *inode, uint32_t logical, struct ext2_extent got, uint32_t tables)
{
	inode->sectors += (got.count + tables) * ext2_of(&inode->node)->sectors;
	inode->dirty = inode->reshaped = true;
	inode->last_logical = logical + got.count - 1;
	inode->last_where = got.first + got.count - 1;
	if (inode->run_where && logical == inode->run_logical + inode->run_blocks &&
	    got.first == inode->run_where + inode->run_blocks && tables == 0) {
		inode->run_blocks += got.count;
		return;
	}
	inode->run_logical = logical;
	inode->run_where = got.first;
	inode->run_blocks = got.count;
}

int ext2_map_new(struct ext2_inode *inode, uint32_t logical, uint32_t want, uint32_t *where, uint32_t *blocks)
{
	struct ext2 *e = ext2_of(&inode->node);
	struct buffer *buffer, *new_buffer[3];
	uint32_t *table, *last, index, end, goal, new_where[3], free_blocks = 0;
	struct ext2_extent got;
	struct way way;
	unsigned level;
	int r = find_way(e, logical, &way), tables;

	if (r == 0)
		r = follow(inode, &way, &level, &buffer, &table);
	if (r < 0)
		return r;
	index = way.index[way.depth];
	end = way.depth ? e->pointers : EXT2_DIRECT;
	goal = goal_of(inode, logical, table, way.index[level]);
	tables = r = new_tables(inode, &way, level, &goal, new_where, new_buffer);
	if (r >= 0) {
		last = tables ? (uint32_t *)ext2_part(e, new_buffer[tables - 1], new_where[tables - 1]) : table;
		while (index + free_blocks < end && free_blocks < want && !last[index + free_blocks])
			free_blocks++;
		r = ext2_take(inode, goal, free_blocks, logical && inode->last_logical + 1 == logical, &got);
	}
	if (r < 0) {
		for (int i = 0; i < tables; i++) {
			cache_put(e->fs.cache, new_buffer[i]);
			ext2_give_blocks(e, new_where[i], 1, true);
		}
		if (buffer)
			cache_put(e->fs.cache, buffer);
		return r;
	}
	for (uint32_t i = 0; i < got.count; i++)
		last[index + i] = got.first + i;
	if (tables)
		table[way.index[level]] = new_where[0];
	for (int i = 0; i < tables; i++) {
		ext2_changed(e, new_buffer[i], EXT2_PIN_FIRST);
		cache_put(e->fs.cache, new_buffer[i]);
	}
	if (buffer) {
		ext2_changed_pointers(e, buffer);
		cache_put(e->fs.cache, buffer);
	}
	entered(inode, logical, got, (uint32_t)tables);
	*where = got.first;
	*blocks = got.count;
	return 0;
}

/* A cut under way. */
struct cut {
	struct ext2_inode *inode;
	uint32_t left;			/* blocks that it may still have */
	struct ext2_extent run;		/* to be given back together */
	bool now;
};

static void cut_run(struct cut *cut)
{
	if (cut->run.count)
		ext2_give_blocks(ext2_of(&cut->inode->node), cut->run.first, cut->run.count, cut->now);
	cut->run.count = 0;
}

static int cut_block(struct cut *cut, uint32_t where)
{
	struct ext2 *e = ext2_of(&cut->inode->node);

	if (!ext2_block_fits(e, where) || cut->left == 0)
		return ext2_damaged(e);
	cut->left--;
	cut->inode->sectors -= cut->inode->sectors < e->sectors ? cut->inode->sectors : e->sectors;
	if (where != cut->run.first + cut->run.count || cut->run.count == 0) {
		cut_run(cut);
		cut->run.first = where;
	}
	cut->run.count++;
	return 0;
}

static int cut_tree(struct cut *cut, uint32_t *pointer, unsigned level, uint32_t keep);

/* A table of pointers, each leading over `level` levels: keep what is before its first `keep` blocks. */
static int cut_table(struct cut *cut, uint32_t *table, uint32_t count, unsigned level, uint32_t keep)
{
	unsigned shift = level * ext2_of(&cut->inode->node)->pointers_shift;
	uint32_t first = keep >> shift;
	int r = 0;

	for (uint32_t i = first; i < count && r == 0; i++)
		if (table[i])
			r = cut_tree(cut, &table[i], level, i == first ? keep - (first << shift) : 0);
	return r;
}

/* What hangs on one pointer; the pointer goes if nothing is kept. */
static int cut_tree(struct cut *cut, uint32_t *pointer, unsigned level, uint32_t keep)
{
	struct ext2 *e = ext2_of(&cut->inode->node);
	uint32_t where = *pointer;
	struct buffer *buffer;
	int r;

	if (level) {
		r = ext2_block_fits(e, where) && cut->left ? ext2_get(e, where, &buffer) : ext2_damaged(e);
		if (r < 0)
			return r;
		if (keep)
			ext2_changed_pointers(e, buffer);
		else
			cut->left--;	/* before its pointers are followed: a tree may lead into itself */
		r = cut_table(cut, (uint32_t *)ext2_part(e, buffer, where), e->pointers, level - 1, keep);
		cut->left += keep == 0;
		cache_put(e->fs.cache, buffer);
		if (r < 0)
			return r;
	}
	if (keep)
		return 0;
	*pointer = 0;
	return cut_block(cut, where);
}

int ext2_map_cut(struct ext2_inode *inode, uint32_t logical)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint64_t begin = EXT2_DIRECT, size = e->pointers;
	uint32_t most = e->super.blocks < UINT32_MAX ? e->super.blocks : UINT32_MAX;
	struct cut cut = { .inode = inode, .now = ext2_fresh(inode) };
	int r = 0;

	if ((inode->node.kind == FS_SYMLINK && ext2_symlink_fast(inode)) || inode->node.kind > FS_SYMLINK)
		return 0;
	cut.left = inode->sectors / e->sectors < most ? inode->sectors / e->sectors : most;
	inode->run_blocks = 0;
	inode->last_where = 0;
	ext2_take_end(inode);
	inode->dirty = inode->reshaped = true;
	if (logical < EXT2_DIRECT)
		r = cut_table(&cut, inode->pointer, EXT2_DIRECT, 0, logical);
	for (unsigned level = 1; level <= 3; level++) {
		uint32_t keep = logical > begin ? (uint32_t)(logical - begin) : 0;

		if (r == 0 && inode->pointer[EXT2_DIRECT - 1 + level] && keep < size)
			r = cut_tree(&cut, &inode->pointer[EXT2_DIRECT - 1 + level], level, keep);
		begin += size;
		size <<= e->pointers_shift;
	}
	cut_run(&cut);
	return r;
}

void ext2_map_undo(struct ext2_inode *inode, uint32_t logical, uint32_t blocks)
{
	struct ext2 *e = ext2_of(&inode->node);
	struct buffer *buffer;
	uint32_t *table;
	struct way way;
	unsigned level;

	if (find_way(e, logical, &way) < 0 || follow(inode, &way, &level, &buffer, &table) < 0)
		return;
	if (level == way.depth)
		for (uint32_t i = 0; i < blocks; i++) {
			uint32_t *pointer = &table[way.index[level] + i];

			ext2_give_blocks(e, *pointer, 1, false);
			*pointer = 0;
			inode->sectors -= e->sectors;
		}
	if (buffer) {
		ext2_changed_pointers(e, buffer);
		cache_put(e->fs.cache, buffer);
	}
	inode->run_blocks = 0;
	inode->last_where = 0;
	inode->dirty = inode->reshaped = true;
}
