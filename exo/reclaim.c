/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Getting frames back that have become kernel objects: environments end, spaces lose their tables.
 *
 * Revoking takes back names and bindings, not objects: a page table stays a page table when nobody can name
 * its frame any more, as objects outlive the capabilities of whoever made them. So the owner of frames, once
 * it is the only one that holds them, says what becomes of the objects in them (exo_frame_reclaim), whoever
 * made these. Repossession does the same to what is charged to an account that owes.
 *
 * What an object is part of goes as a whole: with one table all tables of its space, with one frame of an
 * environment that environment, with one of a program the program, with one of a volume the volume, with the record of
 * a split capability that capability. Flows, accounts and root tables go with the last capability that names them,
 * not before. Steps are bounded and restartable, since both ways of taking apart are.
 *
 * An environment that nobody names any more is ended by who holds the account that it is charged to (exo_env_reclaim).
 */
#include "exo/splits.h"

/* The table that links belong to. */
static exo_pfn_t table_of(exo_pfn_t pfn)
{
	while (info_frame[pfn].state != EXO_FRAME_TABLE)
		pfn--;
	return pfn;
}

static int64_t reclaim_env(exo_pfn_t pfn, unsigned *budget)
{
	struct env *env = pfn_to_virt(frame_table[pfn].object);

	if (env == current_env())
		return ERR(BUSY);
	env_end(env, EXO_CAUSE_REPOSSESSED, 0, 0);
	return env_destroy_some(env, budget) ? 0 : ERR(AGAIN);
}

static int64_t reclaim_table(exo_pfn_t pfn, unsigned *budget)
{
	exo_pfn_t table = table_of(pfn), root = frame_table[table].object;

	if (table == root || root == current_env()->root)
		return ERR(BUSY);
	return space_empty(root, budget) ? 0 : ERR(AGAIN);
}

/* The capability goes whose record it is. */
static int64_t reclaim_split(exo_pfn_t pfn, unsigned *budget)
{
	const struct split *split = pfn_to_virt(pfn);
	struct exo_cap *cap = cap_at(split->cap);

	if (!(cap->flags & CAP_DYING))
		cap_tell_loss(cap);
	return cap_drop_some(cap, budget);
}

int64_t reclaim_some(exo_pfn_t pfn, unsigned *budget)
{
	switch (info_frame[pfn].state) {
	case EXO_FRAME_ENV:
	case EXO_FRAME_DISP:
	case EXO_FRAME_ARG:
	case EXO_FRAME_CAPS:
		return reclaim_env(pfn, budget);
	case EXO_FRAME_TABLE:
	case EXO_FRAME_LINKS:
		return reclaim_table(pfn, budget);
	case EXO_FRAME_CODE:
		return code_end(frame_table[pfn].object, budget) ? 0 : ERR(AGAIN);
	case EXO_FRAME_VOLUME:
		return registry_end(frame_table[pfn].object, budget) ? 0 : ERR(AGAIN);
	case EXO_FRAME_SPLIT:
		return reclaim_split(pfn, budget);
	default:
		return frame_in(pfn, FRAME_OBJECTS) ? ERR(BUSY) : 0;
	}
}

/*
 * exo_frame_reclaim(frames, first, count): take apart the kernel objects that lie in frames [first, first +
 * count) of an underived frame capability with WRITE that is the only one to cover them: environments end
 * (EXO_CAUSE_REPOSSESSED) and are destroyed, spaces lose all their tables but the root and all that is
 * mapped, programs go. Returns 0: all are ordinary memory, which nothing but programs uses.
 * Errors: CAP, TYPE, RIGHTS; RANGE; INVAL count is 0 or more than EXO_RANGE_MAX; STATE the capability is
 * derived; BUSY others hold one of them: revoke first; AGAIN: call again. Then, when all else is done, BUSY:
 * a root table, a flow or an account lies in one, which goes with the last that names it, or an object that
 * the caller itself lives in, or a device still reads or writes one for whoever had it before. Cost: half of EXO_UNWIND_MAX links, and 20 a frame.
 */
int64_t sys_frame_reclaim(CALL_ARGS)
{
	unsigned budget = EXO_UNWIND_MAX / 2;	/* the frames themselves cost as much again */
	int64_t error, result = 0;
	struct exo_cap *cap;
	exo_pfn_t first, i;

	if (a2 == 0 || a2 > EXO_RANGE_MAX)
		return ERR(INVAL);
	cap = cap_need_frames(current_env(), a0, EXO_RIGHT_WRITE, a1, a2, &first, &error);
	if (!cap)
		return error;
	if (cap->parent)
		return ERR(STATE);
	for (i = first; i < first + a2; i++)
		if (info_frame[i].holds != 1)
			return ERR(BUSY);

	for (i = first; i < first + a2; i++) {
		error = reclaim_some(i, &budget);
		if (error == ERR(AGAIN) || !budget)
			return ERR(AGAIN);
	}
	for (i = first; i < first + a2; i++)	/* what went last may have freed what came first */
		if (frame_in(i, FRAME_OBJECTS) || frame_table[i].pins)
			result = ERR(BUSY);
	return result;
}

int64_t sys_env_reclaim(CALL_ARGS)
{
	unsigned budget = EXO_UNWIND_MAX;
	const struct exo_cap *cap;
	const struct env *env;
	int64_t error;

	cap = cap_need(current_env(), a0, EXO_TYPE_ACCOUNT, EXO_RIGHT_WRITE, &error);
	if (!cap)
		return error;
	env = env_by_id(a1);
	if (!env)
		return ERR(DEAD);
	if (!account_below(account_at(env->account), account_at(cap->object)))
		return ERR(RANGE);
	return reclaim_env(env->self, &budget);
}
