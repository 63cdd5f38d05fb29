/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll and select: one request tells which descriptors are ready and, if none is, has the keeper wake the
 * process when that may be different. epoll.c waits in the same way.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <limits.h>
#include <signal.h>
#include <sys/select.h>
#include "libos/posix/io.h"
#include "libos/posix/poll.h"

#define MS	(CORE_SECOND / 1000)

static int64_t ask_all(const struct posix_polled *what, bool wait)
{
	const size_t bytes = what->count * sizeof(struct pollfd);
	int64_t result;

	if (what->count > WIRE_BUFFER / sizeof(struct pollfd))
		return -EINVAL;
	posix_lock();
	memcpy(posix_buffer, what->to, bytes);
	result = posix_ask(REQUEST_POLL, what->count, !wait, 0, NULL);
	if (result >= 0 || result == WIRE_WAIT)
		memcpy(what->to, posix_buffer, bytes);
	posix_unlock();
	return result;
}

static int64_t poll_until(const struct posix_polled *what, exo_time_t deadline)
{
	int64_t result;

	cancel_point();
	for (;;) {
		result = what->ask(what, deadline != 0);
		if (result != WIRE_WAIT)
			return result;
		result = posix_sleep(deadline, POSIX_BREAKS);
		if (result == -ETIMEDOUT)
			return what->ask(what, false);
		if (result)
			return result;
	}
}

/* The mask changes inside a bracket: what it lets through ends the wait. */
int64_t posix_poll_wait(const struct posix_polled *what, exo_time_t deadline, const sigset_t *mask)
{
	int64_t result;
	sigset_t old;
	bool was;

	if (!mask)
		return poll_until(what, deadline);
	was = posix_enter();
	(void)sigprocmask(SIG_SETMASK, mask, &old);
	result = poll_until(what, deadline);
	if (!result && deadline == 0 && posix_sleep(core_now(), POSIX_BREAKS) == -EINTR)
		result = -EINTR;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	posix_leave(was);
	return result;
}

static int64_t poll_masked(struct pollfd *fds, nfds_t count, exo_time_t deadline, const sigset_t *mask)
{
	return posix_poll_wait(&(struct posix_polled){ ask_all, fds, count, 0 }, deadline, mask);
}

int64_t posix_timeout(const struct timespec *timeout, exo_time_t *deadline)
{
	uint64_t ns;

	*deadline = EXO_NEVER;
	if (!timeout)
		return 0;
	if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= (long)CORE_SECOND)
		return -EINVAL;
	*deadline = 0;
	if ((uint64_t)timeout->tv_sec > UINT32_MAX) {
		*deadline = EXO_NEVER;
		return 0;
	}
	ns = (uint64_t)timeout->tv_sec * CORE_SECOND + (uint64_t)timeout->tv_nsec;
	if (ns)
		*deadline = core_now() + ns;
	return 0;
}

exo_time_t posix_timeout_ms(int timeout_ms)
{
	return timeout_ms < 0 ? EXO_NEVER : timeout_ms ? core_now() + (uint64_t)timeout_ms * MS : 0;
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	return (int)posix_result(poll_masked(fds, count, posix_timeout_ms(timeout_ms), NULL));
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	exo_time_t deadline;
	int64_t result = posix_timeout(timeout, &deadline);

	return (int)posix_result(result ? result : poll_masked(fds, count, deadline, mask));
}

/* --- select --------------------------------------------------------------------------------------------------- */

/* What each set asks and which answers put a descriptor into it. */
static const struct { short ask, answers; } sets[3] = {
	{ POLLIN | POLLRDNORM, POLLIN | POLLRDNORM | POLLHUP | POLLERR },
	{ POLLOUT | POLLWRNORM, POLLOUT | POLLWRNORM | POLLHUP | POLLERR },
	{ POLLPRI, POLLPRI },
};

static nfds_t gather(int count, fd_set *const set[3], struct pollfd *fds)
{
	nfds_t polled = 0;

	for (int fd = 0; fd < count; fd++) {
		short events = 0;

		for (int i = 0; i < 3; i++)
			if (set[i] && FD_ISSET(fd, set[i]))
				events |= sets[i].ask;
		if (!events)
			continue;
		if (polled == WIRE_FDS || fd >= WIRE_FDS)
			return UINT_MAX;	/* it cannot be open */
		fds[polled++] = (struct pollfd){ .fd = fd, .events = events };
	}
	return polled;
}

static int64_t scatter(nfds_t polled, fd_set *const set[3], const struct pollfd *fds)
{
	int64_t bits = 0;

	for (nfds_t i = 0; i < polled; i++)
		if (fds[i].revents & POLLNVAL)
			return -EBADF;
	for (int s = 0; s < 3; s++) {
		fd_set was;

		if (!set[s])
			continue;
		was = *set[s];
		FD_ZERO(set[s]);
		for (nfds_t i = 0; i < polled; i++)
			if (FD_ISSET(fds[i].fd, &was) && fds[i].revents & sets[s].answers) {
				FD_SET(fds[i].fd, set[s]);
				bits++;
			}
	}
	return bits;
}

int pselect(int count, fd_set *in, fd_set *out, fd_set *error, const struct timespec *timeout, const sigset_t *mask)
{
	fd_set *const set[3] = { in, out, error };
	struct pollfd fds[WIRE_FDS];
	exo_time_t deadline;
	int64_t result = posix_timeout(timeout, &deadline);
	nfds_t polled;

	if (count < 0 || count > FD_SETSIZE)
		result = -EINVAL;
	if (result)
		return (int)posix_result(result);
	polled = gather(count, set, fds);
	if (polled == UINT_MAX)
		return (int)posix_result(-EBADF);
	result = poll_masked(fds, polled, deadline, mask);
	if (result >= 0)
		result = scatter(polled, set, fds);
	return (int)posix_result(result);
}

int select(int count, fd_set *in, fd_set *out, fd_set *error, struct timeval *timeout)
{
	struct timespec wait;

	if (!timeout)
		return pselect(count, in, out, error, NULL, NULL);
	if (timeout->tv_usec < 0 || timeout->tv_usec >= 1000000)
		return (int)posix_result(-EINVAL);
	wait = (struct timespec){ timeout->tv_sec, timeout->tv_usec * 1000 };
	return pselect(count, in, out, error, &wait, NULL);
}
