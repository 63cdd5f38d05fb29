/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pages of a cofs in memory: found by owner and index through a hash; which goes when there is no room is the
 * policy's. Memory comes in pieces of 64 pages when it is needed, up to the limit; beyond it only while all pages are
 * dirty or held. See cofs_private.h.
 */
#include <stdlib.h>
#include "libos/fs/cofs_private.h"

#define PIECE	64

/* What policies know a page by. */
static inline uint32_t identity(uint64_t owner, uint64_t index)
{
	return (uint32_t)((owner * 0xc2b2ae3d27d4eb4full + index) * 0x9e3779b97f4a7c15ull >> 33);
}

int cofs_pool_make(struct cofs *fs, uint32_t pages, const struct cache_policy *policy)
{
	unsigned bits = 8;

	fs->page_max = pages < COFS_PAGES_MIN ? COFS_PAGES_MIN : pages;
	while (bits < 31 && (1u << bits) < fs->page_max)
		bits++;
	fs->hash_shift = 64 - bits;
	fs->hash = calloc((size_t)1 << bits, sizeof(*fs->hash));
	fs->policy = policy;
	fs->policy_state = policy->make(fs->page_max);
	return fs->hash && fs->policy_state ? 0 : -ENOMEM;
}

void cofs_pool_end(struct cofs *fs)
{
	struct cofs_memory *memory, *next;

	for (memory = fs->memory; memory; memory = next) {
		next = memory->next;
		block_memory_free(fs->device, memory->memory, memory->count);
		free(memory->pages);
		free(memory);
	}
	if (fs->policy_state)
		fs->policy->end(fs->policy_state);
	free(fs->hash);
	free(fs->list);
}

/* More memory: a piece, or what there is. */
static bool grow(struct cofs *fs)
{
	uint32_t count = PIECE;
	struct cofs_memory *memory = malloc(sizeof(*memory));

	if (!memory)
		return false;
	memory->memory = block_memory(fs->device, count);
	if (!memory->memory) {
		count = 1;
		memory->memory = block_memory(fs->device, count);
	}
	memory->pages = memory->memory ? calloc(count, sizeof(*memory->pages)) : NULL;
	if (!memory->pages) {
		if (memory->memory)
			block_memory_free(fs->device, memory->memory, count);
		free(memory);
		return false;
	}
	memory->count = count;
	memory->next = fs->memory;
	fs->memory = memory;
	for (uint32_t i = count; i-- > 0;) {
		memory->pages[i].buffer.data = (uint8_t *)memory->memory + (size_t)i * BLOCK_BYTES;
		memory->pages[i].next = fs->unused;
		fs->unused = &memory->pages[i];
	}
	fs->page_count += count;
	fs->unused_count += count;
	return true;
}

struct cofs_page *cofs_pool_find(struct cofs *fs, uint64_t owner, uint64_t index)
{
	struct cofs_page *page = cofs_pool_look(fs, owner, index);

	if (page)
		fs->policy->used(fs->policy_state, &page->buffer);
	return page;
}

static inline void hash_in(struct cofs *fs, struct cofs_page *page)
{
	struct cofs_page **first = &fs->hash[cofs_bucket(fs, page->owner, page->index)];

	page->buffer.hash_next = (struct buffer *)*first;
	*first = page;
}

static inline void hash_out(struct cofs *fs, struct cofs_page *page)
{
	struct cofs_page **link = &fs->hash[cofs_bucket(fs, page->owner, page->index)];

	if (*link == page) {
		*link = cofs_page_of(page->buffer.hash_next);
		return;
	}
	struct buffer *before = &(*link)->buffer;

	while (before->hash_next != &page->buffer)
		before = before->hash_next;
	before->hash_next = page->buffer.hash_next;
}

void cofs_pool_drop(struct cofs *fs, struct cofs_page *page)
{
	if (!page->temporary) {
		if (page->buffer.dirty)
			cofs_page_clean(fs, page);
		fs->policy->went(fs->policy_state, &page->buffer);
		hash_out(fs, page);
		if (page->node) {
			*(page->prev ? &page->prev->next : &page->node->pages) = page->next;
			if (page->next)
				page->next->prev = page->prev;
		}
	}
	page->node = NULL;
	page->temporary = false;
	page->next = fs->unused;
	fs->unused = page;
	fs->unused_count++;
}

/* One more that is nowhere. */
static bool more(struct cofs *fs)
{
	struct buffer *buffer;

	if (fs->page_count < fs->page_max && grow(fs))
		return true;
	buffer = fs->policy->victim(fs->policy_state);
	if (!buffer) {
		cofs_io_poll(fs);
		buffer = fs->policy->victim(fs->policy_state);
	}
	if (!buffer)
		return grow(fs);
	cofs_pool_drop(fs, cofs_page_of(buffer));
	return true;
}

