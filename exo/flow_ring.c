/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packet path: from a device's buffer into the owner's ring, and from the owner's frames to the device.
 *
 * Receiving copies once, into the slot that the owner posted; it runs in the device's interrupt, in batches, and tells
 * each environment once per batch. Sending copies a frame's first bytes into a slot of the driver's, judges that copy
 * by the flow's guard, and sends the copy followed by references to the rest; what was judged is what is sent. Every
 * word in a ring that an application can write is read once; indices that the kernel needs are kept in struct flow.
 * Descriptors may come back from the device in any order; tx_done passes them in order, by a bitmap.
 */
#include "exo/dev/dev.h"

#define FRAME_BYTES_MIN	14	/* two addresses and a type: less is no frame */

/* What one kick may do, in units of some 150 instructions, and what a frame costs, its parts and guard terms apart. */
#define KICK_UNITS	112
#define FRAME_UNITS	4
#define TERMS_PER_UNIT	8

/* Rough instruction counts, by which one stay in the kernel is bounded. */
#define COST_PACKET	150
#define COST_SHAPE	100
#define COST_COPY	60	/* and one for each 8 bytes */

/* [d] Flows that got something in this batch. */
static struct flow *received[EXO_FLOWS_MAX];
static unsigned received_count;

/* --- receiving --- */

static void deliver(struct flow *flow, const uint8_t *frame, uint32_t bytes, exo_time_t now)
{
	struct exo_ring *ring = flow->ring;
	uint32_t head = flow->rx_head, mask = flow->rx_slots - 1;
	unsigned slot;

	if (!flow->env || read_once(ring->rx_posted) - head - 1 >= flow->rx_slots) {
		flow->info->rx_dropped++;
		if (flow->env)
			ring->rx_dropped = flow->info->rx_dropped;
		return;
	}
	slot = read_once(ring->rx_free[head & mask]) & mask;
	__builtin_memcpy((char *)ring + EXO_PAGE_SIZE + slot * EXO_RX_SLOT_BYTES, frame, (bytes + 7) & ~7u);
	ring->rx[head & mask] = (struct exo_rx){ .bytes = (uint16_t)bytes, .slot = (uint16_t)slot, .time = (uint32_t)now };
	flow->rx_head = head + 1;
	__atomic_store_n(&ring->rx_head, head + 1, __ATOMIC_RELEASE);
	flow->info->rx_packets++;
	flow->info->rx_bytes += bytes;
	ring->rx_packets = flow->info->rx_packets;
	if (!flow->received) {
		flow->received = true;
		received[received_count++] = flow;
	}
}

unsigned flow_receive(struct flow *root, uint8_t *frame, uint32_t bytes, exo_time_t now)
{
	unsigned tried = 0, copies = 0;
	struct flow *flow;

	__builtin_memset(frame + bytes, 0, sizeof(uint64_t));	/* what is copied by words is no older frame's end */
	root->device->info->rx_packets++;
	flow = flow_find(root, frame, bytes, &tried);
	/* A flow that only stands for those below it leaves the rest to its parent. */
	while (flow->holds == 0 && flow->parent != FLOW_NONE)
		flow = flow_table[flow->parent];
	if (!flow->env && flow->parent == FLOW_NONE)
		root->device->info->rx_unclaimed++;
	for (;;) {
		deliver(flow, frame, bytes, now);
		copies++;
		if (flow->peer == FLOW_NONE)
			break;
		flow = flow_table[flow->peer];
	}
	return COST_PACKET + tried * COST_SHAPE + copies * (COST_COPY + bytes / 8);
}

void flow_received(void)
{
	while (received_count) {
		struct flow *flow = received[--received_count];

		flow->received = false;
		if (flow->env)
			env_event(flow->env, EXO_EVENT_RECEIVE);
	}
}

/* --- sending --- */

void flow_sent(struct flow *flow, uint32_t start, uint32_t count)
{
	uint32_t done = flow->tx_done;

	for (uint32_t i = start; i != start + count; i++)
		flow->tx_back |= 1ULL << i % EXO_TX_SLOTS;
	while (done != flow->tx_taken && (flow->tx_back >> done % EXO_TX_SLOTS & 1)) {
		flow->tx_back &= ~(1ULL << done % EXO_TX_SLOTS);
		done++;
	}
	if (done == flow->tx_done)
		return;
	flow->tx_done = done;
	__atomic_store_n(&flow->ring->tx_done, done, __ATOMIC_RELEASE);
	if (flow->tx_wait) {
		flow->tx_wait = false;
		if (flow->env)
			env_event(flow->env, EXO_EVENT_SENT);
	}
}

/* A posted frame as read from the ring. */
struct posted {
	uint32_t descriptors;	/* how many it takes; 0: it is not complete yet */
	bool bad;		/* outside the transmit frames, too many parts, too long or short */
	uint32_t bytes;
	uint32_t parts;
	struct device_part part[EXO_TX_PARTS_MAX];
};

