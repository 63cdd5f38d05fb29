/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks of C and POSIX, from the clock page and without a call; used by uni and posix.
 */
#include <errno.h>
#include <time.h>
#include <sys/time.h>
#include "libos/core/core.h"
#include "libos/uni/clock.h"

static void split(uint64_t ns, struct timespec *out)
{
	out->tv_sec = (time_t)(ns / CORE_SECOND);
	out->tv_nsec = (long)(ns % CORE_SECOND);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	uint64_t wall;

	switch (clock) {
	case CLOCK_REALTIME:
		wall = core_wall();
		split(wall ? wall : core_now(), out);
		return 0;
	case CLOCK_MONOTONIC:
		split(core_now(), out);
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		split(clock_cpu_ns(), out);
		return 0;
	default:
		if (clock_more && clock_more(clock, &wall)) {
			split(wall, out);
			return 0;
		}
		errno = EINVAL;
		return -1;
	}
}

int clock_getres(clockid_t clock, struct timespec *out)
{
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_PROCESS_CPUTIME_ID &&
	    !(clock_more && clock_more(clock, NULL))) {
		errno = EINVAL;
		return -1;
	}
	if (out)
		*out = (struct timespec){ .tv_nsec = 1 };
	return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	out->tv_sec = now.tv_sec;
	out->tv_usec = (suseconds_t)(now.tv_nsec / 1000);
	return 0;
}

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int timespec_get(struct timespec *out, int base)
{
	if (base != TIME_UTC)
		return 0;
	clock_gettime(CLOCK_REALTIME, out);
	return base;
}

clock_t clock(void)
{
	return (clock_t)(clock_cpu_ns() / (CORE_SECOND / CLOCKS_PER_SEC));
}
