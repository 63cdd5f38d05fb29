/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for signals.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>
#include "libos/posix/signal_private.h"

int sigsuspend(const sigset_t *mask)
{
	struct signal_thread *self = signal_self();
	bool was = posix_enter();
	uint64_t before = self->mask;

	self->mask = *mask & ~SIGNAL_FOREVER;
	signal_page->heeded |= self->mask;
	do
		signal_wait(NULL, EXO_NEVER);
	while (!signal_run(false));
	self->mask = before;
	if (signal_page->signalfds)
		signal_publish();
	posix_leave(was);
	errno = EINTR;
	return -1;
}

int pause(void)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	return sigsuspend(&mask);
}

int signal_await(uint64_t set, siginfo_t *info, exo_time_t deadline)
{
	struct signal_thread *self = signal_self();
	enum signal_woken woken;
	uint64_t there;

	signal_page->heeded |= set;
	for (;;) {
		signal_intake();
		there = (self->pending | signal_pending_all) & set;
		if (there) {
			int number = __builtin_ctzll(there) + 1;
			if (signal_take_one(self, number, info))
				return number;
			continue;
		}
		self->awaits = set;
		woken = signal_wait(NULL, deadline);
		self->awaits = 0;
		if (woken == SIGNAL_TIME)
			return -EAGAIN;
		if ((self->pending | signal_pending_all) & set)
			continue;
		if (signal_run(false))
			return -EINTR;
	}
}

int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info, const struct timespec *restrict timeout)
{
	exo_time_t deadline = EXO_NEVER;
	siginfo_t ignored;
	int result;

	if (timeout) {
		if (timeout->tv_nsec < 0 || (uint64_t)timeout->tv_nsec >= CORE_SECOND) {
			errno = EINVAL;
			return -1;
		}
		deadline = posix_later(timeout);
	}
	pthread_testcancel();
	bool was = posix_enter();
	result = signal_await(*set & ~SIGNAL_FOREVER, info ? info : &ignored, deadline);
	if (signal_page->signalfds)
		signal_publish();
	posix_leave(was);
	if (result > 0)
		return result;
	errno = -result;
	return -1;
}

int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info)
{
	return sigtimedwait(set, info, NULL);
}

int sigwait(const sigset_t *restrict set, int *restrict number)
{
	int result, saved = errno;

	while ((result = sigtimedwait(set, NULL, NULL)) < 0)
		if (errno != EINTR)
			return errno;
	errno = saved;
	*number = result;
	return 0;
}
