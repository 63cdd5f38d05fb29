/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: what is in files and symbolic links.
 *
 * A piece is what is contiguous both in the file and on the disk. It is copied buffer by buffer, so that the size of
 * blocks does not matter here. Of blocks that were just taken everything is written: what the piece does not cover
 * becomes zero, and the disk is not read for them. Bytes between the end of a file and the end of its last block are
 * made zero when the file grows over them.
 *
 * Reading ahead: while reads follow each other, a window of twice the size each time is kept in front of them, until
 * what was read ahead has to go before it is asked for; of a read anywhere all is asked for at once. Writing behind: when
 * a quarter of the cache is changed data, all of it is written, in the disk's order.
 */
#include "libos/fs/ext2_impl.h"

#define WINDOW_LEAST	(16 * BLOCK_BYTES)
#define WINDOW_MOST	(384 * BLOCK_BYTES)
#define READ_MOST	(64 * BLOCK_BYTES)	/* of a read, before it is looked ahead again */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void ext2_ahead(struct fs_node *node, uint64_t at, uint64_t bytes)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(node);
	uint64_t end = bytes < inode->bytes && at < inode->bytes - bytes ? at + bytes : inode->bytes;
	uint32_t where, run, first;

	while (at < end) {
		uint32_t logical = (uint32_t)(at >> e->block_shift);

		if (ext2_map(inode, logical, EXT2_RUN_MAX, &where, &run) < 0)
			break;
		run = (uint32_t)least(run, ((end - 1) >> e->block_shift) - logical + 1);
		if (where) {
			first = ext2_buffer_of(e, where);
			cache_ahead(e->fs.cache, first, ext2_buffer_of(e, where + run - 1) - first + 1);
		}
		at = (uint64_t)(logical + run) << e->block_shift;
	}
	block_poll(e->device);
}

/*
 * A read of at most a 16th of the cache is about to be done: does it follow the one before? All that is there and not
 * read yet is a quarter of the cache at most: policies may give new blocks no more (2Q).
 */
static void follow_reads(struct ext2_inode *inode, uint64_t at, uint64_t bytes)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint64_t from = at, most = (uint64_t)e->pages / 16 * 3 * BLOCK_BYTES;

	if (at != inode->read_next) {
		inode->read_window = inode->read_until = inode->read_lost = 0;
		if (bytes > BLOCK_BYTES)
			ext2_ahead(&inode->node, at, bytes);
	} else if (at + bytes + inode->read_window / 2 > inode->read_until && inode->read_until < inode->bytes) {
		inode->read_window = inode->read_window ? inode->read_window * 2 : WINDOW_LEAST;
		if (inode->read_lost)
			most = least(most, inode->read_lost);
		inode->read_window = least(inode->read_window, least(most, WINDOW_MOST));
		if (inode->read_until > at)
			from = inode->read_until;
		inode->read_until = at + bytes + inode->read_window;
		if (inode->bytes - from > BLOCK_BYTES || bytes > BLOCK_BYTES)
			ext2_ahead(&inode->node, from, inode->read_until - from);
	}
	inode->read_next = at + bytes;
}

/* What was read ahead up to behind `at` had to go before it was asked for: less is to be kept ahead. */
static void lost_ahead(struct ext2_inode *inode, uint64_t at)
{
	inode->read_window = inode->read_window / 2 > WINDOW_LEAST ? inode->read_window / 2 : WINDOW_LEAST;
	inode->read_lost = inode->read_window;
	inode->read_until = at;
}

/* Copy `bytes` from a place on the device. */
static int copy_out(struct ext2 *e, uint64_t place, uint8_t *memory, uint64_t bytes)
{
	struct buffer *buffer;
	uint32_t offset, n;
	int r;

	for (; bytes; place += n, memory += n, bytes -= n) {
		offset = place & (BLOCK_BYTES - 1);
		n = (uint32_t)least(bytes, BLOCK_BYTES - offset);
		r = cache_get(e->fs.cache, (uint32_t)(place >> 12), &buffer);
		if (r < 0)
			return r;
		if (n == BLOCK_BYTES)
			block_copy(memory, buffer->data);
		else
			memcpy(memory, buffer->data + offset, n);
		cache_put(e->fs.cache, buffer);
	}
	return 0;
}

