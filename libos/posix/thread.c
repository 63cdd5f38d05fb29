/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making, ending and joining threads. See thread.h.
 *
 * A thread whose stack is of the usual size uses core's stacks, which are kept ready; another size gets a
 * region of its own, which stays with its record. A stack that the program supplies is used as it is.
 *
 * P1 a record with a number that is not in `free_records` runs, or has ended and will be joined
 * P2 the process ends with status 0 when its last thread does
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/posix/cpus.h"
#include "libos/posix/memory.h"
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define READY	EXO_PAGE_SIZE		/* of a stack that is there from the start: core puts its own on top */

const uint64_t thread_main_bytes = 8 << 20;
static CORE_UNWIRED struct posix_area first_area;
struct __exo_thread posix_first_thread = { .number = 1, .state = POSIX_THREAD_RUNS, .name = "main",
	.area = &first_area };
static CORE_UNWIRED_DATA struct __exo_thread *records[POSIX_THREADS_MAX] = { &posix_first_thread };
static uint32_t made = 1;
uint32_t posix_running = 1;
static struct __exo_thread *free_records;

struct __exo_thread *posix_thread(uint32_t number)
{
	struct __exo_thread *thread = number - 1 < made ? records[number - 1] : NULL;

	return thread && thread->state == POSIX_THREAD_RUNS ? thread : NULL;
}

struct thread *posix_thread_of(pthread_t thread)
{
	return thread && thread->state == POSIX_THREAD_RUNS ? thread->thread : NULL;
}

void posix_threads_start(void)
{
	thread_stack_bytes(POSIX_STACK_BYTES);
	posix_first_thread.thread = thread_current;
	thread_current->local = &posix_first_thread;
}

static struct __exo_thread *record_take(void)
{
	struct __exo_thread *thread = free_records;

	if (thread) {
		free_records = thread->next_free;
		return thread;
	}
	if (made == POSIX_THREADS_MAX || !(thread = calloc(1, sizeof(*thread) + sizeof(struct posix_area))))
		return NULL;
	thread->area = (struct posix_area *)(thread + 1);
	records[made] = thread;
	thread->number = ++made;
	return thread;
}

static void record_free(struct __exo_thread *thread)
{
	if (thread == &posix_first_thread)
		return;
	thread->state = POSIX_THREAD_FREE;
	thread->next_free = free_records;
	free_records = thread;
}

/* --- ending --------------------------------------------------------------------------------------------- */

static _Noreturn void end(struct __exo_thread *self)
{
	struct thread *thread = self->thread;

	posix_enter();
	signal_thread_end(self);
	posix_mutexes_abandon(self);
	self->state = POSIX_THREAD_ENDED;
	self->result = self->ending ? self->result : NULL;
	if (self->detached) {
		thread_detach(thread);
		record_free(self);
	} else {
		thread_wake_all(&self->joiners);
	}
	thread_exit();
}

void pthread_exit(void *result)
{
	struct __exo_thread *self = posix_self();
	struct __pthread_cleanup *top;
	bool last;

	posix_leave(false);
	self->ending = true;
	self->cancel_off = true;
	self->result = result;
	while ((top = self->cleanup)) {
		self->cleanup = top->__below;
		top->__routine(top->__arg);
	}
	posix_keys_end(self);
	posix_enter();
	last = --posix_running == 0;
	posix_leave(false);
	if (last)
		exit(0);
	end(self);
}

/* --- making --------------------------------------------------------------------------------------------- */

static void run(void *arg)
{
	struct __exo_thread *self = arg;

	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" :: "m"(self->sse_control), "m"(self->fpu_control));
	posix_leave(false);
	pthread_exit(self->start(self->arg));
}

/* A region of its own; what was there is used if it is as large. */
static bool own_stack(struct __exo_thread *thread, size_t bytes)
{
	struct vm_region *region = thread->stack;

	bytes = PAGE_UP(bytes);
	if (region && region->end - region->start != bytes) {
		vm_remove(region);
		memory_region_free(region);
		thread->stack = region = NULL;
	}
	if (!region) {
		exo_vaddr_t at = memory_addresses(bytes);

		region = at ? memory_region_make() : NULL;
		if (!region)
			return false;
		region->start = at;
		region->end = at + bytes;
		region->flags = EXO_MAP_READ | EXO_MAP_WRITE;
		region->pager = vm_stack_pager;
		region->slot_bytes = bytes;	/* its lowest page is the guard, whatever the attribute says */
		if (!vm_add(region)) {
			memory_region_free(region);
			return false;
		}
		thread->stack = region;
	}
	return vm_touch(region->end - READY, READY);
}

static struct thread *make(struct __exo_thread *thread)
{
	const pthread_attr_t *attributes = &thread->attributes;
	uint64_t guard = attributes->__guard_bytes ? PAGE_UP(attributes->__guard_bytes) : EXO_PAGE_SIZE;

	if (attributes->__stack)
		return thread_create_on(thread->name, run, thread, (uint64_t)attributes->__stack,
					attributes->__stack_bytes);
	if (attributes->__stack_bytes == POSIX_STACK_BYTES - EXO_PAGE_SIZE && guard == EXO_PAGE_SIZE)
		return thread_create(thread->name, run, thread);
	if (!own_stack(thread, PAGE_UP(attributes->__stack_bytes) + guard))
		return NULL;
	return thread_create_on(thread->name, run, thread, thread->stack->start,
				thread->stack->end - thread->stack->start);
}

