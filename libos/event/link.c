/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings to frames and back, for few flows and little memory.
 *
 * A received frame is handled where it lies, to its end: what is kept of it is copied, so the slot is posted again at once and
 * slow readers take nothing from the ring. Sent packets lie in the heap, which are the transmit frames: a packet is one
 * descriptor for its headers and one for its payload, and is freed when the kernel says that the device has done with it and its
 * maker has dropped it. A packet that finds no room is refused, and TCP sends it later.
 */
#include <string.h>
#include <exo/flow.h>
#include <exo/space.h>
#include "libos/event/net.h"
#include "libos/net/claim.h"
#include "libos/net/netinfo.h"

#define FLOWS_MAX	6
#define ARP_RECEIVE	1	/* frames */
#define RECEIVE_SHARE	4	/* a ring is no more than one part in so many of the heap */
#define BUDGET		256	/* packets of one flow that one turn takes */
#define KICK_AT		16	/* packets that are worth a kick at once */
#define PARTS		2	/* of a packet: headers, payload */
#define ETH_TYPE	12
#define TYPE_ARP	0x0806
#define ARP_OPERATION	20
#define ARP_REQUEST	1

enum kind { KIND_ALL, KIND_ARP, KIND_PORT };

struct flow {
	exo_cap_t cap;
	enum kind kind;
	uint8_t protocol;		/* of KIND_PORT */
	uint16_t port;
	uint32_t ports;
	struct exo_ring *ring;
	uint32_t slots, seen, posted;
	uint32_t tx_head, tx_freed;
	uint32_t unkicked;		/* packets */
	struct packet **sent;		/* [i % EXO_TX_SLOTS]: the packet that ends with descriptor i, or NULL */
};

struct event_packets event_packets;
static struct flow flows[FLOWS_MAX];	/* the holder's is the first */
static bool blocked;			/* a packet found no room */
static unsigned flow_count;
static const struct netinfo *shared;	/* NULL: the address is this program's alone */
static uint32_t shared_seen;

bool link_holder(void)
{
	return flows[0].kind == KIND_ALL;
}

/* --- receiving --- */

static void slot_post(struct flow *flow, uint32_t slot)
{
	flow->ring->rx_free[flow->posted++ & (flow->slots - 1)] = (uint16_t)slot;
	__atomic_store_n(&flow->ring->rx_posted, flow->posted, __ATOMIC_RELEASE);
}

/* --- packets --- */

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

/* A request that the holder of the address answers. */
static bool for_others(const struct flow *flow, const uint8_t *frame, uint16_t bytes)
{
	return flow->kind == KIND_ARP && bytes >= ARP_OPERATION + 2 && get16(frame + ARP_OPERATION) == ARP_REQUEST;
}

/* Take what is done from the ring of sent packets. */
static void reclaim(struct flow *flow)
{
	uint32_t done = __atomic_load_n(&flow->ring->tx_done, __ATOMIC_ACQUIRE);

	while (flow->tx_freed != done) {
		struct packet **packet = &flow->sent[flow->tx_freed++ % EXO_TX_SLOTS];
		if (*packet && !--(*packet)->busy && (*packet)->dropped)
			event_free(*packet);
		*packet = NULL;
	}
}

static unsigned flow_poll(struct flow *flow)
{
	uint32_t head = __atomic_load_n(&flow->ring->rx_head, __ATOMIC_ACQUIRE);
	unsigned taken = 0;

	reclaim(flow);
	for (; flow->seen != head && taken < BUDGET; taken++) {
		const struct exo_rx *rx = &flow->ring->rx[flow->seen++ & (flow->slots - 1)];
		uint32_t slot = rx->slot & (flow->slots - 1);
		uint16_t bytes = rx->bytes < EXO_FRAME_BYTES_MAX ? rx->bytes : EXO_FRAME_BYTES_MAX;
		const uint8_t *frame = (uint8_t *)flow->ring + EXO_PAGE_SIZE + slot * EXO_RX_SLOT_BYTES;

		event_packets.received++;
		if (!for_others(flow, frame, bytes))
			ip_input(frame, bytes);
		slot_post(flow, slot);
	}
	if (taken && flow->ring->own && !flow->unkicked)
		exo_flow_kick(flow->cap);	/* the device gets the slots; else the kick that is due does it */
	return taken;
}

/* A sharer: has the holder learned the address, or another one? */
static void follow(void)
{
	uint32_t sequence = __atomic_load_n(&shared->sequence, __ATOMIC_ACQUIRE), up, address, mask, gateway;

	if (sequence == shared_seen || sequence % 2)
		return;
	up = shared->up;
	address = shared->address;
	mask = shared->mask;
	gateway = shared->gateway;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (*(const volatile uint32_t *)&shared->sequence != sequence)
		return;
	shared_seen = sequence;
	event_address_changed(up ? address : 0, mask, gateway);
}

