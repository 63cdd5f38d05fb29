/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache.
 *
 * Buffers come in chunks, made when they are needed. One that holds a block is in the hash and known to the policy; one
 * that holds none is on the free list. Neighbours are read and written by one request, that of the first of them, the
 * *leader*; while it is under way all of them are held, and each names its leader. Nothing runs when a request ends: the
 * cache looks at `pending` when it wants one of the buffers, or room, and then ends the whole flight. So no function
 * here is ever interrupted by another.
 *
 * 1. dirty: on the dirty list, in order of becoming so, and valid. `dirty` goes when the write begins and comes back
 *    if it fails, so a change during the write is not lost.
 * 2. leader != NULL: held once more than by users.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/fs/cache.h"

#define CHUNK_PAGES	64
#define REQUEST_BLOCKS	64	/* of one request at most */
#define STEAL_BLOCKS	64	/* that are written together when one must be, to make room */
#define NO_BLOCK	UINT32_MAX

/* What a file system owes the cache; it cannot go on without. */
#define must(condition)	((condition) ? (void)0 : __builtin_trap())

struct chunk {
	struct buffer *buffers;
	uint8_t *memory;
	uint32_t pages;
};

struct cache {
	struct block_device *device;
	const struct cache_policy *policy;
	void *state;			/* the policy's */
	struct buffer **hash;
	uint32_t hash_shift;
	uint32_t pages, pages_made, chunk_count, dirty_count;
	struct chunk *chunks;
	struct buffer *free;		/* by queue_next */
	struct buffer *dirty_first, *dirty_last;
	struct buffer *flights;		/* leaders under way */
	struct buffer **sorted;		/* room for a pointer to each buffer */
	struct cache_counts counts;
};

static int flight_end(struct cache *cache, struct buffer *leader);

/* --- hash and dirty list -------------------------------------------------------------------------------- */

static inline struct buffer **slot(struct cache *cache, uint32_t block)
{
	return &cache->hash[(uint32_t)(block * 0x9e3779b1u) >> cache->hash_shift];
}

static inline struct buffer *find(struct cache *cache, uint32_t block)
{
	struct buffer *buffer = *slot(cache, block);

	while (buffer && buffer->block != block)
		buffer = buffer->hash_next;
	return buffer;
}

static void hash_add(struct cache *cache, struct buffer *buffer, uint32_t block)
{
	struct buffer **at = slot(cache, block);

	buffer->block = block;
	buffer->hash_next = *at;
	*at = buffer;
}

static void hash_remove(struct cache *cache, struct buffer *buffer)
{
	struct buffer **at = slot(cache, buffer->block);

	while (*at != buffer)
		at = &(*at)->hash_next;
	*at = buffer->hash_next;
}

static void set_clean(struct cache *cache, struct buffer *buffer)
{
	if (!buffer->dirty)
		return;
	*(buffer->dirty_prev ? &buffer->dirty_prev->dirty_next : &cache->dirty_first) = buffer->dirty_next;
	*(buffer->dirty_next ? &buffer->dirty_next->dirty_prev : &cache->dirty_last) = buffer->dirty_prev;
	buffer->dirty = false;
	cache->dirty_count--;
}

void cache_dirty(struct cache *cache, struct buffer *buffer)
{
	if (buffer->dirty)
		return;
	must(buffer->valid);
	buffer->dirty_next = NULL;
	buffer->dirty_prev = cache->dirty_last;
	*(cache->dirty_last ? &cache->dirty_last->dirty_next : &cache->dirty_first) = buffer;
	cache->dirty_last = buffer;
	buffer->dirty = true;
	cache->dirty_count++;
}

/* --- making and ending ---------------------------------------------------------------------------------- */

/* More buffers; false: as many as may be, or no memory. */
static bool grow(struct cache *cache)
{
	struct chunk *chunk = &cache->chunks[cache->chunk_count];
	uint32_t pages = cache->pages - cache->pages_made;

	if (!pages)
		return false;
	if (pages > CHUNK_PAGES)
		pages = CHUNK_PAGES;
	chunk->buffers = calloc(pages, sizeof(struct buffer));
	chunk->memory = chunk->buffers ? block_memory(cache->device, pages) : NULL;
	if (!chunk->memory) {
		free(chunk->buffers);
		return false;
	}
	chunk->pages = pages;
	cache->chunk_count++;
	cache->pages_made += pages;
	for (uint32_t i = pages; i--;) {
		struct buffer *buffer = &chunk->buffers[i];

		buffer->block = NO_BLOCK;
		buffer->data = chunk->memory + (size_t)i * BLOCK_BYTES;
		buffer->queue_next = cache->free;
		cache->free = buffer;
	}
	return true;
}

