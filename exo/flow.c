/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows as objects: making a narrower one below one's own, binding rings to it, and taking both apart again.
 *
 * A flow lives in a frame that its maker gives up and lives as long as a capability names it, or a flow below it needs
 * it. A binding lives until one of the three capabilities that it was made through goes: the flow's, the ring's, the
 * transmit frames'; nothing is received once its environment has ended. unbind() waits for nothing: frames that
 * the device is still reading stay pinned by the driver until they come back; until then they are charged to whom they
 * were charged before, and cannot be freed.
 *
 * Calls are checks in a column, then writes that cannot fail. Bounds: making is bounded by flow_table.c; binding and
 * unbinding cost one step for each frame of the rings.
 */
#include "exo/codes.h"
#include "exo/dev/dev.h"

/*
 * What ending costs of the budget of a step (EXO_UNWIND_MAX): UNPIN_FRAMES of the transmit frames, while there are more;
 * what is left of the binding; a flow. So no stay does all that for one with the most frames.
 */
#define UNPIN_FRAMES	256
#define UNPIN_UNITS	18
#define UNBIND_UNITS	24
#define DROP_UNITS	5
#define OWN_UNITS	STEP_UNITS_MAX	/* the device starts anew */
_Static_assert(UNBIND_UNITS <= STEP_UNITS_MAX, "or an end would say AGAIN for ever");

#define BOUND_BUCKETS	256	/* of lists of what one capability has bound */
#define BOUND_SHIFT	56	/* 64 - log2 of that */

struct spinlock flow_lock;

static struct flow *flow_of(exo_pfn_t pfn)
{
	return pfn_to_virt(pfn);
}

static void flow_begin(struct flow *flow, exo_pfn_t pfn, struct device *device, uint16_t index, uint16_t parent)
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
	flow_begin(flow, pfn, device, index, FLOW_NONE);
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
	uint16_t shape = FLOW_NONE;
	exo_pfn_t pfn;

	(void)a5;
	if (through)
		error = cap_need_retypable(env, frames_cap, first, 1, &pfn);
	if (error)
		return error;
	if (!free)
		return ERR(SLOT);
	if (!asked || offset % sizeof(uint32_t))
		return ERR(INVAL);
	error = cap_derivable(through);
	if (error)
		return error;
	parent = flow_of(through->object);
	if (parent->info->depth >= CAP_DEPTH_MAX)
		return ERR(DEPTH);
	copy = *asked;
	error = flow_claim_read(&claim, &copy);
	if (error)
		return error;
	error = account_take_kept(pfn_to_virt(env->account), EXO_SHARE_FLOWS, 1);
	if (error)
		return error;
	error = flow_claim_check(parent, &claim, env->account, &shape);
	if (error) {
		account_charge(pfn_to_virt(env->account), EXO_SHARE_FLOWS, -1);
		return error;
	}

	frame_retype(pfn, EXO_FRAME_FLOW, parent->self);
	flow = flow_of(pfn);
	flow_begin(flow, pfn, parent->device, flow_index_free(), parent->index);
	flow->account = env->account;
	flow->claim = claim;
	flow->shape = shape;
	flow_label(flow);
	flow->info->depth = parent->info->depth + 1;
	flow->meter = claim.budget ? flow : parent->meter;
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

/* --- what a capability has bound --- */

/*
 * Two for each flow, in lists by capability; the first of each list is in a bucket, chosen by the capability's place. So
 * cutting what was bound through one costs what it has bound.
 */
static struct flow_bound *bound_buckets[BOUND_BUCKETS];	/* [k] */

static struct flow_bound **bound_find(const struct exo_cap *cap)
{
	struct flow_bound **link = &bound_buckets[cap_ref(cap) * 0x9e3779b97f4a7c15 >> BOUND_SHIFT];

	while (*link && (*link)->cap != cap)
		link = &(*link)->bucket;
	return link;
}

