/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Priorities that mutexes lend to who holds them: PTHREAD_PRIO_PROTECT the mutex's ceiling, PTHREAD_PRIO_INHERIT the
 * highest priority of those who wait for it, and so along a chain of holders who wait themselves.
 *
 * A thread has its own priority, which the program sets and sees, and the one by which it is scheduled. Nothing is counted
 * up and down: whenever a mutex comes, goes, or is waited for, the second is found anew.
 *
 * H1 thread->lifting are the mutexes with a protocol that it holds, linked by __below
 * H2 thread->awaits is the mutex of PTHREAD_PRIO_INHERIT that it waits for, or NULL
 * H3 thread->priority is the highest of its own one and what each of `lifting` lends
 *
 * All of it is for the threads of one process: a mutex that processes share has no protocol. Inside brackets.
 */
#include "libos/posix/thread.h"

/* What a mutex lends: one pass over the process's threads for an inheriting one. */
static int lent(const pthread_mutex_t *mutex)
{
	int most = 0;

	if (posix_mutex_protocol(mutex) == PTHREAD_PRIO_PROTECT)
		return (int)mutex->__ceiling;
	for (struct signal_thread *each = signal_threads; each; each = each->next)
		if (each->of->awaits == mutex && each->of->priority > most)
			most = each->of->priority;
	return most;
}

int posix_lift_due(const struct __exo_thread *thread)
{
	int most = thread->own_priority, priority;

	for (const pthread_mutex_t *mutex = thread->lifting; mutex; mutex = mutex->__below)
		if ((priority = lent(mutex)) > most)
			most = priority;
	return most;
}

static bool lift(struct __exo_thread *thread)
{
	int priority = posix_lift_due(thread);

	if (priority == thread->priority)
		return false;
	posix_sched_lift(thread, priority);
	return true;
}

/* Each step changes a priority, and for a ring of holders all have one in the end. */
void posix_lift_chain(const pthread_mutex_t *mutex)
{
	struct __exo_thread *holder;

	while (mutex && (holder = posix_mutex_holder(mutex)) && lift(holder))
		mutex = holder->awaits;
}

void posix_lift_await(struct __exo_thread *self, const pthread_mutex_t *mutex)
{
	const pthread_mutex_t *before = self->awaits;

	self->awaits = mutex;
	posix_lift_chain(mutex ? mutex : before);
}

void posix_lift_take(struct __exo_thread *thread, pthread_mutex_t *mutex)
{
	mutex->__below = thread->lifting;
	thread->lifting = mutex;
	thread->awaits = NULL;
	(void)lift(thread);
}

void posix_lift_drop(struct __exo_thread *self, const pthread_mutex_t *mutex)
{
	pthread_mutex_t **at = &self->lifting;

	while (*at && *at != mutex)
		at = &(*at)->__below;
	if (*at)
		*at = mutex->__below;
}

void posix_lift_end(struct __exo_thread *self)
{
	(void)lift(self);
	if (posix_sched_wanted)
		posix_sched_yield();
}
