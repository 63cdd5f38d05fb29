/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two CPUs in one thread (arch/null): environments that start, wake, end, move and are destroyed from the other CPU,
 * their slices, and who may be yielded to or called. Each step ends with the invariants of both CPUs.
 */
#include "test/unit/running.h"

static int64_t enter_secondary(void *arg)
{
	(void)arg;
	cpu_secondary();
}

/* The invariants, seen from each CPU in turn; what a CPU has loaded is the fake port's of that CPU. */
static void sound_everywhere(const char *where)
{
	const char *what = kernel_lock_word.next == kernel_lock_word.serving ? NULL : "the kernel lock is held";
	unsigned index, c;

	for (index = 1; index < info->envs.entries && !what; index++) {
		const struct env *env = env_by_id(info_env[index].id);

		for (c = 0; env && c < info->cpus && !what; c++) {
			null_on(c);
			if (in_ring(env) != (env->cpu == c && env_state(env) == EXO_ENV_READY))
				what = "P4: in a wrong ring";
			if (in_timed(env) != (env->cpu == c && env->timed_at != EXO_NEVER))
				what = "P4: in a wrong heap";
		}
		if (env && (env->resume & RESUME_MOVING || env->wake_posted || info_env[index].cpu != env->cpu))
			what = "on its way";
	}
	null_on(0);
	ok(!what, "invariants hold: %s%s%s", where, what ? "; broken: " : "", what ? what : "");
}

/* CPU 1 takes the interrupt that was sent to it while it idled or ran user code at `rip`, and goes on. */
static enum null_way there_goes_on(uint64_t rip)
{
	enum null_way way;

	null_on(1);
	way = interrupt_at(rip);
	null_on(0);
	return way;
}

/* CPU 1's current environment makes a call that comes back as an upcall, or not at all. */
static enum null_way call_there(unsigned nr, uint64_t a0, uint64_t a1)
{
	enum null_way way;

	null_on(1);
	way = null_call(nr, a0, a1, 0, 0, 0, 0);
	null_on(0);
	return way;
}

static void test_start(void)
{
	struct env *first = here.current;
	struct child a = child_make_on(1), b;

	ok(a.env->cpu == 1 && info_env[a.env->index].cpu == 1, "made for CPU 1");
	is_int(CALL(env_start, a.cap), 0, "started");
	ok(here.current == first && env_state(a.env) == EXO_ENV_READY, "it is ready, and nothing changes here");
	ok(there_goes_on(0) == NULL_UPCALL && cpus[1]->current == a.env, "CPU 1 runs it");
	is_int(CALL(yield, a.cap, 0), ERR(CPU), "yield: CPU");
	is_int(CALL(call, (exo_cap_t)CALL(entry_make, free_slot(), a.cap, 7), EXO_NEVER), ERR(CPU), "call: CPU");
	b = child_make_on(1);
	is_int(CALL(env_destroy, b.cap), 0, "one that never ran is destroyed");
	sound_everywhere("start");
}

static void test_wake(void)
{
	struct child a = child_make_on(1);
	uint64_t sent;

	(void)CALL(env_start, a.cap);
	(void)there_goes_on(0);
	(void)call_there(EXO_CALL_sleep, EXO_NEVER, a.env->disp->events);
	ok(env_state(a.env) == EXO_ENV_ASLEEP && !cpus[1]->current, "it sleeps, CPU 1 idles");
	kernel_lock();
	(void)cpu_ask(cpus[1], ASK_QUIET, NULL, NULL);
	kernel_unlock();
	ok(there_goes_on(0) == NULL_IDLE && cpus[1]->idle, "asked something that wakes nobody it idles on, and says so");
	sent = null.interrupts[1];
	is_int(CALL(wake, a.cap), 0, "woken from here");
	is_int((long long)(null.interrupts[1] - sent), 1, "by one interrupt");
	ok(!cpus[1]->idle, "which smp_quiet waits for");
	ok(there_goes_on(0) == NULL_UPCALL && null.message.rdi == EXO_RUN_EVENT, "it runs");
	ok(a.env->disp->pending & EXO_EVENT_WAKE, "and knows why");
	is_int(CALL(wake, a.cap), 0, "woken while it runs");
	ok(call_there(EXO_CALL_sleep, EXO_NEVER, a.env->disp->events - 1) == NULL_RETURNED,
	    "a sleep with the events of before comes back at once");
	sound_everywhere("wake");
}

