/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduling of a process's threads among themselves. Processes share the machine's slices, which have no
 * priorities: there is no sched_setscheduler.
 */
#ifndef EXO_POSIX_SCHED_H
#define EXO_POSIX_SCHED_H

#include <sys/types.h>
#include <time.h>

#define SCHED_OTHER	0
#define SCHED_FIFO	1
#define SCHED_RR	2

struct sched_param {
	int sched_priority;
};

#ifdef __cplusplus
extern "C" {
#endif
int sched_get_priority_max(int);
int sched_get_priority_min(int);
int sched_yield(void);
#ifdef __cplusplus
}
#endif

#endif
