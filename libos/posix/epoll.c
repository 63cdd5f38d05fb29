/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll: the sets are the keeper's (libos/keep/epoll.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include "libos/posix/io.h"
#include "libos/posix/poll.h"
#include "libos/posix/signal_private.h"

_Static_assert(sizeof(struct epoll_event) == sizeof(struct wire_event) &&
	       offsetof(struct epoll_event, data) == offsetof(struct wire_event, data), "as the keeper writes it");
_Static_assert(EPOLL_CTL_ADD == WIRE_EPOLL_ADD && EPOLL_CTL_DEL == WIRE_EPOLL_DEL && EPOLL_CTL_MOD == WIRE_EPOLL_MOD &&
	       (uint32_t)EPOLLET == WIRE_EPOLL_EDGE && EPOLLONESHOT == WIRE_EPOLL_ONCE, "the same numbers");

int epoll_create1(int flags)
{
	return (int)posix_result(posix_ask(REQUEST_EPOLL, (unsigned)flags, 0, 0, NULL));
}

int epoll_create(int size)
{
	return size > 0 ? epoll_create1(0) : (int)posix_result(-EINVAL);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	static struct epoll_event none;
	const struct epoll_event *what = event ? event : &none;

	if (!event && operation != EPOLL_CTL_DEL)
		return (int)posix_result(-EFAULT);
	return (int)posix_result(posix_ask(REQUEST_EPOLL_CTL, (uint32_t)epoll | (uint64_t)(uint32_t)operation << 32,
					   (uint32_t)fd | (uint64_t)what->events << 32, what->data.u64, NULL));
}

static int64_t ask(const struct posix_polled *what, bool wait)
{
	int64_t result;

	if (__builtin_expect(signal_held_more, 0))
		posix_signals_tell();
	posix_lock();
	result = posix_ask(REQUEST_EPOLL_WAIT, (uint64_t)(int64_t)what->fd, what->count, !wait, NULL);
	if (result > 0)
		memcpy(what->to, posix_buffer, (size_t)result * sizeof(struct epoll_event));
	posix_unlock();
	return result;
}

static int wait_until(int epoll, struct epoll_event *events, int most, exo_time_t deadline, const sigset_t *mask)
{
	struct posix_polled what = { ask, events, (size_t)(most < WIRE_EVENTS ? most : WIRE_EVENTS), epoll };

	return (int)posix_result(most <= 0 ? -EINVAL : posix_poll_wait(&what, deadline, mask));
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
	return wait_until(epoll, events, most, posix_timeout_ms(timeout_ms), NULL);
}

int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms, const sigset_t *mask)
{
	return wait_until(epoll, events, most, posix_timeout_ms(timeout_ms), mask);
}

int epoll_pwait2(int epoll, struct epoll_event *events, int most, const struct timespec *timeout, const sigset_t *mask)
{
	exo_time_t deadline;
	int64_t result = posix_timeout(timeout, &deadline);

	return result ? (int)posix_result(result) : wait_until(epoll, events, most, deadline, mask);
}
