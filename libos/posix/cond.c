/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Condition variables: a turn that each signal advances, and threads that wait for it to do so, in the order
 * in which they came. Among processes a signal may wake more than one, as POSIX allows. Who was woken looks at the
 * condition once more, and whoever destroys it waits for that.
 */
#include <errno.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define LEAVE_NS	1000000000	/* that destroying waits for those who were woken, at most */
#define LOOK_NS		50000		/* between two looks */

int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes)
{
	*cond = (pthread_cond_t){ 0 };
	if (attributes) {
		cond->__shared = attributes->__shared;
		cond->__clock = attributes->__clock;
	}
	return 0;
}

/* Somebody who was woken has not got out yet, and will look at the condition again. */
static bool leaves(const pthread_cond_t *cond)
{
	if (cond->__shared)
		return __atomic_load_n(&cond->__waiters, __ATOMIC_ACQUIRE) != 0;
	for (const struct signal_thread *each = signal_threads; each; each = each->next)
		if (each->of && each->of->condition == cond)
			return true;
	return false;
}

static bool blocks(const pthread_cond_t *cond)
{
	bool more;

	return !cond->__shared && posix_word_first(&cond->__turn, &more);
}

/*
 * Its memory may be used for something else at once, so those who were woken are let out first; but not for ever: who
 * was killed in the wait, or jumped out of it, never leaves.
 */
int pthread_cond_destroy(pthread_cond_t *cond)
{
	bool was = posix_enter();
	exo_time_t end = core_now() + LEAVE_NS;
	uint32_t nothing = 0;

	posix_cancel_hold();
	while (!blocks(cond) && leaves(cond) && core_now() < end)
		posix_word_wait(&nothing, 0, false, core_now() + LOOK_NS);
	int error = blocks(cond) ? EBUSY : 0;

	posix_cancel_release();
	posix_leave(was);
	return error;
}

/* Where nobody waits, on any CPU: who waits has counted itself before it gave up the mutex. */
static int advance(pthread_cond_t *cond, uint32_t most)
{
	if (!__atomic_load_n(&cond->__waiters, __ATOMIC_SEQ_CST))
		return 0;
	bool was = posix_enter();
	const bool shared = cond->__shared;

	if (__atomic_load_n(&cond->__waiters, __ATOMIC_ACQUIRE)) {
		__atomic_add_fetch(&cond->__turn, 1, __ATOMIC_ACQ_REL);
		posix_word_wake(&cond->__turn, most, shared);	/* where it was: it may be gone */
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

/* From here on it may be destroyed. */
static void leave(pthread_cond_t *cond)
{
	__atomic_sub_fetch(&cond->__waiters, 1, __ATOMIC_ACQ_REL);
	posix_self()->condition = NULL;
}

/* The wait has ended, by whatever: the mutex is held again, as deep as it was. */
static int end(struct waiting *waiting)
{
	int error;

	leave(waiting->cond);
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
	posix_self()->condition = cond;
	turn = __atomic_load_n(&cond->__turn, __ATOMIC_ACQUIRE);
	if (waiting.depth > 1 && (mutex->__kind & 3) == PTHREAD_MUTEX_RECURSIVE)
		mutex->__depth = 1;
	error = pthread_mutex_unlock(mutex);
	if (error) {
		leave(cond);
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