static void test_end(void)
{
	uint32_t before = info->frames_free;
	struct child a = child_make_on(1), b = child_make_on(1);
	exo_cap_t slices = (exo_cap_t)CALL(slice_take, free_slot(), 1, 3, 2);

	is_int(CALL(slice_bind, slices, named(EXO_NAME_ENV)), ERR(CPU), "slice_bind: CPU");
	is_int(CALL(slice_bind, slices, a.cap), 2, "its slices are CPU 1's");
	ok(info_slice[EXO_SLICES + 3].env == a.env->index && !info_slice[3].env, "as all can see");
	(void)CALL(env_start, a.cap);
	(void)CALL(env_start, b.cap);
	(void)there_goes_on(0);
	is_int(CALL(env_destroy, a.cap), 0, "it is destroyed from here, whatever it does there");
	ok(info_slice[EXO_SLICES + 3].env == 0, "its slices are nobody's");
	(void)there_goes_on(0x400000);
	ok(cpus[1]->current == b.env, "CPU 1 goes on with the other");
	is_int(CALL(env_destroy, b.cap), 0, "which ends as well");
	ok(there_goes_on(0x400000) == NULL_IDLE, "CPU 1 idles");
	is_int(CALL(cap_delete, a.space), 0, "space");
	is_int(CALL(cap_delete, b.space), 0, "space");
	is_int(CALL(frame_give, a.frames, 5), 5, "frames");
	is_int(CALL(frame_give, b.frames, 5), 5, "frames");
	is_int(CALL(cap_delete, slices), 0, "slices");
	is_int(info->frames_free, before, "nothing is lost");
	sound_everywhere("end");
}

static void test_move(void)
{
	struct env *first = here.current;
	struct child a = child_start(), b;
	exo_time_t until = null.now + 10 * SLICE;

	is_int(CALL(env_move, a.cap, 2), ERR(CPU), "env_move: CPU, there is none");
	is_int(CALL(env_move, a.cap, 0), 0, "it is there already");
	is_int(CALL(env_move, a.cap, 1), 0, "a ready one moves");
	ok(there_goes_on(0) == NULL_UPCALL && cpus[1]->current == a.env && null.message.rdi & EXO_RUN_MOVED,
	    "and runs on CPU 1");
	sound_everywhere("moved");
	a.env->disp->off = EXO_OFF_NO;
	null.frame[1].regs = (struct exo_regs){ .rip = 0x412345, .rax = 0x99 };
	is_int(CALL(env_move, a.cap, 0), 0, "one that runs moves back");
	ok(a.env->cpu == 0 && (a.env->disp->saved & EXO_SAVED_ON) && a.env->disp->on.rip == 0x412345 &&
	    a.env->disp->on.rax == 0x99, "with its registers");
	ok(there_goes_on(0x412345) == NULL_IDLE, "CPU 1 idles");
	(void)null_call(EXO_CALL_yield, a.cap, 0, 0, 0, 0, 0);
	ok(here.current == a.env, "it runs here");
	(void)null_call(EXO_CALL_sleep, until, a.env->disp->events, 0, 0, 0, 0);
	ok(here.current == first, "it sleeps");
	is_int(CALL(env_move, a.cap, 1), 0, "a sleeper moves");
	ok(env_state(a.env) == EXO_ENV_READY || a.env->timed_at == until, "with its deadline, or awake");
	sound_everywhere("asleep");
	b = child_start();
	(void)CALL(env_move, b.cap, 1);
	(void)there_goes_on(0);
	is_int(CALL(env_destroy, a.cap), 0, "destroyed");
	is_int(CALL(env_destroy, b.cap), 0, "destroyed");
	(void)there_goes_on(0x400000);
	is_int(CALL(env_move, a.cap, 1), ERR(DEAD), "env_move: DEAD");
	sound_everywhere("destroyed");
}

static void test_move_self(void)
{
	struct env *first = here.current;
	struct child a = child_start();

	(void)null_call(EXO_CALL_env_move, 0, 1, 0, 0, 0, 0);
	ok(here.current == a.env && first->cpu == 1, "it leaves, and another has the CPU");
	ok(there_goes_on(0) == NULL_UPCALL && cpus[1]->current == first && null.message.rdi & EXO_RUN_MOVED,
	    "it goes on there");
	sound_everywhere("moved itself");
	(void)call_there(EXO_CALL_env_move, 0, 0);
	ok(cpus[1]->current == NULL && first->cpu == 0 && env_state(first) == EXO_ENV_READY, "and back");
	sound_everywhere("moved back");
}

