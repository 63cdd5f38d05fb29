/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C11 threads on core's. A thread's C side (result, thread-specific values) is a record of its own, since it
 * must outlive the stack until it is joined.
 */
#include <stdlib.h>
#include <threads.h>
#include "libos/core/thread.h"

#define KEYS_MAX	32

struct __exo_thread {
	struct thread *thread;
	thrd_start_t start;
	void *arg;
	int result;
	bool ended, detached;
	struct thread_queue joiners;
	void *value[KEYS_MAX];
};

_Static_assert(sizeof(mtx_t) >= sizeof(struct thread_mutex) + sizeof(int), "room for a mutex");
_Static_assert(sizeof(cnd_t) >= sizeof(struct thread_cond), "room for a condition");

static struct __exo_thread main_thread;
static struct {
	bool used;
	tss_dtor_t destructor;
} keys[KEYS_MAX];

static struct thread_mutex *mutex_of(mtx_t *mutex)
{
	return (struct thread_mutex *)mutex->__place;
}

static struct thread_cond *cond_of(cnd_t *cond)
{
	return (struct thread_cond *)cond->__place;
}

/* TIME_UTC to the monotonic clock. */
static exo_time_t deadline(const struct timespec *until)
{
	uint64_t wanted = (uint64_t)until->tv_sec * CORE_SECOND + (uint64_t)until->tv_nsec;
	uint64_t wall = core_wall(), now = core_now();

	if (!wall)
		return wanted;
	return wanted > wall ? now + (wanted - wall) : now;
}

/* --- threads -------------------------------------------------------------------------------------------- */

thrd_t thrd_current(void)
{
	struct __exo_thread *self = thread_current->local;

	return self ? self : &main_thread;
}

static void run_destructors(struct __exo_thread *self)
{
	bool again = true;

	for (int round = 0; again && round < TSS_DTOR_ITERATIONS; round++) {
		again = false;
		for (unsigned key = 0; key < KEYS_MAX; key++) {
			void *value = self->value[key];
			if (!value || !keys[key].destructor)
				continue;
			self->value[key] = NULL;
			keys[key].destructor(value);
			again = true;
		}
	}
}

void thrd_exit(int result)
{
	struct __exo_thread *self = thrd_current();

	run_destructors(self);
	self->result = result;
	self->ended = true;
	thread_wake_all(&self->joiners);
	if (self->detached)
		free(self);
	thread_exit();
}

static void run(void *arg)
{
	struct __exo_thread *self = arg;

	thread_current->local = self;
	thrd_exit(self->start(self->arg));
}

int thrd_create(thrd_t *out, thrd_start_t start, void *arg)
{
	struct __exo_thread *self = calloc(1, sizeof(*self));

	if (!self)
		return thrd_nomem;
	self->start = start;
	self->arg = arg;
	self->thread = thread_create("thrd", run, self);
	if (!self->thread) {
		free(self);
		return thrd_nomem;
	}
	/* Its end is told by this record; the stack goes by itself. */
	thread_detach(self->thread);
	*out = self;
	return thrd_success;
}

int thrd_detach(thrd_t thread)
{
	if (thread->detached)
		return thrd_error;
	thread->detached = true;
	if (thread->ended)
		free(thread);
	return thrd_success;
}

int thrd_join(thrd_t thread, int *result)
{
	if (thread->detached || thread == thrd_current())
		return thrd_error;
	while (!thread->ended)
		thread_wait(&thread->joiners, EXO_NEVER);
	if (result)
		*result = thread->result;
	if (thread != &main_thread)
		free(thread);
	return thrd_success;
}

int thrd_equal(thrd_t a, thrd_t b)
{
	return a == b;
}

int thrd_sleep(const struct timespec *duration, struct timespec *remaining)
{
	if (remaining)
		*remaining = (struct timespec){ 0 };
	thread_sleep(core_now() + (uint64_t)duration->tv_sec * CORE_SECOND + (uint64_t)duration->tv_nsec);
	return 0;
}

void thrd_yield(void)
{
	thread_yield();
}

/* --- mutexes and conditions ----------------------------------------------------------------------------- */

int mtx_init(mtx_t *mutex, int type)
{
	*mutex = (mtx_t){ .__kind = type };
	return thrd_success;
}

void mtx_destroy(mtx_t *mutex)
{
	(void)mutex;
}

/* A plain mutex that its holder locks again would wait for ever: that is an error instead. */
static bool held_already(mtx_t *mutex)
{
	return mutex_of(mutex)->owner == thread_current && !(mutex->__kind & mtx_recursive);
}

int mtx_lock(mtx_t *mutex)
{
	if (held_already(mutex))
		return thrd_error;
	thread_lock(mutex_of(mutex), EXO_NEVER);
	return thrd_success;
}

int mtx_timedlock(mtx_t *mutex, const struct timespec *until)
{
	if (held_already(mutex))
		return thrd_error;
	return thread_lock(mutex_of(mutex), deadline(until)) ? thrd_success : thrd_timedout;
}

int mtx_trylock(mtx_t *mutex)
{
	if (held_already(mutex))
		return thrd_busy;
	return thread_trylock(mutex_of(mutex)) ? thrd_success : thrd_busy;
}

int mtx_unlock(mtx_t *mutex)
{
	if (mutex_of(mutex)->owner != thread_current)
		return thrd_error;
	thread_unlock(mutex_of(mutex));
	return thrd_success;
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
	thread_wake_one(&cond_of(cond)->waiters);
	return thrd_success;
}

int cnd_broadcast(cnd_t *cond)
{
	thread_wake_all(&cond_of(cond)->waiters);
	return thrd_success;
}

int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	thread_cond_wait(cond_of(cond), mutex_of(mutex), EXO_NEVER);
	return thrd_success;
}

int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
	return thread_cond_wait(cond_of(cond), mutex_of(mutex), deadline(until)) ? thrd_success
										 : thrd_timedout;
}

/* --- thread-specific values ----------------------------------------------------------------------------- */

int tss_create(tss_t *key, tss_dtor_t destructor)
{
	for (unsigned i = 0; i < KEYS_MAX; i++) {
		if (keys[i].used)
			continue;
		keys[i].used = true;
		keys[i].destructor = destructor;
		*key = i;
		return thrd_success;
	}
	return thrd_error;
}

void tss_delete(tss_t key)
{
	if (key < KEYS_MAX) {
		keys[key].used = false;
		keys[key].destructor = NULL;
	}
}

void *tss_get(tss_t key)
{
	return key < KEYS_MAX ? thrd_current()->value[key] : NULL;
}

int tss_set(tss_t key, void *value)
{
	if (key >= KEYS_MAX || !keys[key].used)
		return thrd_error;
	thrd_current()->value[key] = value;
	return thrd_success;
}

void call_once(once_flag *flag, void (*function)(void))
{
	static struct thread_queue waiting;

	if (flag->__done == 0) {
		flag->__done = 1;
		function();
		flag->__done = 2;
		thread_wake_all(&waiting);
	}
	while (flag->__done == 1)
		thread_wait(&waiting, EXO_NEVER);
}