struct cache *cache_make(struct block_device *device, uint32_t pages, const struct cache_policy *policy)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	uint32_t bits = 4;

	if (!cache)
		return NULL;
	if (pages < CACHE_PAGES_MIN)
		pages = CACHE_PAGES_MIN;
	while (bits < 30 && 1u << bits < pages)
		bits++;
	cache->device = device;
	cache->pages = pages;
	cache->hash_shift = 32 - bits;
	cache->hash = calloc((size_t)1 << bits, sizeof(*cache->hash));
	cache->sorted = calloc(pages, sizeof(*cache->sorted));
	cache->chunks = calloc((pages + CHUNK_PAGES - 1) / CHUNK_PAGES, sizeof(*cache->chunks));
	cache->policy = policy;
	if (cache->hash && cache->sorted && cache->chunks)
		cache->state = policy->make(pages);
	if (cache->state && grow(cache))
		return cache;
	cache_end(cache);
	return NULL;
}

void cache_end(struct cache *cache)
{
	while (cache->flights)
		(void)flight_end(cache, cache->flights);
	for (uint32_t i = 0; i < cache->chunk_count; i++) {
		block_memory_free(cache->device, cache->chunks[i].memory, cache->chunks[i].pages);
		free(cache->chunks[i].buffers);
	}
	if (cache->state)
		cache->policy->end(cache->state);
	free(cache->hash);
	free(cache->sorted);
	free(cache->chunks);
	free(cache);
}

int cache_set_policy(struct cache *cache, const struct cache_policy *policy)
{
	void *state = policy->make(cache->pages);

	if (!state)
		return -ENOMEM;
	for (uint32_t i = 0; i < cache->chunk_count; i++)
		for (uint32_t j = 0; j < cache->chunks[i].pages; j++) {
			struct buffer *buffer = &cache->chunks[i].buffers[j];

			if (buffer->block == NO_BLOCK)
				continue;
			cache->policy->went(cache->state, buffer);
			policy->came(state, buffer);
		}
	cache->policy->end(cache->state);
	cache->policy = policy;
	cache->state = state;
	return 0;
}

struct block_device *cache_device(struct cache *cache)
{
	return cache->device;
}

const struct cache_counts *cache_counts(const struct cache *cache)
{
	return &cache->counts;
}

uint32_t cache_pages(const struct cache *cache)
{
	return cache->pages;
}

uint32_t cache_dirty_count(const struct cache *cache)
{
	return cache->dirty_count;
}

/* --- requests ------------------------------------------------------------------------------------------- */

static void flights_go(struct cache *cache)
{
	block_poll(cache->device);
}

/* Wait for a flight, and let its buffers go. */
static int flight_end(struct cache *cache, struct buffer *leader)
{
	int result = block_wait(cache->device, &leader->request);
	bool write = leader->request.operation == BLOCK_WRITE;
	struct buffer *buffer, *next;

	*leader->flight_link = leader->flight_next;
	if (leader->flight_next)
		leader->flight_next->flight_link = leader->flight_link;
	for (buffer = leader; buffer; buffer = next) {
		next = buffer->mate;
		buffer->leader = buffer->mate = NULL;
		buffer->holds--;
		if (!write)
			buffer->valid = result == 0;
		else if (result)
			cache_dirty(cache, buffer);
		else
			cache->counts.written++;
	}
	return result;
}

/* End what is done. */
static void flights_poll(struct cache *cache)
{
	struct buffer *leader, *next;

	if (!cache->flights)
		return;
	flights_go(cache);
	for (leader = cache->flights; leader; leader = next) {
		next = leader->flight_next;
		if (!leader->request.pending)
			(void)flight_end(cache, leader);
	}
}

/*
 * Begin a request for as many of `list` as are neighbours and fit, at least the first; how many. Only buffers that are
 * not under way may be in it. It gets to the device when somebody waits, or by flights_go().
 */
static uint32_t flight_begin(struct cache *cache, unsigned operation, struct buffer **list, uint32_t count)
{
	struct buffer *leader = list[0], *last = NULL;
	struct block_request *request = &leader->request;
	uint32_t i;

	*request = (struct block_request){ .operation = (uint8_t)operation, .flags = BLOCK_MORE, .block = leader->block };
	for (i = 0; i < count && i < REQUEST_BLOCKS; i++) {
		struct buffer *buffer = list[i];

		if (buffer->block != leader->block + i)
			break;
		if (last && buffer->data == last->data + BLOCK_BYTES) {
			request->part[request->parts - 1].blocks++;
		} else {
			if (request->parts == BLOCK_PARTS_MAX)
				break;
			request->part[request->parts].memory = buffer->data;
			request->part[request->parts++].blocks = 1;
		}
		if (last)
			last->mate = buffer;
		buffer->leader = leader;
		buffer->holds++;
		last = buffer;
		if (operation == BLOCK_WRITE)
			set_clean(cache, buffer);
	}
	request->count = i;
	leader->flight_next = cache->flights;
	leader->flight_link = &cache->flights;
	if (cache->flights)
		cache->flights->flight_link = &leader->flight_next;
	cache->flights = leader;
	block_submit(cache->device, request);
	return i;
}

