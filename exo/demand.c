/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Demands: an account whose guarantee is not met asks one that has more than its own to give back. The first
 * half of visible revocation; what happens when nobody answers stands in repossess.c.
 *
 * A demand is an entry in the account that owes (what, how much is left, by when, for whom) and its number in
 * the account that asks; there is at most one on an account. Whatever that account lets go of counts: the
 * demand shrinks by it, and as much becomes the asking account's *credit*, which nobody else can take (A5).
 * Which frames or slices, only the owner decides.
 *
 * Between the two accounts lie others: those above the one that asks must have as much due to them, and those
 * above the one that owes as much too many, up to the first account that both lie below; so nothing reaches
 * across a guarantee at any level. `due` adds credits and demands up along the way, so that accounts that
 * share a guarantee cannot ask for it twice. A guarantee that changes later makes a demand smaller, or ends
 * it.
 *
 * After the repossession protocol of Aegis and the guaranteed and optimistic frames of Nemesis, which had one
 * level.
 */
#include "exo/kernel.h"

#define AGENTS_MAX	16	/* environments that are asked whether they still live */

uint32_t demands;			/* [k] */
uint32_t demands_forced;		/* [k] */
uint32_t slices_promised;		/* [k] */

static uint32_t *promised_of(unsigned kind)
{
	return kind == EXO_SHARE_FRAMES ? &info->frames_promised : &slices_promised;
}

static uint32_t free_of(const struct account *account, unsigned kind)
{
	if (kind == EXO_SHARE_FRAMES)
		return info->frames_free;
	while (account->parent)
		account = account_at(account->parent);
	return account->view.share[kind].guaranteed - account->view.share[kind].used;
}

