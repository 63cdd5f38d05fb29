/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contents of files: pages by runs of blocks, through the program's own cache.
 *
 * Blocks are taken when a page is written first. What lies behind a file's end is zeroed, or freed, before the file grows
 * over it: after a power cut there may be runs there that a size never covered.
 */
#include "libos/fs/common_impl.h"

#define AHEAD	16	/* pages that a long read begins to read together */

static int file_head(struct fs_node *node, struct common_head *head)
{
	if (node->kind == FS_DIRECTORY)
		return -EISDIR;
	if (node->kind != FS_FILE)
		return -EINVAL;
	int error = common_head(common_of(node), common_node(node), head);
	if (!error)
		common_refresh(common_of(node), common_node(node));
	return error;
}

int64_t common_read(struct fs_node *node, uint64_t at, void *memory, size_t bytes)
{
	struct common *fs = common_of(node);
	struct common_head head;
	uint8_t *to = memory;
	size_t done = 0;
	int error = file_head(node, &head);

	if (error)
		return error;
	if (at >= head.bytes)
		return 0;
	bytes = bytes < head.bytes - at ? bytes : head.bytes - at;
	while (done < bytes && !error) {
		uint32_t page = (uint32_t)((at + done) / BLOCK_BYTES), in = (at + done) % BLOCK_BYTES, block, run;
		size_t now = BLOCK_BYTES - in < bytes - done ? BLOCK_BYTES - in : bytes - done;
		struct buffer *buffer;

		error = common_find(fs, common_node(node)->block, page, &block, &run);
		if (!error && block && bytes - done > BLOCK_BYTES && page % AHEAD == 0)
			cache_ahead(fs->fs.cache, block, run < AHEAD ? run : AHEAD);
		if (!error && block)
			error = cache_get(fs->fs.cache, block, &buffer);
		if (error)
			break;
		if (block) {
			memcpy(to + done, buffer->data + in, now);
			cache_put(fs->fs.cache, buffer);
		} else {
			memset(to + done, 0, now);
		}
		done += now;
	}
	return done ? (int64_t)done : error;
}

/* The page's buffer, to be written: `whole` if nothing of it is kept. */
static int page_to_write(struct fs_node *node, uint32_t page, uint32_t more, bool whole, struct buffer **buffer)
{
	struct common *fs = common_of(node);
	uint32_t block, run;
	int error = common_find(fs, common_node(node)->block, page, &block, &run);

	if (error)
		return error;
	if (block && common_entry_of(fs, block)->state == EXO_BLOCK_FRESH && !whole) {
		*buffer = cache_peek(fs->fs.cache, block);
		return *buffer ? 0 : cache_get_new(fs->fs.cache, block, buffer);
	}
	if (block)
		return whole ? cache_get_whole(fs->fs.cache, block, buffer) : cache_get(fs->fs.cache, block, buffer);
	error = common_add(fs, common_node(node)->block, page, more, COMMON_DATA, &block, &run);
	for (uint32_t i = run; i-- && !error;) {
		struct buffer *other;

		error = cache_get_new(fs->fs.cache, block + i, &other);
		if (!error)
			cache_dirty(fs->fs.cache, other);
		if (!error && i)
			cache_put(fs->fs.cache, other);
		else
			*buffer = other;
	}
	return error;
}

static void wrote(struct fs_node *node)
{
	common_node(node)->dirty = true;
	common_of(node)->changed = true;
}

