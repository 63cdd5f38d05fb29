/* SPDX-License-Identifier: BSD-2-Clause */
/* Semaphores of POSIX.1-2017: of one process, in shared memory, and with names. */
#ifndef EXO_POSIX_SEMAPHORE_H
#define EXO_POSIX_SEMAPHORE_H

#include <fcntl.h>
#include <sys/types.h>
#include <time.h>

/* Aligned so that value and waiters change at once. */
typedef struct { unsigned __value, __waiters, __shared, __valid; } __attribute__((__aligned__(8))) sem_t;

#define SEM_FAILED	((sem_t *)0)

#ifdef __cplusplus
extern "C" {
#endif
int sem_init(sem_t *, int, unsigned);
int sem_destroy(sem_t *);
sem_t *sem_open(const char *, int, ...);
int sem_close(sem_t *);
int sem_unlink(const char *);
int sem_wait(sem_t *);
int sem_trywait(sem_t *);
int sem_timedwait(sem_t *__restrict, const struct timespec *__restrict);
int sem_clockwait(sem_t *__restrict, clockid_t, const struct timespec *__restrict);
int sem_post(sem_t *);
int sem_getvalue(sem_t *__restrict, int *__restrict);
#ifdef __cplusplus
}
#endif

#endif
