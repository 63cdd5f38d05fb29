/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: setitimer and its like, and those of timer_create.
 *
 * All of them stand in one table with a time on their own clock. What sleeps is woken by its own deadline
 * (signal.c: look); what computes is interrupted because the keeper wakes at the time that it has been told,
 * and the process sees at its next upcall that a timer is due. The clock of CPU time gives a guess of when
 * that will be: not before what is left has passed on the wall.
 *
 * N1 signal_timer_next is no later than the first time at which a timer can be due
 * N2 the keeper has been told a time <= signal_timer_next, or one that has passed and been told anew since
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "libos/posix/signal_private.h"

#define TIMERS		64
#define ITIMERS		3	/* the first ones: ITIMER_REAL, VIRTUAL, PROF */
#define OVERRUN_MAX	INT_MAX

enum clock { CLOCK_IS_MONOTONIC, CLOCK_IS_WALL, CLOCK_IS_CPU, CLOCK_IS_THREAD };

struct timer {
	bool used;
	enum clock clock;
	int notify, number;		/* SIGEV_*, signal */
	union sigval value;
	uint64_t due, interval;		/* ns of its clock; due 0: not set */
	int overrun;			/* beyond the first: of the signal that was queued last */
	void (*function)(union sigval);
	pthread_t thread;
	uint64_t fired;			/* SIGEV_THREAD: to be called so often more */
	struct thread_queue queue;
	bool ending;
	bool later;			/* CLOCK_IS_WALL: set to pass after some time, so `due` is monotonic */
	uint32_t clock_of;		/* CLOCK_IS_THREAD: the thread's number */
};

exo_time_t signal_timer_next = EXO_NEVER;
bool signal_slice_over, signal_slice_late;
/* when the thread that runs shall be preempted; EXO_NEVER: nobody has asked */
static exo_time_t slice_end = EXO_NEVER;

static CORE_UNWIRED_DATA struct timer timers[TIMERS] = {
	{ true, CLOCK_IS_MONOTONIC, SIGEV_SIGNAL, SIGALRM, { 0 }, 0, 0, 0, NULL, NULL, 0, { NULL, NULL }, false, false, 0 },
	{ true, CLOCK_IS_CPU, SIGEV_SIGNAL, SIGVTALRM, { 0 }, 0, 0, 0, NULL, NULL, 0, { NULL, NULL }, false, false, 0 },
	{ true, CLOCK_IS_CPU, SIGEV_SIGNAL, SIGPROF, { 0 }, 0, 0, 0, NULL, NULL, 0, { NULL, NULL }, false, false, 0 },
};
static bool timers_used;		/* since the process began, or was forked */
static exo_time_t told = EXO_NEVER;
static bool real_changed;

static int fail(int error)
{
	errno = error;
	return -1;
}

static uint64_t cpu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * CORE_SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t wall_now(void)
{
	uint64_t wall = core_wall();

	return wall ? wall : core_now();
}

static uint64_t clock_now(const struct timer *timer)
{
	enum clock clock = timer->clock;

	if (clock == CLOCK_IS_THREAD)
		return posix_clock_ns(timer->clock_of);
	return clock == CLOCK_IS_CPU ? cpu_now() : clock == CLOCK_IS_WALL && !timer->later ? wall_now() :
		core_now();
}

/* --- firing ------------------------------------------------------------------------------------------- */

static void compute_next(void)
{
	exo_time_t next = EXO_NEVER, now = core_now();

	for (unsigned i = 0; i < TIMERS; i++) {
		const struct timer *timer = &timers[i];
		if (!timer->due)
			continue;
		uint64_t there = clock_now(timer);
		exo_time_t at = timer->due <= there ? now : now + (timer->due - there);
		if (at < next)
			next = at;
	}
	signal_timer_next = next < slice_end ? next : slice_end;
}

