/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repossession: taking by force what a demand has not brought in time. The second half of visible revocation.
 *
 * What goes, and in which order, is fixed and known beforehand (exo/disp.h). Only underived capabilities are
 * taken from; one loses its last frames or slices, and with it lose them all that were derived from it, those
 * first (C2). Environments come in the order of their index, slots from the highest down, in four passes:
 *   OWN        the account's environments: what nobody else holds; up to EXO_RANGE_MAX kernel objects behind
 *              it stay, but can be named no more
 *   STRANGERS  all environments, whoever else holds it: what is charged to the account, but given away
 *   OBJECTS    an environment ends and is destroyed, with what it made of frames; then from the start
 *   REST       what others have made of its frames is taken apart (reclaim.c); then from the start
 * Nothing goes that is charged to an account within its guarantee (demand_allowed), and it stops at once when
 * the demand is met: each frame that becomes free counts by itself (demand_given).
 *
 * Every step is bounded; the place reached is kept in the account that owes and is checked when it goes on,
 * because meanwhile tables change. To keep anybody from moving capabilities to where has been searched
 * already, nothing is derived from what is charged to the account while force is at work (demand_frozen).
 *
 * After the abort protocol of Aegis; its repossession vector is the abort record with a `spill`.
 */
#include "exo/splits.h"

/* A unit of the budget of a call stands for 100 to 170 instructions. */
#define CALL_UNITS	72
#define PAY_MAX		(CALL_UNITS - 8)	/* at once, or it would never be paid */
#define ENVS_PER_UNIT	8
#define SLOTS_PER_UNIT	4
#define LOOKS_PER_UNIT	8	/* of frames */
#define CUT_UNITS	7	/* to shorten a capability, beside what it loses */
#define CUT_MAX		(EXO_RANGE_MAX + EXO_REPOSSESS_MAX)	/* frames that it loses in one go */
#define FRAMES_PER_UNIT	2	/* let go */
#define SLICES_PER_UNIT	2
#define REST_LOOKS	128	/* in a call */
#define SPILL_UNITS	6
#define SPILL_MAX	8	/* frames that are copied in one go */
#define FREEZE_SLICES	8

enum { OWN, STRANGERS, OBJECTS, REST };

/* One call. */
struct work {
	struct account *on;
	struct account_force *force;
	unsigned kind, type;
	unsigned budget;
	uint32_t before;	/* left of the demand when it began */
	uint32_t dropped;	/* of the demand, because there is nothing to be had */
	bool spill;		/* what is being lost is copied first */
};

static bool spend(struct work *work, unsigned units)
{
	return afford(&work->budget, units);
}

/* --- frames and slices ---------------------------------------------------------------------------------- */

static const struct account *charged(const struct work *work, const struct exo_cap *cap)
{
	uint64_t last = cap->first + cap->count - 1;

	if (work->kind == EXO_SHARE_FRAMES)
		return account_at(frame_table[last].account);
	return account_at(cpus[last >> 32]->slice_account[(uint32_t)last]);
}

static bool ordinary(const struct exo_cap *cap, uint64_t which)
{
	return cap->type == EXO_TYPE_SLICE || (info_frame[which].state == EXO_FRAME_OWNED &&
	    !frame_table[which].pins && split_holds(cap, (exo_pfn_t)which, 1));
}

static bool alone(const struct work *work, uint64_t which)
{
	return (work->kind == EXO_SHARE_FRAMES ? info_frame[which].holds :
	    cpus[which >> 32]->slice_holds[(uint32_t)which]) == 1;
}

/* What is spilled to: NULL if the environment has named nothing of use. */
static const struct exo_cap *spill_cap(const struct env *env)
{
	const struct exo_cap *cap = cap_lookup(env, read_once(env->disp->abort.spill));

	return cap && cap->type == EXO_TYPE_FRAME && cap->rights & EXO_RIGHT_WRITE ? cap : NULL;
}

static bool spill_room(const struct env *env)
{
	const struct exo_cap *cap = spill_cap(env);

	return cap && read_once(env->disp->abort.spill_next) < cap->count;
}

/*
 * What an underived capability shall lose in this pass, from force->to on: false if nothing. The budget is
 * checked by the caller; here it is only counted.
 */
