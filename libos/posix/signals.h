/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals inside a process: what the other parts of the libOS use.
 *
 * A handler runs, and a thread is preempted, only outside of *brackets*. Whatever touches the libOS's own
 * state (a request with its buffer, queues of threads, tables) stands in one:
 *
 *	bool was = posix_enter();
 *	...
 *	posix_leave(was);
 *
 * Code inside brackets runs in the process's first environment only, which is one thread of control to the kernel:
 * so this byte, a thread's own, is all the exclusion there is. A thread that runs on another CPU (cpus.h) comes home
 * first. Each switch of threads happens inside a bracket. A new thread begins inside one: its first act is
 * posix_leave(false). What comes meanwhile is delivered by the outermost posix_leave, or by signal_run where somebody
 * waits.
 *
 * A handler may leave by siglongjmp, also out of signal_run: at that point nothing may be half done.
 */
#ifndef LIBOS_POSIX_SIGNALS_H
#define LIBOS_POSIX_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "libos/core/thread.h"
#include "libos/posix/wire.h"

#define SIGNALS_TLS	__attribute__((tls_model("local-exec")))
extern __thread volatile bool posix_inside SIGNALS_TLS;	/* [upcall] reads it */
extern __thread volatile uint8_t posix_away SIGNALS_TLS;	/* n + 1: the thread runs on CPU n of cpus.h; 0: at home */
void posix_home(void);			/* come home, inside brackets */
extern volatile bool signal_look;	/* some thread has something to take */
/* As the thread, outside of brackets. */
void signal_take(void);

static inline bool posix_enter(void)
{
	bool was = posix_inside;

	posix_inside = true;
	__asm__ volatile("" ::: "memory");
	if (__builtin_expect(posix_away != 0, 0))
		posix_home();
	return was;
}

static inline void posix_leave(bool was)
{
	__asm__ volatile("" ::: "memory");
	posix_inside = was;
	__asm__ volatile("" ::: "memory");
	if (!was && (signal_look || ((volatile struct wire_page *)WIRE_VA_PAGE)->pending))
		signal_take();
}

/* A thread's own; zeros are a thread that blocks nothing. In struct __exo_thread (thread.h) as `signal`. */
struct signal_info {
	siginfo_t info;
	struct signal_info *next;
};
struct signal_thread {
	uint64_t mask, pending;		/* bit n - 1 */
	uint64_t awaits;		/* sigwait: these come to it though it blocks them */
	struct signal_info *queue;	/* infos of `pending`, in order */
	stack_t alternate;		/* ss_size 0: none */
	bool waits, came;		/* it is in signal_wait; it has been woken by a signal */
	bool day;			/* ... until a time of the day */
	bool poked;
	uint64_t handled;		/* handlers run; of them without SA_RESTART: */
	uint64_t breaking;
	struct __exo_thread *of;	/* NULL: not begun */
	struct signal_thread *next, *prev;	/* all of the process's */
};

/*
 * Deadlines that are times of the day have this bit, and are found anew whenever the clock may have been set: what waits
 * until one is woken then (and may have waited for nothing). When that is, on the monotonic clock: posix_due.
 */
#define POSIX_DAY	(1ull << 63)
exo_time_t posix_day_due(exo_time_t deadline);
static inline bool posix_is_day(exo_time_t deadline)
{
	return __builtin_expect((int64_t)deadline < (int64_t)EXO_NEVER, 0);	/* which is -1 */
}
static inline exo_time_t posix_due(exo_time_t deadline)
{
	return posix_is_day(deadline) ? posix_day_due(deadline) : deadline;
}
/* So long from now on; no clock runs until WIRE_DAY_END. */
exo_time_t posix_later(const struct timespec *time);

enum signal_woken { SIGNAL_WOKEN, SIGNAL_TIME, SIGNAL_CAME };
/*
 * thread_wait, that a signal for this thread ends too; inside brackets. After SIGNAL_CAME: signal_run. With
 * one that is there already it does not wait at all.
 */
enum signal_woken signal_wait(struct thread_queue *queue, exo_time_t deadline);
/*
 * Deliver what is there for this thread; inside brackets, whose state is whole. True: a handler has run that
 * ends the wait with EINTR: one without SA_RESTART or, if the call never restarts, any.
 */
bool signal_run(bool restarts);
/* Make a thread's signal_wait return SIGNAL_CAME; for cancellation. */
void signal_poke(struct thread *thread);

/*
 * As the thread, from a function of core_fault_defer: a handler is told of the fault, or the process ends.
 * `regs` is what will be resumed.
 */
void signal_fault(struct exo_regs *regs, int number, int code);

/* In a new thread's record, before it begins: it inherits its maker's mask. At its end. */
struct __exo_thread;
void signal_thread_start(struct __exo_thread *thread);
void signal_thread_end(struct __exo_thread *thread);

/* Before main; in a child of fork; before REQUEST_EXEC and after it failed. */
void signal_start(void);
void signal_forked(void);
void signal_before_exec(void);
void signal_exec_failed(void);

/* What a signal handler's return from a preempted state runs besides; NULL: nothing (thr). */
extern void (*posix_preempt)(void);
/* Have it called after so many nanoseconds, if that has not been asked for already. Inside brackets. */
void signal_slice(uint64_t ns);
/* Nobody is there to run after its end: there is none. */
void signal_slice_drop(void);
extern bool signal_slice_over;		/* it has passed, and nobody was preempted yet */
extern bool signal_slice_late;		/* it was not asked for: another request was not done */
/* The same from the scheduler, which waits for nothing; and when the other request is done. */
void signal_slice_soon(uint64_t ns);
void signal_slice_asked(void);

#endif
