/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data of a pipe that reaches its reader together with the wake-up.
 *
 * A process that has asked in vain *stands* at the pipe: its page says at which descriptor. What is written
 * to the empty pipe then is put into the page, too, and offered there; who takes it (wire.h) needs no
 * request, and none to wait again. A process stands at one pipe, and one at a pipe; if it has found two of
 * them empty, it waits for the first in its queue.
 *
 * G1 while a process stands, the pipe has writers and is empty but for the gift; whatever changes that
 *    ends it and wakes the process
 * G2 the bytes of a gift stay in the pipe until the page says that they were taken; an offer is withdrawn
 *    by an atomic exchange. So none is lost with a process that dies. A process that lies in its page gets
 *    its own data twice
 */
#include <string.h>
#include "libos/core/copy.h"
#include "libos/keep/pipe.h"

static struct keep_pipe *stands[WIRE_PROCESSES];

static void withdraw(struct keep_pipe *pipe)
{
	struct wire_page *page = pipe->reader->page;
	uint32_t state = WIRE_OFFERED, bytes = pipe->gift;

	pipe->gift = 0;
	if (page && !__atomic_compare_exchange_n(&page->gift.state, &state, WIRE_NOTHING, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) &&
	    state == WIRE_TAKEN)
		pipe_take(pipe, bytes);
}

void gift_settle(struct keep_pipe *pipe)
{
	uint32_t bytes = pipe->gift;

	if (!bytes || __atomic_load_n(&pipe->reader->page->gift.state, __ATOMIC_ACQUIRE) != WIRE_TAKEN)
		return;
	pipe->gift = 0;
	pipe_take(pipe, bytes);
}

static void end(struct keep_pipe *pipe, bool wake)
{
	struct keep_process *process = pipe->reader;

	if (pipe->gift)
		withdraw(pipe);
	stands[process->index] = NULL;
	pipe->reader = NULL;
	if (process->page)
		process->page->gift.fd1 = 0;
	if (wake)
		keep_poke(process);
}

void gift_end(struct keep_pipe *pipe)
{
	end(pipe, true);
}

void gift_forget(struct keep_process *process)
{
	if (stands[process->index])
		end(stands[process->index], false);
}

void gift_stand(struct keep_pipe *pipe, struct keep_process *process, int64_t fd)
{
	struct wire_gift *gift = &process->page->gift;

	if (pipe->reader != process) {
		struct keep_pipe *other = stands[process->index];

		gift_end_if(pipe);
		gift_forget(process);
		if (other)
			keep_wait(&other->readers, process);
		stands[process->index] = pipe;
		pipe->reader = process;
	}
	__atomic_store_n(&gift->state, WIRE_NOTHING, __ATOMIC_RELAXED);
	gift->fd1 = (int32_t)fd + 1;
}

void gift_make(struct keep_pipe *pipe)
{
	struct keep_process *process = pipe->reader;
	struct wire_gift *gift = &process->page->gift;
	uint32_t bytes = pipe->count, first = pipe->size - pipe->head;

	if (pipe->gift || bytes > WIRE_GIFT) {
		gift_end(pipe);
		return;
	}
	if (first > bytes)
		first = bytes;
	copy_few(gift->data, pipe->ring + pipe->head, first);
	copy_few(gift->data + first, pipe->ring, bytes - first);
	gift->bytes = bytes;
	pipe->gift = bytes;
	__atomic_store_n(&gift->state, WIRE_OFFERED, __ATOMIC_RELEASE);
	keep_poke(process);
}
