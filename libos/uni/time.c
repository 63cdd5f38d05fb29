/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time for C and POSIX, from the clock page; sleeping blocks the thread, not the program.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <sys/time.h>
#include <sys/times.h>
#include "libos/core/spawn.h"
#include "libos/core/thread.h"

static void split(uint64_t ns, struct timespec *out)
{
	out->tv_sec = (time_t)(ns / CORE_SECOND);
	out->tv_nsec = (long)(ns % CORE_SECOND);
}

/* Nanoseconds of CPU time that the environment has used, if it may know; else since boot. */
static uint64_t cpu_ns(void)
{
	return info_cpu_ns();
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
		split(cpu_ns(), out);
		return 0;
	default:
		errno = EINVAL;
		return -1;
	}
}

int clock_getres(clockid_t clock, struct timespec *out)
{
	(void)clock;
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

clock_t clock(void)
{
	return (clock_t)(cpu_ns() / (CORE_SECOND / CLOCKS_PER_SEC));
}

clock_t times(struct tms *out)
{
	clock_t used = clock();

	*out = (struct tms){ .tms_utime = used };
	return used;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	if (wanted->tv_sec < 0 || wanted->tv_nsec < 0 || (uint64_t)wanted->tv_nsec >= CORE_SECOND) {
		errno = EINVAL;
		return -1;
	}
	if (left)
		*left = (struct timespec){ 0 };
	thread_sleep(core_now() + (uint64_t)wanted->tv_sec * CORE_SECOND + (uint64_t)wanted->tv_nsec);
	return 0;
}

int usleep(useconds_t us)
{
	thread_sleep(core_now() + (uint64_t)us * 1000);
	return 0;
}

unsigned sleep(unsigned seconds)
{
	thread_sleep(core_now() + (uint64_t)seconds * CORE_SECOND);
	return 0;
}

int sched_yield(void)
{
	thread_yield();
	return 0;
}
