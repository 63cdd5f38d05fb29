/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of a cofs file in memory: how they come, ahead of being asked for where reading is sequential, how their sums are
 * checked before anybody sees them, and how they are given out for mapping and sending.
 */
#include "libos/fs/cofs_private.h"

#define WINDOW_FIRST	16	/* pages */
#define WINDOW_MAX	384

/* What is not on the disk: the data of a small file. */
static int inline_in(struct cofs *fs, struct cofs_node *node, struct cofs_page **page)
{
	struct cofs_item item;
	int error = cofs_pool_new(fs, node->node.number, 0, node, page);

	if (error)
		return error;
	error = cofs_tree_find(fs, cofs_key(node->node.number, COFS_DATA, 0), &item);
	if (error || item.bytes > BLOCK_BYTES) {
		cofs_pool_drop(fs, *page);
		return error && error != -ENOENT ? error : -FS_EDAMAGED;
	}
	memcpy((*page)->buffer.data, item.data, item.bytes);
	memset((*page)->buffer.data + item.bytes, 0, BLOCK_BYTES - item.bytes);
	(*page)->buffer.valid = true;
	return 0;
}

/* The part of the file with `index`, from the last one looked up if it is that. */
static int part(struct cofs *fs, struct cofs_node *node, uint64_t index)
{
	int error;

	if (fs->map_number == node->node.number && index - fs->map.first < fs->map.count && fs->map.block)
		return 0;
	fs->map_number = 0;
	error = cofs_map_get(fs, node, index, &fs->map);
	if (!error)
		fs->map_number = node->node.number;
	return error;
}

/* Begin to read pages of an extent that are not in memory, from `index` on, not beyond `to`: how many were looked at. */
static uint32_t read_some(struct cofs *fs, struct cofs_node *node, uint64_t index, uint64_t to)
{
	struct cofs_page *pages[COFS_EXTENT_MAX];
	uint32_t count = 0, skip = (uint32_t)(index - fs->map.first), end = fs->map.count;

	if (to - fs->map.first < end)
		end = (uint32_t)(to - fs->map.first);
	for (; skip + count < end; count++) {
		struct cofs_page *page = cofs_pool_look(fs, node->node.number, index + count);

		if (page || cofs_pool_new(fs, node->node.number, index + count, node, &page))
			break;
		page->sum = fs->map.sum[skip + count];
		page->checked = false;
		page->buffer.holds++;	/* so that making room for the next does not take it */
		pages[count] = page;
	}
	for (uint32_t i = 0; i < count; i++)
		pages[i]->buffer.holds--;
	if (count)
		cofs_io_read(fs, pages, count, fs->map.block + skip);
	fs->counts.ahead += count;
	return count ? count : 1;
}

