/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's operating system layer on libos/core's cooperative threads.
 *
 * A mailbox's memory is allocated when it is made, rounded to what lwIP asks for; posting from the poller must not
 * block, and lwIP only uses trypost there. Nothing here needs a lock: nothing switches threads but the waits.
 */
#include <stdlib.h>
#include "lwip/sys.h"
#include "lwip/err.h"
#include "libos/core/thread.h"

#define MS	(CORE_SECOND / 1000)

void sys_init(void)
{
}

u32_t sys_now(void)
{
	return (u32_t)(core_now() / MS);
}

u32_t sys_jiffies(void)
{
	return sys_now();
}

static exo_time_t deadline_after(u32_t ms)
{
	return ms ? core_now() + ms * MS : EXO_NEVER;
}

/* --- semaphores --- */

err_t sys_sem_new(sys_sem_t *sem, u8_t count)
{
	*sem = (sys_sem_t){ .sem.count = count, .valid = true };
	return ERR_OK;
}

void sys_sem_free(sys_sem_t *sem)
{
	sem->valid = false;
}

void sys_sem_signal(sys_sem_t *sem)
{
	thread_sem_give(&sem->sem);
}

u32_t sys_arch_sem_wait(sys_sem_t *sem, u32_t timeout_ms)
{
	if (sem->sem.count > 0) {
		sem->sem.count--;
		return 0;
	}
	return thread_sem_take(&sem->sem, deadline_after(timeout_ms)) ? 0 : SYS_ARCH_TIMEOUT;
}

/* --- mutexes --- */

err_t sys_mutex_new(sys_mutex_t *mutex)
{
	*mutex = (sys_mutex_t){ .valid = true };
	return ERR_OK;
}

void sys_mutex_free(sys_mutex_t *mutex)
{
	mutex->valid = false;
}

void sys_mutex_lock(sys_mutex_t *mutex)
{
	thread_lock(&mutex->mutex, EXO_NEVER);
}

void sys_mutex_unlock(sys_mutex_t *mutex)
{
	thread_unlock(&mutex->mutex);
}

/* --- mailboxes --- */

err_t sys_mbox_new(sys_mbox_t *mbox, int size)
{
	*mbox = (sys_mbox_t){ .size = size > 0 ? (uint32_t)size : 1 };
	mbox->slots = malloc(mbox->size * sizeof(void *));
	return mbox->slots ? ERR_OK : ERR_MEM;
}

void sys_mbox_free(sys_mbox_t *mbox)
{
	free(mbox->slots);
	mbox->slots = NULL;
}

static bool put(sys_mbox_t *mbox, void *message)
{
	if (mbox->count == mbox->size)
		return false;
	mbox->slots[(mbox->head + mbox->count++) % mbox->size] = message;
	thread_wake_one(&mbox->readers);
	return true;
}

static bool get(sys_mbox_t *mbox, void **message)
{
	if (!mbox->count)
		return false;
	if (message)
		*message = mbox->slots[mbox->head];
	mbox->head = (mbox->head + 1) % mbox->size;
	mbox->count--;
	thread_wake_one(&mbox->writers);
	return true;
}

err_t sys_mbox_trypost(sys_mbox_t *mbox, void *message)
{
	return put(mbox, message) ? ERR_OK : ERR_MEM;
}

err_t sys_mbox_trypost_fromisr(sys_mbox_t *mbox, void *message)
{
	return sys_mbox_trypost(mbox, message);
}

void sys_mbox_post(sys_mbox_t *mbox, void *message)
{
	while (!put(mbox, message))
		thread_wait(&mbox->writers, EXO_NEVER);
}

u32_t sys_arch_mbox_tryfetch(sys_mbox_t *mbox, void **message)
{
	if (get(mbox, message))
		return 0;
	if (message)
		*message = NULL;
	return SYS_MBOX_EMPTY;
}

u32_t sys_arch_mbox_fetch(sys_mbox_t *mbox, void **message, u32_t timeout_ms)
{
	exo_time_t deadline;

	if (get(mbox, message))
		return 0;
	deadline = deadline_after(timeout_ms);
	do {
		if (!thread_wait(&mbox->readers, deadline)) {
			if (message)
				*message = NULL;
			return SYS_ARCH_TIMEOUT;
		}
	} while (!get(mbox, message));
	return 0;
}

/* --- threads --- */

sys_thread_t sys_thread_new(const char *name, lwip_thread_fn entry, void *arg, int stack_bytes, int priority)
{
	struct thread *thread = thread_create(name, entry, arg);

	(void)stack_bytes, (void)priority;
	if (thread)
		thread_detach(thread);
	return thread;
}
