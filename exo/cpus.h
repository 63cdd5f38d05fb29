/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPUs: what each has of its own, who runs on it and until when (cpu.c, slice.c), and how they agree: locks,
 * questions, wakeups (smp.c). Part of kernel.h, which includes it behind struct env.
 */
#ifndef EXO_CPUS_H
#define EXO_CPUS_H

/* --- cpu.c: who runs on a CPU; slice.c: its time ------------------------------------------------------------------ */

/* What one CPU asks another to do (cpu_ask). */
enum ask {
	ASK_NOTHING,
	ASK_FLUSH,		/* `stale` must be forgotten, if its space is loaded */
	ASK_START,		/* env, made for this CPU, may run from now on */
	ASK_ARRIVE,		/* env is this CPU's from now on */
	ASK_LEAVE,		/* env runs no more: it ends (env_leave) */
	ASK_TAKE,		/* env goes to another CPU (cpu_take): `answer` is 0 or an error */
	ASK_WAKE,		/* the predicate that env sleeps on is no more: it wakes */
	ASK_FORGET,		/* mappings of the kernel's own have changed */
	ASK_TRACE,		/* env is traced otherwise from now on (trace_apply) */
	ASK_QUIET,		/* nothing: whoever answers has no name in hand that it found before */
};

#define CODE_STACKS	2	/* of programs on a CPU: one that wakes may run inside of one that looks at a packet */

struct cpu {
	struct exo_cpu_info *info;	/* [c] what is exposed of it; first: entry code counts there */
	struct env *current;	/* [c] NULL: idle */
	struct env *loaded;	/* [c] whose bases are in the CPU, while idle */
	struct env *payer;	/* [c] whose time runs: current, or from whom it has the slice by transfer */
	exo_pfn_t space;	/* [a] loaded space: written by this CPU before it loads it */
	uint32_t index;		/* own place in cpus[] */
	uint32_t slice;		/* [c] index of the slice that runs */
	exo_time_t slice_start, slice_end;	/* [c] its bounds, as last looked at */
	bool passed;		/* [c] a slice has ended since somebody was last chosen */
	bool idle;		/* [a] halted, or about to */
	struct env *slice_owner;	/* [c] who may claim it; NULL: nobody, or it was given away */
	struct env *slice_lender;	/* [c] who has lent it and claims it again when it is not wanted; NULL: nobody */
	exo_time_t since;	/* [c] until when the payer's time is accounted for */
	exo_time_t timer;	/* [c] what the timer is set to */
	exo_time_t due;		/* [c] no timed environment is due before this */
	struct env *ready;	/* [c] ring: who is next */
	struct env **timed;	/* [c] heap of environments with a deadline, the earliest first */
	uint32_t timed_count;
	struct exo_slice_info *slice_info;	/* its vector */
	uint8_t *code_stack;	/* [c] of programs that run: CODE_STACKS times BPF_STACK_BYTES */
	/* slice.c */
	struct env *slices[EXO_SLICES];		/* [k] to whom each is bound; read by this CPU at any time */
	cap_ref_t slice_through[EXO_SLICES];	/* [k] the capability it was bound through; 0: not bound */
	uint32_t slice_holds[EXO_SLICES];	/* [k] capabilities that cover it */
	exo_pfn_t slice_account[EXO_SLICES];	/* [k] who is charged for it; 0: free */
	struct env *lent;	/* [c] who may run on beyond the end of its slice ... */
	exo_time_t lent_from, lent_to;	/* [c] ... from its end until then */
	/* wake.c */
	uint64_t runs_stay;	/* [c] in which stay in the kernel predicates ran last ... */
	int32_t runs_left;	/* [c] ... and what is left to them in it */
	uint32_t runs_in_vain;	/* [c] those that woke nobody */
	/* smp.c: what others want; on a line of its own */
	struct env *wakes __attribute__((aligned(64)));	/* [a] list of those that an event came for */
	bool wakes_quiet;	/* [a] so many came lately that it looks at the list by itself, with the timer */
	exo_time_t wakes_until;	/* [c] at this time */
	struct env *waking;	/* [c] those taken from it and not woken yet */
	exo_time_t wakes_from;	/* [c] since when they are counted ... */
	uint32_t wakes_count;	/* [c] ... and how many interrupts they made */
	exo_time_t moves_from;	/* [k] the same for environments that come and go */
	uint32_t moves_count;	/* [k] */
	enum ask ask;		/* [a] NOTHING: answered. Set by the holder of the kernel lock, who waits for it */
	struct env *ask_env;
	const struct stale *ask_stale;
	int64_t answer;
};
extern struct cpu *cpus[EXO_CPUS_MAX];	/* info->cpus of them */
#define here (*cpu_self())	/* the CPU that executes this */
static inline struct env *current_env(void) { return env_self(); }

