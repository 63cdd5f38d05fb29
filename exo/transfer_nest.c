/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transfers on top of transfers, and transfers that end without a reply.
 *
 * An environment that is inside a transfer and may be entered again (exo_disp.reenter) is inside of several: a
 * stack of levels, the innermost in struct env, the others in nest[], outermost first. A transfer that comes in
 * makes a new innermost level; its reply ends that, and the environment is again what it was below. Only the
 * innermost runs. An answer to a level below is kept there. So replies are matched last in, first out. (Tokens,
 * by which they could overtake each other, would be of use only to who can leave a handler in the middle, and
 * that one answers by a call of its own.) A level that came in on top and was cut ends with a reply, too: to
 * nobody.
 *
 * T1 the n-th level of a that waits for b is matched by the n-th level of b that serves a. The innermost level of
 *    a waits iff a is CALLING; it is in no ring then
 * T2 a level is deeper than the one that it serves and than the one below it, and at most EXO_CHAIN_MAX deep: so
 *    nest[] has room, and following `called` from innermost level to innermost level ends
 * T3 SERVING_PLAIN only in the one level of its environment, while its caller's innermost level waits for it
 * T4 SERVING_RESTING in a level: in those above it, too
 *
 * All of this is the CPU's own [c]: both sides of a transfer are on one.
 */
#include "exo/kernel.h"

/* The level of its caller's that waits for what a level of `env` serves; T1. */
static unsigned waiting_level(struct env *env, unsigned level)
{
	struct env *caller = env_level(env, level)->caller;
	unsigned before = 0, i;

	for (i = 0; i < level; i++)
		before += env_level(env, i)->caller == caller;
	for (i = 0; env_level(caller, i)->called != env || before--; i++)
		kassert(i < caller->nested);
	return i;
}

/* The level of whom a level of `env` waits for that serves it; T1. */
static unsigned serving_level(struct env *env, unsigned level)
{
	struct env *callee = env_level(env, level)->called;
	unsigned before = 0, i;

	for (i = 0; i < level; i++)
		before += env_level(env, i)->called == callee;
	for (i = 0; env_level(callee, i)->caller != env || before--; i++)
		kassert(i < callee->nested);
	return i;
}

unsigned transfer_waiting(struct env *env)
{
	return waiting_level(env, env->nested);
}

static void set_deadline(struct env *env, struct level *level, exo_time_t when)
{
	unsigned i;

	level->deadline = when;
	env->call_deadline = EXO_NEVER;
	for (i = 0; i <= env->nested; i++)
		if (env_level(env, i)->deadline < env->call_deadline)
			env->call_deadline = env_level(env, i)->deadline;
	cpu_timed(env);
}

void transfer_deadline(struct env *env, exo_time_t when)
{
	set_deadline(env, &env->top, when);
}

void transfer_answer(struct env *env, unsigned level, const struct arch_message *message)
{
	struct level *at = env_level(env, level);

	at->called = NULL;
	at->answer = *message;
	at->resume = RESUME_CALLER | (at->resume & RESUME_TRACED);
	set_deadline(env, at, EXO_NEVER);
}

/* The link between a level and whom it waits for is no more; the one who waited is not READY yet. */
static void sever(struct env *env, unsigned level, int64_t status)
{
	struct env *callee = env_level(env, level)->called;
	unsigned served = serving_level(env, level);
	struct level *at = env_level(callee, served);

	at->caller = NULL;
	if (served) {
		at->serving &= (uint8_t)~SERVING_PLAIN;
	} else {
		at->serving = 0;
		at->depth = 0;
	}
	transfer_answer(env, level, &(struct arch_message){ .rax = (uint64_t)status });
}

void transfer_nest(struct env *env)
{
	struct nest *nest = &env->nest[env->nested];

	kassert(env->nested < EXO_CHAIN_MAX);
	env->serving &= (uint8_t)~SERVING_PLAIN;
	nest->level = env->top;
	nest->caller = env->arch.caller;
	nest->state = env_state(env);
	nest->off = read_once(env->disp->off);
	if (env->called)
		env_level(env->called, serving_level(env, env->nested))->serving &= (uint8_t)~SERVING_PLAIN;
	env->nested++;
	env->called = NULL;
	env->deadline = EXO_NEVER;
	env->resume &= RESUME_TRACED;
}

/* Who slept goes on sleeping if nothing came meanwhile; who waited goes on waiting if there is no answer. */
void transfer_unnest(struct env *env)
{
	struct nest *nest = &env->nest[--env->nested];
	uint8_t resting = env->serving & SERVING_RESTING;
	uint32_t state = nest->state;

	nest->level.resume = (uint8_t)((nest->level.resume & ~RESUME_TRACED) | (env->resume & RESUME_TRACED));
	env->top = nest->level;
	env->arch.caller = nest->caller;
	env->disp->off = nest->off;
	env->serving &= (uint8_t)(~SERVING_RESTING | resting);
	if (state == EXO_ENV_CALLING ? !env->called : !resting)
		state = EXO_ENV_READY;
	if (state == EXO_ENV_READY)
		return;
	cpu_unlink(env);
	env_set_state(env, state);
}

void transfer_expire(struct env *env, exo_time_t now)
{
	struct env *callee;
	unsigned level = 0;

	while (env_level(env, level)->deadline > now)
		level++;
	callee = env_level(env, level)->called;
	sever(env, level, ERR(TIME));
	if (level == env->nested)
		cpu_ready(env);
	env_event(callee, EXO_EVENT_CUT);
}

void transfer_cut(struct env *env)
{
	struct env *caller, *callee;
	unsigned i, waits;

	for (i = env->nested + 1; i--;) {
		caller = env_level(env, i)->caller;
		if (caller) {
			waits = waiting_level(env, i);
			sever(caller, waits, ERR(DEAD));
			if (waits == caller->nested)
				cpu_ready(caller);
		}
		callee = env_level(env, i)->called;
		if (callee) {
			sever(env, i, ERR(DEAD));
			env_event(callee, EXO_EVENT_CUT);
		}
	}
	env->nested = 0;
}

struct env *transfer_peer(int64_t *error)
{
	struct env *self = current_env(), *peer = self->caller;

	if (peer && transfer_waiting(self) == peer->nested)
		return peer;
	*error = peer ? ERR(BUSY) : ERR(STATE);
	return NULL;
}
