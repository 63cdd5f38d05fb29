/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduling of threads by priority: SCHED_FIFO and SCHED_RR have 1 to 32, SCHED_OTHER has 0, below them. The
 * ready thread of the highest priority that has been ready longest runs; who is made ready above the one that
 * runs gets the CPU at the end of what made it ready. This is put in place of core's round robin when a
 * thread first has a priority.
 */
#include <errno.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define LEVELS		33

static struct thread_queue levels[LEVELS];
static uint64_t filled;			/* bit n: level n has a thread */
bool posix_sched_wanted, posix_sched_levels;
static bool put_off;			/* thread_current is about to yield, for a higher priority and not by itself */

static unsigned level_of(const struct thread *thread)
{
	const struct __exo_thread *record = thread->local;

	return record ? (unsigned)record->priority : 0;
}

/* Behind the others of its priority; but who runs and is put off by a higher one stays the first of its own. */
static void put(struct thread *thread)
{
	unsigned level = level_of(thread);
	struct thread_queue *queue = &levels[level];
	bool first = put_off && level > 0 && thread == thread_current;

	put_off = put_off && thread != thread_current;
	thread->next = NULL;
	if (first && queue->head) {
		thread->next = queue->head;
		queue->head = thread;
		return;
	}
	if (queue->head)
		queue->tail->next = thread;
	else
		queue->head = thread;
	queue->tail = thread;
	filled |= 1ULL << level;
}

static void ready(struct thread *thread)
{
	put(thread);
	if (thread != thread_current && level_of(thread) > level_of(thread_current))
		posix_sched_wanted = true;
}

static struct thread *pick(void)
{
	unsigned level = filled ? 63 - (unsigned)__builtin_clzll(filled) : 0;
	struct thread *thread = levels[level].head;

	posix_clock_charge(thread);
	if (!thread)
		return NULL;
	levels[level].head = thread->next;
	if (!thread->next)
		filled &= ~(1ULL << level);
	return thread;
}

static struct thread *turn(struct thread *thread)
{
	put(thread);
	return pick();
}

static const struct sched sched_levels = { "priorities", ready, pick, turn };

/* A thread that is ready, and not the one that runs, leaves its level. */
static bool take_out(struct thread *thread)
{
	for (unsigned level = 0; level < LEVELS; level++)
		for (struct thread **link = &levels[level].head, *last = NULL; *link; link = &(*link)->next) {
			if (*link != thread) {
				last = *link;
				continue;
			}
			*link = thread->next;
			if (levels[level].tail == thread)
				levels[level].tail = last;
			if (!levels[level].head)
				filled &= ~(1ULL << level);
			return true;
		}
	return false;
}

void posix_sched_yield(void)
{
	put_off = posix_sched_wanted;
	posix_sched_wanted = false;
	thread_yield();
}

void posix_sched_begin(void)
{
	if (!posix_sched_levels) {
		posix_sched_levels = true;
		thread_schedule_by(&sched_levels);
	}
}

void posix_sched_made(struct __exo_thread *thread)
{
	if (thread->priority && take_out(thread->thread))
		ready(thread->thread);
}

void posix_sched_lift(struct __exo_thread *thread, int priority)
{
	bool was_ready;

	posix_sched_begin();
	was_ready = thread->thread != thread_current && take_out(thread->thread);
	thread->priority = priority;
	if (was_ready)
		ready(thread->thread);
	else if (thread->thread == thread_current && filled >> (unsigned)priority > 1)
		posix_sched_wanted = true;
}

static void set(struct __exo_thread *thread, int policy, int priority)
{
	thread->policy = policy;
	thread->own_priority = priority;
	posix_sched_lift(thread, posix_lift_due(thread));
	posix_lift_chain(thread->awaits);
	if (posix_sched_wanted) {	/* it is the last of its new priority */
		posix_sched_wanted = false;
		thread_yield();
	}
}

static bool good(int policy, int priority)
{
	return policy == SCHED_OTHER ? priority == 0 :
		(policy == SCHED_FIFO || policy == SCHED_RR) && priority > 0 && priority < LEVELS;
}

int sched_get_priority_max(int policy)
{
	if (policy == SCHED_FIFO || policy == SCHED_RR)
		return LEVELS - 1;
	if (policy == SCHED_OTHER)
		return 0;
	errno = EINVAL;
	return -1;
}

int sched_get_priority_min(int policy)
{
	int most = sched_get_priority_max(policy);

	return most > 0 ? 1 : most;
}

int pthread_getschedparam(pthread_t thread, int *policy, struct sched_param *parameter)
{
	if (!posix_thread_of(thread))
		return ESRCH;
	*policy = thread->policy;
	parameter->sched_priority = thread->own_priority;
	return 0;
}

int pthread_setschedparam(pthread_t thread, int policy, const struct sched_param *parameter)
{
	if (!posix_thread_of(thread))
		return ESRCH;
	if (!good(policy, parameter->sched_priority))
		return EINVAL;
	bool was = posix_enter();
	set(thread, policy, parameter->sched_priority);
	posix_leave(was);
	return 0;
}

int pthread_setschedprio(pthread_t thread, int priority)
{
	if (!posix_thread_of(thread))
		return ESRCH;
	if (!good(thread->policy, priority))
		return EINVAL;
	bool was = posix_enter();
	set(thread, thread->policy, priority);
	posix_leave(was);
	return 0;
}

/* --- attributes ----------------------------------------------------------------------------------------- */

int pthread_attr_getschedpolicy(const pthread_attr_t *attributes, int *policy)
{
	*policy = attributes->__policy;
	return 0;
}

int pthread_attr_setschedpolicy(pthread_attr_t *attributes, int policy)
{
	if (policy != SCHED_OTHER && policy != SCHED_FIFO && policy != SCHED_RR)
		return EINVAL;
	attributes->__policy = policy;
	return 0;
}

int pthread_attr_getschedparam(const pthread_attr_t *attributes, struct sched_param *parameter)
{
	parameter->sched_priority = attributes->__priority;
	return 0;
}

int pthread_attr_setschedparam(pthread_attr_t *attributes, const struct sched_param *parameter)
{
	if (parameter->sched_priority < 0 || parameter->sched_priority >= LEVELS)
		return EINVAL;
	attributes->__priority = parameter->sched_priority;
	return 0;
}
