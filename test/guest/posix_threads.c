/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads, and what they wait for. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/tap.h"

static struct timespec after(long ms)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_nsec += ms * 1000000;
	now.tv_sec += now.tv_nsec / 1000000000;
	now.tv_nsec %= 1000000000;
	return now;
}

/* --- making and joining ----------------------------------------------------------------------------------- */

static void *give_back(void *arg)
{
	return arg;
}

static void create_join(void)
{
	void *result = NULL;
	pthread_t thread;
	bool good = true;

	for (long i = 0; i < 5000 && good; i++)
		good = !pthread_create(&thread, NULL, give_back, (void *)i) && !pthread_join(thread, &result) &&
			result == (void *)i;
	ok(good, "5000 threads one after another, each with its result");
	ok(pthread_join(thread, NULL) == ESRCH, "a thread that was joined is none");
	ok(pthread_join(pthread_self(), NULL) == EDEADLK, "one cannot join oneself");
}

static void many(void)
{
	static pthread_t thread[300];
	unsigned made = 0, joined = 0;
	void *result;

	while (made < 300 && !pthread_create(&thread[made], NULL, give_back, (void *)(long)made))
		made++;
	for (unsigned i = 0; i < made; i++)
		joined += !pthread_join(thread[i], &result) && result == (void *)(long)i;
	ok(made == 300 && joined == 300, "300 threads at once (%u made, %u joined)", made, joined);
}

static void *deep(void *arg)
{
	char buffer[700000];

	memset(buffer, 1, sizeof(buffer));
	return buffer[(size_t)arg] ? arg : NULL;
}

static void stacks(void)
{
	static _Alignas(4096) char own[65536];
	pthread_attr_t attributes;
	pthread_t thread;
	void *result = NULL;
	size_t bytes;

	pthread_attr_init(&attributes);
	ok(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN - 1) == EINVAL, "a stack that is too small");
	ok(!pthread_attr_setstacksize(&attributes, 1 << 20) &&
	   !pthread_attr_getstacksize(&attributes, &bytes) && bytes == 1 << 20,
	   "a large stack as attribute");
	ok(!pthread_create(&thread, &attributes, deep, (void *)3) && !pthread_join(thread, &result) &&
	   result == (void *)3,
	   "a large stack holds what it should");
	pthread_attr_setstack(&attributes, own, sizeof(own));
	ok(!pthread_create(&thread, &attributes, give_back, own) && !pthread_join(thread, &result) && result == own,
	   "a stack of the program's own");
	pthread_attr_destroy(&attributes);
	ok(pthread_create(&thread, &attributes, give_back, NULL) == EINVAL, "attributes that are destroyed");
}

static sem_t ended;

static void *detached(void *arg)
{
	sem_post(&ended);
	return arg;
}

static void detach(void)
{
	pthread_t thread;

	sem_init(&ended, 0, 0);
	ok(!pthread_create(&thread, NULL, detached, NULL) && !pthread_detach(thread) && !sem_wait(&ended),
	   "detached");
	ok(pthread_detach(thread) != 0, "and not twice");
}

