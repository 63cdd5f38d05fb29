/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of a process, inside the libOS: a record for each (what pthread_t points to) on top of core's
 * threads, and words that threads wait for, of which all synchronisation is made.
 *
 * A record outlives its thread's stack until it is joined, and is used again: a pthread_t that is not valid
 * any more may name a newer thread, but never memory that is something else.
 *
 * All functions here are called inside brackets (signals.h) but for those that say otherwise.
 */
#ifndef LIBOS_POSIX_THREAD_H
#define LIBOS_POSIX_THREAD_H

#include <pthread.h>
#include "libos/core/thread.h"
#include "libos/posix/signals.h"
#include "libos/vm/vm.h"

#define POSIX_THREADS_MAX	1024		/* of a process, the first one included */
#define POSIX_STACK_BYTES	(256 * 1024)	/* of a thread, if nothing else is said */
#define POSIX_STACK_MIN		16384
#define POSIX_KEYS_MAX		128
#define POSIX_NAME		16

enum posix_thread_state { POSIX_THREAD_FREE, POSIX_THREAD_RUNS, POSIX_THREAD_ENDED };

struct __exo_thread {
	struct thread *thread;		/* core's */
	struct signal_thread signal;
	uint32_t number;		/* 1 .. POSIX_THREADS_MAX; the first thread has 1 */
	enum posix_thread_state state;
	bool detached, joined;
	bool cancel_off, cancel_async, cancelled, ending;
	uint32_t no_cancel;		/* > 0: what it waits for is no cancellation point */
	void *(*start)(void *);
	void *arg, *result;
	struct thread_queue joiners;
	struct __pthread_cleanup *cleanup;
	void **value;			/* of keys; NULL: none was ever set */
	const uint32_t *word;		/* that it waits for, if it does */
	const pthread_cond_t *condition;	/* in whose wait it is, from before it gives up the mutex */
	bool handed;			/* what it waited for has been given to it */
	bool writes;			/* it waits for a read-write lock, to write */
	pthread_mutex_t *held[8];	/* robust mutexes; NULL: none */
	pthread_attr_t attributes;
	struct vm_region *stack;	/* its own, if it needed a large one; NULL: none */
	int policy, own_priority;
	int priority;			/* by which it is scheduled: its own, or a higher one that a mutex lends (lift.c) */
	pthread_mutex_t *lifting;	/* held, with a protocol */
	const pthread_mutex_t *awaits;	/* that inherits, NULL: none */
	uint32_t fpu_control, sse_control;
	uint64_t not_cpus;		/* where it may not go, beside its process (pthread_setaffinity_np) */
	uint64_t counts, counts_away, away_since, told_ns;	/* thread_clock.c's */
	uint8_t cpu;			/* of cpus.h, n + 1, on which it runs; 0: at home */
	const struct signal_frame *interrupted;	/* during posix_preempt: what goes on after it, if it was interrupted ... */
	uint64_t asked_at;		/* ... and its posix_asked_at */
	struct posix_area *area;	/* its state when it was sent home anywhere (cpus.h) */
	char name[POSIX_NAME];
	struct __exo_thread *next_free;
};

extern struct __exo_thread posix_first_thread;
extern struct signal_thread *signal_threads;	/* all threads' */

static inline struct __exo_thread *posix_self(void)
{
	const struct thread *thread;
	struct __exo_thread *self;

	/* Not thread_current: on another CPU that is somebody else. */
	__asm__("movq %%fs:8, %0" : "=r"(thread));
	self = thread->local;
	return self ? self : &posix_first_thread;
}

/* The record of a number; NULL: there is no such thread. */
struct __exo_thread *posix_thread(uint32_t number);
/* Core's thread of a pthread_t; NULL: it has ended. */
struct thread *posix_thread_of(pthread_t thread);
/* How many threads run. */
extern uint32_t posix_running;
static inline uint32_t posix_thread_count(void)
{
	return posix_running;
}

/* Called once at the start of a process, before main. */
void posix_threads_start(void);
#define POSIX_SLICE_NS	5000000		/* after which a thread that computes is preempted, if others are ready */
void posix_preempt_start(void);
/* There is one thread only. */
void posix_preempt_stop(void);
/*
 * fork: what pthread_atfork says, not inside brackets; in the child all threads but the caller are gone.
 */
void posix_fork_prepare(void);
void posix_fork_parent(void);
void posix_fork_child(void);
/* Inside brackets. */
void posix_threads_forked(void);

/* --- sched.c -------------------------------------------------------------------------------------------------- */

/* A thread of a higher priority has been made ready; let it run, where nothing is half done. */
extern bool posix_sched_wanted;
extern bool posix_sched_levels;		/* some thread has a priority, or had one */
void posix_sched_yield(void);
/* From now on threads have priorities; before one that has one is made. */
void posix_sched_begin(void);
/* It has been made, and has its record now. */
void posix_sched_made(struct __exo_thread *thread);

/* Change by which priority a thread is scheduled; whoever calls it looks at posix_sched_wanted afterwards. */
void posix_sched_lift(struct __exo_thread *thread, int priority);

