/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll, for all kinds: which descriptors are ready, and who waits for them.
 *
 * Each entry is read once from the buffer and answered there. A kind's `poll` puts the process into the
 * queues of what it waits for, but not any more once something is ready. A process stays in queues that it
 * does not wait for any longer until they are woken next; that wakes it once in vain and costs a bit of
 * memory that is there anyway.
 */
#include <errno.h>
#include <string.h>
#include "libos/keep/keep.h"

#define ALWAYS	(POLLERR | POLLHUP | POLLNVAL)
#define IN	(POLLIN | POLLRDNORM)
#define OUT	(POLLOUT | POLLWRNORM)

static short ask(struct keep_process *process, int fd, short events, bool wait)
{
	struct keep_file *file = keep_fd_file(process, fd);
	short now;

	if (!file)
		return POLLNVAL;
	/* What cannot be asked, a file, never waits. */
	now = file->kind->poll ? file->kind->poll(file, process, events, wait) : POLLIN | POLLOUT;
	now |= (short)((now & POLLIN ? POLLRDNORM : 0) | (now & POLLOUT && !(now & POLLHUP) ? POLLWRNORM : 0));
	return now & (events | ALWAYS);
}

static int64_t do_poll(struct keep_request *request)
{
	uint64_t count = request->word[0];
	struct pollfd *all = (struct pollfd *)request->data, one;
	bool wait = request->word[1] != 1;
	int64_t ready = 0;

	if (count > WIRE_BUFFER / sizeof(one))
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		memcpy(&one, &all[i], sizeof(one));
		one.revents = one.fd < 0 ? 0 : ask(request->process, one.fd, one.events, wait && !ready);
		ready += one.revents != 0;
		memcpy(&all[i].revents, &one.revents, sizeof(one.revents));
	}
	return ready || !wait ? ready : WIRE_WAIT;
}

void keep_poll_start(void)
{
	keep_serve(REQUEST_POLL, do_poll);
}
