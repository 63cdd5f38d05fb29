/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow_make, flow_bind, flow_kick: what they do, each of their errors, and abuse: rings that go while they are in
 * use, indices that run wild, claims that overlap.
 * Runs first: yes
 * Run with: --net user
 */
#include <exo/flow.h>
#include "test/guest/agent.h"

#define ALL	(EXO_RIGHT_READ | EXO_RIGHT_CLAIM | EXO_RIGHT_BIND)

static exo_cap_t net, console;

/* A claim on one Ethernet type, which may send anything with this type; `extra` terms more. */
static struct exo_claim *claim(uint16_t type)
{
	struct exo_claim *c = core_arg(0);

	memset(c, 0, sizeof(*c));
	c->terms = c->guards = c->guard_terms[0] = 1;
	c->term[0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = type };
	c->guard[0][0] = c->term[0];
	strcpy(c->label, "test");
	return c;
}

static int64_t make(exo_cap_t parent, exo_cap_t frames, uint64_t first)
{
	return caps_flow_make(caps_slot(), parent, frames, first, 0);
}

static void making(void)
{
	exo_cap_t frames = take_frames(8), read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	exo_cap_t weak = (exo_cap_t)caps_derive(net, EXO_RIGHT_BIND, 0, 0);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	uint32_t slot = caps_slot();
	int64_t result;

#define MAKE(type, slot, parent, frames, first, offset) \
	(claim(type), caps_flow_make(slot, parent, frames, first, offset))
	is(MAKE(0x800, exo_cap_slot(frames), net, frames, 0, 0), -EXO_ESLOT, "make SLOT: in use");
	is(MAKE(0x800, NO_SLOT, net, frames, 0, 0), -EXO_ESLOT, "make SLOT: none");
	is(MAKE(0x800, 0, net, frames, 0, 0), -EXO_ESLOT, "make SLOT: 0");
	is(MAKE(0x800, slot, NO_CAP, frames, 0, 0), -EXO_ECAP, "make CAP: parent");
	is(MAKE(0x800, slot, console, frames, 0, 0), -EXO_ETYPE, "make TYPE: parent");
	is(MAKE(0x800, slot, weak, frames, 0, 0), -EXO_ERIGHTS, "make RIGHTS: parent");
	is(MAKE(0x800, slot, net, NO_CAP, 0, 0), -EXO_ECAP, "make CAP: frames");
	is(MAKE(0x800, slot, net, console, 0, 0), -EXO_ETYPE, "make TYPE: frames");
	is(MAKE(0x800, slot, net, read_only, 0, 0), -EXO_ERIGHTS, "make RIGHTS: frames");
	is(MAKE(0x800, slot, net, frames, 8, 0), -EXO_ERANGE, "make RANGE");
	is(MAKE(0x800, slot, net, frames, 0, 2), -EXO_EINVAL, "make INVAL: offset");
	is(MAKE(0x800, slot, net, frames, 0, 4096), -EXO_EINVAL, "make INVAL: beyond the frame");
	is(MAKE(0x800, slot, net, frames, 0, ~3ULL), -EXO_EINVAL, "make INVAL: wraps");
	space_map(va, EXO_MAP_READ, frames, 0, 1);
	is(MAKE(0x800, slot, net, frames, 0, 0), -EXO_EBUSY, "make BUSY: mapped");
	space_map(va, 0, 0, 0, 1);
	result = MAKE(0x800, slot, net, frames, 0, 0);
	is(result, (int64_t)caps_handle(slot), "make");
	exo_cap_t flow = (exo_cap_t)result;
	ok(cap_of(flow)->rights == cap_of(net)->rights, "with the parent's rights");
	is(info_frame(pfn_of(frames))->state, EXO_FRAME_FLOW, "in this frame");
	claim(0x806);
	is(make(net, frames, 0), -EXO_EBUSY, "make BUSY: a kernel object");
	claim(0x800);
	is(make(net, frames, 1), -EXO_EOVERLAP, "make OVERLAP: the same claim");
	claim(0x800)->flags = EXO_FLOW_SHARED;
	is(make(net, frames, 1), -EXO_EOVERLAP, "make OVERLAP: not shared by both");
	claim(0)->terms = 0;
	is(make(net, frames, 1), -EXO_EOVERLAP, "make OVERLAP: everything");
	claim(0x806)->term[0].offset = 20;
	is(make(net, frames, 1), -EXO_EOVERLAP, "make OVERLAP: another field");
	claim(0x806);
	is(make(flow, frames, 1), -EXO_ERIGHTS, "make RIGHTS: its guard lets more pass");
	claim(0x800)->terms = 0;
	result = make(flow, frames, 1);
	ok(result > 0, "one below it that claims as much");
	exo_cap_t below = (exo_cap_t)result;
	exo_cap_t chain[20];
	unsigned depth = 0;
	for (chain[0] = net; depth < 18; depth++) {
		int64_t next = caps_derive(chain[depth], ALL, 0, 0);
		if (next < 0)
			break;
		chain[depth + 1] = (exo_cap_t)next;
	}
	claim(0x86dd);
	is(make(chain[depth], frames, 2), -EXO_EDEPTH, "make DEPTH");
	while (depth)
		caps_delete(chain[depth--]);
	is(exo_cap_delete(flow), 0, "delete the one above");
	is(info_frame(pfn_of(frames))->state, EXO_FRAME_FLOW, "it stays while there is one below");
	is(exo_cap_delete(below), 0, "delete that");
	ok(info_frame(pfn_of(frames))->state == EXO_FRAME_OWNED &&
		info_frame(pfn_of(frames) + 1)->state == EXO_FRAME_OWNED,
	    "both are ordinary memory again");
	caps_delete(weak);
	caps_delete(read_only);
	is(exo_cap_delete(frames), 0, "and can go");
}

