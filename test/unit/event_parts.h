/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the libOS event's TCP/IP is made of beside itself, without a machine: a heap and packets over the host's malloc, so that the
 * sanitizers see what is used too late, and an address that is all its own. Whoever includes it says how large EVENT_HEAP is, and has
 * the clock, the device and the wire.
 */
#ifndef TEST_UNIT_EVENT_PARTS_H
#define TEST_UNIT_EVENT_PARTS_H

#include <stdlib.h>
#include <string.h>

#include "libos/event/tcp.h"

const struct event_sizes event_sizes = { 1, 4, 16 };
struct event_packets event_packets;
struct event_heap event_heap = { .bytes = EVENT_HEAP, .free = EVENT_HEAP };

static struct {
	uint32_t used, used_most, blocks;
} event_fake;

void *event_alloc(size_t bytes)
{
	size_t *block = event_fake.used + bytes + 16 > EVENT_HEAP ? NULL : malloc(sizeof(size_t) * 2 + bytes);

	if (!block)
		return NULL;
	event_fake.used += (uint32_t)bytes + 16;
	if (event_fake.used > event_fake.used_most)
		event_fake.used_most = event_fake.used;
	event_fake.blocks++;
	*block = bytes;
	return block + 2;
}

void *event_calloc(size_t count, size_t bytes)
{
	void *memory = event_alloc(count * bytes);

	return memory ? memset(memory, 0, count * bytes) : NULL;
}

void event_free(void *memory)
{
	if (!memory)
		return;
	event_fake.used -= (uint32_t)((size_t *)memory)[-2] + 16;
	event_fake.blocks--;
	free((size_t *)memory - 2);
}

const char *event_net_start(void)
{
	return NULL;
}

bool link_holder(void)
{
	return true;
}

bool link_has(uint8_t protocol, uint16_t port)
{
	(void)protocol;
	return port != 0;
}

uint32_t link_slots(void)
{
	return 8;
}

struct packet *packet_make(uint32_t room)
{
	struct packet *packet = event_alloc(sizeof(*packet) + room);

	if (packet) {
		memset(packet, 0, offsetof(struct packet, pad));
		packet->room = (uint16_t)room;
		packet->payload = packet->data;
	}
	return packet;
}

void packet_drop(struct packet *packet)
{
	packet->dropped = true;
	if (!packet->busy)
		event_free(packet);
}

#endif
