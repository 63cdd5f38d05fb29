/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU: its time is a vector of EXO_SLICES slices of equal length, run in order, over and over.
 *
 * A slice is owned through a capability and bound to an environment, so position and number are the
 * application's choice. What is not bound, was given away by yield, or whose owner does not want it, goes
 * round the ready ones. There is no tick: the timer is set to the end of the slice only when somebody else is
 * ready, and to the earliest deadline. It is set lazily: never later than what matters, perhaps earlier; an
 * early interrupt finds nothing to do. Over a transfer the slice goes along and the caller goes on paying
 * (cpu.payer), so a transfer reads no clock.
 *
 * P1 the environment that runs is in the ring too; cpu.ready is who comes next
 * P2 cpu.due <= timed_at of every environment in the list
 * P3 cpu.timer <= cpu.due, and cpu.timer <= cpu.slice_end while two are ready, whenever user mode runs or the
 *    CPU idles
 *
 * The list of deadlines is not sorted: setting one costs a few instructions, and a look over all (at most
 * ENVS_MAX) happens only when one has come. All runs with interrupts off on the CPU's one stack; leaving for
 * user mode or HLT never returns. After the slice vectors of Aegis; the upcalls are Nemesis' and Barrelfish's
 * (exo/disp.h).
 */
#include "exo/kernel.h"

#define EXPIRE_MAX		24	/* deadlines that one interrupt deals with */
#define SLICE_US_DEFAULT	1000
#define SLICE_US_MIN		50
#define SLICE_US_MAX		1000000
#define VECTOR_NMI		2
#define VECTOR_INTERRUPTED	256

struct cpu cpu;
static struct env *timed_scan;	/* where cpu_timer's walk goes on */

/* --- time ------------------------------------------------------------------------------------------- */

/* The time since cpu.since is the payer's. */
static void cpu_account(exo_time_t now)
{
	struct env *env = cpu.payer;
	exo_time_t from, to;

	if (env) {
		env->info->ns += now - cpu.since;
		if (cpu.slices[cpu.slice] == env) {
			from = cpu.since > cpu.slice_start ? cpu.since : cpu.slice_start;
			to = now < cpu.slice_end ? now : cpu.slice_end;
			if (to > from)
				info_slice[cpu.slice].used_ns += to - from;
		}
	}
	cpu.since = now;
}

void cpu_pays(struct env *env)
{
	cpu_account(arch_now());
	cpu.payer = env;
}

/* The slice has passed: find the one that runs now. */
static void slice_pass(exo_time_t now)
{
	exo_time_t length = info->slice_ns;
	uint64_t number;

	cpu_account(now);
	if (now < cpu.slice_end + length) {
		cpu.slice = (cpu.slice + 1) % EXO_SLICES;
		cpu.slice_start = cpu.slice_end;
	} else {
		number = now / length;	/* seldom: after a long time alone or idle */
		cpu.slice = number % EXO_SLICES;
		cpu.slice_start = number * length;
	}
	cpu.slice_end = cpu.slice_start + length;
	cpu.slice_owner = cpu.slices[cpu.slice];
	cpu.passed = true;
}

