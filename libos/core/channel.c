/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings in shared frames: the part that needs neither kernel nor threads. See channel.h for layout and trust.
 *
 * C1 a word in shared memory has one writer; own indices (`own`) are private, the shared ones are their
 *    outputs
 * C2 out.own - out.seen <= slots and in.seen - in.own <= slots, whatever the peer writes: look() checks it
 * C3 publish is a sequentially consistent store, and so is arming: of two sides that do one and then look at
 *    the other's word, at least one sees the other, so no wakeup is lost
 */
#include "libos/core/channel.h"
#include <string.h>

#define LINES_BEFORE	4	/* of a ring: tail, head, two armed words */

static size_t ring_bytes(uint32_t slots, uint32_t bulk)
{
	return LINES_BEFORE * CHANNEL_LINE + (size_t)slots * (CHANNEL_LINE + bulk);
}

size_t channel_bytes(uint32_t slots, uint32_t bulk)
{
	if (!slots || slots & (slots - 1) || slots > CHANNEL_SLOTS_MAX || bulk > CHANNEL_BULK_MAX ||
	    bulk % CHANNEL_LINE)
		return 0;
	return CHANNEL_LINE + 2 * ring_bytes(slots, bulk);
}

static void ring_place(struct channel_ring *ring, char *at, uint32_t slots)
{
	memset(ring, 0, sizeof(*ring));
	ring->tail = (uint32_t *)at;
	ring->head = (uint32_t *)(at + CHANNEL_LINE);
	ring->consumer_armed = (uint64_t *)(at + 2 * CHANNEL_LINE);
	ring->producer_armed = (uint64_t *)(at + 3 * CHANNEL_LINE);
	ring->message = (struct channel_message *)(at + LINES_BEFORE * CHANNEL_LINE);
	ring->bulk = (char *)(ring->message + slots);
}

static void place(struct channel *channel, char *memory, uint32_t slots, uint32_t bulk, bool maker)
{
	char *first = memory + CHANNEL_LINE, *second = first + ring_bytes(slots, bulk);

	_Static_assert(sizeof(struct channel_message) == CHANNEL_LINE, "a message is a line");
	_Static_assert(sizeof(struct channel_header) <= CHANNEL_LINE, "so is the header");
	memset(channel, 0, sizeof(*channel));
	channel->slots = slots;
	channel->bulk = bulk;
	ring_place(&channel->out, maker ? first : second, slots);
	ring_place(&channel->in, maker ? second : first, slots);
}

