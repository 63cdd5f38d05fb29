/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flow that owns its device (EXO_FLOW_OWN): flow_make and flow_bind, each error that they have for it, packets that
 * arrive in the slots themselves, and abuse: slots posted twice or that there are not, indices run wild, the ring or the flow
 * taken away, the environment dead or destroyed, each with all slots in the device; then the device is shared again.
 * Another CPU binds and kicks for ever while the ring is scribbled on and taken away: then nobody writes to it any more.
 * Runs first: yes
 * Run with: --net user --smp 2
 */
#include <exo/flow.h>
#include "test/guest/agent.h"

#define ALL	(EXO_RIGHT_READ | EXO_RIGHT_CLAIM | EXO_RIGHT_BIND)
#define RX	4
#define SLOTS	(2 * RX)
#define WAIT	(2000 * MS)

static exo_cap_t net, claims, frames;
static struct exo_ring *ring;		/* a window on the ring's frames, and one more, to send from */

/* A flow with these flags, on one Ethernet type (0: no terms), which may send anything. */
static int64_t make(uint32_t flags, uint16_t type, exo_cap_t parent, uint64_t first)
{
	uint32_t slot = caps_slot();
	struct exo_claim *c = core_arg(0);

	memset(c, 0, sizeof(*c));
	c->flags = flags;
	c->guards = 1;
	c->terms = type != 0;
	c->term[0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = type };
	strcpy(c->label, "own");
	return caps_flow_make(slot, parent, claims, first, 0);
}

static const struct exo_flow_info *counts(void)
{
	for (uint32_t i = 0; i < core_info->flows.entries; i++) {
		const struct exo_flow_info *flow = info_flow(i);

		if (flow && flow->state && !strcmp(flow->label, "own"))
			return flow;
	}
	return NULL;
}

static void ring_new(void)
{
	memset(ring, 0, sizeof(*ring));
	ring->rx_frames = RX;
	ring->rx_posted = SLOTS;
	for (unsigned i = 0; i < SLOTS; i++)
		ring->rx_free[i] = (uint16_t)(SLOTS - 1 - i);
}

static int64_t bind(exo_cap_t flow)
{
	return exo_flow_bind(flow, frames, 0, frames, 1 + RX, 1);
}

/* A question to the emulator's gateway for its hardware address, which it answers by a packet of 64 bytes or less. */
static void ask_for(void)
{
	static const uint8_t arp[] = { 0, 1, 8, 0, 6, 4, 0, 1 }, from[] = { 10, 0, 2, 15 }, to[] = { 10, 0, 2, 2 };
	uint8_t *packet = (uint8_t *)ring + (1 + RX) * EXO_PAGE_SIZE;

	memset(packet, 0, 60);
	memset(packet, 0xff, 6);
	memcpy(packet + 6, core_info->device[0].address, 6);
	packet[12] = 8, packet[13] = 6;
	memcpy(packet + 14, arp, sizeof(arp));
	memcpy(packet + 22, core_info->device[0].address, 6);
	memcpy(packet + 28, from, sizeof(from));
	memcpy(packet + 38, to, sizeof(to));
}

/* While the device starts anew, as it does for another owner, it has no room. */
static void ask(exo_cap_t flow)
{
	exo_time_t until = core_now() + WAIT;
	int64_t taken;

	ask_for();
	ring->tx[ring->tx_head % EXO_TX_SLOTS] = (struct exo_tx){ .offset = 0, .bytes = 60 };
	ring->tx_head++;
	while ((taken = exo_flow_kick(flow)) == 0 && core_now() < until)
		thread_sleep(core_now() + MS / 10);
	is(taken, 1, "a question is sent");
}

static bool arrives(uint32_t head)
{
	exo_time_t until = core_now() + WAIT;

	while (*(volatile uint32_t *)&ring->rx_head == head && core_now() < until)
		thread_sleep(core_now() + MS / 10);
	return ring->rx_head == head + 1;
}

