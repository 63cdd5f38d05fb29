/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows as objects: making a narrower one below one's own, binding rings to it, and taking both apart again.
 *
 * A flow lives in a frame that its maker gives up and lives as long as a capability names it, or a flow below it needs
 * it. A binding lives until one of the three capabilities that it was made through goes: the flow's, the ring's, the
 * transmit frames'; it carries nothing any more once its environment has ended. unbind() waits for nothing: frames that
 * the device is still reading stay pinned by the driver until they come back; until then they are charged to whom they
 * were charged before, and cannot be freed.
 *
 * Calls are checks in a column, then writes that cannot fail. Bounds: making costs a comparison with each flow of the
 * table; binding and unbinding one step for each frame of the rings.
 */
#include "exo/dev/dev.h"

/* What ending costs of the budget of one step (EXO_UNWIND_MAX): a binding, of which one step ends one; a flow; a search. */
#define UNBIND_UNITS	40
#define DROP_UNITS	4
#define SEARCH_UNITS	8

struct spinlock flow_lock;

static struct flow *flow_of(exo_pfn_t pfn)
{
	return pfn_to_virt(pfn);
}

static void flow_init(struct flow *flow, exo_pfn_t pfn, struct device *device, uint16_t index, uint16_t parent)
{
	struct exo_flow_info *entry = &info_flow[index];

	__builtin_memset(flow, 0, sizeof(*flow));
	flow->self = pfn;
	flow->index = index;
	flow->parent = parent;
	flow->device = device;
	flow->info = entry;
	__builtin_memset(entry, 0, sizeof(*entry));
	entry->device = device->index;
	entry->state = 1;
}

static void flow_label(struct flow *flow)
{
	__builtin_memcpy(flow->info->label, flow->claim.label, sizeof(flow->info->label));
}

exo_pfn_t flow_make_root(struct device *device)
{
	exo_pfn_t pfn = frame_boot_take(1, EXO_FRAME_FLOW);
	struct flow *flow = flow_of(pfn);
	uint16_t index = flow_index_free();

	kassert(index != FLOW_NONE);
	flow_init(flow, pfn, device, index, FLOW_NONE);
	flow->claim.guard_any = true;
	__builtin_memcpy(flow->claim.label, device->info->name, sizeof(flow->claim.label));
	flow_label(flow);
	flow_insert(flow);
	device->root = flow;
	return pfn;
}

/* exo_flow_make(slot, parent, frames, first, offset): the new flow's handle. */
int64_t sys_flow_make(uint64_t slot, uint64_t parent_cap, uint64_t frames_cap, uint64_t first, uint64_t offset,
    uint64_t a5)
{
	static struct flow_claim claim;
	static struct exo_claim copy;
	struct env *env = current_env();
	int64_t error = 0;
	struct exo_cap *free = cap_free_slot(env, slot);
	struct exo_cap *through = cap_need(env, parent_cap, EXO_TYPE_FLOW, EXO_RIGHT_CLAIM, &error);
	const struct exo_claim *asked = call_argument(offset, sizeof(*asked));
	struct flow *parent, *flow;
	exo_pfn_t pfn;

	(void)a5;
	if (!through || !cap_need_frames(env, frames_cap, EXO_RIGHT_WRITE, first, 1, &pfn, &error))
		return error;
	if (!free)
		return ERR(SLOT);
	if (!asked || offset % sizeof(uint32_t))
		return ERR(INVAL);
	if (!frame_retypable(pfn))
		return ERR(BUSY);
	error = cap_derivable(through);
	if (error)
		return error;
	parent = flow_of(through->object);
	if (parent->info->depth >= CAP_DEPTH_MAX)
		return ERR(DEPTH);
	copy = *asked;
	error = flow_claim_read(&claim, &copy);
	if (error == 0)
		error = flow_claim_check(parent, &claim);
	if (error)
		return error;

	if (!account_take(pfn_to_virt(env->account), EXO_SHARE_FLOWS, 1))
		return ERR(QUOTA);

	frame_retype(pfn, EXO_FRAME_FLOW, parent->self);
	flow = flow_of(pfn);
	flow_init(flow, pfn, parent->device, flow_index_free(), parent->index);
	flow->account = env->account;
	flow->claim = claim;
	flow_label(flow);
	flow->info->depth = parent->info->depth + 1;
	spin_lock(&flow_lock);
	flow_insert(flow);
	spin_unlock(&flow_lock);
	return (int64_t)cap_fill(free, EXO_TYPE_FLOW, through->rights, 0, 0, pfn, through, (uint32_t)slot);
}