/* A timer has one signal queued at most: until it is taken, what comes after are its overruns. */
static void notify(struct timer *timer, uint64_t times)
{
	siginfo_t info = { .si_signo = timer->number, .si_code = timer < timers + ITIMERS ? SI_KERNEL : SI_TIMER,
		.si_value = timer->value, .si_timerid = (int)(timer - timers) };
	siginfo_t *queued = timer->notify == SIGEV_SIGNAL ? signal_of_timer(info.si_timerid) : NULL;

	times += queued ? (uint64_t)queued->si_overrun : (uint64_t)-1;
	info.si_overrun = timer->overrun = times > OVERRUN_MAX ? OVERRUN_MAX : (int)times;
	if (queued) {
		queued->si_overrun = timer->overrun;
		return;
	}
	if (timer->notify == SIGEV_SIGNAL) {
		signal_post(NULL, &info);
	} else if (timer->notify == SIGEV_THREAD) {
		timer->fired++;
		thread_wake_all(&timer->queue);
	}
}

static void fire(struct timer *timer, uint64_t now)
{
	uint64_t times = 1;

	if (timer->interval) {
		times += (now - timer->due) / timer->interval;
		timer->due += times * timer->interval;
	} else {
		timer->due = 0;
	}
	notify(timer, times);
}

void signal_timers(void)
{
	if (signal_day_changed()) {
		signal_day_seen();
		signal_day_set();
	}
	for (unsigned i = 0; i < TIMERS; i++) {
		struct timer *timer = &timers[i];
		if (!timer->due)
			continue;
		uint64_t now = clock_now(timer);
		if (timer->due <= now)
			fire(timer, now);
	}
	if (slice_end <= core_now()) {
		slice_end = EXO_NEVER;
		signal_slice_over = true;
	}
	compute_next();
}

void signal_slice(uint64_t ns)
{
	signal_slice_over = false;
	if (slice_end != EXO_NEVER)
		return;
	slice_end = core_now() + ns;
	if (slice_end < signal_timer_next)
		signal_timer_next = slice_end;
	signal_timers_tell();
}

/*
 * In the scheduler, where the thread that is current may wait for something already, or have ended: it must not wait for
 * a lock, too. Who has it, and waits for an answer or has just been given it, asks then; an interruption counts as the end.
 */
void signal_slice_soon(uint64_t ns)
{
	uint64_t asked_at = posix_asked_at;	/* the thread that is current may be about to see that it was woken */

	if (posix_mutex.owner)
		signal_slice_late = true;
	else
		signal_slice(ns);
	posix_asked_at = asked_at;
}

void signal_slice_asked(void)
{
	uint64_t asked_at = posix_asked_at;	/* the caller's request is the one that it waits for */

	signal_slice_late = false;
	if (posix_thread_count() > 1)
		signal_slice(POSIX_SLICE_NS);
	posix_asked_at = asked_at;
}

void signal_slice_drop(void)
{
	if (slice_end == EXO_NEVER)
		return;
	slice_end = signal_timer_next = EXO_NEVER;
	if (timers_used)
		compute_next();
}

void signal_timers_tell(void)
{
	if (!real_changed && (signal_timer_next == told || (told < signal_timer_next && told > core_now())))
		return;
	told = signal_timer_next;
	real_changed = false;
	posix_ask(REQUEST_TIMER, told == EXO_NEVER ? 0 : told, timers[ITIMER_REAL].due, timers[ITIMER_REAL].interval,
		  NULL);
}

/* `due` 0 disarms. */
static void set(struct timer *timer, uint64_t due, uint64_t interval)
{
	bool was = posix_enter();

	timer->due = due;
	timers_used = true;
	timer->interval = interval;
	real_changed |= timer == &timers[ITIMER_REAL];
	if (due && due <= clock_now(timer))
		signal_timers();
	compute_next();
	signal_timers_tell();
	posix_leave(was);
}

static uint64_t left(const struct timer *timer)
{
	uint64_t now = clock_now(timer);

	return !timer->due ? 0 : timer->due > now ? timer->due - now : 1;
}