int cofs_pool_ready(struct cofs *fs, uint32_t count)
{
	while (fs->unused_count < count)
		if (!more(fs))
			return -ENOMEM;
	return 0;
}

static struct cofs_page *unused(struct cofs *fs)
{
	struct cofs_page *page;

	if (!fs->unused && !more(fs))
		return NULL;
	page = fs->unused;
	fs->unused = page->next;
	fs->unused_count--;
	page->next = page->prev = NULL;
	page->buffer.holds = 0;
	page->buffer.valid = page->buffer.dirty = page->buffer.pinned = page->buffer.ahead = false;
	page->writers = 0;
	page->checked = true;
	return page;
}

int cofs_pool_new(struct cofs *fs, uint64_t owner, uint64_t index, struct cofs_node *node, struct cofs_page **page)
{
	struct cofs_page *new = unused(fs);

	if (!new)
		return -ENOMEM;
	new->owner = owner;
	new->index = index;
	new->buffer.block = identity(owner, index);
	new->buffer.owner = node;
	hash_in(fs, new);
	new->node = node;
	if (node) {
		new->next = node->pages;
		if (node->pages)
			node->pages->prev = new;
		node->pages = new;
	}
	fs->policy->came(fs->policy_state, &new->buffer);
	*page = new;
	return 0;
}

int cofs_pool_temporary(struct cofs *fs, struct cofs_page **page)
{
	*page = unused(fs);
	if (!*page)
		return -ENOMEM;
	(*page)->temporary = true;
	return 0;
}

void cofs_pool_move(struct cofs *fs, struct cofs_page *page, uint64_t index)
{
	hash_out(fs, page);
	page->index = index;
	hash_in(fs, page);
}

int cofs_pool_list(struct cofs *fs, uint32_t count)
{
	struct cofs_page **list;

	if (count <= fs->list_max)
		return 0;
	count += count / 2 + 64;
	list = realloc(fs->list, count * sizeof(*list));
	if (!list)
		return -ENOMEM;
	fs->list = list;
	fs->list_max = count;
	return 0;
}

void cofs_page_dirty(struct cofs *fs, struct cofs_page *page)
{
	struct buffer **first = page->node ? &page->node->dirty_pages : &fs->dirty_tree;
	struct buffer *buffer = &page->buffer;

	if (buffer->dirty)
		return;
	buffer->dirty = buffer->pinned = true;
	buffer->dirty_prev = NULL;
	buffer->dirty_next = *first;
	if (*first)
		(*first)->dirty_prev = buffer;
	*first = buffer;
	if (page->node) {
		page->node->dirty_count++;
		fs->dirty_page_count++;
		cofs_node_list(fs, page->node);
	} else {
		fs->dirty_tree_count++;
	}
}

void cofs_page_clean(struct cofs *fs, struct cofs_page *page)
{
	struct buffer **first = page->node ? &page->node->dirty_pages : &fs->dirty_tree;
	struct buffer *buffer = &page->buffer;

	if (!buffer->dirty)
		return;
	buffer->dirty = buffer->pinned = false;
	*(buffer->dirty_prev ? &buffer->dirty_prev->dirty_next : first) = buffer->dirty_next;
	if (buffer->dirty_next)
		buffer->dirty_next->dirty_prev = buffer->dirty_prev;
	if (page->node) {
		page->node->dirty_count--;
		fs->dirty_page_count--;
	} else {
		fs->dirty_tree_count--;
	}
}

static void sift(struct cofs_page **list, uint32_t at, uint32_t count)
{
	struct cofs_page *page = list[at];

	for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && list[child + 1]->index > list[child]->index)
			child++;
		if (list[child]->index <= page->index)
			break;
		list[at] = list[child];
	}
	list[at] = page;
}

/* A heap; lists that are in order already, or backwards, as sequential writing leaves them, are only looked at. */
void cofs_pages_sort(struct cofs_page **list, uint32_t count)
{
	uint32_t up = 1, down = 1;

	for (; up < count && list[up - 1]->index < list[up]->index; up++)
		continue;
	for (; down < count && list[down - 1]->index > list[down]->index; down++)
		continue;
	if (up >= count)
		return;
	for (uint32_t i = 0; down >= count && i < count / 2; i++) {
		struct cofs_page *page = list[i];

		list[i] = list[count - 1 - i];
		list[count - 1 - i] = page;
	}
	if (down >= count)
		return;
	for (uint32_t i = count / 2; i-- > 0;)
		sift(list, i, count);
	for (uint32_t end = count; --end > 0;) {
		struct cofs_page *page = list[0];

		list[0] = list[end];
		list[end] = page;
		sift(list, 0, end);
	}
}
