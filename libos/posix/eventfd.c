/* SPDX-License-Identifier: BSD-2-Clause */
/* eventfd and timerfd: counter and time are the keeper's (libos/keep/eventfd.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "libos/posix/io.h"

#define FAR_S	(1LL << 32)		/* no time is later */

_Static_assert(EFD_SEMAPHORE == WIRE_EVENT_ONE, "the same number");

int eventfd(unsigned count, int flags)
{
	return (int)posix_result(posix_ask(REQUEST_EVENTFD, count, (unsigned)flags, 0, NULL));
}

int eventfd_read(int fd, eventfd_t *value)
{
	return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

int eventfd_write(int fd, eventfd_t value)
{
	return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}

/* --- timers --------------------------------------------------------------------------------------------------- */

static uint64_t ns_of(const struct timespec *time)
{
	return time->tv_sec > FAR_S ? (uint64_t)FAR_S * CORE_SECOND :
		(uint64_t)time->tv_sec * CORE_SECOND + (uint64_t)time->tv_nsec;
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / CORE_SECOND), (long)(ns % CORE_SECOND) };
}

static bool valid(const struct timespec *time)
{
	return time->tv_sec >= 0 && time->tv_nsec >= 0 && (uint64_t)time->tv_nsec < CORE_SECOND;
}

static void tell(struct itimerspec *to, const uint64_t more[2])
{
	to->it_value = time_of(more[0]);
	to->it_interval = time_of(more[1]);
}

int timerfd_create(clockid_t clock, int flags)
{
	int64_t result = -EINVAL;

	if (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC)
		result = posix_ask(REQUEST_TIMERFD, (unsigned)flags, clock == CLOCK_REALTIME, 0, NULL);
	return (int)posix_result(result);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	uint64_t how = WIRE_TIMER_SET | (flags & TFD_TIMER_ABSTIME ? WIRE_TIMER_UNTIL : 0) |
		(flags & TFD_TIMER_CANCEL_ON_SET ? WIRE_TIMER_CANCEL : 0), more[2];
	uint64_t ns;
	int64_t result;

	if (!value)
		return (int)posix_result(-EFAULT);
	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || !valid(&value->it_value) ||
	    !valid(&value->it_interval))
		return (int)posix_result(-EINVAL);
	ns = ns_of(&value->it_value);
	result = posix_ask(REQUEST_TIMERFD_SET, (uint32_t)fd | how << 32, ns, ns_of(&value->it_interval), more);
	if (!result && old)
		tell(old, more);
	return (int)posix_result(result);
}

int timerfd_gettime(int fd, struct itimerspec *value)
{
	uint64_t more[2];
	int64_t result = value ? posix_ask(REQUEST_TIMERFD_SET, (uint32_t)fd, 0, 0, more) : -EFAULT;

	if (!result)
		tell(value, more);
	return (int)posix_result(result);
}
