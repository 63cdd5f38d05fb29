/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities: what an environment may name. The invariants C1..C7 stand in kernel.h.
 *
 * A table is up to EXO_CAP_FRAMES_MAX frames of the environment's own, 64 slots each. A slot names an object
 * or a range of one, says which rights, and is linked into the tree of derivation by places in the tables
 * themselves, so there is no allocation, and deriving or dropping one costs O(1) plus what it covers. A
 * slot's generation grows when it is emptied; a slot whose generations are used up stays empty for good, so a
 * stale handle never names anything new.
 *
 * Dropping cuts what was bound through the capability, moves what was derived from it up to its parent and
 * lets its object go. It is restartable: from its first step on the capability is marked as dying and names
 * nothing any more, so that nobody can add to the work. Revoking drops descendants, leaves first, and tells
 * their owners what they lost; meanwhile nothing new is derived below, which a walk up of at most
 * CAP_DEPTH_MAX steps sees, so revocation ends whatever the others do.
 *
 * The idea is seL4's capability derivation tree (there a list in depth-first order; here parent, child and
 * siblings, because deleting must not scan). All that depends on the type of an object stands in one table
 * below.
 */
#include "exo/disks.h"
#include "exo/splits.h"

#define GENERATION_LAST		UINT32_MAX
#define FRAMES_PER_UNIT		(EXO_RANGE_MAX / EXO_UNWIND_MAX)	/* let go for one unit of budget */
#define SLICES_PER_UNIT		4
#define ACCOUNT_UNITS		4	/* for an account, with those that end because of it */
#define SCAN_UNITS		4	/* budget for looking through a table frame */

/* --- what depends on the type --------------------------------------------------------------------------- */

static void hold_frames(const struct exo_cap *cap)
{
	frame_hold((exo_pfn_t)cap->first, cap->count);
}

/* From the end, in steps. */
static bool drop_frames(struct exo_cap *cap, unsigned *budget)
{
	uint32_t count = *budget * FRAMES_PER_UNIT;

	if (unlikely(cap->rights & EXO_RIGHT_RESTORE))
		return split_drop(cap, budget);
	cap->count += cap->object;
	cap->object = 0;
	if (count > cap->count)
		count = cap->count;
	if (unlikely(cap->flags & CAP_WINDOWS) &&
	    !code_cut(cap, (exo_pfn_t)cap->first + cap->count - count, count, budget))
		return false;
	cap->count -= count;
	frame_unhold((exo_pfn_t)cap->first + cap->count, count);
	count = (count + FRAMES_PER_UNIT - 1) / FRAMES_PER_UNIT;
	*budget -= count < *budget ? count : *budget;
	return !cap->count;
}

static void hold_space(const struct exo_cap *cap)
{
	space_hold(cap->object);
}

static bool drop_space(struct exo_cap *cap, unsigned *budget)
{
	return space_unhold(cap->object, budget);
}

static bool drop_slices(struct exo_cap *cap, unsigned *budget)
{
	if (!afford(budget, cap->count / SLICES_PER_UNIT))
		return false;
	slice_drop(cap);
	return true;
}

static void hold_account(const struct exo_cap *cap)
{
	account_hold(cap->object);
}

static bool drop_account(struct exo_cap *cap, unsigned *budget)
{
	if (!afford(budget, ACCOUNT_UNITS))
		return false;
	account_unhold(cap->object);
	return true;
}

/* Types without functions name nothing that counts: an environment's capabilities find it by number or not
 * at all. */
static const struct {
	bool ranged;				/* a part of it can be derived */
	void (*hold)(const struct exo_cap *cap);
	bool (*drop)(struct exo_cap *cap, unsigned *budget);	/* false: budget used up */
} types[EXO_TYPE_COUNT] = {
	[EXO_TYPE_FRAME] = { true, hold_frames, drop_frames },
	[EXO_TYPE_SPACE] = { false, hold_space, drop_space },
	[EXO_TYPE_SLICE] = { true, slice_hold, drop_slices },
	[EXO_TYPE_FLOW] = { false, flow_hold, flow_unhold },
	[EXO_TYPE_ACCOUNT] = { false, hold_account, drop_account },
	[EXO_TYPE_PORTS] = { true, NULL, NULL },
	[EXO_TYPE_INTERRUPTS] = { true, NULL, interrupts_drop },
	[EXO_TYPE_CONSOLE] = { false, NULL, console_drop },
	[EXO_TYPE_CODE] = { false, code_hold, code_unhold },
	[EXO_TYPE_BLOCKS] = { true, NULL, disk_blocks_drop },
	[EXO_TYPE_DISK] = { true, NULL, disk_drop },
	[EXO_TYPE_NODE] = { false, registry_hold, registry_drop },
};

