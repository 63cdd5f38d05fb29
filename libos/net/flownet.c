/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings to lwIP and back. One program may hold several flows (its ports, copies of ARP and of fragments); they all feed
 * one netif, and what it sends leaves through the flow whose guard lets it pass.
 *
 * Received packets are not copied here: a pbuf refers to the ring's slot, and freeing it posts the slot again, in any
 * order. So that slow readers cannot starve a ring, a packet is copied once half of its slots are held.
 * Sent packets are not copied either, as all of lwIP's memory lies in the transmit frames: a chain of pbufs becomes
 * descriptors, and is kept until the kernel says that the device is done. Memory from elsewhere is copied first. What
 * finds no room in the ring waits in a backlog: so lwIP need not try again, and all connections get their turn.
 *
 * A flow that owns its device receives without the kernel's copy. What is posted the device gets when it interrupts or the
 * flow is kicked; so that it never waits for slots that it does not know of, a quarter of them that it was not told of is a kick.
 *
 * Q1 slots are either posted, reported and not yet taken, or held by a pbuf; `held` counts the last
 * Q2 tx_pbuf[i % EXO_TX_SLOTS] for i in [tx_freed, tx_head) is the packet that ends with descriptor i, or NULL
 * Q3 while packets wait in the backlog, later ones go behind them; what train.c holds goes before whatever else is sent
 */
#include <stdlib.h>
#include <string.h>
#include "lwip/etharp.h"
#include "lwip/pbuf.h"
#include "libos/core/thread.h"
#include "libos/net/claim.h"
#include "libos/net/filter.h"
#include "libos/net/flownet_parts.h"
#include "libos/net/net.h"
#include "libos/net/train.h"

#define FLOWS_MAX	16
#define COPY_RESERVE	4	/* of the memory, one part in so many is not for received packets */
#define KICK_AT		16	/* packets in a ring that are worth a kick at once */
#define BACKLOG		2048	/* packets that wait for room in a ring; a power of two */
#define BURST		128	/* packets sent between two polls, lest what answers them finds a full ring */
#define BURST_SPARE	(BACKLOG / 8)	/* ... unless the backlog has no more room than this */

#define ETH_TYPE	12
#define ETH_HEADER	14
#define TYPE_IPV4	0x0800
#define TYPE_ARP	0x0806
#define ARP_OPERATION	20
#define ARP_REQUEST	1
#define PROTOCOL_ICMP	1
#define ICMP_UNREACHABLE 3
#define ICMP_QUOTED	8	/* the quoted packet in an ICMP error */

struct flownet_counts flownet_counts;
bool (*flownet_direct)(const struct flownet_slot *slot, const uint8_t *frame, unsigned bytes);
static struct flow flows[FLOWS_MAX];
static unsigned flow_count;
static const struct netinfo *given;
static bool refused;		/* a packet found no room in a backlog */
static unsigned burst;		/* packets sent since the last poll */
static uint32_t quiet_bytes;	/* nobody is told of frames so short */
static uint32_t long_bytes = UINT32_MAX;	/* packets that may be joined (train.h), if the device cuts */

/* --- receiving --- */

/* Half of the slots are held: a copy, if there is memory. */
static __attribute__((noinline)) struct pbuf *slot_copy(struct flow *flow, uint16_t slot, uint16_t bytes)
{
	struct net_memory_use use = net_memory_use();
	struct pbuf *packet;

	packet = use.pages_free > use.pages / COPY_RESERVE ? pbuf_alloc(PBUF_RAW, bytes, PBUF_RAM) : NULL;
	if (packet)
		memcpy(packet->payload, slot_address(flow, slot), bytes);
	flownet_counts.by_copy++;
	slot_post(flow, slot);
	return packet;
}

/*
 * The packet in a slot as a pbuf; NULL: there is no memory for a copy. The slot is posted again by then, or held. What nobody
 * keeps is never copied: an acknowledgement must come through where memory is short, for it is what frees some.
 */
static struct pbuf *slot_packet(struct flow *flow, uint16_t slot, uint16_t bytes)
{
	struct rx_buffer *buffer = &flow->buffers[slot];

	if (flow->held >= flow->slots / 2 && !filter_empty((uint8_t *)slot_address(flow, slot), bytes))
		return slot_copy(flow, slot, bytes);
	flow->held++;
	return pbuf_alloced_custom(PBUF_RAW, bytes, PBUF_REF, &buffer->custom, slot_address(flow, slot), EXO_RX_SLOT_BYTES);
}

