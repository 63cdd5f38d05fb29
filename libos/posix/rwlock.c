/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Read-write locks. The word counts readers, or is WRITTEN. Readers go first: a thread that reads may read
 * again whatever waits. But one with a priority waits behind writers that have the same or a higher one.
 *
 * What is free is taken and given back by one atomic operation, outside of brackets and so on any CPU. Who waits counts
 * itself before it looks at the word, and who gives it back changes word and count as one (posix_pair_change).
 */
#include <errno.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define WRITTEN		0x80000000u
#define READERS_MAX	0x7fffffffu

static uint32_t me(const pthread_rwlock_t *lock)
{
	return lock->__shared ? posix_shared_self() : posix_self()->number;
}

/* 0; EBUSY: it is held so that this is not possible now; EAGAIN: too many readers. */
static int take(pthread_rwlock_t *lock, bool write, uint32_t *word)
{
	const struct __exo_thread *self = posix_self();

	*word = __atomic_load_n(&lock->__word, __ATOMIC_RELAXED);
	if (!write && self->priority && lock->__waiters && posix_word_written(&lock->__word, self->priority))
		return EBUSY;
	for (;;) {
		if (write ? *word != 0 : *word & WRITTEN)
			return EBUSY;
		if (*word == READERS_MAX)
			return EAGAIN;
		if (__atomic_compare_exchange_n(&lock->__word, word, write ? WRITTEN : *word + 1, false,
						__ATOMIC_ACQ_REL,
		    __ATOMIC_RELAXED))
			break;
	}
	if (write)
		lock->__writer = me(lock);
	return 0;
}

/* The same for who need not wait behind others; in brackets if it has to look at who waits. */
static int take_once(pthread_rwlock_t *lock, bool write)
{
	uint32_t word;
	int error;

	if (!posix_self()->priority)
		return take(lock, write, &word);
	bool was = posix_enter();
	error = take(lock, write, &word);
	posix_leave(was);
	return error;
}

static int lock_until(pthread_rwlock_t *lock, bool write, clockid_t clock, const struct timespec *until)
{
	if (!posix_clock_waits(clock))
		return EINVAL;
	if (!take_once(lock, write))
		return 0;
	bool was = posix_enter();
	exo_time_t deadline = EXO_NEVER;
	uint32_t word;
	int error = take(lock, write, &word), why = 0;

	if (error == EBUSY && (word & WRITTEN) && lock->__writer == me(lock))
		error = EDEADLK;
	if (error == EBUSY && until && (error = posix_deadline(clock, until, &deadline)) == 0)
		error = EBUSY;
	posix_cancel_hold();
	while (error == EBUSY && why != -ETIMEDOUT) {
		__atomic_add_fetch(&lock->__waiters, 1, __ATOMIC_ACQ_REL);
		posix_self()->writes = write;
		why = posix_word_wait(&lock->__word, word, lock->__shared, deadline);
		posix_self()->writes = false;
		__atomic_sub_fetch(&lock->__waiters, 1, __ATOMIC_ACQ_REL);
		error = take(lock, write, &word);
	}
	posix_cancel_release();
	posix_leave(was);
	return error == EBUSY ? ETIMEDOUT : error;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	return lock_until(lock, false, CLOCK_REALTIME, NULL);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	return lock_until(lock, true, CLOCK_REALTIME, NULL);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *until)
{
	return lock_until(lock, false, CLOCK_REALTIME, until);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
	return lock_until(lock, true, CLOCK_REALTIME, until);
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
	return lock_until(lock, false, clock, until);
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
	return lock_until(lock, true, clock, until);
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t *lock)
{
	return take_once(lock, false);
}

int pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
	return take_once(lock, true);
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	const bool shared = lock->__shared;
	uint64_t pair = posix_pair(&lock->__word);
	uint32_t word = (uint32_t)pair;

	if (!word || (word & WRITTEN && lock->__writer != me(lock)))
		return EINVAL;
	if (word & WRITTEN)
		lock->__writer = 0;
	do
		word = (uint32_t)pair & WRITTEN ? 0 : (uint32_t)pair - 1;
	while (!posix_pair_change(&lock->__word, &pair, word));
	if (!word && pair >> 32) {	/* from here on `lock` is an address only */
		bool was = posix_enter();

		posix_word_wake(&lock->__word, UINT32_MAX, shared);
		posix_leave(was);
	}
	return 0;
}

int pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attributes)
{
	*lock = (pthread_rwlock_t){ .__shared = attributes ? attributes->__shared : 0 };
	return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t *lock)
{
	(void)lock;
	return 0;
}

int pthread_rwlockattr_init(pthread_rwlockattr_t *attributes)
{
	attributes->__shared = 0;
	return 0;
}

int pthread_rwlockattr_destroy(pthread_rwlockattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_rwlockattr_getpshared(const pthread_rwlockattr_t *attributes, int *shared)
{
	*shared = (int)attributes->__shared;
	return 0;
}

int pthread_rwlockattr_setpshared(pthread_rwlockattr_t *attributes, int shared)
{
	if (shared != PTHREAD_PROCESS_SHARED && shared != PTHREAD_PROCESS_PRIVATE)
		return EINVAL;
	attributes->__shared = (unsigned)shared;
	return 0;
}
