/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C11 threads (ISO/IEC 9899:2011, 7.26). Threads are cooperative: one runs until it waits, sleeps or yields.
 */
#ifndef EXO_LIBC_THREADS_H
#define EXO_LIBC_THREADS_H

#include <time.h>

#ifndef __cplusplus
#define thread_local _Thread_local
#endif

enum { thrd_success, thrd_nomem, thrd_timedout, thrd_busy, thrd_error };
enum { mtx_plain = 0, mtx_recursive = 1, mtx_timed = 2 };

#define TSS_DTOR_ITERATIONS	4
#define ONCE_FLAG_INIT		{ 0 }

typedef struct __exo_thread *thrd_t;
typedef struct { void *__place[4]; int __kind; } mtx_t;
typedef struct { void *__place[2]; } cnd_t;
typedef unsigned tss_t;
typedef struct { int __done; } once_flag;
typedef int (*thrd_start_t)(void *);
typedef void (*tss_dtor_t)(void *);

#ifdef __cplusplus
extern "C" {
#endif
int thrd_create(thrd_t *thread, thrd_start_t start, void *arg);
thrd_t thrd_current(void);
int thrd_detach(thrd_t thread);
int thrd_equal(thrd_t a, thrd_t b);
__attribute__((__noreturn__)) void thrd_exit(int result);
int thrd_join(thrd_t thread, int *result);
int thrd_sleep(const struct timespec *duration, struct timespec *remaining);
void thrd_yield(void);

int mtx_init(mtx_t *mutex, int type);
void mtx_destroy(mtx_t *mutex);
int mtx_lock(mtx_t *mutex);
int mtx_timedlock(mtx_t *mutex, const struct timespec *until);
int mtx_trylock(mtx_t *mutex);
int mtx_unlock(mtx_t *mutex);

int cnd_init(cnd_t *cond);
void cnd_destroy(cnd_t *cond);
int cnd_signal(cnd_t *cond);
int cnd_broadcast(cnd_t *cond);
int cnd_wait(cnd_t *cond, mtx_t *mutex);
int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until);

int tss_create(tss_t *key, tss_dtor_t destructor);
void tss_delete(tss_t key);
void *tss_get(tss_t key);
int tss_set(tss_t key, void *value);

void call_once(once_flag *flag, void (*function)(void));
#ifdef __cplusplus
}
#endif

#endif