/* Scheduling as its maker's, or as its attributes say. */
static void inherit(struct __exo_thread *thread, const struct __exo_thread *self)
{
	bool own = thread->attributes.__explicit;

	thread->not_cpus = self->not_cpus;
	thread->policy = own ? thread->attributes.__policy : self->policy;
	thread->priority = thread->own_priority = own ? thread->attributes.__priority : self->own_priority;
	thread->lifting = NULL;
	thread->awaits = NULL;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(thread->sse_control), "=m"(thread->fpu_control));
	thread->cancel_off = thread->cancel_async = thread->cancelled = thread->ending = thread->joined = false;
	thread->no_cancel = 0;
	thread->cleanup = NULL;
	thread->value = NULL;	/* in a child of fork, that of a thread that is not there any more */
	memset(thread->held, 0, sizeof(thread->held));
	thread->handed = false;
	thread->interrupted = NULL;
	thread->joiners = (struct thread_queue){ 0 };
	thread->result = NULL;
}

int pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*start)(void *), void *arg)
{
	struct __exo_thread *self = posix_self(), *thread;
	bool was = posix_enter();

	if (attributes && !attributes->__valid) {
		posix_leave(was);
		return EINVAL;
	}
	thread = record_take();
	posix_preempt_start();
	posix_clock_start();
	if (thread) {
		thread->counts = thread->counts_away = thread->told_ns = 0;
		if (attributes)
			thread->attributes = *attributes;
		else
			pthread_attr_init(&thread->attributes);
		inherit(thread, self);
		if (thread->priority)
			posix_sched_begin();
		thread->start = start;
		thread->arg = arg;
		thread->detached = thread->attributes.__detached;
		thread->name[0] = 0;
		thread->thread = make(thread);
		if (!thread->thread) {
			record_free(thread);
			thread = NULL;
		}
	}
	if (thread) {
		thread->thread->local = thread;
		signal_thread_start(thread);
		thread->state = POSIX_THREAD_RUNS;
		posix_running++;
		*out = thread;
		posix_sched_made(thread);
		if (thread->priority > self->priority)
			posix_sched_yield();
	}
	posix_leave(was);
	return thread ? 0 : EAGAIN;
}

/* --- joining -------------------------------------------------------------------------------------------- */

/* Wait for the end of a thread; the caller has the brackets. */
static int await(struct __exo_thread *thread, exo_time_t deadline)
{
	while (thread->state == POSIX_THREAD_RUNS) {
		int why = signal_wait(&thread->joiners, deadline);
		if (why == SIGNAL_TIME)
			return ETIMEDOUT;
		if (why == SIGNAL_CAME) {
			thread->joined = false;		/* if the caller is cancelled, another may join */
			signal_run(true);
			thread->joined = true;
		}
	}
	return 0;
}

static int join(struct __exo_thread *thread, void **result, exo_time_t deadline)
{
	int error = 0;

	posix_cancel_check();
	if (!thread || thread->state == POSIX_THREAD_FREE)
		error = ESRCH;
	else if (thread->detached || thread->joined)
		error = EINVAL;
	else if (thread == posix_self())
		error = EDEADLK;
	if (error)
		return error;
	thread->joined = true;
	error = await(thread, deadline);
	if (error) {
		thread->joined = false;
		return error;
	}
	if (result)
		*result = thread->result;
	thread_join(thread->thread);
	if (thread->stack)
		vm_release(thread->stack->start, thread->stack->end - thread->stack->start - READY);
	record_free(thread);
	return 0;
}

int pthread_join(pthread_t thread, void **result)
{
	bool was = posix_enter();
	int error = join(thread, result, EXO_NEVER);

	posix_leave(was);
	return error;
}

int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *until)
{
	bool was = posix_enter();
	exo_time_t deadline;
	int error = posix_deadline(CLOCK_REALTIME, until, &deadline);

	if (!error)
		error = join(thread, result, deadline);
	posix_leave(was);
	return error;
}

int pthread_tryjoin_np(pthread_t thread, void **result)
{
	if (thread && thread->state == POSIX_THREAD_RUNS)
		return EBUSY;
	return pthread_join(thread, result);
}

int pthread_detach(pthread_t thread)
{
	bool was = posix_enter();
	int error = 0;

	if (!thread || thread->state == POSIX_THREAD_FREE) {
		error = ESRCH;
	} else if (thread->detached || thread->joined) {
		error = EINVAL;
	} else {
		thread->detached = true;
		if (thread->state == POSIX_THREAD_ENDED) {
			thread_detach(thread->thread);
			record_free(thread);
		}
	}
	posix_leave(was);
	return error;
}

pthread_t pthread_self(void)
{
	return posix_self();
}

int pthread_equal(pthread_t a, pthread_t b)
{
	return a == b;
}

/* --- fork ----------------------------------------------------------------------------------------------- */

/*
 * In the child: only the caller is there. Stacks of the others stay as they are, like what they have
 * allocated.
 */
void posix_threads_forked(void)
{
	struct __exo_thread *self = posix_self();

	for (uint32_t i = 0; made > 1 && i < made; i++) {	/* else nothing is touched: pages come as they are */
		struct __exo_thread *thread = records[i];
		if (thread == self || thread->state == POSIX_THREAD_FREE)
			continue;
		if (thread->state == POSIX_THREAD_RUNS)
			thread_forget(thread->thread);
		thread->state = POSIX_THREAD_FREE;
		if (thread != &posix_first_thread)
			record_free(thread);
	}
	thread_forget_others();
	if (made > 1)
		posix_clock_forked();
	posix_running = 1;
}
