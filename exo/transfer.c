/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protected control transfer: call another environment's entry; registers are the message.
 *
 * Whoever holds an entry capability may run the environment behind it, at the entry that its dispatcher page
 * names, on its own time. The callee sees the capability's badge and the caller's id, both unforgeable. It
 * need be neither asleep nor ready: while it serves it is READY, so that it goes on after a preemption, and
 * with the reply it goes back to what it was (SERVING_RESTING), unless an event came meanwhile. Nothing
 * queues: a callee that serves, calls, or was interrupted with upcalls off is BUSY.
 *
 * Who is inside a transfer and may be entered again is so by way of transfer_nest.c. Where nothing is nested
 * and no deadline runs, that is, where SERVING_PLAIN is set, call and reply are as short as here.
 *
 * The link is cut when either side ends or the deadline passes: the caller goes on with an error
 * (RESUME_CALLER), the callee gets EXO_EVENT_CUT, and its late reply is an error. After the transfer of Aegis
 * and seL4's IPC fast path.
 */
#include <exo/trace.h>
#include "exo/kernel.h"

/* Type, flags and rights of a capability in one word. */
static inline uint32_t head(const struct exo_cap *cap)
{
	uint32_t word;

	_Static_assert(offsetof(struct exo_cap, generation) == sizeof(word), "type, flags, rights");
	__builtin_memcpy(&word, cap, sizeof(word));
	return word;
}

/*
 * The common case without a function call: who is behind an entry capability, if he can be entered now; or
 * NULL.
 */
static inline struct env *server_behind(const struct env *self, exo_cap_t handle, uint64_t *badge)
{
	const struct exo_cap mask = { .type = 0xff, .flags = CAP_DYING, .rights = EXO_RIGHT_EXEC };
	const struct exo_cap wanted = { .type = EXO_TYPE_ENTRY, .rights = EXO_RIGHT_EXEC };
	uint32_t slot = exo_cap_slot(handle);
	const struct exo_cap *cap;
	struct env *env;

	if (unlikely(slot >= self->cap_frames * EXO_CAPS_PER_FRAME))
		return NULL;
	cap = (struct exo_cap *)pfn_to_virt(self->cap_frame[slot / EXO_CAPS_PER_FRAME]) +
	    slot % EXO_CAPS_PER_FRAME;
	if (unlikely((head(cap) & head(&mask)) != head(&wanted)))
		return NULL;
	env = env_behind(cap);
	if (unlikely(!env || env->cpu != self->cpu || env->serving | env->resume || !env->disp->call_entry ||
	    (env_state(env) != EXO_ENV_ASLEEP && (env_state(env) != EXO_ENV_READY || env == self))))
		return NULL;
	*badge = read_once(cap->first);
	/* cap_still, and without its fence: what was read has been compared, or is volatile. */
	return likely(read_once(cap->generation) == (uint32_t)(handle >> 32)) ? env : NULL;
}

/* Is it inside a transfer, or about to go on behind one? */
static bool inside(const struct env *env)
{
	return env->serving || env_state(env) == EXO_ENV_CALLING || env->resume & RESUME_CALLER;
}

static bool enterable(const struct env *env, bool again)
{
	if (!inside(env))
		return (env->resume & ~RESUME_TRACED) == RESUME_RUN;
	return again && (env->resume & ~(RESUME_CALLER | RESUME_TRACED)) == 0 && read_once(env->disp->reenter);
}

/* The same, with the error; `again`: also one that is inside a transfer. */
static __attribute__((cold)) struct env *callee_of(const struct env *self, exo_cap_t handle, bool again,
    uint64_t *badge, int64_t *error)
{
	struct exo_cap *cap = cap_need(self, handle, EXO_TYPE_ENTRY, EXO_RIGHT_EXEC, error);
	struct env *env;

	if (!cap)
		return NULL;
	*badge = cap->first;
	env = env_behind(cap);
	if (!cap_still(cap, handle))
		*error = ERR(CAP);
	else if (!env || env_state(env) == EXO_ENV_ENDED)
		*error = ERR(DEAD);
	else if (env->cpu != self->cpu)
		*error = ERR(CPU);
	else if (env == self || !enterable(env, again))
		*error = ERR(BUSY);
	else if (env_state(env) == EXO_ENV_MADE || !env->disp->call_entry)
		*error = ERR(STATE);
	else
		return env;
	return NULL;
}

