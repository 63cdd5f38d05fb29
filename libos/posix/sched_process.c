/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process is told of slices, and on which CPUs its threads may run. Its policy is priority.c's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include "libos/posix/call.h"
#include "libos/posix/cpus.h"
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

/* In the first word of a set: a machine has no more CPUs. */
_Static_assert(1 + WIRE_CPUS <= 64, "threads go to so many CPUs");

int sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *set)
{
	uint64_t more[2];
	int64_t result = posix_ask(REQUEST_AFFINITY, (uint64_t)(int64_t)pid, 0, 0, more);

	if (!result && (!bytes || bytes % sizeof(set->__bits[0])))
		result = -EINVAL;
	if (result)
		return (int)posix_result(result);
	memset(set, 0, bytes);
	set->__bits[0] = more[0];
	return 0;
}

int sched_setaffinity(pid_t pid, size_t bytes, const cpu_set_t *set)
{
	unsigned long word = 0;

	memcpy(&word, set, bytes < sizeof(word) ? bytes : sizeof(word));
	return (int)posix_result(posix_ask(REQUEST_AFFINITY, (uint64_t)(int64_t)pid, ~word, 1, NULL));
}

int pthread_getaffinity_np(pthread_t thread, size_t bytes, cpu_set_t *set)
{
	uint64_t more[2];

	if (!posix_thread_of(thread))
		return ESRCH;
	if (!bytes || bytes % sizeof(set->__bits[0]))
		return EINVAL;
	posix_ask(REQUEST_AFFINITY, 0, 0, 0, more);
	memset(set, 0, bytes);
	set->__bits[0] = more[0] & ~thread->not_cpus;
	return 0;
}

/* One that computes where it may not any more comes home. */
int pthread_setaffinity_np(pthread_t thread, size_t bytes, const cpu_set_t *set)
{
	unsigned long word = 0;
	bool was;

	memcpy(&word, set, bytes < sizeof(word) ? bytes : sizeof(word));
	if (!posix_thread_of(thread))
		return ESRCH;
	if (!(word >> posix_page->cpu & 1))
		return EINVAL;
	was = posix_enter();
	thread->not_cpus = ~word;
	if (thread->cpu && thread->not_cpus >> posix_cpu_number(thread->cpu - 1u) & 1)
		posix_cpus_recall(thread);
	posix_leave(was);
	return 0;
}

/* Asked where the thread is: it does not come home for it. */
int sched_getcpu(void)
{
	return (int)(posix_away ? posix_cpu_number(posix_away - 1u) : posix_page->cpu);
}

int __sched_count(size_t bytes, const cpu_set_t *set)
{
	int count = 0;

	for (size_t i = 0; i < bytes / sizeof(set->__bits[0]); i++)
		count += __builtin_popcountl(set->__bits[i]);
	return count;
}
