/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contents of files in memory.
 *
 * Pages come in chunks of MEMORY_CHUNK and go to a free list, which is given back when no page is used any more. A file's first pages hang
 * in its node, the others in leaves of 512. A page that is given out (fs_ops.page) is on its node's list `out`; if the
 * file is cut meanwhile, the page stays with who has it.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/fs/memory_fs.h"

#define LEAF		512
#define CHUNKS_KEPT	2		/* when no page is used */
#define ORPHAN		1		/* buffer.kind: the page is not the file's any more */

/* --- pages ---------------------------------------------------------------------------------------------- */

static void pages_free_in(struct mem_fs *fs, uint8_t *chunk)
{
	for (int i = MEMORY_CHUNK; i--;) {
		*(void **)(chunk + (size_t)i * BLOCK_BYTES) = fs->free_pages;
		fs->free_pages = chunk + (size_t)i * BLOCK_BYTES;
	}
}

static bool chunk_add(struct mem_fs *fs)
{
	void **chunks = realloc(fs->chunks, (fs->chunk_count + 1) * sizeof(*chunks));
	uint8_t *memory = chunks ? fs->pages(MEMORY_CHUNK) : NULL;

	if (chunks)
		fs->chunks = chunks;
	if (!memory)
		return false;
	fs->chunks[fs->chunk_count++] = memory;
	pages_free_in(fs, memory);
	return true;
}

/* A page with old contents; NULL: there is none. */
static uint8_t *page_take(struct mem_fs *fs)
{
	void *page;

	if (fs->pages_used >= fs->pages_max || (!fs->free_pages && !chunk_add(fs)))
		return NULL;
	page = fs->free_pages;
	fs->free_pages = *(void **)page;
	fs->pages_used++;
	return page;
}

static void page_give(struct mem_fs *fs, uint8_t *page)
{
	*(void **)page = fs->free_pages;
	fs->free_pages = page;
	if (--fs->pages_used || fs->chunk_count <= CHUNKS_KEPT)
		return;
	/* Nothing is in any of them. */
	fs->free_pages = NULL;
	while (fs->chunk_count > CHUNKS_KEPT)
		fs->pages_free(fs->chunks[--fs->chunk_count], MEMORY_CHUNK);
	for (uint32_t i = 0; i < fs->chunk_count; i++)
		pages_free_in(fs, fs->chunks[i]);
}

/* Where a file's page hangs; NULL: nowhere yet, and with `make`, no memory. */
static uint8_t **slot(struct mem_node *node, uint64_t index, bool make)
{
	uint64_t leaf = (index - MEMORY_DIRECT) / LEAF;

	if (index < MEMORY_DIRECT)
		return &node->file.direct[index];
	if (leaf >= node->file.leaves) {
		uint32_t more = (uint32_t)leaf + 1 + (uint32_t)leaf / 2;
		uint8_t ***larger = make ? realloc(node->file.leaf, more * sizeof(*larger)) : NULL;

		if (!larger)
			return NULL;
		memset(larger + node->file.leaves, 0, (more - node->file.leaves) * sizeof(*larger));
		node->file.leaf = larger;
		node->file.leaves = more;
	}
	if (!node->file.leaf[leaf] && make)
		node->file.leaf[leaf] = calloc(LEAF, sizeof(uint8_t *));
	return node->file.leaf[leaf] ? &node->file.leaf[leaf][(index - MEMORY_DIRECT) % LEAF] : NULL;
}

static struct buffer **out_find(struct mem_node *node, uint64_t index)
{
	struct buffer **link = &node->file.out;

	while (*link && ((*link)->block != index || (*link)->kind == ORPHAN))
		link = &(*link)->hash_next;
	return link;
}

static void page_drop(struct mem_node *node, uint8_t **at, uint64_t index)
{
	struct buffer *out = *out_find(node, index);

	if (!*at)
		return;
	if (out)
		out->kind = ORPHAN;	/* its last user gives the page back */
	else
		page_give(fs_of(node), *at);
	*at = NULL;
	node->pages--;
}

/* Pages from `index` on go. */
void memory_cut(struct mem_node *node, uint64_t index)
{
	uint32_t leaf;

	for (uint64_t i = index; i < MEMORY_DIRECT; i++)
		page_drop(node, &node->file.direct[i], i);
	for (leaf = 0; leaf < node->file.leaves; leaf++) {
		uint64_t first = MEMORY_DIRECT + (uint64_t)leaf * LEAF;

		if (!node->file.leaf[leaf] || first + LEAF <= index)
			continue;
		for (uint64_t i = index > first ? index : first; i < first + LEAF; i++)
			page_drop(node, &node->file.leaf[leaf][i - first], i);
		if (index > first)
			continue;
		free(node->file.leaf[leaf]);
		node->file.leaf[leaf] = NULL;
	}
	if (index > MEMORY_DIRECT)
		return;
	free(node->file.leaf);
	node->file.leaf = NULL;
	node->file.leaves = 0;
}

/* --- operations ---------------------------------------------------------------------------------------- */