/*
 * `self` calls, the callee serves. The CPU goes to it with all that is left of the slice: nothing to choose, no clock
 * to read, nobody else to pay.
 */
static inline void join(struct env *self, struct env *callee)
{
	bool asleep = env_state(callee) == EXO_ENV_ASLEEP;

	env_set_state(self, EXO_ENV_CALLING);
	self->called = callee;
	callee->caller = self;
	callee->depth = self->depth + 1;
	callee->info->upcalls++;
	if (asleep) {
		callee->serving = SERVING | SERVING_PLAIN | SERVING_RESTING;
		env_set_state(callee, EXO_ENV_READY);
		cpu_replace(self, callee);
	} else {
		callee->serving = SERVING | SERVING_PLAIN;
		cpu_unlink_from_others(self);
	}
	callee->info->switches++;
}

/* The same on top of what the callee is inside of. */
static __attribute__((cold)) void join_again(struct env *self, struct env *callee)
{
	uint32_t depth = callee->depth > self->depth ? callee->depth : self->depth;
	uint32_t state = env_state(callee);

	transfer_nest(callee);
	env_set_state(self, EXO_ENV_CALLING);
	self->called = callee;
	callee->caller = self;
	callee->depth = depth + 1;
	callee->serving = SERVING | (callee->serving & SERVING_RESTING);
	if (state == EXO_ENV_ASLEEP)
		callee->serving |= SERVING_RESTING;
	callee->info->upcalls++;
	callee->info->switches++;
	if (state == EXO_ENV_READY) {
		cpu_unlink_from_others(self);
	} else {
		env_set_state(callee, EXO_ENV_READY);
		cpu_replace(self, callee);
	}
}

rarely int64_t transfer_call_slowly(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
    uint64_t a5)
{
	struct env *self = current_env(), *callee;
	uint64_t badge;
	int64_t error;
	bool again;

	callee = callee_of(self, a0, true, &badge, &error);
	if (!callee)
		return error;
	again = inside(callee);
	if (self->depth >= EXO_CHAIN_MAX || (again && callee->depth >= EXO_CHAIN_MAX))
		return ERR(DEPTH);
	if (a1 <= arch_now())
		return ERR(TIME);

	if (again)
		join_again(self, callee);
	else
		join(self, callee);
	if (a1 != EXO_NEVER) {
		transfer_deadline(self, a1);
		cpu_timer_need(a1);
		callee->serving &= (uint8_t)~SERVING_PLAIN;
	}
	if (unlikely(self->trace))	/* its reply is recorded: reply_slowly */
		callee->serving &= (uint8_t)~SERVING_PLAIN;
	trace_event(callee, EXO_TRACE_UPCALLS, EXO_TRACE_UPCALL, EXO_UPCALL_CALL, badge, self->id, 0);
	arch_transfer_call(badge, callee, a2, a3, a4, a5);
}

int64_t sys_call(CALL_ARGS)
{
	struct env *self = current_env(), *callee;
	uint64_t badge;

	if (unlikely(a1 != EXO_NEVER))
		return transfer_call_slowly(a0, a1, a2, a3, a4, a5);
	callee = server_behind(self, a0, &badge);
	if (unlikely(!callee || self->depth >= EXO_CHAIN_MAX))
		return transfer_call_slowly(a0, EXO_NEVER, a2, a3, a4, a5);

	join(self, callee);
	arch_transfer_call(badge, callee, a2, a3, a4, a5);
}

