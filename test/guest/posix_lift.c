/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes that lend priorities: ceilings and inheritance, along chains, over timeouts, conditions, robust ones; what is
 * refused. What a thread is lent is seen by who runs before whom.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/tap.h"

#define FIRST	30		/* of the thread that arranges all */

static pthread_mutex_t one, two;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t arranged, go;
static volatile bool over;
static char order[32];

static void note(char what)
{
	order[strlen(order)] = what;
}

static bool came(const char *expected)
{
	bool good = !strcmp(order, expected);

	if (!good)
		printf("# came: %s, not %s\n", order, expected);
	memset(order, 0, sizeof(order));
	over = false;
	return good;
}

static int make(pthread_mutex_t *mutex, int protocol, int ceiling, int type, int robust)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, protocol);
	pthread_mutexattr_settype(&attributes, type);
	pthread_mutexattr_setrobust(&attributes, robust);
	if (ceiling)
		pthread_mutexattr_setprioceiling(&attributes, ceiling);
	return pthread_mutex_init(mutex, &attributes);
}

static pthread_t begin(int priority, void *(*work)(void *))
{
	struct sched_param parameter = { .sched_priority = priority };
	pthread_attr_t attributes;
	pthread_t thread = NULL;

	pthread_attr_init(&attributes);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
	pthread_attr_setschedparam(&attributes, &parameter);
	pthread_create(&thread, &attributes, work, NULL);
	return thread;
}

static void be(int priority)
{
	pthread_setschedparam(pthread_self(), priority ? SCHED_FIFO : SCHED_OTHER,
			      &(struct sched_param){ .sched_priority = priority });
}

static int own(void)
{
	struct sched_param parameter;
	int policy;

	pthread_getschedparam(pthread_self(), &policy, &parameter);
	return parameter.sched_priority;
}

/* --- threads ---------------------------------------------------------------------------------------------- */

static void *middle(void *arg)
{
	note('m');
	return arg;
}

static void *low(void *arg)
{
	pthread_mutex_lock(&one);
	sem_post(&arranged);
	note('l');
	pthread_mutex_unlock(&one);
	note('e');
	return arg;
}

static void *low_when_told(void *arg)
{
	pthread_mutex_lock(&one);
	sem_post(&arranged);
	sem_wait(&go);
	note('l');
	pthread_mutex_unlock(&one);
	note('e');
	return arg;
}

static void *high(void *arg)
{
	pthread_mutex_lock(&one);
	note('h');
	pthread_mutex_unlock(&one);
	return arg;
}

/* Holds the second, waits for the first. */
static void *link_of_chain(void *arg)
{
	pthread_mutex_lock(&two);
	sem_post(&arranged);
	pthread_mutex_lock(&one);
	note('c');
	pthread_mutex_unlock(&one);
	pthread_mutex_unlock(&two);
	return arg;
}

static void *end_of_chain(void *arg)
{
	pthread_mutex_lock(&two);
	note('h');
	pthread_mutex_unlock(&two);
	return arg;
}

static void *low_until_over(void *arg)
{
	pthread_mutex_lock(&one);
	sem_post(&arranged);
	while (!over)
		sched_yield();		/* to those of the priority that it is lent */
	note('e');
	pthread_mutex_unlock(&one);
	return arg;
}

static void *high_for_a_while(void *arg)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	note(pthread_mutex_timedlock(&one, &until) == ETIMEDOUT ? 't' : '?');
	over = true;
	return arg;
}

static void *dies_with_it(void *arg)
{
	pthread_mutex_lock(&one);
	return arg;
}

static void *waits_for_condition(void *arg)
{
	pthread_mutex_lock(&one);
	sem_post(&arranged);
	pthread_cond_wait(&cond, &one);
	note('w');
	pthread_mutex_unlock(&one);
	return arg;
}

/* --- cases ------------------------------------------------------------------------------------------------ */

static void refused(void)
{
	pthread_mutexattr_t attributes;
	int value = 0;

	pthread_mutexattr_init(&attributes);
	ok(pthread_mutexattr_setprotocol(&attributes, 3) == EINVAL && pthread_mutexattr_setprotocol(&attributes, -1) == EINVAL &&
	   !pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) &&
	   !pthread_mutexattr_getprotocol(&attributes, &value) && value == PTHREAD_PRIO_INHERIT, "protocols are three");
	ok(!pthread_mutexattr_getprioceiling(&attributes, &value) && value >= sched_get_priority_min(SCHED_FIFO) &&
	   value <= sched_get_priority_max(SCHED_FIFO), "there is a ceiling from the start");
	ok(pthread_mutexattr_setprioceiling(&attributes, 0) == EINVAL &&
	   pthread_mutexattr_setprioceiling(&attributes, 33) == EINVAL &&
	   !pthread_mutexattr_setprioceiling(&attributes, 7) && !pthread_mutexattr_getprioceiling(&attributes, &value) &&
	   value == 7, "it is a priority of SCHED_FIFO");
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	ok(pthread_mutex_init(&one, &attributes) == ENOTSUP, "between processes nothing is lent");
	pthread_mutexattr_destroy(&attributes);
	ok(pthread_mutexattr_setprioceiling(&attributes, 7) == EINVAL &&
	   pthread_mutexattr_getprioceiling(&attributes, &value) == EINVAL, "attributes that are destroyed");
	make(&one, PTHREAD_PRIO_NONE, 0, PTHREAD_MUTEX_NORMAL, 0);
	ok(pthread_mutex_getprioceiling(&one, &value) == EINVAL && pthread_mutex_setprioceiling(&one, 7, &value) == EINVAL,
	   "a mutex without a ceiling");
}

