/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutex, condition, semaphore on top of the waiting queues of thread.c. Threads are cooperative: between two
 * switches nothing else runs, so plain fields are enough. What is released is handed to the first waiter: no
 * barging.
 */
#include "libos/core/thread.h"

bool thread_trylock(struct thread_mutex *mutex)
{
	if (mutex->owner && mutex->owner != thread_current)
		return false;
	mutex->owner = thread_current;
	mutex->depth++;
	return true;
}

bool thread_lock(struct thread_mutex *mutex, exo_time_t deadline)
{
	if (thread_trylock(mutex))
		return true;
	return thread_wait(&mutex->waiters, deadline);	/* the releaser made us the owner */
}

void thread_unlock(struct thread_mutex *mutex)
{
	if (mutex->owner != thread_current || --mutex->depth)
		return;
	struct thread *next = mutex->waiters.head;
	mutex->owner = next;
	mutex->depth = next ? 1 : 0;
	if (next)
		thread_wake(next);
}

bool thread_cond_wait(struct thread_cond *cond, struct thread_mutex *mutex, exo_time_t deadline)
{
	uint32_t depth = mutex->depth;

	mutex->depth = 1;
	thread_unlock(mutex);
	bool woken = thread_wait(&cond->waiters, deadline);
	thread_lock(mutex, EXO_NEVER);
	mutex->depth = depth;
	return woken;
}

bool thread_sem_take(struct thread_sem *sem, exo_time_t deadline)
{
	if (sem->count > 0) {
		sem->count--;
		return true;
	}
	return thread_wait(&sem->waiters, deadline);	/* the giver gave it to us */
}

void thread_sem_give(struct thread_sem *sem)
{
	if (!thread_wake_one(&sem->waiters))
		sem->count++;
}
