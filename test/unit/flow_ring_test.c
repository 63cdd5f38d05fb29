/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows as rings: every documented error of flow_bind and flow_kick; rings driven as a hostile application would;
 * transmit guards, order of completion, pins; all ends of a binding, with frames on their way.
 */
#include "test/unit/flow_fake.h"

/* --- rings ------------------------------------------------------------------------------------------------------ */

static struct exo_ring *ring_of(unsigned who, uint32_t slot)
{
	return pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], slot)->first);
}

static int64_t bind(unsigned who, uint32_t flow, uint32_t ring, uint32_t tx, uint32_t tx_frames)
{
	return CALL(who, flow_bind, world_handle(who, flow), world_handle(who, ring), 0, world_handle(who, tx), 0, tx_frames);
}

static void ring_ready(unsigned who, uint32_t slot, uint32_t rx_frames)
{
	struct exo_ring *ring = ring_of(who, slot);

	memset(ring, 0, sizeof(*ring));
	ring->rx_frames = rx_frames;
	ring->rx_posted = 2 * rx_frames;
	for (unsigned i = 0; i < 2 * rx_frames; i++)
		ring->rx_free[i] = (uint16_t)(2 * rx_frames - 1 - i);
}

static void receive(uint16_t type, unsigned bytes, uint8_t fill)
{
	uint8_t packet[1536];

	memset(packet, fill, sizeof(packet));
	packet[12] = (uint8_t)(type >> 8);
	packet[13] = (uint8_t)type;
	flow_receive(fake.device.root, packet, bytes, 77);
	flow_received();
}

/* One step of a revocation ends two bindings at most, those with more transmit frames than UNPIN_FRAMES one by one. */
static void test_unbind_steps(void)
{
	struct exo_term term = { .offset = 40, .width = 1, .mask = 0xff };
	exo_cap_t rings = take_run(0, SLOT_RING, 6);
	struct exo_claim claim;
	struct flow *flow[3];
	unsigned i, bound = 3, before, most = 0;
	int64_t result;

	for (i = 0; i < 3; i++) {
		term.value = i;
		claim = claim_of(1, &term);
		(void)make(0, SLOT_FIRST + i, world_handle(0, SLOT_ROOT), i, &claim);
		flow[i] = flow_at(0, SLOT_FIRST + i);
		(void)CALL(0, cap_derive, rings, 0, SLOT_FIRST + 10 + i, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 2 * i, 2);
		ring_of(0, SLOT_FIRST + 10 + i)->rx_frames = 1;
		is_int(bind(0, SLOT_FIRST + i, SLOT_FIRST + 10 + i, 0, 0), 0, "a ring");
	}
	do {
		before = bound;
		result = CALL(0, cap_revoke, rings);
		for (bound = i = 0; i < 3; i++)
			bound += flow[i]->ring != NULL;
		if (before - bound > most)
			most = before - bound;
	} while (result == ERR(AGAIN));
	ok(result == 0 && bound == 0 && most <= 2, "they are unbound two in a step at most");
	is_int(CALL(0, cap_delete, rings), 0, "their frames go");
	for (i = 0; i < 3; i++)
		is_int(CALL(0, cap_delete, world_handle(0, SLOT_FIRST + i)), 0, "and the flows");
}

/* What is behind a short packet in the device's buffer reaches nobody. */
static void test_tail(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	uint32_t head = ring->rx_head;
	const uint8_t *slot;

	ring->rx_posted = head + 1;
	receive(0x1111, 61, 0xee);
	is_int(ring->rx_head, head + 1, "a packet of 61 bytes");
	slot = (uint8_t *)ring + EXO_PAGE_SIZE + ring->rx[head % (2 * ring->rx_frames)].slot * EXO_RX_SLOT_BYTES;
	ok(slot[60] == 0xee && !slot[61] && !slot[62] && !slot[63], "what lay behind it is not copied");
}