/* Is the n-th that was reported the gateway's answer? */
static bool answer(uint32_t n)
{
	const struct exo_rx *rx = &ring->rx[n % SLOTS];
	const uint8_t *packet = (const uint8_t *)ring + EXO_PAGE_SIZE + rx->slot * EXO_RX_SLOT_BYTES;

	return rx->slot < SLOTS && rx->bytes >= 42 && packet[12] == 8 && packet[13] == 6 && packet[21] == 2;
}

static void errors(void)
{
	int64_t other, own;

	is(make(EXO_FLOW_OWN, 0x806, net, 0), -EXO_EINVAL, "make INVAL: an owner with terms");
	is(make(EXO_FLOW_OWN | EXO_FLOW_SHARED, 0, net, 0), -EXO_EINVAL, "make INVAL: an owner that shares");
	is(make(EXO_FLOW_OWN | EXO_FLOW_STEERED, 0, net, 0), -EXO_EINVAL, "make INVAL: an owner that is steered");
	is(make(EXO_FLOW_OWN << 1, 0, net, 0), -EXO_EINVAL, "make INVAL: a flag that there is not");
	other = make(0, 0x806, net, 0);
	ok(other > 0, "a flow beside others");
	is(make(EXO_FLOW_OWN, 0, net, 1), -EXO_EOVERLAP, "make OVERLAP: an owner beside another flow");
	is(make(EXO_FLOW_OWN, 0, (exo_cap_t)other, 1), -EXO_ESTATE, "make STATE: an owner below another flow");
	caps_delete((exo_cap_t)other);
	own = make(EXO_FLOW_OWN, 0, net, 0);
	ok(own > 0, "an owner, alone");
	is(make(0, 0x806, net, 1), -EXO_EOVERLAP, "make OVERLAP: a flow beside an owner");
	is(make(0, 0x806, (exo_cap_t)own, 1), -EXO_ESTATE, "make STATE: a flow below an owner");
	is(make(EXO_FLOW_OWN, 0, net, 1), -EXO_EOVERLAP, "make OVERLAP: a second owner");
	caps_delete((exo_cap_t)own);
}

/* As many packets as are asked for arrive where they are to lie, and nothing is copied. */
static void owned(void)
{
	const struct exo_flow_info *info;
	exo_cap_t flow;
	uint64_t lost = core_info->device[0].errors;

	flow = (exo_cap_t)make(EXO_FLOW_OWN, 0, net, 0);
	ring_new();
	is(bind(flow), 0, "bind");
	is(bind(flow), -EXO_EBUSY, "bind BUSY: it is bound");
	ok(ring->own == 1, "the ring says so");
	for (uint32_t i = 0; i < 3 * SLOTS; i++) {
		uint32_t head = ring->rx_head;

		ask(flow);
		if (!ok(arrives(head) && answer(head), "its answer arrives"))
			break;
		ring->rx_free[ring->rx_posted % SLOTS] = ring->rx[head % SLOTS].slot;
		ring->rx_posted++;
	}
	info = counts();
	ok(info && info->rx_packets == 3 * SLOTS && info->rx_bytes && info->rx_direct == info->rx_bytes, "no byte was copied");
	/* The same slot over and over, and slots that there are not. */
	for (uint32_t i = 0; i < SLOTS; i++)
		ring->rx_free[(ring->rx_posted + i) % SLOTS] = (uint16_t)(i & 1 ? 0xfff8 : 0);
	ring->rx_posted += SLOTS;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t head = ring->rx_head;

		ask(flow);
		ok(arrives(head) && answer(head), "slots posted twice are there once");
	}
	ring->rx_posted += 0x80000000;
	for (unsigned i = 0; i < EXO_RX_SLOTS_MAX; i++)
		ring->rx_free[i] = 0xffff;
	ring->rx_frames = ring->rx_head = ring->own = 0xdeadbeef;
	for (unsigned i = 0; i < 4; i++)
		ask(flow);
	thread_sleep(core_now() + 5 * MS);
	ok(core_info->device[0].errors == lost, "indices run wild, the device errs not once");
	is(exo_cap_delete(flow), 0, "its flow goes while it is bound");
	is(info_frame(pfn_of(frames) + 1)->state, EXO_FRAME_OWNED, "its frames are ordinary memory at once");
	ok(!counts(), "the flow is gone");
}

