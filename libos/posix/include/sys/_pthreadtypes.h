/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types of threads and of what they wait for, as <sys/types.h> has them. An object that is all zero is
 * one with the default attributes.
 */
#ifndef EXO_POSIX_SYS_PTHREADTYPES_H
#define EXO_POSIX_SYS_PTHREADTYPES_H

typedef struct __exo_thread *pthread_t;
typedef struct {
	void *__stack;
	unsigned long __stack_bytes, __guard_bytes;
	int __detached, __explicit, __policy, __priority, __scope, __valid;
} pthread_attr_t;

typedef struct __exo_mutex {
	unsigned __word;	/* owner; waiters bit; see libos/posix/mutex.c */
	unsigned __kind, __depth, __ceiling;
	struct __exo_mutex *__below;	/* libos/posix/lift.c */
	unsigned __spare[4];
} pthread_mutex_t;
typedef struct { unsigned __kind, __ceiling; } pthread_mutexattr_t;

typedef struct { unsigned __turn, __waiters, __shared, __clock, __spare[8]; } pthread_cond_t;
typedef struct { unsigned __shared, __clock; } pthread_condattr_t;

/* Aligned so that word and waiters change at once. */
typedef struct { unsigned __word, __waiters, __writer, __shared, __spare[10]; } __attribute__((__aligned__(8)))
	pthread_rwlock_t;
typedef struct { unsigned __shared; } pthread_rwlockattr_t;

typedef struct { unsigned __count, __arrived, __turn, __shared, __inside, __spare[3]; } pthread_barrier_t;
typedef struct { unsigned __shared; } pthread_barrierattr_t;

typedef struct { unsigned __word, __shared; } pthread_spinlock_t;
typedef unsigned pthread_key_t;
typedef unsigned pthread_once_t;

#endif