static void test_bind_errors(void)
{
	exo_cap_t flow = world_handle(0, SLOT_FIRST), ring = world_handle(0, SLOT_RING);

	ring_of(0, SLOT_RING)->rx_frames = 3;
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), ERR(INVAL), "bind: three frames");
	ring_of(0, SLOT_RING)->rx_frames = 256;
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), ERR(INVAL), "bind: too many frames");
	ring_of(0, SLOT_RING)->rx_frames = 8;
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), ERR(RANGE), "bind: more frames than there are");
	ring_of(0, SLOT_RING)->rx_frames = 4;
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, EXO_TX_FRAMES_MAX + 1), ERR(INVAL), "bind: too many transmit frames");
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 100), ERR(RANGE), "bind: transmit frames outside");
	is_int(bind(0, SLOT_FIRST, SLOT_FIRST, SLOT_TX, 4), ERR(TYPE), "bind: ring is no frame");
	is_int(bind(0, SLOT_RING, SLOT_RING, SLOT_TX, 4), ERR(TYPE), "bind: no flow");
	is_int(CALL(0, flow_bind, flow, ring, ~0ULL, 0, 0, 0), ERR(RANGE), "bind: first wraps");
	is_int(CALL(0, flow_bind, flow, world_handle(0, SLOT_SELF), 0, 0, 0, 0), ERR(BUSY), "bind: a kernel object as ring");
	is_int(CALL(0, flow_kick, flow), ERR(STATE), "kick: not bound");
	is_int(CALL(0, flow_kick, ring), ERR(TYPE), "kick: no flow");
}

/* Frames that the owner does not want to hear of come all the same. */
static void test_quiet(struct exo_ring *ring)
{
	uint64_t events = world.env[0]->disp->events;

	ring->rx_quiet = 60;
	ring->rx_posted = ring->rx_head + 2;
	receive(0x1111, 60, 6);
	is_int((long long)(ring->rx_posted - ring->rx_head), 1, "a short packet arrives");
	is_int((long long)(world.env[0]->disp->events - events), 0, "without an event");
	receive(0x1111, 61, 7);
	is_int((long long)(world.env[0]->disp->events - events), 1, "a longer one has its event");
	ring->rx_quiet = 0;
}

static void test_receive(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	struct flow *flow = flow_at(0, SLOT_FIRST);
	uint64_t unclaimed = fake.device.info->rx_unclaimed;
	const uint8_t *slot;

	ring_ready(0, SLOT_RING, 4);
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), 0, "bind");
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), ERR(BUSY), "bind: again");
	is_int(info_frame[flow->ring_pfn + 4].state, EXO_FRAME_RING, "the ring's frames are a ring's");
	is_int(CALL(0, frame_give, world_handle(0, SLOT_RING), 1), ERR(BUSY), "and cannot be given back");
	receive(0x1111, 60, 5);
	is_int(ring->rx_head, 1, "a packet arrives");
	slot = (uint8_t *)ring + EXO_PAGE_SIZE + 7 * EXO_RX_SLOT_BYTES;
	ok(ring->rx[0].slot == 7 && ring->rx[0].bytes == 60 && ring->rx[0].time == 77, "in the slot posted first");
	ok(slot[0] == 5 && slot[59] == 5 && slot[12] == 0x11, "as it was sent");
	ok(world.env[0]->disp->pending & EXO_EVENT_RECEIVE, "with an event");
	receive(0x2222, 60, 5);
	is_int((long long)(fake.device.info->rx_unclaimed - unclaimed), 1, "another type is nobody's");
	for (unsigned i = 0; i < 9; i++)
		receive(0x1111, 1514, (uint8_t)i);
	is_int(ring->rx_head, 8, "the ring is full");
	is_int((long long)flow->info->rx_dropped, 2, "two are dropped and counted");
	ring->rx_free[0] = 200;
	ring->rx_posted++;
	receive(0x1111, 60, 9);
	is_int(ring->rx[0].slot, 200 % 8, "a slot number beyond the ring is taken modulo");
	ring->rx_posted = ring->rx_head - 5;
	receive(0x1111, 60, 9);
	ring->rx_posted = ring->rx_head + 9;
	receive(0x1111, 60, 9);
	is_int(ring->rx_head, 9, "impossible numbers of posted slots count as none");
	ring->rx_head = 12345;
	ring->rx_posted = 10;
	receive(0x1111, 60, 9);
	is_int(ring->rx_head, 10, "the kernel does not read its index back");
	test_quiet(ring);
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

