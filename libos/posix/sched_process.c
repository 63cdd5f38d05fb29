/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process is told of slices, and on which CPUs its threads may run. Its policy is priority.c's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include "libos/posix/call.h"
#include "libos/posix/thread.h"

/* Is there such a process? 0, -EINVAL, -ESRCH. */
static int64_t find(pid_t pid)
{
	uint64_t more[2];
	int64_t result;

	if (pid < 0)
		return -EINVAL;
	result = pid ? posix_ask(REQUEST_GETPGID, (uint64_t)pid, 0, 0, more) : 0;
	return result < 0 ? result : 0;
}

/* After so long one of several threads that compute is preempted. */
int sched_rr_get_interval(pid_t pid, struct timespec *interval)
{
	int64_t result = find(pid);

	if (!result)
		*interval = (struct timespec){ .tv_nsec = POSIX_SLICE_NS };
	return (int)posix_result(result);
}

/* Threads go where there is a CPU: the home's, or one of REQUEST_CPUS. */
int sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *set)
{
	uint32_t cpus = core_info->cpus < 1 + WIRE_CPUS ? core_info->cpus : 1 + WIRE_CPUS;
	int64_t result = find(pid);

	if (!result && (bytes % sizeof(set->__bits[0]) || bytes * 8 < cpus))
		result = -EINVAL;
	if (result)
		return (int)posix_result(result);
	memset(set, 0, bytes);
	for (uint32_t cpu = 0; cpu < cpus; cpu++)
		CPU_SET_S(cpu, bytes, set);
	return 0;
}

int __sched_count(size_t bytes, const cpu_set_t *set)
{
	int count = 0;

	for (size_t i = 0; i < bytes / sizeof(set->__bits[0]); i++)
		count += __builtin_popcountl(set->__bits[i]);
	return count;
}
