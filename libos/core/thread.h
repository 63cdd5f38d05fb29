/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User-level threads: cooperative, one kernel-visible thread of control, switched in user mode.
 *
 * A thread runs until it blocks, yields or ends; an interruption by the kernel (end of slice) is resumed
 * where it was. So code between two such points needs no lock. Each thread has a demand-paged stack with a
 * guard page, a TLS block, and its own FPU and SSE control words. Which ready thread runs next is the
 * scheduler's: two functions, replaceable.
 *
 * When no thread is ready, the one that has just blocked runs the pollers and the timeouts on its own stack
 * and puts the environment to sleep until the next deadline or event; there is no idle thread and no busy
 * waiting.
 */
#ifndef LIBOS_CORE_THREAD_H
#define LIBOS_CORE_THREAD_H

#include "libos/core/core.h"

#define THREAD_STACK_BYTES	(64 * 1024)	/* addresses of a thread's stack, its guard page included: if not changed */
#define THREAD_MAIN_BYTES	(256 * 1024)	/* of the first thread's ... */
#define THREADS_MAX		4096

struct thread;

struct thread_queue {
	struct thread *head, *tail;
};

enum thread_state { THREAD_READY, THREAD_BLOCKED, THREAD_ENDED };

struct thread {
	uint64_t sp;			/* while it does not run */
	uint64_t fs_base;
	struct thread *next, *prev;	/* in the scheduler's or a waiting queue */
	struct thread_queue *queue;	/* the waiting queue it is in */
	enum thread_state state;
	bool timed_out, timed, detached;
	exo_time_t deadline;		/* if timed: in the list of timeouts */
	struct thread *later, *earlier;
	void (*entry)(void *arg);
	void *arg;
	struct thread_queue joiners;
	uint32_t slot;			/* of its stack */
	const char *name;
	void *local;			/* for the libOS variant */
};

/*
 * The policy: `ready` takes a thread that can run, `pick` returns and removes the next one, NULL if there is
 * none, and `turn` is both at once for a thread that yields (it may return that one).
 */
struct sched {
	const char *name;
	void (*ready)(struct thread *thread);
	struct thread *(*pick)(void);
	struct thread *(*turn)(struct thread *thread);
};
extern const struct sched sched_rr;		/* libos/sched/rr.c: first come, first served */
/* Change the policy; threads that are ready move over. */
void thread_schedule_by(const struct sched *sched);

/*
 * Called when nothing is ready, after events, and now and then at switches: looks for work (a ring), wakes
 * threads, and returns the time at which it wants to be called again at the latest. Must not block. Memory is
 * the caller's.
 */
struct thread_poller {
	exo_time_t (*poll)(void *arg);
	void *arg;
	struct thread_poller *next;
};
void thread_add_poller(struct thread_poller *poller);

/*
 * How the environment sleeps when no thread can run: core_sleep, or what a block has put in its place (watch.h). It
 * returns early at will.
 */
extern void (*thread_idle)(exo_time_t until, uint64_t events);

/*
 * Called when the running thread is about to wait, before another is looked for. True: it has been away meanwhile, and
 * was picked again. For a block that runs threads by itself (libos/keep/serve.c); NULL: none does.
 */
extern bool (*thread_leave)(void);

extern struct thread *thread_current;
extern const uint64_t thread_main_bytes;	/* ... if a program does not define this otherwise */

/* Start a thread; NULL when there is no memory or slot. It runs at the caller's next switch. */
struct thread *thread_create(const char *name, void (*entry)(void *arg), void *arg);
/*
 * The same on a stack that the caller supplies, of at least 8 KiB and the TLS block, whose top 4 KiB are mapped or can be touched. It is the
 * caller's again when the thread has ended and was joined; of a detached thread, never.
 */
struct thread *thread_create_on(const char *name, void (*entry)(void *arg), void *arg, uint64_t stack, uint64_t bytes);
/* Before the first thread_create: how large stacks are. False: too late. */
bool thread_stack_bytes(uint64_t bytes);
/*
 * In a copy of the environment: no thread is ready but the caller; one that waits, is named, and is in no queue
 * any more. Their stacks stay as they are.
 */
void thread_forget_others(void);
void thread_forget(struct thread *waits);
_Noreturn void thread_exit(void);
/* Wait for a thread's end; it is gone then. */
void thread_join(struct thread *thread);
/* Nobody will join it. */
void thread_detach(struct thread *thread);
/* Let the next ready thread run; the caller stays ready. */
void thread_yield(void);
/* Have pollers and timeouts make threads ready whose time has come; never switches. */
void thread_look(void);
/*
 * Sleep until the events are not `events` any more, or until a time, with no regard for pollers: for a thread that knows what it waits for,
 * looked after it read core_disp->events, and will look again. False, and not slept: somebody else could run or waits for a
 * time, or it was the pollers' turn and one of them wants to be called before; then it must be thread_wait.
 */
bool thread_doze(uint64_t events, exo_time_t until);
/* Would a switch now find somebody to run? */
bool thread_others_ready(void);
/*
 * The next ready thread, which is with the scheduler no more: the caller goes on as that one (thread_current,
 * thread_swap). NULL: none is ready. For a libOS that has somebody else run the one that leaves (libos/posix/cpus.h).
 */
struct thread *thread_take(void);
void thread_begin(void);	/* where a thread begins: rbx(r12); upcall.S */
/* Sleep until a time of the monotonic clock. */
void thread_sleep(exo_time_t until);
/* Wait in a queue until woken (true) or until the deadline (false); EXO_NEVER: no deadline. */
bool thread_wait(struct thread_queue *queue, exo_time_t deadline);
/* Wake the first / all of a queue, or one thread wherever it waits. Never switches. */
bool thread_wake_one(struct thread_queue *queue);
void thread_wake_all(struct thread_queue *queue);
void thread_wake(struct thread *thread);

struct thread_mutex {
	struct thread *owner;
	uint32_t depth;			/* of a recursive holder */
	struct thread_queue waiters;
};
/* Recursive. False: the deadline has passed. */
bool thread_lock(struct thread_mutex *mutex, exo_time_t deadline);
bool thread_trylock(struct thread_mutex *mutex);
void thread_unlock(struct thread_mutex *mutex);

struct thread_cond {
	struct thread_queue waiters;
};
bool thread_cond_wait(struct thread_cond *cond, struct thread_mutex *mutex, exo_time_t deadline);

struct thread_sem {
	int64_t count;
	struct thread_queue waiters;
};
bool thread_sem_take(struct thread_sem *sem, exo_time_t deadline);
void thread_sem_give(struct thread_sem *sem);

/* Called once by core_start: make the first thread; returns the stack pointer to begin with. */
uint64_t thread_start(void (*entry)(void *arg));

#endif
