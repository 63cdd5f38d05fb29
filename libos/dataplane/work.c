/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may have to wait for a disk (conn_beside): a few threads beside the loop, made when they are first needed, do one after the
 * other of what is asked for. A read that finds what it wants in a cache costs two switches between threads; one that waits leaves
 * the loop to others, and as many wait at once as there are threads. The loop calls `done`, in a turn of its own.
 */
#include "libos/core/thread.h"
#include "libos/dataplane/dataplane.h"

#define WORKERS_MAX	8

static struct conn_work *asked, **asked_end = &asked;	/* in order */
struct conn_work *work_finished;			/* the last first */
static struct thread_queue waiting;
static unsigned workers;

static void finish(struct conn_work *work)
{
	work->next = work_finished;
	work_finished = work;
	loop_wake();
}

static void worker(void *arg)
{
	struct conn_work *work;

	(void)arg;
	for (;;) {
		while (!(work = asked))
			thread_wait(&waiting, EXO_NEVER);
		asked = work->next;
		if (!asked)
			asked_end = &asked;
		work->work(work);
		finish(work);
	}
}

void conn_beside(struct conn_work *work)
{
	work->next = NULL;
	*asked_end = work;
	asked_end = &work->next;
	if (thread_wake_one(&waiting))
		return;
	if (workers < WORKERS_MAX && thread_create("beside", worker, NULL)) {
		workers++;
	} else if (!workers) {		/* there is no memory for a thread: at once, then */
		asked = NULL;
		asked_end = &asked;
		work->work(work);
		finish(work);
	}
}

void work_done(void)
{
	struct conn_work *work = work_finished, *next;

	work_finished = NULL;
	for (; work; work = next) {
		next = work->next;
		work->done(work);
	}
}
