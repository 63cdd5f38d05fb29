/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several CPUs: the kernel's lock, questions from one CPU to another, wakeups across CPUs.
 *
 * A CPU owns who runs on it: its ring, its deadlines and its transfers are touched by nobody else, so the hot ways need
 * no lock. What changes them from elsewhere (start, end, move, flush) is asked for: the holder of the kernel lock puts
 * the question into the other's struct cpu, interrupts it, and waits. The other answers in the interrupt, which finds
 * it in user mode or idling, or in the loop in which it waits for the same lock. So nobody waits for somebody who
 * waits, and there is at most one question at a time in the machine. Waiting for the answer, rather than letting
 * frames rest in limbo until every CPU has passed by, makes a call's effect complete when it returns.
 *
 * A wakeup needs no answer: the environment is pushed on a list of its CPU, and the CPU is interrupted if the list was
 * empty. A dead one is on its way to nobody once wake_posted is clear after smp_quiet (env_destroy_some says why).
 *
 * After Barrelfish's per-CPU kernels, with shared tables under one lock in place of their messages. The lock is a
 * ticket lock (Mellor-Crummey, Scott 1991): first come, first served, so a CPU waits for at most one turn of each other.
 */
#include "exo/kernel.h"

struct cpu *cpus[EXO_CPUS_MAX];
struct kernel_lock kernel_lock_word;

#define LOOKS	500	/* at the lock, before a PAUSE, which may take long (an emulator goes a long way round) */

#define WAKES_MAX	64	/* that one interrupt deals with ... */
#define WAKES_PAUSE_NS	5000	/* ... and when the next one deals with the rest */
#define WAKES_SHARE	10	/* of the time of those who run there, one part in so many for programs that wake nobody */
#define STORM_NS	100000	/* in this time so many interrupts for wakeups, or environments that come or go, are */
#define STORM_WAKES	16	/* a storm, which may not take more than a tenth of the time of those who run there */
#define STORM_MOVES	8

static void answer(struct arch_frame *frame);

/* --- locks ---------------------------------------------------------------------------------------------- */

static void wait_turn(uint32_t ticket)
{
	unsigned i;

	here.info->lock_waits++;
	do {
		answer(NULL);
		for (i = 0; i < LOOKS && __atomic_load_n(&kernel_lock_word.serving, __ATOMIC_ACQUIRE) != ticket; i++)
			;
		if (i == LOOKS)
			arch_pause();
	} while (__atomic_load_n(&kernel_lock_word.serving, __ATOMIC_ACQUIRE) != ticket);
}

out_of_line void kernel_lock_slowly(uint32_t ticket)
{
	struct env *env = here.current;

	wait_turn(ticket);
	if (here.current != env) {	/* it was ended while it waited, in a call or an exception of its own */
		kernel_unlock();
		cpu_dispatch();
	}
}

void kernel_lock_inside(void)
{
	uint32_t ticket = kernel_lock_ticket();

	if (!kernel_lock_turn(ticket))
		wait_turn(ticket);
}

bool kernel_trylock(void)
{
	uint32_t ticket = __atomic_load_n(&kernel_lock_word.serving, __ATOMIC_ACQUIRE);

	return __atomic_compare_exchange_n(&kernel_lock_word.next, &ticket, ticket + 1, false,
	    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void spin_wait(struct spinlock *lock, uint32_t ticket)
{
	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket)
		arch_pause();
}

void spin_lock(struct spinlock *lock)
{
	spin_wait(lock, __atomic_fetch_add(&lock->next, 1, __ATOMIC_ACQUIRE));
}

/* --- questions ------------------------------------------------------------------------------------------ */

/* Do what is asked, on this CPU. */
static int64_t serve(enum ask what, struct env *env, const struct stale *stale, struct arch_frame *frame)
{
	switch (what) {
	case ASK_FLUSH:
		space_forget(stale);
		return 0;
	case ASK_START:
		env->reasons |= EXO_RUN_START;
		cpu_ready(env);
		return 0;
	case ASK_ARRIVE:
		cpu_arrive(env);
		return 0;
	case ASK_LEAVE:
		env_leave(env);
		return 0;
	case ASK_TRACE:
		trace_apply(env);
		return 0;
	case ASK_TAKE:
		return cpu_take(env, frame);
	case ASK_WAKE:
		if (env->predicate)
			cpu_wake(env, EXO_RUN_EVENT);
		return 0;
	case ASK_FORGET:
		arch_tlb_all();
		return 0;
	default:
		return 0;
	}
}

/* Is there a question? */
static void answer(struct arch_frame *frame)
{
	enum ask what = __atomic_load_n(&here.ask, __ATOMIC_ACQUIRE);

	if (what == ASK_NOTHING)
		return;
	here.answer = serve(what, here.ask_env, here.ask_stale, frame);
	__atomic_store_n(&here.ask, ASK_NOTHING, __ATOMIC_RELEASE);
}

int64_t cpu_ask(struct cpu *to, enum ask what, struct env *env, const struct stale *stale)
{
	assert_locked();
	if (to == cpu_self())
		return serve(what, env, stale, NULL);
	to->ask_env = env;
	to->ask_stale = stale;
	__atomic_store_n(&to->ask, what, __ATOMIC_SEQ_CST);
	arch_cpu_interrupt(to->index);
	while (__atomic_load_n(&to->ask, __ATOMIC_ACQUIRE) != ASK_NOTHING)
		arch_pause();
	return to->answer;
}

void smp_flush(exo_pfn_t root, const struct stale *stale)
{
	unsigned i;

	if (likely(info->cpus == 1))
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* entries first, then who has them loaded */
	for (i = 0; i < info->cpus; i++)
		if (cpus[i] != cpu_self() && __atomic_load_n(&cpus[i]->space, __ATOMIC_RELAXED) == root)
			(void)cpu_ask(cpus[i], ASK_FLUSH, NULL, stale);
}

void smp_forget(void)
{
	unsigned i;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < info->cpus; i++)
		if (cpus[i]->info->state == EXO_CPU_RUNS)
			(void)cpu_ask(cpus[i], ASK_FORGET, NULL, NULL);
}

