/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A CPU: who runs on it, and until when.
 *
 * Whose the time is says slice.c. What is not bound, was given away by yield, or whose owner does not want it, goes
 * round the ready ones. There is no tick: the timer is set to the end of the slice only when somebody else is ready,
 * and to the earliest deadline. It is set lazily: never later than what matters, perhaps earlier; an early
 * interrupt finds nothing to do. Over a transfer the slice goes along and the caller goes on paying (here.payer),
 * so a transfer reads no clock.
 *
 * P1 the environment that runs is in the ring of its CPU, too; here.ready is who comes next
 * P2 here.due <= timed_at of every environment in the heap, but for those that a storm has put off
 * P3 here.timer <= here.due, and here.timer <= here.slice_end while two are ready, whenever user mode runs or the
 *    CPU idles
 * P4 an environment is in the ring or heap of env->cpu only, and in none while RESUME_MOVING is set
 *
 * Deadlines are a binary heap of pointers, made at boot with room for every environment, so setting one costs no more
 * with a thousand others. Who is woken stays in it until then: the next sleep often wants the same time, or a later one.
 * All runs with interrupts off on the CPU's one stack and touches no other CPU's words; leaving for user mode or HLT
 * never returns. The upcalls are Nemesis' and Barrelfish's (exo/disp.h).
 */
#include <exo/trace.h>
#include "exo/kernel.h"

#define EXPIRE_MAX		16	/* deadlines that one interrupt deals with ... */
#define EXPIRE_PAUSE_NS		5000	/* ... and when the next one deals with the rest */
#define SLICE_US_DEFAULT	1000
#define SLICE_US_MIN		50
#define SLICE_US_MAX		1000000
#define GRACE_SHARE		10	/* of a slice, lent at its end */
#define VECTOR_INTERRUPTED	256

/* --- time ------------------------------------------------------------------------------------------- */

void cpu_pays(struct env *env)
{
	slice_account(arch_now());
	here.payer = env;
}

void cpu_timer_need(exo_time_t when)
{
	if (when < here.timer) {
		here.timer = when;
		arch_timer_set(when);
	}
}

static bool another_ready(const struct env *env)
{
	return env->run_next != env;
}

/* User mode is about to run `env`: interrupt it when it matters. */
static inline void timer_arm(const struct env *env)
{
	exo_time_t when = here.due;

	if (another_ready(env) && here.slice_end < when)
		when = here.slice_end;
	cpu_timer_need(when);
}

/* --- deadlines -------------------------------------------------------------------------------------- */

static void heap_put(uint32_t place, struct env *env)
{
	here.timed[place] = env;
	env->timed_place = place;
}

