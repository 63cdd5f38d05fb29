/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cancellation. A cancelled thread ends at its next cancellation point; if it waits in one, it is poked out
 * of it. One that allows it anywhere ends when it is switched to, or at once if it is the one that runs.
 */
#include <errno.h>
#include "libos/posix/signals.h"
#include "libos/posix/call.h"
#include "libos/posix/thread.h"

bool posix_cancel_due(void)
{
	const struct __exo_thread *self = posix_self();

	return self->cancelled && !self->cancel_off && (!self->no_cancel || self->cancel_async) && !self->ending;
}

void posix_cancel_check(void)
{
	if (posix_cancel_due())
		pthread_exit(PTHREAD_CANCELED);
}

void pthread_testcancel(void)
{
	posix_cancel_check();
}

int pthread_cancel(pthread_t thread)
{
	bool was = posix_enter();

	posix_cancels = true;
	if (!thread || thread->state == POSIX_THREAD_FREE) {
		posix_leave(was);
		return ESRCH;
	}
	thread->cancelled = true;
	if (thread->state == POSIX_THREAD_RUNS && thread != posix_self())
		signal_poke(thread->thread);
	posix_leave(was);
	if (thread == posix_self() && thread->cancel_async)
		posix_cancel_check();
	return 0;
}

int pthread_setcancelstate(int state, int *old)
{
	struct __exo_thread *self = posix_self();

	if (state != PTHREAD_CANCEL_ENABLE && state != PTHREAD_CANCEL_DISABLE)
		return EINVAL;
	if (old)
		*old = self->cancel_off ? PTHREAD_CANCEL_DISABLE : PTHREAD_CANCEL_ENABLE;
	self->cancel_off = state == PTHREAD_CANCEL_DISABLE;
	if (self->cancel_async)
		posix_cancel_check();
	return 0;
}

int pthread_setcanceltype(int type, int *old)
{
	struct __exo_thread *self = posix_self();

	if (type != PTHREAD_CANCEL_DEFERRED && type != PTHREAD_CANCEL_ASYNCHRONOUS)
		return EINVAL;
	if (old)
		*old = self->cancel_async ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED;
	self->cancel_async = type == PTHREAD_CANCEL_ASYNCHRONOUS;
	if (self->cancel_async)
		posix_cancel_check();
	return 0;
}

void __pthread_push(struct __pthread_cleanup *pushed, void (*routine)(void *), void *arg)
{
	struct __exo_thread *self = posix_self();

	*pushed = (struct __pthread_cleanup){ routine, arg, self->cleanup };
	self->cleanup = pushed;
}

void __pthread_pop(struct __pthread_cleanup *pushed, int execute)
{
	posix_self()->cleanup = pushed->__below;
	if (execute)
		pushed->__routine(pushed->__arg);
}
