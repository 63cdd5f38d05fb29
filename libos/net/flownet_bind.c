/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rings of flownet.c, from the capabilities that a program was started with to a bound flow. Q1: all slots are posted.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/core/core.h"
#include "libos/net/claim.h"
#include "libos/net/flownet_parts.h"
#include "libos/net/memory.h"

#define ARP_RX_FRAMES	2
#define FRAGMENT_RX_FRAMES 8	/* at least; ... */
#define FRAGMENT_RX_MOST 32	/* ... so many hold the largest packet */

bool flownet_named(struct flow *flow, const char *name)
{
	if (!strcmp(name, CLAIM_NAME_ALL))
		flow->kind = KIND_ALL;
	else if (!strcmp(name, CLAIM_NAME_ARP))
		flow->kind = KIND_ARP;
	else if (!strcmp(name, CLAIM_NAME_FRAGMENTS))
		flow->kind = KIND_FRAGMENTS;
	else if (claim_name_parse(name, &flow->protocol, &flow->port, &flow->ports))
		flow->kind = KIND_PORT;
	else
		return false;
	return true;
}

static uint32_t frames_of(enum kind kind, uint32_t rx_frames)
{
	if (kind == KIND_ARP)
		return ARP_RX_FRAMES;
	if (kind != KIND_FRAGMENTS)
		return rx_frames;
	if (rx_frames < FRAGMENT_RX_FRAMES)
		return FRAGMENT_RX_FRAMES;
	return rx_frames < FRAGMENT_RX_MOST ? rx_frames : FRAGMENT_RX_MOST;
}

/* What a packet does that is freed. */
static void buffer_freed(struct pbuf *pbuf)
{
	struct rx_buffer *buffer = (struct rx_buffer *)pbuf;

	buffer->flow->held--;
	slot_post(buffer->flow, buffer->slot);
}

/* Post all slots of so many frames, and bind. */
static int64_t ring_bind(struct flow *flow, const struct net_run *run, const struct net_run *memory, uint32_t rx_frames)
{
	int64_t error;

	flow->ring->rx_frames = rx_frames;
	flow->slots = 2 * rx_frames;
	flow->posted = 0;
	for (unsigned i = 0; i < flow->slots; i++)
		slot_post(flow, (uint16_t)i);
	error = exo_flow_bind(flow->cap, run->cap, 0, memory->cap, 0, memory->frames);
	flow->own = flow->ring->own;
	flow->given = flow->posted;
	return error;
}

const char *flownet_bind_one(struct flow *flow, const struct net_run *memory, uint32_t rx_frames)
{
	struct net_run run;
	int64_t error;

	rx_frames = frames_of(flow->kind, rx_frames);
	/* Programs that start at the same time may leave each other no long runs; a shorter ring does as well. */
	while (!net_run_take(&run, 1 + rx_frames, 1 + rx_frames)) {
		rx_frames /= 2;
		if (rx_frames < ARP_RX_FRAMES)
			return "no memory for a receive ring";
	}
	flow->buffers = calloc(2 * rx_frames, sizeof(*flow->buffers));
	if (!flow->buffers)
		return "no memory for receive buffers";
	flow->ring = (struct exo_ring *)run.base;
	for (unsigned i = 0; i < 2 * rx_frames; i++) {
		flow->buffers[i].custom.custom_free_function = buffer_freed;
		flow->buffers[i].flow = flow;
		flow->buffers[i].slot = (uint16_t)i;
	}
	/* A device that is to be owned may have a queue that holds fewer. */
	while ((error = ring_bind(flow, &run, memory, rx_frames)) == -EXO_EINVAL && rx_frames > ARP_RX_FRAMES)
		rx_frames /= 2;
	if (error < 0)
		return "the kernel does not bind a flow: is another program using it?";
	return NULL;
}