static void malformed(void)
{
	exo_cap_t frames = take_frames(1);
	struct exo_claim *c = core_arg(0);
	unsigned wrong = 0;

#define BAD(change) (claim(0x800), change, wrong += make(net, frames, 0) != -EXO_EINVAL)
	BAD(c->flags = 2);
	BAD(c->terms = EXO_TERMS_MAX + 1);
	BAD(c->terms = ~0u);
	BAD(c->guards = EXO_GUARDS_MAX + 1);
	BAD(c->guards = 0x80000001);
	BAD(c->guard_terms[0] = EXO_GUARD_TERMS_MAX + 1);
	BAD(c->guard_terms[0] = ~0u);
	BAD(c->term[0].width = 0);
	BAD(c->term[0].width = 3);
	BAD(c->term[0].width = 8);
	BAD(c->term[0].offset = 1513);
	BAD(c->term[0].offset = 0xffff);
	BAD(c->term[0].flags = 2);
	BAD(c->term[0].mask = 0);
	BAD(c->term[0].mask = 0x10000);
	BAD(c->term[0].value = 0x10000);
	BAD((c->term[0].mask = 0xff00, c->term[0].value = 1));
	BAD(c->term[0].rel_offset = 1);
	BAD(c->term[0].rel_shift = 1);
	BAD((c->term[0].rel_mask = 15, c->term[0].rel_shift = 8));
	BAD((c->term[0].rel_mask = 15, c->term[0].rel_offset = 1514));
	BAD((c->terms = 2, c->term[1] = c->term[0]));
	BAD((c->guard_terms[0] = 2, c->guard[0][1] = c->guard[0][0]));
	BAD(c->guard[0][0].offset = EXO_GUARD_BYTES - 1);
	ok(wrong == 0, "make INVAL: %u of 24 malformed claims pass", wrong);
	is(exo_cap_delete(frames), 0, "the frame is as it was");
}