static void post(struct exo_ring *ring, uint32_t offset, uint32_t bytes, unsigned flags)
{
	ring->tx[ring->tx_head % EXO_TX_SLOTS] = (struct exo_tx){ .offset = offset, .bytes = (uint16_t)bytes,
		.flags = (uint16_t)flags };
	ring->tx_head++;
}

static void test_send(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	struct flow *flow = flow_at(0, SLOT_FIRST);
	exo_cap_t cap = world_handle(0, SLOT_FIRST);
	uint8_t *data = pfn_to_virt(flow->tx_pfn);

	memset(data, 0x02, 4 * EXO_PAGE_SIZE);
	post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), 1, "kick sends one");
	ok(ring->tx_taken == 1 && ring->tx_done == 1, "short frames are done at once");
	ok(fake.count == 1 && fake.sent[0].frame.parts == 0 && fake.sent[0].frame.head_bytes == 60, "copied as a whole");
	fake_return(0);

	data[6] = 9;
	post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), 1, "a frame that the guard does not let pass is taken");
	ok(fake.count == 0 && flow->info->tx_refused == 1 && ring->tx_refused == 1 && ring->tx_done == 2, "and refused");
	data[6] = 2;

	post(ring, 0, 20, EXO_TX_MORE);
	post(ring, 4096, 10, EXO_TX_MORE);
	post(ring, 4000, 500, 0);
	is_int(CALL(0, flow_kick, cap), 1, "three parts");
	ok(fake.count == 1 && fake.sent[0].frame.head_bytes == 64 && fake.sent[0].frame.parts == 1 &&
	    fake.sent[0].frame.part[0].bytes == 466 &&
	    fake.sent[0].frame.part[0].address == ((uint64_t)flow->tx_pfn << 12) + 4034, "gathered, the rest by reference");
	ok(ring->tx_taken == 5 && ring->tx_done == 2, "not done before the device is");
	post(ring, 100, 200, 0);
	CALL(0, flow_kick, cap);
	fake_return(1);
	is_int(ring->tx_done, 2, "what comes back early waits");
	fake_return(0);
	is_int(ring->tx_done, 6, "for what was before it");
}

static void bad_post_is(uint32_t offset, uint32_t bytes, unsigned flags, const char *name)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	uint64_t refused = flow_at(0, SLOT_FIRST)->info->tx_refused;

	post(ring, offset, bytes, flags);
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_FIRST)), 1, name);
	ok(fake.count == 0 && flow_at(0, SLOT_FIRST)->info->tx_refused == refused + 1 && ring->tx_done == ring->tx_head,
	    "... is refused");
}

