/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces: what happens to an environment, for whoever may read it, in frames of the observer's.
 *
 * What is not traced pays nothing: each hot way has a comparison that a traced environment fails, and leads
 * aside. Calls are compared with a number of calls that is the environment's (arch.calls, then 0), exceptions
 * look at a page of its own for `off` (arch.direct, then one that says so), switches and transfers look at its
 * way to resume (RESUME_TRACED).
 *
 * R1 env->trace == t iff t->env == env; a trace is free iff `through` is NULL
 * R2 a trace's frames are pinned, its capability has CAP_TRACE, and it is charged to its observer's account
 * Records are written by the environment's own CPU only. Starting and stopping is asked of it, so whoever asked knows
 * that it does not write any more. Others count on nothing here: the ring's memory is its owner's to spoil.
 */
#include <exo/trace.h>
#include "exo/kernel.h"

#define STOP_UNITS	16	/* of budget, for a trace: its frames are unpinned */

static struct trace traces[EXO_TRACES_MAX];
/* In the place of a dispatcher page, as far as exceptions look: upcalls are off. */
static const uint32_t off_page[4] = { [EXO_DISP_OFF / sizeof(uint32_t)] = EXO_OFF_YES };

/* --- records -------------------------------------------------------------------------------------------- */

static struct exo_trace_record *record(struct env *env, uint32_t mask, uint32_t kind, uint64_t number)
{
	struct trace *trace = env->trace;
	struct exo_trace_record *one;

	if (!trace || !(trace->mask & mask))
		return NULL;
	one = (struct exo_trace_record *)(trace->ring + 1) + trace->next;
	trace->next = trace->next + 1 == trace->records ? 0 : trace->next + 1;
	*one = (struct exo_trace_record){ .time = arch_now(), .kind = kind, .number = (uint32_t)number };
	return one;
}

/* What was recorded last may be read. */
static void publish(struct env *env)
{
	__atomic_store_n(&env->trace->ring->head, ++env->trace->head, __ATOMIC_RELEASE);
}

void trace_write(struct env *env, uint32_t mask, uint32_t kind, uint64_t number, uint64_t w0, uint64_t w1, uint64_t w2)
{
	struct exo_trace_record *one = record(env, mask, kind, number);

	if (!one)
		return;
	one->word[0] = w0;
	one->word[1] = w1;
	one->word[2] = w2;
	publish(env);
}

int64_t trace_call(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t nr)
{
	struct env *self = current_env();
	struct exo_trace_record *one = record(self, EXO_TRACE_CALLS, EXO_TRACE_CALL, nr);
	const uint64_t word[6] = { a0, a1, a2, a3, a4, a5 };
	int64_t result;

	if (one) {
		__builtin_memcpy(one->word, word, sizeof(word));
		publish(self);
	}
	result = nr == EXO_CALL_call ? transfer_call_slowly(a0, a1, a2, a3, a4, a5) :
	    call_table[nr](a0, a1, a2, a3, a4, a5);
	trace_event(self, EXO_TRACE_CALLS, EXO_TRACE_RESULT, nr, (uint64_t)result, 0, 0);
	return result;
}

/* --- starting and stopping ------------------------------------------------------------------------------ */

void trace_apply(struct env *env)
{
	struct trace *trace = env->trace_next;
	uint32_t mask = trace ? trace->mask : 0;

	env->trace = trace;
	env->arch.calls = mask & EXO_TRACE_CALLS ? 0 : EXO_CALL_COUNT;
	env->arch.direct = (uint64_t)(uintptr_t)(mask & EXO_TRACE_EXCEPTIONS ? (const void *)off_page : env->disp);
	if (mask)
		env->resume |= RESUME_TRACED;
	else
		env->resume &= (uint8_t)~RESUME_TRACED;
}

