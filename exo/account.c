/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounts: what resources are charged to, how much of each may be had, and how much is due. The invariants
 * A1..A6 stand in kernel.h.
 *
 * An account lies in a frame that its maker gave up. Accounts nest; what is charged to one is charged to all
 * above it, so a limit binds everything below. Guarantees are handed down: those right below an account never
 * sum to more than its own, so the root's, which is all there is, covers them all. A limit or a guarantee by
 * itself takes nothing away from anybody. Who is owed frames or slices asks for them (demand.c). Of all other kinds,
 * which are places in tables of the machine, what is guaranteed is kept free for its owner, below each limit above it
 * (A7). So all there is of a kind to know is how much the root has: account_root.
 *
 * An account that no environment, account, charge or capability names any more gives its frame back. Since
 * that frame is charged to an account too, which may then be the next, such accounts are put on a list and
 * taken from it a few at a time: no recursion, and the cost of a call stays bounded; the rest goes when
 * somebody lets go of an account the next time.
 */
#include <exo/trace.h>
#include "exo/flows.h"

#define REAP_MAX	4	/* accounts freed in one go */
#define ROOT_SLICES	16	/* slices that the root account has to answer in */

static exo_pfn_t dead_list;	/* [k] */
static bool reaping;

static bool account_needed(const struct account *account)
{
	unsigned kind;

	for (kind = 0; kind < EXO_SHARES; kind++)
		if (account->view.share[kind].used)
			return true;
	return account->users || account->holds;
}

static bool account_settle(struct account *account);

/* What of a kind nobody beside it can have: what is in use, and what is guaranteed beyond that. */
static uint32_t keeps(const struct account *account, unsigned kind)
{
	uint32_t guaranteed = account->view.share[kind].guaranteed, kept = account->kept[kind - ACCOUNT_ASKED];

	return kept > guaranteed ? kept : guaranteed;
}

static bool kind_kept(unsigned kind)
{
	return kind >= ACCOUNT_ASKED;
}

/* `count` more, or less, is kept in an account: 0, or what that passes: ERR(QUOTA) a limit, ERR(FULL) what there is. */
static int64_t keep(struct account *account, unsigned kind, int32_t count)
{
	int64_t error = 0;
	uint32_t before;

	for (; account && count; account = account_at(account->parent)) {
		before = keeps(account, kind);
		account->kept[kind - ACCOUNT_ASKED] += (uint32_t)count;
		count = (int32_t)(keeps(account, kind) - before);
		if (unlikely(count > 0 && keeps(account, kind) > account->view.share[kind].limit) && !error)
			error = account->parent ? ERR(QUOTA) : ERR(FULL);
	}
	return error;
}

/* `count` more, or less, is used, whatever the limits. */
static inline void use(struct account *account, unsigned kind, int32_t count)
{
	for (; account; account = account_at(account->parent))
		account->view.share[kind].used += (uint32_t)count;
}

/* A guarantee changes, and with it what is kept; returns whether there is so much, below each limit. */
static bool set_guarantee(struct account *account, struct account *parent, unsigned kind, uint32_t guaranteed)
{
	uint32_t before;

	parent->view.share[kind].promised += guaranteed - account->view.share[kind].guaranteed;
	if (!kind_kept(kind)) {
		account->view.share[kind].guaranteed = guaranteed;
		return true;
	}
	before = keeps(account, kind);
	account->view.share[kind].guaranteed = guaranteed;
	return !keep(parent, kind, (int32_t)(keeps(account, kind) - before));
}

/* Free some of those that nothing names any more. */
static void reap(void)
{
	struct account *account, *parent;
	unsigned i, kind;

	if (reaping)
		return;
	reaping = true;
	for (i = 0; i < REAP_MAX && dead_list; i++) {
		account = account_at(dead_list);
		dead_list = account->dead_next;
		parent = account_at(account->parent);
		for (kind = 0; parent && kind < EXO_SHARES; kind++)
			(void)set_guarantee(account, parent, kind, 0);
		frame_retype(account->self, EXO_FRAME_OWNED, 0);
		if (parent) {
			parent->users--;
			(void)account_settle(parent);
		}
	}
	reaping = false;
}

/* The last reason for an account may have gone. What it has only begun keeps nothing. */
static bool account_settle(struct account *account)
{
	if (likely(account->users || account->holds) || account->dead)
		return false;
	if (account->view.share[EXO_SHARE_SHAPES].used) {
		int32_t begun = flow_shapes_forget(account->self);

		use(account, EXO_SHARE_SHAPES, -begun);
		(void)keep(account, EXO_SHARE_SHAPES, -begun);
	}
	if (account_needed(account))
		return false;
	account->dead = true;
	account->dead_next = dead_list;
	dead_list = account->self;
	reap();
	return true;
}