/* Boot: the boot CPU's, then those of the others: all that they need to run. */
void cpu_init(void);
/* A CPU is up and has nothing to do: entered by the port on each but the first. */
_Noreturn void cpu_secondary(void);
/* It may run from now on: READY, at the end of the ring. It was in no ring. This CPU's. */
void cpu_ready(struct env *env);
/* It slept, or rested below a transfer: no more; `reason` goes to its next RUN upcall. This CPU's. */
void cpu_wake(struct env *env, uint32_t reason);
/* It has (other) deadlines: sleep_until, call_deadline. This CPU's. */
void cpu_timed(struct env *env);
/* Choose by the slice vector and enter it. */
_Noreturn void cpu_dispatch(void);
/* Give the CPU to this one, which is READY, now. */
_Noreturn void cpu_enter(struct env *env);
/* The CPU's space, bases and time account are this one's from now on; the caller then enters user mode. */
void cpu_switch(struct env *env);
/* The CPU must not be left alone beyond this time: set the timer, unless it is set to an earlier one. */
void cpu_timer_need(exo_time_t when);
/* current pays for its time itself from now on. */
void cpu_pays(struct env *env);
/* It ends or goes to another CPU: out of the ring, the heap and the slices of this one. */
void cpu_forget(struct env *env);
/* It goes to another CPU: 0, BUSY it is in a transfer, AGAIN it is in a call just now. `frame` as cpu_serve has it. */
int64_t cpu_take(struct env *env, struct arch_frame *frame);
/* It leaves this CPU for env->cpu_next; it is in no transfer. */
void cpu_depart(struct env *env);
/* It has come from another CPU. */
void cpu_arrive(struct env *env);
/* The current one gives the rest of the slice away, if that is its own, or of one that it serves. */
void slice_give_served(const struct env *env);
/* What was lent is not wanted any more. */
static inline void slice_return(void)
{
	if (unlikely(here.slice_lender)) {
		here.slice_owner = here.slice_lender;
		here.slice_lender = NULL;
	}
}
static inline void slice_give(const struct env *env)
{
	if (unlikely(here.slice_owner && here.slice_owner != env))
		slice_give_served(env);
	else
		here.slice_owner = NULL;
}
/* A capability of type SLICE was filled in / is being dropped: count it; unbind what was bound through it. */
void slice_hold(const struct exo_cap *cap);
void slice_drop(const struct exo_cap *cap);
/* No slice of its CPU is bound to it any more. Its CPU only, kernel lock held. */
void slice_unbind_all(struct env *env);
/* The time since here.since is the payer's. */
void slice_account(exo_time_t now);
/* For so long the work of another environment's program was done, in time that is the payer's: the other owes it. */
void slice_interrupted(struct env *env, exo_time_t ns);
/* The slice has passed: find the one that runs now. */
void slice_pass(exo_time_t now);
/* Who may claim the slice: its owner, or whoever serves the transfer that it waits for. NULL: nobody who is ready. */
struct env *slice_claimant(void);
/* May the one whose slice ended be asked to go, rather than be interrupted? If so, it runs on a little. */
bool slice_lend(struct env *env, exo_time_t now);
/* It leaves the CPU. */
void slice_lent_back(exo_time_t now);
/* It is made to leave, and if it has to be too often, loses its slices. This may wait for the kernel lock, and whatever
 * others want here happens meanwhile: no name found before is used after. */
void slice_lent_taken(exo_time_t now);

/* --- smp.c: one lock, asking other CPUs, waking across CPUs --------------------------------------------------------- */
/*
 * L1 kernel_lock -> a device's lock -> clock and console. A name (pointer, frame number) found before the kernel lock
 *    was taken is not used after: others may have waited for us there, and changed everything.
 * L2 only the holder of the kernel lock asks, one CPU at a time, and waits. Who is asked answers in an interrupt from
 *    user mode or idling, or while it waits for the lock; both in bounded time.
 */
void kernel_lock_slowly(uint32_t ticket);
extern struct kernel_lock {
	uint32_t next;
	uint32_t serving;
} kernel_lock_word;
static inline uint32_t kernel_lock_ticket(void)
{
	return __atomic_fetch_add(&kernel_lock_word.next, 1, __ATOMIC_ACQUIRE);
}
static inline bool kernel_lock_turn(uint32_t ticket)
{
	return kernel_lock_word.serving == ticket;	/* read anew after every ticket, which is a barrier */
}
static inline void kernel_lock(void)
{
	uint32_t ticket = kernel_lock_ticket();

	if (unlikely(!kernel_lock_turn(ticket)))
		kernel_lock_slowly(ticket);
}
/* For an interrupt's handler, which comes back to its work in any case: the interrupted environment may have ended or left
 * meanwhile, as cpu_interrupted sees. */
void kernel_lock_inside(void);
/* Without waiting: for those who hold a lock that comes after it. */
bool kernel_trylock(void);
static inline void kernel_unlock(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);	/* nobody else writes it, and x86 shows stores in order */
	kernel_lock_word.serving++;
}
/* In builds with EXO_DEBUG: the kernel lock is held (by somebody: cheap, and finds what matters). */
#ifdef EXO_DEBUG
#define assert_locked()	kassert(kernel_lock_word.next != kernel_lock_word.serving)
#else
#define assert_locked()	((void)0)
#endif

