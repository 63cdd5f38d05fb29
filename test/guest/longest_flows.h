/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long packet filters keep the kernel: for test/guest/longest.c, which measures. Claims that are as dear as can be, an owner of
 * the device, and the calls on flows with as many as there may be.
 */
#ifndef TEST_GUEST_LONGEST_FLOWS_H
#define TEST_GUEST_LONGEST_FLOWS_H

/* Claims as different as can be that exclude each other by their last term; guards as long as can be. */
static struct exo_claim *long_claim(unsigned number)
{
	struct exo_claim *c = core_arg(0);

	memset(c, 0, sizeof(*c));
	c->terms = EXO_TERMS_MAX;
	c->guards = EXO_GUARDS_MAX;
	for (unsigned i = 0; i < EXO_TERMS_MAX; i++)
		c->term[i] = (struct exo_term){
			.offset = (uint16_t)(100 - 4 * i), .width = 2, .mask = 0xff00 | number
		};
	c->term[0].mask = 0xffff;
	c->term[0].value = number;
	for (unsigned g = 0; g < EXO_GUARDS_MAX; g++) {
		c->guard_terms[g] = EXO_GUARD_TERMS_MAX;
		for (unsigned i = 0; i < EXO_GUARD_TERMS_MAX; i++)
			c->guard[g][i] = (struct exo_term){ .offset = (uint16_t)(40 - 4 * i),
				.width = 2,
				.mask = 0xffff,
				.value = i > 0        ? 0
					 : number % 2 ? EXO_GUARDS_MAX
						      : g + 1 };
	}
	return c;
}

/* An owner of the device, with all slots and frames that it may have: each kick posts one slot as often as it can. */
static void owning(exo_cap_t net)
{
	exo_cap_t cap = take_frames(1), rings = many_frames(1 + EXO_RX_FRAMES_MAX), sent = many_frames(EXO_TX_FRAMES_MAX);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE), data = vm_addresses(EXO_PAGE_SIZE);
	struct exo_ring *ring = (struct exo_ring *)va;
	uint32_t slot = caps_slot();

	long_claim(0)->terms = 0;
	((struct exo_claim *)core_arg(0))->flags = EXO_FLOW_OWN;
	exo_cap_t flow = made(slot, caps_flow_make(slot, net, cap, 0, 0));
	if (!ok(flow && rings && sent, "an owner"))
		return;
	space_map(va, RW, rings, 0, 1);
	space_map(data, RW, sent, 0, 1);
	ring->rx_frames = EXO_RX_FRAMES_MAX;
	ring->rx_posted = EXO_RX_SLOTS_MAX;
	for (unsigned i = 0; i < EXO_RX_SLOTS_MAX; i++)
		ring->rx_free[i] = (uint16_t)i;
	MEASURE("flow_bind, an owner, as large as can be", exo_flow_bind(flow, rings, 0, sent, 0, EXO_TX_FRAMES_MAX));
	thread_sleep(core_now() + MS);
	REPEAT("cap_delete of a bound owner", exo_cap_delete(flow));
	slot = caps_slot();
	long_claim(0)->terms = 0;
	((struct exo_claim *)core_arg(0))->flags = EXO_FLOW_OWN;
	flow = made(slot, caps_flow_make(slot, net, cap, 0, 0));
	for (unsigned i = 0; i < EXO_RX_SLOTS_MAX; i++)
		ring->rx_free[i] = 7;
	ring->rx_posted = 0;
	is(exo_flow_bind(flow, rings, 0, sent, 0, EXO_TX_FRAMES_MAX), 0, "bound again");
	memset((void *)data, 0, EXO_PAGE_SIZE);
	for (unsigned i = 0; i < 8; i++)
		*(uint16_t *)(data + i * 100 + 1 + 40) = EXO_GUARDS_MAX << 8;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < EXO_TX_SLOTS; i++)
			ring->tx[i] = (struct exo_tx){ .offset = i % 8 * 100 + 1, .bytes = 100, .flags = i % 8 == 7 ? 0 : EXO_TX_MORE };
		ring->rx_posted += EXO_RX_SLOTS_MAX;
		ring->tx_head = ring->tx_taken + EXO_TX_SLOTS;
		MEASURE(round ? "flow_kick of an owner, eight parts each" : "flow_kick, the device changes hands", exo_flow_kick(flow));
		thread_sleep(core_now() + MS);
		ring->rx_posted += EXO_RX_SLOTS_MAX;
		MEASURE("flow_kick of an owner, takes them back", exo_flow_kick(flow));
	}
	for (unsigned i = 0; i < EXO_TX_SLOTS; i++)
		ring->tx[i] = (struct exo_tx){ .offset = i % 8 * 100 + 1, .bytes = 100 };
	for (unsigned i = 0; i < 4; i++) {
		ring->rx_posted += EXO_RX_SLOTS_MAX;
		ring->tx_head = ring->tx_taken + 16;
		MEASURE("flow_kick of an owner, sixteen frames", exo_flow_kick(flow));
	}
	REPEAT("cap_delete of a bound owner", exo_cap_delete(flow));
	space_map(va, 0, 0, 0, 1);
	space_map(data, 0, 0, 0, 1);
	caps_delete(cap);
	caps_delete(rings);
	caps_delete(sent);
}

