/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 2Q: a block that comes for the first time is on trial, first in, first out; only one that comes again soon after it
 * has gone is taken for one that is used often. So a scan drives out nothing but itself.
 *
 * TRIAL   buffers on trial; a quarter of all
 * GONE    numbers of blocks, not buffers: the last that went from TRIAL; as many as half of all buffers
 * OFTEN   buffers of blocks that came again while in GONE; least recently used goes first
 *
 * After Johnson and Shasha (VLDB 1994), their full version and shares. GONE is a ring, oldest first, and a hash of the
 * same entries. A buffer's queue_word says which queue it is in.
 */
#include <stdlib.h>
#include "libos/fs/cache_queue.h"

enum { TRIAL, OFTEN };

#define NONE	UINT32_MAX

struct gone {
	uint32_t block;		/* NONE: it came again, or there never was one */
	uint32_t next;		/* in its hash chain; NONE ends it */
};

struct twoq {
	struct buffer_queue queue[2];
	uint32_t trial_max, gone_max, oldest;
	uint32_t hash_mask;
	struct gone *gone;
	uint32_t *hash;
};

static void twoq_end(void *state)
{
	struct twoq *twoq = state;

	free(twoq->gone);
	free(twoq->hash);
	free(twoq);
}

static void *twoq_make(uint32_t pages)
{
	struct twoq *twoq = calloc(1, sizeof(*twoq));
	uint32_t size = 16;

	if (!twoq)
		return NULL;
	twoq->trial_max = pages / 4;
	twoq->gone_max = pages / 2 ? pages / 2 : 1;
	while (size < twoq->gone_max)
		size *= 2;
	twoq->hash_mask = size - 1;
	twoq->gone = malloc(twoq->gone_max * sizeof(*twoq->gone));
	twoq->hash = malloc(size * sizeof(*twoq->hash));
	if (!twoq->gone || !twoq->hash) {
		twoq_end(twoq);
		return NULL;
	}
	for (uint32_t i = 0; i < twoq->gone_max; i++)
		twoq->gone[i] = (struct gone){ NONE, NONE };
	for (uint32_t i = 0; i < size; i++)
		twoq->hash[i] = NONE;
	return twoq;
}

static uint32_t *chain(struct twoq *twoq, uint32_t block)
{
	return &twoq->hash[(block ^ block >> 16) & twoq->hash_mask];
}

/* Take a block out of GONE; whether it was there. */
static bool gone_take(struct twoq *twoq, uint32_t block)
{
	for (uint32_t *link = chain(twoq, block); *link != NONE; link = &twoq->gone[*link].next) {
		struct gone *gone = &twoq->gone[*link];

		if (gone->block != block)
			continue;
		*link = gone->next;
		gone->block = NONE;
		return true;
	}
	return false;
}

static void gone_add(struct twoq *twoq, uint32_t block)
{
	struct gone *gone = &twoq->gone[twoq->oldest];
	uint32_t *link;

	(void)gone_take(twoq, block);
	if (gone->block != NONE)
		(void)gone_take(twoq, gone->block);
	link = chain(twoq, block);
	*gone = (struct gone){ block, *link };
	*link = twoq->oldest;
	if (++twoq->oldest == twoq->gone_max)
		twoq->oldest = 0;
}

static void twoq_came(void *state, struct buffer *buffer)
{
	struct twoq *twoq = state;

	buffer->queue_word = gone_take(twoq, buffer->block) ? OFTEN : TRIAL;
	queue_append(&twoq->queue[buffer->queue_word], buffer);
}

static void twoq_used(void *state, struct buffer *buffer)
{
	struct buffer_queue *often = &((struct twoq *)state)->queue[OFTEN];

	if (buffer->queue_word != OFTEN || often->last == buffer)
		return;
	queue_remove(often, buffer);
	queue_append(often, buffer);
}

static void twoq_went(void *state, struct buffer *buffer)
{
	struct twoq *twoq = state;

	queue_remove(&twoq->queue[buffer->queue_word], buffer);
	if (buffer->queue_word == TRIAL)
		gone_add(twoq, buffer->block);
}

static struct buffer *twoq_victim(void *state)
{
	struct twoq *twoq = state;
	bool trial = twoq->queue[TRIAL].count > twoq->trial_max;
	struct buffer *buffer = queue_victim(&twoq->queue[trial ? TRIAL : OFTEN]);

	return buffer ? buffer : queue_victim(&twoq->queue[trial ? OFTEN : TRIAL]);
}

const struct cache_policy cache_2q = {
	.name = "2q", .make = twoq_make, .end = twoq_end,
	.came = twoq_came, .used = twoq_used, .went = twoq_went, .victim = twoq_victim,
};
