/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Least recently used goes first; within reach of the end, a clean one before one that must be written.
 */
#include <stdlib.h>
#include "libos/fs/cache_queue.h"

static void *lru_make(uint32_t pages)
{
	(void)pages;
	return calloc(1, sizeof(struct buffer_queue));
}

static void lru_came(void *state, struct buffer *buffer)
{
	queue_append(state, buffer);
}

static void lru_used(void *state, struct buffer *buffer)
{
	struct buffer_queue *queue = state;

	if (queue->last == buffer)
		return;
	queue_remove(queue, buffer);
	queue_append(queue, buffer);
}

static void lru_went(void *state, struct buffer *buffer)
{
	queue_remove(state, buffer);
}

static struct buffer *lru_victim(void *state)
{
	return queue_victim(state);
}

const struct cache_policy cache_lru = {
	.name = "lru", .make = lru_make, .end = free,
	.came = lru_came, .used = lru_used, .went = lru_went, .victim = lru_victim,
};