/* A short lock that nobody waits for another CPU under; first come, first served, too: interrupts wait for it. */
struct spinlock {
	uint32_t next;
	uint32_t serving;
};
void spin_lock(struct spinlock *lock);
void spin_wait(struct spinlock *lock, uint32_t ticket);
/* The same without a call, if nobody else has it. */
static inline void spin_lock_here(struct spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_ACQUIRE);

	if (unlikely(__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket))
		spin_wait(lock, ticket);
}
static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

/* Have another CPU do something and wait until it is done; on this one it is done at once. Kernel lock held. */
int64_t cpu_ask(struct cpu *to, enum ask what, struct env *env, const struct stale *stale);
/* Every other CPU that may run the space has forgotten what `stale` says (NULL: all of it). Kernel lock held. */
void smp_flush(exo_pfn_t root, const struct stale *stale);
/* Every CPU has forgotten what it knew of the kernel's own mappings. Kernel lock held. */
void smp_forget(void);
/* No CPU uses a name any more that can no longer be found. Kernel lock held. */
void smp_quiet(void);
/* An event has come for an environment that may sleep on another CPU, or on this one. Any context. */
void smp_wake(struct env *env);
/* The timer came, or an interrupt: wake some of those that other CPUs have posted. */
void smp_take_wakes(exo_time_t now);
/* May environments come or go there just now? Not when that would take a tenth of the CPU's time. Kernel lock held. */
bool smp_movable(struct cpu *to, exo_time_t now);
/* Entered by the port, before cpu_interrupted: another CPU wants something. `frame` as there. */
void cpu_serve(struct arch_frame *frame);

/* --- wake.c: wakeup predicates (W1..W3 there) -------------------------------------------------------------------------- */

struct code;
/* The current one is to sleep on a program (0: on none): 0 it may; 1 it may not, as its predicate holds; or an error. */
int64_t wake_arm(struct env *self, exo_time_t until, uint64_t events, exo_cap_t handle);
/* It sleeps on its predicate no more. This CPU's. */
void wake_disarm(struct env *env);
/* Something has come for one that sleeps, or rests, on a predicate: shall it sleep on? This CPU's. */
bool wake_sleeps_on(struct env *env);
/* Could its predicate, if it has one, be run in this stay in the kernel? */
bool wake_affordable(const struct env *env);
/* A slice of one that sleeps on a predicate begins. */
void wake_turn(struct env *env);

/* Its state, EXO_ENV_*, stands only where all can read it. */
static inline uint32_t env_state(const struct env *env)
{
	return env->info->state;
}

static inline void env_set_state(struct env *env, uint32_t state)
{
	env->info->state = state;
}

/* Into the ring, right before one that is in it. */
static inline void cpu_link_before(struct env *env, struct env *next)
{
	struct env *prev = next->run_prev;

	env->run_next = next;
	env->run_prev = prev;
	prev->run_next = env;
	next->run_prev = env;
}

/* Into the ring of ready ones, last; out of it. */
static inline void cpu_link(struct env *env)
{
	if (here.ready)
		cpu_link_before(env, here.ready);
	else
		here.ready = env->run_next = env->run_prev = env;
}

static inline void cpu_unlink_from_others(struct env *env)
{
	struct env *next = env->run_next;

	next->run_prev = env->run_prev;
	env->run_prev->run_next = next;
	if (here.ready == env)
		here.ready = next;
}

static inline void cpu_unlink(struct env *env)
{
	if (env->run_next == env)
		here.ready = NULL;
	else
		cpu_unlink_from_others(env);
}

/* One leaves the ring, another takes its place. */
static inline void cpu_replace(struct env *out, struct env *in)
{
	struct env *next = out->run_next, *prev = out->run_prev;

	if (next == out) {
		here.ready = in->run_next = in->run_prev = in;
		return;
	}
	in->run_next = next;
	in->run_prev = prev;
	next->run_prev = in;
	prev->run_next = in;
	if (here.ready == out)
		here.ready = in;
}

/*
 * A device's interrupt came in user mode, and its handler is done: does the current one go on at once? What comes by the
 * timer does so in any case (P3), even if it is due by now; so all that matters is whether somebody else may claim the slice.
 */
static inline bool cpu_goes_on(void)
{
	struct env *env = here.current;

	if (!env || unlikely(here.slice_owner && here.slice_owner != env))
		return false;
	env->info->interrupts++;
	return true;
}

/* Entered by the port: an interrupt came while `frame` was running in user mode (NULL: idle). After the handlers. */
_Noreturn void cpu_interrupted(struct arch_frame *frame);
/* The same, when the CPU idled: comes back if it is to go on with that. */
void cpu_idled(void);
void cpu_timer(void);				/* the timer's handler */
/* Entered by the port: an exception that the fast path did not deliver (upcalls off, bad entries, NMI ...). */
_Noreturn void cpu_exception(struct arch_frame *frame, uint64_t vector, uint64_t error, uint64_t address);

#endif
