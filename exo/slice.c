/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU time: each CPU's is a vector of EXO_SLICES slices of equal length, run in order, over and over.
 *
 * A slice is owned through a capability and bound to an environment of its CPU, so position and number are the
 * application's choice. What is not bound, was given away by yield, or whose owner does not want it, goes round the
 * ready ones (cpu.c). The vectors of all CPUs run in step: slice i begins everywhere at the same time.
 *
 * The end of a slice: who has set end_entry is told, and lent the CPU for info->grace_ns more, to save what it wants and
 * yield. All that it uses beyond the end is its debt: for each slice's length that it owes, one of its slices goes to the
 * others. Who does not go by itself EXO_OVERSTAYS_MAX times in a row loses its slices.
 *
 * V1 slices[i] != NULL iff slice_through[i] != 0; it is an environment of this CPU that has not ended
 * V2 slice_holds[i] == SLICE capabilities that cover it; > 0 iff slice_account[i] != 0, whose share is charged for it
 *
 * After the slice vectors of Aegis, where excess time was paid back in the same way.
 */
#include "exo/kernel.h"

/* --- whose time it is ------------------------------------------------------------------------------- */

void slice_account(exo_time_t now)
{
	struct env *env = here.payer;
	exo_time_t from, to;

	if (env) {
		env->info->ns += now - here.since;
		if (here.slices[here.slice] == env) {
			from = here.since > here.slice_start ? here.since : here.slice_start;
			to = now < here.slice_end ? now : here.slice_end;
			if (to > from)
				here.slice_info[here.slice].used_ns += to - from;
		}
	} else {
		here.info->idle_ns += now - here.since;
	}
	here.since = now;
}

void slice_pass(exo_time_t now)
{
	exo_time_t length = info->slice_ns;
	struct env *owner;
	uint64_t number;

	slice_account(now);
	if (now < here.slice_end + length) {
		here.slice = (here.slice + 1) % EXO_SLICES;
		here.slice_start = here.slice_end;
	} else {
		number = now / length;	/* seldom: after a long time alone or idle */
		here.slice = number % EXO_SLICES;
		here.slice_start = number * length;
	}
	here.slice_end = here.slice_start + length;
	here.passed = true;
	owner = read_once(here.slices[here.slice]);
	if (unlikely(owner && owner->info->debt_ns >= length)) {
		__atomic_fetch_sub(&owner->info->debt_ns, length, __ATOMIC_RELAXED);
		owner = NULL;
	}
	here.slice_owner = owner;
	here.slice_lender = NULL;
	if (unlikely(owner && owner->predicate))
		wake_turn(owner);
}

struct env *slice_claimant(void)
{
	struct env *env = here.slice_owner;

	while (env && env_state(env) == EXO_ENV_CALLING)
		env = env->called;
	return env && env_state(env) == EXO_ENV_READY ? env : NULL;
}

out_of_line void slice_give_served(const struct env *env)
{
	if (slice_claimant() == env)
		here.slice_owner = NULL;
}

void slice_interrupted(struct env *env, exo_time_t ns)
{
	struct env *payer = here.payer;
	uint64_t debt;

	if (!payer || payer == env)
		return;
	here.since += ns;
	__atomic_fetch_add(&env->info->debt_ns, ns, __ATOMIC_RELAXED);
	debt = payer->info->debt_ns;
	__atomic_fetch_sub(&payer->info->debt_ns, debt < ns ? debt : ns, __ATOMIC_RELAXED);
}

/* --- grace ------------------------------------------------------------------------------------------ */

bool slice_lend(struct env *env, exo_time_t now)
{
	if (here.lent)
		return false;
	here.lent = env;
	here.lent_from = here.slice_start;
	here.lent_to = now + info->grace_ns;
	cpu_timer_need(here.lent_to);
	return true;
}

/* It would not go: its slices are somebody else's to have. */
static __attribute__((cold)) void abort_slices(struct env *env)
{
	struct exo_loss loss = { .what = EXO_TYPE_SLICE, .why = EXO_LOSS_OVERRUN,
		.spilled = EXO_NOT_SPILLED };
	unsigned i;

	env->overstays = 0;
	kernel_lock();		/* from here on it may have ended or moved: it has no slices here then */
	for (i = 0; i < EXO_SLICES; i++)
		if (here.slices[i] == env) {
			loss.first = (uint64_t)here.index << 32 | i;
			loss.count = 1;
			env_lost(env, &loss);
		}
	slice_unbind_all(env);
	kernel_unlock();
}

