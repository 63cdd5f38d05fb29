/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of buffers, for policies: it takes queue_next and queue_prev.
 */
#ifndef LIBOS_FS_CACHE_QUEUE_H
#define LIBOS_FS_CACHE_QUEUE_H

#include "libos/fs/cache.h"

#define QUEUE_REACH	32	/* how far a clean victim is looked for */

struct buffer_queue {
	struct buffer *first, *last;
	uint32_t count;
};

static inline void queue_append(struct buffer_queue *queue, struct buffer *buffer)
{
	buffer->queue_next = NULL;
	buffer->queue_prev = queue->last;
	*(queue->last ? &queue->last->queue_next : &queue->first) = buffer;
	queue->last = buffer;
	queue->count++;
}

static inline void queue_remove(struct buffer_queue *queue, struct buffer *buffer)
{
	*(buffer->queue_prev ? &buffer->queue_prev->queue_next : &queue->first) = buffer->queue_next;
	*(buffer->queue_next ? &buffer->queue_next->queue_prev : &queue->last) = buffer->queue_prev;
	queue->count--;
}

/* The first clean one of the first QUEUE_REACH that may go, else the first that may go; NULL: none may. */
static inline struct buffer *queue_victim(const struct buffer_queue *queue)
{
	struct buffer *dirty = NULL;
	uint32_t seen = 0;

	for (struct buffer *buffer = queue->first; buffer; buffer = buffer->queue_next) {
		if (buffer->holds || buffer->pinned)
			continue;
		if (!buffer->dirty)
			return buffer;
		if (!dirty)
			dirty = buffer;
		if (++seen == QUEUE_REACH)
			break;
	}
	return dirty;
}

#endif