/* --- writing -------------------------------------------------------------------------------------------- */

static int by_block(const void *a, const void *b)
{
	uint32_t one = (*(struct buffer *const *)a)->block, other = (*(struct buffer *const *)b)->block;

	return (one > other) - (one < other);
}

static void sort(struct buffer **list, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++)
		if (list[i]->block < list[i - 1]->block) {
			qsort(list, count, sizeof(*list), by_block);
			return;
		}
}

/* Begin all; sorts the list. */
static void write_begin(struct cache *cache, struct buffer **list, uint32_t count)
{
	uint32_t i, run;

	sort(list, count);
	for (i = 0; i < count; i += run) {
		if (list[i]->leader)
			(void)flight_end(cache, list[i]->leader);
		for (run = 0; i + run < count && list[i + run]->dirty && !list[i + run]->leader; run++)
			if (run && list[i + run]->block != list[i]->block + run)
				break;
		if (run)
			run = flight_begin(cache, BLOCK_WRITE, &list[i], run);
		else
			run = 1;
	}
	flights_go(cache);
}

int cache_write_list(struct cache *cache, struct buffer **list, uint32_t count)
{
	int first_error = 0;

	write_begin(cache, list, count);
	for (uint32_t i = 0; i < count; i++) {
		int result = list[i]->leader ? flight_end(cache, list[i]->leader) : 0;

		if (!first_error)
			first_error = result;
	}
	return first_error;
}

int cache_write(struct cache *cache, struct buffer *buffer)
{
	return cache_write_list(cache, &buffer, 1);
}

void cache_write_behind(struct cache *cache, uint32_t count)
{
	uint32_t found = 0;

	flights_poll(cache);
	for (struct buffer *buffer = cache->dirty_first; buffer && found < count; buffer = buffer->dirty_next)
		if (!buffer->pinned && !buffer->holds)
			cache->sorted[found++] = buffer;
	write_begin(cache, cache->sorted, found);
}

/* What was begun and not waited for: if it failed, it is dirty again. */
static void end_writes(struct cache *cache)
{
	struct buffer *leader, *next;

	for (leader = cache->flights; leader; leader = next) {
		next = leader->flight_next;
		if (leader->request.operation == BLOCK_WRITE)
			(void)flight_end(cache, leader);
	}
}

int cache_write_all(struct cache *cache)
{
	uint32_t count = 0;

	end_writes(cache);

	for (struct buffer *buffer = cache->dirty_first; buffer; buffer = buffer->dirty_next)
		if (!buffer->pinned)
			cache->sorted[count++] = buffer;
	return cache_write_list(cache, cache->sorted, count);
}

/* --- room ----------------------------------------------------------------------------------------------- */

static void forget(struct cache *cache, struct buffer *buffer)
{
	set_clean(cache, buffer);
	hash_remove(cache, buffer);
	cache->policy->went(cache->state, buffer);
	buffer->block = NO_BLOCK;
	buffer->valid = buffer->pinned = buffer->ahead = false;
	buffer->kind = 0;
	buffer->owner = NULL;
	buffer->queue_next = cache->free;
	cache->free = buffer;
}

/* Write a victim, and with it the dirty buffers that have waited longest. */
static int steal(struct cache *cache, struct buffer *victim)
{
	struct buffer *buffer = cache->dirty_first;
	uint32_t count = 1;

	cache->sorted[0] = victim;
	for (; buffer && count < STEAL_BLOCKS; buffer = buffer->dirty_next)
		if (!buffer->pinned && !buffer->holds && buffer != victim)
			cache->sorted[count++] = buffer;
	cache->counts.stolen += count;
	return cache_write_list(cache, cache->sorted, count);
}

/* A buffer without a block is at cache->free. */
static int make_room(struct cache *cache, bool may_write)
{
	struct buffer *victim;
	int result = 0;

	if (cache->free || grow(cache))
		return 0;
	victim = cache->policy->victim(cache->state);
	if (!victim && cache->flights && may_write) {
		flights_poll(cache);
		while (!(victim = cache->policy->victim(cache->state)) && cache->flights)
			(void)flight_end(cache, cache->flights);
	}
	if (!victim)
		return -ENOMEM;
	if (victim->dirty)
		result = may_write ? steal(cache, victim) : -ENOMEM;
	if (!result)
		forget(cache, victim);
	return result;
}