/* --- slots ---------------------------------------------------------------------------------------------- */

/* The capability behind a handle, dying ones too. */
static inline struct exo_cap *find(const struct env *env, exo_cap_t handle)
{
	struct exo_cap *cap = cap_slot(env, exo_cap_slot(handle));

	if (unlikely(!cap || cap->generation != handle >> 32 || cap->type == EXO_TYPE_NONE))
		return NULL;
	return cap;
}

struct exo_cap *cap_need(const struct env *env, exo_cap_t handle, unsigned type, unsigned rights,
    int64_t *error)
{
	struct exo_cap *cap = cap_lookup(env, handle);

	if (unlikely(!cap)) {
		*error = ERR(CAP);
		return NULL;
	}
	if (unlikely(cap->type != type)) {
		*error = ERR(TYPE);
		return NULL;
	}
	if (unlikely(rights & ~cap->rights)) {
		*error = ERR(RIGHTS);
		return NULL;
	}
	return cap;
}

bool cap_frames(const struct exo_cap *cap, uint64_t index, uint64_t count, exo_pfn_t *pfn)
{
	if (count > cap->count || index > cap->count - count)
		return false;
	*pfn = (exo_pfn_t)(cap->first + index);
	return true;
}

struct exo_cap *cap_need_frames(const struct env *env, exo_cap_t handle, unsigned rights, uint64_t index,
    uint64_t count, exo_pfn_t *pfn, int64_t *error)
{
	struct exo_cap *cap = cap_need(env, handle, EXO_TYPE_FRAME, rights, error);

	if (!cap)
		return NULL;
	if (!cap_frames(cap, index, count, pfn) ||
	    (unlikely(cap->rights & EXO_RIGHT_RESTORE) && !split_holds(cap, *pfn, (uint32_t)count))) {
		*error = ERR(RANGE);
		return NULL;
	}
	return cap;
}

int64_t cap_need_retypable(const struct env *env, exo_cap_t handle, uint64_t index, uint64_t count, exo_pfn_t *pfn)
{
	int64_t error;

	if (!cap_need_frames(env, handle, EXO_RIGHT_WRITE, index, count, pfn, &error))
		return error;
	return frames_retypable(*pfn, (uint32_t)count) ? 0 : ERR(BUSY);
}

struct exo_cap *cap_free_slot(const struct env *env, uint64_t slot)
{
	struct exo_cap *cap;

	if (slot == 0 || slot >= EXO_CAP_FRAMES_MAX * EXO_CAPS_PER_FRAME)
		return NULL;
	cap = cap_slot(env, (uint32_t)slot);
	return cap && cap->type == EXO_TYPE_NONE && cap->generation != GENERATION_LAST ? cap : NULL;
}

/* --- the tree of derivation ----------------------------------------------------------------------------- */

static void tree_link(struct exo_cap *cap, struct exo_cap *parent)
{
	cap->prev = 0;
	cap->next = 0;
	cap->parent = 0;
	if (!parent)
		return;
	cap->parent = cap_ref(parent);
	cap->next = parent->child;
	if (cap->next)
		cap_at(cap->next)->prev = cap_ref(cap);
	parent->child = cap_ref(cap);
}

static void tree_unlink(struct exo_cap *cap)
{
	if (cap->prev)
		cap_at(cap->prev)->next = cap->next;
	else if (cap->parent)
		cap_at(cap->parent)->child = cap->next;
	if (cap->next)
		cap_at(cap->next)->prev = cap->prev;
	cap->parent = cap->next = cap->prev = 0;
}