/* The file is going to end at `to`: what lies behind its end now is nothing. */
static int clear_behind(struct fs_node *node, uint64_t bytes, uint64_t to)
{
	struct common *fs = common_of(node);
	uint32_t end = (uint32_t)((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES), block, run;
	struct buffer *buffer;
	int error = 0;

	if (to <= bytes)
		return 0;
	error = common_extents(fs, common_node(node)->block);
	for (uint32_t i = 0; i < fs->extents && !error; i++)
		if (common_type(&fs->extent[i].value) == COMMON_DATA &&
		    (uint64_t)fs->extent[i].value.at + common_count(&fs->extent[i].value) > end) {
			error = common_cut(fs, common_node(node)->block, end);
			break;
		}
	if (error || bytes % BLOCK_BYTES == 0)
		return error;
	error = common_find(fs, common_node(node)->block, end - 1, &block, &run);
	if (error || !block)
		return error;
	error = page_to_write(node, end - 1, 1, false, &buffer);
	if (error)
		return error;
	memset(buffer->data + bytes % BLOCK_BYTES, 0, BLOCK_BYTES - bytes % BLOCK_BYTES);
	cache_dirty(fs->fs.cache, buffer);
	cache_put(fs->fs.cache, buffer);
	wrote(node);
	return 0;
}

int64_t common_write(struct fs_node *node, uint64_t at, const void *memory, size_t bytes)
{
	struct common *fs = common_of(node);
	struct common_head head;
	size_t done = 0;
	int error = fs->fs.read_only ? -EROFS : file_head(node, &head);

	if (!error && !bytes)
		return 0;
	if (!error && (at >= (uint64_t)COMMON_PAGES_MAX * BLOCK_BYTES || bytes > (uint64_t)COMMON_PAGES_MAX * BLOCK_BYTES - at))
		error = -EFBIG;
	if (!error && !common_cap(fs, common_node(node)->block))
		error = -EACCES;
	if (!error)
		error = clear_behind(node, head.bytes, at);
	while (done < bytes && !error) {
		uint32_t page = (uint32_t)((at + done) / BLOCK_BYTES), in = (at + done) % BLOCK_BYTES;
		size_t now = BLOCK_BYTES - in < bytes - done ? BLOCK_BYTES - in : bytes - done;
		uint32_t more = (uint32_t)((bytes - done) / BLOCK_BYTES);
		struct buffer *buffer;

		error = page_to_write(node, page, more ? more : 1, now == BLOCK_BYTES, &buffer);
		if (error)
			break;
		memcpy(buffer->data + in, (const uint8_t *)memory + done, now);
		cache_dirty(fs->fs.cache, buffer);
		cache_put(fs->fs.cache, buffer);
		wrote(node);
		done += now;
	}
	if (!done)
		return error;
	error = common_touch(fs, common_node(node)->block, at + done, COMMON_GROW);
	return error ? error : (int64_t)done;
}

int common_truncate(struct fs_node *node, uint64_t bytes)
{
	struct common *fs = common_of(node);
	struct common_head head;
	struct buffer *buffer;
	uint32_t block, run;
	int error = fs->fs.read_only ? -EROFS : file_head(node, &head);

	if (!error && bytes > (uint64_t)COMMON_PAGES_MAX * BLOCK_BYTES)
		error = -EFBIG;
	if (!error)
		error = clear_behind(node, head.bytes, bytes);
	if (!error)
		error = common_touch(fs, common_node(node)->block, bytes, COMMON_SET);
	if (error || bytes >= head.bytes)
		return error;
	error = common_cut(fs, common_node(node)->block, (uint32_t)((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES));
	if (error || bytes % BLOCK_BYTES == 0)
		return error;
	error = common_find(fs, common_node(node)->block, (uint32_t)(bytes / BLOCK_BYTES), &block, &run);
	if (!error && block)
		error = page_to_write(node, (uint32_t)(bytes / BLOCK_BYTES), 1, false, &buffer);
	if (error || !block)
		return error;
	memset(buffer->data + bytes % BLOCK_BYTES, 0, BLOCK_BYTES - bytes % BLOCK_BYTES);
	cache_dirty(fs->fs.cache, buffer);
	cache_put(fs->fs.cache, buffer);
	wrote(node);
	return 0;
}

int common_page(struct fs_node *node, uint64_t at, bool write, struct buffer **page)
{
	struct common *fs = common_of(node);
	struct common_head head;
	uint32_t block, run;
	int error = file_head(node, &head);

	*page = NULL;
	if (error)
		return error;
	if (write && (fs->fs.read_only || !common_cap(fs, common_node(node)->block)))
		return fs->fs.read_only ? -EROFS : -EACCES;
	if (write)
		return page_to_write(node, (uint32_t)(at / BLOCK_BYTES), 1, false, page);
	error = common_find(fs, common_node(node)->block, (uint32_t)(at / BLOCK_BYTES), &block, &run);
	return error || !block ? error : cache_get(fs->fs.cache, block, page);
}

void common_page_put(struct fs_node *node, struct buffer *page, bool changed)
{
	struct common *fs = common_of(node);

	if (changed) {
		cache_dirty(fs->fs.cache, page);
		wrote(node);
		(void)common_touch(fs, common_node(node)->block, 0, COMMON_KEEP);
	}
	cache_put(fs->fs.cache, page);
}