static void bound_enter(struct flow *flow, unsigned which, const struct exo_cap *cap)
{
	struct flow_bound *bound = &flow->bound[which], **link = bound_find(cap), *first = *link;

	*bound = (struct flow_bound){ .cap = cap, .flow = flow, .next = first, .bucket = first ? first->bucket : NULL };
	if (first)
		first->prev = bound;
	*link = bound;
}

static void bound_leave(struct flow_bound *bound)
{
	struct flow_bound **link;

	if (bound->prev) {
		bound->prev->next = bound->next;
	} else {
		link = bound_find(bound->cap);
		if (bound->next)
			bound->next->bucket = bound->bucket;
		*link = bound->next ? bound->next : bound->bucket;
	}
	if (bound->next)
		bound->next->prev = bound->prev;
	bound->cap = NULL;
}

/* --- binding, once more --- */

/* [kd] */
static void detach(struct flow *flow)
{
	flow->code->flow = NULL;
	flow->code = NULL;
	flow->attach_cap = flow->code_cap = NULL;
	flow->device->orphan(flow->device, flow, true);
}

/* Nothing is sent from the last transmit frames any more; what the device reads of them, it has pinned. */
static void unpin(struct flow *flow, uint32_t count)
{
	spin_lock(&flow_lock);
	flow->device->orphan(flow->device, flow, false);
	flow->tx_frames -= count;
	flow->tx_bytes = flow->tx_frames * EXO_PAGE_SIZE;
	spin_unlock(&flow_lock);
	account_charge(pfn_to_virt(flow->ring_account), EXO_SHARE_RINGS, -(int32_t)count);
	frames_unpin(flow->tx_pfn + flow->tx_frames, count);
}

/* False: budget used up. The binding lasts until all is done, with fewer frames to send from. */
static bool unbind(struct flow *flow, unsigned *budget)
{
	struct device *device = flow->device;

	if (device->owner == flow) {
		if (!afford(budget, OWN_UNITS))
			return false;
		spin_lock(&flow_lock);
		device->own(device, NULL);
		spin_unlock(&flow_lock);
	}
	while (flow->tx_frames > UNPIN_FRAMES) {
		if (!afford(budget, UNPIN_UNITS))
			return false;
		unpin(flow, UNPIN_FRAMES);
	}
	if (!afford(budget, UNBIND_UNITS))
		return false;
	unpin(flow, flow->tx_frames);	/* from here on only its program can send, until it is detached */
	bound_leave(&flow->bound[0]);
	if (flow->bound[1].cap)
		bound_leave(&flow->bound[1]);
	spin_lock(&flow_lock);
	if (flow->code)
		detach(flow);
	flow_room_forget(flow);
	flow->env = NULL;
	flow->ring = NULL;
	flow->info->state = 1;
	flow->info->env = 0;
	spin_unlock(&flow_lock);
	account_charge(pfn_to_virt(flow->ring_account), EXO_SHARE_RINGS, -(int32_t)(1 + flow->rx_frames));
	frames_state(flow->ring_pfn, 1 + flow->rx_frames, EXO_FRAME_OWNED);
	frames_unpin(flow->ring_pfn, 1 + flow->rx_frames);
	flow->through = flow->ring_cap = flow->tx_cap = NULL;
	return true;
}

