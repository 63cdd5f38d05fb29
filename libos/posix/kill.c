/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending signals. One to oneself needs no keeper: whoever may do anything may signal himself.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "libos/posix/signal_private.h"

static siginfo_t from_self(int number, int code)
{
	return (siginfo_t){ .si_signo = number, .si_code = code, .si_pid = signal_page->pid,
		.si_uid = signal_page->uid };
}

/* SIGKILL, and what stops, are the keeper's and everybody's business. */
static bool own_business(pid_t pid, int number)
{
	return pid == signal_page->pid && number != SIGKILL && number > 0 && number < NSIG;
}

static int post(struct signal_thread *thread, const siginfo_t *info)
{
	bool was = posix_enter();
	bool posted = signal_post(thread, info);

	signal_look = true;
	posix_leave(was);
	return posted ? 0 : EAGAIN;
}

static int fail(int error)
{
	if (!error)
		return 0;
	errno = error;
	return -1;
}

int kill(pid_t pid, int number)
{
	if (own_business(pid, number)) {
		siginfo_t info = from_self(number, SI_USER);
		return fail(post(NULL, &info));
	}
	if (number < 0 || number >= NSIG)
		return fail(EINVAL);
	return (int)posix_result(posix_ask(REQUEST_KILL, (uint64_t)(int64_t)pid, (uint64_t)number, 0, NULL));
}

int killpg(pid_t group, int number)
{
	if (group == 1)			/* kill(-1) would be everybody */
		return getpgrp() == 1 ? kill(0, number) : fail(EPERM);
	return group < 0 ? fail(EINVAL) : kill(-group, number);
}

int sigqueue(pid_t pid, int number, union sigval value)
{
	if (own_business(pid, number)) {
		siginfo_t info = from_self(number, SI_QUEUE);
		info.si_value = value;
		bool was = posix_enter(), full = signal_queued() >= SIGQUEUE_MAX;

		posix_leave(was);
		return fail(full ? EAGAIN : post(NULL, &info));
	}
	if (number < 0 || number >= NSIG)
		return fail(EINVAL);
	return (int)posix_result(posix_ask(REQUEST_KILL, (uint64_t)(int64_t)pid, (uint64_t)number | WIRE_QUEUE,
					   (uint64_t)value.sival_ptr, NULL));
}

static int thread_kill(pthread_t thread, int number, int code)
{
	siginfo_t info;

	if (number < 0 || number >= NSIG)
		return EINVAL;
	if (!thread || thread->state == POSIX_THREAD_FREE)
		return ESRCH;
	if (number == 0 || thread->state == POSIX_THREAD_ENDED)		/* it has its name until it is joined */
		return 0;
	if (number == SIGKILL)
		return kill(signal_page->pid, number) ? errno : 0;
	info = from_self(number, code);
	return post(&thread->signal, &info);
}

int pthread_kill(pthread_t thread, int number)
{
	return thread_kill(thread, number, SI_TKILL);
}

int raise(int number)
{
	return number ? fail(thread_kill(posix_self(), number, SI_USER)) : 0;
}

/* Whatever a handler does: the process ends by SIGABRT. */
void abort(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGABRT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(SIGABRT);
	posix_enter();
	posix_end(SIGABRT);
}