unsigned link_poll(void)
{
	unsigned taken = 0;

	if (shared && !link_holder())
		follow();
	for (unsigned i = 0; i < flow_count; i++)
		taken += flow_poll(&flows[i]);
	return taken;
}

/* --- sending --- */

/* The flow that may send it; NULL: none may. The holder never speaks for a port that it has given away. */
static struct flow *flow_for(const struct packet *packet)
{
	const uint8_t *ip = packet->header + ETH_HEADER;
	bool arp = get16(packet->header + ETH_TYPE) == TYPE_ARP;
	uint16_t port = get16(ip + IP_HEADER);

	if (link_holder())
		return shared && !arp && (ip[9] == CLAIM_TCP || ip[9] == CLAIM_UDP) && netinfo_given(shared, ip[9], port) ?
		    NULL : &flows[0];
	for (struct flow *flow = flows; flow < flows + flow_count; flow++)
		if (arp ? flow->kind == KIND_ARP : flow->kind == KIND_PORT && flow->protocol == ip[9] &&
		    (uint32_t)(port - flow->port) < flow->ports)
			return flow;
	return NULL;
}

static struct exo_tx *post(struct flow *flow, const void *at, uint32_t bytes, uint16_t flags)
{
	struct exo_tx *tx = &flow->ring->tx[flow->tx_head % EXO_TX_SLOTS];

	*tx = (struct exo_tx){ .bytes = (uint16_t)bytes, .flags = flags };
	flow->sent[flow->tx_head++ % EXO_TX_SLOTS] = NULL;
	return event_heap_has(at, bytes, &tx->offset) ? tx : NULL;
}

static void kick(struct flow *flow)
{
	int64_t taken = exo_flow_kick(flow->cap);

	if (taken > 0)
		flow->unkicked -= (uint32_t)taken < flow->unkicked ? (uint32_t)taken : flow->unkicked;
	reclaim(flow);
}

/* Room for one packet; if there is none, whatever is posted leaves first. */
static bool room(struct flow *flow)
{
	reclaim(flow);
	if (flow->unkicked >= KICK_AT || flow->tx_head + PARTS - flow->tx_freed > EXO_TX_SLOTS)
		kick(flow);
	if (flow->tx_head + PARTS - flow->tx_freed <= EXO_TX_SLOTS)
		return true;
	blocked = true;
	return false;
}

bool link_send(struct packet *packet, uint32_t skip, uint32_t bytes)
{
	struct flow *flow = flow_for(packet);
	const char *payload = packet->payload + skip;
	uint32_t head, first = packet->head;

	if (!flow || packet->busy == UINT8_MAX || !room(flow)) {
		event_packets.unsent++;
		return false;
	}
	if (payload == (const char *)packet->header + first) {	/* right behind: one piece */
		first += bytes;
		bytes = 0;
	}
	head = flow->tx_head;
	if (!post(flow, packet->header, first, bytes ? EXO_TX_MORE : 0) || (bytes && !post(flow, payload, bytes, 0))) {
		flow->tx_head = head;
		event_packets.unsent++;
		return false;
	}
	flow->sent[(flow->tx_head - 1) % EXO_TX_SLOTS] = packet;
	packet->busy++;
	__atomic_store_n(&flow->ring->tx_head, flow->tx_head, __ATOMIC_RELEASE);
	flow->unkicked++;
	event_packets.sent++;
	return true;
}

void link_flush(bool collect)
{
	for (struct flow *flow = flows; flow < flows + flow_count; flow++) {
		while (flow->unkicked || (collect && flow->tx_freed != flow->tx_head)) {
			uint32_t before = flow->unkicked;

			kick(flow);
			if (flow->unkicked == before)
				break;
		}
	}
}

bool link_blocked(void)
{
	return blocked;
}

bool link_room(void)
{
	bool was = blocked;

	for (struct flow *flow = flows; was && flow < flows + flow_count; flow++)
		if (flow->tx_head - flow->tx_freed > EXO_TX_SLOTS / 2)
			return false;
	blocked = false;
	return was;
}

bool link_has(uint8_t protocol, uint16_t port)
{
	if (link_holder())
		return !(shared && netinfo_given(shared, protocol, port));
	for (struct flow *flow = flows; flow < flows + flow_count; flow++)
		if (flow->kind == KIND_PORT && flow->protocol == protocol && (uint32_t)(port - flow->port) < flow->ports)
			return true;
	return false;
}

