/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping, until a time or a signal's handler.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include "libos/posix/signal_private.h"
#include "libos/posix/thread.h"

/* 0, or EINTR. */
static int sleep_until(exo_time_t deadline)
{
	bool was = posix_enter();
	int result = 0;

	while (core_now() < posix_due(deadline)) {
		enum signal_woken woken = signal_wait(NULL, deadline);
		if (woken == SIGNAL_TIME)
			break;
		if (woken == SIGNAL_CAME && signal_run(false)) {
			result = EINTR;
			break;
		}
	}
	posix_leave(was);
	return result;
}

static bool valid(const struct timespec *time)
{
	return time->tv_nsec >= 0 && (uint64_t)time->tv_nsec < CORE_SECOND;
}

/* An absolute time of a clock. */
static exo_time_t deadline_of(clockid_t clock, const struct timespec *until)
{
	exo_time_t deadline = EXO_NEVER;
	struct timespec now;

	if (clock != CLOCK_PROCESS_CPUTIME_ID) {
		(void)posix_deadline(clock, until, &deadline);
		return deadline;
	}
	clock_gettime(clock, &now);
	return posix_later(&(struct timespec){ until->tv_sec - now.tv_sec - (until->tv_nsec < now.tv_nsec),
		until->tv_nsec - now.tv_nsec + (until->tv_nsec < now.tv_nsec ? (long)CORE_SECOND : 0) });
}

static void give_left(exo_time_t deadline, struct timespec *left)
{
	exo_time_t now = core_now();
	uint64_t ns = deadline > now ? deadline - now : 0;

	if (left)
		*left = (struct timespec){ .tv_sec = (time_t)(ns / CORE_SECOND),
					  .tv_nsec = (long)(ns % CORE_SECOND) };
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left)
{
	exo_time_t deadline;
	int result;

	pthread_testcancel();
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_PROCESS_CPUTIME_ID)
		return EINVAL;
	if (!valid(wanted) || wanted->tv_sec < 0)
		return EINVAL;
	deadline = flags & TIMER_ABSTIME ? deadline_of(clock, wanted) : posix_later(wanted);
	result = sleep_until(deadline);
	if (result == EINTR && !(flags & TIMER_ABSTIME))
		give_left(deadline, left);
	return result;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	int error = clock_nanosleep(CLOCK_MONOTONIC, 0, wanted, left);

	if (!error)
		return 0;
	errno = error;
	return -1;
}

int usleep(useconds_t us)
{
	struct timespec wanted = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000 };

	return nanosleep(&wanted, NULL);
}

unsigned sleep(unsigned seconds)
{
	struct timespec wanted = { .tv_sec = (time_t)seconds }, left = { 0 };
	int saved = errno;

	if (!nanosleep(&wanted, &left))
		return 0;
	errno = saved;
	return (unsigned)left.tv_sec + (left.tv_nsec != 0);
}
