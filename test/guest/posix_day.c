/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time of the day is set: by the superuser only, for all processes of the keeper and files, not for the monotonic clock;
 * what waits until such a time goes by the new one, forward and back, in this process and another, and what waits for
 * some time does not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>
#include "test/guest/posix_keeper.h"

#define MILLISECOND	1000000ull
#define HOUR		3600

static volatile int fired;

static uint64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct timespec in(clockid_t clock, long seconds, long ms)
{
	uint64_t at = now(clock) + (uint64_t)(seconds * 1000 + ms) * MILLISECOND;

	return (struct timespec){ (time_t)(at / 1000000000), (long)(at % 1000000000) };
}

static void rest(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* The clock goes so far ahead. */
static int ahead(long seconds)
{
	struct timespec time = in(CLOCK_REALTIME, seconds, 0);

	return clock_settime(CLOCK_REALTIME, &time);
}

static bool says(int result, int error)
{
	return result == -1 && errno == error;
}

static void errors(void)
{
	struct timespec time = in(CLOCK_REALTIME, 0, 0), bad = { 5, 1000000000 }, negative = { -1, 0 }, never = { 1l << 40, 0 };
	pid_t child = fork();

	if (!child)
		_exit(setuid(1000) || !says(clock_settime(CLOCK_REALTIME, &time), EPERM) ||
		      !says(clock_settime(CLOCK_REALTIME, &bad), EINVAL));
	ok(finish(child) == 0, "who is not the superuser: EPERM");
	ok(says(clock_settime(CLOCK_MONOTONIC, &time), EINVAL) && says(clock_settime(CLOCK_PROCESS_CPUTIME_ID, &time), EINVAL) &&
	   says(clock_settime(77, &time), EINVAL), "no other clock is set: EINVAL");
	bad.tv_nsec = -1;
	ok(says(clock_settime(CLOCK_REALTIME, &bad), EINVAL) && says(clock_settime(CLOCK_REALTIME, &negative), EINVAL) &&
	   says(clock_settime(CLOCK_REALTIME, &never), EINVAL), "times that are none: EINVAL");
}

static void seen(void)
{
	struct timespec then = { 2000000000, 500000000 };
	uint64_t before = now(CLOCK_MONOTONIC);
	int pipes[2], status, fd;
	struct stat st;
	pid_t child;
	char byte;

	ok(!pipe(pipes), "a pipe");
	child = fork();
	if (!child)
		_exit(read(pipes[0], &byte, 1) != 1 || time(NULL) < 2000000000 || time(NULL) > 2000000060);
	ok(!clock_settime(CLOCK_REALTIME, &then), "set");
	ok(now(CLOCK_REALTIME) - 2000000000500000000ull < 20000 * MILLISECOND, "it is that time");
	ok(now(CLOCK_MONOTONIC) - before < 20000 * MILLISECOND, "the monotonic clock goes on");
	(void)!write(pipes[1], "x", 1);
	status = finish(child);
	ok(status == 0, "a process that was there sees it (%x)", (unsigned)status);
	child = fork();
	if (!child) {
		execl("/bin/posix_day", "posix_day", "seen", NULL);
		_exit(99);
	}
	ok(finish(child) == 0, "and a new program");
	fd = open("/tmp/day", O_CREAT | O_RDWR, 0600);
	(void)!write(fd, "x", 1);
	ok(!fstat(fd, &st) && st.st_mtime >= 2000000000 && st.st_mtime < 2000000060, "files have times of it");
	close(fd);
	unlink("/tmp/day");
	close(pipes[0]);
	close(pipes[1]);
	then.tv_sec = 1;
	ok(!clock_settime(CLOCK_REALTIME, &then) && time(NULL) >= 1 && time(NULL) < 60, "back to 1970");
	then.tv_sec = 1800000000;
	ok(!clock_settime(CLOCK_REALTIME, &then), "and on");
}

/* --- waits ---------------------------------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t *shared, own;

static int wait_sleep(struct timespec *until)
{
	return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, until, NULL) ? 0 : ETIMEDOUT;
}

static int wait_sem(struct timespec *until)
{
	return sem_timedwait(&own, until) ? errno : 0;
}

static int wait_shared(struct timespec *until)
{
	return sem_timedwait(shared, until) ? errno : 0;
}

static int wait_mutex(struct timespec *until)
{
	return pthread_mutex_timedlock(&held, until);
}

static int wait_rwlock(struct timespec *until)
{
	return pthread_rwlock_timedrdlock(&rwlock, until);
}

static int wait_cond(struct timespec *until)
{
	int error;

	pthread_mutex_lock(&mutex);
	error = pthread_cond_timedwait(&cond, &mutex, until);
	pthread_mutex_unlock(&mutex);
	return error;
}

static const struct {
	const char *name;
	int (*wait)(struct timespec *);
} waits[] = {
	{ "clock_nanosleep", wait_sleep }, { "sem_timedwait", wait_sem }, { "of a shared one", wait_shared },
	{ "pthread_mutex_timedlock", wait_mutex }, { "pthread_rwlock_timedrdlock", wait_rwlock },
	{ "pthread_cond_timedwait", wait_cond },
};

struct waiter {
	unsigned which;
	struct timespec until;
	uint64_t took;
};

static void *waiter(void *arg)
{
	struct waiter *self = arg;
	uint64_t begun = now(CLOCK_MONOTONIC);
	int error = waits[self->which].wait(&self->until);

	self->took = now(CLOCK_MONOTONIC) - begun;
	return (void *)(long)error;
}

/* A thread waits until `ms` from now, and the clock is set `seconds` ahead meanwhile: how long it takes, in ms. */
static uint64_t wait_while(unsigned which, long ms, long seconds, int *error)
{
	struct waiter self = { which, in(CLOCK_REALTIME, 0, ms), 0 };
	void *result = NULL;
	pthread_t thread;

	pthread_create(&thread, NULL, waiter, &self);
	rest(60);
	ahead(seconds);
	pthread_join(thread, &result);
	*error = (int)(long)result;
	return self.took / MILLISECOND;
}

static void threads(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sem_init(shared, 1, 0);
	sem_init(&own, 0, 0);
	pthread_mutex_lock(&held);
	pthread_rwlock_wrlock(&rwlock);
	for (unsigned i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		int forward, back;
		uint64_t early = wait_while(i, 2 * HOUR * 1000l, 3 * HOUR, &forward), late = wait_while(i, 200, -1, &back);

		ok(forward == ETIMEDOUT && early < 20000, "%s: over when the clock is set past it (%lu ms)", waits[i].name,
		   (unsigned long)early);
		ok(back == ETIMEDOUT && late >= 1150, "and later when it is set back (%lu ms)", (unsigned long)late);
	}
}

/* Processes that wait for a time of the day, for a time of the monotonic clock, and for a while. */
static void processes(void)
{
	struct timespec day = in(CLOCK_REALTIME, 2 * HOUR, 0), other = in(CLOCK_MONOTONIC, 0, 800), status;
	uint64_t begun = now(CLOCK_MONOTONIC);
	pid_t child[3];

	for (int i = 0; i < 3; i++) {
		child[i] = fork();
		if (child[i])
			continue;
		begun = now(CLOCK_MONOTONIC);
		if (i == 0)
			_exit(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &day, NULL) != 0);
		if (i == 1)
			_exit(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &other, NULL) != 0 ||
			      now(CLOCK_MONOTONIC) < (uint64_t)other.tv_sec * 1000000000 + (uint64_t)other.tv_nsec);
		status = (struct timespec){ 0, 700 * 1000000l };
		_exit(clock_nanosleep(CLOCK_REALTIME, 0, &status, NULL) != 0 ||
		      now(CLOCK_MONOTONIC) - begun < 700 * MILLISECOND);
	}
	rest(100);
	ahead(3 * HOUR);
	ok(finish(child[0]) == 0 && now(CLOCK_MONOTONIC) - begun < 20000 * MILLISECOND, "a process that sleeps until then");
	ok(finish(child[1]) == 0 && finish(child[2]) == 0, "not by another clock, nor for a while");
}

