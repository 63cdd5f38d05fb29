/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protected control transfer: call another environment's entry; registers are the message, the slice goes along.
 *
 * Whoever holds an entry capability may run the environment behind it, at the entry that its dispatcher page names,
 * on its own time. The callee sees the capability's badge and the caller's id, both unforgeable. It need be neither
 * asleep nor ready: while it serves it is READY, so that it goes on after a preemption, and with the reply it goes back
 * to what it was (`resting`), unless an event came meanwhile. Nothing queues: a callee that serves, calls, or was
 * interrupted with upcalls off is BUSY.
 *
 * T1 a.called == b iff b.caller == a; a is CALLING then, and in no ring (E3)
 * T2 depth <= EXO_CHAIN_MAX, so following `called` ends
 * The link is cut when either side ends or the deadline passes: the caller goes on with an error (RESUME_CALLER), the
 * callee gets EXO_EVENT_CUT, and its late reply is an error. After the transfer of Aegis and seL4's IPC fast path.
 */
#include "exo/kernel.h"

/* May `self` enter `env` now? 0 or an error. */
static inline int64_t admit(const struct env *self, const struct env *env)
{
	if (unlikely(!env))
		return ERR(DEAD);
	if (likely((env->state == EXO_ENV_ASLEEP || (env->state == EXO_ENV_READY && env->resume == RESUME_RUN &&
	    env != self)) && !env->caller && env->disp->call_entry))
		return 0;
	if (env->state == EXO_ENV_ENDED)
		return ERR(DEAD);
	if (env == self || env->caller || env->resume != RESUME_RUN || env->state == EXO_ENV_CALLING)
		return ERR(BUSY);
	return ERR(STATE);
}

/* The CPU goes to another with all that is left of the slice: nothing to choose, no clock to read, nobody else to pay. */
static inline void cpu_hand(struct env *to)
{
	cpu.current = to;
	cpu.space = to->root;
	to->info->switches++;
}

/* An entry capability that may be called; NULL: cap_need says why not. */
static inline struct exo_cap *entry_at(const struct env *self, exo_cap_t handle)
{
	uint32_t slot = exo_cap_slot(handle);
	struct exo_cap *cap;

	if (slot >= self->cap_frames * EXO_CAPS_PER_FRAME)
		return NULL;
	cap = (struct exo_cap *)pfn_to_virt(self->cap_frame[slot / EXO_CAPS_PER_FRAME]) + slot % EXO_CAPS_PER_FRAME;
	return cap->generation == handle >> 32 && cap->type == EXO_TYPE_ENTRY && (cap->rights & EXO_RIGHT_EXEC) &&
	    !(cap->flags & CAP_DYING) ? cap : NULL;
}

static inline struct env *callee_of(struct env *self, exo_cap_t handle, uint64_t *badge, int64_t *error)
{
	struct exo_cap *cap = entry_at(self, handle);
	struct env *env;

	if (unlikely(!cap)) {
		*error = ERR(CAP);
		(void)cap_need(self, handle, EXO_TYPE_ENTRY, EXO_RIGHT_EXEC, error);
		return NULL;
	}
	env = env_behind(cap);
	*badge = cap->first;
	*error = admit(self, env);
	return likely(!*error) ? env : NULL;
}

static int64_t set_deadline(struct env *self, exo_time_t deadline)
{
	if (deadline <= arch_now())
		return ERR(TIME);
	self->call_deadline = deadline;
	cpu_timed(self);
	cpu_timer_need(deadline);
	return 0;
}

int64_t sys_call(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env(), *callee;
	uint64_t badge;
	int64_t error;

	callee = callee_of(self, a0, &badge, &error);
	if (unlikely(!callee))
		return error;
	if (unlikely(self->depth >= EXO_CHAIN_MAX))
		return ERR(DEPTH);
	if (unlikely(a1 != EXO_NEVER) && (error = set_deadline(self, a1)) != 0)
		return error;

	env_set_state(self, EXO_ENV_CALLING);
	self->called = callee;
	callee->caller = self;
	callee->depth = self->depth + 1;
	if (likely(callee->state == EXO_ENV_ASLEEP)) {
		callee->resting = true;
		env_set_state(callee, EXO_ENV_READY);
		cpu_replace(self, callee);
	} else {
		cpu_unlink(self);
	}
	cpu_hand(callee);
	callee->info->upcalls++;
	arch_transfer_call(badge, self->id, a2, a3, a4, a5, self, callee);
}

int64_t sys_send(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env(), *callee;
	struct arch_message message = { .rsi = self->id, .rdx = a1, .r10 = a2, .r8 = a3, .r9 = a4 };
	struct exo_disp *disp;
	int64_t error;

	(void)a5;
	callee = callee_of(self, a0, &message.rdi, &error);
	if (!callee)
		return error;

	if (callee->state == EXO_ENV_ASLEEP)
		cpu_wake(callee, 0);
	cpu.slice_owner = NULL;
	cpu_switch(callee);
	callee->info->upcalls++;
	disp = callee->disp;
	disp->off = EXO_OFF_YES;
	arch_upcall(disp->call_entry, disp->call_sp, &message);
}

/* The caller waits no more. */
static inline void release(struct env *caller)
{
	caller->called = NULL;
	if (caller->call_deadline != EXO_NEVER) {
		caller->call_deadline = EXO_NEVER;
		cpu_timed(caller);
	}
}

int64_t sys_reply(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env(), *caller = self->caller;

	(void)a5;
	if (unlikely(!caller))
		return ERR(STATE);
	if (unlikely((int64_t)a0 < 0))
		return ERR(INVAL);

	self->caller = NULL;
	self->depth = 0;
	self->reasons |= EXO_RUN_REPLIED;
	release(caller);
	env_set_state(caller, EXO_ENV_READY);
	if (likely(self->resting)) {
		self->resting = false;
		env_set_state(self, EXO_ENV_ASLEEP);
		cpu_replace(self, caller);
	} else {
		cpu_link(caller);
		cpu_timer_need(cpu.slice_end);
	}
	if (unlikely(cpu.payer == self))
		cpu_pays(caller);
	cpu_hand(caller);
	arch_transfer_reply(a0, a1, a2, a3, a4, self, caller);
}

/* The link between a caller and whom it called is no more; the caller goes on with an error when its turn comes. */
static void sever(struct env *caller, int64_t status)
{
	struct env *callee = caller->called;

	release(caller);
	caller->resume = RESUME_CALLER;
	caller->call_status = status;
	callee->caller = NULL;
	callee->depth = 0;
}

void transfer_expire(struct env *caller)
{
	struct env *callee = caller->called;

	sever(caller, ERR(TIME));
	cpu_ready(caller);
	env_event(callee, EXO_EVENT_CUT);
}

void transfer_cut(struct env *env)
{
	struct env *caller = env->caller, *callee = env->called;

	if (caller) {
		sever(caller, ERR(DEAD));
		cpu_ready(caller);
	}
	if (callee) {
		sever(env, ERR(DEAD));
		env_event(callee, EXO_EVENT_CUT);
	}
}
