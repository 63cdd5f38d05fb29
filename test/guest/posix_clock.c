/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU-time clocks of threads: who computes has used it, who waits has not, on either CPU; they add up to the process's, never
 * run back, and timers go by them.
 * Run with: --smp 2
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/posix_keeper.h"

#define MILLISECOND	1000000ull
#define THREADS		3

static volatile bool over;
static volatile int fired;

static uint64_t now(clockid_t clock)
{
	struct timespec time = { 0, 0 };

	if (clock_gettime(clock, &time))
		return UINT64_MAX;
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void rest(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* Computes until its own clock has gone on so far; false: it ran back. */
static bool compute(uint64_t ns)
{
	uint64_t begin = now(CLOCK_THREAD_CPUTIME_ID), last = begin, time = begin;

	while (time - begin < ns) {
		for (volatile int i = 0; i < 1000; i++)
			;
		time = now(CLOCK_THREAD_CPUTIME_ID);
		if (time < last)
			return false;
		last = time;
	}
	return true;
}

static void alone(void)
{
	struct timespec resolution;
	uint64_t process, thread;
	clockid_t clock;

	ok(compute(20 * MILLISECOND), "one thread computes");
	thread = now(CLOCK_THREAD_CPUTIME_ID);
	process = now(CLOCK_PROCESS_CPUTIME_ID);
	ok(process >= thread && process - thread < 5 * MILLISECOND, "its time is the process's");
	ok(!pthread_getcpuclockid(pthread_self(), &clock) && now(clock) >= thread && !clock_getres(clock, &resolution) &&
	   resolution.tv_nsec == 1 && !clock_getres(CLOCK_THREAD_CPUTIME_ID, NULL), "its clock has a name");
	rest(50);
	ok(now(clock) - thread < 20 * MILLISECOND, "a sleep costs nothing");
	ok(clock_gettime(clock + 500, &resolution) == -1 && errno == EINVAL && clock_getres(clock + 500, NULL) == -1 &&
	   errno == EINVAL && clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &resolution, NULL) == EINVAL, "EINVAL");
}

static void *computes(void *arg)
{
	*(uint64_t *)arg = now(CLOCK_THREAD_CPUTIME_ID);
	return (void *)(uintptr_t)compute(60 * MILLISECOND);
}

static void *waits(void *arg)
{
	while (!over)
		rest(5);
	*(uint64_t *)arg = now(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static void several(void)
{
	uint64_t begin = now(CLOCK_PROCESS_CPUTIME_ID), began[THREADS], slept = 0, main_before = now(CLOCK_THREAD_CPUTIME_ID);
	pthread_t thread[THREADS], sleeper;
	clockid_t clock, other = 0;
	bool good = true;
	void *result;

	pthread_create(&sleeper, NULL, waits, &slept);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, computes, &began[i]);
	rest(20);
	ok(!pthread_getcpuclockid(thread[0], &clock) && !pthread_getcpuclockid(sleeper, &other) && clock != other &&
	   now(clock) > MILLISECOND, "another's clock goes");
	for (int i = 0; i < THREADS; i++)
		good = !pthread_join(thread[i], &result) && result && began[i] < 20 * MILLISECOND && good;
	ok(good, "three that compute, each from the beginning and never back");
	ok(now(clock) == UINT64_MAX && errno == EINVAL, "the clock of one that has ended: EINVAL");
	over = true;
	pthread_join(sleeper, NULL);
	ok(slept < 40 * MILLISECOND, "who waits has used little (%lu us)", (unsigned long)(slept / 1000));
	begin = now(CLOCK_PROCESS_CPUTIME_ID) - begin;
	ok(begin >= 150 * MILLISECOND, "the process has used it all (%lu ms)", (unsigned long)(begin / MILLISECOND));
	ok(now(CLOCK_THREAD_CPUTIME_ID) - main_before < 60 * MILLISECOND, "its first thread has not");
	ok(pthread_getcpuclockid(sleeper, &clock) == ESRCH, "ESRCH");
}

static void *spins(void *arg)
{
	while (!over)
		;
	return arg;
}

/* Asked for the first time when it has long computed. */
static void afterwards(void)
{
	pid_t child = fork();

	if (!child) {
		pthread_t thread;
		clockid_t clock;
		uint64_t time;

		over = false;
		pthread_create(&thread, NULL, spins, NULL);
		rest(100);
		pthread_getcpuclockid(thread, &clock);
		time = now(clock);
		over = true;
		_exit(time < 40 * MILLISECOND || now(CLOCK_THREAD_CPUTIME_ID) > 50 * MILLISECOND);
	}
	ok(finish(child) == 0, "asked afterwards, and in a child");
}

static void fire(int number)
{
	fired += number == SIGUSR1;
}

static void timers(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec time = { { 0, 0 }, { 0, 20000000 } };
	uint64_t begin = now(CLOCK_THREAD_CPUTIME_ID);
	timer_t timer;

	signal(SIGUSR1, fire);
	ok(!timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) && !timer_settime(timer, 0, &time, NULL), "a timer");
	rest(60);
	ok(!fired, "does not go while its thread sleeps");
	while (!fired)
		compute(MILLISECOND);
	begin = now(CLOCK_THREAD_CPUTIME_ID) - begin;
	ok(begin >= 20 * MILLISECOND && !timer_gettime(timer, &time) && !time.it_value.tv_nsec && !timer_delete(timer),
	   "and fires when it has computed (%lu ms)", (unsigned long)(begin / MILLISECOND));
	ok(timer_create(CLOCK_THREAD_CPUTIME_ID + 0x40000, &event, &timer) == -1 && errno == EINVAL, "of no clock: EINVAL");
}

int main(void)
{
	alone();
	several();
	afterwards();
	timers();
	return tap_done();
}