/* What CPU 1's current environment tries while one is on its way to it. */
static exo_cap_t to_other;
static struct env *other;
static int64_t seen_yield;

static int64_t yield_there(void *arg)
{
	(void)arg;
	return sys_yield(to_other, 0, 0, 0, 0, 0);
}

static void try_other(unsigned index)
{
	jmp_buf back;

	memcpy(&back, &null.back, sizeof(back));
	null_on(index);
	null.inside = false;
	seen_yield = null_enter(yield_there, NULL) == NULL_RETURNED ? null.result : 1;
	null.inside = true;
	null_on(0);
	memcpy(&null.back, &back, sizeof(back));
}

/* Before CPU 1 has heard of it, one that was started or moved there is none of its ready ones. */
static void test_on_its_way(void)
{
	struct child a = child_make_on(1), b = child_make_on(1);

	(void)CALL(env_start, a.cap);
	(void)there_goes_on(0);
	to_other = (exo_cap_t)CALL(cap_derive, b.cap, a.cap, 9, EXO_RIGHT_WAKE, 0, 0);
	other = b.env;
	null.on_interrupt = try_other;
	is_int(CALL(env_start, b.cap), 0, "started");
	is_int(seen_yield, ERR(STATE), "yield to it before it is there: STATE");
	(void)CALL(env_move, b.cap, 0);
	null.on_interrupt = try_other;
	is_int(CALL(env_move, b.cap, 1), 0, "moved back and forth");
	is_int(seen_yield, ERR(CPU), "yield to it before it has come: CPU");
	sound_everywhere("on its way");
}

static unsigned asked, lived;

/* CPU 1 has found it, looks at its state, and is asked whether it is done. */
static void look_at_other(unsigned index)
{
	(void)index;
	asked++;
	lived += env_state(other) != EXO_ENV_ENDED;
	null.on_interrupt = look_at_other;
}

/* CPU 1 looked at its state before it ended. */
static void wake_other(unsigned index)
{
	null_on(index);
	smp_wake(other);
	null_on(0);
}

/* A call on CPU 1 that takes no lock has found one that is destroyed here. */
static void test_found_before_destroyed(void)
{
	struct child a = child_make_on(1), b = child_start();

	(void)CALL(env_start, a.cap);
	ok(there_goes_on(0) == NULL_UPCALL && cpus[1]->current == a.env, "CPU 1 runs one");
	other = b.env;
	cpus[0]->wakes_quiet = true;	/* what is posted stays in its list */
	cpus[0]->wakes_until = null.now + SLICE;
	null.on_interrupt = wake_other;
	is_int(CALL(env_destroy, b.cap), ERR(AGAIN), "woken when it had just ended: not before it is in no list");
	ok(env_state(b.env) == EXO_ENV_ENDED && b.env->wake_posted, "where it was put");
	null.now += SLICE;
	smp_take_wakes(null.now);
	asked = lived = 0;
	null.on_interrupt = look_at_other;
	is_int(CALL(env_destroy, b.cap), 0, "then it is destroyed");
	null.on_interrupt = NULL;
	ok(asked == 2 && !lived, "and has ended for whoever has found it, to the last moment");
	sound_everywhere("found before");
}

/* One that is stopped goes to another CPU: nobody on the one that it leaves takes it for one of his own after that. */
static void test_stopped_moves(void)
{
	struct child a = child_make_on(1), b = child_make_on(1);
	uint64_t sent;

	(void)CALL(env_start, a.cap);
	(void)there_goes_on(0);
	(void)call_there(EXO_CALL_sleep, EXO_NEVER, a.env->disp->events);
	(void)CALL(env_start, b.cap);
	(void)there_goes_on(0);
	is_int(CALL(env_move, a.cap, EXO_CPU_NONE), 0, "a sleeper is stopped");
	sent = null.interrupts[1];
	other = a.env;
	null.on_interrupt = wake_other;
	is_int(CALL(env_move, a.cap, 0), 0, "and goes to this CPU");
	is_int((long long)(null.interrupts[1] - sent), 1, "after the one that it was on was asked");
	ok(a.env->cpu == 0 && env_state(a.env) == EXO_ENV_READY, "an event that came there meanwhile wakes it here");
	sound_everywhere("stopped on one CPU, started on another");
	(void)CALL(env_move, a.cap, EXO_CPU_NONE);
	sent = null.interrupts[1];
	is_int(CALL(env_move, a.cap, 0), 0, "stopped, and started where it was");
	is_int((long long)(null.interrupts[1] - sent), 0, "which no other CPU is asked for");
	sound_everywhere("stopped and started");
}