/* --- mutexes ---------------------------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile long counter;

static void *count(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&mutex);
		long seen = counter;
		if (i % 16 == 0)
			sched_yield();
		counter = seen + 1;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void *try_it(void *arg)
{
	return (void *)(long)pthread_mutex_trylock(arg);
}

static void mutexes(void)
{
	pthread_mutexattr_t attributes;
	pthread_t thread[4];
	pthread_mutex_t kind;
	struct timespec until;
	void *result;

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, count, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ok(counter == 8000, "four threads count under a mutex");
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&kind, &attributes);
	ok(!pthread_mutex_lock(&kind) && pthread_mutex_lock(&kind) == EDEADLK, "errorcheck: locked twice");
	pthread_create(thread, NULL, try_it, &kind);
	pthread_join(thread[0], &result);
	ok(result == (void *)EBUSY, "trylock of another's");
	ok(!pthread_mutex_unlock(&kind) && pthread_mutex_unlock(&kind) == EPERM, "errorcheck: unlocked twice");
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&kind, &attributes);
	ok(!pthread_mutex_lock(&kind) && !pthread_mutex_lock(&kind) && !pthread_mutex_unlock(&kind) &&
	   pthread_mutex_destroy(&kind) == EBUSY && !pthread_mutex_unlock(&kind) &&
		   !pthread_mutex_destroy(&kind), "recursive");
	pthread_mutex_lock(&mutex);
	until = after(20);
	ok(pthread_mutex_timedlock(&mutex, &until) == ETIMEDOUT, "timedlock of what one holds");
	until.tv_nsec = 1000000000;
	ok(pthread_mutex_timedlock(&mutex, &until) == EINVAL, "timedlock with a time that is none");
	pthread_mutex_unlock(&mutex);
}

static void *lock_and_end(void *arg)
{
	return (void *)(long)pthread_mutex_lock(arg);
}

static void robust(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutex_t lock;
	pthread_t thread;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&lock, &attributes);
	pthread_create(&thread, NULL, lock_and_end, &lock);
	pthread_join(thread, NULL);
	ok(pthread_mutex_lock(&lock) == EOWNERDEAD, "robust: the holder has ended");
	ok(!pthread_mutex_consistent(&lock) && !pthread_mutex_unlock(&lock) && !pthread_mutex_lock(&lock),
	   "made consistent");
	pthread_mutex_unlock(&lock);
	pthread_create(&thread, NULL, lock_and_end, &lock);
	pthread_join(thread, NULL);
	ok(pthread_mutex_lock(&lock) == EOWNERDEAD && !pthread_mutex_unlock(&lock) &&
	   pthread_mutex_lock(&lock) == ENOTRECOVERABLE,
	   "not made consistent");
}

/* --- conditions, locks, barriers, semaphores -------------------------------------------------------------- */

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int stage, awake;

