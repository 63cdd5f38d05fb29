/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attributes of threads, their names, and what there is of scheduling: threads of a process share its slices
 * in turn; one with SCHED_FIFO is not preempted by the others.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

int pthread_attr_init(pthread_attr_t *attributes)
{
	*attributes = (pthread_attr_t){ .__stack_bytes = POSIX_STACK_BYTES - EXO_PAGE_SIZE,
		.__guard_bytes = EXO_PAGE_SIZE, .__valid = 1 };
	return 0;
}

int pthread_attr_destroy(pthread_attr_t *attributes)
{
	attributes->__valid = 0;
	return 0;
}

int pthread_attr_getdetachstate(const pthread_attr_t *attributes, int *state)
{
	*state = attributes->__detached;
	return 0;
}

int pthread_attr_setdetachstate(pthread_attr_t *attributes, int state)
{
	if (state != PTHREAD_CREATE_JOINABLE && state != PTHREAD_CREATE_DETACHED)
		return EINVAL;
	attributes->__detached = state;
	return 0;
}

int pthread_attr_getguardsize(const pthread_attr_t *attributes, size_t *bytes)
{
	*bytes = attributes->__guard_bytes;
	return 0;
}

int pthread_attr_setguardsize(pthread_attr_t *attributes, size_t bytes)
{
	if (bytes > 1UL << 40)
		return EINVAL;
	attributes->__guard_bytes = bytes;
	return 0;
}

int pthread_attr_getstack(const pthread_attr_t *attributes, void **stack, size_t *bytes)
{
	*stack = attributes->__stack;
	*bytes = attributes->__stack_bytes;
	return 0;
}

int pthread_attr_setstack(pthread_attr_t *attributes, void *stack, size_t bytes)
{
	if (bytes < POSIX_STACK_MIN || (uint64_t)stack % 16 || !stack)
		return EINVAL;
	attributes->__stack = stack;
	attributes->__stack_bytes = bytes;
	return 0;
}

int pthread_attr_getstacksize(const pthread_attr_t *attributes, size_t *bytes)
{
	*bytes = attributes->__stack_bytes;
	return 0;
}

int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t bytes)
{
	if (bytes < POSIX_STACK_MIN || bytes > 1UL << 40)
		return EINVAL;
	attributes->__stack_bytes = bytes;
	return 0;
}

int pthread_attr_getinheritsched(const pthread_attr_t *attributes, int *inherit)
{
	*inherit = attributes->__explicit;
	return 0;
}

int pthread_attr_setinheritsched(pthread_attr_t *attributes, int inherit)
{
	if (inherit != PTHREAD_INHERIT_SCHED && inherit != PTHREAD_EXPLICIT_SCHED)
		return EINVAL;
	attributes->__explicit = inherit;
	return 0;
}

int pthread_attr_getscope(const pthread_attr_t *attributes, int *scope)
{
	*scope = attributes->__scope;
	return 0;
}

int pthread_attr_setscope(pthread_attr_t *attributes, int scope)
{
	(void)attributes;
	if (scope == PTHREAD_SCOPE_SYSTEM)
		return ENOTSUP;
	return scope == PTHREAD_SCOPE_PROCESS ? 0 : EINVAL;
}

/* --- names ---------------------------------------------------------------------------------------------- */

int pthread_setname_np(pthread_t thread, const char *name)
{
	if (strlen(name) >= POSIX_NAME)
		return ERANGE;
	strcpy(thread->name, name);
	return 0;
}

int pthread_getname_np(pthread_t thread, char *name, size_t bytes)
{
	if (strlen(thread->name) >= bytes)
		return ERANGE;
	strcpy(name, thread->name);
	return 0;
}

int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	const struct vm_region *region = vm_find(here);

	*attributes = thread->attributes;
	attributes->__valid = 1;
	attributes->__detached = thread->detached;
	if (!attributes->__stack && thread == posix_self() && region) {
		uint64_t top = region->start + ((here - region->start) / region->slot_bytes + 1) * region->slot_bytes;

		if (!attributes->__stack_bytes) {	/* the first thread */
			attributes->__stack_bytes = region->slot_bytes - EXO_PAGE_SIZE;
			attributes->__guard_bytes = EXO_PAGE_SIZE;
		}
		attributes->__stack = (void *)(top - attributes->__stack_bytes);
	}
	return 0;
}

/* --- scheduling ----------------------------------------------------------------------------------------- */

static int concurrency;

int pthread_getconcurrency(void)
{
	return concurrency;
}

/* A hint, which changes nothing where there is one CPU. */
int pthread_setconcurrency(int level)
{
	if (level < 0)
		return EINVAL;
	concurrency = level;
	return 0;
}

int pthread_yield(void)
{
	return sched_yield();
}

/* To another thread; or, if there is none that wants it, to another process. */
int sched_yield(void)
{
	bool was = posix_enter(), alone = !thread_others_ready();

	thread_yield();
	if (alone)
		core_yield(EXO_CAP_NONE);
	posix_leave(was);
	return 0;
}