/* CPU 1 has the kernel lock, ends who would run next on CPU 0, and gives the lock back. */
static void end_other(void)
{
	null_on(1);
	env_end(other, EXO_CAUSE_DESTROYED, 0, 0);
	kernel_unlock();
	null_on(0);
}

/* Whoever is to lose its slices makes its CPU wait for the lock; nobody who was chosen before runs then. */
static void test_end_while_waiting(void)
{
	struct child a = child_start();
	exo_cap_t slices = (exo_cap_t)CALL(slice_take, free_slot(), 0, 2, 1);
	unsigned i;

	(void)CALL(slice_bind, slices, a.cap);
	a.env->disp->end_entry = 0x900000;
	other = here.current;
	for (i = 0; i < 3 * EXO_SLICES && here.lent != a.env; i++) {
		here.current->disp->off = EXO_OFF_NO;
		null.now = null.timer;
		(void)interrupt_at(0x400000);
	}
	ok(here.lent == a.env && here.current == a.env, "told to go");
	a.env->disp->off = EXO_OFF_NO;
	a.env->overstays = EXO_OVERSTAYS_MAX - 1;
	(void)kernel_lock_ticket();
	null.on_pause = end_other;
	null.now = null.timer;
	(void)interrupt_at(0x400000);
	ok(!null.on_pause && a.env->disp->abort.lost == 1, "it loses its slice");
	ok(env_state(other) == EXO_ENV_ENDED && here.current == a.env, "who has ended meanwhile does not run");
	sound_everywhere("waiting for the lock");
}

/* Random starts, sleeps, wakes, moves and ends on both CPUs. */
static void test_random(void)
{
	enum { ACTORS = 6, STEPS = 4000 };
	struct child actor[ACTORS];
	unsigned i, at, moves = 0, ends = 0;

	for (i = 0; i < ACTORS; i++) {
		actor[i] = i % 2 ? child_make_on(1) : child_make();
		(void)CALL(env_start, actor[i].cap);
	}
	srand(7);
	for (i = 0; i < STEPS; i++) {
		at = (unsigned)rand() % ACTORS;
		null.now += (unsigned)rand() % (SLICE / 3);
		switch (rand() % 8) {
		case 0: (void)CALL(wake, actor[at].cap); break;
		case 1: moves += CALL(env_move, actor[at].cap, (unsigned)rand() % 2) == 0; break;
		case 2:
			if (cpus[1]->current)
				(void)call_there(EXO_CALL_sleep, rand() % 2 ? EXO_NEVER : null.now + SLICE,
				    cpus[1]->current->disp->events);
			break;
		case 3:
			if (cpus[1]->current)
				(void)call_there(EXO_CALL_yield, 0, 0);
			break;
		case 4: (void)there_goes_on(0x400000); break;
		case 5:
			if (rand() % 20 == 0 && CALL(env_destroy, actor[at].cap) == 0) {
				ends++;
				(void)CALL(cap_delete, actor[at].cap);
				(void)CALL(cap_delete, actor[at].space);
				(void)CALL(frame_give, actor[at].frames, 5);
				actor[at] = rand() % 2 ? child_make_on(1) : child_make();
				(void)CALL(env_start, actor[at].cap);
			}
			break;
		default:
			/* The first environment makes all these calls: others here get no turn. */
			if (cpus[1]->current)
				null.frame[1].regs.rip = 0x400000 + (unsigned)rand() % 4096;
			break;
		}
	}
	ok(moves > 100 && ends > 5, "%u moves, %u ends", moves, ends);
	sound_everywhere("random");
}

static void fresh(void (*test)(void))
{
	machine_prepare_cpus(2);
	(void)machine_start();
	null_on(1);
	(void)null_enter(enter_secondary, NULL);
	null_on(0);
	test();
}

int main(void)
{
	fresh(test_start);
	fresh(test_wake);
	fresh(test_end);
	fresh(test_move);
	fresh(test_move_self);
	fresh(test_on_its_way);
	fresh(test_found_before_destroyed);
	fresh(test_stopped_moves);
	fresh(test_end_while_waiting);
	fresh(test_random);
	return done();
}