static void account_init(exo_pfn_t pfn, exo_pfn_t parent, uint32_t limit, exo_time_t answer_ns)
{
	struct account *account = pfn_to_virt(pfn);
	unsigned kind;

	arch_zero_frame(pfn);
	account->view.version = EXO_ACCOUNT_VERSION;
	account->view.size = sizeof(account->view);
	for (kind = 0; kind < EXO_SHARES; kind++)
		account->view.share[kind].limit = EXO_UNLIMITED;
	account->view.share[EXO_SHARE_FRAMES].limit = limit;
	account->view.answer_ns = answer_ns;
	account->self = pfn;
	account->parent = parent;
	frame_retype(pfn, EXO_FRAME_ACCOUNT, pfn);
	if (parent)
		account_at(parent)->users++;
}

/* Frames that can ever be charged: the free ones, and the boot module's, which the first environment gets. */
exo_pfn_t account_root(void)
{
	exo_pfn_t pfn = frame_boot_take(1, EXO_FRAME_OWNED);
	struct account *root = pfn_to_virt(pfn);
	const uint32_t all[EXO_SHARES] = {
		[EXO_SHARE_FRAMES] = info->frames_free + frames_for(boot.module.end - boot.module.start),
		[EXO_SHARE_SLICES] = info->cpus * EXO_SLICES,
		[EXO_SHARE_ENVS] = info->envs.entries - 1,
		[EXO_SHARE_FLOWS] = info->flows.entries - EXO_DEVICES_MAX,	/* those have roots */
		[EXO_SHARE_RINGS] = EXO_UNLIMITED / 2,	/* enough: a frame may be bound more than once */
		[EXO_SHARE_SHAPES] = shapes_max - 1,
		[EXO_SHARE_TRACES] = EXO_TRACES_MAX,
	};
	unsigned kind;

	dead_list = 0;
	reaping = false;
	demands = demands_forced = slices_promised = 0;
	account_init(pfn, 0, EXO_UNLIMITED, ROOT_SLICES * info->slice_ns);
	for (kind = 0; kind < EXO_SHARES; kind++) {
		root->view.share[kind].guaranteed = all[kind];
		if (kind_kept(kind))
			root->view.share[kind].limit = all[kind];
	}
	return pfn;
}

bool account_below(const struct account *account, const struct account *above)
{
	for (; account; account = account_at(account->parent))
		if (account == above)
			return true;
	return false;
}

struct account *account_above(struct account *a, const struct account *b)
{
	while (!account_below(b, a))
		a = account_at(a->parent);
	return a;
}

/* A limit was passed at `end`: take back what was charged below it. */
void account_untake(struct account *account, struct account *end, unsigned kind, uint32_t count)
{
	for (; account != end; account = account_at(account->parent))
		account->view.share[kind].used -= count;
}

void account_charge(struct account *account, unsigned kind, int32_t count)
{
	assert_locked();
	use(account, kind, count);
	if (kind_kept(kind))
		(void)keep(account, kind, count);
	if (count >= 0)
		return;
	if (unlikely(demands) && kind < ACCOUNT_ASKED)
		demand_given(account, kind, (uint32_t)-count);
	(void)account_settle(account);	/* those above have a user: this one */
}

int64_t account_take_kept(struct account *account, unsigned kind, uint32_t count)
{
	int64_t error = keep(account, kind, (int32_t)count);

	if (unlikely(error))
		(void)keep(account, kind, -(int32_t)count);
	else
		use(account, kind, (int32_t)count);
	return error;
}

void account_use(struct env *env)
{
	struct account *account = account_at(env->account);

	assert_locked();
	env->account_next = NULL;
	env->account_prev = account->agent_last;
	if (account->agent_last)
		account->agent_last->account_next = env;
	else
		account->agent = env;
	account->agent_last = env;
	account->users++;
}

void account_unuse(struct env *env)
{
	struct account *account = account_at(env->account);

	assert_locked();
	if (env->account_prev)
		env->account_prev->account_next = env->account_next;
	else
		account->agent = env->account_next;
	if (env->account_next)
		env->account_next->account_prev = env->account_prev;
	else
		account->agent_last = env->account_prev;
	demand_forget(account, env);
	account->users--;
	if (!account_settle(account))
		reap();
}

void account_hold(exo_pfn_t pfn)
{
	account_at(pfn)->holds++;
}