static void flows(exo_cap_t net)
{
	exo_cap_t cap = many_frames(70), rings = many_frames(1 + EXO_RX_FRAMES_MAX),
		  sent = many_frames(EXO_TX_FRAMES_MAX);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE), data = vm_addresses(16 * EXO_PAGE_SIZE);
	struct exo_ring *ring = (struct exo_ring *)va;
	uint32_t slot = caps_slot();
	exo_cap_t top, flow = 0;

	if (!ok(cap && rings && sent, "frames for flows"))
		return;
	long_claim(0)->terms = 0;
	top = made(slot, caps_flow_make(slot, net, cap, 0, 0));
	uint64_t most = 0;
	for (unsigned i = 1; i < 63; i++) {
		slot = caps_slot();
		long_claim(i)->terms = i < 62 ? 4 : EXO_TERMS_MAX;
		do {
			uint64_t began = count();
			result = exo_flow_make(slot, top, cap, i, 0);
			uint64_t took = count() - began;
			most = took > most ? took : most;
		} while (result == -EXO_EAGAIN);
		if (result > 0)
			flow = (exo_cap_t)result;
	}
	note("flow_make, the 62nd of its kind", most, result);
	slot = caps_slot();
	long_claim(1)->term[0].value = 62;
	MEASURE("flow_make, overlaps with the last", exo_flow_make(slot, top, cap, 65, 0));
	space_map(va, RW, rings, 0, 1);
	space_map(data, RW, sent, 0, 16);
	ring->rx_frames = EXO_RX_FRAMES_MAX;
	MEASURE("flow_bind, as large as can be", exo_flow_bind(flow, rings, 0, sent, 0, EXO_TX_FRAMES_MAX));
	memset((void *)data, 0, 16 * EXO_PAGE_SIZE);
	((uint8_t *)data)[41] = 0;
	for (unsigned i = 0; i < EXO_TX_SLOTS; i++)
		ring->tx[i] = (struct exo_tx){
			.offset = i % 8 * 100 + 1, .bytes = 100, .flags = i % 8 == 7 ? 0 : EXO_TX_MORE
		};
	for (unsigned guard = 0; guard < 2; guard++) {
		for (unsigned i = 0; i < 8; i++)
			*(uint16_t *)(data + i * 100 + 1 + 40) = guard ? EXO_GUARDS_MAX << 8 : 0;
		ring->tx_head = ring->tx_taken + EXO_TX_SLOTS;
		MEASURE(
		    guard ? "flow_kick, eight parts each" : "flow_kick, all refused", exo_flow_kick(flow));
		thread_sleep(core_now() + MS);
		exo_flow_kick(flow);
	}
	for (unsigned i = 0; i < EXO_TX_SLOTS; i++)
		ring->tx[i] = (struct exo_tx){ .offset = i % 8 * 100 + 1, .bytes = 100 };
	ring->tx_head = ring->tx_taken + 16;
	MEASURE("flow_kick, sixteen frames", exo_flow_kick(flow));
	thread_sleep(core_now() + MS);
	for (unsigned i = 0; i < EXO_TX_SLOTS; i++)
		ring->tx[i] = (struct exo_tx){
			.offset = i % 8 * 100 + 1, .bytes = 100, .flags = i % 4 == 3 ? 0 : EXO_TX_MORE
		};
	ring->tx_head = ring->tx_taken + EXO_TX_SLOTS;
	MEASURE("flow_kick, sixteen frames of four parts", exo_flow_kick(flow));
	thread_sleep(core_now() + MS);
	MEASURE("flow_kick, takes them back", exo_flow_kick(flow));
	REPEAT("cap_delete of a bound flow", exo_cap_delete(flow));
	REPEAT("cap_revoke of 61 flows", exo_cap_revoke(top));
	caps_delete(top);
	/* Many flows bound through frames of one capability each. */
	space_map(va, 0, 0, 0, 1);
	space_map(data, 0, 0, 0, 16);
	unsigned bound = 0;
	for (unsigned i = 0; i < 40; i++) {
		struct exo_claim *c = core_arg(0);
		memset(c, 0, sizeof(*c));
		c->terms = 1;
		c->term[0] =
		    (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = 0x4000 + i };
		slot = caps_slot();
		exo_cap_t one = made(slot, caps_flow_make(slot, net, cap, i, 0));
		exo_cap_t part = (exo_cap_t)caps_derive(rings, RWX, 3 * i, 3), all = 0;
		space_map(va, RW, part, 0, 1);
		ring->rx_frames = 2;
		space_map(va, 0, 0, 0, 1);
		all = (exo_cap_t)caps_derive(sent, EXO_RIGHT_READ, 0, 256);
		bound += exo_flow_bind(one, part, 0, all, 0, 256) == 0;
	}
	REPEAT("cap_revoke of 40 ranges that flows send from", exo_cap_revoke(sent));
	REPEAT("cap_revoke of 40 rings", exo_cap_revoke(rings));
	REPEAT("cap_revoke of 40 flows", exo_cap_revoke(net));
	is(bound, 40, "flows were bound");
	REPEAT("cap_delete of the rings", exo_cap_delete(rings));
	REPEAT("cap_delete of what was sent", exo_cap_delete(sent));
	caps_delete(cap);
}

#endif
