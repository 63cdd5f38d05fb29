/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The largest binding of a flow there can be ends in whatever way what it was made of is taken back: by deleting what it
 * sends from, by destroying its environment, by reclaiming that one's frames, whose steps are half as long. Every
 * step gets somewhere, and what the device still reads is nobody's until it gives it back.
 */
#include "test/unit/flow_fake.h"

#define STEPS_MOST	1000

static int64_t delete_some(unsigned who)
{
	return CALL(who, cap_delete, world_handle(who, SLOT_TX));
}

static int64_t destroy_some(unsigned who, unsigned units)
{
	bool done;

	here.current = world.env[0];
	kernel_lock();
	env_end(world.env[who], EXO_CAUSE_DESTROYED, 0, 0);
	done = env_destroy_some(world.env[who], &units);
	kernel_unlock();
	return done ? 0 : ERR(AGAIN);
}

/* Environment `who` is given a flow and binds it; then it ends, or (0) loses its transmit frames. */
static void largest(unsigned who, unsigned units)
{
	struct exo_term term = { .offset = 12, .width = 2, .mask = 0xffff, .value = 0x7000 + who };
	struct exo_claim claim = claim_of(1, &term);
	unsigned steps = 0;
	struct exo_ring *ring;
	struct flow *flow;
	int64_t result;
	exo_pfn_t last;

	claim.guards = 1;
	(void)make(0, SLOT_FIRST + who, world_handle(0, SLOT_ROOT), who, &claim);
	flow = flow_at(0, SLOT_FIRST + who);
	cap_fill(cap_free_slot(world.env[who], SLOT_FIRST + 10), EXO_TYPE_FLOW, EXO_RIGHT_BIND, 0, 0, flow->self,
	    cap_slot(world.env[0], SLOT_FIRST + who), SLOT_FIRST + 10);
	take_run(who, SLOT_RING, 1 + EXO_RX_FRAMES_MAX);
	take_run(who, SLOT_TX, EXO_TX_FRAMES_MAX);
	ring = pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], SLOT_RING)->first);
	ring->rx_frames = EXO_RX_FRAMES_MAX;
	is_int(CALL(who, flow_bind, world_handle(who, SLOT_FIRST + 10), world_handle(who, SLOT_RING), 0,
	    world_handle(who, SLOT_TX), 0, EXO_TX_FRAMES_MAX), 0, "as large as can be");
	ring->tx[0] = (struct exo_tx){ .offset = EXO_TX_FRAMES_MAX * EXO_PAGE_SIZE - 500, .bytes = 500 };
	ring->tx_head = 1;
	is_int(CALL(who, flow_kick, world_handle(who, SLOT_FIRST + 10)), 1, "its last frame is sent");
	is_int(fake.count, 1, "it is on its way");
	last = flow->tx_pfn + EXO_TX_FRAMES_MAX - 1;

	do
		result = who ? destroy_some(who, units) : delete_some(who);
	while (result == ERR(AGAIN) && ++steps < STEPS_MOST);
	is_int(result, 0, who ? "its environment is destroyed" : "what it sends from is deleted");
	ok(steps > 0, "not in one step (%u)", steps + 1);
	ok(!flow->ring && !flow->tx_frames, "it is bound no more");
	ok(!world_check(), "all in order");
	ok(info_frame[last].state != EXO_FRAME_FREE && info_frame[last - 1].state == EXO_FRAME_FREE,
	    "what the device reads stays");
	fake_return(0);
	ok(info_frame[last].state == EXO_FRAME_FREE && !world_check(), "until it gives it back");
}

int main(void)
{
	flow_world(4096);
	largest(0, 0);
	largest(1, EXO_UNWIND_MAX);
	largest(2, EXO_UNWIND_MAX / 2);
	return done();
}