static int64_t read_inode(struct ext2_inode *inode, uint64_t at, uint8_t *memory, size_t bytes)
{
	struct ext2 *e = ext2_of(&inode->node);
	const struct cache_counts *counts = cache_counts(e->fs.cache);
	uint32_t where, run, offset;
	uint64_t done = 0, n, missed;
	int r;

	for (; done < bytes; done += n, at += n) {
		offset = at & (e->block_bytes - 1);
		r = ext2_map(inode, (uint32_t)(at >> e->block_shift), EXT2_RUN_MAX, &where, &run);
		if (r < 0)
			return done ? (int64_t)done : r;
		n = least(bytes - done, ((uint64_t)run << e->block_shift) - offset);
		missed = counts->misses;
		if (where)
			r = copy_out(e, ((uint64_t)where << e->block_shift) + offset, memory + done, n);
		else
			memset(memory + done, 0, n);
		if (r < 0)
			return done ? (int64_t)done : r;
		if (counts->misses != missed && at < inode->read_until)
			lost_ahead(inode, at + n);
	}
	return (int64_t)done;
}

static void read_time(struct ext2_inode *inode)
{
	struct ext2 *e = ext2_of(&inode->node);

	if (fs_reading_told(&inode->accessed, &inode->changed) || e->fs.read_only || ext2_room(e) < 0)
		return;
	inode->accessed = ext2_now(e);
	inode->dirty = true;
}

int64_t ext2_read(struct fs_node *node, uint64_t at, void *memory, size_t bytes)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	uint64_t most = (uint64_t)ext2_of(node)->pages / 16 * BLOCK_BYTES, done = 0, now;
	int64_t n;

	if (node->kind != FS_FILE)
		return node->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (at >= inode->bytes)
		return 0;
	bytes = least(bytes, inode->bytes - at);
	most = least(most, READ_MOST);
	while (done < bytes) {
		now = least(bytes - done, most);
		follow_reads(inode, at + done, now);
		n = read_inode(inode, at + done, (uint8_t *)memory + done, now);
		if (n < 0)
			return done ? (int64_t)done : n;
		done += (uint64_t)n;
		if ((uint64_t)n < now)
			break;
	}
	read_time(inode);
	return (int64_t)done;
}

/* Blocks [first, first + count): write `bytes` at `offset` in them. is_new: and zero the rest of them. */
static int copy_in(struct ext2_inode *inode, struct ext2_extent blocks, bool is_new, uint32_t offset,
    const uint8_t *memory, uint64_t bytes)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint64_t begin = (uint64_t)blocks.first << e->block_shift, end = begin + ((uint64_t)blocks.count << e->block_shift);
	uint64_t from = begin + offset, to = from + bytes;
	struct buffer *buffer;
	int r;

	if (!is_new) {
		begin = from;
		end = to;
	}
	for (uint64_t page = begin & ~(uint64_t)(BLOCK_BYTES - 1); page < end; page += BLOCK_BYTES) {
		uint64_t low = page > begin ? page : begin, high = least(page + BLOCK_BYTES, end);
		uint64_t data_low = low > from ? low : from, data_high = least(high, to);
		uint32_t number = (uint32_t)(page >> 12);

		if (high - low == BLOCK_BYTES || (is_new && ext2_alone(inode, number, blocks)))
			r = cache_get_new(e->fs.cache, number, &buffer);
		else
			r = cache_get(e->fs.cache, number, &buffer);
		if (r < 0)
			return r;
		if (low < data_low)
			memset(buffer->data + (low - page), 0, least(data_low, high) - low);
		if (data_low < data_high)
			memcpy(buffer->data + (data_low - page), memory + (data_low - from), data_high - data_low);
		if (high > data_high && high > to)
			memset(buffer->data + ((to > low ? to : low) - page), 0, high - (to > low ? to : low));
		cache_dirty(e->fs.cache, buffer);
		cache_put(e->fs.cache, buffer);
	}
	return 0;
}

static void data_changed(struct ext2_inode *inode, uint32_t from, uint32_t to)
{
	struct ext2 *e = ext2_of(&inode->node);

	if (inode->dirty_from == inode->dirty_to) {
		inode->dirty_from = from;
		inode->dirty_to = to;
	} else {
		inode->dirty_from = from < inode->dirty_from ? from : inode->dirty_from;
		inode->dirty_to = to > inode->dirty_to ? to : inode->dirty_to;
	}
	if (cache_dirty_count(e->fs.cache) > e->pages / 4 + e->pins)
		(void)cache_write_all(e->fs.cache);	/* what fails stays changed, and is told at a sync */
}

