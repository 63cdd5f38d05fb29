/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The application's own policy: it is the database, so it knows what its blocks are, and no policy for
 * everybody can. Blocks of the report's table (from 1024 on) go first, latest first: the report reads on,
 * not back. Then records, and last of all the index (below 128); each least recently used first.
 */
#include <stdlib.h>
#include "libos/fs/cache_queue.h"

enum { INDEX, RECORD, TABLE, KINDS };

static void *make(uint32_t pages)
{
	(void)pages;
	return calloc(KINDS, sizeof(struct buffer_queue));
}

static struct buffer_queue *queue_of(struct buffer_queue *queue, const struct buffer *buffer)
{
	return &queue[buffer->block < 128 ? INDEX : buffer->block < 1024 ? RECORD : TABLE];
}

static void came(void *state, struct buffer *buffer)
{
	queue_append(queue_of(state, buffer), buffer);
}

static void went(void *state, struct buffer *buffer)
{
	queue_remove(queue_of(state, buffer), buffer);
}

static void used(void *state, struct buffer *buffer)
{
	went(state, buffer);
	came(state, buffer);
}

static struct buffer *victim(void *state)
{
	struct buffer_queue *queue = state;
	struct buffer *last = queue[TABLE].last, *buffer;

	while (last && (last->holds || last->pinned))
		last = last->queue_prev;
	if (last)
		return last;
	buffer = queue_victim(&queue[RECORD]);
	return buffer ? buffer : queue_victim(&queue[INDEX]);
}

const struct cache_policy lab_policy = {
	.name = "app", .make = make, .end = free, .came = came, .used = used, .went = went, .victim = victim,
};
