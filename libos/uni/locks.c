/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The locks that picolibc asks for (sys/lock.h): stdio, malloc and the like may block while they hold one.
 */
#include <stdlib.h>
#include <sys/lock.h>
#include "libos/core/thread.h"

struct __lock {
	struct thread_mutex mutex;
};

struct __lock __lock___libc_recursive_mutex;

void __retarget_lock_init(_LOCK_T *lock)
{
	*lock = calloc(1, sizeof(**lock));
}

void __retarget_lock_init_recursive(_LOCK_T *lock)
{
	__retarget_lock_init(lock);
}

void __retarget_lock_close(_LOCK_T lock)
{
	free(lock);
}

void __retarget_lock_close_recursive(_LOCK_T lock)
{
	free(lock);
}

void __retarget_lock_acquire(_LOCK_T lock)
{
	if (lock)
		thread_lock(&lock->mutex, EXO_NEVER);
}

void __retarget_lock_acquire_recursive(_LOCK_T lock)
{
	__retarget_lock_acquire(lock);
}

void __retarget_lock_release(_LOCK_T lock)
{
	if (lock)
		thread_unlock(&lock->mutex);
}

void __retarget_lock_release_recursive(_LOCK_T lock)
{
	__retarget_lock_release(lock);
}