static void grown(struct ext2_inode *inode, uint64_t bytes)
{
	if (bytes <= inode->bytes)
		return;
	inode->bytes = bytes;
	inode->dirty = inode->reshaped = true;
}

/* Bytes behind the end, up to the end of its block, become zero. */
static int zero_tail(struct ext2_inode *inode)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint32_t logical = (uint32_t)(inode->bytes >> e->block_shift), offset = inode->bytes & (e->block_bytes - 1);
	uint32_t where, run;
	struct buffer *buffer;
	int r;

	if (!offset)
		return 0;
	r = ext2_map(inode, logical, 1, &where, &run);
	if (r < 0 || !where)
		return r;
	r = ext2_get(e, where, &buffer);
	if (r < 0)
		return r;
	memset(ext2_part(e, buffer, where) + offset, 0, e->block_bytes - offset);
	cache_dirty(e->fs.cache, buffer);
	cache_put(e->fs.cache, buffer);
	data_changed(inode, logical, logical + 1);
	return 0;
}

/* One piece; how many bytes. */
static int64_t write_piece(struct ext2_inode *inode, uint64_t at, const uint8_t *memory, uint64_t bytes)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint32_t logical = (uint32_t)(at >> e->block_shift), offset = at & (e->block_bytes - 1);
	uint64_t blocks = (offset + bytes + e->block_bytes - 1) >> e->block_shift;
	uint32_t where, run;
	bool is_new;
	int r = ext2_map(inode, logical, (uint32_t)least(blocks, EXT2_RUN_MAX), &where, &run);

	if (r < 0)
		return r;
	run = (uint32_t)least(run, least(blocks, EXT2_RUN_MAX));
	is_new = !where;
	if (is_new)
		r = ext2_map_new(inode, logical, run, &where, &run);
	if (r < 0)
		return r;
	bytes = least(bytes, ((uint64_t)run << e->block_shift) - offset);
	r = copy_in(inode, (struct ext2_extent){ where, run }, is_new, offset, memory, bytes);
	if (r < 0) {
		if (is_new)
			ext2_map_undo(inode, logical, run);
		return r;
	}
	grown(inode, at + bytes);
	data_changed(inode, logical, logical + run);
	return (int64_t)bytes;
}

int64_t ext2_write_inode(struct ext2_inode *inode, uint64_t at, const void *memory, size_t bytes)
{
	struct ext2 *e = ext2_of(&inode->node);
	uint64_t done = 0;
	int64_t n = 0;

	if (bytes == 0)
		return 0;
	if (at >= e->bytes_max)
		return -EFBIG;
	bytes = least(bytes, e->bytes_max - at);
	if (at > inode->bytes)
		n = zero_tail(inode);
	while (n >= 0 && done < bytes) {
		n = ext2_room(e);
		if (n == 0)
			n = write_piece(inode, at + done, (const uint8_t *)memory + done, bytes - done);
		if (n < 0 && ext2_again(e, (int)n))
			n = 0;
		if (n > 0)
			done += (uint64_t)n;
	}
	if (done)
		ext2_touch(inode, true);
	return done ? (int64_t)done : n;
}

int64_t ext2_write(struct fs_node *node, uint64_t at, const void *memory, size_t bytes)
{
	if (node->kind != FS_FILE)
		return node->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (node->fs->read_only)
		return -EROFS;
	return ext2_write_inode((struct ext2_inode *)node, at, memory, bytes);
}

int ext2_truncate(struct fs_node *node, uint64_t bytes)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(node);
	int r = ext2_room(e);

	if (node->kind != FS_FILE)
		return node->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (r < 0)
		return r;
	if (bytes > e->bytes_max)
		return -EFBIG;
	if (bytes > inode->bytes) {
		r = zero_tail(inode);
		if (r < 0)
			return r;
		inode->bytes = bytes;
	} else if (bytes < inode->bytes) {
		inode->bytes = bytes;
		r = ext2_map_cut(inode, (uint32_t)((bytes + e->block_bytes - 1) >> e->block_shift));
		if (r == 0)
			r = zero_tail(inode);
	}
	inode->reshaped = true;
	ext2_touch(inode, true);
	return r;
}

