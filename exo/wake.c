/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wakeup predicates: an environment sleeps until its own program, over memory that it has pinned, says otherwise.
 *
 * A predicate is run on the CPU of the environment that sleeps on it and nowhere else: when it is armed, when an event
 * comes (wake_here), when somebody kicks a frame that it watches, and once when a slice of its environment begins. So
 * program, windows and sleeper need no lock: who runs it owns all three. Another CPU that has an event for it posts the
 * environment as it would any sleeper; another that takes program or windows away clears code->ready, lets every CPU
 * pass by (smp_quiet), and asks the sleeper's CPU to wake it (wake_code_gone). Nobody runs it any more then.
 *
 * W1 env->predicate == code iff code->sleeper == env; then env is asleep, or rests below a transfer (SERVING_RESTING), or
 *    did so when that was cut; what it sleeps on next replaces it
 * W2 nothing is lost: the program runs once more after code->sleeper is set; who stores, and kicks afterwards, finds it
 *    there, or its store was seen
 *
 * A kick looks at the windows that end in the frame (D3 in exo/codes.h; of EXO_USE_WAKE each is one frame), at most
 * EXO_WATCH_MAX: what is not a sleeper's concern costs it nothing, and nobody pays for what others sleep on. Runs in one
 * stay in the kernel are limited by what they may have cost; the rest is posted to this CPU itself, a little later. Who
 * kicks or wakes here does it in its own time; what runs for other CPUs' sake the sleeper owes, and if it wakes nobody, it
 * has a tenth of the time of those who run here (smp.c).
 *
 * After the wakeup predicates of Xok (Kaashoek et al. 1997), which its scheduler ran at each of its turns.
 */
#include "exo/kernel.h"
#include "exo/codes.h"

/* In machine instructions: what one stay in the kernel has for programs (the last of them may take EXO_FUEL_WAKE times
 * its weight more), and what a run costs apart from the program's own. */
#define RUNS_COST	4096
#define RUN_COST	100
#define RUNS_PAUSE_NS	5000	/* when the rest has its turn */

/* --- running ---------------------------------------------------------------------------------------------- */

/* What changes whenever the kernel is entered. */
static inline uint64_t stay(void)
{
	return here.info->interrupts + (here.current ? here.current->arch.entries : 0);
}

static bool affordable(void)
{
	if (here.runs_stay != stay()) {
		here.runs_stay = stay();
		here.runs_left = RUNS_COST;
	}
	return here.runs_left > 0;
}

void wake_spend(uint32_t cost)
{
	if (affordable())
		here.runs_left -= (int32_t)cost;
}

/* Must it wake? */
static bool holds(struct env *env, struct code *code, exo_time_t until)
{
	struct exo_disp *disp = env->disp;
	struct exo_wake context = { .now = arch_now(), .until = until, .pending = read_once(disp->pending),
		.events = read_once(disp->events) - env->slept_at };
	uint64_t result = code_run(code, &context, sizeof(context), NULL, 0, env);

	here.runs_left -= RUN_COST + (int32_t)(code_used(code) * code->weight);
	env->info->predicates++;
	if (unlikely(code->run.stop != BPF_STOP_EXIT)) {
		env->info->predicates_stopped++;
		return true;
	}
	return result != 0;
}

/* Has an event come that no program may pass over? */
static bool always(const struct exo_disp *disp, uint64_t slept_at)
{
	return read_once(disp->pending) & EXO_EVENTS_ALWAYS && read_once(disp->events) != slept_at;
}

void wake_disarm(struct env *env)
{
	struct code *code = env->predicate;

	env->predicate = NULL;
	__atomic_store_n(&code->sleeper, NULL, __ATOMIC_RELEASE);
}

int64_t wake_arm(struct env *self, exo_time_t until, uint64_t events, exo_cap_t handle)
{
	struct exo_cap *cap;
	struct env *nobody = NULL;
	struct code *code;
	int64_t error;

	if (self->predicate)	/* it slept, and sleeps again while it serves */
		wake_disarm(self);
	if (!handle)
		return read_once(self->disp->events) != events || until <= arch_now();
	cap = cap_need(self, handle, EXO_TYPE_CODE, EXO_RIGHT_EXEC, &error);
	if (!cap)
		return error;
	code = code_behind(cap);
	if (!cap_still(cap, handle))
		return ERR(CAP);
	if (!code || code->program.use != EXO_USE_WAKE || !code_ready(code))
		return ERR(STATE);
	if (until <= arch_now())
		return 1;
	if (!__atomic_compare_exchange_n(&code->sleeper, &nobody, self, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return ERR(BUSY);

	self->predicate = code;
	self->slept_at = events;
	if (always(self->disp, events) || holds(self, code, until)) {
		wake_disarm(self);
		return 1;
	}
	return 0;
}

/* Its turn comes a little later, by the timer. */
static void put_off(struct env *env)
{
	if (!__atomic_exchange_n(&env->wake_posted, 1, __ATOMIC_SEQ_CST)) {
		env->wake_next = here.waking;
		here.waking = env;
	}
	cpu_timer_need(arch_now() + RUNS_PAUSE_NS);
}

bool wake_affordable(const struct env *env)
{
	return !env->predicate || affordable();
}

bool wake_sleeps_on(struct env *env)
{
	if (always(env->disp, env->slept_at))
		return false;
	if (unlikely(!affordable())) {
		put_off(env);
		return true;
	}
	if (holds(env, env->predicate, env->sleep_until))
		return false;
	here.runs_in_vain++;
	return true;
}

void wake_turn(struct env *env)
{
	if (env_state(env) == EXO_ENV_ASLEEP && affordable() && holds(env, env->predicate, env->sleep_until))
		cpu_wake(env, EXO_RUN_SLICE);
}

/* --- frames that programs watch, and ends --------------------------------------------------------------------- */

/* The code is not ready any more, and no CPU believes so. */
void wake_code_gone(struct code *code)
{
	struct env *env = __atomic_load_n(&code->sleeper, __ATOMIC_ACQUIRE);

	assert_locked();
	if (env)
		(void)cpu_ask(cpus[env->cpu], ASK_WAKE, env, NULL);
}

/*
 * exo_kick(frames, first): run the predicates that watch frame `first` of a frame capability with WRITE, on the CPUs of
 * those who sleep on them; who shall sleep on does. Returns 0. Errors: CAP, TYPE, RIGHTS; RANGE. Cost: for each watcher
 * (EXO_WATCH_MAX at most) that sleeps a wakeup, or a run of its program.
 */
int64_t sys_kick(CALL_ARGS)
{
	unsigned window, next;
	exo_pfn_t pfn, at;
	struct code *code;
	struct env *env;
	int64_t error;

	if (!cap_need_frames(current_env(), a0, EXO_RIGHT_WRITE, a1, 1, &pfn, &error))
		return error;
	if (!frame_in(pfn, FRAME_ORDINARY))
		return 0;
	at = frame_table[pfn].object;
	window = frame_table[pfn].level;
	while (at) {
		code = code_at(at);
		next = code->next_window[window];
		env = code->program.use == EXO_USE_WAKE ? __atomic_load_n(&code->sleeper, __ATOMIC_SEQ_CST) : NULL;
		if (env)
			smp_wake(env);
		at = code->window[window].next;
		window = next;
	}
	return 0;
}
