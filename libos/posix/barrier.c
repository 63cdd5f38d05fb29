/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Barriers and spinlocks. A barrier may be destroyed by whoever has come out of it: then the others are let
 * out first. Who spins gives the CPU away each time: who has the lock may wait for the same one.
 */
#include <errno.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

int pthread_barrier_init(pthread_barrier_t *barrier, const pthread_barrierattr_t *attributes, unsigned count)
{
	if (!count)
		return EINVAL;
	*barrier = (pthread_barrier_t){ .__count = count, .__shared = attributes ? attributes->__shared : 0 };
	return 0;
}

int pthread_barrier_destroy(pthread_barrier_t *barrier)
{
	bool was = posix_enter();
	int error = __atomic_load_n(&barrier->__arrived, __ATOMIC_ACQUIRE) ? EBUSY : 0;

	posix_cancel_hold();
	while (!error && __atomic_load_n(&barrier->__inside, __ATOMIC_ACQUIRE)) {
		thread_yield();
		if (barrier->__shared)
			core_yield(EXO_CAP_NONE);
	}
	posix_cancel_release();
	posix_leave(was);
	return error;
}

int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	bool was = posix_enter();
	uint32_t turn = __atomic_load_n(&barrier->__turn, __ATOMIC_ACQUIRE);
	int result = 0;

	posix_cancel_hold();
	__atomic_add_fetch(&barrier->__inside, 1, __ATOMIC_ACQ_REL);
	if (__atomic_add_fetch(&barrier->__arrived, 1, __ATOMIC_ACQ_REL) == barrier->__count) {
		__atomic_store_n(&barrier->__arrived, 0, __ATOMIC_RELEASE);
		__atomic_add_fetch(&barrier->__turn, 1, __ATOMIC_ACQ_REL);
		posix_word_wake(&barrier->__turn, UINT32_MAX, barrier->__shared);
		result = PTHREAD_BARRIER_SERIAL_THREAD;
	}
	while (__atomic_load_n(&barrier->__turn, __ATOMIC_ACQUIRE) == turn)
		posix_word_wait(&barrier->__turn, turn, barrier->__shared, EXO_NEVER);
	__atomic_sub_fetch(&barrier->__inside, 1, __ATOMIC_ACQ_REL);
	posix_cancel_release();
	posix_leave(was);
	return result;
}

int pthread_barrierattr_init(pthread_barrierattr_t *attributes)
{
	attributes->__shared = 0;
	return 0;
}

int pthread_barrierattr_destroy(pthread_barrierattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_barrierattr_getpshared(const pthread_barrierattr_t *attributes, int *shared)
{
	*shared = (int)attributes->__shared;
	return 0;
}

int pthread_barrierattr_setpshared(pthread_barrierattr_t *attributes, int shared)
{
	if (shared != PTHREAD_PROCESS_SHARED && shared != PTHREAD_PROCESS_PRIVATE)
		return EINVAL;
	attributes->__shared = (unsigned)shared;
	return 0;
}

/* --- spinlocks ------------------------------------------------------------------------------------------ */

int pthread_spin_init(pthread_spinlock_t *lock, int shared)
{
	*lock = (pthread_spinlock_t){ .__shared = shared == PTHREAD_PROCESS_SHARED };
	return 0;
}

int pthread_spin_destroy(pthread_spinlock_t *lock)
{
	return lock->__word ? EBUSY : 0;
}

static uint32_t me(const pthread_spinlock_t *lock)
{
	return lock->__shared ? posix_shared_self() : posix_self()->number;
}

int pthread_spin_trylock(pthread_spinlock_t *lock)
{
	unsigned zero = 0;

	return __atomic_compare_exchange_n(&lock->__word, &zero, me(lock), false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED) ?
		0 : EBUSY;
}

int pthread_spin_lock(pthread_spinlock_t *lock)
{
	if (lock->__word == me(lock))
		return EDEADLK;
	while (pthread_spin_trylock(lock)) {
		bool was = posix_enter();

		thread_yield();
		if (lock->__shared)
			core_yield(EXO_CAP_NONE);
		posix_leave(was);
	}
	return 0;
}

int pthread_spin_unlock(pthread_spinlock_t *lock)
{
	__atomic_store_n(&lock->__word, 0, __ATOMIC_RELEASE);
	return 0;
}