static void test_send_errors(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	exo_cap_t cap = world_handle(0, SLOT_FIRST);
	uint32_t head;

	bad_post_is(0, 13, 0, "a frame too short");
	bad_post_is(0, 1515, 0, "a frame too long");
	bad_post_is(0, 0, 0, "no bytes");
	bad_post_is(4 * EXO_PAGE_SIZE - 59, 60, 0, "beyond the transmit frames");
	bad_post_is(0xffffffff, 60, 0, "far beyond them");
	bad_post_is(0, 60, 2, "an unknown flag");
	for (unsigned i = 0; i <= EXO_TX_PARTS_MAX; i++)
		post(ring, 0, 60, i < EXO_TX_PARTS_MAX ? EXO_TX_MORE : 0);
	is_int(CALL(0, flow_kick, cap), 1, "too many parts");
	ok(fake.count == 0 && ring->tx_done == ring->tx_head, "... is refused");
	post(ring, 0, 60, EXO_TX_MORE);
	is_int(CALL(0, flow_kick, cap), 0, "half a frame waits");
	post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), 1, "for its other half");
	fake_return(0);
	head = ring->tx_head;
	ring->tx_head = head + EXO_TX_SLOTS + 1;
	is_int(CALL(0, flow_kick, cap), ERR(INVAL), "more descriptors than there are");
	ring->tx_head = head - 1;
	is_int(CALL(0, flow_kick, cap), ERR(INVAL), "fewer than before");
	ring->tx_head = head;
	for (unsigned i = 0; i < EXO_TX_SLOTS; i++)
		post(ring, 0, 60, EXO_TX_MORE);
	is_int(CALL(0, flow_kick, cap), 1, "a frame that never ends");
	ok(ring->tx_done == ring->tx_head, "... is refused as a whole");
	fake.full = true;
	post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), 0, "a full device takes nothing");
	ok(fake.watched && flow_at(0, SLOT_FIRST)->tx_wait, "and is watched");
	world.env[0]->disp->pending = 0;
	fake.full = false;
	fake.device.reclaim(&fake.device);
	ok(world.env[0]->disp->pending & EXO_EVENT_SENT && !flow_at(0, SLOT_FIRST)->tx_wait && !fake.device.waiting,
	    "when there is room, whosever, it is told");
	is_int(CALL(0, flow_kick, cap), 1, "later it does");
	fake_return(0);
	for (unsigned i = 0; i < 40; i++)
		post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), EXO_KICK_MAX, "a kick takes a bounded number");
	while (CALL(0, flow_kick, cap) > 0)
		;
	while (fake.count)
		fake_return(0);
	is_int(ring->tx_done, ring->tx_head, "and the rest later");
}

/* --- ends ------------------------------------------------------------------------------------------------------- */

/* The binding ends while a frame is on its way. */
/* --- frames that the device cuts --- */

/* A frame's headers: TCP in plain IPv4, with so many words of TCP's. */
static uint8_t *tcp_make(unsigned words)
{
	uint8_t *data = pfn_to_virt(flow_at(0, SLOT_FIRST)->tx_pfn);
	static const uint8_t plain[] = { 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 8, 0, 0x45, 0, 0, 0, 1, 1, 0x40, 0, 64, 6 };

	memset(data, 0, EXO_PAGE_SIZE);
	memcpy(data, plain, sizeof(plain));
	data[46] = (uint8_t)(words << 4);
	return data;
}

/* So many bytes with so large segments: taken, and the headers' length and the segments' are these. */
static void cut_is(uint32_t bytes, unsigned cut, unsigned header, unsigned into, const char *name)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);

	for (; bytes > EXO_PAGE_SIZE; bytes -= EXO_PAGE_SIZE)
		post(ring, 0, EXO_PAGE_SIZE, EXO_TX_MORE);
	post(ring, 0, bytes, EXO_TX_CUT(cut));
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_FIRST)), 1, name);
	ok(fake.count == 1 && fake.sent[0].frame.cut == (header | into << 16), "... goes as it should");
	while (fake.count)
		fake_return(0);
	is_int(ring->tx_done, ring->tx_head, "... and is done");
}

static void test_cut(void)
{
	tcp_make(5);
	cut_is(EXO_TX_LARGE_MAX, 1460, 54, 1460, "the largest frame");
	cut_is(3000, EXO_TX_CUT_MIN, 54, EXO_TX_CUT_MIN, "the smallest segments");
	cut_is(54 + 1460, 1460, 54, 0, "one segment is only summed");
	cut_is(54 + 1461, 1460, 54, 1460, "a byte more is cut");
	cut_is(55, 1460, 54, 0, "a single byte is summed");
	tcp_make(7);
	cut_is(3000, 1452, 62, 1452, "options that are judged, too");
	cut_is(100, 0, 0, 0, "an ordinary frame after it is ordinary");
}