int64_t memory_read(struct fs_node *node, uint64_t at, void *memory, size_t bytes)
{
	struct mem_node *mem = of(node);
	size_t done = 0;

	if (node->kind != FS_FILE)
		return node->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (at >= mem->bytes)
		return 0;
	memory_was_read(mem);
	if (bytes > mem->bytes - at)
		bytes = (size_t)(mem->bytes - at);
	while (done < bytes) {
		size_t in = (size_t)(at % BLOCK_BYTES), now = BLOCK_BYTES - in;
		uint8_t **from = slot(mem, at / BLOCK_BYTES, false);

		if (now > bytes - done)
			now = bytes - done;
		if (from && *from)
			memcpy((uint8_t *)memory + done, *from + in, now);
		else
			memset((uint8_t *)memory + done, 0, now);
		done += now;
		at += now;
	}
	return (int64_t)done;
}

/* A page to write [in, in + now) of; what is not written there is zero. */
static uint8_t *page_for(struct mem_node *mem, uint64_t index, size_t in, size_t now)
{
	uint8_t **at = slot(mem, index, true), *page;

	if (!at || *at)
		return at ? *at : NULL;
	page = page_take(fs_of(mem));
	if (!page)
		return NULL;
	if (in)
		memset(page, 0, in);
	if (in + now < BLOCK_BYTES)
		memset(page + in + now, 0, BLOCK_BYTES - in - now);
	mem->pages++;
	return *at = page;
}

int64_t memory_write(struct fs_node *node, uint64_t at, const void *memory, size_t bytes)
{
	struct mem_node *mem = of(node);
	size_t done = 0;

	if (node->kind != FS_FILE)
		return node->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (at > MEMORY_PAGES_MAX * BLOCK_BYTES || bytes > MEMORY_PAGES_MAX * BLOCK_BYTES - at)
		return -EFBIG;
	while (done < bytes) {
		size_t in = (size_t)(at % BLOCK_BYTES), now = BLOCK_BYTES - in;
		uint8_t *page;

		if (now > bytes - done)
			now = bytes - done;
		page = page_for(mem, at / BLOCK_BYTES, in, now);
		if (!page)
			break;
		memcpy(page + in, (const uint8_t *)memory + done, now);
		done += now;
		at += now;
	}
	if (!done)
		return bytes ? -ENOSPC : 0;
	if (at > mem->bytes)
		mem->bytes = at;
	mem->modified = mem->changed = fs_of(mem)->now();
	return (int64_t)done;
}

int memory_truncate(struct fs_node *node, uint64_t bytes)
{
	struct mem_node *mem = of(node);
	size_t in = (size_t)(bytes % BLOCK_BYTES);
	uint8_t **last;

	if (node->kind != FS_FILE)
		return node->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (bytes > MEMORY_PAGES_MAX * BLOCK_BYTES)
		return -EFBIG;
	if (bytes < mem->bytes) {
		memory_cut(mem, (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
		last = in ? slot(mem, bytes / BLOCK_BYTES, false) : NULL;
		if (last && *last)
			memset(*last + in, 0, BLOCK_BYTES - in);
	}
	mem->bytes = bytes;
	mem->modified = mem->changed = fs_of(mem)->now();
	return 0;
}

int memory_page(struct fs_node *node, uint64_t at, bool write, struct buffer **page)
{
	struct mem_node *mem = of(node);
	uint64_t index = at / BLOCK_BYTES;
	uint8_t **data;
	struct buffer **link;

	if (node->kind != FS_FILE)
		return -ENODEV;
	if (at % BLOCK_BYTES || at >= mem->bytes)
		return -EINVAL;
	if (write && !page_for(mem, index, 0, 0))
		return -ENOSPC;
	*page = NULL;
	data = slot(mem, index, false);
	if (!data || !*data)
		return 0;
	link = out_find(mem, index);
	if (!*link) {
		*link = calloc(1, sizeof(**link));
		if (!*link)
			return -ENOMEM;
		(*link)->block = (uint32_t)index;
		(*link)->data = *data;
		(*link)->valid = true;
	}
	(*link)->holds++;
	*page = *link;
	return 0;
}

void memory_page_put(struct fs_node *node, struct buffer *page, bool changed)
{
	struct mem_node *mem = of(node);
	struct buffer **link = &mem->file.out;
	uint64_t from = (uint64_t)page->block * BLOCK_BYTES;

	if (changed)
		mem->modified = mem->changed = fs_of(mem)->now();
	/* What was written behind the end is not there when the file grows. */
	if (changed && page->kind != ORPHAN && mem->bytes > from && mem->bytes - from < BLOCK_BYTES)
		memset(page->data + (mem->bytes - from), 0, BLOCK_BYTES - (mem->bytes - from));
	if (--page->holds)
		return;
	while (*link != page)
		link = &(*link)->hash_next;
	*link = page->hash_next;
	if (page->kind == ORPHAN)
		page_give(fs_of(mem), page->data);
	free(page);
}
