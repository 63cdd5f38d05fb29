/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll and select: ask every descriptor, and sleep until something anywhere changes.
 *
 * All waiters share one queue: with cooperative threads asking again costs less than keeping lists per
 * descriptor, and programs with many connections here use a thread each.
 *
 * Who asks gives others their turn first, the network too: with what is always ready, or with no time to wait, a program may never
 * sleep, and what it waits for would never come.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/select.h>
#include "libos/core/thread.h"
#include "libos/uni/fd.h"

#define ALWAYS	(POLLERR | POLLHUP | POLLNVAL)

static struct thread_queue waiting;

void fd_wake(void)
{
	thread_wake_all(&waiting);
}

static short ask(int number, short events)
{
	struct fd *fd = fd_get(number);
	short ready;

	if (!fd)
		return POLLNVAL;
	/* What cannot be asked, a file or the console, never blocks. */
	ready = fd->ops->poll ? fd->ops->poll(fd, events) : (POLLIN | POLLOUT);
	fd_put(fd);
	return ready & (events | ALWAYS);
}

static exo_time_t deadline_after_ms(int64_t timeout_ms)
{
	return timeout_ms < 0 ? EXO_NEVER : core_now() + (uint64_t)timeout_ms * (CORE_SECOND / 1000);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	exo_time_t deadline = deadline_after_ms(timeout_ms);
	int saved = errno;

	thread_yield();
	for (bool last = timeout_ms == 0;; ) {
		int ready = 0;
		for (nfds_t i = 0; i < count; i++) {
			fds[i].revents = fds[i].fd < 0 ? 0 : ask(fds[i].fd, fds[i].events);
			ready += fds[i].revents != 0;
		}
		errno = saved;
		if (ready || last)
			return ready;
		last = !thread_wait(&waiting, deadline);
	}
}

/* What select was asked for one descriptor. */
static short wanted(int number, const fd_set *in, const fd_set *out)
{
	return (short)((in && FD_ISSET(number, in) ? POLLIN : 0) |
		       (out && FD_ISSET(number, out) ? POLLOUT : 0));
}

int select(int count, fd_set *in, fd_set *out, fd_set *error, struct timeval *timeout)
{
	exo_time_t deadline = EXO_NEVER;
	bool last = false;
	fd_set can_in, can_out;

	if (count < 0 || count > FD_SETSIZE) {
		errno = EINVAL;
		return -1;
	}
	if (timeout) {
		deadline = core_now() + (uint64_t)timeout->tv_sec * CORE_SECOND +
			   (uint64_t)timeout->tv_usec * 1000;
		last = !timeout->tv_sec && !timeout->tv_usec;
	}
	thread_yield();
	for (;;) {
		int ready = 0;
		FD_ZERO(&can_in);
		FD_ZERO(&can_out);
		for (int i = 0; i < count; i++) {
			short events = wanted(i, in, out), have = events ? ask(i, events) : 0;
			if (have & POLLNVAL) {
				errno = EBADF;
				return -1;
			}
			if ((events & POLLIN) && (have & (POLLIN | POLLHUP | POLLERR)) && ++ready)
				FD_SET(i, &can_in);
			if ((events & POLLOUT) && (have & (POLLOUT | POLLERR)) && ++ready)
				FD_SET(i, &can_out);
		}
		if (ready || last) {
			if (in)
				*in = can_in;
			if (out)
				*out = can_out;
			if (error)
				FD_ZERO(error);
			return ready;
		}
		last = !thread_wait(&waiting, deadline);
	}
}