static void bind(struct flow *flow, struct env *env)
{
	frames_state(flow->ring_pfn, 1 + flow->rx_frames, EXO_FRAME_RING);
	frames_pin(flow->ring_pfn, 1 + flow->rx_frames);
	frames_pin(flow->tx_pfn, flow->tx_frames);
	flow->ring_cap->flags |= CAP_RINGS;
	bound_enter(flow, 0, flow->ring_cap);
	flow->bound[1].cap = NULL;
	if (flow->tx_cap && flow->tx_cap != flow->ring_cap) {
		flow->tx_cap->flags |= CAP_RINGS;
		bound_enter(flow, 1, flow->tx_cap);
	}
	flow->rx_slots = 2 * flow->rx_frames;
	flow->tx_bytes = flow->tx_frames * EXO_PAGE_SIZE;
	flow->rx_head = flow->tx_taken = flow->tx_done = 0;
	flow->tx_back = 0;
	flow->tx_wait = false;
	flow->ring->version = EXO_RING_VERSION;
	flow->ring->size = sizeof(*flow->ring);
	flow->ring->rx_head = flow->ring->tx_taken = flow->ring->tx_done = flow->ring->rx_quiet = 0;
	flow->ring->own = flow->claim.own;
	flow->env = env;
	flow->info->state = 2;
	flow->info->env = env->index;
	if (flow->claim.own)
		flow->device->own(flow->device, flow);
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
	if (rx_frames == 0 || rx_frames > EXO_RX_FRAMES_MAX || (rx_frames & (rx_frames - 1)) ||
	    (flow->claim.own && 2 * rx_frames > flow->device->own_slots))
		return ERR(INVAL);
	rings = cap_need_frames(env, ring_cap, EXO_RIGHT_WRITE, ring_first, 1 + rx_frames, &ring_pfn, &error);
	if (rings && tx_count)
		sends = cap_need_frames(env, tx_cap, EXO_RIGHT_READ, tx_first, tx_count, &tx_pfn, &error);
	if (!rings || (tx_count && !sends))
		return error;
	if (!frames_usable(ring_pfn, 1 + rx_frames, false) || !frames_usable(tx_pfn, (uint32_t)tx_count, true))
		return ERR(BUSY);
	error = account_take_kept(pfn_to_virt(env->account), EXO_SHARE_RINGS, 1 + rx_frames + (uint32_t)tx_count);
	if (error)
		return error;

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

/* --- programs --- */

void flow_detach(struct flow *flow)
{
	spin_lock(&flow_lock);
	detach(flow);
	spin_unlock(&flow_lock);
}

bool flow_attached_through(const struct flow *flow, const struct exo_cap *cap)
{
	return flow->attach_cap == cap || flow->code_cap == cap;
}

int64_t sys_flow_attach(uint64_t flow_cap, uint64_t code_cap, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	int64_t error = 0;
	struct exo_cap *through = cap_need(env, flow_cap, EXO_TYPE_FLOW, EXO_RIGHT_BIND, &error), *program = NULL;
	struct code *code = NULL;
	struct flow *flow;

	(void)a2, (void)a3, (void)a4, (void)a5;
	if (!through)
		return error;
	flow = flow_of(through->object);
	if (code_cap) {
		program = cap_need(env, code_cap, EXO_TYPE_CODE, EXO_RIGHT_EXEC, &error);
		if (!program)
			return error;
		code = code_behind(program);
		if (!code || !code_ready(code))
			return ERR(STATE);
		if (code->program.use != EXO_USE_PACKET || flow->claim.shared || flow->claim.steered || flow->claim.own)
			return ERR(INVAL);
		if (code->user && code->user != flow)
			return ERR(BUSY);
	}
	if (flow->env != env)
		return ERR(STATE);

	if (flow->code)
		flow_detach(flow);
	if (!code)
		return 0;
	spin_lock(&flow_lock);
	flow->attach_cap = through;
	flow->code_cap = program;
	flow_handle_by(flow, code);
	spin_unlock(&flow_lock);
	return 0;
}

/* --- ends --- */

void flow_hold(const struct exo_cap *cap)
{
	flow_of(cap->object)->holds++;
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
	if (flow->ring && (flow->through == cap || flow->holds == 1) && !unbind(flow, budget))
		return false;
	if (flow->code && flow->attach_cap == cap) {
		if (!afford(budget, UNBIND_UNITS))
			return false;
		flow_detach(flow);
	}
	if (!afford(budget, DROP_UNITS))
		return false;
	flow->holds--;
	flow_collect(flow);
	return true;
}

bool flow_cut(struct exo_cap *cap, unsigned *budget)
{
	const struct flow_bound *bound;

	while ((bound = *bound_find(cap)) != NULL) {
		if (!unbind(bound->flow, budget))
			return false;
	}
	cap->flags &= (uint8_t)~CAP_RINGS;
	return true;
}