void smp_quiet(void)
{
	unsigned i;

	if (likely(info->cpus == 1))
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < info->cpus; i++)
		if (cpus[i] != cpu_self() && cpus[i]->info->state == EXO_CPU_RUNS &&
		    !__atomic_load_n(&cpus[i]->idle, __ATOMIC_RELAXED))
			(void)cpu_ask(cpus[i], ASK_QUIET, NULL, NULL);
}

/* --- wakeups -------------------------------------------------------------------------------------------- */

static void wake_here(struct env *env)
{
	if (env->resume & RESUME_MOVING)		/* it looks for events when it has arrived */
		env->reasons |= EXO_RUN_EVENT;
	else if (env_state(env) == EXO_ENV_ASLEEP || (env->serving & SERVING_RESTING)) {
		if (likely(!env->predicate) || !wake_sleeps_on(env))
			cpu_wake(env, EXO_RUN_EVENT);
	} else if (env != here.current)
		env->reasons |= EXO_RUN_EVENT;
}

/* In the time of who runs here: the sleeper owes what its program takes. */
static out_of_line void run_here(struct env *env)
{
	exo_time_t from = arch_now();

	wake_here(env);
	slice_interrupted(env, arch_now() - from);
}

/* It is in no list; wake_posted is set. */
static void post(struct env *env, struct cpu *to)
{
	struct env *head = __atomic_load_n(&to->wakes, __ATOMIC_RELAXED);

	do
		env->wake_next = head;
	while (!__atomic_compare_exchange_n(&to->wakes, &head, env, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	if (!head && !__atomic_load_n(&to->wakes_quiet, __ATOMIC_SEQ_CST))
		arch_cpu_interrupt(to->index);
}

void smp_wake(struct env *env)
{
	struct cpu *to = cpus[__atomic_load_n(&env->cpu, __ATOMIC_RELAXED)];

	if (to == cpu_self())
		wake_here(env);
	else if (!__atomic_exchange_n(&env->wake_posted, 1, __ATOMIC_SEQ_CST))
		post(env, to);
}

/* One more: are there too many? */
static bool storm(exo_time_t *from, uint32_t *count, uint32_t most, exo_time_t now)
{
	if (now - *from >= STORM_NS) {
		*from = now;
		*count = 0;
	}
	return ++*count > most;
}

bool smp_movable(struct cpu *to, exo_time_t now)
{
	return __atomic_load_n(&to->idle, __ATOMIC_RELAXED) ||
	    !storm(&to->moves_from, &to->moves_count, STORM_MOVES, now);
}

/*
 * Some of them; one that has moved on meanwhile is passed on, posted all the way. A CPU that idled is not idle any more
 * before it has a name in hand, so smp_quiet waits until it has let go of it.
 */
static void take_wakes(exo_time_t now)
{
	unsigned left = WAKES_MAX;
	struct env *env;
	struct cpu *to;

	do {
		while ((env = here.waking) != NULL) {
			if (!left-- || !wake_affordable(env)) {
				cpu_timer_need(now + WAKES_PAUSE_NS);
				return;
			}
			here.waking = env->wake_next;
			to = cpus[__atomic_load_n(&env->cpu, __ATOMIC_RELAXED)];
			if (to != cpu_self()) {
				post(env, to);
				continue;
			}
			__atomic_store_n(&env->wake_posted, 0, __ATOMIC_SEQ_CST);
			if (likely(!env->predicate))
				wake_here(env);
			else
				run_here(env);
		}
		here.waking = __atomic_exchange_n(&here.wakes, NULL, __ATOMIC_SEQ_CST);
	} while (here.waking);
}

/* From now on, until a time, the list is looked at with the timer only. */
static void quiet_until(exo_time_t when)
{
	here.wakes_until = when;
	__atomic_store_n(&here.wakes_quiet, true, __ATOMIC_SEQ_CST);
	cpu_timer_need(when);
}

void smp_take_wakes(exo_time_t now)
{
	__atomic_store_n(&here.idle, false, __ATOMIC_SEQ_CST);
	if (unlikely(here.wakes_quiet)) {
		if (now < here.wakes_until) {
			cpu_timer_need(here.wakes_until);
			return;
		}
		__atomic_store_n(&here.wakes_quiet, false, __ATOMIC_SEQ_CST);
	}
	here.runs_in_vain = 0;
	take_wakes(now);
	if (unlikely(here.runs_in_vain && here.current))
		quiet_until(now + WAKES_SHARE * (arch_now() - now));
}

void cpu_serve(struct arch_frame *frame)
{
	exo_time_t now = arch_now();

	here.info->asked++;
	/* Nobody is kept from anything while the CPU idles. */
	if (frame && !here.wakes_quiet && here.wakes && storm(&here.wakes_from, &here.wakes_count, STORM_WAKES, now)) {
		quiet_until(here.wakes_from + STORM_NS);
	} else {
		smp_take_wakes(now);
	}
	answer(frame);
}