/* How much more the one is than the other. */
static uint32_t excess(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

/* What is missing to its guarantee / what it has beyond. */
static uint32_t missing(const struct account *account, unsigned kind)
{
	return excess(account->view.share[kind].guaranteed, account->view.share[kind].used);
}

static uint32_t beyond(const struct account *account, unsigned kind)
{
	return excess(account->view.share[kind].used, account->view.share[kind].guaranteed);
}

static uint32_t least_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void due_add(struct account *account, unsigned kind, int64_t count)
{
	for (; account; account = account_at(account->parent))
		account->due[kind] += (uint32_t)count;
}

/* --- credit --------------------------------------------------------------------------------------------- */

static void credit_drop(struct account *account, unsigned kind, uint32_t count)
{
	account->view.credit[kind] -= count;
	*promised_of(kind) -= count;
	due_add(account, kind, -(int64_t)count);
}

/* It has taken some, or has less due: a credit is at most what is missing. */
static void credit_trim(struct account *account, unsigned kind)
{
	uint32_t most = missing(account, kind);

	if (account->view.credit[kind] > most)
		credit_drop(account, kind, account->view.credit[kind] - most);
}

int64_t demand_take(struct account *account, unsigned kind, uint32_t least, uint32_t count)
{
	uint32_t own = 0, others, room, left, n;
	struct account *one;

	assert_locked();
	for (one = account; one; one = account_at(one->parent))
		own += one->view.credit[kind];
	others = *promised_of(kind) - own;
	room = excess(free_of(account, kind), others);
	if (room < least)
		return ERR(FULL);
	n = least_of(count, room);
	if (!account_take(account, kind, n))
		return ERR(QUOTA);

	left = n;
	for (one = account; one; one = account_at(one->parent)) {
		own = least_of(left, one->view.credit[kind]);
		credit_drop(one, kind, own);
		left -= own;
		credit_trim(one, kind);
	}
	return n;
}

/* --- telling -------------------------------------------------------------------------------------------- */

/* The first environment charged to it that lives answers for it. */
static void ask_agent(struct account *on)
{
	struct env *env = on->agent;
	struct exo_abort *abort;
	unsigned i;

	for (i = 0; env && i < AGENTS_MAX && env_state(env) == EXO_ENV_ENDED; i++)
		env = env->account_next;
	on->asked = 0;
	if (!env || env_state(env) == EXO_ENV_ENDED)
		return;
	on->asked = env->id;
	on->asked_ns = env->info->ns;
	abort = &env->disp->abort;
	abort->demand_what = on->view.demand_what;
	abort->demand_count = on->view.demand_left;
	abort->demand_by = on->view.demand_by;
	abort->demands++;
	env_event(env, EXO_EVENT_DEMAND);
}

void demand_end(struct account *on, bool met)
{
	struct account *for_it = account_at(on->demander);
	struct env *agent = env_by_id(on->asked), *env = env_by_id(on->view.demand_from);
	unsigned i;

	for (i = 0; i < EXO_DEMANDS_MAX; i++)
		if (for_it->demand_on[i] == on->self)
			for_it->demand_on[i] = 0;
	due_add(for_it, demand_kind(on), -(int64_t)on->view.demand_left);
	if (on->force.until) {
		demands_forced--;
		repossess_leave(on);
	}
	if (agent)
		agent->disp->abort.demand_what = 0;
	on->demander = 0;
	on->view.demand_what = on->view.demand_count = on->view.demand_left = 0;
	on->view.demand_by = on->view.demand_from = 0;
	__builtin_memset(&on->force, 0, sizeof(on->force));
	demands--;
	if (met && env && env_state(env) != EXO_ENV_ENDED)
		env_event(env, EXO_EVENT_ANSWERED);
}

/* --- what becomes of a demand --------------------------------------------------------------------------- */

void demand_lessen(struct account *on, uint32_t count)
{
	on->view.demand_left -= count;
	due_add(account_at(on->demander), demand_kind(on), -(int64_t)count);
	if (!on->view.demand_left)
		demand_end(on, true);
}

/* A demand on it is for no more than it has beyond its guarantee. */
static void demand_trim(struct account *on, unsigned kind)
{
	uint32_t count = on->demander && demand_kind(on) == kind ? excess(on->view.demand_left, beyond(on, kind)) : 0;

	if (count)
		demand_lessen(on, count);
}

void demand_given(struct account *account, unsigned kind, uint32_t count)
{
	struct account *one, *for_it;
	uint32_t n, credit;

	for (one = account; one; one = account_at(one->parent)) {
		if (!one->demander || demand_kind(one) != kind)
			continue;
		for_it = account_at(one->demander);
		n = least_of(count, one->view.demand_left);
		count -= n;
		credit = least_of(n, missing(for_it, kind) - for_it->view.credit[kind]);
		for_it->view.credit[kind] += credit;
		*promised_of(kind) += credit;
		due_add(for_it, kind, credit);
		demand_lessen(one, n);
		demand_trim(one, kind);
	}
}

void demand_reconsider(struct account *account)
{
	unsigned kind;

	for (kind = 0; kind < ACCOUNT_ASKED; kind++) {
		credit_trim(account, kind);
		demand_trim(account, kind);
	}
}

void demand_forget(struct account *account, const struct env *env)
{
	struct account *on;
	unsigned i, kind;

	for (i = 0; i < EXO_DEMANDS_MAX; i++) {
		on = account_at(account->demand_on[i]);
		if (on && on->view.demand_from == env->id)
			demand_end(on, false);
	}
	for (kind = 0; kind < ACCOUNT_ASKED && !account->agent; kind++)
		credit_drop(account, kind, account->view.credit[kind]);
	if (account->demander && account->asked == env->id)
		ask_agent(account);
}

uint32_t demand_allowed(const struct account *on, const struct account *from)
{
	struct account *for_it = account_at(on->demander);
	const struct account *top = account_above(for_it, on), *one;
	unsigned kind = demand_kind(on);
	uint32_t count = on->view.demand_left;

	for (one = from; one != top; one = account_at(one->parent))
		count = least_of(count, beyond(one, kind));
	for (one = for_it; one != top; one = account_at(one->parent))
		count = least_of(count, missing(one, kind));
	return least_of(count, missing(for_it, kind) - for_it->view.credit[kind]);
}

bool demand_frozen(const struct account *account)
{
	for (; account; account = account_at(account->parent))
		if (account->force.until && arch_now() < account->force.until)
			return true;
	return false;
}

/* --- call ----------------------------------------------------------------------------------------------- */

/* Is so much due to the one, and too much at the other, at every level? */
static bool demand_due(struct account *own, const struct account *on, unsigned kind, uint32_t count)
{
	const struct account *top = account_above(own, on), *one;
	uint64_t used;

	for (one = own; one != top; one = account_at(one->parent)) {
		used = (uint64_t)one->view.share[kind].used + one->due[kind];
		if (used + count > one->view.share[kind].guaranteed)
			return false;
	}
	for (one = on; one != top; one = account_at(one->parent)) {
		used = one->view.share[kind].guaranteed;
		if (one->demander && demand_kind(one) == kind)
			used += one->view.demand_left;
		if (one->view.share[kind].used < used + count)
			return false;
	}
	return true;
}

/* Whoever asked has neither been given nor taken it by force, though it could for as long as it had to wait. */
static bool lapsed(const struct account *on)
{
	exo_time_t now = arch_now();

	return now >= on->view.demand_by && now - on->view.demand_by >= on->view.answer_ns &&
	    now >= on->force.until;
}

/*
 * exo_demand(account, what, count): ask an account (an ACCOUNT capability with READ) to give back `count`
 * frames (EXO_TYPE_FRAME) or slices (EXO_TYPE_SLICE), which the caller's own account is guaranteed and does
 * not have. The first environment charged to the account gets EVENT_DEMAND and reads in its abort record what
 * is wanted and by when: in answer_ns of its account from now. What it gives up from now on is kept for the
 * caller's account (`credit`, which can be mapped with the account's frame); when all is, the caller gets
 * EVENT_ANSWERED. The demand ends with the caller, or when another asks and its time has passed twice without
 * anything being taken by force. Returns 0.
 * Errors: CAP, TYPE, RIGHTS; INVAL what, count, or an account that lies above or below the own; BUSY another
 * demand is pending on it; STATE so much is not due to the own account, or to one above it, beside what it
 * has, has been given and has asked for; or the account, or one above it, does not have so much beyond its
 * guarantee; FULL EXO_DEMANDS_MAX demands are pending. Nothing has changed then. Cost: about 500.
 */
int64_t sys_demand(CALL_ARGS)
{
	struct env *env = current_env();
	struct account *own = account_at(env->account), *on;
	struct exo_cap *cap;
	unsigned kind, i;
	int64_t error;

	cap = cap_need(env, a0, EXO_TYPE_ACCOUNT, EXO_RIGHT_READ, &error);
	if (!cap)
		return error;
	on = account_at(cap->object);
	if ((a1 != EXO_TYPE_FRAME && a1 != EXO_TYPE_SLICE) || a2 == 0 || a2 > UINT32_MAX)
		return ERR(INVAL);
	if (account_below(own, on) || account_below(on, own))
		return ERR(INVAL);
	if (on->demander && !lapsed(on))
		return ERR(BUSY);
	if (on->demander)
		demand_end(on, false);
	kind = a1 == EXO_TYPE_FRAME ? EXO_SHARE_FRAMES : EXO_SHARE_SLICES;
	if (!demand_due(own, on, kind, (uint32_t)a2))
		return ERR(STATE);
	for (i = 0; i < EXO_DEMANDS_MAX && own->demand_on[i]; i++)
		;
	if (i == EXO_DEMANDS_MAX)
		return ERR(FULL);

	own->demand_on[i] = on->self;
	on->demander = own->self;
	on->view.demand_what = (uint32_t)a1;
	on->view.demand_count = on->view.demand_left = (uint32_t)a2;
	on->view.demand_by = arch_now() + on->view.answer_ns;
	on->view.demand_from = env->id;
	due_add(own, kind, (int64_t)a2);
	demands++;
	ask_agent(on);
	return 0;
}
