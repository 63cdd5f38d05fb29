/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping on the index of a receive ring: until so many packets have come, and not before; the events of the others run
 * the program and wake nobody.
 *
 * Runs first: yes
 * Run with: --net user
 */
#include <exo/flow.h>
#include "libos/core/predicate.h"
#include "test/guest/call.h"

#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)

static struct exo_ring *ring;
static exo_cap_t flow, frames;

static bool flow_ready(exo_cap_t net)
{
	static const uint8_t ask[] = { 0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2 };
	exo_vaddr_t va = vm_addresses(4 * EXO_PAGE_SIZE);
	uint8_t *packet = (uint8_t *)va + 3 * EXO_PAGE_SIZE;
	struct exo_claim *claim = core_arg(0);

	frames = take_frames(4);
	memset(claim, 0, sizeof(*claim));
	claim->terms = claim->guards = claim->guard_terms[0] = 1;
	claim->term[0] = claim->guard[0][0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = 0x806 };
	flow = (exo_cap_t)caps_flow_make(caps_slot(), net, take_frames(1), 0, 0);
	space_map(va, RW, frames, 0, 4);
	ring = (struct exo_ring *)va;
	ring->rx_frames = 2;
	for (unsigned i = 0; i < 4; i++)
		ring->rx_free[i] = (uint16_t)i;
	ring->rx_posted = 4;	/* as many as answers are asked for */
	memset(packet, 0xff, 6);
	memcpy(packet + 6, core_info->device[0].address, 6);
	packet[12] = 8, packet[13] = 6;
	memcpy(packet + 14, ask, sizeof(ask));
	memcpy(packet + 22, core_info->device[0].address, 6);
	return (int64_t)flow > 0 && exo_flow_bind(flow, frames, 0, frames, 3, 1) == 0;
}

static uint32_t read_index(void)
{
	return *(volatile uint32_t *)&ring->rx_head;
}

/* A question, to which one answer comes. */
static void ask(void)
{
	ring->tx[ring->tx_head % EXO_TX_SLOTS] = (struct exo_tx){ .bytes = 60 };
	ring->tx_head++;
	exo_flow_kick(flow);
}

/* Sleep on it, again and again, until the index is reached or a time has passed; how often it came back before. */
static unsigned sleep_until(struct predicate *predicate, uint32_t index, exo_time_t until)
{
	unsigned early = 0;

	while ((int32_t)(read_index() - index) < 0 && core_now() < until) {
		if (predicate_sleep(predicate, until, core_disp->events))
			return 1000;
		early += (int32_t)(read_index() - index) < 0 && core_now() < until;
	}
	return early;
}

static void reached(void)
{
	const volatile struct exo_env_info *self = info_env((uint32_t)core_disp->self);
	struct predicate predicate = { 0 };
	int word = predicate_add(&predicate, frames, 0, offsetof(struct exo_ring, rx_head), 4, PREDICATE_REACHES);
	uint32_t first = read_index(), runs;

	ok(word >= 0 && predicate_make(&predicate) == 0, "a program over the ring that the kernel writes");
	predicate_events(&predicate, 0);
	predicate_arm(&predicate, word, 1, first + 3);
	core_disp->pending = 0;
	for (unsigned i = 0; i < 2; i++) {
		runs = self->predicates;
		ask();
		is(sleep_until(&predicate, first + 3, core_now() + 60 * MS), 0, "packet %u does not wake", i + 1);
		is(read_index() - first, i + 1, "though it has come");
		ok(self->predicates > runs, "and has run the program");
	}
	exo_time_t before = core_now();
	ask();
	is(sleep_until(&predicate, first + 3, before + 2000 * MS), 0, "the third");
	ok(read_index() - first == 3 && core_now() - before < 1000 * MS, "does");
	predicate_drop(&predicate);
}

int main(void)
{
	if (ok(core_named(EXO_NAME_NET) && flow_ready(core_named(EXO_NAME_NET)), "a flow")) {
		ask();		/* the first answer may take longer */
		thread_sleep(core_now() + 50 * MS);
		reached();
	}
	return call_done();
}