uint32_t link_slots(void)
{
	uint32_t slots = UINT32_MAX;

	for (struct flow *flow = flows; flow < flows + flow_count; flow++)
		if (flow->kind != KIND_ARP && flow->slots < slots)
			slots = flow->slots;
	return slots;
}

/* --- starting --- */

/* In the low 2 MiB there is little room; beside a large heap there is any. */
static bool fits(exo_vaddr_t at, uint32_t frames)
{
	return at >= EVENT_HEAP_END || at + frames * EXO_PAGE_SIZE <= EVENT_RINGS_END;
}

/* A ring with its slots behind the one before. */
static bool flow_bind(struct flow *flow, uint32_t frames, exo_vaddr_t *at)
{
	exo_cap_t cap;

	while (!fits(*at, 1 + frames) || !bare_frames(1 + frames, 1 + frames, *at, &cap))
		if (!(frames /= 2))
			return false;
	flow->sent = event_calloc(EXO_TX_SLOTS, sizeof(*flow->sent));
	if (!flow->sent)
		return false;
	flow->ring = (struct exo_ring *)*at;
	flow->ring->rx_frames = frames;
	flow->slots = 2 * frames;
	*at += (1 + frames) * EXO_PAGE_SIZE;
	for (unsigned i = 0; i < flow->slots; i++)
		slot_post(flow, i);
	return exo_flow_bind(flow->cap, cap, 0, event_heap_cap, 0, event_heap_frames) >= 0;
}

/* A capability of the start record, if it is a flow that we know. */
static bool flow_named(struct flow *flow, const char *name)
{
	if (!strcmp(name, CLAIM_NAME_ALL))
		flow->kind = KIND_ALL;
	else if (!strcmp(name, CLAIM_NAME_ARP))
		flow->kind = KIND_ARP;
	else if (claim_name_parse(name, &flow->protocol, &flow->port, &flow->ports))
		flow->kind = KIND_PORT;
	else
		return false;
	return true;
}

static const char *page_map(void)
{
	exo_cap_t cap = core_named(NETINFO_NAME);

	if (!cap)
		return link_holder() ? NULL : "it shares an address, but no page tells which";
	if (bare_map(EVENT_NETINFO_AT, EXO_MAP_READ | (link_holder() ? EXO_MAP_WRITE : 0), cap, 0, 1))
		return "the page about the shared address cannot be mapped";
	shared = (const struct netinfo *)EVENT_NETINFO_AT;
	return shared->version == NETINFO_VERSION ? NULL : "the page about the shared address has another version";
}

/* The holder tells those who share. */
void link_share(uint32_t address, uint32_t mask, uint32_t gateway)
{
	struct netinfo *page = (struct netinfo *)EVENT_NETINFO_AT;

	if (!shared || !link_holder())
		return;
	__atomic_fetch_add(&page->sequence, 1, __ATOMIC_SEQ_CST);
	page->address = address;
	page->mask = mask;
	page->gateway = gateway;
	page->mtu = 1500;
	page->up = address != 0;
	__atomic_fetch_add(&page->sequence, 1, __ATOMIC_SEQ_CST);
}

const char *link_bind(void)
{
	uint32_t receive = event_sizes.receive < EXO_RX_FRAMES_MAX ? event_sizes.receive : EXO_RX_FRAMES_MAX;
	exo_vaddr_t at = EVENT_RINGS_AT;

	while (receive > EVENT_RECEIVE_SMALL && receive > event_heap_frames / RECEIVE_SHARE)
		receive /= 2;
	if (receive > EVENT_RECEIVE_SMALL)
		at = (core_begin->heap + (EVENT_HEAP_MOST + 1) * EXO_PAGE_SIZE) & -(uint64_t)EXO_PAGE_SIZE;

	for (uint32_t i = 0; i < core_begin->slots && i < EXO_START_SLOTS_MAX && flow_count < FLOWS_MAX; i++) {
		struct flow *flow = &flows[flow_count];

		if (!flow_named(flow, core_begin->slot[i].name))
			continue;
		flow->cap = core_begin->slot[i].cap;
		if (flow->kind == KIND_ALL && flow_count) {
			struct flow first = flows[0];
			flows[0] = *flow;
			*flow = first;
		}
		flow_count++;
	}
	if (!flow_count)
		return "this program has been given no network";
	for (unsigned i = 0; i < flow_count; i++)
		if (!flow_bind(&flows[i], flows[i].kind == KIND_ARP ? ARP_RECEIVE : receive, &at))
			return "no memory for a receive ring, or the flow is another program's";
	return page_map();
}