static bool choose(struct work *work, struct exo_cap *cap)
{
	uint32_t most = EXO_REPOSSESS_MAX - (work->before - work->on->view.demand_left);
	uint32_t i, want, n = 0, behind = 0, slot;
	const struct account *from;

	if (cap_is_split(cap) && !split_of(cap)->losing)
		cap->count = split_end_of(cap);
	i = cap->count;
	from = i ? charged(work, cap) : NULL;
	if (!from || !account_below(from, work->on))
		return false;
	want = demand_allowed(work->on, from);
	if (want > most)
		want = most;
	if (want > SPILL_MAX && work->kind == EXO_SHARE_FRAMES && spill_room(cap_env(cap, &slot)))
		want = SPILL_MAX;
	for (; i && behind < EXO_RANGE_MAX && !ordinary(cap, cap->first + i - 1); behind++)
		i--;
	while (i && n < want && ordinary(cap, cap->first + i - 1) &&
	    (cap->child || work->force->pass >= STRANGERS || alone(work, cap->first + i - 1))) {
		i--;
		n++;
	}
	work->budget -= work->budget < (behind + n) / LOOKS_PER_UNIT ? work->budget :
	    (behind + n) / LOOKS_PER_UNIT;
	work->force->to = cap->first + i;
	return n;
}

/* --- losing --------------------------------------------------------------------------------------------- */

/*
 * Copy frames that nothing maps any more to the next frames of `spill`, as far as it has room; where it has
 * gone itself or is no ordinary memory, nothing is copied. Returns the first of them.
 */
static uint32_t spill(struct env *env, exo_pfn_t first, uint32_t count)
{
	struct exo_abort *abort = &env->disp->abort;
	const struct exo_cap *cap = spill_cap(env);
	uint32_t next = read_once(abort->spill_next), i;
	uint64_t to;

	if (!cap || next >= cap->count)
		return EXO_NOT_SPILLED;
	for (i = 0; i < count && next + i < cap->count; i++) {
		to = cap->first + next + i;
		if (to - first >= count && info_frame[to].state == EXO_FRAME_OWNED &&
		    info_frame[first + i].state == EXO_FRAME_OWNED)
			__builtin_memcpy(pfn_to_virt((exo_pfn_t)to), pfn_to_virt(first + i), EXO_PAGE_SIZE);
	}
	abort->spill_next = next + i;
	return next;
}

/* A new record, or the last one grows downwards, so that a long loss does not push earlier records out. */
static void record(struct env *env, const struct exo_loss *loss)
{
	struct exo_abort *abort = &env->disp->abort;
	struct exo_loss *last = &abort->loss[(read_once(abort->lost) - 1) % EXO_LOSSES];

	if (!abort->lost || env_state(env) == EXO_ENV_ENDED || last->what != loss->what ||
	    last->why != loss->why || last->slot != loss->slot ||
	    last->first != loss->first + loss->count ||
	    (last->spilled & loss->spilled) != EXO_NOT_SPILLED) {
		env_lost(env, loss);
		return;
	}
	last->first = loss->first;
	last->count += loss->count;
	env_event(env, EXO_EVENT_LOST);
}

/* Frames [first, first + count), or slices, are not the capability's any more. */
static void lose(struct work *work, bool top, struct exo_cap *at, uint64_t first, uint32_t count)
{
	struct exo_loss loss = { .what = (uint8_t)work->type, .why = EXO_LOSS_DEMAND, .first = first,
		.count = count, .spilled = EXO_NOT_SPILLED };
	struct env *env = cap_env(at, &loss.slot);

	work->force->found = true;
	if (top && work->spill)
		loss.spilled = spill(env, (exo_pfn_t)first, count);
	record(env, &loss);
}

/* All slices from `first` on. */
static bool cut_slices(struct work *work, struct exo_cap *top, struct exo_cap *at, uint64_t first)
{
	struct exo_cap whole = *at;

	if (!spend(work, CUT_UNITS + whole.count / SLICES_PER_UNIT))
		return false;
	lose(work, at == top, at, first, (uint32_t)(whole.first + whole.count - first));
	at->first = first;
	at->count = (uint32_t)(whole.first + whole.count - first);
	slice_drop(at);
	at->first = whole.first;
	at->count = (uint32_t)(first - whole.first);
	return true;
}