static void cut_bad(unsigned at, unsigned value, const char *name)
{
	uint8_t *data = tcp_make(5);

	data[at] = (uint8_t)value;
	bad_post_is(0, 3000, EXO_TX_CUT(1000), name);
}

static void test_cut_errors(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);

	tcp_make(5);
	for (unsigned i = 0; i < 16; i++)
		post(ring, 0, EXO_PAGE_SIZE, EXO_TX_MORE);
	bad_post_is(0, 1, EXO_TX_CUT(1460), "a byte too many to be cut");
	bad_post_is(0, 1515, 0, "a long frame that is not to be cut");
	bad_post_is(0, 54, EXO_TX_CUT(1460), "headers and nothing more");
	bad_post_is(0, 20, EXO_TX_CUT(1460), "not even headers");
	bad_post_is(0, 3000, EXO_TX_CUT(1), "segments of a byte");
	bad_post_is(0, 3000, EXO_TX_CUT(EXO_TX_CUT_MIN - 1), "segments too small");
	bad_post_is(0, 3000, EXO_TX_CUT(1461), "segments too large");
	bad_post_is(0, 3000, EXO_TX_CUT(4095), "segments far too large");
	for (unsigned bit = 1; bit < 4; bit++)
		bad_post_is(0, 3000, EXO_TX_CUT(1460) | 1u << bit, "an unknown flag, and to be cut");
	cut_bad(12, 0x86, "not IPv4");
	cut_bad(13, 6, "ARP");
	cut_bad(14, 0x46, "options of IPv4");
	cut_bad(14, 0x65, "another version");
	cut_bad(20, 0x20, "a first fragment");
	cut_bad(20, 0x1f, "a late fragment");
	cut_bad(21, 1, "another fragment");
	cut_bad(23, 17, "UDP");
	cut_bad(46, 0x40, "a TCP header too short");
	cut_bad(46, 0x80, "a TCP header beyond what is judged");
	cut_bad(46, 0xf0, "a TCP header far beyond it");
	cut_bad(6, 9, "another's address");
	tcp_make(7);
	bad_post_is(0, 3000, EXO_TX_CUT(1453), "segments too large for their headers");
	tcp_make(5);
	post(ring, 0, 3000, EXO_TX_CUT(1460) | EXO_TX_MORE);
	bad_post_is(0, 100, 0, "what only an earlier part says");
	bad_post_is(0, EXO_TX_PART_MAX + 1, EXO_TX_CUT(1460), "a part that is too long");
	fake.device.info->flags = 0;
	bad_post_is(0, 3000, EXO_TX_CUT(1460), "a device that cannot");
	bad_post_is(0, 100, EXO_TX_CUT(1460), "... nor sum");
	fake.device.info->flags = EXO_NET_CUTS;
	memset(tcp_make(5), 0x02, EXO_PAGE_SIZE);
}

static void test_unbind(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	struct flow *flow = flow_at(0, SLOT_FIRST);
	exo_pfn_t tx = flow->tx_pfn, rx = flow->ring_pfn;

	post(ring, 4000, 500, 0);
	CALL(0, flow_kick, world_handle(0, SLOT_FIRST));
	is_int(fake.count, 1, "a frame is on its way");
	is_int(frame_table[tx].pins, 1, "pinned by the binding");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_RING), 0), 0, "the ring's capability goes");
	ok(!flow->ring && info_frame[rx].state == EXO_FRAME_FREE, "the binding with it, its frames are free");
	ok(frame_table[tx].pins == 1 && frame_table[tx + 1].pins == 1 && frame_table[tx + 2].pins == 0,
	    "pinned by the device now, and only what it reads");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_TX), 0), 0, "the transmit frames' goes");
	ok(info_frame[tx].state != EXO_FRAME_FREE && info_frame[tx + 3].state == EXO_FRAME_FREE, "what the device reads stays");
	fake_return(0);
	ok(info_frame[tx].state == EXO_FRAME_FREE && info_frame[tx + 1].state == EXO_FRAME_FREE, "until it gives it back");
	ok(!world_check(), "all in order");
}