/* It goes up, or else down, from a place that is free, to where it belongs. */
static void heap_settle(uint32_t place, struct env *env)
{
	struct env **heap = here.timed;
	uint32_t count = here.timed_count, next;

	while (place && heap[(place - 1) / 2]->timed_at > env->timed_at) {
		heap_put(place, heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	while ((next = 2 * place + 1) < count) {
		if (next + 1 < count && heap[next + 1]->timed_at < heap[next]->timed_at)
			next++;
		if (heap[next]->timed_at >= env->timed_at)
			break;
		heap_put(place, heap[next]);
		place = next;
	}
	heap_put(place, env);
}

void cpu_timed(struct env *env)
{
	exo_time_t at = env->sleep_until < env->call_deadline ? env->sleep_until : env->call_deadline;
	exo_time_t was = env->timed_at;
	uint32_t place;

	env->timed_at = at;
	if (at == was)
		return;
	if (at == EXO_NEVER) {
		place = env->timed_place;
		env = here.timed[--here.timed_count];
		if (place < here.timed_count)
			heap_settle(place, env);
	} else {
		heap_settle(was == EXO_NEVER ? here.timed_count++ : env->timed_place, env);
	}
	here.due = here.timed_count ? here.timed[0]->timed_at : EXO_NEVER;
}

void cpu_ready(struct env *env)
{
	bool alone = !here.ready || !another_ready(here.ready);
	exo_time_t now;

	env_set_state(env, EXO_ENV_READY);
	cpu_link(env);
	if (!here.current)
		return;
	now = arch_now();
	if (now >= here.slice_end) {
		slice_pass(now);
		here.passed = !alone;
	}
	cpu_timer_need(slice_claimant() == env ? now : here.slice_end);
}

out_of_line void cpu_wake(struct env *env, uint32_t reason)
{
	env->reasons |= reason;
	env->serving &= (uint8_t)~SERVING_RESTING;
	if (unlikely(env->predicate))
		wake_disarm(env);
	env->sleep_until = EXO_NEVER;
	if (env_state(env) == EXO_ENV_ASLEEP)
		cpu_ready(env);
	else if (env == here.slice_lender)
		slice_return();
}

void cpu_timer(void)
{
	exo_time_t now = arch_now();
	unsigned left = EXPIRE_MAX;
	struct env *env;

	here.timer = EXO_NEVER;
	if (unlikely(here.waking || here.wakes_quiet))
		smp_take_wakes(now);
	device_timer(now);
	while (here.due <= now) {
		if (!left--) {	/* the rest a little later, so that a storm leaves time to those who run */
			here.due = now + EXPIRE_PAUSE_NS;
			break;
		}
		env = here.timed[0];
		if (env->sleep_until <= now)
			cpu_wake(env, EXO_RUN_TIME);
		if (env->call_deadline <= now)
			transfer_expire(env, now);
		cpu_timed(env);
	}
}

/* --- switching -------------------------------------------------------------------------------------- */

/*
 * `env` is the one that runs from now on; the CPU has not loaded it yet. Returns whom it has loaded; NULL:
 * nobody.
 */
static inline struct env *choose(struct env *env, exo_time_t now)
{
	struct env *was = here.current;

	if (!was) {
		was = here.loaded;
		here.loaded = NULL;
	}
	if (unlikely(here.lent))
		slice_lent_back(now);
	if (unlikely(now >= here.slice_end)) {
		slice_pass(now);
		if (another_ready(env))
			cpu_timer_need(now);
	} else {
		slice_account(now);
	}
	here.current = here.payer = env;
	env->serving &= (uint8_t)~SERVING_PLAIN;
	if (was) {
		was->info->entries = was->arch.entries;
		was->info->exceptions = was->arch.exceptions;
	}
	env->disp->slice_end = here.slice_end;
	timer_arm(env);
	return was;
}

static void load(struct env *was, struct env *env)
{
	if (was != env) {
		if (was)
			arch_env_unload(was);
		env->info->switches++;
		arch_env_load(env);
	}
	if (here.space != env->root) {
		here.space = env->root;
		arch_space_load(env->root);
	}
}

void cpu_switch(struct env *env)
{
	load(choose(env, arch_now()), env);
}

static _Noreturn void run(struct env *was, struct env *env)
{
	uint64_t reasons = env->reasons ? env->reasons : EXO_RUN_SLICE;
	struct exo_disp *disp = env->disp;
	struct arch_message message;

	env->reasons = 0;
	env->info->upcalls++;
	__atomic_fetch_or(&disp->pending, reasons, __ATOMIC_RELAXED);
	if (likely(was && was != env && here.space == was->root)) {
		env->info->switches++;
		arch_transfer_run(reasons, env);
	}
	load(was, env);
	disp->off = EXO_OFF_YES;
	message = (struct arch_message){ .rdi = reasons };
	arch_upcall(disp->run_entry, disp->upcall_sp, &message);
}

/* A traced one is given the CPU. */
static rarely void trace_runs(struct env *env, unsigned resume)
{
	trace_event(env, EXO_TRACE_SWITCHES, EXO_TRACE_RUNS, here.index, 0, 0, 0);
	if (resume == RESUME_CALLER)
		trace_event(env, EXO_TRACE_CALLS, EXO_TRACE_RESULT, EXO_CALL_call, env->answer.rax, 0, 0);
	else if (resume == RESUME_RUN)
		trace_event(env, EXO_TRACE_UPCALLS, EXO_TRACE_UPCALL, EXO_UPCALL_RUN,
		    env->reasons ? env->reasons : EXO_RUN_SLICE, 0, 0);
}

static _Noreturn void enter_at(struct env *env, exo_time_t now)
{
	struct env *was = choose(env, now);
	struct exo_disp *disp = env->disp;
	unsigned resume = env->resume;

	if (likely(resume == RESUME_RUN))
		run(was, env);
	env->resume = (uint8_t)(resume & RESUME_TRACED);
	if (resume & RESUME_TRACED) {
		resume &= ~RESUME_TRACED;
		trace_runs(env, resume);
		if (resume == RESUME_RUN)
			run(was, env);
	}
	load(was, env);
	if (resume == RESUME_OFF)
		arch_regs_resume(&disp->offa, disp->offa_fpu);
	arch_caller_resume(&env->arch.caller, &env->answer);
}

_Noreturn void cpu_enter(struct env *env)
{
	enter_at(env, arch_now());
}

static _Noreturn void dispatch_at(exo_time_t now)
{
	struct env *env;

	if (now >= here.slice_end)
		slice_pass(now);
	here.passed = false;
	env = slice_claimant();
	if (env)
		enter_at(env, now);
	env = here.ready;
	if (env) {
		if (env == here.current)
			env = env->run_next;
		here.ready = env->run_next;
		enter_at(env, now);
	}
	if (here.lent)
		slice_lent_back(now);
	slice_account(now);
	if (here.current)
		here.loaded = here.current;
	here.current = here.payer = NULL;
	cpu_idled();
	arch_idle();
}

_Noreturn void cpu_dispatch(void)
{
	dispatch_at(arch_now());
}

rarely _Noreturn void cpu_secondary(void)
{
	slice_pass(arch_now());
	__atomic_store_n(&here.info->state, EXO_CPU_RUNS, __ATOMIC_SEQ_CST);
	arch_tlb_all();		/* smp_forget counts on it from here on */
	cpu_dispatch();
}

/* --- entered by the port ---------------------------------------------------------------------------- */

/* May an upcall be made over the state at `rip`? */
static bool upcalls_on(const struct exo_disp *disp, uint64_t rip)
{
	return read_once(disp->off) == EXO_OFF_NO &&
	    !(rip >= read_once(disp->critical) && rip < read_once(disp->critical_end));
}

static void save(const struct arch_frame *frame, struct exo_regs *regs, uint8_t *fpu, uint64_t vector,
    uint64_t error, uint64_t address)
{
	arch_frame_save(frame, regs, fpu);
	regs->vector = vector;
	regs->error = error;
	regs->address = address;
}

/* The current one's state, as it was interrupted: it goes on by a RUN upcall or from area OFF. */
static void preempt(struct env *env, const struct arch_frame *frame)
{
	struct exo_disp *disp = env->disp;

	if (upcalls_on(disp, arch_frame_rip(frame))) {
		save(frame, &disp->on, disp->on_fpu, VECTOR_INTERRUPTED, 0, 0);
		disp->saved |= EXO_SAVED_ON;
	} else {
		save(frame, &disp->offa, disp->offa_fpu, VECTOR_INTERRUPTED, 0, 0);
		env->resume |= RESUME_OFF;
	}
	trace_event(env, EXO_TRACE_SWITCHES, EXO_TRACE_WAITS, here.index, arch_frame_rip(frame), 0, 0);
}

/* Its slice has ended: tell it so, if it wants that, and come back no later than the grace allows. */
static __attribute__((cold)) void ask_to_go(struct env *env, const struct arch_frame *frame, exo_time_t now)
{
	struct exo_disp *disp = env->disp;
	uint64_t entry = read_once(disp->end_entry);
	struct arch_message message;

	if (entry >= EXO_USER_MAX || !upcalls_on(disp, arch_frame_rip(frame)) || !slice_lend(env, now))
		return;
	save(frame, &disp->on, NULL, VECTOR_INTERRUPTED, 0, 0);
	env->info->upcalls++;
	trace_event(env, EXO_TRACE_UPCALLS, EXO_TRACE_UPCALL, EXO_UPCALL_END, here.lent_to, 0, 0);
	disp->off = EXO_OFF_YES;
	message = (struct arch_message){ .rdi = here.lent_to };
	arch_upcall(entry, read_once(disp->upcall_sp), &message);
}

_Noreturn void cpu_interrupted(struct arch_frame *frame)
{
	struct env *env = here.current, *claimant;
	exo_time_t now;

	if (!frame || !env) {
		__atomic_store_n(&here.idle, false, __ATOMIC_SEQ_CST);	/* before any name is found (smp_quiet) */
		cpu_dispatch();
	}
	env->info->interrupts++;
	now = arch_now();
	if (now >= here.slice_end)
		slice_pass(now);
	claimant = another_ready(env) ? slice_claimant() : env;
	if (claimant == env || (!claimant && !(here.passed && another_ready(env))) ||
	    unlikely(here.lent == env && now < here.lent_to)) {
		here.passed = false;
		timer_arm(env);
		if (here.lent)
			cpu_timer_need(here.lent_to);
		arch_frame_resume(frame);
	}
	if (unlikely(env->disp->end_entry))
		ask_to_go(env, frame, now);
	if (unlikely(here.lent))
		slice_lent_taken(now);	/* comes back only if env is still the current one */
	preempt(env, frame);
	cpu_dispatch();
}

/*
 * Who may run is in the ring (P1). While nobody is, nobody's time begins, and who comes finds the slice that it is then. That
 * it idles is said each time: who looked for wakeups has taken it back (smp_take_wakes).
 */
out_of_line void cpu_idled(void)
{
	if (here.ready)
		cpu_interrupted(NULL);
	cpu_timer_need(here.due);
	device_idle();
	__atomic_store_n(&here.idle, true, __ATOMIC_RELEASE);
}

rarely _Noreturn void cpu_exception(struct arch_frame *frame, uint64_t vector, uint64_t error, uint64_t address)
{
	struct env *env = here.current;
	struct exo_disp *disp = env->disp;
	struct arch_message message = { .rdi = vector };
	uint64_t rip = arch_frame_rip(frame), entry = read_once(disp->off_entry),
	    sp = read_once(disp->off_sp);
	bool ends = upcalls_on(disp, rip) || read_once(disp->off) == EXO_OFF_FAULT || !entry ||
	    entry >= EXO_USER_MAX || !sp || sp > EXO_USER_MAX;

	trace_event(env, EXO_TRACE_EXCEPTIONS, EXO_TRACE_EXCEPTION, vector, error, address, rip);
	if (env->arch.direct != env->arch.disp && upcalls_on(disp, rip)) {
		save(frame, &disp->on, NULL, vector, error, address);
		disp->off = EXO_OFF_YES;
		arch_frame_upcall(frame, read_once(disp->fault_entry), read_once(disp->upcall_sp), vector);
	}
	save(frame, &disp->fault, NULL, vector, error, address);
	if (ends) {
		kernel_lock();
		env_end(env, (uint32_t)vector, address, rip);
	}
	env->info->upcalls++;
	disp->off = EXO_OFF_FAULT;
	arch_upcall(entry, sp, &message);
}

/* --- coming and going ------------------------------------------------------------------------------- */

rarely void cpu_forget(struct env *env)
{
	slice_unbind_all(env);
	if (env_state(env) == EXO_ENV_READY)
		cpu_unlink(env);
	env->serving = 0;
	if (env->predicate)
		wake_disarm(env);
	env->sleep_until = env->call_deadline = EXO_NEVER;
	cpu_timed(env);
	env->info->entries = env->arch.entries;
	env->info->exceptions = env->arch.exceptions;
	if (here.lent == env)
		here.lent = NULL;
	if (here.payer == env) {
		slice_account(arch_now());
		here.payer = here.current;
	}
	if (here.current == env) {
		here.current = here.payer = NULL;
		slice_return();
	}
	if (here.loaded == env)
		here.loaded = NULL;
}

rarely void cpu_depart(struct env *env)
{
	exo_time_t until = env->sleep_until;

	if (env == here.current || env == here.loaded)
		arch_env_unload(env);
	cpu_forget(env);
	arch_env_forget(env);
	env->sleep_until = until;
	env->reasons |= EXO_RUN_MOVED;
	env->resume |= RESUME_MOVING;
	__atomic_store_n(&env->cpu, env->cpu_next, __ATOMIC_SEQ_CST);
}

rarely int64_t cpu_take(struct env *env, struct arch_frame *frame)
{
	if (env->serving || env->called)
		return ERR(BUSY);
	if (env == here.current) {
		if (!frame)
			return ERR(AGAIN);
		preempt(env, frame);
	}
	cpu_depart(env);
	return 0;
}

rarely void cpu_arrive(struct env *env)
{
	uint32_t state = env_state(env);

	env->resume &= (uint8_t)~RESUME_MOVING;
	env->info->cpu = env->cpu;
	if (state == EXO_ENV_READY) {
		env->sleep_until = EXO_NEVER;	/* what it has lent was the other CPU's */
		cpu_ready(env);
	} else if (state == EXO_ENV_ASLEEP) {
		if (env->reasons)
			env->sleep_until = EXO_NEVER;
		cpu_timed(env);
		if (env->reasons)
			cpu_wake(env, 0);
		if (here.current)
			cpu_timer_need(here.due);
	}
}

static void cpu_make(unsigned index, struct env **timed)
{
	struct cpu *one = cpus[index] = arch_cpu_place(index);

	__builtin_memset(one, 0, sizeof(*one));
	one->index = index;
	one->slice = EXO_SLICES - 1;
	one->timer = one->due = EXO_NEVER;
	one->timed = timed;
	one->info = &info_cpu[index];
	one->info->id = arch_cpu_id(index);
	one->slice_info = &info_slice[index * EXO_SLICES];
}

rarely void cpu_init(void)
{
	uint64_t us = boot_option("slice_us", SLICE_US_DEFAULT);
	uint32_t bytes = info->envs.entries * sizeof(struct env *);
	exo_pfn_t heaps = frame_boot_take((info->cpus * bytes + EXO_PAGE_SIZE - 1) / EXO_PAGE_SIZE,
	    EXO_FRAME_KERNEL);
	exo_pfn_t stacks = frame_boot_take(info->cpus * CODE_STACKS, EXO_FRAME_KERNEL);
	unsigned i;

	if (us < SLICE_US_MIN)
		us = SLICE_US_MIN;
	if (us > SLICE_US_MAX)
		us = SLICE_US_MAX;
	info->slice_ns = us * 1000;
	info->grace_ns = info->slice_ns / GRACE_SHARE;
	for (i = 0; i < info->cpus; i++) {
		cpu_make(i, (struct env **)((char *)pfn_to_virt(heaps) + i * bytes));
		cpus[i]->code_stack = pfn_to_virt(stacks + i * CODE_STACKS);
	}
	slice_pass(arch_now());
	here.info->state = EXO_CPU_RUNS;
}

/* --- calls ------------------------------------------------------------------------------------------ */

/* It wants its slice back when the receiver does not want it any more, or at a time. */
static out_of_line void lend(struct env *self, exo_time_t until)
{
	if (here.slice_owner == self)
		here.slice_lender = self;
	self->sleep_until = until;
	cpu_timed(self);
}

int64_t sys_yield(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env(), *env = NULL;
	struct exo_cap *cap;
	int64_t error = 0;

	(void)a2, (void)a3, (void)a4, (void)a5;
	if (a0) {
		cap = cap_typed(self, a0, EXO_TYPE_ENV);
		if (unlikely(!cap || !(cap->rights & EXO_RIGHT_WAKE))) {
			(void)cap_need(self, a0, EXO_TYPE_ENV, EXO_RIGHT_WAKE, &error);
			return error;
		}
		env = env_behind(cap);
		if (!cap_still(cap, a0))
			return ERR(CAP);
		if (!env || env_state(env) == EXO_ENV_ENDED)
			return ERR(DEAD);
		if (env->cpu != self->cpu || env->resume & RESUME_MOVING)
			return ERR(CPU);
		if (env_state(env) != EXO_ENV_READY && env_state(env) != EXO_ENV_ASLEEP)
			return ERR(STATE);
	}
	if (unlikely(a1))
		lend(self, a1);
	slice_give(self);
	if (!env) {
		if (here.slice_lender != self)
			slice_return();
		cpu_dispatch();
	}
	if (env_state(env) == EXO_ENV_ASLEEP)
		cpu_wake(env, EXO_RUN_SLICE);
	cpu_enter(env);
}

int64_t sys_sleep(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env();
	int64_t result;
	exo_time_t now;

	(void)a3, (void)a4, (void)a5;
	if (unlikely(a2 || self->predicate)) {
		result = wake_arm(self, a0, a1, a2);
		if (result)
			return result < 0 ? result : 0;
		now = arch_now();
	} else if (read_once(self->disp->events) != a1 || a0 <= (now = arch_now())) {
		return 0;
	}
	self->reasons = 0;
	cpu_unlink(self);
	env_set_state(self, EXO_ENV_ASLEEP);
	self->sleep_until = a0;
	if (a0 < self->timed_at)
		cpu_timed(self);
	slice_return();
	dispatch_at(now);
}
