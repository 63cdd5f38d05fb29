/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FIFOs: pipes with a name, while anybody has them open.
 *
 * An open() for one way waits for one for the other. Who waits is counted (`awaited`), so that the one who
 * comes finds him there already, and what it writes before he asks again is not refused; and he knows by the
 * number of ends that there ever were (`opened`) that somebody came, even if that one is gone.
 *
 * Nobody stands at a FIFO (gift.c): each read is a request, so that its name's times tell of it at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include "libos/keep/pipe.h"

static struct keep_pipe *fifos;
static struct {
	struct keep_pipe *pipe;		/* NULL: it waits for none */
	int end;			/* 0: it wants to read, 1: to write */
	uint64_t came;			/* other ends that there had been when it began */
} opening[WIRE_PROCESSES];

void fifo_free(struct keep_pipe *pipe)
{
	struct keep_pipe **link = &fifos;

	while (*link != pipe)
		link = &(*link)->next;
	*link = pipe->next;
	vfs_file_put(pipe->name);
}

void fifo_used(const struct keep_pipe *pipe, unsigned which)
{
	const struct fs_time now = vfs_machine ? vfs_machine->now() : (struct fs_time){ 0, 0 };
	const struct fs_attributes to = { .accessed = now, .modified = now };

	(void)vfs_set(&pipe->name->place, &to, which | FS_SET_USE);
}

static struct keep_pipe *find(struct keep_process *process, struct vfs_file *named)
{
	struct keep_pipe *pipe = fifos;

	while (pipe && pipe->name->place.node != named->place.node)
		pipe = pipe->next;
	if (pipe || !(pipe = pipe_make(process->euid)))
		return pipe;
	vfs_file_hold(named);
	pipe->name = named;
	pipe->next = fifos;
	fifos = pipe;
	return pipe;
}

static void wake_openers(struct keep_pipe *pipe)
{
	if (!keep_queue_empty(&pipe->openers))
		keep_wake(&pipe->openers);
}

void keep_fifo_forget(struct keep_process *process)
{
	struct keep_pipe *pipe = opening[process->index].pipe;
	int end = opening[process->index].end;

	gift_forget(process);
	if (!pipe)
		return;
	opening[process->index].pipe = NULL;
	pipe->awaited[end]--;
	keep_wake(end ? &pipe->readers : &pipe->writers);
	pipe_put(pipe);
}

/* May this open() end now? */
static bool ready(const struct keep_pipe *pipe, const struct keep_process *process, int end, int flags)
{
	bool waited = opening[process->index].pipe == pipe && opening[process->index].end == end;

	return (flags & O_ACCMODE) == O_RDWR || flags & O_NONBLOCK || pipe->ends[!end] || pipe->awaited[!end] ||
	    (waited && pipe->opened[!end] != opening[process->index].came);
}

static int64_t wait_for(struct keep_pipe *pipe, struct keep_process *process, int end)
{
	if (opening[process->index].pipe != pipe || opening[process->index].end != end) {
		pipe->awaited[end]++;
		keep_fifo_forget(process);
		opening[process->index].pipe = pipe;
		opening[process->index].end = end;
		opening[process->index].came = pipe->opened[!end];
		wake_openers(pipe);
	}
	keep_wait(&pipe->openers, process);
	return WIRE_WAIT;
}

int64_t keep_fifo_file(struct keep_process *process, struct vfs_file *named, int flags, struct keep_file **file)
{
	int end = (flags & O_ACCMODE) == O_WRONLY;
	struct keep_pipe *pipe = find(process, named);

	if (!pipe)
		return -ENFILE;
	if (end && flags & O_NONBLOCK && !pipe->ends[0] && !pipe->awaited[0]) {
		pipe_put(pipe);
		return -ENXIO;
	}
	if (!ready(pipe, process, end, flags))
		return wait_for(pipe, process, end);
	*file = pipe_end(pipe, &keep_fifo_kind, flags);
	if (*file)
		wake_openers(pipe);
	keep_fifo_forget(process);
	if (!*file)
		pipe_put(pipe);
	return *file ? 0 : -ENOMEM;
}