void cofs_page_ahead(struct cofs *fs, struct cofs_node *node, uint64_t from, uint64_t to)
{
	uint64_t end = (node->inode.bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;

	if (to > end)
		to = end;
	if (node->fresh || node->inode.flags & COFS_INODE_INLINE)
		return;
	while (from < to && !part(fs, node, from)) {
		if (fs->map.block)
			from += read_some(fs, node, from, to);
		else
			from = fs->map.first + fs->map.count;
	}
	block_poll(fs->device);
}

/*
 * Pages [index, end), at most cofs_pages_at_once(), are going to be read: begin with what is not there, and keep ahead of
 * what is read in order. All that is there and not read yet is a quarter of the pool at most: policies may give new pages
 * no more (2Q), and what is read ahead must not drive out itself.
 */
void cofs_page_wanted(struct cofs *fs, struct cofs_node *node, uint64_t index, uint64_t end)
{
	uint64_t from = index;
	uint32_t most = fs->page_max / 16 * 3 < WINDOW_MAX ? fs->page_max / 16 * 3 : WINDOW_MAX;

	if (index + 1 == node->next_index && end == index + 1)
		return;
	if (index != node->next_index && index + 1 != node->next_index) {
		node->window = 0;
		node->window_lost = 0;
		node->ahead_to = 0;
		if (end - index > 1)
			cofs_page_ahead(fs, node, index, end);
	} else if (end > node->ahead_to || node->ahead_to - end <= node->window / 2) {
		node->window = node->window ? node->window * 2 : WINDOW_FIRST;
		if (node->window_lost && node->window_lost < most)
			most = node->window_lost;
		if (node->window > most)
			node->window = most;
		if (node->ahead_to > index)
			from = node->ahead_to;
		node->ahead_to = end + node->window;
		cofs_page_ahead(fs, node, from, node->ahead_to);
	}
	node->next_index = end;
}

static int usable(struct cofs *fs, struct cofs_page *page)
{
	if (page->io)
		cofs_io_wait(fs, page);
	if (page->buffer.valid && !page->checked) {
		fs->counts.verified++;
		page->checked = cofs_sum(page->buffer.data, BLOCK_BYTES) == page->sum;
		fs->counts.damaged += !page->checked;
	}
	if (page->buffer.valid && page->checked)
		return 0;
	cofs_pool_drop(fs, page);
	return -EIO;
}

static int from_disk(struct cofs *fs, struct cofs_node *node, uint64_t index, struct cofs_page **page)
{
	int error = part(fs, node, index);

	*page = NULL;
	if (error || !fs->map.block)
		return error;
	if (index < node->ahead_to) {	/* it had to go before it was asked for: less is to be kept ahead */
		node->window = node->window_lost = node->window / 2 > WINDOW_FIRST ? node->window / 2 : WINDOW_FIRST;
		node->ahead_to = index;
	}
	(void)read_some(fs, node, index, index + 1);
	*page = cofs_pool_find(fs, node->node.number, index);
	return *page ? usable(fs, *page) : -ENOMEM;
}

/* *page: NULL for a hole, unless `make`, which gives one of zeroes. With `make` nobody reads or writes it any more. */
int cofs_page_get(struct cofs *fs, struct cofs_node *node, uint64_t index, bool make, struct cofs_page **page)
{
	int error = 0;

	*page = cofs_pool_find(fs, node->node.number, index);
	if (*page) {
		fs->counts.hits++;
		if (make || !(*page)->buffer.valid)
			cofs_io_wait(fs, *page);
		if (!(*page)->buffer.valid || !(*page)->checked)
			error = usable(fs, *page);
	} else {
		fs->counts.misses++;
		if (node->inode.flags & COFS_INODE_INLINE && !index)
			error = inline_in(fs, node, page);
		else
			error = from_disk(fs, node, index, page);
	}
	if (error || *page || !make)
		return error;
	error = cofs_pool_new(fs, node->node.number, index, node, page);
	if (error)
		return error;
	memset((*page)->buffer.data, 0, BLOCK_BYTES);
	(*page)->buffer.valid = true;
	return 0;
}

/* A whole page of many that are read: 1. What is seen for the first time is checked while it is copied. */
int cofs_page_copy(struct cofs *fs, struct cofs_node *node, uint64_t index, void *memory)
{
	struct cofs_page *page = cofs_pool_look(fs, node->node.number, index);
	int error;

	if (page && !page->checked) {	/* that it came was for this use */
		if (page->io)
			cofs_io_wait(fs, page);
		if (page->buffer.valid && cofs_sum_copy(memory, page->buffer.data) == page->sum) {
			page->checked = true;
			fs->counts.hits++;
			fs->counts.verified++;
			return 1;
		}
	}
	error = cofs_page_get(fs, node, index, false, &page);
	if (error)
		return error;
	if (page)
		block_copy(memory, page->buffer.data);
	else
		memset(memory, 0, BLOCK_BYTES);
	return 1;
}

/* Pages from `from` on have nothing any more that anybody wants. Those that are held stay, as zeroes, and are not dirty. */
void cofs_pages_forget(struct cofs *fs, struct cofs_node *node, uint64_t from)
{
	struct cofs_page *page, *next;

	for (page = node->pages; page; page = next) {
		next = page->next;
		if (page->index < from)
			continue;
		cofs_io_wait(fs, page);
		if (!page->buffer.holds) {
			cofs_pool_drop(fs, page);
			continue;
		}
		memset(page->buffer.data, 0, BLOCK_BYTES);
		cofs_page_clean(fs, page);
	}
}

int cofs_page(struct fs_node *fs_node, uint64_t at, bool write, struct buffer **buffer)
{
	struct cofs_node *node = cofs_node_of(fs_node);
	struct cofs *fs = cofs_owner(node);
	struct cofs_page *page;
	int error;

	*buffer = NULL;
	if (at % BLOCK_BYTES || at >= COFS_BYTES_MAX || node->node.kind != FS_FILE)
		return -EINVAL;
	if (write) {
		error = cofs_begin(fs, 4, 2, false);
		if (error)
			return error;
	} else {
		cofs_page_wanted(fs, node, at / BLOCK_BYTES, at / BLOCK_BYTES + 1);
	}
	error = cofs_page_get(fs, node, at / BLOCK_BYTES, write, &page);
	if (error || !page)
		return error;
	page->buffer.holds++;
	if (write) {
		page->writers++;
		if (at < node->inode.bytes)
			cofs_page_dirty(fs, page);
	}
	*buffer = &page->buffer;
	return 0;
}

void cofs_page_put(struct fs_node *fs_node, struct buffer *buffer, bool changed)
{
	struct cofs_node *node = cofs_node_of(fs_node);
	struct cofs *fs = cofs_owner(node);
	struct cofs_page *page = cofs_page_of(buffer);

	if (page->writers)
		page->writers--;
	if (changed && page->index * BLOCK_BYTES < node->inode.bytes && !fs->fs.read_only) {
		uint64_t in = node->inode.bytes - page->index * BLOCK_BYTES;

		cofs_io_wait(fs, page);
		if (in < BLOCK_BYTES)		/* what was written behind the end is not there when the file grows */
			memset(buffer->data + in, 0, BLOCK_BYTES - in);
		cofs_page_dirty(fs, page);
		cofs_touch(fs, node, true);
	}
	buffer->holds--;
}

void cofs_ahead(struct fs_node *fs_node, uint64_t at, uint64_t bytes)
{
	struct cofs_node *node = cofs_node_of(fs_node);
	struct cofs *fs = cofs_owner(node);
	uint64_t from = at / BLOCK_BYTES, to, most = fs->page_max / 8;

	if (at >= node->inode.bytes)
		return;
	if (bytes > node->inode.bytes - at)
		bytes = node->inode.bytes - at;
	to = (at + bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
	cofs_page_ahead(fs, node, from, to - from > most ? from + most : to);
}
