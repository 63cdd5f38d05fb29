/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping, until a time or a signal's handler.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include "libos/posix/signal_private.h"

/* 0, or EINTR. */
static int sleep_until(exo_time_t deadline)
{
	bool was = posix_enter();
	int result = 0;

	while (core_now() < deadline) {
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

static exo_time_t after(const struct timespec *time)
{
	uint64_t seconds = time->tv_sec < 0 ? 0 : (uint64_t)time->tv_sec;

	if (seconds > EXO_NEVER / CORE_SECOND / 4)
		seconds = EXO_NEVER / CORE_SECOND / 4;
	return seconds * CORE_SECOND + (uint64_t)time->tv_nsec;
}

/* An absolute time of a clock, on the monotonic one. */
static exo_time_t monotonic(clockid_t clock, uint64_t at)
{
	struct timespec now;
	uint64_t there;

	if (clock == CLOCK_MONOTONIC)
		return at;
	clock_gettime(clock, &now);
	there = (uint64_t)now.tv_sec * CORE_SECOND + (uint64_t)now.tv_nsec;
	return core_now() + (at > there ? at - there : 0);
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
	deadline = flags & TIMER_ABSTIME ? monotonic(clock, after(wanted)) : core_now() + after(wanted);
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
