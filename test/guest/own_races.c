/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network device's owner (EXO_FLOW_OWN) on one CPU, which posts slots, good and bad, and sends for ever, against what the
 * other CPU takes from it at any moment: its ring, its flow, its life, in each way there is. Once that call has returned the
 * ring's frames are ordinary memory, and nothing that arrives is written there; another has it at once. Options: seed, rounds.
 * Runs first: yes
 * Run with: --net user --smp 2
 */
#include <exo/flow.h>
#include "test/guest/agent.h"
#include "test/lib/random.h"

#define RW		(EXO_MAP_READ | EXO_MAP_WRITE)
#define RWX		(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define TINY_RING	0x5f8000ULL
#define RX		4
#define SLOTS		(2 * RX)
#define FRAMES_ALL	(2 + RX)	/* the ring, its slots, and one to send from */
#define PATIENCE	(20000 * MS)	/* of a host that does other things, too */

/* Words of its data page. */
enum { COUNT, BOUND, FLOW_HANDLE, RING_HANDLE, SEED, ERROR, GOOD };

static uint64_t state;
static struct exo_ring *ring, *mine;	/* the test's windows on the owner's, and on its own */

static uint64_t next(void)
{
	return random_next(&state) >> 8;
}

/* Also its handler of faults, when the ring has gone. */
TINY static void owner(uint64_t reasons)
{
	volatile struct exo_ring *its = (volatile struct exo_ring *)TINY_RING;
	uint64_t x = tiny_word(SEED);

	(void)reasons;
	tiny_disp->off = EXO_OFF_NO;
	if (!tiny_word(BOUND)) {
		tiny_word(BOUND) = 1;
		tiny_word(ERROR) = (uint64_t)-tiny_call(EXO_CALL_flow_bind, tiny_word(FLOW_HANDLE), tiny_word(RING_HANDLE), 0,
		    tiny_word(RING_HANDLE), 1 + RX, 1);
	}
	for (;;) {
		tiny_word(COUNT)++;
		x = x * 6364136223846793005 + 1442695040888963407;
		tiny_word(SEED) = x;
		uint32_t posted = its->rx_posted;
		if (!tiny_word(GOOD)) {
			its->rx_free[posted % SLOTS] = (uint16_t)(x >> 40);
			its->rx_posted = x >> 60 ? ++posted : (uint32_t)(x >> 20);
		}
		for (unsigned i = 0; i < 4; i++)
			its->tx[(its->tx_taken + i) % EXO_TX_SLOTS] = (struct exo_tx){ .offset = 0, .bytes = 60 };
		its->tx_head = its->tx_taken + 4;
		tiny_call(EXO_CALL_flow_kick, tiny_word(FLOW_HANDLE), 0, 0, 0, 0, 0);
		its->rx_posted = posted;
	}
}

static int64_t make(exo_cap_t net, exo_cap_t frame, uint32_t flags)
{
	uint32_t slot = caps_slot();
	struct exo_claim *c = core_arg(0);

	memset(c, 0, sizeof(*c));
	c->flags = flags;
	c->terms = !flags;
	c->term[0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = 0x806 };
	c->guards = 1;
	return caps_flow_make(slot, net, frame, 0, 0);
}

/* A question to the emulator's gateway, which answers; all slots are posted. */
static void ring_new(struct exo_ring *ring)
{
	static const uint8_t arp[] = { 0, 1, 8, 0, 6, 4, 0, 1 }, from[] = { 10, 0, 2, 15 }, to[] = { 10, 0, 2, 2 };
	uint8_t *packet = (uint8_t *)ring + (1 + RX) * EXO_PAGE_SIZE;

	memset(ring, 0, FRAMES_ALL * EXO_PAGE_SIZE);
	ring->rx_frames = RX;
	ring->rx_posted = SLOTS;
	for (unsigned i = 0; i < SLOTS; i++)
		ring->rx_free[i] = (uint16_t)i;
	memset(packet, 0xff, 6);
	memcpy(packet + 6, core_info->device[0].address, 6);
	packet[12] = 8, packet[13] = 6;
	memcpy(packet + 14, arp, sizeof(arp));
	memcpy(packet + 22, core_info->device[0].address, 6);
	memcpy(packet + 28, from, sizeof(from));
	memcpy(packet + 38, to, sizeof(to));
}

static uint64_t sum(void)
{
	const uint64_t *word = (const uint64_t *)ring;
	uint64_t all = 0;

	for (unsigned i = 0; i < (1 + RX) * EXO_PAGE_SIZE / sizeof(*word); i++)
		all = all * 31 + word[i];
	return all;
}