/* Right before another: who walks the list, and has not come to that yet, will come to this. */
static void tree_link_before(struct exo_cap *cap, struct exo_cap *at)
{
	if (!at->parent)
		return;
	cap->parent = at->parent;
	cap->next = cap_ref(at);
	cap->prev = at->prev;
	if (cap->prev)
		cap_at(cap->prev)->next = cap_ref(cap);
	else
		cap_at(cap->parent)->child = cap_ref(cap);
	at->prev = cap_ref(cap);
}

/* What was derived from it is derived from its parent now. */
static bool tree_lift(struct exo_cap *cap, unsigned *budget)
{
	struct exo_cap *child;

	while (cap->child) {
		if (!afford(budget, 1))
			return false;
		child = cap_at(cap->child);
		tree_unlink(child);
		tree_link_before(child, cap);
	}
	return true;
}

int64_t cap_derivable(const struct exo_cap *parent)
{
	unsigned depth = 1;

	for (; parent; parent = cap_at(parent->parent), depth++) {
		if (parent->flags & CAP_REVOKING)
			return ERR(STATE);
		if (depth >= CAP_DEPTH_MAX)
			return ERR(DEPTH);
	}
	return 0;
}

exo_cap_t cap_fill(struct exo_cap *cap, unsigned type, unsigned rights, uint64_t first, uint32_t count,
    exo_pfn_t object, struct exo_cap *parent, uint32_t slot)
{
	assert_locked();
	cap->flags = 0;
	cap->rights = (uint16_t)rights;
	cap->first = first;
	cap->count = count;
	cap->object = object;
	cap->child = 0;
	cap->bound = 0;
	tree_link(cap, parent);
	if (types[type].hold)
		types[type].hold(cap);
	__atomic_store_n(&cap->type, (uint8_t)type, __ATOMIC_RELEASE);	/* last: see cap_still */
	return exo_cap_make(slot, cap->generation);
}

/* --- dropping ------------------------------------------------------------------------------------------- */

