/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals of a process, for the files that make them up.
 */
#ifndef LIBOS_POSIX_SIGNAL_PRIVATE_H
#define LIBOS_POSIX_SIGNAL_PRIVATE_H

#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define SIGNAL_BIT(number)	(1ULL << ((number) - 1))
/* Who is flooded goes on with its own work after so many times: what is left comes at its next call or slice. */
#define SIGNAL_ROUNDS	3
#define SIGNAL_BURST	16	/* handlers of the old signals, at most, in each of these */
#define SIGNAL_FOREVER		(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
#define SIGNAL_STOPS	(SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
#define signal_page	((struct wire_page *)WIRE_VA_PAGE)

/* A thread's state where it was interrupted. */
struct signal_frame {
	uint8_t fpu[512] __attribute__((aligned(16)));
	struct exo_regs regs;
};
_Static_assert(sizeof(struct signal_frame) == 768, "signal_call.S");

/* signal.c */
extern struct sigaction signal_actions[NSIG];
extern uint64_t signal_pending_all;		/* of the process, not of a thread */

static inline struct signal_thread *signal_self(void)
{
	return &posix_self()->signal;
}

static inline bool signal_valid(int number)
{
	return number > 0 && number < NSIG;
}

/* Take in what the keeper has posted. */
void signal_intake(void);
/* Post within the process: to a thread, or NULL: to whichever. False: it must be queued and there is no room. */
bool signal_post(struct signal_thread *thread, const siginfo_t *info);
/* The signal of this timer (of timer_create) that is queued and not taken yet, or NULL. */
siginfo_t *signal_of_timer(int timer);
/* How many signals of sigqueue, sent by the process itself, it has not taken yet. Cost: of all that are queued. */
unsigned signal_queued(void);
/* Take one that is pending to a thread or the process; false: it is not. */
bool signal_take_one(struct signal_thread *self, int number, siginfo_t *info);
/* What is pending here, for descriptors of signals: to the page. More than before: signal_held_more. */
void signal_publish(void);
extern bool signal_held_more;
void posix_signals_tell(void);	/* the keeper, for epoll */
/* Take one of a set, as sigwaitinfo does: its number, -EAGAIN at the deadline, -EINTR. Inside brackets. */
int signal_await(uint64_t set, siginfo_t *info, exo_time_t deadline);
/* Nothing of these is pending any more. */
void signal_forget(uint64_t set);
/* Deliver all that can be; `regs` and `fpu`: the state that was interrupted, or NULL. Inside brackets. */
void signal_deliver(struct signal_thread *self, struct exo_regs *regs, void *fpu);
/* Run a handler for what has just happened in the thread itself. */
void signal_handle(struct signal_thread *self, const siginfo_t *info, struct exo_regs *regs, void *fpu);
/* Is something there for anybody? Sets signal_look. */
void signal_look_round(void);
/* The keeper must know what is ignored, caught and blocked. `all`: even what only a new image cares for. */
void signal_tell(bool all);

/* signal_call.S: call handler(number, info, context) on another stack (0: this one). */
void signal_call(void (*handler)(int, siginfo_t *, void *), int number, siginfo_t *info, void *context, uint64_t sp);
void signal_entered_here(void);

/* signal_upcall.c */
void signal_upcall_start(void);
/* The same in words: what upcall code may use (no vector registers). */
static inline void signal_copy(void *to, const void *from, uint64_t bytes)
{
	uint64_t words = bytes / 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) :: "memory");
}

/* timer.c */
/* The time of the day was set. [upcall] */
#define signal_day_changed() (*(volatile uint32_t *)&signal_page->day_sets != signal_page->day_seen)
#define signal_day_seen() ((void)(signal_page->day_seen = *(volatile uint32_t *)&signal_page->day_sets))
void signal_day_set(void);			/* signal.c: who waits for a time of the day looks again */
extern exo_time_t signal_timer_next;		/* [upcall] when one is due */
#define signal_timers_due() (core_now() >= signal_timer_next || signal_day_changed())
void signal_timers(void);			/* fire what is due; never blocks */
void signal_timers_tell(void);			/* have the keeper poke at the next one; a thread's business */
void signal_timers_start(void);
void signal_timers_forked(void);

/* --- turns.c ------------------------------------------------------------------------------------------------- */

/* What a CPU of the process still leaves to others. */
struct posix_turns {
	uint32_t owed;			/* in WIRE_TURN */
	uint32_t idle;			/* times in a row that a turn came back at once */
	exo_time_t given;		/* when the last one went; 0: it is the process's own slice */
};
extern struct posix_turns posix_turns;	/* the home's */
/* [upcall] One that was interrupted, and has turns to leave: shall this one be yielded? */
bool posix_turn_leave(struct posix_turns *turns);

#endif
