/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nice values, and policies of processes: the keeper has them (libos/keep/priority.c), and turns.c does what they say.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <unistd.h>
#include <sys/resource.h>
#include "libos/posix/call.h"
#include "libos/posix/thread.h"

#pragma weak pthread_setschedparam

_Static_assert(PRIO_PROCESS == (int)WIRE_PRIORITY_PROCESS && PRIO_PGRP == (int)WIRE_PRIORITY_GROUP &&
	       PRIO_USER == (int)WIRE_PRIORITY_USER && SCHED_OTHER == (int)WIRE_SCHED_OTHER &&
	       SCHED_FIFO == (int)WIRE_SCHED_FIFO && SCHED_RR == (int)WIRE_SCHED_RR, "the same numbers");

static int64_t priority_of(int which, id_t who)
{
	return which < 0 ? -EINVAL : posix_ask(REQUEST_PRIORITY, (unsigned)which & ~WIRE_PRIORITY_SET, who, 0, NULL);
}

static int64_t set(int which, id_t who, int nice)
{
	return which < PRIO_PROCESS || which > PRIO_USER ? -EINVAL :
		posix_ask(REQUEST_PRIORITY, (unsigned)which | WIRE_PRIORITY_SET, who, (uint64_t)(int64_t)nice, NULL);
}

int getpriority(int which, id_t who)
{
	int64_t result = which > PRIO_USER ? -EINVAL : priority_of(which, who);

	if (result < 0)
		return (int)posix_result(result);
	return (int)result - WIRE_NICE;
}

int setpriority(int which, id_t who, int nice)
{
	int64_t result = set(which, who, nice);

	return result < 0 ? (int)posix_result(result) : 0;
}

int nice(int more)
{
	int64_t result = priority_of(PRIO_PROCESS, 0);
	int most = 2 * WIRE_NICE, add = more < -most ? -most : more > most ? most : more;

	if (result >= 0)
		result = set(PRIO_PROCESS, 0, (int)result - WIRE_NICE + add);
	if (result < 0)
		return (int)posix_result(result == -EACCES ? -EPERM : result);
	return (int)result - WIRE_NICE;
}

static int64_t schedule(pid_t pid, uint64_t set, int policy, const struct sched_param *parameter, uint64_t more[2])
{
	uint64_t to = parameter ? (uint32_t)parameter->sched_priority | (uint64_t)(uint32_t)policy << 32 : 0;

	if (set && !parameter)
		return -EINVAL;
	return posix_ask(REQUEST_SCHEDULE, (uint64_t)(int64_t)pid, set, to, more);
}

int sched_getscheduler(pid_t pid)
{
	return (int)posix_result(schedule(pid, 0, 0, NULL, NULL));
}

int sched_getparam(pid_t pid, struct sched_param *parameter)
{
	uint64_t more[2];
	int64_t result = parameter ? schedule(pid, 0, 0, NULL, more) : -EINVAL;

	if (result < 0)
		return (int)posix_result(result);
	parameter->sched_priority = (int)more[0];
	return 0;
}

/*
 * The threads of the process itself are what it is. Whoever is more urgent than the caller now has the CPU at once: the
 * keeper has given him the slices.
 */
static void set_threads(pid_t pid, const struct sched_param *parameter)
{
	int policy = sched_getscheduler(0);
	bool was = posix_enter();

	for (uint32_t number = 1; number <= POSIX_THREADS_MAX && pthread_setschedparam; number++)
		if ((!pid || pid == posix_page->pid) && posix_thread(number))
			pthread_setschedparam(posix_thread(number), policy, parameter);
	core_yield(EXO_CAP_NONE);
	posix_leave(was);
}

int sched_setscheduler(pid_t pid, int policy, const struct sched_param *parameter)
{
	int64_t result = schedule(pid, 2, policy, parameter, NULL);

	if (result >= 0)
		set_threads(pid, parameter);
	return (int)posix_result(result);
}

int sched_setparam(pid_t pid, const struct sched_param *parameter)
{
	int64_t result = schedule(pid, 1, 0, parameter, NULL);

	if (result < 0)
		return (int)posix_result(result);
	set_threads(pid, parameter);
	return 0;
}
