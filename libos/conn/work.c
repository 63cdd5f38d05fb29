/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn_beside where nothing runs beside the loop: what is asked for is done in its next turn, in order, and holds up the others.
 * Where files lie in memory it never waits. What is asked for meanwhile has its turn in the next.
 */
#include "libos/conn/work.h"

static struct conn_work *asked, **asked_end = &asked;

void conn_beside(struct conn_work *work)
{
	work->next = NULL;
	*asked_end = work;
	asked_end = &work->next;
}

bool works_wait(void)
{
	return asked != NULL;
}

void works_run(void)
{
	struct conn_work *work = asked, *next;

	asked = NULL;
	asked_end = &asked;
	for (; work; work = next) {
		next = work->next;
		work->work(work);
		work->done(work);
	}
}