struct pbuf *flownet_packet(const struct flownet_slot *slot, uint16_t bytes)
{
	return slot_packet(slot->flow, slot->number, bytes);
}

void flownet_drop(const struct flownet_slot *slot)
{
	slot_post(slot->flow, slot->number);
}

const uint8_t *flownet_next(const struct flownet_slot *slot, unsigned *bytes)
{
	const struct flow *flow = slot->flow;
	const struct exo_rx *rx = &flow->ring->rx[flow->seen & (flow->slots - 1)];

	if (flow->seen == __atomic_load_n(&flow->ring->rx_head, __ATOMIC_ACQUIRE))
		return NULL;
	*bytes = rx->bytes > EXO_FRAME_BYTES_MAX ? EXO_FRAME_BYTES_MAX : rx->bytes;
	return (const uint8_t *)slot_address(flow, rx->slot & (flow->slots - 1));
}

static uint16_t field(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* A frame that is broken or not for us, or that lwIP is not to see. */
static bool refused_frame(const struct netif *netif, const uint8_t *frame, uint16_t bytes)
{
	struct filter_syn syn;

	if (!filter_frame(frame, bytes, netif->hwaddr, ip4_addr_get_u32(netif_ip4_addr(netif)), &syn))
		return true;
	if (syn.port)
		net_before_syn(&syn);
	return false;
}

/* The holder of the address answers requests for it, nobody else. */
static bool for_others(const struct flow *flow, const uint8_t *frame, uint16_t bytes)
{
	return flow->kind == KIND_ARP && !flownet_holder() && bytes >= ARP_OPERATION + 2 &&
	    field(frame + ARP_OPERATION) == ARP_REQUEST;
}

static __attribute__((noinline)) void slot_receive(struct flow *flow, struct netif *netif, uint16_t slot, uint16_t bytes)
{
	const uint8_t *frame = (uint8_t *)slot_address(flow, slot);
	struct pbuf *packet;

	if (refused_frame(netif, frame, bytes) || for_others(flow, frame, bytes)) {
		slot_post(flow, slot);
		return;
	}
	packet = slot_packet(flow, slot, bytes);
	if (packet && netif->input(packet, netif) != ERR_OK)
		pbuf_free(packet);
}

static unsigned flow_receive(struct flow *flow, struct netif *netif, unsigned most)
{
	const struct exo_ring *ring = flow->ring;
	uint32_t head = __atomic_load_n(&ring->rx_head, __ATOMIC_ACQUIRE), mask = flow->slots - 1;
	struct flownet_slot slot = { .flow = flow };
	unsigned taken = 0;

	while (flow->seen != head && taken < most) {
		const struct exo_rx *rx = &ring->rx[flow->seen++ & mask];
		unsigned bytes = rx->bytes > EXO_FRAME_BYTES_MAX ? EXO_FRAME_BYTES_MAX : rx->bytes;

		slot.number = (uint16_t)(rx->slot & mask);
		taken++;
		if (!flownet_direct || !flownet_direct(&slot, (uint8_t *)slot_address(flow, slot.number), bytes))
			slot_receive(flow, netif, slot.number, (uint16_t)bytes);
	}
	flownet_counts.received += taken;
	return taken;
}

/* --- sending --- */

static void flow_reclaim(struct flow *flow)
{
	uint32_t done = __atomic_load_n(&flow->ring->tx_done, __ATOMIC_ACQUIRE);

	while (flow->tx_freed != done) {
		struct pbuf **packet = &flow->tx_pbuf[flow->tx_freed++ % EXO_TX_SLOTS];

		if (*packet && (*packet)->ref > 1)
			(*packet)->ref--;	/* TCP keeps it until it is acknowledged */
		else if (*packet)
			pbuf_free(*packet);
		*packet = NULL;
	}
}

/* Descriptors that a packet takes; 0: it must be copied first. */
static unsigned parts_of(const struct pbuf *packet)
{
	const struct train_piece *pieces;
	uint16_t cut;
	unsigned parts = train_pieces(packet, &pieces, &cut);
	uint32_t offset;

	if (parts)
		return parts;
	for (; packet; packet = packet->next) {
		if (packet->len == 0)
			continue;
		if (++parts > EXO_TX_PARTS_MAX || !net_memory_has(packet->payload, packet->len, &offset))
			return 0;
	}
	return parts;
}

static struct exo_tx *piece_post(struct flow *flow, uint32_t at, uint32_t offset, uint32_t bytes)
{
	struct exo_tx *tx = &flow->ring->tx[at % EXO_TX_SLOTS];

	flow->tx_pbuf[at % EXO_TX_SLOTS] = NULL;
	*tx = (struct exo_tx){ .offset = offset, .bytes = (uint16_t)bytes, .flags = EXO_TX_MORE };
	return tx;
}

/* Put a packet, which is ours to free now, into the ring. False: there is no room. */
static bool ring_post(struct flow *flow, struct pbuf *packet)
{
	uint32_t head = flow->tx_head, offset;
	const struct train_piece *pieces;
	struct exo_tx *tx = NULL;
	unsigned joined;
	uint16_t cut;

	if (head + parts_of(packet) - flow->tx_freed > EXO_TX_SLOTS)
		return false;
	joined = train_pieces(packet, &pieces, &cut);
	for (unsigned i = 0; i < joined; i++)
		tx = piece_post(flow, head++, pieces[i].offset, pieces[i].bytes);
	for (const struct pbuf *part = joined ? NULL : packet; part; part = part->next) {
		if (part->len == 0)
			continue;
		net_memory_has(part->payload, part->len, &offset);
		tx = piece_post(flow, head++, offset, part->len);
	}
	tx->flags = joined ? cut : train_sum(packet);
	flow->tx_pbuf[(head - 1) % EXO_TX_SLOTS] = packet;
	flow->tx_head = head;
	__atomic_store_n(&flow->ring->tx_head, head, __ATOMIC_RELEASE);
	flow->posted_frames++;
	flownet_counts.sent++;
	return true;
}

/* Move waiting packets into the ring. */
static void backlog_drain(struct flow *flow)
{
	while (flow->backlog_tail != flow->backlog_head &&
	    ring_post(flow, flow->backlog[flow->backlog_tail % BACKLOG]))
		flow->backlog_tail++;
}

static bool backlog_add(struct flow *flow, struct pbuf *packet)
{
	if (!flow->backlog)
		flow->backlog = calloc(BACKLOG, sizeof(*flow->backlog));
	if (!flow->backlog || flow->backlog_head - flow->backlog_tail == BACKLOG)
		return false;
	flow->backlog[flow->backlog_head++ % BACKLOG] = packet;
	return true;
}

static void held_send(void);

static bool burst_over(const struct flow *flow)
{
	return burst >= BURST && flow->backlog_head - flow->backlog_tail < BACKLOG - BURST_SPARE;
}

static __attribute__((noinline)) void flow_kick(struct flow *flow)
{
	while (flow->posted_frames && !burst_over(flow)) {
		int64_t taken;

		flow->given = flow->posted;
		taken = exo_flow_kick(flow->cap);
		flownet_counts.kicks++;
		burst += (unsigned)(taken > 0 ? taken : 0);
		if (taken < 0)
			core_fail("the kernel refuses a kick: %s", exo_error_text(taken));
		flow->posted_frames -= (uint32_t)taken;
		flow_reclaim(flow);
		backlog_drain(flow);
		if (!taken)
			break;
	}
}

/* The device gets what was posted. A kick may send, too. */
static __attribute__((noinline)) void flow_give(struct flow *flow)
{
	if (flow->posted_frames) {
		flow_kick(flow);
	} else {
		flow->given = flow->posted;
		exo_flow_kick(flow->cap);
	}
}

void flownet_flush(void)
{
	if (train_held)
		held_send();
	for (unsigned i = 0; i < flow_count; i++) {
		if (flows[i].posted_frames)
			flow_kick(&flows[i]);
	}
}

/*
 * The kernel collects what was sent when somebody sends or receives. With no other packets it must be told to: lwIP sends
 * nothing again that it believes to be still on its way to the device.
 */
void flownet_collect(void)
{
	for (unsigned i = 0; i < flow_count; i++) {
		if (flows[i].tx_freed == flows[i].tx_head || flows[i].posted_frames)
			continue;	/* a kick is due anyway */
		exo_flow_kick(flows[i].cap);
		flow_reclaim(&flows[i]);
	}
}

bool flownet_queued(void)
{
	if (train_held)
		return true;
	for (unsigned i = 0; i < flow_count; i++) {
		if (flows[i].posted_frames)
			return true;
	}
	return false;
}

unsigned flownet_posted(void)
{
	unsigned posted = train_held != NULL;

	for (unsigned i = 0; i < flow_count; i++)
		posted += flows[i].posted_frames;
	return posted;
}

bool flownet_due(void)
{
	return burst >= BURST && flownet_queued();
}

/* The usual packet, of one piece: the same as below, straight. */
static bool flow_send_one(struct flow *flow, struct pbuf *packet)
{
	uint32_t head = flow->tx_head, offset;

	if (packet->next || flow->backlog_head != flow->backlog_tail || head + 1 - flow->tx_freed > EXO_TX_SLOTS ||
	    !net_memory_has(packet->payload, packet->len, &offset))
		return false;
	pbuf_ref(packet);
	flow->ring->tx[head % EXO_TX_SLOTS] = (struct exo_tx){ .offset = offset, .bytes = packet->len };
	flow->tx_pbuf[head % EXO_TX_SLOTS] = packet;
	flow->tx_head = head + 1;
	__atomic_store_n(&flow->ring->tx_head, head + 1, __ATOMIC_RELEASE);
	flownet_counts.sent++;
	if (++flow->posted_frames >= KICK_AT)
		flow_kick(flow);
	return true;
}

static __attribute__((noinline)) err_t flow_send_any(struct flow *flow, struct pbuf *packet)
{
	if (parts_of(packet)) {
		pbuf_ref(packet);
	} else {
		packet = pbuf_clone(PBUF_RAW, PBUF_RAM, packet);
		if (!packet)
			return ERR_MEM;
		flownet_counts.sent_by_copy++;
	}
	if (flow->backlog_head == flow->backlog_tail && ring_post(flow, packet)) {
		if (flow->posted_frames >= KICK_AT)
			flow_kick(flow);
		return ERR_OK;
	}
	if (backlog_add(flow, packet))
		return ERR_OK;
	refused = true;
	pbuf_free(packet);
	flownet_counts.unsent++;
	return ERR_MEM;
}

static inline err_t flow_send(struct flow *flow, struct pbuf *packet)
{
	return flow_send_one(flow, packet) ? ERR_OK : flow_send_any(flow, packet);
}

/* What was held leaves. If it finds no room, it is lost, and TCP sends its segments again. */
static void held_send(void)
{
	void *flow;
	struct pbuf *packet = train_leave(&flow);

	if (!packet)
		return;
	flow_send_any(flow, packet);
	pbuf_free(packet);
}

/* The device cuts and sums: join it to what is held, or hold it, or it goes by itself. */
static __attribute__((noinline)) err_t long_send(struct flow *flow, struct pbuf *packet)
{
	if (train_held) {
		if (train_take(flow, packet))
			return ERR_OK;
		held_send();
	}
	if (packet->tot_len >= long_bytes && flow->backlog_head - flow->backlog_tail < BACKLOG && train_take(flow, packet))
		return ERR_OK;
	return flow_send_any(flow, packet);
}

static struct flow *port_flow(uint8_t protocol, uint16_t port)
{
	for (unsigned i = 0; i < flow_count; i++) {
		if (flows[i].kind == KIND_PORT && flows[i].protocol == protocol &&
		    (uint32_t)(port - flows[i].port) < flows[i].ports)
			return &flows[i];
	}
	return NULL;
}

/* Would the packet speak for a port that is another program's: from it, or as unreachable about it? */
static __attribute__((noinline)) bool speaks_for_others(const uint8_t *ip, uint32_t bytes)
{
	uint32_t header = (ip[0] & 15u) * 4;

	if (bytes < header + 8)
		return false;
	if (ip[9] == CLAIM_TCP || ip[9] == CLAIM_UDP)
		return netinfo_given(given, ip[9], field(ip + header));
	if (ip[9] == PROTOCOL_ICMP && ip[header] == ICMP_UNREACHABLE && bytes >= header + ICMP_QUOTED + 24) {
		const uint8_t *quoted = ip + header + ICMP_QUOTED;
		uint32_t quoted_header = (quoted[0] & 15u) * 4;

		return bytes >= header + ICMP_QUOTED + quoted_header + 4 &&
		    netinfo_given(given, quoted[9], field(quoted + quoted_header + 2));
	}
	return false;
}

/* The flow that may send it; NULL: none may. */
static struct flow *flow_for(const struct pbuf *packet)
{
	const uint8_t *frame = packet->payload;

	if (packet->len < ETH_HEADER)
		return NULL;
	if (flownet_holder()) {
		if (given && given->given_count && field(frame + ETH_TYPE) == TYPE_IPV4 &&
		    packet->len >= ETH_HEADER + 20 && speaks_for_others(frame + ETH_HEADER, packet->len - ETH_HEADER))
			return NULL;
		return &flows[0];
	}
	if (field(frame + ETH_TYPE) == TYPE_ARP) {
		for (unsigned i = 0; i < flow_count; i++) {
			if (flows[i].kind == KIND_ARP)
				return &flows[i];
		}
	} else if (field(frame + ETH_TYPE) == TYPE_IPV4 && packet->len >= ETH_HEADER + 24) {
		return port_flow(frame[ETH_HEADER + 9], field(frame + ETH_HEADER + 20));
	}
	return NULL;
}

err_t flownet_output(struct pbuf *packet)
{
	struct flow *flow = flow_for(packet);

	if (!flow) {
		flownet_counts.unsent++;
		return ERR_OK;
	}
	return train_held || packet->tot_len >= long_bytes ? long_send(flow, packet) : flow_send(flow, packet);
}

static err_t link_output(struct netif *netif, struct pbuf *packet)
{
	(void)netif;
	return flownet_output(packet);
}

/* --- starting --- */

const char *flownet_bind(const struct net_run *memory, uint32_t rx_frames)
{
	for (uint32_t i = 0; i < core_begin->slots && i < EXO_START_SLOTS_MAX && flow_count < FLOWS_MAX; i++) {
		const struct exo_start_slot *slot = &core_begin->slot[i];
		struct flow *flow = &flows[flow_count], first;

		memset(flow, 0, sizeof(*flow));
		if (!flownet_named(flow, slot->name))
			continue;
		flow->cap = slot->cap;
		if (flow->kind == KIND_ALL && flow_count > 0) {		/* flows[0] is the holder's */
			first = flows[0];
			flows[0] = *flow;
			*flow = first;
		}
		flow_count++;
	}
	for (unsigned i = 0; i < flow_count; i++) {
		const char *wrong = flownet_bind_one(&flows[i], memory, rx_frames);

		if (wrong)
			return wrong;
	}
	train_cuts = core_info->device[0].flags & EXO_NET_CUTS;
	if (train_cuts)
		long_bytes = TRAIN_BYTES_LEAST;
	return flow_count ? NULL : "this program has been given no network";
}

bool flownet_holder(void)
{
	return flows[0].kind == KIND_ALL && flows[0].ring;
}

void flownet_given(const struct netinfo *info)
{
	given = info;
}

err_t flownet_init(struct netif *netif)
{
	netif->name[0] = 'e';
	netif->name[1] = 'x';
	netif->output = etharp_output;
	netif->linkoutput = link_output;
	netif->mtu = 1500;
	netif->hwaddr_len = 6;
	memcpy(netif->hwaddr, core_info->device[0].address, 6);
	netif->flags |= NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

bool flownet_room(void)
{
	bool was = refused;

	for (unsigned i = 0; i < flow_count && refused; i++) {
		if (flows[i].backlog_head - flows[i].backlog_tail > BACKLOG / 2)
			return false;
	}
	refused = false;
	return was;
}

static bool only_quiet(const struct flow *flow, uint32_t head)
{
	for (uint32_t i = flow->seen; i != head; i++) {
		if (flow->ring->rx[i & (flow->slots - 1)].bytes > quiet_bytes)
			return false;
	}
	return true;
}

bool flownet_pending(void)
{
	if (flownet_due())
		return true;
	for (unsigned i = 0; i < flow_count; i++) {
		uint32_t head = __atomic_load_n(&flows[i].ring->rx_head, __ATOMIC_ACQUIRE);

		if (flows[i].seen != head && (!quiet_bytes || !only_quiet(&flows[i], head)))
			return true;
	}
	return false;
}

void flownet_quiet(uint32_t bytes)
{
	if (bytes == quiet_bytes)
		return;
	quiet_bytes = bytes;
	for (unsigned i = 0; i < flow_count; i++)
		*(volatile uint32_t *)&flows[i].ring->rx_quiet = bytes;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool flownet_owns(uint8_t protocol, uint16_t port)
{
	if (flownet_holder())
		return !given || !netinfo_given(given, protocol, port);
	return port_flow(protocol, port) != NULL;
}

unsigned flownet_poll(struct netif *netif, unsigned most)
{
	unsigned taken = 0;

	burst = 0;
	for (unsigned i = 0; i < flow_count; i++) {
		flow_reclaim(&flows[i]);
		backlog_drain(&flows[i]);
		taken += flow_receive(&flows[i], netif, most);
		if (flows[i].own && flows[i].posted - flows[i].given >= flows[i].slots / 4)
			flow_give(&flows[i]);
	}
	return taken;
}