out_of_line void slice_lent_back(exo_time_t now)
{
	struct env *env = here.lent;

	here.lent = NULL;
	env->info->overrun_ns += now - here.lent_from;
	__atomic_fetch_add(&env->info->debt_ns, now - here.lent_from, __ATOMIC_RELAXED);
	if (now < here.lent_to)
		env->overstays = 0;
	else
		env->overstays++;
}

out_of_line void slice_lent_taken(exo_time_t now)
{
	struct env *env = here.lent;

	slice_lent_back(now);
	if (env->overstays >= EXO_OVERSTAYS_MAX)
		abort_slices(env);
}

/* --- vectors ---------------------------------------------------------------------------------------- */

static __attribute__((cold)) void slice_set(struct cpu *of, unsigned i, struct env *env, cap_ref_t through)
{
	assert_locked();
	write_once(of->slices[i], env);
	of->slice_through[i] = through;
	of->slice_info[i].env = env ? env->index : 0;
	if (of == cpu_self() && i == of->slice) {
		of->slice_owner = env;
		of->slice_lender = NULL;
	}
}

void slice_hold(const struct exo_cap *cap)
{
	struct cpu *of = cpus[cap->first >> 32];
	unsigned i, first = (uint32_t)cap->first;

	for (i = first; i < first + cap->count; i++) {
		of->slice_holds[i]++;
		of->slice_info[i].taken = 1;
	}
}

void slice_drop(const struct exo_cap *cap)
{
	struct cpu *of = cpus[cap->first >> 32];
	unsigned i, first = (uint32_t)cap->first;

	for (i = first; i < first + cap->count; i++) {
		if (of->slice_through[i] == cap_ref(cap))
			slice_set(of, i, NULL, 0);
		if (--of->slice_holds[i])
			continue;
		of->slice_info[i].taken = 0;
		account_charge(pfn_to_virt(of->slice_account[i]), EXO_SHARE_SLICES, -1);
		of->slice_account[i] = 0;
	}
}

void slice_unbind_all(struct env *env)
{
	unsigned i;

	for (i = 0; i < EXO_SLICES; i++)
		if (here.slices[i] == env)
			slice_set(cpu_self(), i, NULL, 0);
	if (here.slice_owner == env)
		here.slice_owner = NULL;
	if (here.slice_lender == env)
		here.slice_lender = NULL;
}

/* --- calls ------------------------------------------------------------------------------------------ */

int64_t sys_slice_take(CALL_ARGS)
{
	struct env *self = current_env();
	struct exo_cap *cap = cap_free_slot(self, a0);
	int64_t error;
	unsigned i;

	if (!cap)
		return ERR(SLOT);
	if (a1 >= info->cpus || a2 >= EXO_SLICES || a3 == 0 || a3 > EXO_SLICES - a2)
		return ERR(INVAL);
	for (i = a2; i < a2 + a3; i++)
		if (cpus[a1]->slice_holds[i])
			return ERR(BUSY);
	error = account_take_asked(pfn_to_virt(self->account), EXO_SHARE_SLICES, (uint32_t)a3, (uint32_t)a3);
	if (error < 0)
		return error;

	for (i = a2; i < a2 + a3; i++)
		cpus[a1]->slice_account[i] = self->account;
	return (int64_t)cap_fill(cap, EXO_TYPE_SLICE, EXO_RIGHT_READ | EXO_RIGHT_BIND, a1 << 32 | a2,
	    (uint32_t)a3, 0, NULL, (uint32_t)a0);
}

int64_t sys_slice_bind(CALL_ARGS)
{
	struct env *self = current_env(), *env = NULL;
	struct exo_cap *slices, *cap;
	struct cpu *of;
	unsigned i, first;
	int64_t error;

	slices = cap_need(self, a0, EXO_TYPE_SLICE, EXO_RIGHT_BIND, &error);
	if (!slices)
		return error;
	of = cpus[slices->first >> 32];
	if (a1) {
		cap = cap_need(self, a1, EXO_TYPE_ENV, EXO_RIGHT_CONTROL, &error);
		if (!cap)
			return error;
		env = env_behind(cap);
		if (!env || env_state(env) == EXO_ENV_ENDED)
			return ERR(DEAD);
		if (env_state(env) == EXO_ENV_STOPPED || env->cpu != of->index)
			return ERR(CPU);
	}
	first = (uint32_t)slices->first;
	for (i = first; i < first + slices->count; i++)
		slice_set(of, i, env, env ? cap_ref(slices) : 0);
	return slices->count;
}