static void table(void)
{
	exo_cap_t frames = take_frames(24), flow[70], more[3] = { take_frames(24), take_frames(24), 0 },
		  spare = take_frames(1);
	unsigned count = 0;
	int64_t result = 0;

	for (; count < 70; count++) {
		claim((uint16_t)(0x1000 + count));
		result = make(net, count < 24 ? frames : more[count / 24 - 1], count % 24);
		if (result < 0)
			break;
		flow[count] = (exo_cap_t)result;
	}
	is(count, 70, "many of one shape");
	exo_cap_t child = (exo_cap_t)caps_derive(net, ALL, 0, 0);
	unsigned calls = 1;
	while ((result = exo_cap_revoke(net)) == -EXO_EAGAIN)
		if (calls++ == 1) {
			claim(0x2000);
			is(make(net, spare, 0), -EXO_ESTATE, "make STATE: the parent is being revoked");
		}
	is(result, 0, "revoke takes all of them back");
	ok(cap_of(child)->type == EXO_TYPE_NONE && cap_of(flow[0])->type == EXO_TYPE_NONE, "in %u calls",
	    calls);
	caps_delete(more[1]), caps_delete(more[0]), caps_delete(frames), caps_delete(spare);
}

/* Limits of what one parent has below it. */
static void limits(void)
{
	exo_cap_t frames = take_frames(24), more = take_frames(24), spare = take_frames(1);
	unsigned shared = 0, terms = 0;
	int64_t result;

	for (;; shared++) {
		claim(0x1234)->flags = EXO_FLOW_SHARED;
		result = make(net, shared < 24 ? frames : more, shared % 24);
		if (result < 0)
			break;
	}
	is(result, -EXO_EFULL, "make FULL: a claim that many share");
	is(shared, EXO_SHARED_MAX, "as many as may");
	exo_cap_t one = (exo_cap_t)caps_derive(net, ALL, 0, 0);
	while ((result = exo_cap_revoke(net)) == -EXO_EAGAIN)
		;
	ok(cap_of(one)->type == EXO_TYPE_NONE, "they go");
	for (unsigned i = 0; i < 48; i++) {
		struct exo_claim *c = claim((uint16_t)i);
		for (c->terms = 1; c->terms < EXO_TERMS_MAX; c->terms++)
			c->term[c->terms] = (struct exo_term){ .offset = (uint16_t)(40 + c->terms), .width = 1,
				.mask = 1, .value = i >> (c->terms - 1) & 1 };
		terms += make(net, i < 24 ? frames : more, i % 24) > 0 ? EXO_TERMS_MAX : 0;
	}
	is(terms, 48 * EXO_TERMS_MAX, "terms of all flows below one");
	struct exo_claim *c = claim(0);
	c->term[0] = (struct exo_term){ .offset = 48, .width = 1, .mask = 1 };
	c->term[1] = (struct exo_term){ .offset = 41, .width = 1, .mask = 3, .value = 2 };
	c->terms = 2;
	is(make(net, spare, 0), -EXO_EOVERLAP, "make OVERLAP: with some of them");
	while ((result = exo_cap_revoke(net)) == -EXO_EAGAIN)
		;
	caps_delete(spare);
	caps_delete(more), caps_delete(frames);
}