int ext2_page(struct fs_node *node, uint64_t at, bool write, struct buffer **page)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(node);
	uint32_t logical = (uint32_t)(at >> 12), where, run;
	bool is_new;
	int r = write ? ext2_room(e) : 0;

	if (e->block_bytes != BLOCK_BYTES || node->kind != FS_FILE)
		return -ENODEV;
	if (r < 0)
		return r;
	if (at >= inode->bytes)
		return -EINVAL;
	if (!write)
		follow_reads(inode, at, BLOCK_BYTES);
	r = ext2_map(inode, logical, 1, &where, &run);
	if (r < 0)
		return r;
	*page = NULL;
	is_new = !where;
	if (is_new && !write)
		return 0;
	if (!is_new)
		return cache_get(e->fs.cache, where, page);
	do {
		r = ext2_map_new(inode, logical, 1, &where, &run);
	} while (r < 0 && ext2_again(e, r));
	if (r < 0)
		return r;
	r = cache_get_new(e->fs.cache, where, page);
	if (r < 0) {
		ext2_map_undo(inode, logical, 1);
		return r;
	}
	memset((*page)->data, 0, BLOCK_BYTES);
	cache_dirty(e->fs.cache, *page);
	data_changed(inode, logical, logical + 1);
	return 0;
}

void ext2_page_put(struct fs_node *node, struct buffer *page, bool changed)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;

	if (changed) {
		cache_dirty(node->fs->cache, page);
		data_changed(inode, 0, (uint32_t)((inode->bytes + BLOCK_BYTES - 1) >> 12));
		ext2_touch(inode, true);
	}
	cache_put(node->fs->cache, page);
}

int ext2_where(struct fs_node *node, uint64_t at, uint32_t *block, uint32_t *count)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(node);
	uint64_t left = (inode->bytes + BLOCK_BYTES - 1) / BLOCK_BYTES - at / BLOCK_BYTES;
	int r;

	if (e->block_bytes != BLOCK_BYTES || node->kind != FS_FILE)
		return -ENODEV;
	*block = *count = 0;
	if (at >= inode->bytes)
		return 0;
	r = ext2_map(inode, (uint32_t)(at >> 12), EXT2_RUN_MAX, block, count);
	*count = (uint32_t)least(*count, left);
	return r;
}

/* Nobody holds what the cache has of a block, unless it is being read or written. */
static bool nobody_holds(struct ext2 *e, uint32_t where)
{
	struct buffer *there = cache_peek(e->fs.cache, where);

	if (!there)
		return true;
	cache_put(e->fs.cache, there);
	return !there->holds || there->leader;
}

int ext2_adopt(struct fs_node *node, uint64_t at, struct buffer **pages, uint32_t count)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(node);
	uint32_t logical = (uint32_t)(at >> 12), where, run, n = 0;
	bool is_new = false;
	int r = ext2_room(e);

	if (e->block_bytes != BLOCK_BYTES || node->kind != FS_FILE)
		return -ENODEV;
	if (r == 0 && at >= e->bytes_max)
		r = -EFBIG;
	if (r < 0)
		return r;
	count = (uint32_t)least(count, least(EXT2_RUN_MAX, (e->bytes_max - at) >> 12));
	r = ext2_map(inode, logical, count, &where, &run);
	is_new = r == 0 && !where;
	if (is_new)
		do {
			r = ext2_map_new(inode, logical, run < count ? run : count, &where, &run);
		} while (r < 0 && ext2_again(e, r));
	if (r < 0)
		return r;
	for (; n < run && n < count && nobody_holds(e, where + n); n++) {
		cache_move(e->fs.cache, pages[n], where + n);
		cache_dirty(e->fs.cache, pages[n]);
	}
	if (is_new && n < run)
		ext2_map_undo(inode, logical + n, run - n);
	if (n == 0)
		return -EBUSY;
	data_changed(inode, logical, logical + n);
	ext2_touch(inode, true);
	return (int)n;
}

bool ext2_symlink_fast(const struct ext2_inode *inode)
{
	return inode->sectors == (inode->attributes ? ext2_of(&inode->node)->sectors : 0);
}

int ext2_readlink(struct fs_node *node, char *target, size_t bytes)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;

	if (node->kind != FS_SYMLINK)
		return -EINVAL;
	bytes = least(bytes, inode->bytes);
	read_time(inode);
	if (!ext2_symlink_fast(inode))
		return (int)read_inode(inode, 0, (uint8_t *)target, bytes);
	memcpy(target, inode->pointer, bytes);
	return (int)bytes;
}