/* --- thread_clock.c ------------------------------------------------------------------------------------------- */

/* There is a second thread: from now on the time of each is counted. */
void posix_clock_start(void);
/* A scheduler has picked the next thread to run; NULL: none. */
void posix_clock_charge(struct thread *next);
/* It goes to another CPU; it has come home. */
void posix_clock_away(struct __exo_thread *thread);
void posix_clock_home(struct __exo_thread *thread);
void posix_clock_forked(void);
/* The number of the thread whose clock this is; 0: it is none's. / Its CPU time; 0: it has ended. */
uint32_t posix_clock_thread(clockid_t clock);
uint64_t posix_clock_ns(uint32_t number);

/* --- lift.c --------------------------------------------------------------------------------------------------- */

/* The priority that a thread is to have: its own, or the highest that its mutexes lend. */
int posix_lift_due(const struct __exo_thread *thread);
/* A thread begins to wait for a mutex that inherits; NULL: it does not wait any more. */
void posix_lift_await(struct __exo_thread *self, const pthread_mutex_t *mutex);
/* Who waits for a mutex has another priority now: its holder, whom that waits for, and so on. NULL: nobody. */
void posix_lift_chain(const pthread_mutex_t *mutex);
/* A mutex with a protocol has a holder. Before it has another, or none; after that, when another thread may run. */
void posix_lift_take(struct __exo_thread *thread, pthread_mutex_t *mutex);
void posix_lift_drop(struct __exo_thread *self, const pthread_mutex_t *mutex);
void posix_lift_end(struct __exo_thread *self);

/* --- cancel.c ------------------------------------------------------------------------------------------------- */

/*
 * If the thread has been cancelled and allows it here, it ends. Called by signal_run, too: so every wait is a
 * cancellation point but those between posix_cancel_hold and posix_cancel_release.
 */
void posix_cancel_check(void);
/* Would it end at posix_cancel_check? */
bool posix_cancel_due(void);

static inline void posix_cancel_hold(void)
{
	posix_self()->no_cancel++;
}

static inline void posix_cancel_release(void)
{
	posix_self()->no_cancel--;
}

/* --- word.c --------------------------------------------------------------------------------------------------- */

/*
 * Wait while *word is `value`, until posix_word_wake is called for it. `shared`: by any process that has
 * mapped the memory. 0: woken, or it had another value, or no reason; -ETIMEDOUT; -EINTR: a signal was
 * handled. Cancellation point if not held; but who is woken comes back, whatever came with it.
 */
int posix_word_wait(uint32_t *word, uint32_t value, bool shared, exo_time_t deadline);
/* Wake the first `most` that wait for a word (if it is shared: all). */
void posix_word_wake(uint32_t *word, uint32_t most, bool shared);
/* The first of this process's threads that waits for a word; NULL: none. `more`: there are others. */
struct __exo_thread *posix_word_first(const uint32_t *word, bool *more);
/*
 * A word that counts, and behind it how many wait for it, as one value (waiters above; aligned to 8). Who gives an object
 * back changes the word alone and learns by that whether somebody waits, for as soon as it is given back another thread
 * may have taken and unmapped it. False: it was changed meanwhile, and *pair is what it is now.
 */
typedef uint64_t __attribute__((__may_alias__)) posix_pair_t;
static inline uint64_t posix_pair(const uint32_t *word)
{
	return __atomic_load_n((const posix_pair_t *)(const void *)word, __ATOMIC_RELAXED);
}
static inline bool posix_pair_change(uint32_t *word, uint64_t *pair, uint32_t to)
{
	return __atomic_compare_exchange_n((posix_pair_t *)(void *)word, pair, (*pair & ~(uint64_t)UINT32_MAX) | to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}
/* Does a thread of such a priority or a higher one wait for a read-write lock's word, to write? */
bool posix_word_written(const uint32_t *word, int priority);
/* Words in memory that is shared, among processes (shared.c); -ENODEV: the memory is this process's alone. */
int posix_shared_wait(uint32_t *word, uint32_t value, exo_time_t deadline);
void posix_shared_wake(uint32_t *word);
/* Is the process of a shared mutex's owner gone? */
bool posix_shared_gone(uint32_t owner);
/* This thread's name among all processes: < 2^30. */
uint32_t posix_shared_self(void);

static inline bool posix_clock_waits(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

/* A time of a clock for which one can wait as a deadline. 0, or EINVAL. */
int posix_deadline(clockid_t clock, const struct timespec *until, exo_time_t *deadline);

/* --- mutex.c -------------------------------------------------------------------------------------------------- */

/* PTHREAD_PRIO_*; the thread of this process that holds it, or NULL. */
int posix_mutex_protocol(const pthread_mutex_t *mutex);
struct __exo_thread *posix_mutex_holder(const pthread_mutex_t *mutex);
/* The robust mutexes of a thread that ends have no owner any more. */
void posix_mutexes_abandon(struct __exo_thread *thread);

/* --- keys.c --------------------------------------------------------------------------------------------------- */

/* Not inside brackets: destructors are the program's. */
void posix_keys_end(struct __exo_thread *thread);

#endif