void account_unhold(exo_pfn_t pfn)
{
	account_at(pfn)->holds--;
	if (!account_settle(account_at(pfn)))
		reap();
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/*
 * exo_account_make(slot, parent, frames, first, limit): a new account below `parent` (an ACCOUNT capability
 * with CONTROL), in frame `first` of the capability `frames` (with WRITE), which must be neither mapped nor
 * pinned. `limit`: frames that it and all below it may hold; more than its parent's is allowed and useless.
 * Other kinds have no limit of its own, nothing is guaranteed, and it answers in its parent's time. Its
 * capability, derived from parent's and with the same rights, is in `slot`. Returns the handle.
 * Errors: SLOT; CAP, TYPE, RIGHTS; RANGE; BUSY the frame is mapped, pinned or a kernel object; INVAL limit >=
 * 2^32; DEPTH ACCOUNT_DEPTH_MAX accounts lie above it, or CAP_DEPTH_MAX derivations; STATE parent's is being
 * revoked. Nothing has changed then.
 */
int64_t sys_account_make(CALL_ARGS)
{
	struct env *env = current_env();
	struct exo_cap *slot, *parent;
	struct account *account;
	unsigned depth = 0;
	exo_pfn_t pfn;
	int64_t error;

	slot = cap_free_slot(env, a0);
	if (!slot)
		return ERR(SLOT);
	parent = cap_need(env, a1, EXO_TYPE_ACCOUNT, EXO_RIGHT_CONTROL, &error);
	if (!parent)
		return error;
	error = cap_need_retypable(env, a2, a3, 1, &pfn);
	if (error)
		return error;
	if (a4 > UINT32_MAX)
		return ERR(INVAL);
	for (account = account_at(parent->object); account; account = account_at(account->parent))
		depth++;
	if (depth >= ACCOUNT_DEPTH_MAX)
		return ERR(DEPTH);
	error = cap_derivable(parent);
	if (error)
		return error;

	account = account_at(parent->object);
	account_init(pfn, parent->object, (uint32_t)a4, account->view.answer_ns);
	return (int64_t)cap_fill(slot, EXO_TYPE_ACCOUNT, parent->rights, 0, 0, pfn, parent, (uint32_t)a0);
}

/* Can an account right below `parent` have these shares? 0 or an error. */
static int64_t share_check(const struct account *parent, const struct account *account,
    const struct exo_shares *shares)
{
	const struct exo_share *want;
	uint32_t others;
	unsigned kind;

	if (account->parent != parent->self || shares->answer_ns < info->slice_ns)
		return ERR(INVAL);
	for (kind = 0; kind < EXO_SHARES; kind++) {
		want = &shares->share[kind];
		if (want->guaranteed > want->limit)
			return ERR(INVAL);
		if (want->guaranteed < account->view.share[kind].promised)
			return ERR(STATE);
		others = parent->view.share[kind].promised - account->view.share[kind].guaranteed;
		if (want->guaranteed > parent->view.share[kind].guaranteed - others)
			return ERR(QUOTA);
	}
	return 0;
}

/*
 * exo_account_share(parent, account, offset): set limits, guarantees and answering time of an account (an
 * ACCOUNT capability with any right) right below `parent` (with CONTROL), from struct exo_shares at `offset`
 * of the argument frame, a multiple of 8. A limit may be below what is used: then nothing is taken, and
 * nothing more can be had. Demands that a guarantee now forbids end. Returns 0.
 * Errors: CAP, TYPE, RIGHTS; RANGE offset; INVAL it does not lie right below, a guarantee is above its limit,
 * or answer_ns is less than a slice; STATE a guarantee is less than it has promised to accounts below it;
 * QUOTA with the other guarantees below `parent` it would pass parent's; FULL so many environments, flows, shapes or
 * traces are not free in the machine, or below a limit of an account above, beside what is guaranteed to others.
 * Nothing has changed then.
 */
int64_t sys_account_share(CALL_ARGS)
{
	struct env *env = current_env();
	const struct exo_shares *argument;
	struct account *parent, *account;
	struct exo_cap *above, *cap;
	struct exo_shares shares;
	uint32_t before[EXO_SHARES];
	bool there = true;
	unsigned kind;
	int64_t error;

	above = cap_need(env, a0, EXO_TYPE_ACCOUNT, EXO_RIGHT_CONTROL, &error);
	if (!above)
		return error;
	cap = cap_need(env, a1, EXO_TYPE_ACCOUNT, 0, &error);
	if (!cap)
		return error;
	argument = call_argument(a2, sizeof(shares));
	if (!argument || a2 % sizeof(uint64_t))
		return ERR(RANGE);
	shares = *(const volatile struct exo_shares *)argument;
	parent = account_at(above->object);
	account = account_at(cap->object);
	error = share_check(parent, account, &shares);
	if (error)
		return error;

	for (kind = 0; kind < EXO_SHARES; kind++) {
		before[kind] = account->view.share[kind].guaranteed;
		there = set_guarantee(account, parent, kind, shares.share[kind].guaranteed) && there;
	}
	if (!there) {
		for (kind = 0; kind < EXO_SHARES; kind++)
			(void)set_guarantee(account, parent, kind, before[kind]);
		return ERR(FULL);
	}
	for (kind = 0; kind < EXO_SHARES; kind++)
		account->view.share[kind].limit = shares.share[kind].limit;
	account->view.answer_ns = shares.answer_ns;
	demand_reconsider(account);
	return 0;
}