static void test_shared(void)
{
	struct exo_claim claim = claim_of(1, &type_b);
	uint64_t dropped;

	claim.flags = EXO_FLOW_SHARED;
	for (unsigned i = 0; i < 3; i++) {
		is_int(make(0, SLOT_FIRST + 1 + i, world_handle(0, SLOT_ROOT), 1 + i, &claim) > 0, 1, "shared flows");
		take_run(0, SLOT_FIRST + 10 + i, 3);
		ring_ready(0, SLOT_FIRST + 10 + i, 2);
		if (i < 2)
			is_int(bind(0, SLOT_FIRST + 1 + i, SLOT_FIRST + 10 + i, 0, 0), 0, "bound without transmit frames");
	}
	receive(0x2222, 100, 1);
	ok(ring_of(0, SLOT_FIRST + 10)->rx_head == 1 && ring_of(0, SLOT_FIRST + 11)->rx_head == 1, "each gets a copy");
	dropped = flow_at(0, SLOT_FIRST + 3)->info->rx_dropped;
	is_int((long long)dropped, 1, "the one without a ring drops");
	is_int(make(0, SLOT_FIRST + 5, world_handle(0, SLOT_FIRST + 1), 5, &claim), ERR(STATE), "nothing below shared flows");
	post(ring_of(0, SLOT_FIRST + 10), 0, 60, 0);
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_FIRST + 1)), 1, "without transmit frames all is refused");
	CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 1));
	receive(0x2222, 100, 1);
	is_int(ring_of(0, SLOT_FIRST + 11)->rx_head, 2, "one goes, the others stay");
	for (unsigned i = 0; i < 3; i++) {
		CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 1 + i));
		CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 10 + i));
	}
}

/*
 * Four flows with all their descriptors on their way: 256 frames that the device reads. `end` takes them all from
 * their owner; what the device has not given back is nobody's until it does, in whatever order.
 */
static void flight(unsigned who, void (*end)(unsigned who), const char *how)
{
	struct exo_term term = { .offset = 12, .width = 2, .mask = 0xffff };
	exo_cap_t tx = take_run(who, SLOT_TX, 16);
	exo_pfn_t first = (exo_pfn_t)cap_slot(world.env[who], SLOT_TX)->first, pfn;
	struct exo_claim claim;
	unsigned i, j, early = 0, limbo = 0;

	for (i = 0; i < 4; i++) {
		term.value = 0x7000 + i;
		claim = claim_of(1, &term);
		claim.guards = 1;
		(void)make(0, SLOT_FIRST + 20 + i, world_handle(0, SLOT_ROOT), 20 + i, &claim);
		if (who)
			cap_fill(cap_free_slot(world.env[who], SLOT_FIRST + 20 + i), EXO_TYPE_FLOW, EXO_RIGHT_BIND,
			    0, 0, flow_at(0, SLOT_FIRST + 20 + i)->self,
			    cap_slot(world.env[0], SLOT_FIRST + 20 + i), SLOT_FIRST + 20 + i);
		(void)take_run(who, SLOT_FIRST + 24 + i, 3);
		(void)CALL(who, cap_derive, tx, 0, SLOT_FIRST + 28 + i, EXO_RIGHT_READ, 4 * i, 4);
		ring_ready(who, SLOT_FIRST + 24 + i, 2);
		(void)bind(who, SLOT_FIRST + 20 + i, SLOT_FIRST + 24 + i, SLOT_FIRST + 28 + i, 4);
		for (j = 0; j < EXO_TX_SLOTS; j++)
			post(ring_of(who, SLOT_FIRST + 24 + i), j * 250, 250, 0);
		while (CALL(who, flow_kick, world_handle(who, SLOT_FIRST + 20 + i)) > 0)
			;
	}
	is_int(fake.count, 4 * EXO_TX_SLOTS, how);
	end(who);
	for (pfn = first; pfn < first + 16; pfn++)
		limbo += info_frame[pfn].state != EXO_FRAME_FREE && !info_frame[pfn].holds && frame_table[pfn].pins;
	is_int(limbo, 16, "nobody's, and not free");
	while (fake.count) {
		fake_return(below(fake.count));
		for (i = 0; i < fake.count; i++)
			for (j = 0; j < fake.sent[i].frame.parts; j++)
				early += info_frame[fake.sent[i].frame.part[j].address >> EXO_PAGE_SHIFT].state ==
				    EXO_FRAME_FREE;
	}
	is_int(early, 0, "none is free while the device has it");
	for (limbo = 0, pfn = first; pfn < first + 16; pfn++)
		limbo += info_frame[pfn].state != EXO_FRAME_FREE;
	is_int(limbo, 0, "all are when it has none");
	ok(!world_check(), "all in order");
	for (i = 0; i < 4; i++)
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_FIRST + 20 + i), 0);
}