static void ceilings(void)
{
	struct timespec now = { 0, 0 };
	pthread_t thread;
	int old = 0;

	be(10);
	make(&one, PTHREAD_PRIO_PROTECT, 20, PTHREAD_MUTEX_NORMAL, 0);
	make(&two, PTHREAD_PRIO_PROTECT, 12, PTHREAD_MUTEX_RECURSIVE, 0);
	pthread_mutex_lock(&one);
	thread = begin(15, middle);
	note('u');
	ok(own() == 10, "what a mutex lends is not its holder's own");
	pthread_mutex_unlock(&one);
	note('d');
	pthread_join(thread, NULL);
	ok(came("umd"), "a holder is not interrupted by who is below the ceiling, and is as soon as it lets go");
	pthread_mutex_lock(&two);
	pthread_mutex_lock(&one);
	pthread_mutex_lock(&two);
	pthread_mutex_unlock(&two);
	pthread_mutex_unlock(&two);
	thread = begin(15, middle);
	note('u');
	pthread_mutex_unlock(&one);
	pthread_join(thread, NULL);
	ok(came("um"), "two mutexes, given back in the order in which they were taken");
	be(21);
	ok(pthread_mutex_lock(&one) == EINVAL && pthread_mutex_trylock(&one) == EINVAL &&
	   pthread_mutex_timedlock(&one, &now) == EINVAL, "who is above the ceiling is refused");
	ok(!pthread_mutex_setprioceiling(&one, 25, &old) && old == 20 && !pthread_mutex_getprioceiling(&one, &old) && old == 25 &&
	   pthread_mutex_setprioceiling(&one, 0, &old) == EINVAL && !pthread_mutex_lock(&one), "and not by a higher one");
	thread = begin(26, middle);
	note('u');
	pthread_mutex_setprioceiling(&one, 28, NULL);
	thread = (pthread_join(thread, NULL), begin(27, middle));
	note('v');
	pthread_mutex_unlock(&one);
	pthread_join(thread, NULL);
	ok(came("muvm"), "a ceiling that is raised under its holder");
	be(0);
}

/* Low has the mutex, high wants it, middle only computes. */
static void three(int protocol, const char *expected, const char *what)
{
	pthread_t thread[3];

	be(FIRST);
	make(&one, protocol, 0, PTHREAD_MUTEX_NORMAL, 0);
	thread[0] = begin(5, low);
	sem_wait(&arranged);
	thread[1] = begin(20, high);
	thread[2] = begin(10, middle);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ok(came(expected), "%s", what);
	be(0);
}

static void chain(void)
{
	pthread_t thread[4];

	be(FIRST);
	make(&one, PTHREAD_PRIO_INHERIT, 0, PTHREAD_MUTEX_NORMAL, 0);
	make(&two, PTHREAD_PRIO_INHERIT, 0, PTHREAD_MUTEX_ERRORCHECK, 0);
	thread[0] = begin(5, low);
	sem_wait(&arranged);
	thread[1] = begin(8, link_of_chain);
	sem_wait(&arranged);
	thread[2] = begin(20, end_of_chain);
	thread[3] = begin(10, middle);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ok(came("lchme"), "a holder who waits lends on what it is lent");
	be(0);
}

static void timeout(void)
{
	pthread_t thread[3];

	be(FIRST);
	make(&one, PTHREAD_PRIO_INHERIT, 0, PTHREAD_MUTEX_NORMAL, 0);
	thread[0] = begin(5, low_until_over);
	sem_wait(&arranged);
	thread[1] = begin(20, high_for_a_while);
	thread[2] = begin(10, middle);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ok(came("tme"), "what is lent ends with the wait");
	be(0);
}

static void raised(void)
{
	pthread_t thread[3];

	be(FIRST);
	make(&one, PTHREAD_PRIO_INHERIT, 0, PTHREAD_MUTEX_NORMAL, 0);
	thread[0] = begin(5, low_when_told);
	sem_wait(&arranged);
	thread[1] = begin(9, high);
	be(1);			/* it waits */
	be(FIRST);
	thread[2] = begin(10, middle);
	pthread_setschedprio(thread[1], 20);
	sem_post(&go);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ok(came("lhme"), "who waits is given a higher priority, and its holder with it");
	be(0);
}

static void others(void)
{
	pthread_t thread;

	be(FIRST);
	make(&one, PTHREAD_PRIO_INHERIT, 0, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
	pthread_join(begin(5, dies_with_it), NULL);
	ok(pthread_mutex_lock(&one) == EOWNERDEAD && !pthread_mutex_consistent(&one) && !pthread_mutex_unlock(&one) &&
	   !pthread_mutex_lock(&one) && !pthread_mutex_unlock(&one), "the holder of a robust one has ended");
	make(&one, PTHREAD_PRIO_PROTECT, 32, PTHREAD_MUTEX_NORMAL, 0);
	thread = begin(5, waits_for_condition);
	sem_wait(&arranged);
	be(1);
	pthread_mutex_lock(&one);
	pthread_cond_signal(&cond);
	note('s');
	pthread_mutex_unlock(&one);
	pthread_join(thread, NULL);
	ok(came("sw"), "a condition's mutex is let go and taken again");
	ok(pthread_mutex_unlock(&one) == EPERM, "only its holder gives back one that lends");
	be(0);
}

int main(void)
{
	sem_init(&arranged, 0, 0);
	sem_init(&go, 0, 0);
	refused();
	ceilings();
	three(PTHREAD_PRIO_NONE, "mlhe", "without a protocol the highest waits for one that only computes");
	three(PTHREAD_PRIO_INHERIT, "lhme", "a holder inherits the priority of who waits for it");
	chain();
	timeout();
	raised();
	others();
	return tap_done();
}
