/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words that threads wait for: mutexes, condition variables, semaphores and all the others are made of these,
 * so that each of them is plain data that may lie anywhere, also in memory that processes share.
 *
 * Threads of one process wait in queues by the word's address, and nothing happens between a look at the word
 * and the wait (brackets). What other processes wait for goes through the keeper (shared.c).
 */
#include <errno.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define BUCKETS		64

static CORE_UNWIRED struct thread_queue buckets[BUCKETS];

static struct thread_queue *bucket(const uint32_t *word)
{
	return &buckets[(uint64_t)word / 8 * 0x9e3779b97f4a7c15ULL >> 58];
}

int posix_word_wait(uint32_t *word, uint32_t value, bool shared, exo_time_t deadline)
{
	struct __exo_thread *self = posix_self();
	bool woken;
	int why;

	if (shared) {
		why = posix_shared_wait(word, value, deadline);
		if (why != -ENODEV)
			return why;
	}
	if (__atomic_load_n(word, __ATOMIC_RELAXED) != value)
		return 0;
	self->word = word;
	why = signal_wait(bucket(word), deadline);
	woken = !self->word;		/* posix_word_wake() has chosen this one ... */
	self->word = NULL;
	if (woken && self->cancelled)
		signal_poke(self->thread);	/* the next wait sees that */
	if (woken || why == SIGNAL_WOKEN)
		return 0;		/* ... and so no other: a signal or a cancellation that came, too, has time */
	if (why == SIGNAL_TIME)
		return -ETIMEDOUT;
	return signal_run(true) ? -EINTR : 0;
}

/*
 * The thread of the highest priority that waits for a word, of these one that will write, of these the one
 * that came first.
 */
struct __exo_thread *posix_word_first(const uint32_t *word, bool *more)
{
	struct __exo_thread *first = NULL;

	*more = false;
	for (struct thread *thread = bucket(word)->head; thread; thread = thread->next) {
		struct __exo_thread *waits = thread->local;

		if (!waits || waits->word != word)
			continue;
		*more = first != NULL;
		if (!first || waits->priority > first->priority ||
		    (waits->priority == first->priority && waits->writes > first->writes))
			first = waits;
	}
	return first;
}

bool posix_word_written(const uint32_t *word, int priority)
{
	for (struct thread *thread = bucket(word)->head; thread; thread = thread->next) {
		const struct __exo_thread *waits = thread->local;

		if (waits && waits->word == word && waits->writes && waits->priority >= priority)
			return true;
	}
	return false;
}

void posix_word_wake(uint32_t *word, uint32_t most, bool shared)
{
	struct __exo_thread *next;
	bool more = true;

	if (shared)
		posix_shared_wake(word);
	while (more && most-- && (next = posix_word_first(word, &more))) {
		next->word = NULL;
		thread_wake(next->thread);
	}
	if (posix_sched_wanted)
		posix_sched_yield();
}

exo_time_t posix_day_due(exo_time_t deadline)
{
	uint64_t wall = core_wall(), now = core_now();

	deadline -= POSIX_DAY;
	return !wall ? deadline : deadline > wall ? now + (deadline - wall) : now;
}

exo_time_t posix_later(const struct timespec *time)
{
	exo_time_t now = core_now();
	uint64_t seconds = time->tv_sec < 0 ? 0 : (uint64_t)time->tv_sec;

	return seconds < (WIRE_DAY_END - now) / CORE_SECOND - 1 ? now + seconds * CORE_SECOND + (uint64_t)time->tv_nsec :
		WIRE_DAY_END - 1;
}

int posix_deadline(clockid_t clock, const struct timespec *until, exo_time_t *deadline)
{
	uint64_t wanted;

	if (!posix_clock_waits(clock))
		return EINVAL;
	if (until->tv_nsec < 0 || (uint64_t)until->tv_nsec >= CORE_SECOND)
		return EINVAL;
	if (until->tv_sec < 0)
		wanted = 0;
	else if ((uint64_t)until->tv_sec >= WIRE_DAY_END / CORE_SECOND)
		wanted = WIRE_DAY_END - 1;
	else
		wanted = (uint64_t)until->tv_sec * CORE_SECOND + (uint64_t)until->tv_nsec;
	*deadline = clock == CLOCK_REALTIME ? wanted | POSIX_DAY : wanted;
	return 0;
}