/* Others share the device again. */
static void shared(const char *after)
{
	exo_cap_t flow;

	flow = (exo_cap_t)make(0, 0x806, net, 0);
	ring_new();
	is(bind(flow), 0, "%s a flow beside others is bound", after);
	ask(flow);
	ok(arrives(0) && answer(0) && !ring->own, "and its packets arrive");
	const struct exo_flow_info *info = counts();
	ok(info && info->rx_bytes && !info->rx_direct, "by copy");
	is(exo_cap_delete(flow), 0, "the flow goes");
}

/* Whoever owns it loses the ring in this way. */
enum { REVOKED, FLOW_REVOKED, DEAD, DESTROYED, WAYS };

static void lost(unsigned way)
{
	static const char *const said[] = { "revoked:", "its flow revoked:", "dead:", "destroyed:" };
	uint32_t rx_frames = 4;
	struct tiny agent;
	exo_cap_t flow;
	int64_t result;

	flow = (exo_cap_t)make(EXO_FLOW_OWN, 0, net, 0);
	if (!ok(agent_begin(&agent, rx_frames + 2), "an environment with frames for a ring"))
		return;
	int64_t there = tiny_grant(&agent, flow, 5, ALL);
	uint32_t first = agent.spare;
	exo_cap_t lent = (exo_cap_t)caps_derive(agent.frames, EXO_RIGHT_READ | EXO_RIGHT_WRITE, first, 1 + rx_frames);
	int64_t mine = exo_cap_derive(lent, agent.env, 6, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 1 + rx_frames);
	exo_vaddr_t window = tiny_window(&agent, 3);
	space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, agent.frames, first, 1);
	struct exo_ring *its = (struct exo_ring *)window;
	its->rx_frames = rx_frames;
	its->rx_posted = 2 * rx_frames;
	for (unsigned i = 0; i < 2 * rx_frames; i++)
		its->rx_free[i] = (uint16_t)i;
	is(agent_do(&agent, EXO_CALL_flow_bind, (uint64_t)there, (uint64_t)mine, 0, 0, 0, 0), 0, "%s it owns the device", said[way]);
	is(info_frame(pfn_of(lent) + rx_frames)->state, EXO_FRAME_RING, "they are a ring's");
	if (way == REVOKED) {
		while ((result = exo_cap_revoke(lent)) == -EXO_EAGAIN)
			;
		is(result, 0, "the ring is revoked");
	} else if (way == FLOW_REVOKED) {
		while ((result = exo_cap_revoke(flow)) == -EXO_EAGAIN)
			;
		is(result, 0, "the flow is revoked");
	} else if (way == DEAD) {
		agent_do(&agent, EXO_CALL_env_exit, 6, 0, 0, 0, 0, 0);
		is(exo_flow_kick(flow), -EXO_ESTATE, "it ends");
	} else {
		while ((result = exo_env_destroy(agent.env)) == -EXO_EAGAIN)
			;
		is(result, 0, "it is destroyed");
	}
	ok(way == DEAD || info_frame(pfn_of(lent) + rx_frames)->state == EXO_FRAME_OWNED, "they are a ring's no more");
	space_map(window, 0, 0, 0, 1);
	caps_delete(lent);
	tiny_drop(&agent);
	is(exo_cap_delete(flow), 0, "the flow goes");
	shared(said[way]);
}

/* Words of the racer's page. */
enum { RACE_FLOW, RACE_RING, RACE_BOUND, RACE_KICKS };

/* It owns the device whenever it can, and sends. */
TINY static void racer(uint64_t reasons)
{
	(void)reasons;
	for (;;) {
		uint64_t its = tiny_word(RACE_RING);

		if (tiny_call(EXO_CALL_flow_bind, tiny_word(RACE_FLOW), its, 0, its, 1 + RX, 1) == 0)
			tiny_word(RACE_BOUND)++;
		for (unsigned i = 0; i < 20; i++)
			tiny_word(RACE_KICKS) += tiny_call(EXO_CALL_flow_kick, tiny_word(RACE_FLOW), 0, 0, 0, 0, 0) > 0;
	}
}