static void *wait_stage(void *arg)
{
	pthread_mutex_lock(&mutex);
	while (!stage)
		pthread_cond_wait(&cond, &mutex);
	awake++;
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void conditions(void)
{
	pthread_t thread[5];
	struct timespec until = after(20);

	for (int i = 0; i < 5; i++)
		pthread_create(&thread[i], NULL, wait_stage, NULL);
	sched_yield();
	pthread_mutex_lock(&mutex);
	stage = 1;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < 5; i++)
		pthread_join(thread[i], NULL);
	ok(awake == 5, "broadcast wakes all");
	pthread_mutex_lock(&mutex);
	ok(pthread_cond_timedwait(&cond, &mutex, &until) == ETIMEDOUT, "timedwait");
	pthread_mutex_unlock(&mutex);
	ok(!pthread_cond_destroy(&cond), "destroyed");
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

static void *try_write(void *arg)
{
	(void)arg;
	return (void *)(long)pthread_rwlock_trywrlock(&rwlock);
}

static void *read_it(void *arg)
{
	long error = pthread_rwlock_rdlock(&rwlock);

	(void)arg;
	pthread_rwlock_unlock(&rwlock);
	return (void *)error;
}

static void rwlocks(void)
{
	struct timespec until = after(20);
	pthread_t thread;
	void *result;

	ok(!pthread_rwlock_rdlock(&rwlock) && !pthread_rwlock_rdlock(&rwlock), "two readers");
	pthread_create(&thread, NULL, try_write, NULL);
	pthread_join(thread, &result);
	ok(result == (void *)EBUSY, "and no writer");
	ok(pthread_rwlock_timedwrlock(&rwlock, &until) == ETIMEDOUT, "a writer's time passes");
	pthread_rwlock_unlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
	ok(!pthread_rwlock_wrlock(&rwlock) && pthread_rwlock_wrlock(&rwlock) == EDEADLK, "a writer");
	pthread_create(&thread, NULL, read_it, NULL);
	sched_yield();
	pthread_rwlock_unlock(&rwlock);
	pthread_join(thread, &result);
	ok(result == NULL, "a reader gets it then");
	ok(pthread_rwlock_unlock(&rwlock) == EINVAL, "unlocked once too often");
}

static pthread_barrier_t barrier;
static int serial;

static void *meet(void *arg)
{
	for (int i = 0; i < 10; i++)
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			serial++;
	return arg;
}

static void barriers(void)
{
	pthread_t thread[3];

	ok(pthread_barrier_init(&barrier, NULL, 0) == EINVAL, "a barrier of nobody");
	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, meet, NULL);
	meet(NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ok(serial == 10 && !pthread_barrier_destroy(&barrier), "ten rounds at a barrier");
}

static void semaphores(void)
{
	struct timespec until = after(20);
	sem_t sem;
	int value;

	ok(!sem_init(&sem, 0, 2) && !sem_wait(&sem) && !sem_trywait(&sem), "a semaphore");
	ok(sem_trywait(&sem) < 0 && errno == EAGAIN, "that is empty");
	ok(sem_timedwait(&sem, &until) < 0 && errno == ETIMEDOUT, "whose time passes");
	ok(!sem_post(&sem) && !sem_getvalue(&sem, &value) && value == 1, "posted");
	ok(!sem_destroy(&sem) && sem_wait(&sem) < 0 && errno == EINVAL, "destroyed");
}

static pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void *take_both(void *arg)
{
	pthread_mutex_lock(&taken);
	pthread_rwlock_wrlock(&lock);
	return arg;
}

/* Waits until a time of a clock that the call names. */
static void clocks(void)
{
	pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec begun, until, now;
	bool good = true;
	pthread_t thread;
	sem_t sem;

	sem_init(&sem, 0, 0);
	pthread_mutex_lock(&own);
	pthread_create(&thread, NULL, take_both, NULL);
	pthread_join(thread, NULL);
	for (int i = 0; i < 5; i++) {
		int error = 0;

		clock_gettime(CLOCK_MONOTONIC, &begun);
		until = begun;
		until.tv_nsec += 20000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (i == 0)
			error = pthread_mutex_clocklock(&taken, CLOCK_MONOTONIC, &until);
		else if (i == 1)
			error = pthread_cond_clockwait(&cond, &own, CLOCK_MONOTONIC, &until);
		else if (i == 2)
			error = pthread_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, &until);
		else if (i == 3)
			error = pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &until);
		else
			error = sem_clockwait(&sem, CLOCK_MONOTONIC, &until) ? errno : 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
		good &= error == ETIMEDOUT && (now.tv_sec > until.tv_sec ||
					       (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec));
	}
	ok(good, "waits until a time of a clock of their own");
	ok(pthread_mutex_clocklock(&taken, CLOCK_PROCESS_CPUTIME_ID, &until) == EINVAL &&
	   pthread_cond_clockwait(&cond, &own, CLOCK_PROCESS_CPUTIME_ID, &until) == EINVAL &&
	   pthread_rwlock_clockrdlock(&lock, CLOCK_PROCESS_CPUTIME_ID, &until) == EINVAL &&
	   pthread_rwlock_clockwrlock(&lock, 99, &until) == EINVAL && sem_clockwait(&sem, 99, &until) < 0 && errno == EINVAL,
	   "for which one cannot wait");
}

/* --- keys, once, cancellation ----------------------------------------------------------------------------- */

static pthread_key_t key;
static int destroyed, once_runs, cleaned;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void destroy(void *value)
{
	if (++destroyed < 3)
		pthread_setspecific(key, value);
}

static void *set_key(void *arg)
{
	pthread_setspecific(key, arg);
	return pthread_getspecific(key);
}

static void run_once(void)
{
	once_runs++;
}

static void keys(void)
{
	pthread_t thread;
	void *result;

	ok(!pthread_key_create(&key, destroy) && !pthread_getspecific(key), "a key");
	pthread_create(&thread, NULL, set_key, &key);
	pthread_join(thread, &result);
	ok(result == &key && destroyed == 3, "its destructor, until there is no value");
	ok(!pthread_key_delete(key) && pthread_setspecific(key, &key) == EINVAL, "deleted");
	pthread_once(&once, run_once);
	pthread_once(&once, run_once);
	ok(once_runs == 1, "once");
}