static void stop(struct trace *trace)
{
	struct env *env = trace->env;
	uint32_t i;

	env->trace_next = NULL;
	(void)cpu_ask(cpus[env->cpu], ASK_TRACE, env, NULL);
	trace->env = NULL;
	trace->through = NULL;
	account_charge(account_at(trace->account), EXO_SHARE_TRACES, -1);
	for (i = 0; i < trace->frames; i++)
		frame_unpin(trace->first + i);
}

/* A trace through a capability, or, for NULL, a free one; NULL: there is none. */
static struct trace *find(const struct exo_cap *cap)
{
	unsigned i;

	for (i = 0; i < EXO_TRACES_MAX; i++)
		if (traces[i].through == cap)
			return &traces[i];
	return NULL;
}

bool trace_cut(struct exo_cap *cap, unsigned *budget)
{
	struct trace *trace;

	while ((trace = find(cap)) != NULL) {
		if (!afford(budget, STOP_UNITS))
			return false;
		stop(trace);
	}
	cap->flags &= (uint8_t)~CAP_TRACE;
	return true;
}

void trace_end(struct env *env)
{
	if (env->trace)
		stop(env->trace);
}

void trace_init(void)
{
	__builtin_memset(traces, 0, sizeof(traces));
}

/* May the caller take the place of who traces `env` now, if anybody does? */
static bool may_replace(const struct trace *trace, const struct env *env)
{
	struct env *self = current_env(), *observer;
	uint32_t slot;

	if (!trace)
		return true;
	observer = cap_env(trace->through, &slot);
	return observer == self || observer == env || env_state(observer) == EXO_ENV_ENDED;
}

static void start(struct trace *trace, struct env *env, struct exo_cap *cap, exo_pfn_t first, uint32_t frames,
    uint32_t mask)
{
	uint32_t records = frames * (EXO_PAGE_SIZE / sizeof(struct exo_trace_record)) - 1, i;
	struct exo_trace *ring = pfn_to_virt(first);

	for (i = 0; i < frames; i++)
		frame_pin(first + i);
	cap->flags |= CAP_TRACE;
	*ring = (struct exo_trace){ .version = EXO_TRACE_VERSION, .size = sizeof(struct exo_trace_record),
		.env = env->id, .records = records, .mask = mask };
	*trace = (struct trace){ .env = env, .through = cap, .ring = ring, .first = first, .frames = frames,
		.records = records, .mask = mask, .account = current_env()->account };
	env->trace_next = trace;
	(void)cpu_ask(cpus[env->cpu], ASK_TRACE, env, NULL);
}

int64_t sys_trace(CALL_ARGS)
{
	struct env *self = current_env(), *env = self;
	struct exo_cap *frames;
	struct trace *trace;
	exo_pfn_t first, i;
	int64_t error = 0;

	if (a0) {
		env = env_need_living(self, a0, EXO_RIGHT_READ, &error);
		if (!env)
			return error;
	}
	trace = env->trace;
	if (!may_replace(trace, env))
		return ERR(BUSY);
	if (!a3) {
		if (a1)
			return ERR(INVAL);
		if (trace)
			stop(trace);
		return 0;
	}
	if (a3 > EXO_TRACE_FRAMES_MAX || !a4 || a4 & ~(uint64_t)EXO_TRACE_ALL)
		return ERR(INVAL);
	frames = cap_need_frames(self, a1, EXO_RIGHT_WRITE, a2, a3, &first, &error);
	if (!frames)
		return error;
	for (i = first; i < first + a3; i++)
		if (info_frame[i].state != EXO_FRAME_OWNED || frame_table[i].pins)
			return ERR(BUSY);
	if (trace && trace->account == self->account)	/* it takes the other one's place */
		account_charge(account_at(self->account), EXO_SHARE_TRACES, 1);
	else
		error = account_take_kept(account_at(self->account), EXO_SHARE_TRACES, 1);
	if (error)
		return error;
	if (trace)
		stop(trace);
	start(find(NULL), env, frames, first, (uint32_t)a3, (uint32_t)a4);
	return 0;
}