void signal_timers_start(void)
{
	signal_day_seen();
	if (!signal_page->timer)
		return;
	timers_used = true;
	timers[ITIMER_REAL].due = signal_page->timer;
	timers[ITIMER_REAL].interval = signal_page->timer_interval;
	compute_next();
	if (signal_timer_next != EXO_NEVER)
		signal_timers_tell();
}

void signal_timers_forked(void)
{
	for (unsigned i = 0; timers_used && i < TIMERS; i++) {
		if (timers[i].due)		/* nothing is written that need not be: pages are shared */
			timers[i].due = 0;
		if (i >= ITIMERS && timers[i].used)
			timers[i] = (struct timer){ 0 };
	}
	signal_day_seen();
	signal_timer_next = told = slice_end = EXO_NEVER;
	timers_used = real_changed = false;
}

/* --- setitimer, alarm --------------------------------------------------------------------------------- */

static bool valid_timeval(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

static uint64_t ns_of_timeval(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * CORE_SECOND + (uint64_t)tv->tv_usec * 1000;
}

static struct timeval timeval_of(uint64_t ns)
{
	uint64_t us = (ns + 999) / 1000;

	return (struct timeval){ .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };
}

int getitimer(int which, struct itimerval *value)
{
	if (which < 0 || which >= ITIMERS)
		return fail(EINVAL);
	value->it_value = timeval_of(left(&timers[which]));
	value->it_interval = timeval_of(timers[which].interval);
	return 0;
}

int setitimer(int which, const struct itimerval *restrict value, struct itimerval *restrict old)
{
	struct itimerval new;
	uint64_t ns;

	if (which < 0 || which >= ITIMERS)
		return fail(EINVAL);
	new = *value;
	if (!valid_timeval(&new.it_value) || !valid_timeval(&new.it_interval))
		return fail(EINVAL);
	if (old)
		getitimer(which, old);
	ns = ns_of_timeval(&new.it_value);
	set(&timers[which], ns ? clock_now(&timers[which]) + ns : 0, ns_of_timeval(&new.it_interval));
	return 0;
}

unsigned alarm(unsigned seconds)
{
	uint64_t before = left(&timers[ITIMER_REAL]);

	set(&timers[ITIMER_REAL], seconds ? core_now() + seconds * CORE_SECOND : 0, 0);
	return (unsigned)((before + CORE_SECOND / 2) / CORE_SECOND ? (before + CORE_SECOND / 2) / CORE_SECOND :
			  before != 0);
}

useconds_t ualarm(useconds_t us, useconds_t interval)
{
	uint64_t before = left(&timers[ITIMER_REAL]);

	set(&timers[ITIMER_REAL], us ? core_now() + us * 1000ULL : 0, interval * 1000ULL);
	return (useconds_t)(before / 1000);
}

/* --- timer_create ------------------------------------------------------------------------------------- */

static struct timer *find(timer_t id)
{
	uint64_t index = (uint64_t)id;

	return index >= ITIMERS && index < TIMERS && timers[index].used ? &timers[index] : NULL;
}

/* SIGEV_THREAD: calls the function as often as the timer fires. */
static void *call(void *arg)
{
	struct timer *timer = arg;
	bool was = posix_enter();

	while (!timer->ending) {
		if (!timer->fired) {
			if (signal_wait(&timer->queue, EXO_NEVER) == SIGNAL_CAME)
				signal_run(true);
			continue;
		}
		timer->fired--;
		posix_leave(false);
		timer->function(timer->value);
		posix_enter();
	}
	*timer = (struct timer){ 0 };
	posix_leave(was);
	return NULL;
}

static int start_thread(struct timer *timer, const struct sigevent *event)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int error;

	timer->function = event->sigev_notify_function;
	if (event->sigev_notify_attributes)
		attributes = *event->sigev_notify_attributes;
	else
		pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(&timer->thread, &attributes, call, timer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static bool known_clock(clockid_t id, enum clock *clock, uint32_t *thread)
{
	*thread = posix_clock_thread(id);
	*clock = *thread ? CLOCK_IS_THREAD : id == CLOCK_MONOTONIC ? CLOCK_IS_MONOTONIC :
		id == CLOCK_REALTIME ? CLOCK_IS_WALL : CLOCK_IS_CPU;
	return *thread || id == CLOCK_MONOTONIC || id == CLOCK_REALTIME || id == CLOCK_PROCESS_CPUTIME_ID;
}

int timer_create(clockid_t id, struct sigevent *restrict event, timer_t *restrict out)
{
	struct sigevent given = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct timer *timer = NULL;
	enum clock clock;
	uint32_t thread;
	bool was;

	if (event)
		given = *event;
	if (!known_clock(id, &clock, &thread) || given.sigev_notify < SIGEV_NONE || given.sigev_notify > SIGEV_THREAD ||
	    (given.sigev_notify == SIGEV_SIGNAL && !signal_valid(given.sigev_signo)))
		return fail(EINVAL);
	was = posix_enter();
	for (unsigned i = ITIMERS; i < TIMERS && !timer; i++)
		if (!timers[i].used)
			timer = &timers[i];
	if (timer) {
		timers_used = true;
		*timer = (struct timer){ .used = true, .clock = clock, .notify = given.sigev_notify,
			.number = given.sigev_signo, .value = given.sigev_value, .clock_of = thread };
	}
	posix_leave(was);
	if (!timer)
		return fail(EAGAIN);
	if (!event)
		timer->value.sival_int = (int)(timer - timers);
	if (given.sigev_notify == SIGEV_THREAD && start_thread(timer, &given)) {
		timer->used = false;
		return fail(EAGAIN);
	}
	*out = (timer_t)(timer - timers);
	return 0;
}

int timer_delete(timer_t id)
{
	struct timer *timer = find(id);
	bool was;

	if (!timer)
		return fail(EINVAL);
	set(timer, 0, 0);
	was = posix_enter();
	if (timer->notify == SIGEV_THREAD) {
		timer->ending = true;	/* its thread clears it */
		thread_wake_all(&timer->queue);
	} else {
		timer->used = false;
	}
	posix_leave(was);
	return 0;
}

int timer_getoverrun(timer_t id)
{
	const struct timer *timer = find(id);

	return timer ? timer->overrun : fail(EINVAL);
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / CORE_SECOND), .tv_nsec = (long)(ns % CORE_SECOND) };
}

