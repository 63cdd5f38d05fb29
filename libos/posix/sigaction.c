/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: actions, masks, alternate stacks.
 */
#include <errno.h>
#include <pthread.h>
#include "libos/posix/call.h"
#include "libos/posix/signal_private.h"

#define FLAGS	(SA_NOCLDSTOP | SA_ONSTACK | SA_RESETHAND | SA_RESTART | SA_SIGINFO | SA_NOCLDWAIT | SA_NODEFER)
#define TTY	(SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

static uint64_t told_ignored, told_caught, told_blocked;

static int fail(int error)
{
	errno = error;
	return -1;
}

/* --- what the keeper knows ---------------------------------------------------------------------------- */

void signal_tell(bool all)
{
	uint64_t ignored = 0, caught = 0, blocked = signal_self()->mask;

	for (int number = 1; number < NSIG; number++) {
		void (*handler)(int) = signal_actions[number].sa_handler;
		if (handler == SIG_IGN)
			ignored |= SIGNAL_BIT(number);
		else if (handler != SIG_DFL)
			caught |= SIGNAL_BIT(number);
	}
	if (signal_actions[SIGCHLD].sa_flags & SA_NOCLDWAIT)
		ignored |= WIRE_NOCLDWAIT;
	if (signal_actions[SIGCHLD].sa_flags & SA_NOCLDSTOP)
		caught |= WIRE_NOCLDSTOP;
	if (!all && ignored == told_ignored && !((caught ^ told_caught) & WIRE_NOCLDSTOP) &&
	    !((blocked ^ told_blocked) & TTY) && signal_page->pid != 1)
		return;
	told_ignored = ignored;
	told_caught = caught;
	told_blocked = blocked;
	posix_ask(REQUEST_IGNORED, ignored, caught, blocked, NULL);
}

/* A new image begins with what is pending, as with masks and timers: it goes back to where that will look. */
void signal_before_exec(void)
{
	bool was = posix_enter();
	uint64_t set = signal_pending_all | signal_self()->pending;
	uint64_t old = SIGNAL_BIT(SIGRTMIN) - 1;

	signal_tell(true);
	__atomic_fetch_or(&signal_page->lost, set & old, __ATOMIC_RELAXED);
	__atomic_fetch_or(&signal_page->pending, set & old, __ATOMIC_RELAXED);
	posix_inside = was;
}

void signal_exec_failed(void)
{
	bool was = posix_enter();
	uint64_t set = signal_pending_all | signal_self()->pending;

	__atomic_fetch_and(&signal_page->lost, ~set, __ATOMIC_RELAXED);
	posix_leave(was);
}

/* --- actions ------------------------------------------------------------------------------------------ */

int sigaction(int number, const struct sigaction *restrict action, struct sigaction *restrict old)
{
	struct sigaction before, after;

	if (!signal_valid(number) || (action && SIGNAL_BIT(number) & SIGNAL_FOREVER))
		return fail(EINVAL);
	before = signal_actions[number];
	if (action) {
		after = *action;
		after.sa_flags &= FLAGS;
		after.sa_mask &= ~SIGNAL_FOREVER;
		bool was = posix_enter();
		bool drops = after.sa_handler == SIG_IGN || (after.sa_handler == SIG_DFL && number == SIGCHLD);
		signal_actions[number] = after;
		if (drops)
			signal_forget(SIGNAL_BIT(number));
		if (drops || before.sa_handler == SIG_IGN || number == SIGCHLD || signal_page->pid == 1)
			signal_tell(false);
		posix_leave(was);
	}
	if (old)
		*old = before;
	return 0;
}

void (*signal(int number, void (*handler)(int)))(int)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;

	if (handler == SIG_ERR || sigaction(number, &action, &old)) {
		errno = EINVAL;
		return SIG_ERR;
	}
	return old.sa_handler;
}

int siginterrupt(int number, int interrupts)
{
	struct sigaction action;

	if (sigaction(number, NULL, &action))
		return -1;
	action.sa_flags = interrupts ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
	return sigaction(number, &action, NULL);
}

/* --- masks -------------------------------------------------------------------------------------------- */

int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	struct signal_thread *self = signal_self();
	bool was = posix_enter(), due = false;
	uint64_t before = self->mask, after;

	if (set) {
		switch (how) {
		case SIG_BLOCK:
			after = before | *set;
			break;
		case SIG_UNBLOCK:
			after = before & ~*set;
			break;
		case SIG_SETMASK:
			after = *set;
			break;
		default:
			posix_leave(was);
			return EINVAL;
		}
		self->mask = after & ~SIGNAL_FOREVER;
		signal_page->heeded |= self->mask;
		if ((after ^ before) & TTY)
			signal_tell(false);
		due = before & ~after & (signal_pending_all | self->pending) && !was;
	}
	posix_leave(was);
	if (due)
		signal_take();
	if (due && signal_page->signalfds)
		signal_publish();
	if (old)
		*old = before;
	return 0;
}

int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	int error = pthread_sigmask(how, set, old);

	return error ? fail(error) : 0;
}

int sigpending(sigset_t *set)
{
	bool was = posix_enter();

	signal_intake();
	*set = (signal_pending_all | signal_self()->pending) & signal_self()->mask;
	posix_leave(was);
	return 0;
}

/* --- alternate stacks --------------------------------------------------------------------------------- */

int sigaltstack(const stack_t *restrict stack, stack_t *restrict old)
{
	struct signal_thread *self = signal_self();
	stack_t before = self->alternate;
	uint64_t sp = (uint64_t)__builtin_frame_address(0);
	bool on = before.ss_size && sp - (uint64_t)before.ss_sp <= before.ss_size;

	before.ss_flags = !before.ss_size ? SS_DISABLE : on ? SS_ONSTACK : 0;
	if (stack) {
		if (on)
			return fail(EPERM);
		if (stack->ss_flags && stack->ss_flags != SS_DISABLE && stack->ss_flags != SS_ONSTACK)
			return fail(EINVAL);
		if (!(stack->ss_flags & SS_DISABLE) && stack->ss_size < MINSIGSTKSZ)
			return fail(ENOMEM);
		self->alternate = stack->ss_flags & SS_DISABLE ? (stack_t){ 0 } : *stack;
		self->alternate.ss_flags = 0;
	}
	if (old)
		*old = before;
	return 0;
}

/* --- of the X/Open system interfaces ------------------------------------------------------------------ */

int sighold(int number)
{
	sigset_t set;

	sigemptyset(&set);
	return sigaddset(&set, number) ? -1 : sigprocmask(SIG_BLOCK, &set, NULL);
}

int sigrelse(int number)
{
	sigset_t set;

	sigemptyset(&set);
	return sigaddset(&set, number) ? -1 : sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int sigignore(int number)
{
	struct sigaction action = { .sa_handler = SIG_IGN };

	return sigaction(number, &action, NULL);
}

int sigpause(int number)
{
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	return sigdelset(&set, number) ? -1 : sigsuspend(&set);
}

void (*sigset(int number, void (*handler)(int)))(int)
{
	struct sigaction action = { .sa_handler = handler }, old;
	sigset_t set, before;

	sigemptyset(&set);
	if (sigaddset(&set, number) || sigaction(number, handler == SIG_HOLD ? NULL : &action, &old))
		return SIG_ERR;
	sigprocmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &before);
	return sigismember(&before, number) ? SIG_HOLD : old.sa_handler;
}
