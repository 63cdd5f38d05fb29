/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors of signals: ready while one of a set is pending to the process, which takes them itself.
 *
 * What is pending stands in the process's page: what the keeper has posted and the process not yet taken in
 * (`pending`), and what it says that it holds (`held`; its word, for itself). A read answers WIRE_TAKE and the set:
 * whoever reads, its own signals are meant. In a set of epoll they are those of the process that made the
 * descriptor, as long as it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include "libos/keep/keep.h"

#define FOREVER	(1ULL << (SIGKILL - 1) | 1ULL << (SIGSTOP - 1))

struct signals {
	struct signals *next, **link;
	uint64_t set;
	pid_t maker;
	struct keep_queue waiters;
};

static struct signals *all;

static uint64_t pending(const struct keep_process *process)
{
	return !process ? 0 : __atomic_load_n(&process->page->pending, __ATOMIC_RELAXED) |
		__atomic_load_n(&process->page->held, __ATOMIC_RELAXED);
}

static int64_t signals_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			    int64_t offset)
{
	const struct signals *signals = file->object;

	(void)to, (void)bytes;
	if (offset != -1)
		return -ESPIPE;
	request->process->signalfds = true;
	request->process->page->signalfds = 1;
	request->more[0] = signals->set;
	request->more[1] = file->flags & O_NONBLOCK;
	return WIRE_TAKE;
}

static short signals_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct signals *signals = file->object;

	(void)events;
	if (wait)
		keep_wait(&signals->waiters, process);
	return pending(process->index == KEEP_WATCHER ? keep_find(signals->maker) : process) & signals->set ? POLLIN : 0;
}

static int64_t signals_stat(struct keep_file *file, struct stat *st)
{
	(void)file;
	st->st_mode = S_IRUSR | S_IWUSR;
	st->st_nlink = 1;
	return 0;
}

static void signals_close(struct keep_file *file)
{
	struct signals *signals = file->object;

	*signals->link = signals->next;
	if (signals->next)
		signals->next->link = signals->link;
	free(signals);
}

static const struct keep_kind signals_kind = { .read = signals_read, .poll = signals_poll, .stat = signals_stat,
	.close = signals_close };

void keep_signalfd_look(const struct keep_process *process)
{
	for (struct signals *signals = all; signals; signals = signals->next)
		if (pending(process) & signals->set)
			keep_wake(&signals->waiters);
}

static int64_t make(struct keep_process *process, uint64_t set, uint64_t flags)
{
	struct signals *signals = calloc(1, sizeof(*signals));
	struct keep_file *file = signals ? keep_file_make(&signals_kind, signals, O_RDWR | (int)(flags & O_NONBLOCK)) : NULL;
	int64_t fd;

	if (!file) {
		free(signals);
		return -ENOMEM;
	}
	signals->set = set;
	signals->maker = process->pid;
	signals->next = all;
	signals->link = &all;
	if (all)
		all->link = &signals->next;
	all = signals;
	fd = keep_fd_add(process, file, 0, flags & O_CLOEXEC);
	if (fd < 0)
		keep_file_drop(file);
	return fd;
}

/* The process has published anew what it holds. */
static int64_t do_look(struct keep_request *request)
{
	keep_signalfd_look(request->process);
	return 0;
}

static int64_t do_signalfd(struct keep_request *request)
{
	struct keep_process *process = request->process;
	int64_t fd = (int32_t)request->word[0];
	uint64_t set = request->word[1] & ~FOREVER;
	struct keep_file *file = fd == -1 ? NULL : keep_fd_file(process, fd);

	if (request->word[2] & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (fd != -1 && !file)
		return -EBADF;
	if (file && file->kind != &signals_kind)
		return -EINVAL;
	process->signalfds = true;
	process->page->signalfds = 1;
	if (!file)
		return make(process, set, request->word[2]);
	((struct signals *)file->object)->set = set;
	keep_signalfd_look(process);
	return fd;
}

void keep_signalfd_start(void)
{
	keep_serve(REQUEST_SIGNALFD, do_signalfd);
	keep_serve(REQUEST_SIGNALFD_LOOK, do_look);
}