int64_t sys_send(CALL_ARGS)
{
	struct env *self = current_env(), *callee;
	struct arch_message message = { .rsi = self->id, .rdx = a1, .r10 = a2, .r8 = a3, .r9 = a4 };
	struct exo_disp *disp;
	int64_t error;

	callee = callee_of(self, a0, false, &message.rdi, &error);
	if (!callee)
		return error;

	if (env_state(callee) == EXO_ENV_ASLEEP)
		cpu_wake(callee, 0);
	slice_give(self);
	cpu_switch(callee);
	callee->info->upcalls++;
	trace_event(callee, EXO_TRACE_UPCALLS, EXO_TRACE_UPCALL, EXO_UPCALL_CALL, message.rdi, self->id, 0);
	disp = callee->disp;
	disp->off = EXO_OFF_YES;
	arch_upcall(disp->call_entry, disp->call_sp, &message);
}

/* `self` serves the caller no more, who is READY and runs. */
static inline void part(struct env *self, struct env *caller)
{
	self->caller = NULL;
	self->depth = 0;
	self->serving = 0;
	self->reasons |= EXO_RUN_REPLIED;
	caller->called = NULL;
	env_set_state(caller, EXO_ENV_READY);
	caller->info->switches++;
}

/* The callee goes back to what it was. */
static __attribute__((cold)) void leave(struct env *self)
{
	self->reasons |= EXO_RUN_REPLIED;
	if (self->nested) {
		transfer_unnest(self);
		return;
	}
	if (self->serving & SERVING_RESTING) {
		cpu_unlink(self);
		env_set_state(self, EXO_ENV_ASLEEP);
	}
	self->caller = NULL;
	self->depth = 0;
	self->serving = 0;
}

/*
 * There is a deadline to forget, a timer to set, somebody else to pay, or an error; a level to come back to, or
 * one of the caller's to keep the answer in; or nobody to answer, and only a level to come back to.
 */
static rarely out_of_line int64_t reply_slowly(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	struct env *self = current_env(), *caller = self->caller;
	unsigned waits;

	if (!caller && !self->nested)
		return ERR(STATE);
	if ((int64_t)a0 < 0)
		return ERR(INVAL);

	waits = caller ? transfer_waiting(self) : 0;
	leave(self);
	if (!caller || waits < caller->nested) {
		if (caller)
			transfer_answer(caller, waits, &(struct arch_message){ .rax = a0, .rdx = a1,
			    .r10 = a2, .r8 = a3, .r9 = a4 });
		if (env_state(self) != EXO_ENV_READY)
			slice_return();
		cpu_dispatch();
	}
	caller->called = NULL;
	if (caller->deadline != EXO_NEVER)
		transfer_deadline(caller, EXO_NEVER);
	env_set_state(caller, EXO_ENV_READY);
	caller->info->switches++;
	cpu_link(caller);
	cpu_timer_need(here.slice_end);
	if (here.payer == self)
		cpu_pays(caller);
	trace_event(caller, EXO_TRACE_CALLS, EXO_TRACE_RESULT, EXO_CALL_call, a0, a1, a2);
	arch_transfer_reply(a0, a1, a2, a3, a4, caller);
}

int64_t sys_reply(CALL_ARGS)
{
	struct env *self = current_env(), *caller = self->caller;
	unsigned serving = self->serving;

	if (unlikely(!(serving & SERVING_PLAIN) || (int64_t)a0 < 0 ||
	    (!(serving & SERVING_RESTING) && here.timer > here.slice_end)))
		return reply_slowly(a0, a1, a2, a3, a4);

	part(self, caller);
	if (serving & SERVING_RESTING) {
		env_set_state(self, EXO_ENV_ASLEEP);
		cpu_replace(self, caller);
	} else {
		cpu_link_before(caller, self);
	}
	arch_transfer_reply(a0, a1, a2, a3, a4, caller);
}