static void binding(void)
{
	exo_cap_t frames = take_frames(8), claims = take_frames(1), weak_frames, weak;
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	struct exo_ring *ring = (struct exo_ring *)va;

	claim(0x1234);
	exo_cap_t flow = (exo_cap_t)make(net, claims, 0);
	weak = (exo_cap_t)caps_derive(flow, EXO_RIGHT_CLAIM, 0, 0);
	weak_frames = (exo_cap_t)caps_derive(frames, 0, 0, 0);
	space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 1);
	is(exo_flow_kick(flow), -EXO_ESTATE, "kick STATE: not bound");
	ring->rx_frames = 2;
	is(exo_flow_bind(NO_CAP, frames, 0, 0, 0, 0), -EXO_ECAP, "bind CAP: flow");
	is(exo_flow_bind(frames, frames, 0, 0, 0, 0), -EXO_ETYPE, "bind TYPE: flow");
	is(exo_flow_bind(weak, frames, 0, 0, 0, 0), -EXO_ERIGHTS, "bind RIGHTS: flow");
	is(exo_flow_bind(flow, NO_CAP, 0, 0, 0, 0), -EXO_ECAP, "bind CAP: ring");
	is(exo_flow_bind(flow, flow, 0, 0, 0, 0), -EXO_ETYPE, "bind TYPE: ring");
	is(exo_flow_bind(flow, weak_frames, 0, 0, 0, 0), -EXO_ERIGHTS, "bind RIGHTS: ring");
	is(exo_flow_bind(flow, frames, 8, 0, 0, 0), -EXO_ERANGE, "bind RANGE: ring");
	is(exo_flow_bind(flow, frames, ~0ULL, 0, 0, 0), -EXO_ERANGE, "bind RANGE: ring, wild");
	is(exo_flow_bind(flow, frames, 0, NO_CAP, 0, 1), -EXO_ECAP, "bind CAP: transmit frames");
	is(exo_flow_bind(flow, frames, 0, flow, 0, 1), -EXO_ETYPE, "bind TYPE: transmit frames");
	is(exo_flow_bind(flow, frames, 0, weak_frames, 0, 1), -EXO_ERIGHTS, "bind RIGHTS: transmit frames");
	is(exo_flow_bind(flow, frames, 0, frames, 7, 2), -EXO_ERANGE, "bind RANGE: transmit frames");
	is(exo_flow_bind(flow, frames, 0, frames, 0, EXO_TX_FRAMES_MAX + 1), -EXO_EINVAL,
	    "bind INVAL: count");
	is(exo_flow_bind(flow, frames, 0, frames, 0, 1ULL << 32), -EXO_EINVAL,
	    "bind INVAL: count beyond 32 bits");
	static const uint32_t bad[] = { 0, 3, 5, 127, EXO_RX_FRAMES_MAX * 2, 0x80000000, ~0u };
	unsigned wrong = 0;
	for (unsigned i = 0; i < 7; i++) {
		ring->rx_frames = bad[i];
		wrong += exo_flow_bind(flow, frames, 0, 0, 0, 0) != -EXO_EINVAL;
	}
	ok(!wrong, "bind INVAL: rx_frames");
	ring->rx_frames = 8;
	is(exo_flow_bind(flow, frames, 0, 0, 0, 0), -EXO_ERANGE,
	    "bind RANGE: rx_frames beyond the capability");
	uint32_t slot = caps_slot();
	exo_cap_t space = made(slot, exo_space_create(slot, frames, 2));
	ring->rx_frames = 2;
	is(exo_flow_bind(flow, frames, 0, frames, 5, 1), -EXO_EBUSY,
	    "bind BUSY: a kernel object in the ring");
	is(exo_flow_bind(flow, frames, 2, 0, 0, 0), -EXO_EBUSY, "bind BUSY: the ring is a kernel object");
	caps_delete(space);
	ring->rx_frames = 2;
	is(exo_flow_bind(flow, frames, 0, frames, 0, 5), 0, "bind");
	is(info_frame(pfn_of(frames) + 1)->state, EXO_FRAME_RING, "the frames are a ring");
	is(exo_flow_bind(flow, frames, 0, frames, 0, 5), -EXO_EBUSY, "bind BUSY: the flow is bound");
	claim(0x1235);
	is(make(net, frames, 4), -EXO_EBUSY, "make BUSY: pinned");
	is(exo_cap_table(frames, 1), -EXO_EBUSY, "no capability table in a ring");
	is(exo_frame_give(frames, 1), -EXO_EBUSY, "nor is it given away");
	is(exo_flow_kick(NO_CAP), -EXO_ECAP, "kick CAP");
	is(exo_flow_kick(frames), -EXO_ETYPE, "kick TYPE");
	is(exo_flow_kick(weak), -EXO_ERIGHTS, "kick RIGHTS");
	is(exo_flow_kick(flow), 0, "kick: nothing to send");
	struct tiny agent;
	ok(agent_begin(&agent, 0), "another environment");
	int64_t there = tiny_grant(&agent, flow, 5, ALL);
	is(agent_do(&agent, EXO_CALL_flow_kick, (uint64_t)there, 0, 0, 0, 0, 0), -EXO_ESTATE,
	    "kick STATE: not by the one who bound it");
	tiny_drop(&agent);
	space_map(va, 0, 0, 0, 1);
	caps_delete(weak), caps_delete(weak_frames);
	is(caps_delete(frames), 0, "the ring's frames go while it is bound");
	is(exo_flow_kick(flow), -EXO_ESTATE, "kick STATE: that ended the binding");
	is(exo_cap_delete(flow), 0, "the flow goes");
	is(exo_cap_delete(claims), 0, "its frame goes");
}