static void flight_revoked(unsigned who)
{
	unsigned i;

	(void)world_finish(who, EXO_CALL_cap_revoke, world_handle(who, SLOT_TX), 0);
	for (i = 0; i < 4; i++)
		ok(!flow_at(0, SLOT_FIRST + 20 + i)->ring, "a binding is cut");
	(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_TX), 0);
	for (i = 0; i < 4; i++)
		(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_FIRST + 24 + i), 0);
}

static void flight_dead(unsigned who)
{
	unsigned budget;

	here.current = world.env[0];
	kernel_lock();
	env_end(world.env[who], EXO_CAUSE_DESTROYED, 0, 0);
	do
		budget = EXO_UNWIND_MAX;
	while (!env_destroy_some(world.env[who], &budget));
	kernel_unlock();
}

static void test_flight(void)
{
	flight(0, flight_revoked, "256 frames on their way, to be revoked");
	flight(2, flight_dead, "256 frames on their way, whose owner dies");
}

/* Another environment is given a flow, binds it, and ends. */
static void test_env_end(void)
{
	struct flow *flow = flow_at(0, SLOT_FIRST);
	struct exo_cap *cap = cap_free_slot(world.env[1], SLOT_FIRST);
	int64_t result;

	cap_fill(cap, EXO_TYPE_FLOW, EXO_RIGHT_BIND, 0, 0, flow->self, cap_slot(world.env[0], SLOT_FIRST), SLOT_FIRST);
	take_run(1, SLOT_RING, 5);
	take_run(1, SLOT_TX, 4);
	ring_ready(1, SLOT_RING, 4);
	is_int(bind(1, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), 0, "another environment binds it");
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_FIRST)), ERR(STATE), "only that one may kick");
	receive(0x1111, 60, 1);
	is_int(ring_of(1, SLOT_RING)->rx_head, 1, "and it receives");
	here.current = world.env[0];
	env_end(world.env[1], EXO_CAUSE_DESTROYED, 0, 0);
	receive(0x1111, 60, 1);
	ok(!flow_env(flow) && flow->ring && ring_of(1, SLOT_RING)->rx_head == 1, "it ends: nothing arrives any more");
	world.unchecked = true;
	do
		result = CALL(0, env_destroy, world_handle(0, SLOT_PEER));
	while (result == ERR(AGAIN));
	world.unchecked = false;
	ok(result == ERR(RIGHTS) || (result == 0 && !flow->ring), "destroyed, and the flow is free for another");
}

int main(void)
{
	struct exo_claim claim = claim_of(1, &type_a);

	flow_world(1024);
	test_unbind_steps();
	claim.guards = 1;
	claim.guard_terms[0] = 1;
	claim.guard[0][0] = from;
	is_int(make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &claim) > 0, 1, "a flow to bind");
	take_run(0, SLOT_RING, 5);
	take_run(0, SLOT_TX, 4);
	fake.device.info->flags = EXO_NET_CUTS;
	test_bind_errors();
	test_receive();
	test_tail();
	test_send();
	test_send_errors();
	test_cut();
	test_cut_errors();
	test_unbind();
	test_shared();
	test_flight();
	test_env_end();
	return done();
}
