/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy of a buffer cache to modify: which buffer makes room for a block that is not there?
 *
 * What there is to decide by (libos/fs/cache.h):
 *   buffer->block          which block it holds
 *   buffer->holds          not 0, or ->pinned: it must not be chosen
 *   buffer->dirty          it must be written first
 *   buffer->queue_word     64 bits of the policy's own
 *   queue_append, queue_remove, queue_victim     libos/fs/cache_queue.h
 *
 * This one is first in, first out: `came` puts a buffer at the end, and `used` does nothing.
 */
#include <stdlib.h>
#include "libos/fs/cache_queue.h"

static void *make(uint32_t pages)
{
	(void)pages;
	return calloc(1, sizeof(struct buffer_queue));
}

static void came(void *state, struct buffer *buffer)
{
	queue_append(state, buffer);
}

static void used(void *state, struct buffer *buffer)
{
	(void)state, (void)buffer;
}

static void went(void *state, struct buffer *buffer)
{
	queue_remove(state, buffer);
}

static struct buffer *victim(void *state)
{
	return queue_victim(state);
}

const struct cache_policy lab_policy = {
	.name = "mine", .make = make, .end = free, .came = came, .used = used, .went = went, .victim = victim,
};