/* The device sends; who posts nonsense harms nobody. */
static void sending(void)
{
	exo_cap_t frames = take_frames(12), claims = take_frames(1);
	exo_vaddr_t va = vm_addresses(12 * EXO_PAGE_SIZE);
	struct exo_ring *ring = (struct exo_ring *)va;
	uint8_t *packet = (uint8_t *)(va + 3 * EXO_PAGE_SIZE);
	unsigned wrong = 0;

	claim(0x1234);
	exo_cap_t flow = (exo_cap_t)make(net, claims, 0);
	space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 12);
	ring->rx_frames = 2;
	is(exo_flow_bind(flow, frames, 0, frames, 3, 9), 0, "bind");
	memset(packet, 0xff, 6);
	packet[12] = 0x12, packet[13] = 0x34;
	ring->tx[0] = (struct exo_tx){ .offset = 0, .bytes = 60 };
	ring->tx_head = 1;
	is(exo_flow_kick(flow), 1, "one frame is sent");
	ok(ring->tx_packets == 1 && ring->tx_taken == 1, "and counted");
	packet[13] = 0x35;
	ring->tx[1] = (struct exo_tx){ .offset = 0, .bytes = 60 };
	ring->tx_head = 2;
	is(exo_flow_kick(flow), 1, "one that the guard refuses is taken");
	ok(ring->tx_refused == 1 && ring->tx_packets == 1, "and counted as refused");
	packet[13] = 0x34;
	static const struct exo_tx bad[] = { { 0, 0, 0 }, { 9 * 4096 - 10, 60, 0 }, { 0xffffffff, 60, 0 },
		{ 0, 60, 8 }, { 0, 13, 0 }, { 0, 1515, 0 }, { 0, 0xffff, 0 }, { 9 * 4096, 60, 0 } };
	for (unsigned i = 0; i < 8; i++) {
		ring->tx[ring->tx_head % EXO_TX_SLOTS] = bad[i];
		ring->tx_head++;
		wrong += exo_flow_kick(flow) != 1 || ring->tx_packets != 1;
	}
	ok(!wrong && ring->tx_refused == 9, "descriptors that are wrong are refused");
	static const struct exo_tx cut[] = { { 0, 3000, EXO_TX_CUT(1460) }, { 0, 60, EXO_TX_CUT(1460) }, { 0, 0xffff, EXO_TX_CUT(1) },
		{ 0, 3000, EXO_TX_CUT(0xfff) | EXO_TX_MORE | 2 }, { 0, 1514, EXO_TX_CUT(1) | 8 } };
	for (unsigned i = 0; i < 5; i++) {
		ring->tx[ring->tx_head++ % EXO_TX_SLOTS] = cut[i];
		if (cut[i].flags & EXO_TX_MORE)
			ring->tx[ring->tx_head++ % EXO_TX_SLOTS] = (struct exo_tx){ 0, 60, EXO_TX_CUT(1000) };
		wrong += exo_flow_kick(flow) != 1 || ring->tx_packets != 1 || ring->tx_taken != ring->tx_head;
	}
	ok(!wrong && ring->tx_refused == 14, "frames to be cut that are no TCP's, or by a device that does not cut, are refused");
	for (unsigned i = 0; i <= EXO_TX_PARTS_MAX; i++)
		ring->tx[ring->tx_head++ % EXO_TX_SLOTS] =
		    (struct exo_tx){ .offset = 0, .bytes = 60, .flags = EXO_TX_MORE };
	int64_t taken = exo_flow_kick(flow);
	ok(taken >= 0 && ring->tx_packets == 1, "a frame in too many parts is not sent (%ld)", (long)taken);
	ring->tx_head = ring->tx_taken + EXO_TX_SLOTS + 1;
	is(exo_flow_kick(flow), -EXO_EINVAL, "kick INVAL: more posted than there are");
	ring->tx_head = ring->tx_taken - 1;
	is(exo_flow_kick(flow), -EXO_EINVAL, "kick INVAL: an index that goes back");
	ring->rx_posted = 0x80000000;
	ring->rx_head = ring->tx_taken = ring->tx_done = ring->rx_frames = 0xdeadbeef;
	for (unsigned i = 0; i < EXO_RX_SLOTS_MAX; i++)
		ring->rx_free[i] = 0xffff;
	for (unsigned i = 0; i < EXO_TX_SLOTS; i++)
		ring->tx[i] = (struct exo_tx){ i * 4096, 1514, i % 3 ? EXO_TX_MORE : 0 };
	exo_flow_kick(flow);
	ring->tx_head = ring->tx_taken + EXO_TX_SLOTS;
	for (unsigned i = 0; i < 10; i++) {
		taken = exo_flow_kick(flow);
		wrong += taken > EXO_KICK_MAX;
		thread_sleep(core_now() + MS);
	}
	ok(!wrong, "indices run wild");
	is(caps_delete(frames), 0, "the ring's capability goes in the middle of it");
	thread_sleep(core_now() + 5 * MS);
	is(exo_cap_delete(flow), 0, "the flow goes");
	is(exo_cap_delete(claims), 0, "its frame goes");
}

