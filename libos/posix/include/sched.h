/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduling of processes (sched_*) and, by <pthread.h>, of a process's threads among themselves. A real-time process has
 * priority 1 to 32; SCHED_FIFO and SCHED_RR are the same for processes: that of the highest priority gets what is free of the
 * CPU's slices but for every 16th, others leave it their turns. Threads run on
 * any CPU that sched_setaffinity allows; the keeper's is one of these.
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

#if __GNU_VISIBLE
#define CPU_SETSIZE	1024

typedef struct {
	unsigned long __bits[CPU_SETSIZE / 64];
} cpu_set_t;

#define CPU_ALLOC_SIZE(count)		(((size_t)(count) + 63) / 64 * 8)
#define CPU_ALLOC(count)		((cpu_set_t *)__builtin_calloc(1, CPU_ALLOC_SIZE(count)))
#define CPU_FREE(set)			__builtin_free(set)
#define __CPU_IN(cpu, bytes)		((size_t)(cpu) < 8 * (size_t)(bytes))
#define CPU_SET_S(cpu, bytes, set) \
	((void)(__CPU_IN(cpu, bytes) && ((set)->__bits[(size_t)(cpu) / 64] |= 1UL << (size_t)(cpu) % 64)))
#define CPU_CLR_S(cpu, bytes, set) \
	((void)(__CPU_IN(cpu, bytes) && ((set)->__bits[(size_t)(cpu) / 64] &= ~(1UL << (size_t)(cpu) % 64))))
#define CPU_ISSET_S(cpu, bytes, set) \
	((int)(__CPU_IN(cpu, bytes) && (set)->__bits[(size_t)(cpu) / 64] >> (size_t)(cpu) % 64 & 1))
#define CPU_ZERO_S(bytes, set)		((void)__builtin_memset(set, 0, bytes))
#define CPU_EQUAL_S(bytes, a, b)	(!__builtin_memcmp(a, b, bytes))
#define CPU_COUNT_S(bytes, set)		__sched_count(bytes, set)
#define CPU_SET(cpu, set)		CPU_SET_S(cpu, sizeof(cpu_set_t), set)
#define CPU_CLR(cpu, set)		CPU_CLR_S(cpu, sizeof(cpu_set_t), set)
#define CPU_ISSET(cpu, set)		CPU_ISSET_S(cpu, sizeof(cpu_set_t), set)
#define CPU_ZERO(set)			CPU_ZERO_S(sizeof(cpu_set_t), set)
#define CPU_EQUAL(a, b)			CPU_EQUAL_S(sizeof(cpu_set_t), a, b)
#define CPU_COUNT(set)			CPU_COUNT_S(sizeof(cpu_set_t), set)
#endif

#ifdef __cplusplus
extern "C" {
#endif
#if __GNU_VISIBLE
int sched_getcpu(void);
int __sched_count(size_t, const cpu_set_t *);
int sched_getaffinity(pid_t, size_t, cpu_set_t *);
/* Of all threads of the process; without the CPU of its keeper: EINVAL. */
int sched_setaffinity(pid_t, size_t, const cpu_set_t *);
#endif
int sched_get_priority_max(int);
int sched_get_priority_min(int);
int sched_getparam(pid_t, struct sched_param *);
int sched_getscheduler(pid_t);
int sched_setparam(pid_t, const struct sched_param *);
int sched_setscheduler(pid_t, int, const struct sched_param *);
int sched_rr_get_interval(pid_t, struct timespec *);
int sched_yield(void);
#ifdef __cplusplus
}
#endif

#endif
