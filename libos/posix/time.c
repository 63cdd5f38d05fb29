/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process's times and limits. Clocks are libos/uni/clock.c; sleeping and timers are sleep.c and timer.c.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <ulimit.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include "libos/core/spawn.h"
#include "libos/posix/call.h"
#include "libos/posix/cpus.h"
#include "libos/posix/signal_private.h"
#include "libos/uni/clock.h"

#define TICKS		100		/* a second: sysconf(_SC_CLK_TCK) */
#define BLOCK		512		/* ulimit's */

uint64_t clock_cpu_ns(void)
{
	bool was = posix_enter();
	uint64_t ns;

	posix_need_info();
	ns = info_cpu_ns() + posix_cpus_ns();
	posix_leave(was);
	return ns;
}

/* Of the keeper's processes; the machine's clock is nobody's. */
int clock_settime(clockid_t clock, const struct timespec *time)
{
	bool good = clock == CLOCK_REALTIME && time->tv_sec >= 0 && (uint64_t)time->tv_sec < WIRE_DAY_END / CORE_SECOND &&
		time->tv_nsec >= 0 && (uint64_t)time->tv_nsec < CORE_SECOND;

	bool was = posix_enter();
	int64_t result = !good ? -EINVAL :
		posix_ask(REQUEST_CLOCK, (uint64_t)time->tv_sec * CORE_SECOND + (uint64_t)time->tv_nsec, 0, 0, NULL);

	if (!result) {		/* other processes see it when they have the CPU */
		signal_timers();
		signal_timers_tell();
	}
	posix_leave(was);
	return (int)posix_result(result);
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

/* Time in the keeper is on the caller's account, and in the environment's figure: nothing is "system". */
clock_t times(struct tms *out)
{
	uint64_t more[2] = { 0 };

	(void)posix_ask(REQUEST_TIMES, 0, 0, 0, more);
	*out = (struct tms){ .tms_utime = (clock_t)((clock_cpu_ns() + more[1]) / (CORE_SECOND / TICKS)),
		.tms_cutime = (clock_t)(more[0] / (CORE_SECOND / TICKS)) };
	return (clock_t)(core_now() / (CORE_SECOND / TICKS));
}

int getrusage(int who, struct rusage *use)
{
	uint64_t more[2] = { 0 }, ns;

	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN) {
		errno = EINVAL;
		return -1;
	}
	memset(use, 0, sizeof(*use));
	(void)posix_ask(REQUEST_TIMES, 0, 0, 0, more);
	ns = who == RUSAGE_SELF ? clock_cpu_ns() + more[1] : more[0];
	use->ru_utime = (struct timeval){ (time_t)(ns / CORE_SECOND), (suseconds_t)(ns % CORE_SECOND / 1000) };
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

long ulimit(int command, ...)
{
	struct rlimit limit = { 0 };
	va_list list;
	long blocks;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
		return -1;
	if (command == UL_SETFSIZE) {
		va_start(list, command);
		blocks = va_arg(list, long);
		va_end(list);
		limit.rlim_cur = limit.rlim_max = blocks < 0 || blocks > LONG_MAX / BLOCK ? RLIM_INFINITY :
			(rlim_t)blocks * BLOCK;
		if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
			return -1;
	} else if (command != UL_GETFSIZE) {
		return posix_result(-EINVAL);
	}
	return limit.rlim_cur == RLIM_INFINITY ? LONG_MAX : (long)(limit.rlim_cur / BLOCK);
}