static uint64_t any(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* Whatever may stand in a ring that the kernel reads: mostly right, so that packets come. */
static void scribble(void)
{
	for (unsigned i = 0; i < 30; i++) {
		volatile struct exo_ring *r = ring;

		r->rx_frames = RX;
		r->rx_posted += (uint32_t)(any() % 8 ? any() % 4 : any());
		r->rx_free[any() % EXO_RX_SLOTS_MAX] = (uint16_t)any();
		r->tx[r->tx_taken % EXO_TX_SLOTS] = (struct exo_tx){ .offset = 0, .bytes = 60 };
		r->tx_head = r->tx_taken + 1;
		r->rx_head = (uint32_t)any();
		for (uint64_t turns = any() % 2000; turns; turns--)
			__asm__ volatile("pause");
	}
}

static bool untouched(void)
{
	const uint64_t *word = (const uint64_t *)ring;

	memset(ring, 0xa5, (1 + RX) * EXO_PAGE_SIZE);
	for (unsigned turns = 0; turns < 2000; turns++)
		__asm__ volatile("pause");
	for (unsigned i = 0; i < (1 + RX) * EXO_PAGE_SIZE / sizeof(*word); i++) {
		if (word[i] != 0xa5a5a5a5a5a5a5a5)
			return false;
	}
	return true;
}

/* So many rounds, and more until the racer has met enough of them: it may get little of its CPU on a busy host. */
static void races(unsigned rounds)
{
	exo_cap_t flow = (exo_cap_t)make(EXO_FLOW_OWN, 0, net, 0);
	unsigned wrong = 0, touched = 0;
	bool last = false;
	struct tiny one;

	tiny_cpu = core_info->cpus > 1;
	bool good = tiny_make(&one, racer, 0);
	tiny_cpu = 0;
	if (!ok(good, "one on another CPU"))
		return;
	one.word[RACE_FLOW] = (uint64_t)tiny_grant(&one, flow, 5, ALL);
	ring_new();
	ask_for();
	tiny_start(&one);
	for (unsigned i = 1; !last; i++) {
		last = i >= 20 * rounds ||
			(i >= rounds && one.word[RACE_BOUND] >= rounds / 4 && one.word[RACE_KICKS] >= rounds);
		one.word[RACE_RING] = (uint64_t)tiny_grant(&one, frames, 6, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
		scribble();
		if (last)	/* the racer dies of it */
			while (exo_env_destroy(one.env) == -EXO_EAGAIN)
				;
		while (exo_cap_revoke(frames) == -EXO_EAGAIN)
			;
		for (unsigned k = 0; k <= RX; k++)
			wrong += info_frame(pfn_of(frames) + k)->state != EXO_FRAME_OWNED;
		touched += !untouched();
		ring_new();
	}
	ok(one.word[RACE_BOUND] >= rounds / 4 && one.word[RACE_KICKS] >= rounds, "bound %lu times, %lu frames sent",
	    (unsigned long)one.word[RACE_BOUND], (unsigned long)one.word[RACE_KICKS]);
	is(wrong, 0, "what is revoked is a ring's no more");
	is(touched, 0, "and nobody writes to it");
	tiny_drop(&one);
	is(exo_cap_delete(flow), 0, "the flow goes");
	shared("after races");
}

int main(void)
{
	exo_vaddr_t va;

	net = core_named(EXO_NAME_NET);
	if (!ok(net != 0, "there is a network device"))
		return call_done();
	tiny_prepare();
	va = vm_addresses((2 + RX) * EXO_PAGE_SIZE);
	ring = (struct exo_ring *)va;
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();

		claims = take_frames(2);
		frames = take_frames(2 + RX);
		space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 2 + RX);
		errors();
		shared("at first");
		owned();
		shared("after that");
		for (unsigned way = 0; way < WAYS; way++)
			lost(way);
		races(40);
		space_map(va, 0, 0, 0, 2 + RX);
		caps_delete(frames);
		caps_delete(claims);
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