/* The test asks by a flow of its own, and is answered. */
static bool answered(exo_cap_t net, exo_cap_t claims, exo_cap_t frames)
{
	exo_cap_t flow = (exo_cap_t)make(net, claims, 0);
	exo_time_t end = core_now() + PATIENCE;
	bool good;

	ring_new(mine);
	for (unsigned i = 0; i < 4; i++)
		mine->tx[i] = (struct exo_tx){ .offset = 0, .bytes = 60 };
	mine->tx_head = 4;
	good = exo_flow_bind(flow, frames, 0, frames, 1 + RX, 1) == 0 && exo_flow_kick(flow) == 4;
	while (good && *(volatile uint32_t *)&mine->rx_head < 4 && core_now() < end)
		;
	return caps_delete(flow) == 0 && good && mine->rx_head >= 4;
}

enum { RING, FLOW, DESTROYED, RECLAIMED, WAYS };

static int64_t take_away(unsigned way, const struct tiny *one, exo_cap_t lent, exo_cap_t flow)
{
	int64_t result;

	do {
		if (way == RING)
			result = exo_cap_revoke(lent);
		else if (way == FLOW)
			result = exo_cap_revoke(flow);
		else if (way == DESTROYED)
			result = exo_env_destroy(one->env);
		else
			result = exo_env_reclaim(core_named(EXO_NAME_ACCOUNT), one->id);
	} while (result == -EXO_EAGAIN);
	return result;
}

int main(void)
{
	uint64_t seed = call_option("seed", 1), rounds = call_option("rounds", call_option("long", 0) ? 2000 : 40);
	unsigned late = 0, bad = 0, unbound = 0, lost = 0, silent = 0;
	exo_cap_t net, claims, frames, others;
	uint64_t received = 0, asked = 0;
	struct books before;

	cpus_await();
	net = core_named(EXO_NAME_NET);
	if (!ok(net && core_info->cpus > 1, "there are a network device and two CPUs"))
		return call_done();
	state = seed * 0x9e3779b97f4a7c15 | 1;
	tiny_prepare();
	ring = (struct exo_ring *)vm_addresses(FRAMES_ALL * EXO_PAGE_SIZE);
	claims = take_frames(1);
	frames = take_frames(FRAMES_ALL);
	others = take_frames(FRAMES_ALL);
	mine = (struct exo_ring *)vm_addresses(FRAMES_ALL * EXO_PAGE_SIZE);
	space_map((exo_vaddr_t)mine, RW, others, 0, FRAMES_ALL);
	space_map((exo_vaddr_t)ring, RW, frames, 0, FRAMES_ALL);
	before = books_now();
	for (uint64_t round = 0; round < rounds; round++) {
		unsigned way = round % WAYS;
		exo_cap_t flow = (exo_cap_t)make(net, claims, EXO_FLOW_OWN), lent = (exo_cap_t)caps_derive(frames, RWX, 0, FRAMES_ALL);
		struct tiny one;

		ring_new(ring);
		tiny_cpu = 1;
		bool good = tiny_make(&one, owner, 0);
		tiny_cpu = 0;
		if (!good || flow <= 0)
			break;
		one.word[FLOW_HANDLE] = (uint64_t)tiny_grant(&one, flow, 5, EXO_RIGHT_READ | EXO_RIGHT_BIND);
		one.word[RING_HANDLE] = (uint64_t)exo_cap_derive(lent, one.env, 6, RWX, 0, FRAMES_ALL);
		one.word[SEED] = next();
		one.word[GOOD] = round % (2 * WAYS) >= WAYS;
		write_one(one.space, TINY_RING | RW, frames, 0, FRAMES_ALL);
		tiny_start(&one);
		exo_time_t end = core_now() + PATIENCE;
		while (one.word[COUNT] < 2 && core_now() < end)
			;
		/* Half of them post good slots, and have time to hear answers; the others are met anywhere. */
		end = core_now() + 50 * MS;
		while (one.word[GOOD] && !*(volatile uint64_t *)&ring->rx_packets && core_now() < end)
			;
		end = core_now() + next() % 3 * (next() % MS);
		while (core_now() < end)
			;
		unbound += one.word[ERROR] != 0;
		bad += take_away(way, &one, lent, flow) != 0;
		write_one(one.space, TINY_RING, 0, 0, FRAMES_ALL);
		for (unsigned i = 0; i <= RX; i++)
			lost += info_frame(pfn_of(frames) + i)->state != EXO_FRAME_OWNED;
		received += ring->rx_packets;
		asked += ring->tx_packets;
		uint64_t was = sum();
		tiny_drop(&one);
		caps_delete(lent);
		bad += caps_delete(flow) != 0;
		silent += !answered(net, claims, others);
		late += sum() != was;
	}
	printf("# %lu asked, %lu answers\n", (long)asked, (long)received);
	ok(asked > rounds && received >= rounds, "the owners ask, and are answered");
	ok(!unbound && !bad, "each owns the device, and loses it");
	is(lost, 0, "then all frames are ordinary memory");
	is(silent, 0, "another asks at once, and is answered");
	is(late, 0, "and nothing is written there");
	ok(books_same(before), "the books are even");
	return call_done();
}
