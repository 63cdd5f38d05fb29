/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap: one run of frames, which are the transmit frames, so that what lies there can be sent without a copy.
 *
 * Blocks lie side by side; each knows its size and that of the one before, so that a freed one joins its neighbours at once.
 * Free ones are in lists by the power of two below their size: the own list is searched, then the first of any larger one
 * serves. Nothing is ever given back to the kernel.
 *
 * M1 blocks are multiples of 16 bytes; what is handed out lies 8 behind a block's beginning, at a multiple of 16
 * M2 no two free blocks are neighbours; a free one is in list log2(size)
 * M3 the last block is a used one of 16 bytes, which is nobody's
 */
#include <string.h>
#include <exo/flow.h>
#include "libos/event/private.h"

#define STEP	16
#define HEAD	8
#define LEAST	32	/* bytes of a free block */
#define LISTS	23	/* up to 4 MiB */
#define TRIES	8	/* blocks of the own list that are looked at */
#define USED	1u
#define SHARE	8	/* of the memory that the program may have, one part in so many */

struct block {
	uint32_t before;	/* size of the block before; 0: this is the first */
	uint32_t size;		/* with its head; | USED */
	struct block *next, *prev;	/* of a free one */
};

struct event_heap event_heap;
exo_cap_t event_heap_cap;
uint32_t event_heap_frames;
static char *base;
static struct block lists[LISTS];	/* heads of rings */

static struct block *behind(struct block *block)
{
	return (struct block *)((char *)block + (block->size & ~USED));
}

static unsigned list_of(uint32_t size)
{
	return 31 - (unsigned)__builtin_clz(size);
}

static void put(struct block *block, uint32_t size)
{
	struct block *head = &lists[list_of(size)];

	block->size = size;
	behind(block)->before = size;
	block->next = head->next;
	block->prev = head;
	head->next->prev = block;
	head->next = block;
}

static void drop(struct block *block)
{
	block->prev->next = block->next;
	block->next->prev = block->prev;
}

static struct block *find(uint32_t size)
{
	unsigned list = list_of(size), tries = 0;

	for (struct block *block = lists[list].next; block != &lists[list] && tries < TRIES; block = block->next, tries++)
		if (block->size >= size)
			return block;
	while (++list < LISTS)
		if (lists[list].next != &lists[list])
			return lists[list].next;
	return NULL;
}

void *event_alloc(size_t bytes)
{
	uint32_t size = bytes < LEAST - HEAD ? LEAST : (uint32_t)(bytes + HEAD + STEP - 1) & -STEP;
	struct block *block = bytes < event_heap.bytes ? find(size) : NULL;

	if (!block) {
		event_heap.failures++;
		return NULL;
	}
	drop(block);
	if (block->size - size >= LEAST) {
		struct block *rest = (struct block *)((char *)block + size);
		rest->before = size;
		put(rest, block->size - size);
		block->size = size;
	}
	event_heap.free -= block->size;
	if (event_heap.free < event_heap.free_least)
		event_heap.free_least = event_heap.free;
	block->size |= USED;
	return (char *)block + HEAD;
}

void event_free(void *memory)
{
	struct block *block, *other;
	uint32_t size;

	if (!memory)
		return;
	block = (struct block *)((char *)memory - HEAD);
	size = block->size & ~USED;
	event_heap.free += size;
	other = behind(block);
	if (!(other->size & USED)) {
		drop(other);
		size += other->size;
	}
	if (block->before) {
		other = (struct block *)((char *)block - block->before);
		if (!(other->size & USED)) {
			drop(other);
			size += other->size;
			block = other;
		}
	}
	put(block, size);
}

void *event_calloc(size_t count, size_t bytes)
{
	void *memory = count && bytes > UINT32_MAX / count ? NULL : event_alloc(count * bytes);

	return memory ? memset(memory, 0, count * bytes) : NULL;
}

size_t event_size(const void *memory)
{
	return (((const struct block *)((const char *)memory - HEAD))->size & ~USED) - HEAD;
}

bool event_heap_has(const void *at, size_t bytes, uint32_t *offset)
{
	uint64_t from = (uint64_t)((const char *)at - base), end = (uint64_t)event_heap_frames * EXO_PAGE_SIZE;

	*offset = (uint32_t)from;
	return from < end && bytes <= end - from;
}

void *conn_memory(size_t bytes)
{
	return event_alloc(bytes);
}

/* The heap of [at, at + bytes), both multiples of 16. */
void event_heap_make(char *at, uint32_t bytes)
{
	struct block *first = (struct block *)(at + HEAD), *last;

	base = at;
	for (unsigned i = 0; i < LISTS; i++)
		lists[i].next = lists[i].prev = &lists[i];
	bytes -= STEP + HEAD + HEAD;	/* the last block; what stands before the first and behind the last */
	last = (struct block *)((char *)first + bytes);
	last->size = STEP | USED;
	first->before = 0;
	put(first, bytes);
	event_heap = (struct event_heap){ .bytes = bytes, .free = bytes, .free_least = bytes };
}

bool event_heap_start(void)
{
	uint32_t most = event_sizes.heap, least = event_sizes.heap;
	exo_vaddr_t at = EVENT_HEAP_AT;

	if (!most) {
		uint32_t may = core_begin->frames ? core_begin->frames : core_info->frames_free;
		most = (may < core_info->frames_free ? may : core_info->frames_free) / SHARE;
		least = 4;
	}
	if (most > EVENT_HEAP_MOST)
		most = EVENT_HEAP_MOST;
	if (most < least)
		most = least;
	if (most > (EVENT_HEAP_END - EVENT_HEAP_AT) / EXO_PAGE_SIZE)
		at = (core_begin->heap + EXO_PAGE_SIZE - 1) & -(uint64_t)EXO_PAGE_SIZE;
	event_heap_frames = bare_frames(least, most, at, &event_heap_cap);
	if (event_heap_frames)
		event_heap_make((char *)at, event_heap_frames * EXO_PAGE_SIZE);
	return event_heap_frames != 0;
}
