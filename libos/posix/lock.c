/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The locks of libos/uni/locks.c (stdio, malloc), for threads on several CPUs: taken and given back by one atomic
 * operation, on any CPU, while nobody waits. Who waits says so by the owner's lowest bit, inside brackets, and then
 * the owner comes there, too, and hands the lock over to the first one.
 *
 * K1 a lock with WAITED has waiters, or is about to: it is given back inside brackets only
 */
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define WAITED	1ull

bool lock_take(struct thread_mutex *mutex, bool wait);
void lock_give(struct thread_mutex *mutex);
void posix_lock_hand_over(struct thread_mutex *mutex);	/* named in posix.c: so the linker takes these for core's */

static uint64_t *owner_of(struct thread_mutex *mutex)
{
	return (uint64_t *)&mutex->owner;
}

static bool change(struct thread_mutex *mutex, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(owner_of(mutex), &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void await(struct thread_mutex *mutex, uint64_t self)
{
	bool was = posix_enter();

	for (;;) {
		uint64_t owner = __atomic_load_n(owner_of(mutex), __ATOMIC_RELAXED);

		if (!owner && change(mutex, 0, self)) {
			mutex->depth = 1;
			break;
		}
		if (owner && (owner & WAITED || change(mutex, owner, owner | WAITED))) {
			thread_wait(&mutex->waiters, EXO_NEVER);	/* it is this thread's then */
			break;
		}
	}
	posix_leave(was);
}

bool lock_take(struct thread_mutex *mutex, bool wait)
{
	uint64_t self = (uint64_t)posix_self()->thread;

	if ((__atomic_load_n(owner_of(mutex), __ATOMIC_RELAXED) & ~WAITED) == self) {
		mutex->depth++;
		return true;
	}
	if (change(mutex, 0, self)) {
		mutex->depth = 1;
		return true;
	}
	if (wait)
		await(mutex, self);
	return wait;
}

void posix_lock_hand_over(struct thread_mutex *mutex)
{
	bool was = posix_enter();
	struct thread *next = mutex->waiters.head;

	mutex->depth = 1;
	__atomic_store_n(owner_of(mutex), next ? (uint64_t)next | (next->next ? WAITED : 0) : 0, __ATOMIC_RELEASE);
	if (next)
		thread_wake(next);
	posix_leave(was);
}

void lock_give(struct thread_mutex *mutex)
{
	uint64_t self = (uint64_t)posix_self()->thread;

	if ((__atomic_load_n(owner_of(mutex), __ATOMIC_RELAXED) & ~WAITED) != self || --mutex->depth)
		return;
	if (!change(mutex, self, 0))
		posix_lock_hand_over(mutex);
}