/* Of what an underived capability is about to lose, keep what need not go: others may have given meanwhile. */
static void spare(struct work *work, struct exo_cap *top)
{
	uint32_t *losing = cap_losing(top);
	exo_pfn_t end = (exo_pfn_t)(top->first + top->count + *losing), pfn = end;
	uint32_t allowed = demand_allowed(work->on, account_at(frame_table[end - 1].account)), n = 0;

	if (work->spill && allowed > SPILL_MAX)
		allowed = SPILL_MAX;
	while (pfn > top->first + top->count && n + ordinary(top, pfn - 1) <= allowed)
		n += ordinary(top, --pfn);
	if (!n)
		pfn = end;
	top->count = (uint32_t)(pfn - top->first);
	*losing = end - pfn;
}

/* All frames from `first` on: set apart, so that nothing new is bound to them, cut loose, and let go. */
static bool cut_frames(struct work *work, struct exo_cap *top, struct exo_cap *at, uint64_t first)
{
	uint32_t units, count, slot, *losing = cap_losing(at);

	if (!*losing) {
		space_search_anew(at);
		*losing = (uint32_t)(at->first + at->count - first);
		at->count -= *losing;
	}
	first = at->first + at->count;
	if (unlikely(at->flags & CAP_WINDOWS) && !code_cut(at, (exo_pfn_t)first, *losing, &work->budget))
		return false;
	units = CUT_UNITS + *losing / FRAMES_PER_UNIT;
	work->spill = at == top && at->rights & EXO_RIGHT_READ && spill_room(cap_env(at, &slot));
	if (work->spill)
		units += SPILL_MAX * SPILL_UNITS;
	units = units < PAY_MAX ? units : PAY_MAX;
	if (!spend(work, units) || !space_unbind_frames(at, (exo_pfn_t)first, *losing, &work->budget))
		return false;	/* paid first: what has been searched would be searched anew */
	if (at == top)
		spare(work, top);
	first = at->first + at->count;
	count = *losing;
	if (!count)
		return true;
	lose(work, at == top, at, first, count);
	*losing = 0;
	cap_unhold(at, (exo_pfn_t)first, count);
	return true;
}

/* A capability loses all from force->to on; false: budget used up. The demand may be met then. */
static bool cut(struct work *work, struct exo_cap *top, struct exo_cap *at)
{
	uint64_t end = at->first + at->count, first;
	uint32_t allowed;

	if (work->force->to + CUT_MAX < end)
		work->force->to = end - CUT_MAX;	/* it has grown since it was chosen */
	first = work->force->to > at->first ? work->force->to : at->first;
	if (at->type == EXO_TYPE_FRAME && *cap_losing(at))
		return cut_frames(work, top, at, first);
	if (at == top && work->force->pass < STRANGERS)
		for (first = end; first > work->force->to && alone(work, first - 1); first--)
			;
	if (first >= end)
		return true;
	if (at->type == EXO_TYPE_FRAME)
		return cut_frames(work, top, at, first);
	if (at == top) {	/* others may have given meanwhile */
		allowed = demand_allowed(work->on, charged(work, top));
		if (!allowed)
			return true;
		if (first + allowed < end)
			first = end - allowed;
	}
	return cut_slices(work, top, at, first);
}

void repossess_leave(struct account *on)
{
	cap_ref_t at = on->force.at;
	struct exo_cap *cap;

	if (!at || info_frame[at >> 6].state != EXO_FRAME_CAPS)
		return;
	cap = cap_at(at);
	if (cap->type != EXO_TYPE_FRAME)
		return;
	cap->count += *cap_losing(cap);
	*cap_losing(cap) = 0;
}

/* An empty one goes. True: it was not, or is gone. */
static bool drop_empty(struct work *work, struct exo_cap *at)
{
	return at->count || (at->type == EXO_TYPE_FRAME && *cap_losing(at)) || !cap_drop_some(at, &work->budget);
}

/* --- the capability at hand ----------------------------------------------------------------------------- */