/* --- binding --- */

/* Could the kernel or a device use these frames? Those of a ring serve for sending, too. */
static bool frames_usable(exo_pfn_t pfn, uint32_t count, bool ring_too)
{
	unsigned other = ring_too ? EXO_FRAME_RING : EXO_FRAME_OWNED;
	const struct exo_frame_info *entry = &info_frame[pfn];
	const struct frame *frame = &frame_table[pfn], *end = frame + count;

	for (; frame < end; frame++, entry++) {
		if ((entry->state != EXO_FRAME_OWNED && entry->state != other) || frame->pins == UINT16_MAX)
			return false;
	}
	return true;
}

/* frame_pin() and frame_unpin(), without a call for each of the many frames. */
static void frames_pin(exo_pfn_t pfn, uint32_t count)
{
	for (struct frame *frame = &frame_table[pfn], *end = frame + count; frame < end; frame++)
		frame->pins++;
}

static void frames_unpin(exo_pfn_t pfn, uint32_t count)
{
	const struct exo_frame_info *entry = &info_frame[pfn];
	struct frame *frame = &frame_table[pfn];

	for (; count > 0; count--, pfn++, entry++, frame++) {
		if (entry->holds && frame->pins)
			frame->pins--;
		else
			frame_unpin(pfn);
	}
}

static void frames_state(exo_pfn_t pfn, uint32_t count, uint8_t state)
{
	for (struct exo_frame_info *entry = &info_frame[pfn], *end = entry + count; entry < end; entry++)
		entry->state = state;
}

/* No packet and no event goes to its environment any more. */
static void quiet(struct flow *flow)
{
	exo_pfn_t *link = &flow->env->flows;

	while (*link != flow->self)
		link = &flow_of(*link)->env_next;
	*link = flow->env_next;
	flow->env = NULL;
	flow->info->state = 1;
	flow->info->env = 0;
}

static void unbind(struct flow *flow)
{
	spin_lock(&flow_lock);
	if (flow->env)
		quiet(flow);
	flow->device->orphan(flow->device, flow);
	flow->ring = NULL;
	spin_unlock(&flow_lock);
	account_charge(pfn_to_virt(flow->ring_account), EXO_SHARE_RINGS, -(int32_t)(1 + flow->rx_frames + flow->tx_frames));
	frames_state(flow->ring_pfn, 1 + flow->rx_frames, EXO_FRAME_OWNED);
	frames_unpin(flow->ring_pfn, 1 + flow->rx_frames);
	frames_unpin(flow->tx_pfn, flow->tx_frames);
	flow->through = flow->ring_cap = flow->tx_cap = NULL;
}

static void bind(struct flow *flow, struct env *env)
{
	frames_state(flow->ring_pfn, 1 + flow->rx_frames, EXO_FRAME_RING);
	frames_pin(flow->ring_pfn, 1 + flow->rx_frames);
	frames_pin(flow->tx_pfn, flow->tx_frames);
	flow->ring_cap->flags |= CAP_RINGS;
	if (flow->tx_cap)
		flow->tx_cap->flags |= CAP_RINGS;
	flow->rx_slots = 2 * flow->rx_frames;
	flow->tx_bytes = flow->tx_frames * EXO_PAGE_SIZE;
	flow->rx_head = flow->tx_taken = flow->tx_done = 0;
	flow->tx_back = 0;
	flow->tx_wait = false;
	flow->ring->version = EXO_RING_VERSION;
	flow->ring->size = sizeof(*flow->ring);
	flow->ring->rx_head = flow->ring->tx_taken = flow->ring->tx_done = 0;
	flow->env = env;
	flow->env_next = env->flows;
	env->flows = flow->self;
	flow->info->state = 2;
	flow->info->env = env->index;
}

