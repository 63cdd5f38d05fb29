/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Round robin: the thread that has been ready longest runs next. A queue with two ends; both operations cost
 * O(1).
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

static struct thread *rr_turn(struct thread *thread)
{
	struct thread *next = head;

	if (!next)
		return thread;
	thread->next = NULL;
	tail->next = thread;
	tail = thread;
	head = next->next;
	return next;
}

const struct sched sched_rr = { "round robin", rr_ready, rr_pick, rr_turn };