/* Is the place reached still below it? */
static bool place_good(const struct work *work, const struct exo_cap *top)
{
	cap_ref_t ref = work->force->at;
	const struct exo_cap *at;
	unsigned depth;

	if (!ref || info_frame[ref >> 6].state != EXO_FRAME_CAPS || cap_at(ref)->type != work->type)
		return false;
	at = cap_at(ref);
	for (depth = 0; at && depth < CAP_DEPTH_MAX; depth++, at = cap_at(at->parent))
		if (at == top)
			return true;
	return false;
}

/* Go on with it. False: budget used up. */
static bool shorten(struct work *work, struct exo_cap *top)
{
	struct account_force *force = work->force;
	struct exo_cap *at;
	cap_ref_t next, parent;
	uint32_t before = top->count + (top->type == EXO_TYPE_FRAME ? *cap_losing(top) : top->object);

	for (;;) {
		at = cap_at(force->at);
		if (!spend(work, 1))
			return false;
		if (!force->up && at->child && at->first + at->count > force->to) {
			force->at = at->child;
			continue;
		}
		force->up = true;
		if (!cut(work, top, at))
			return false;
		next = at->next;
		parent = at->parent;
		if (!drop_empty(work, at))
			return false;
		if (!work->on->demander)
			return true;
		if (at == top)
			break;
		force->at = next ? next : parent;
		force->up = !next;
	}
	force->generation = 0;
	if (top->type != EXO_TYPE_NONE && top->count == before)
		force->slot--;	/* nothing could be taken after all */
	return true;
}

/* --- the search ----------------------------------------------------------------------------------------- */

static void pass_next(struct account_force *force)
{
	force->pass++;
	if (force->pass == OBJECTS && force->found)
		force->pass = OWN;
	if (force->pass == OWN)
		force->found = false;
	force->env = 1;
	force->slot = UINT32_MAX;
}

/* The environment at hand, if this pass looks at it; else the next one comes. */
static struct env *env_search(struct work *work)
{
	struct account_force *force = work->force;
	struct env *env;
	unsigned i;

	for (i = 0; i < ENVS_PER_UNIT; i++) {
		if (force->env >= info->envs.entries) {
			pass_next(force);
			return NULL;
		}
		env = env_by_id(info_env[force->env].id);
		if (env && force->slot && (force->pass == STRANGERS ||
		    account_below(account_at(env->account), work->on)))
			return env;
		force->env++;
		force->slot = UINT32_MAX;
	}
	return NULL;
}

/* Look for a capability to take from in some slots of a table. */
static void table_search(struct work *work, const struct env *env)
{
	struct account_force *force = work->force;
	uint32_t slots = env->cap_frames * EXO_CAPS_PER_FRAME;
	struct exo_cap *cap;

	if (force->slot >= slots)
		force->slot = slots ? slots - 1 : 0;
	for (; force->slot; force->slot--) {
		if ((force->slot % SLOTS_PER_UNIT == 0 && !spend(work, 1)) || !work->budget)
			return;
		cap = cap_slot(env, force->slot);
		if (cap->type != work->type || cap->parent || !choose(work, cap))
			continue;
		force->whose = env->id;
		force->generation = cap->generation;
		force->at = cap_ref(cap);
		force->up = false;
		return;
	}
}

/* Ordinary memory has come of objects: from the start. */
static void search_again(struct work *work)
{
	if (!work->on->demander)
		return;
	work->force->pass = STRANGERS;
	work->force->found = true;
	pass_next(work->force);
}

/* Nothing ordinary is left: an environment goes, in steps, with what it has made of frames. */
static void objects(struct work *work)
{
	unsigned budget = EXO_UNWIND_MAX;
	struct env *env = env_search(work);

	if (!env)
		return;
	if (!demand_allowed(work->on, account_at(env->account))) {
		work->force->slot = 0;
		return;
	}
	work->budget = 0;
	env_end(env, EXO_CAUSE_REPOSSESSED, 0, 0);
	if (env_destroy_some(env, &budget))
		search_again(work);
}

