/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks, and the CPU time that the process has used. Sleeping and timers are sleep.c and timer.c.
 *
 * The time of day is the kernel's clock page: no process may set it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include "libos/core/spawn.h"
#include "libos/posix/call.h"

#define TICKS		100		/* a second: sysconf(_SC_CLK_TCK) */

static void split(uint64_t ns, struct timespec *out)
{
	out->tv_sec = (time_t)(ns / CORE_SECOND);
	out->tv_nsec = (long)(ns % CORE_SECOND);
}

/* Nanoseconds of CPU time that the environment has used, if it may know; else since boot. */
uint64_t posix_cpu_ns(void)
{
	posix_need_info();
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
		split(posix_cpu_ns(), out);
		return 0;
	default:
		errno = EINVAL;
		return -1;
	}
}

int clock_getres(clockid_t clock, struct timespec *out)
{
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_PROCESS_CPUTIME_ID) {
		errno = EINVAL;
		return -1;
	}
	if (out)
		*out = (struct timespec){ .tv_nsec = 1 };
	return 0;
}

/* No process may set the machine's clock. */
int clock_settime(clockid_t clock, const struct timespec *time)
{
	bool good = clock == CLOCK_REALTIME && time->tv_sec >= 0 && time->tv_nsec >= 0 &&
		(uint64_t)time->tv_nsec < CORE_SECOND;

	errno = good ? EPERM : EINVAL;
	return -1;
}

int clock_getcpuclockid(pid_t pid, clockid_t *clock)
{
	if (pid < 0 || (pid && !posix_ask(REQUEST_ALIVE, (uint64_t)pid, 0, 0, NULL)))
		return ESRCH;
	if (pid && pid != posix_page->pid)
		return EPERM;
	*clock = CLOCK_PROCESS_CPUTIME_ID;
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
	return (clock_t)(posix_cpu_ns() / (CORE_SECOND / CLOCKS_PER_SEC));
}

/* Time in the keeper is on the caller's account, and in the environment's figure: nothing is "system". */
clock_t times(struct tms *out)
{
	*out = (struct tms){ .tms_utime = (clock_t)(posix_cpu_ns() / (CORE_SECOND / TICKS)) };
	return (clock_t)(core_now() / (CORE_SECOND / TICKS));
}

int getrusage(int who, struct rusage *use)
{
	struct timespec cpu = { 0 };

	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN) {
		errno = EINVAL;
		return -1;
	}
	memset(use, 0, sizeof(*use));
	if (who == RUSAGE_SELF)
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	use->ru_utime = (struct timeval){ cpu.tv_sec, cpu.tv_nsec / 1000 };
	return 0;
}

/* --- limits --------------------------------------------------------------------------------------------- */

int getrlimit(int resource, struct rlimit *limit)
{
	uint64_t more[2];
	int64_t result = resource < 0 || resource >= RLIM_NLIMITS ? -EINVAL :
		posix_ask(REQUEST_LIMIT, (uint64_t)resource, 0, 0, more);

	if (result >= 0)
		*limit = (struct rlimit){ more[0], more[1] };
	return (int)posix_result(result);
}

int setrlimit(int resource, const struct rlimit *limit)
{
	if (resource < 0 || resource >= RLIM_NLIMITS || limit->rlim_cur > limit->rlim_max)
		return (int)posix_result(-EINVAL);
	return (int)posix_result(posix_ask(REQUEST_LIMIT, (uint64_t)resource | WIRE_LIMIT_SET, limit->rlim_cur,
					   limit->rlim_max, NULL));
}