/* exo_flow_bind(flow, ring frames, first, transmit frames, first, count); without transmit frames count is 0. */
int64_t sys_flow_bind(uint64_t flow_cap, uint64_t ring_cap, uint64_t ring_first, uint64_t tx_cap, uint64_t tx_first,
    uint64_t tx_count)
{
	struct env *env = current_env();
	int64_t error = 0;
	struct exo_cap *through = cap_need(env, flow_cap, EXO_TYPE_FLOW, EXO_RIGHT_BIND, &error);
	struct exo_cap *rings, *sends = NULL;
	exo_pfn_t ring_pfn, tx_pfn = 0;
	struct flow *flow;
	uint32_t rx_frames;

	if (!through || !cap_need_frames(env, ring_cap, EXO_RIGHT_WRITE, ring_first, 1, &ring_pfn, &error))
		return error;
	flow = flow_of(through->object);
	if (flow->ring)
		return ERR(BUSY);
	if (tx_count > EXO_TX_FRAMES_MAX)
		return ERR(INVAL);
	if (!frames_usable(ring_pfn, 1, false))
		return ERR(BUSY);
	rx_frames = read_once(((struct exo_ring *)pfn_to_virt(ring_pfn))->rx_frames);
	if (rx_frames == 0 || rx_frames > EXO_RX_FRAMES_MAX || (rx_frames & (rx_frames - 1)))
		return ERR(INVAL);
	rings = cap_need_frames(env, ring_cap, EXO_RIGHT_WRITE, ring_first, 1 + rx_frames, &ring_pfn, &error);
	if (rings && tx_count)
		sends = cap_need_frames(env, tx_cap, EXO_RIGHT_READ, tx_first, tx_count, &tx_pfn, &error);
	if (!rings || (tx_count && !sends))
		return error;
	if (!frames_usable(ring_pfn, 1 + rx_frames, false) || !frames_usable(tx_pfn, (uint32_t)tx_count, true))
		return ERR(BUSY);
	if (!account_take(pfn_to_virt(env->account), EXO_SHARE_RINGS, 1 + rx_frames + (uint32_t)tx_count))
		return ERR(QUOTA);

	spin_lock(&flow_lock);
	flow->ring_account = env->account;
	flow->through = through;
	flow->ring_cap = rings;
	flow->tx_cap = sends;
	flow->ring = pfn_to_virt(ring_pfn);
	flow->ring_pfn = ring_pfn;
	flow->rx_frames = rx_frames;
	flow->tx_pfn = tx_pfn;
	flow->tx_frames = (uint32_t)tx_count;
	bind(flow, env);
	spin_unlock(&flow_lock);
	return 0;
}

/* exo_flow_kick(flow): frames taken. A capability that names a flow under the lock names one that is there. */
int64_t sys_flow_kick(uint64_t flow_cap, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	int64_t result = 0;
	struct exo_cap *through;
	struct flow *flow;

	(void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	spin_lock(&flow_lock);
	through = cap_need(env, flow_cap, EXO_TYPE_FLOW, EXO_RIGHT_BIND, &result);
	if (through) {
		flow = flow_of(through->object);
		result = cap_still(through, flow_cap) && flow->env == env ? flow_kick(flow) : ERR(STATE);
	}
	spin_unlock(&flow_lock);
	return result;
}

/* --- ends --- */

void flow_hold(exo_pfn_t pfn)
{
	flow_of(pfn)->holds++;
}

/* Nothing names it and nothing below needs it: it goes, and perhaps the one above with it. */
static void flow_collect(struct flow *flow)
{
	while (flow->holds == 0 && flow->children == 0 && flow->parent != FLOW_NONE) {
		struct flow *parent = flow_table[flow->parent];
		exo_pfn_t self = flow->self;

		spin_lock(&flow_lock);
		flow_remove(flow);
		spin_unlock(&flow_lock);
		account_charge(pfn_to_virt(flow->account), EXO_SHARE_FLOWS, -1);
		flow->info->state = 0;
		__builtin_memset(flow, 0, sizeof(*flow));
		frame_retype(self, EXO_FRAME_OWNED, 0);
		flow = parent;
	}
}

__attribute__((cold)) bool flow_unhold(struct exo_cap *cap, unsigned *budget)
{
	struct flow *flow = flow_of(cap->object);

	kassert(flow->holds > 0);
	if (flow->ring && (flow->through == cap || flow->holds == 1)) {
		if (!afford(budget, UNBIND_UNITS))
			return false;
		unbind(flow);
	}
	if (!afford(budget, DROP_UNITS))
		return false;
	flow->holds--;
	flow_collect(flow);
	return true;
}

bool flow_cut(struct exo_cap *cap, unsigned *budget)
{
	if (!afford(budget, SEARCH_UNITS))
		return false;
	for (unsigned i = 0; i < EXO_FLOWS_MAX; i++) {
		struct flow *flow = flow_table[i];

		if (!flow || !flow->ring || (flow->ring_cap != cap && flow->tx_cap != cap))
			continue;
		if (!afford(budget, UNBIND_UNITS))
			return false;
		unbind(flow);
	}
	cap->flags &= (uint8_t)~CAP_RINGS;
	return true;
}

void flow_release(struct env *env)
{
	spin_lock(&flow_lock);
	while (env->flows)
		quiet(flow_of(env->flows));
	spin_unlock(&flow_lock);
}