/* Who binds and ends leaves nothing behind. */
static void ends(void)
{
	exo_cap_t claims = take_frames(1);
	struct tiny agent;

	claim(0x1234);
	exo_cap_t flow = (exo_cap_t)make(net, claims, 0);
	if (!ok(agent_begin(&agent, 6), "an environment with frames for a ring"))
		return;
	int64_t there = tiny_grant(&agent, flow, 5, ALL);
	uint32_t ring = agent.spare;
	int64_t frames =
	    exo_cap_derive(agent.frames, agent.env, 6, EXO_RIGHT_READ | EXO_RIGHT_WRITE, ring, 5);
	exo_vaddr_t window = tiny_window(&agent, 3);
	space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, agent.frames, ring, 1);
	((struct exo_ring *)window)->rx_frames = 2;
	is(agent_do(&agent, EXO_CALL_flow_bind, (uint64_t)there, (uint64_t)frames, 0, (uint64_t)frames, 0, 5),
	    0, "it binds");
	agent_do(&agent, EXO_CALL_env_exit, 6, 0, 0, 0, 0, 0);
	is(exo_flow_kick(flow), -EXO_ESTATE, "it ends: nobody is bound");
	space_map(window, 0, 0, 0, 1);
	tiny_drop(&agent);
	struct exo_ring *own = (struct exo_ring *)window;
	exo_cap_t mine = take_frames(3);
	space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, mine, 0, 1);
	own->rx_frames = 2;
	is(exo_flow_bind(flow, mine, 0, 0, 0, 0), 0, "another binds");
	is(exo_cap_delete(flow), 0, "the flow goes while it is bound");
	is(caps_delete(mine), 0, "the ring goes");
	is(exo_cap_delete(claims), 0, "its frame goes");
}

int main(void)
{
	net = core_named(EXO_NAME_NET);
	console = core_named(EXO_NAME_CONSOLE);
	if (!ok(net != 0, "there is a network device"))
		return call_done();
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		making();
		malformed();
		table();
		limits();
		binding();
		sending();
		ends();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