void cpu_timer_need(exo_time_t when)
{
	if (when < cpu.timer) {
		cpu.timer = when;
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
	exo_time_t when = cpu.due;

	if (another_ready(env) && cpu.slice_end < when)
		when = cpu.slice_end;
	cpu_timer_need(when);
}

/*
 * Who may claim the slice: its owner, or whoever serves the transfer that it waits for. NULL: nobody who is
 * ready.
 */
static struct env *slice_claimant(void)
{
	struct env *env = cpu.slice_owner;

	while (env && env_state(env) == EXO_ENV_CALLING)
		env = env->called;
	return env && env_state(env) == EXO_ENV_READY ? env : NULL;
}

out_of_line void slice_give_served(const struct env *env)
{
	if (slice_claimant() == env)
		cpu.slice_owner = NULL;
}

/* --- deadlines -------------------------------------------------------------------------------------- */

void cpu_timed(struct env *env)
{
	exo_time_t at = env->sleep_until < env->call_deadline ? env->sleep_until : env->call_deadline;

	if (env->timed_at == EXO_NEVER && at != EXO_NEVER) {
		env->timed_prev = NULL;
		env->timed_next = cpu.timed;
		if (cpu.timed)
			cpu.timed->timed_prev = env;
		cpu.timed = env;
	} else if (env->timed_at != EXO_NEVER && at == EXO_NEVER) {
		if (timed_scan == env)
			timed_scan = env->timed_next;
		if (env->timed_next)
			env->timed_next->timed_prev = env->timed_prev;
		if (env->timed_prev)
			env->timed_prev->timed_next = env->timed_next;
		else
			cpu.timed = env->timed_next;
	}
	env->timed_at = at;
	if (at < cpu.due)
		cpu.due = at;
}

void cpu_ready(struct env *env)
{
	bool alone = !cpu.ready || !another_ready(cpu.ready);
	exo_time_t now;

	env_set_state(env, EXO_ENV_READY);
	cpu_link(env);
	if (!cpu.current)
		return;
	now = arch_now();
	if (now >= cpu.slice_end) {
		slice_pass(now);
		cpu.passed = !alone;
	}
	cpu_timer_need(slice_claimant() == env ? now : cpu.slice_end);
}

out_of_line void cpu_wake(struct env *env, uint32_t reason)
{
	env->reasons |= reason;
	env->serving &= (uint8_t)~SERVING_RESTING;
	if (env->sleep_until != EXO_NEVER) {
		env->sleep_until = EXO_NEVER;
		cpu_timed(env);
	}
	if (env_state(env) == EXO_ENV_ASLEEP)
		cpu_ready(env);
}

void cpu_timer(void)
{
	exo_time_t now = arch_now();
	unsigned left = EXPIRE_MAX;
	struct env *env;

	cpu.timer = EXO_NEVER;
	device_timer(now);
	if (now < cpu.due)
		return;
	cpu.due = EXO_NEVER;
	for (timed_scan = cpu.timed; (env = timed_scan) != NULL;) {
		if (env->timed_at <= now && !left--) {
			cpu.due = 0;	/* at once, but somebody else may come between */
			break;
		}
		timed_scan = env->timed_next;
		if (env->sleep_until <= now)
			cpu_wake(env, EXO_RUN_TIME);
		if (env->call_deadline <= now)
			transfer_expire(env);
		if (env->timed_at < cpu.due)
			cpu.due = env->timed_at;
	}
}

/* --- switching -------------------------------------------------------------------------------------- */

/*
 * `env` is the one that runs from now on; the CPU has not loaded it yet. Returns whom it has loaded; NULL:
 * nobody.
 */
static inline struct env *choose(struct env *env, exo_time_t now)
{
	struct env *was = cpu.current;

	if (!was) {
		was = cpu.loaded;
		cpu.loaded = NULL;
	}
	if (unlikely(now >= cpu.slice_end)) {
		slice_pass(now);
		if (another_ready(env))
			cpu_timer_need(now);
	} else {
		cpu_account(now);
	}
	cpu.current = cpu.payer = env;
	env->serving &= (uint8_t)~SERVING_PLAIN;
	if (was) {
		was->info->entries = was->arch.entries;
		was->info->exceptions = was->arch.exceptions;
	}
	env->disp->slice_end = cpu.slice_end;
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
	if (cpu.space != env->root) {
		cpu.space = env->root;
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
	disp->pending |= reasons;
	if (likely(was && was != env && cpu.space == was->root)) {
		cpu.space = env->root;
		env->info->switches++;
		arch_transfer_run(reasons, env);
	}
	load(was, env);
	disp->off = EXO_OFF_YES;
	message = (struct arch_message){ .rdi = reasons };
	arch_upcall(disp->run_entry, disp->upcall_sp, &message);
}

static _Noreturn void enter_at(struct env *env, exo_time_t now)
{
	struct env *was = choose(env, now);
	struct exo_disp *disp = env->disp;
	struct arch_message message;
	unsigned resume = env->resume;

	if (likely(resume == RESUME_RUN))
		run(was, env);
	env->resume = RESUME_RUN;
	load(was, env);
	if (resume == RESUME_OFF)
		arch_regs_resume(&disp->offa, disp->offa_fpu);
	message = (struct arch_message){ .rax = (uint64_t)env->call_status };
	arch_caller_resume(&env->arch.caller, &message);
}

_Noreturn void cpu_enter(struct env *env)
{
	enter_at(env, arch_now());
}

_Noreturn void cpu_dispatch(void)
{
	exo_time_t now = arch_now();
	struct env *env;

	if (now >= cpu.slice_end)
		slice_pass(now);
	cpu.passed = false;
	env = slice_claimant();
	if (env)
		enter_at(env, now);
	env = cpu.ready;
	if (env) {
		if (env == cpu.current)
			env = env->run_next;
		cpu.ready = env->run_next;
		enter_at(env, now);
	}
	cpu_account(now);
	if (cpu.current)
		cpu.loaded = cpu.current;
	cpu.current = cpu.payer = NULL;
	cpu_timer_need(cpu.due);
	device_idle();
	arch_idle();
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

_Noreturn void cpu_interrupted(struct arch_frame *frame)
{
	struct env *env = cpu.current, *claimant;
	struct exo_disp *disp;
	exo_time_t now;

	if (!frame)
		cpu_dispatch();
	env->info->interrupts++;
	now = arch_now();
	if (now >= cpu.slice_end)
		slice_pass(now);
	claimant = slice_claimant();
	if (claimant == env || (!claimant && !(cpu.passed && another_ready(env)))) {
		cpu.passed = false;
		timer_arm(env);
		arch_frame_resume(frame);
	}
	disp = env->disp;
	if (upcalls_on(disp, arch_frame_rip(frame))) {
		save(frame, &disp->on, disp->on_fpu, VECTOR_INTERRUPTED, 0, 0);
		disp->saved |= EXO_SAVED_ON;
	} else {
		save(frame, &disp->offa, disp->offa_fpu, VECTOR_INTERRUPTED, 0, 0);
		env->resume = RESUME_OFF;
	}
	cpu_dispatch();
}

_Noreturn void cpu_exception(struct arch_frame *frame, uint64_t vector, uint64_t error, uint64_t address)
{
	struct env *env = cpu.current;
	struct exo_disp *disp = env->disp;
	struct arch_message message = { .rdi = vector };
	uint64_t rip = arch_frame_rip(frame), entry = read_once(disp->off_entry),
	    sp = read_once(disp->off_sp);
	bool ends = upcalls_on(disp, rip) || read_once(disp->off) == EXO_OFF_FAULT || !entry ||
	    entry >= EXO_USER_MAX || !sp || sp > EXO_USER_MAX;

	if (vector == VECTOR_NMI)
		arch_frame_resume(frame);
	save(frame, &disp->fault, NULL, vector, error, address);
	if (ends)
		env_end(env, (uint32_t)vector, address, rip);
	env->info->upcalls++;
	disp->off = EXO_OFF_FAULT;
	arch_upcall(entry, sp, &message);
}

/* --- slices ----------------------------------------------------------------------------------------- */

static __attribute__((cold)) void slice_set(unsigned i, struct env *env, cap_ref_t through)
{
	cpu.slices[i] = env;
	cpu.slice_through[i] = through;
	info_slice[i].env = env ? env->index : 0;
	if (i == cpu.slice)
		cpu.slice_owner = env;
}

void slice_hold(const struct exo_cap *cap)
{
	unsigned i, first = (uint32_t)cap->first;

	for (i = first; i < first + cap->count; i++) {
		cpu.slice_holds[i]++;
		info_slice[i].taken = 1;
	}
}

void slice_drop(const struct exo_cap *cap)
{
	unsigned i, first = (uint32_t)cap->first;

	for (i = first; i < first + cap->count; i++) {
		if (cpu.slice_through[i] == cap_ref(cap))
			slice_set(i, NULL, 0);
		if (!--cpu.slice_holds[i])
			info_slice[i].taken = 0;
	}
}

void cpu_forget(struct env *env)
{
	unsigned i;

	for (i = 0; i < EXO_SLICES; i++)
		if (cpu.slices[i] == env)
			slice_set(i, NULL, 0);
	if (env_state(env) == EXO_ENV_READY)
		cpu_unlink(env);
	env->serving = 0;
	env->sleep_until = env->call_deadline = EXO_NEVER;
	cpu_timed(env);
	env->info->entries = env->arch.entries;
	env->info->exceptions = env->arch.exceptions;
	if (cpu.payer == env) {
		cpu_account(arch_now());
		cpu.payer = cpu.current;
	}
	if (cpu.current == env)
		cpu.current = cpu.payer = NULL;
	if (cpu.loaded == env)
		cpu.loaded = NULL;
}

void cpu_init(void)
{
	uint64_t us = boot_option("slice_us", SLICE_US_DEFAULT);

	if (us < SLICE_US_MIN)
		us = SLICE_US_MIN;
	if (us > SLICE_US_MAX)
		us = SLICE_US_MAX;
	info->slice_ns = us * 1000;
	cpu = (struct cpu){ .slice = EXO_SLICES - 1, .timer = EXO_NEVER, .due = EXO_NEVER };
	slice_pass(arch_now());
}

/* --- calls ------------------------------------------------------------------------------------------ */

int64_t sys_yield(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env(), *env = NULL;
	struct exo_cap *cap;
	int64_t error = 0;

	(void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	if (a0) {
		cap = cap_typed(self, a0, EXO_TYPE_ENV);
		if (unlikely(!cap || !(cap->rights & EXO_RIGHT_READ))) {
			(void)cap_need(self, a0, EXO_TYPE_ENV, EXO_RIGHT_READ, &error);
			return error;
		}
		env = env_behind(cap);
		if (!env || env_state(env) == EXO_ENV_ENDED)
			return ERR(DEAD);
		if (env_state(env) != EXO_ENV_READY && env_state(env) != EXO_ENV_ASLEEP)
			return ERR(STATE);
	}
	slice_give(self);
	if (!env)
		cpu_dispatch();
	if (env_state(env) == EXO_ENV_ASLEEP)
		cpu_wake(env, EXO_RUN_SLICE);
	cpu_enter(env);
}

int64_t sys_sleep(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env();

	(void)a2, (void)a3, (void)a4, (void)a5;
	if (read_once(self->disp->events) != a1 || a0 <= arch_now())
		return 0;
	self->reasons = 0;
	cpu_unlink(self);
	env_set_state(self, EXO_ENV_ASLEEP);
	if (a0 != EXO_NEVER) {
		self->sleep_until = a0;
		cpu_timed(self);
	}
	cpu_dispatch();
}

int64_t sys_slice_take(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct exo_cap *cap = cap_free_slot(current_env(), a0);
	unsigned i;

	(void)a4, (void)a5;
	if (!cap)
		return ERR(SLOT);
	if (a1 >= info->cpus || a2 >= EXO_SLICES || a3 == 0 || a3 > EXO_SLICES - a2)
		return ERR(INVAL);
	for (i = a2; i < a2 + a3; i++)
		if (cpu.slice_holds[i])
			return ERR(BUSY);
	return (int64_t)cap_fill(cap, EXO_TYPE_SLICE, EXO_RIGHT_READ | EXO_RIGHT_BIND, a1 << 32 | a2,
	    (uint32_t)a3, 0, NULL, (uint32_t)a0);
}

int64_t sys_slice_bind(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *self = current_env(), *env = NULL;
	struct exo_cap *slices, *cap;
	unsigned i, first;
	int64_t error;

	(void)a2, (void)a3, (void)a4, (void)a5;
	slices = cap_need(self, a0, EXO_TYPE_SLICE, EXO_RIGHT_BIND, &error);
	if (!slices)
		return error;
	if (a1) {
		cap = cap_need(self, a1, EXO_TYPE_ENV, EXO_RIGHT_CONTROL, &error);
		if (!cap)
			return error;
		env = env_behind(cap);
		if (!env || env_state(env) == EXO_ENV_ENDED)
			return ERR(DEAD);
	}
	first = (uint32_t)slices->first;
	for (i = first; i < first + slices->count; i++)
		slice_set(i, env, env ? cap_ref(slices) : 0);
	return slices->count;
}
