/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper's checker: whether what it holds is in order. Tests ask for it after they have killed processes
 * at every point; it only reads, and says the first thing that is wrong.
 *
 * C1 a record in use has a pid of its own; its parent is in use; only pid 1 has none; a zombie holds nothing
 * C2 a description is counted at least as often as descriptors name it, and exactly so often while no handler
 *    waits and none is on its way in a message; there are no others
 * C3 an end of a pipe is counted for each description of it
 * C4 a terminal is counted for each description; its session's leader lives; it is nobody's once it is hung
 * C5 an item of epoll is known to its set and to its description
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "libos/keep/pipe.h"
#include "libos/keep/tty.h"

#define FILES	8192		/* descriptions looked at, at most */

uint32_t rights_flights(void) __attribute__((weak));	/* descriptors in messages; socket.h */
const char *socket_check(void) __attribute__((weak));
const char *keep_object_check(void) __attribute__((weak));	/* object.h */

static struct keep_file *files[FILES];
static uint32_t count;

/* --- C1 ----------------------------------------------------------------------------------------------- */

static const char *check_process(const struct keep_process *process)
{
	const struct keep_process *parent = process->parent;

	if (process != &keep_process[process->index])
		return "C1: a record with another's index";
	if (keep_find(process->pid) != process && process->state != KEEP_MAKING)
		return "C1: two of one pid";
	if (!parent != (process == keep_first))
		return "C1: a process without a parent";
	if (parent && (parent->state == KEEP_FREE || parent->state == KEEP_ZOMBIE))
		return "C1: a parent that is gone";
	if (process->state != KEEP_ZOMBIE)
		return NULL;
	if (process->body || process->worker || process->tty || process->ending)
		return "C1: a zombie that holds something";
	for (unsigned fd = 0; fd < process->fds; fd++)
		if (process->fd[fd].file)
			return "C1: a zombie with descriptors";
	return NULL;
}

static bool in_use(const struct keep_process *process)
{
	return process->state != KEEP_FREE;
}

static const char *check_processes(void)
{
	const char *wrong = NULL;

	for (unsigned i = 0; i < keep_used && !wrong; i++)
		if (in_use(&keep_process[i]))
			wrong = check_process(&keep_process[i]);
	return wrong;
}

/* --- C2 ----------------------------------------------------------------------------------------------- */

static void for_all_descriptors(void (*look)(struct keep_file *file))
{
	for (unsigned i = 0; i < keep_used; i++)
		for (unsigned fd = 0; in_use(&keep_process[i]) && fd < keep_process[i].fds; fd++)
			if (keep_process[i].fd[fd].file)
				look(keep_process[i].fd[fd].file);
}

static void forget(struct keep_file *file)
{
	file->seen = 0;
}

static void see(struct keep_file *file)
{
	if (!file->seen++ && count < FILES)
		files[count++] = file;
}

/* Does any handler but the one that asks wait in the middle of something? */
static bool busy(const struct keep_process *asks)
{
	for (unsigned i = 0; i < keep_used; i++)
		if (&keep_process[i] != asks && in_use(&keep_process[i]) && keep_process[i].worker)
			return true;
	return rights_flights && rights_flights();
}

static const char *check_files(const struct keep_process *asks)
{
	bool exact = !busy(asks);

	count = 0;
	for_all_descriptors(forget);
	for_all_descriptors(see);
	for (uint32_t i = 0; i < count; i++) {
		if (files[i]->refs < files[i]->seen)
			return "C2: a description with fewer holds than descriptors";
		if (exact && files[i]->refs > files[i]->seen)
			return "C2: a description that somebody holds who is not there";
	}
	if (exact && count < FILES && count != keep_files_open)
		return "C2: a description that nobody names";
	return NULL;
}

/* --- C3, C4 ------------------------------------------------------------------------------------------- */

/* How many of the descriptions are of this object, and read (0), write (1). */
static uint32_t ends_of(const void *object, int end)
{
	uint32_t ends = 0;

	for (uint32_t i = 0; i < count; i++) {
		int way = files[i]->flags & O_ACCMODE;
		ends += files[i]->object == object && way != (end ? O_RDONLY : O_WRONLY);
	}
	return ends;
}

static const char *check_pipes(const struct keep_process *asks)
{
	if (busy(asks) || count == FILES)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		const struct keep_pipe *pipe = files[i]->object;
		if (files[i]->kind != &keep_pipe_kind)
			continue;
		if (pipe->ends[0] != ends_of(pipe, 0) || pipe->ends[1] != ends_of(pipe, 1))
			return "C3: a pipe with ends that nobody has";
		if (pipe->count > pipe->size || pipe->head >= pipe->size)
			return "C3: a pipe's ring is no ring";
	}
	return NULL;
}

static const char *check_tty(const struct keep_tty *tty, const struct keep_process *asks)
{
	uint32_t opens = 0;

	for (uint32_t i = 0; i < count; i++)
		opens += files[i]->kind == &keep_tty_kind && files[i]->object == tty;
	if (!tty->used)
		return opens ? "C4: a terminal that is not there is open" : NULL;
	if (!busy(asks) && count < FILES && opens != tty->opens)
		return "C4: a terminal with descriptions that nobody has";
	if (tty->hung && (tty->sid || tty->pgid))
		return "C4: a session at a terminal that is hung";
	if (tty->sid && !keep_find(tty->sid))
		return "C4: a terminal whose session's leader is gone";
	return NULL;
}

static const char *check_ttys(const struct keep_process *asks)
{
	const char *wrong = NULL;

	for (unsigned i = 0; i < TTYS && !wrong; i++)
		wrong = check_tty(&keep_ttys[i], asks);
	for (unsigned i = 0; i < keep_used && !wrong; i++)
		if (in_use(&keep_process[i]) && keep_process[i].tty &&
		    (!keep_process[i].tty->used || keep_process[i].tty->hung))
			wrong = "C4: a process's terminal is gone";
	return wrong;
}

const char *keep_check(const struct keep_process *asks)
{
	const char *wrong = check_processes();

	if (!wrong)
		wrong = check_files(asks);
	if (!wrong)
		wrong = check_pipes(asks);
	if (!wrong && socket_check)
		wrong = socket_check();
	if (!wrong && keep_object_check)
		wrong = keep_object_check();
	if (!wrong && keep_epoll_check)
		wrong = keep_epoll_check();
	if (!wrong && keep_mqueue_check)
		wrong = keep_mqueue_check();
	if (!wrong && keep_xsi_check)
		wrong = keep_xsi_check();
	return wrong ? wrong : check_ttys(asks);
}

static int64_t request_check(struct keep_request *request)
{
	const char *wrong;

	if (request->process->euid)
		return -EPERM;
	wrong = keep_check(request->process);
	(void)snprintf(request->data, 128, "%s", wrong ? wrong : "");
	return wrong != NULL;
}

void keep_check_start(void)
{
	keep_serve(REQUEST_CHECK, request_check);
}
