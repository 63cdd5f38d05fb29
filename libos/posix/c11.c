/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C11 threads, which are POSIX threads here: thrd_t and pthread_t are the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include "libos/posix/thread.h"

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "room for a mutex");
_Static_assert(sizeof(cnd_t) >= 16, "room for a condition's words");
_Static_assert(sizeof(once_flag) == sizeof(pthread_once_t), "the same");

struct begin {
	thrd_start_t start;
	void *arg;
};

static pthread_mutex_t *mutex_of(mtx_t *mutex)
{
	return (pthread_mutex_t *)mutex;
}

static pthread_cond_t *cond_of(cnd_t *cond)
{
	return (pthread_cond_t *)cond;
}

static int result_of(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case ENOMEM:
		return thrd_nomem;
	case ETIMEDOUT:
		return thrd_timedout;
	case EBUSY:
		return thrd_busy;
	default:
		return thrd_error;
	}
}

static void *begin(void *arg)
{
	struct begin from = *(struct begin *)arg;

	free(arg);
	return (void *)(intptr_t)from.start(from.arg);
}

int thrd_create(thrd_t *out, thrd_start_t start, void *arg)
{
	struct begin *from = malloc(sizeof(*from));
	int error;

	if (!from)
		return thrd_nomem;
	*from = (struct begin){ start, arg };
	error = pthread_create(out, NULL, begin, from);
	if (error)
		free(from);
	return error == EAGAIN ? thrd_nomem : result_of(error);
}

void thrd_exit(int result)
{
	pthread_exit((void *)(intptr_t)result);
}

thrd_t thrd_current(void)
{
	return pthread_self();
}

int thrd_equal(thrd_t a, thrd_t b)
{
	return a == b;
}

int thrd_detach(thrd_t thread)
{
	return result_of(pthread_detach(thread));
}

int thrd_join(thrd_t thread, int *result)
{
	void *value;
	int error = pthread_join(thread, &value);

	if (!error && result)
		*result = (int)(intptr_t)value;
	return result_of(error);
}

int thrd_sleep(const struct timespec *duration, struct timespec *remaining)
{
	return nanosleep(duration, remaining) == 0 ? 0 : errno == EINTR ? -1 : -2;
}

void thrd_yield(void)
{
	sched_yield();
}

int mtx_init(mtx_t *mutex, int type)
{
	*mutex = (mtx_t){ 0 };
	mutex_of(mutex)->__kind = type & mtx_recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_ERRORCHECK;
	return thrd_success;
}

void mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy(mutex_of(mutex));
}

int mtx_lock(mtx_t *mutex)
{
	return result_of(pthread_mutex_lock(mutex_of(mutex)));
}

int mtx_timedlock(mtx_t *mutex, const struct timespec *until)
{
	return result_of(pthread_mutex_timedlock(mutex_of(mutex), until));
}

int mtx_trylock(mtx_t *mutex)
{
	return result_of(pthread_mutex_trylock(mutex_of(mutex)));
}

int mtx_unlock(mtx_t *mutex)
{
	return result_of(pthread_mutex_unlock(mutex_of(mutex)));
}

int cnd_init(cnd_t *cond)
{
	*cond = (cnd_t){ 0 };
	return thrd_success;
}

void cnd_destroy(cnd_t *cond)
{
	(void)cond;
}

int cnd_signal(cnd_t *cond)
{
	return result_of(pthread_cond_signal(cond_of(cond)));
}

int cnd_broadcast(cnd_t *cond)
{
	return result_of(pthread_cond_broadcast(cond_of(cond)));
}

int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	return result_of(pthread_cond_wait(cond_of(cond), mutex_of(mutex)));
}

int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
	return result_of(pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), until));
}

int tss_create(tss_t *key, tss_dtor_t destructor)
{
	return result_of(pthread_key_create(key, destructor));
}

void tss_delete(tss_t key)
{
	pthread_key_delete(key);
}

void *tss_get(tss_t key)
{
	return pthread_getspecific(key);
}

int tss_set(tss_t key, void *value)
{
	return result_of(pthread_setspecific(key, value));
}

void call_once(once_flag *flag, void (*function)(void))
{
	pthread_once((pthread_once_t *)flag, function);
}
