/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Condition variables: a turn that each signal advances, and threads that wait for it to do so, in the order
 * in which they came. Among processes a signal may wake more than one, as POSIX allows.
 */
#include <errno.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes)
{
	*cond = (pthread_cond_t){ 0 };
	if (attributes) {
		cond->__shared = attributes->__shared;
		cond->__clock = attributes->__clock;
	}
	return 0;
}

/* Those that were woken and have not got out yet may still look at it: they do so only at `__waiters`. */
int pthread_cond_destroy(pthread_cond_t *cond)
{
	bool more;

	return !cond->__shared && posix_word_first(&cond->__turn, &more) ? EBUSY : 0;
}

/* Where nobody waits, on any CPU: who waits has counted itself before it gave up the mutex. */
static int advance(pthread_cond_t *cond, uint32_t most)
{
	if (!__atomic_load_n(&cond->__waiters, __ATOMIC_SEQ_CST))
		return 0;
	bool was = posix_enter();

	if (__atomic_load_n(&cond->__waiters, __ATOMIC_ACQUIRE)) {
		__atomic_add_fetch(&cond->__turn, 1, __ATOMIC_ACQ_REL);
		posix_word_wake(&cond->__turn, most, cond->__shared);
	}
	posix_leave(was);
	return 0;
}

int pthread_cond_signal(pthread_cond_t *cond)
{
	return advance(cond, 1);
}

int pthread_cond_broadcast(pthread_cond_t *cond)
{
	return advance(cond, UINT32_MAX);
}

struct waiting {
	pthread_cond_t *cond;
	pthread_mutex_t *mutex;
	unsigned depth;
};

/* The wait has ended, by whatever: the mutex is held again, as deep as it was. */
static int end(struct waiting *waiting)
{
	int error;

	__atomic_sub_fetch(&waiting->cond->__waiters, 1, __ATOMIC_ACQ_REL);
	error = pthread_mutex_lock(waiting->mutex);
	if (waiting->depth > 1)
		waiting->mutex->__depth = waiting->depth;
	return error;
}

static void end_cancelled(void *waiting)
{
	end(waiting);
}

/* Inside brackets. 0, ETIMEDOUT, or what the mutex says. */
static int await(pthread_cond_t *cond, pthread_mutex_t *mutex, exo_time_t deadline)
{
	struct waiting waiting = { cond, mutex, mutex->__depth };
	uint32_t turn;
	int error, locked;

	posix_cancel_check();
	__atomic_add_fetch(&cond->__waiters, 1, __ATOMIC_ACQ_REL);
	turn = __atomic_load_n(&cond->__turn, __ATOMIC_ACQUIRE);
	if (waiting.depth > 1 && (mutex->__kind & 3) == PTHREAD_MUTEX_RECURSIVE)
		mutex->__depth = 1;
	error = pthread_mutex_unlock(mutex);
	if (error) {
		__atomic_sub_fetch(&cond->__waiters, 1, __ATOMIC_ACQ_REL);
		return error;
	}
	pthread_cleanup_push(end_cancelled, &waiting);
	do {		/* after a handler it goes on waiting, unless a signal of the condition came meanwhile */
		error = -posix_word_wait(&cond->__turn, turn, cond->__shared, deadline);
		if (error != 0)
			posix_cancel_check();
	} while (error == EINTR || (!error && __atomic_load_n(&cond->__turn, __ATOMIC_ACQUIRE) == turn));
	pthread_cleanup_pop(0);
	locked = end(&waiting);
	return locked ? locked : error == ETIMEDOUT ? ETIMEDOUT : 0;
}

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	bool was = posix_enter();
	int error = await(cond, mutex, EXO_NEVER);

	posix_leave(was);
	return error;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	return pthread_cond_clockwait(cond, mutex, (clockid_t)(cond->__clock ? cond->__clock : CLOCK_REALTIME), until);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
	bool was = posix_enter();
	exo_time_t deadline;
	int error = posix_deadline(clock, until, &deadline);

	if (!error)
		error = await(cond, mutex, deadline);
	posix_leave(was);
	return error;
}

int pthread_condattr_init(pthread_condattr_t *attributes)
{
	*attributes = (pthread_condattr_t){ .__clock = CLOCK_REALTIME };
	return 0;
}

int pthread_condattr_destroy(pthread_condattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_condattr_getclock(const pthread_condattr_t *attributes, clockid_t *clock)
{
	*clock = (clockid_t)attributes->__clock;
	return 0;
}

int pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock)
{
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return EINVAL;
	attributes->__clock = (unsigned)clock;
	return 0;
}

int pthread_condattr_getpshared(const pthread_condattr_t *attributes, int *shared)
{
	*shared = (int)attributes->__shared;
	return 0;
}

int pthread_condattr_setpshared(pthread_condattr_t *attributes, int shared)
{
	if (shared != PTHREAD_PROCESS_SHARED && shared != PTHREAD_PROCESS_PRIVATE)
		return EINVAL;
	attributes->__shared = (unsigned)shared;
	return 0;
}