static void clean(void *arg)
{
	cleaned += *(int *)arg;
}

static void *sleeper(void *arg)
{
	int one = 1, two = 2;

	(void)arg;
	pthread_cleanup_push(clean, &one);
	pthread_cleanup_push(clean, &two);
	sleep(1000);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *never(void *arg)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	while (*(volatile int *)arg >= 0)
		*(volatile int *)arg = 1;
	return NULL;
}

static void unlock(void *arg)
{
	pthread_mutex_unlock(arg);
}

static void *cond_sleeper(void *arg)
{
	static pthread_cond_t own = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(unlock, &mutex);
	pthread_cond_wait(&own, &mutex);
	pthread_cleanup_pop(1);
	return arg;
}

static void *protected(void *arg)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	sem_wait(&ended);
	pthread_testcancel();
	cleaned = 100;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_testcancel();
	return arg;
}

static bool cancelled(void *(*start)(void *), void *arg)
{
	pthread_t thread;
	void *result = NULL;

	if (pthread_create(&thread, NULL, start, arg))
		return false;
	sched_yield();
	return !pthread_cancel(thread) && !pthread_join(thread, &result) && result == PTHREAD_CANCELED;
}

static void cancellation(void)
{
	volatile int spins = 0;
	pthread_t thread;
	void *result;

	ok(cancelled(sleeper, NULL) && cleaned == 3, "cancelled in sleep, with its cleanups");
	ok(cancelled(never, (void *)&spins), "cancelled while it computes");
	ok(cancelled(cond_sleeper, NULL) && !pthread_mutex_trylock(&mutex),
	   "cancelled in a condition, with its mutex");
	pthread_mutex_unlock(&mutex);
	sem_init(&ended, 0, 0);
	pthread_create(&thread, NULL, protected, NULL);
	sched_yield();
	pthread_cancel(thread);
	sem_post(&ended);
	pthread_join(thread, &result);
	ok(result == PTHREAD_CANCELED && cleaned == 100, "not cancelled while it does not allow it");
}

static volatile int stop_it;

static void *spin(void *arg)
{
	while (!stop_it)
		;
	return arg;
}

static void preemption(void)
{
	struct timespec moment = { 0, 30000000 };
	pthread_t thread;

	pthread_create(&thread, NULL, spin, NULL);
	nanosleep(&moment, NULL);
	stop_it = 1;
	ok(!pthread_join(thread, NULL), "a thread that computes does not keep others from running");
}

static void *wait_and_end(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void forked(void)
{
	int status = -1;
	pthread_t thread;
	pid_t pid;

	pthread_mutex_lock(&mutex);
	pthread_create(&thread, NULL, wait_and_end, NULL);
	sched_yield();
	pid = fork();
	if (!pid) {
		pthread_mutex_unlock(&mutex);
		_exit(pthread_mutex_lock(&mutex) || pthread_create(&thread, NULL, give_back, NULL) ||
		      pthread_join(thread, NULL));
	}
	pthread_mutex_unlock(&mutex);
	ok(waitpid(pid, &status, 0) == pid && status == 0 && !pthread_join(thread, NULL),
	   "a child of fork has one thread, whoever waited");
}

static int c11(void *arg)
{
	return *(int *)arg + 1;
}

static void c11_threads(void)
{
	int value = 41, result = 0;
	thrd_t thread;

	ok(thrd_create(&thread, c11, &value) == thrd_success && thrd_join(thread, &result) == thrd_success &&
	   result == 42,
	   "C11's threads are the same");
}

int main(void)
{
	create_join();
	many();
	stacks();
	detach();
	mutexes();
	robust();
	conditions();
	rwlocks();
	barriers();
	semaphores();
	clocks();
	keys();
	cancellation();
	preemption();
	forked();
	c11_threads();
	return tap_done();
}