/* A held buffer for a block that has none; not valid. */
static int bring(struct cache *cache, uint32_t block, bool may_write, struct buffer **buffer)
{
	int result = block < cache->device->blocks ? make_room(cache, may_write) : -EINVAL;

	if (result)
		return result;
	*buffer = cache->free;
	cache->free = (*buffer)->queue_next;
	(*buffer)->holds = 1;
	hash_add(cache, *buffer, block);
	cache->policy->came(cache->state, *buffer);
	return 0;
}

/* --- blocks --------------------------------------------------------------------------------------------- */

/* What is there, held and not under way; NULL: nothing is. */
static inline struct buffer *get_there(struct cache *cache, uint32_t block)
{
	struct buffer *buffer = find(cache, block);

	if (!buffer)
		return NULL;
	if (buffer->leader)	/* not changed while it is written, either */
		(void)flight_end(cache, buffer->leader);
	buffer->holds++;
	buffer->ahead = false;
	cache->policy->used(cache->state, buffer);
	return buffer;
}

static int fill(struct cache *cache, struct buffer *buffer)
{
	int result;

	cache->counts.misses++;
	flight_begin(cache, BLOCK_READ, &buffer, 1);
	result = flight_end(cache, buffer);
	if (!result)
		return 0;
	if (--buffer->holds == 0)
		forget(cache, buffer);
	return result;
}

int cache_get(struct cache *cache, uint32_t block, struct buffer **buffer)
{
	int result;

	*buffer = get_there(cache, block);
	if (*buffer && (*buffer)->valid) {
		cache->counts.hits++;
		return 0;
	}
	result = *buffer ? 0 : bring(cache, block, true, buffer);
	return result ? result : fill(cache, *buffer);
}

static int get_unread(struct cache *cache, uint32_t block, bool zero, struct buffer **buffer)
{
	int result;

	*buffer = get_there(cache, block);
	result = *buffer ? 0 : bring(cache, block, true, buffer);
	if (result)
		return result;
	if (!(*buffer)->valid && zero)
		memset((*buffer)->data, 0, BLOCK_BYTES);
	(*buffer)->valid = true;
	return 0;
}

int cache_get_new(struct cache *cache, uint32_t block, struct buffer **buffer)
{
	return get_unread(cache, block, true, buffer);
}

int cache_get_whole(struct cache *cache, uint32_t block, struct buffer **buffer)
{
	return get_unread(cache, block, false, buffer);
}

struct buffer *cache_peek(struct cache *cache, uint32_t block)
{
	struct buffer *buffer = find(cache, block);

	if (!buffer || (!buffer->valid && (!buffer->leader || buffer->leader->request.pending)))
		return NULL;
	buffer = get_there(cache, block);
	if (buffer->valid)
		return buffer;
	buffer->holds--;
	return NULL;
}

void cache_hold(struct buffer *buffer)
{
	buffer->holds++;
}

void cache_put(struct cache *cache, struct buffer *buffer)
{
	(void)cache;
	must(buffer->holds);
	buffer->holds--;
}

void cache_forget(struct cache *cache, uint32_t block)
{
	struct buffer *buffer = find(cache, block);

	if (!buffer)
		return;
	if (buffer->leader)
		(void)flight_end(cache, buffer->leader);
	must(!buffer->holds);
	forget(cache, buffer);
}

void cache_move(struct cache *cache, struct buffer *buffer, uint32_t block)
{
	if (buffer->block == block)
		return;
	if (buffer->leader)
		(void)flight_end(cache, buffer->leader);
	cache_forget(cache, block);
	hash_remove(cache, buffer);
	hash_add(cache, buffer, block);
}

static void ahead_begin(struct cache *cache, struct buffer **list, uint32_t count)
{
	for (uint32_t i = 0; i < count;)
		i += flight_begin(cache, BLOCK_READ, &list[i], count - i);
	for (uint32_t i = 0; i < count; i++)
		list[i]->holds--;	/* the flight has its own */
}

void cache_ahead(struct cache *cache, uint32_t block, uint32_t count)
{
	struct buffer *list[REQUEST_BLOCKS];
	uint32_t wanted = 0, most = cache->pages / 4;

	if (count > most)
		count = most;
	for (; count; block++, count--) {
		if (find(cache, block))
			continue;
		if (bring(cache, block, false, &list[wanted])) {
			flights_poll(cache);	/* some may be over */
			if (bring(cache, block, false, &list[wanted]))
				break;
		}
		list[wanted++]->ahead = true;
		cache->counts.ahead++;
		if (wanted == REQUEST_BLOCKS) {
			ahead_begin(cache, list, wanted);
			wanted = 0;
		}
	}
	ahead_begin(cache, list, wanted);
}
