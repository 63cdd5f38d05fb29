/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes, between pipe.c, gift.c and fifo.c.
 */
#ifndef LIBOS_KEEP_PIPE_H
#define LIBOS_KEEP_PIPE_H

#include "libos/keep/files.h"

#define PIPE_BYTES	65536		/* capacity */
#define PIPE_FIRST	512		/* of the ring that every pipe has: POSIX's PIPE_BUF */
#define PIPE_ATOMIC	4096		/* so much is written whole, while memory lasts */

struct pipe_user;

struct keep_pipe {
	char *ring;			/* `first`, or memory of its own */
	uint32_t size;			/* of the ring: a power of 2 */
	uint32_t head, count;		/* bytes [head, head + count) modulo size */
	uint32_t ends[2];		/* descriptions that read, that write */
	uint32_t awaited[2];		/* processes in an open() for reading, for writing: FIFOs */
	uint64_t opened[2];		/* ends that there ever were */
	struct keep_queue readers, writers, openers;
	struct pipe_user *user;		/* whose it counts for */
	struct keep_process *reader;	/* gift.c: has asked in vain, and is told of data at once */
	uint32_t gift;			/* the first bytes, that lie in its page */
	struct vfs_file *name;		/* of a FIFO, held */
	struct keep_pipe *next;		/* FIFOs */
	uint64_t number;
	struct fs_time made;
	char first[PIPE_FIRST];
};

extern const struct keep_kind keep_pipe_kind, keep_fifo_kind;

/* An empty one without ends; NULL: no memory, or the user has too many. */
struct keep_pipe *pipe_make(uid_t uid);
/* It goes if nobody has it any more. */
void pipe_put(struct keep_pipe *pipe);
/* One more end; fifo.c. */
struct keep_file *pipe_end(struct keep_pipe *pipe, const struct keep_kind *kind, int flags);
/* The first bytes go. */
void pipe_take(struct keep_pipe *pipe, uint32_t bytes);

/* --- gift.c --------------------------------------------------------------------------------------------------- */

/* `process` has found the pipe empty on descriptor `fd` and will wait. */
void gift_stand(struct keep_pipe *pipe, struct keep_process *process, int64_t fd);
/* What was taken goes. */
void gift_settle(struct keep_pipe *pipe);
/* Nobody stands any more: what was not taken lies in the pipe. The reader is woken, to ask. */
void gift_end(struct keep_pipe *pipe);
/* Data has come to the pipe at which somebody stands: it is handed over, if that is all, or he is woken to ask. */
void gift_make(struct keep_pipe *pipe);
/* The process has no page any more, or closes a descriptor of a pipe. */
void gift_forget(struct keep_process *process);

static inline void gift_end_if(struct keep_pipe *pipe)
{
	if (pipe->reader)
		gift_end(pipe);
}

/* --- fifo.c --------------------------------------------------------------------------------------------------- */

void fifo_free(struct keep_pipe *pipe);
/* It was read (FS_SET_ACCESSED) or written (FS_SET_MODIFIED) now: its name's times say so. */
void fifo_used(const struct keep_pipe *pipe, unsigned which);

#endif