int channel_make(struct channel *channel, void *memory, size_t bytes, uint32_t slots, uint32_t bulk)
{
	size_t need = channel_bytes(slots, bulk);
	struct channel_header *header = memory;

	if (!need || (uintptr_t)memory % CHANNEL_LINE)
		return -EXO_EINVAL;
	if (need > bytes)
		return -EXO_ERANGE;
	place(channel, memory, slots, bulk, true);
	memset(header, 0, CHANNEL_LINE);
	memset(channel->out.tail, 0, LINES_BEFORE * CHANNEL_LINE);
	memset(channel->in.tail, 0, LINES_BEFORE * CHANNEL_LINE);
	header->version = CHANNEL_VERSION;
	header->header = sizeof(*header);
	header->size = need;
	header->slots = slots;
	header->bulk = bulk;
	__atomic_store_n(&header->magic, CHANNEL_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

int channel_attach(struct channel *channel, void *memory, size_t bytes)
{
	const struct channel_header *shared = memory;
	struct channel_header header;

	if ((uintptr_t)memory % CHANNEL_LINE)
		return -EXO_EINVAL;
	if (bytes < CHANNEL_LINE)
		return -EXO_ERANGE;
	if (__atomic_load_n(&shared->magic, __ATOMIC_ACQUIRE) != CHANNEL_MAGIC)
		return -EXO_ESTATE;
	memcpy(&header, shared, sizeof(header));
	__asm__ volatile("" ::: "memory");	/* from here on only the copy */
	if (header.version != CHANNEL_VERSION || header.header < sizeof(header))
		return -EXO_ESTATE;
	size_t need = channel_bytes(header.slots, header.bulk);
	if (!need || need > bytes || header.size != need)
		return -EXO_ERANGE;
	place(channel, memory, header.slots, header.bulk, false);
	return 0;
}

/* Look at the peer's index; false: it cannot be (C2). */
static bool look(struct channel *channel, struct channel_ring *ring, const uint32_t *index, bool producer)
{
	uint32_t now = __atomic_load_n(index, __ATOMIC_SEQ_CST);

	if ((producer ? ring->own - now : now - ring->own) > channel->slots)
		channel->broken = true;
	else
		ring->seen = now;
	return !channel->broken;
}

/* Publish an own index; 1: the other side of the ring has armed, and not been woken for this number. */
static int tell(struct channel_ring *ring, uint32_t *index, const uint64_t *armed)
{
	__atomic_store_n(index, ring->own, __ATOMIC_SEQ_CST);
	uint64_t number = __atomic_load_n(armed, __ATOMIC_SEQ_CST);
	if (__builtin_expect(!number || number == ring->woken, 1) || number == CHANNEL_CLOSED)
		return 0;
	ring->woken = number;
	return 1;
}

static bool has_left(const uint64_t *armed)
{
	return __atomic_load_n(armed, __ATOMIC_ACQUIRE) == CHANNEL_CLOSED;
}

bool channel_writable(struct channel *channel)
{
	struct channel_ring *ring = &channel->out;

	return channel->broken || ring->own - ring->seen < channel->slots ||
	       !look(channel, ring, ring->head, true) || ring->own - ring->seen < channel->slots ||
	       has_left(ring->consumer_armed);
}

bool channel_readable(struct channel *channel)
{
	struct channel_ring *ring = &channel->in;

	return channel->broken || ring->seen != ring->own || !look(channel, ring, ring->tail, false) ||
	       ring->seen != ring->own || has_left(ring->producer_armed);
}

int channel_stage(struct channel *channel, const struct channel_message *message, const void *bulk)
{
	struct channel_ring *ring = &channel->out;
	uint32_t slot = ring->own & (channel->slots - 1);

	if (channel->broken || message->bytes > channel->bulk)
		return -EXO_ERANGE;
	if (has_left(ring->consumer_armed))
		return -EXO_EDEAD;
	if (ring->own - ring->seen >= channel->slots) {
		if (!look(channel, ring, ring->head, true))
			return -EXO_ERANGE;
		if (ring->own - ring->seen >= channel->slots)
			return -EXO_EFULL;
	}
	ring->message[slot] = *message;
	if (message->bytes)
		memcpy(ring->bulk + (size_t)slot * channel->bulk, bulk, message->bytes);
	ring->own++;
	return 0;
}

int channel_publish(struct channel *channel)
{
	struct channel_ring *ring = &channel->out;

	return tell(ring, ring->tail, ring->consumer_armed);
}

int channel_try_send(struct channel *channel, const struct channel_message *message, const void *bulk)
{
	int error = channel_stage(channel, message, bulk);

	return error ? error : channel_publish(channel);
}

int channel_try_receive(struct channel *channel, struct channel_message *message, void *buffer, size_t size)
{
	struct channel_ring *ring = &channel->in;
	uint32_t slot = ring->own & (channel->slots - 1);

	if (channel->broken)
		return -EXO_ERANGE;
	if (ring->seen == ring->own) {
		/* In this order: what it published before it left is seen. */
		bool left = has_left(ring->producer_armed);
		if (!look(channel, ring, ring->tail, false))
			return -EXO_ERANGE;
		if (ring->seen == ring->own)
			return left ? -EXO_EDEAD : -EXO_EAGAIN;
	}
	*message = ring->message[slot];
	__asm__ volatile("" ::: "memory");	/* from here on only the copy */
	if (message->bytes > channel->bulk) {
		channel->broken = true;
		return -EXO_ERANGE;
	}
	size_t count = message->bytes < size ? message->bytes : size;
	if (count)
		memcpy(buffer, ring->bulk + (size_t)slot * channel->bulk, count);
	ring->own++;
	return tell(ring, ring->head, ring->producer_armed);
}

static void arm(struct channel_ring *ring, uint64_t *word, bool on)
{
	__atomic_store_n(word, on ? ++ring->armed : 0, __ATOMIC_SEQ_CST);
}

void channel_arm_receive(struct channel *channel, bool on)
{
	arm(&channel->in, channel->in.consumer_armed, on);
}

void channel_arm_send(struct channel *channel, bool on)
{
	arm(&channel->out, channel->out.producer_armed, on);
}

void channel_mark_closed(struct channel *channel)
{
	__atomic_store_n(channel->in.consumer_armed, CHANNEL_CLOSED, __ATOMIC_SEQ_CST);
	__atomic_store_n(channel->out.producer_armed, CHANNEL_CLOSED, __ATOMIC_SEQ_CST);
}