static void posted_read(const struct flow *flow, uint32_t available, struct posted *out)
{
	uint32_t at = flow->tx_taken;
	paddr_t base = (paddr_t)flow->tx_pfn << EXO_PAGE_SHIFT;
	uint16_t flags;

	out->descriptors = out->bytes = out->parts = 0;
	out->bad = false;
	do {
		const struct exo_tx *tx = &flow->ring->tx[at++ % EXO_TX_SLOTS];
		uint32_t offset = read_once(tx->offset);
		uint16_t bytes = read_once(tx->bytes);

		flags = read_once(tx->flags);
		out->descriptors++;
		if (bytes == 0 || offset > flow->tx_bytes || bytes > flow->tx_bytes - offset ||
		    (flags & ~EXO_TX_MORE) || out->parts == EXO_TX_PARTS_MAX) {
			out->bad = true;
			continue;
		}
		out->part[out->parts].address = base + offset;
		out->part[out->parts].bytes = bytes;
		out->parts++;
		out->bytes += bytes;
	} while ((flags & EXO_TX_MORE) && out->descriptors < available);
	if (out->bytes < FRAME_BYTES_MIN || out->bytes > EXO_FRAME_BYTES_MAX)
		out->bad = true;
	if ((flags & EXO_TX_MORE) && (out->descriptors <= EXO_TX_PARTS_MAX && available < EXO_TX_SLOTS))
		out->descriptors = 0;
}

/* Copy the first bytes to `head`; what is left by reference goes to `send`. */
static void split(const struct posted *posted, uint8_t *head, struct device_send *send)
{
	uint32_t room = posted->bytes < EXO_GUARD_BYTES ? posted->bytes : EXO_GUARD_BYTES;

	send->head_bytes = room;
	send->parts = 0;
	for (uint32_t i = 0; i < posted->parts; i++) {
		paddr_t address = posted->part[i].address;
		uint32_t bytes = posted->part[i].bytes, take = bytes < room ? bytes : room;

		if (take == EXO_GUARD_BYTES)
			__builtin_memcpy(head, phys_to_virt(address), EXO_GUARD_BYTES);
		else if (take)
			__builtin_memcpy(head, phys_to_virt(address), take);
		head += take;
		room -= take;
		if (bytes == take)
			continue;
		send->part[send->parts].address = address + take;
		send->part[send->parts].bytes = bytes - take;
		send->parts++;
	}
}

/* Send one; false: the device has no room. */
static bool transmit(struct flow *flow, const struct posted *posted)
{
	struct device *device = flow->device;
	struct device_send send;
	uint8_t *head = NULL;

	send.head_bytes = send.parts = 0;
	if (!posted->bad) {
		head = device->head(device, posted->parts);
		if (!head)
			return false;
		split(posted, head, &send);
	}
	send.flow = flow;
	send.start = flow->tx_taken;
	send.count = posted->descriptors;
	flow->tx_taken += posted->descriptors;
	if (posted->bad || !flow_guard(&flow->claim, head, send.head_bytes)) {
		flow->info->tx_refused++;
		flow_sent(flow, send.start, send.count);
		return true;
	}
	device->send(device, &send);
	if (send.parts == 0)
		flow_sent(flow, send.start, send.count);
	flow->info->tx_packets++;
	flow->info->tx_bytes += posted->bytes;
	device->info->tx_packets++;
	return true;
}

static unsigned guard_terms(const struct flow_claim *claim)
{
	unsigned terms = 0;

	for (uint32_t i = 0; i < claim->guards; i++)
		terms += claim->guard[i].count;
	return terms;
}

int64_t flow_kick(struct flow *flow)
{
	struct device *device = flow->device;
	uint64_t sent = flow->info->tx_packets;
	uint32_t head = read_once(flow->ring->tx_head);
	unsigned budget = KICK_UNITS, each = FRAME_UNITS + guard_terms(&flow->claim) / TERMS_PER_UNIT;
	struct posted posted;
	int64_t taken = 0;

	if (head - flow->tx_taken > EXO_TX_SLOTS)
		return ERR(INVAL);
	device->reclaim(device);
	flow->tx_wait = false;
	while (head != flow->tx_taken && taken < EXO_KICK_MAX) {
		posted_read(flow, head - flow->tx_taken, &posted);
		if (posted.descriptors == 0)
			break;
		if (!afford(&budget, each + posted.descriptors)) {
			flow->tx_wait = true;
			break;
		}
		if (posted.descriptors + flow->tx_taken - flow->tx_done > EXO_TX_SLOTS || !transmit(flow, &posted)) {
			flow->tx_wait = true;
			break;
		}
		taken++;
	}
	if (flow->info->tx_packets != sent)
		device->notify(device);
	flow->ring->tx_taken = flow->tx_taken;
	flow->ring->tx_packets = flow->info->tx_packets;
	flow->ring->tx_refused = flow->info->tx_refused;
	/* So little room is left that the next frame may not fit. */
	if (flow->tx_taken - flow->tx_done > EXO_TX_SLOTS - EXO_TX_PARTS_MAX)
		flow->tx_wait = true;
	if (flow->tx_wait)
		device->watch(device);
	return taken;
}