/* --- timers --------------------------------------------------------------------------------------------------- */

static void on_timer(int number)
{
	(void)number;
	fired++;
}

/* How often a timer of the time of the day has fired before and after the clock is set past it; computing, or in waits. */
static int fires(int flags, bool computes, bool by_child)
{
	struct itimerspec value = { .it_value = { 2 * HOUR, 0 } };
	uint64_t end;
	timer_t timer;
	pid_t child;
	int before;

	if (flags & TIMER_ABSTIME)
		value.it_value = in(CLOCK_REALTIME, 2 * HOUR, 0);
	fired = 0;
	timer_create(CLOCK_REALTIME, NULL, &timer);
	timer_settime(timer, flags, &value, NULL);
	rest(20);
	before = fired;
	child = by_child ? fork() : 0;
	if (!child && ahead(3 * HOUR) | by_child)
		_exit(0);
	end = now(CLOCK_MONOTONIC) + (flags & TIMER_ABSTIME ? 5000 : 200) * MILLISECOND;
	while (now(CLOCK_MONOTONIC) < end && !fired)
		if (!computes)
			rest(10);
	timer_delete(timer);
	if (child)
		finish(child);
	return before * 10 + fired;
}

static void timers(void)
{
	struct itimerspec value = { .it_value = in(CLOCK_REALTIME, 2 * HOUR, 0) }, got;
	int fd = timerfd_create(CLOCK_REALTIME, 0);
	struct pollfd poll_it = { .fd = fd, .events = POLLIN };
	uint64_t times = 0, begun;
	pid_t child;

	signal(SIGALRM, on_timer);
	for (int i = 0; i < 4; i++) {
		int times = fires(TIMER_ABSTIME, i & 1, i & 2);

		ok(times == 1, "a timer of a time of the day%s%s (%d)", i & 1 ? ", beside a computation" : "",
		   i & 2 ? ", another process sets it" : "", times);
	}
	ok(fires(0, false, false) == 0, "not one that was set to some time from now");
	value.it_value = in(CLOCK_REALTIME, 2 * HOUR, 0);
	timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL);
	begun = now(CLOCK_MONOTONIC);
	child = fork();
	if (!child) {
		rest(50);
		_exit(ahead(3 * HOUR) != 0);
	}
	ok(poll(&poll_it, 1, 20000) == 1 && read(fd, &times, sizeof(times)) == sizeof(times) && times == 1 &&
	   now(CLOCK_MONOTONIC) - begun < 19000 * MILLISECOND, "a descriptor");
	finish(child);
	value.it_value = in(CLOCK_REALTIME, HOUR, 0);
	timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL);
	ahead(-HOUR);
	ok(!timerfd_gettime(fd, &got) && got.it_value.tv_sec > 2 * HOUR - 60 && got.it_value.tv_sec <= 2 * HOUR,
	   "whose time is farther when the clock is set back (%ld s)", (long)got.it_value.tv_sec);
	poll_it.revents = 0;
	ok(!poll(&poll_it, 1, 0) && !timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &value, NULL) &&
	   !poll(&poll_it, 1, 0) && !ahead(5) && poll(&poll_it, 1, 0) == 1 && says((int)read(fd, &times, 8), ECANCELED) &&
	   !poll(&poll_it, 1, 0), "and one that is to be told of it");
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "seen"))
		return time(NULL) < 2000000000 || time(NULL) > 2000000060;
	errors();
	seen();
	threads();
	processes();
	timers();
	ok(in_order(), "the keeper is in order");
	return tap_done();
}