/* No environment is left, or those that are keep to their guarantees: force->env counts frames. */
static void rest(struct work *work)
{
	struct account_force *force = work->force;
	unsigned budget = EXO_UNWIND_MAX, i;
	const struct account *from;
	int64_t error;

	for (i = 0; i < REST_LOOKS && work->kind == EXO_SHARE_FRAMES && force->env < info->frames_total;
	    i++, force->env++) {
		from = account_at(frame_table[force->env].account);
		if (!from || info_frame[force->env].state == EXO_FRAME_OWNED ||
		    !account_below(from, work->on) || !demand_allowed(work->on, from))
			continue;
		error = reclaim_some((exo_pfn_t)force->env, &budget);
		if (error == ERR(BUSY) || (!error && budget == EXO_UNWIND_MAX))
			continue;
		work->budget = 0;
		force->found = true;
		return;
	}
	if (work->kind == EXO_SHARE_FRAMES && force->env < info->frames_total)
		return;
	if (force->found) {
		search_again(work);
		return;
	}
	work->dropped = work->on->view.demand_left;
	demand_end(work->on, true);
}

/* One step; false: budget used up. */
static bool step(struct work *work)
{
	struct account_force *force = work->force;
	struct exo_cap *top;
	struct env *env;

	if (!spend(work, 1))
		return false;
	if (force->pass >= OBJECTS) {
		if (work->budget < CALL_UNITS - 2)
			return false;	/* a step there takes a call for itself */
		force->pass == OBJECTS ? objects(work) : rest(work);
		return work->budget;
	}
	env = env_search(work);
	if (!env) {
		force->generation = 0;
		return true;
	}
	if (!force->generation) {
		table_search(work, env);
		return true;
	}
	top = cap_slot(env, force->slot);
	if (env->id != force->whose || !top || top->generation != force->generation ||
	    top->type != work->type || top->parent) {
		repossess_leave(work->on);
		force->generation = 0;
		return true;
	}
	if (!place_good(work, top)) {
		repossess_leave(work->on);
		force->at = cap_ref(top);
		force->up = false;
	}
	return shorten(work, top);
}

/* Has the one who was asked had its time? */
static bool overdue(const struct account *on)
{
	const struct env *agent = env_by_id(on->asked);

	return arch_now() >= on->view.demand_by ||
	    (agent && agent->info->ns - on->asked_ns >= info->slice_ns);
}

/*
 * exo_repossess(account): take what is left of the caller's demand on an account (an ACCOUNT capability with
 * READ), once its time has passed or the environment that was told has run for a whole slice since. What goes
 * in which order stands above; each loss is recorded in the abort record of the environment that had it.
 * Returns how much has been taken by this call, at most EXO_REPOSSESS_MAX; call again until the demand has
 * ended. Root tables, flows and accounts that somebody names cannot be had; if nothing else is left, the
 * demand ends without them.
 * Errors: CAP, TYPE, RIGHTS; STATE the caller has no demand on it, or its time has not passed; AGAIN nothing
 * was taken yet, work is left. Cost: 16,000 instructions.
 */
int64_t sys_repossess(CALL_ARGS)
{
	struct env *env = current_env();
	struct work work = { .budget = CALL_UNITS };
	uint32_t allowed;
	struct account *on;
	struct exo_cap *cap;
	int64_t error;

	cap = cap_need(env, a0, EXO_TYPE_ACCOUNT, EXO_RIGHT_READ, &error);
	if (!cap)
		return error;
	on = account_at(cap->object);
	if (!on->demander || on->view.demand_from != env->id || !overdue(on))
		return ERR(STATE);

	work.on = on;
	work.force = &on->force;
	work.kind = demand_kind(on);
	work.type = on->view.demand_what;
	if (!on->force.until) {
		demands_forced++;
		on->force.env = 1;
		on->force.slot = UINT32_MAX;
	}
	if (on->force.until && arch_now() >= on->force.until) {
		repossess_leave(on);	/* something may have been derived since */
		on->force.generation = 0;
	}
	on->force.until = arch_now() + FREEZE_SLICES * info->slice_ns;
	allowed = demand_allowed(on, on);
	if (allowed < on->view.demand_left)
		demand_lessen(on, on->view.demand_left - allowed);
	work.before = on->view.demand_left;
	while (on->demander && work.before - on->view.demand_left < EXO_REPOSSESS_MAX && step(&work))
		;
	if (on->demander && on->view.demand_left == work.before)
		return ERR(AGAIN);
	return (int64_t)work.before - (int64_t)on->view.demand_left - work.dropped;
}
