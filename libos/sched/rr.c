/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Round robin: the thread that has been ready longest runs next. A queue with two ends; both operations cost O(1).
 */
#include "libos/core/thread.h"

static struct thread *head, *tail;

static void rr_ready(struct thread *thread)
{
	thread->next = NULL;
	if (head)
		tail->next = thread;
	else
		head = thread;
	tail = thread;
}

static struct thread *rr_pick(void)
{
	struct thread *thread = head;

	if (thread)
		head = thread->next;
	return thread;
}

const struct sched sched_rr = { "round robin", rr_ready, rr_pick };