int timer_gettime(timer_t id, struct itimerspec *value)
{
	const struct timer *timer = find(id);

	if (!timer)
		return fail(EINVAL);
	value->it_value = timespec_of(left(timer));
	value->it_interval = timespec_of(timer->interval);
	return 0;
}

static bool valid_timespec(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && (uint64_t)ts->tv_nsec < CORE_SECOND;
}

int timer_settime(timer_t id, int flags, const struct itimerspec *restrict value, struct itimerspec *restrict old)
{
	struct timer *timer = find(id);
	struct itimerspec new;
	uint64_t ns;

	if (!timer || !value)
		return fail(EINVAL);
	new = *value;
	if (!valid_timespec(&new.it_value) || !valid_timespec(&new.it_interval))
		return fail(EINVAL);
	if (old)
		timer_gettime(id, old);
	ns = (uint64_t)new.it_value.tv_sec * CORE_SECOND + (uint64_t)new.it_value.tv_nsec;
	set(timer, 0, 0);
	timer->later = !(flags & TIMER_ABSTIME);
	if (ns && !(flags & TIMER_ABSTIME))
		ns += clock_now(timer);
	set(timer, ns, (uint64_t)new.it_interval.tv_sec * CORE_SECOND + (uint64_t)new.it_interval.tv_nsec);
	return 0;
}
