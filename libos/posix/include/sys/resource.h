/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits and use of resources. Kept, told and enforced: RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_FSIZE, RLIMIT_CORE (0), and
 * in the process itself RLIMIT_DATA and RLIMIT_AS; the others are kept and told.
 */
#ifndef EXO_POSIX_SYS_RESOURCE_H
#define EXO_POSIX_SYS_RESOURCE_H

#include <sys/time.h>
#include <sys/types.h>

#define RUSAGE_SELF	0
#define RUSAGE_CHILDREN	(-1)

#define PRIO_PROCESS	0
#define PRIO_PGRP	1
#define PRIO_USER	2

#define RLIMIT_CPU	0
#define RLIMIT_FSIZE	1
#define RLIMIT_DATA	2
#define RLIMIT_STACK	3
#define RLIMIT_CORE	4
#define RLIMIT_RSS	5
#define RLIMIT_NPROC	6
#define RLIMIT_NOFILE	7
#define RLIMIT_MEMLOCK	8
#define RLIMIT_AS	9
#define RLIM_NLIMITS	16
#define RLIM_INFINITY	((rlim_t)-1)
#define RLIM_SAVED_MAX	RLIM_INFINITY
#define RLIM_SAVED_CUR	RLIM_INFINITY

typedef unsigned long rlim_t;
struct rlimit {
	rlim_t rlim_cur, rlim_max;
};

struct rusage {
	struct timeval ru_utime, ru_stime;
	long ru_maxrss, ru_ixrss, ru_idrss, ru_isrss, ru_minflt, ru_majflt, ru_nswap;
	long ru_inblock, ru_oublock, ru_msgsnd, ru_msgrcv, ru_nsignals, ru_nvcsw, ru_nivcsw;
};

#ifdef __cplusplus
extern "C" {
#endif
/*
 * Nice values of -20 to 19: a process with n more than the least that any process of the keeper has gets 1 / 1.25^n of its
 * share of a CPU that both want; it leaves turns to others by itself (libos/posix/turns.c). PRIO_USER means the
 * effective user. EPERM: another user's; EACCES: less than it is, without being the superuser.
 */
int getpriority(int, id_t);
int setpriority(int, id_t, int);
int getrlimit(int, struct rlimit *);
int setrlimit(int, const struct rlimit *);
int getrusage(int, struct rusage *);
#ifdef __cplusplus
}
#endif

#endif