int64_t cap_drop_some(struct exo_cap *cap, unsigned *budget)
{
	assert_locked();
	cap->flags |= CAP_DYING;
	if (cap->type == EXO_TYPE_ENTRY)
		cap->bound = 0;
	if (cap->flags & CAP_RINGS) {
		if (!disk_cut(cap, budget) || !flow_cut(cap, budget))
			return ERR(AGAIN);
	}
	if (cap->flags & CAP_TRACE && !trace_cut(cap, budget))
		return ERR(AGAIN);
	if (!space_unbind(cap, budget) || !tree_lift(cap, budget))
		return ERR(AGAIN);
	if (types[cap->type].drop && !types[cap->type].drop(cap, budget))
		return ERR(AGAIN);
	tree_unlink(cap);
	write_once(cap->generation, cap->generation + 1);	/* first: see cap_still */
	__atomic_store_n(&cap->type, EXO_TYPE_NONE, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	cap->flags = 0;
	cap->rights = 0;
	cap->first = 0;
	cap->count = 0;
	cap->object = 0;
	return 0;
}

int64_t cap_drop(struct exo_cap *cap)
{
	unsigned budget = EXO_UNWIND_MAX;

	return cap_drop_some(cap, &budget);
}

struct env *cap_env(const struct exo_cap *cap, uint32_t *slot)
{
	cap_ref_t ref = cap_ref(cap);
	struct env *env = pfn_to_virt(frame_table[ref >> 6].object);
	uint32_t which = frame_table[ref >> 6].level;

	kassert(env->cap_frame[which] == ref >> 6);
	*slot = which * EXO_CAPS_PER_FRAME + (uint32_t)(ref % EXO_CAPS_PER_FRAME);
	return env;
}

rarely void cap_table_add(struct env *env, exo_pfn_t pfn)
{
	struct exo_cap *cap = pfn_to_virt(pfn);
	unsigned i;

	arch_zero_frame(pfn);
	for (i = 0; i < EXO_CAPS_PER_FRAME; i++)
		cap[i].generation = 1;
	frame_retype(pfn, EXO_FRAME_CAPS, env->self);
	frame_table[pfn].level = (uint8_t)env->cap_frames;
	env->cap_frame[env->cap_frames++] = pfn;
}

/* Drop all in one frame of a dead env's table from slot env->cap_cursor on. */
static rarely bool clear_frame(struct env *env, unsigned *budget)
{
	struct exo_cap *cap = cap_slot(env, env->cap_cursor);
	uint32_t left = EXO_CAPS_PER_FRAME - env->cap_cursor % EXO_CAPS_PER_FRAME;

	if (!afford(budget, SCAN_UNITS))
		return false;
	for (; left; cap++, left--, env->cap_cursor++)
		if (cap->type != EXO_TYPE_NONE && (!afford(budget, 1) || cap_drop_some(cap, budget)))
			return false;
	return true;
}

rarely bool cap_clear(struct env *env, unsigned *budget)
{
	while (env->cap_cursor < env->cap_frames * EXO_CAPS_PER_FRAME)
		if (!clear_frame(env, budget))
			return false;
	while (env->cap_frames)
		frame_retype(env->cap_frame[--env->cap_frames], EXO_FRAME_OWNED, 0);
	env->cap_cursor = 0;
	return true;
}

/* --- calls ---------------------------------------------------------------------------------------------- */

struct env *cap_target(struct env *env, exo_cap_t handle, int64_t *error)
{
	return handle ? env_need_living(env, handle, EXO_RIGHT_GRANT, error) : env;
}

bool cap_frozen(const struct exo_cap *cap)
{
	uint32_t end;

	if (likely(!demands_forced))
		return false;
	if (cap->type == EXO_TYPE_FRAME) {
		end = split_end_of(cap);
		return end && demand_frozen(account_at(frame_table[cap->first + end - 1].account));
	}
	return cap->type == EXO_TYPE_SLICE &&
	    demand_frozen(account_at(cpus[cap->first >> 32]->slice_account[(uint32_t)cap->first]));
}

/* The part of a ranged source that is asked for: 0 or an error. */
static int64_t derive_range(const struct exo_cap *source, uint64_t first, uint64_t *count)
{
	uint64_t most = EXO_RANGE_MAX;

	if (source->type == EXO_TYPE_BLOCKS) {
		if (source->object)	/* a volume's */
			return ERR(BUSY);
		most = UINT32_MAX;
	}
	if (unlikely(source->rights & EXO_RIGHT_RESTORE))
		return ERR(STATE);
	if (first >= source->count || *count > source->count - first)
		return ERR(RANGE);
	if (*count == 0) {
		*count = source->count - first;
		return *count > most ? ERR(RANGE) : 0;
	}
	if (*count > most)
		*count = most;
	return 0;
}

/* More frames behind the end of a child that an earlier call made. */
static rarely int64_t derive_extend(const struct exo_cap *source, const struct env *target, exo_cap_t handle,
    uint64_t rights, uint64_t first, uint32_t count)
{
	struct exo_cap *child;
	int64_t error;

	child = cap_need(target, handle, EXO_TYPE_FRAME, 0, &error);
	if (!child)
		return error;
	if (child->parent != cap_ref(source) || child->rights != rights)
		return ERR(INVAL);
	if (child->object)
		return ERR(BUSY);
	if (child->first + child->count != source->first + first)
		return ERR(RANGE);
	if (!frame_holdable((exo_pfn_t)(source->first + first), count))
		return ERR(FULL);

	frame_hold((exo_pfn_t)(source->first + first), count);
	child->count += count;
	return count;
}

/*
 * The caller of the transfer that is served opens slots of its table by words of its dispatcher page, read
 * here once: the offer, to derive from, and the window, to derive into. Slot `index` of the offer; NULL, and
 * the error.
 */
static rarely struct exo_cap *offered(uint64_t index, int64_t *error)
{
	struct env *peer = transfer_peer(error);
	struct exo_cap *cap;

	if (!peer)
		return NULL;
	*error = ERR(CAP);
	if (index >= read_once(peer->disp->offer_count))
		return NULL;
	cap = cap_slot(peer, read_once(peer->disp->offer_first) + (uint32_t)index);
	return cap && cap->type != EXO_TYPE_NONE && !(cap->flags & CAP_DYING) ? cap : NULL;
}

/* The window's table; *slot, an index in the window or a handle of what lies there, becomes the table's slot. */
static rarely struct env *window(uint64_t *slot, int64_t *error)
{
	struct env *peer = transfer_peer(error);
	uint32_t first, index;

	if (!peer)
		return NULL;
	first = read_once(peer->disp->window_first);
	index = *slot >> 32 ? exo_cap_slot(*slot) - first : exo_cap_slot(*slot);
	if (index >= read_once(peer->disp->window_count) || index > UINT32_MAX - first) {
		*error = ERR(SLOT);
		return NULL;
	}
	if (!(*slot >> 32))
		*slot = first + index;
	return peer;
}

/* In whose table: the own one, that of whom the own one may grant to, or the peer's. */
static struct env *derive_target(struct env *self, uint64_t handle, uint64_t *slot, int64_t *error)
{
	return handle == EXO_PEER ? window(slot, error) : cap_target(self, handle, error);
}

/*
 * exo_cap_derive(source, env, slot, rights, first, count): a capability to what `source` names, derived from
 * it, in free slot `slot` of the own table (env 0), or of the one of `env` (an ENV capability with GRANT), or
 * of the window that the caller of the transfer being served has opened (env EXO_PEER; slot: index in the
 * window). source EXO_PEER + i: what lies in slot i of that caller's offer. rights: a subset. Frames,
 * slices, ports, lines, blocks and shares: the part [first, first + count) of source's range; count 0: all from
 * first on, but for blocks at most EXO_RANGE_MAX. Other types: first and count are 0. Returns the handle, in the table where it lies. Of
 * frames one call covers EXO_RANGE_MAX at most, from the front. To go on, call again with the returned handle
 * as `slot`, the same rights, first + done, count - done: that returns how many frames the child got at its
 * end. Errors: CAP, TYPE; RIGHTS more than source's, or env lacks GRANT; DEAD env has ended; SLOT; RANGE;
 * INVAL first or count of a type without ranges, or the child to extend has other rights or another parent;
 * FULL
 * 65535 capabilities cover a frame, or as many name a space; STATE source or one above it is being revoked,
 * or source is split;
 * DEPTH CAP_DEPTH_MAX derivations; BUSY it is charged to an account from which something is being taken by
 * force (exo_repossess). With EXO_PEER also STATE nobody is being served, BUSY whoever is served serves somebody
 * himself just now. Nothing has changed then. Cost: about 10 a frame.
 */
int64_t sys_cap_derive(CALL_ARGS)
{
	struct env *env = current_env(), *target;
	uint64_t first = 0, count = a5;
	struct exo_cap *source, *cap;
	int64_t error = ERR(CAP);

	source = cap_lookup(env, a0);
	if (!source && a0 - EXO_PEER < EXO_PEER_SLOTS)
		source = offered(a0 - EXO_PEER, &error);
	if (!source)
		return error;
	target = derive_target(env, a1, &a2, &error);
	if (!target)
		return error;
	if (a3 & ~(uint64_t)source->rights)
		return ERR(RIGHTS);
	if (types[source->type].ranged)
		error = derive_range(source, a4, &count);
	else
		error = a4 || a5 ? ERR(INVAL) : 0;
	if (!error)
		error = cap_derivable(source);
	if (error)
		return error;
	if (cap_frozen(source))
		return ERR(BUSY);
	if (types[source->type].ranged)
		first = a4;
	else
		count = source->count;
	if (a2 >> 32 && source->type == EXO_TYPE_FRAME)
		return derive_extend(source, target, a2, a3, first, (uint32_t)count);
	cap = cap_free_slot(target, a2);
	if (!cap)
		return ERR(SLOT);
	if (source->type == EXO_TYPE_FRAME && !frame_holdable((exo_pfn_t)(source->first + first),
	    (uint32_t)count))
		return ERR(FULL);
	if (source->type == EXO_TYPE_SPACE && !space_holdable(source->object))
		return ERR(FULL);

	return (int64_t)cap_fill(cap, source->type, (unsigned)a3, source->first + first, (uint32_t)count,
	    source->type == EXO_TYPE_FRAME ? 0 : source->object, source, (uint32_t)a2);
}

/*
 * exo_cap_delete(cap): drop a capability: page-table entries and rings bound through it are cut, what was
 * derived from it is derived from its parent from now on, and its object goes if nothing else names it:
 * frames become free, a space is taken apart. An environment does not end with its capabilities. Returns 0;
 * EXO_EAGAIN: call again; from the first call on it names nothing any more. A frame that a device still uses
 * is free once the device has returned it.
 * Errors: CAP; BUSY it is the last one of a frame in which a kernel object lies: destroy that first (of a
 * larger range, frames before the last EXO_RANGE_MAX are looked at when their turn comes; it is usable again
 * then, shorter and with its bindings cut). Cost: EXO_UNWIND_MAX links, EXO_RANGE_MAX frames.
 */
int64_t sys_cap_delete(CALL_ARGS)
{
	struct exo_cap *cap = find(current_env(), a0);
	uint32_t count;

	if (!cap)
		return ERR(CAP);
	if (cap->type == EXO_TYPE_FRAME) {
		count = cap->count < EXO_RANGE_MAX ? cap->count : EXO_RANGE_MAX;
		if (cap_busy(cap, (exo_pfn_t)(cap->first + cap->count - count), count)) {
			cap->flags &= (uint8_t)~CAP_DYING;
			return ERR(BUSY);
		}
	}
	return cap_drop(cap);
}

/* Another environment is about to lose a capability: say so in its abort record. */
static inline void tell_loss(const struct exo_cap *cap)
{
	struct exo_loss loss = { .what = cap->type, .why = EXO_LOSS_REVOKED, .first = cap->first,
		.count = cap->count, .spilled = EXO_NOT_SPILLED };
	struct env *env = cap_env(cap, &loss.slot);

	if (env != current_env())
		env_lost(env, &loss);
}

rarely void cap_tell_loss(const struct exo_cap *cap)
{
	tell_loss(cap);
}

/*
 * exo_cap_revoke(cap): drop all that was derived from a capability, directly or not, in whatever tables it
 * lies, with all that was bound through it. Who loses one reads it in its abort record. Nothing can be
 * derived below it before that is done. Returns 0, or EXO_EAGAIN: call again. Errors: CAP. Cost:
 * EXO_UNWIND_MAX capabilities, links, or EXO_RANGE_MAX frames.
 */
int64_t sys_cap_revoke(CALL_ARGS)
{
	struct exo_cap *cap = cap_lookup(current_env(), a0), *leaf;
	unsigned budget = EXO_UNWIND_MAX;

	if (!cap)
		return ERR(CAP);
	cap->flags |= CAP_REVOKING;
	while (cap->child) {
		if (!afford(&budget, 1))
			return ERR(AGAIN);
		for (leaf = cap_at(cap->child); leaf->child; leaf = cap_at(leaf->child))
			;
		if (!(leaf->flags & CAP_DYING))
			tell_loss(leaf);
		if (cap_drop_some(leaf, &budget))
			return ERR(AGAIN);
	}
	cap->flags &= (uint8_t)~CAP_REVOKING;
	if (cap->type == EXO_TYPE_ENV || cap->type == EXO_TYPE_ENTRY)
		smp_quiet();	/* nobody is on the way through one of them any more */
	return 0;
}

/*
 * exo_cap_table(frames, first): frame `first` of the capability `frames` (with WRITE), which must be neither
 * mapped nor pinned, is cleared and becomes the next EXO_CAPS_PER_FRAME slots of the own table. Returns the
 * first of them.
 * Errors: CAP, TYPE, RIGHTS; RANGE; FULL the table has EXO_CAP_FRAMES_MAX frames; BUSY. Nothing has changed
 * then.
 */
rarely int64_t sys_cap_table(CALL_ARGS)
{
	struct env *env = current_env();
	exo_pfn_t pfn;
	int64_t error;

	error = cap_need_retypable(env, a0, a1, 1, &pfn);
	if (error)
		return error;
	if (env->cap_frames == EXO_CAP_FRAMES_MAX)
		return ERR(FULL);

	cap_table_add(env, pfn);
	return (int64_t)(env->cap_frames - 1) * EXO_CAPS_PER_FRAME;
}
