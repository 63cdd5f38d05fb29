/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The locks that picolibc asks for (sys/lock.h): stdio, malloc and the like may block while they hold one. And what
 * follows from them: picolibc keeps no list of open streams, so its fflush(NULL) reads through NULL, and exit() flushes
 * stdout only. A stream gets its lock with the first thing that is done to it and loses it when it is closed: the list of
 * locks is the list of streams.
 *
 * The library's own lock guards the list. It is not held while a stream is flushed, since who holds a stream's lock may
 * ask for memory: a lock that is waited for is pinned, and who unpins it last frees it if its stream was closed meanwhile.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdio-bufio.h>
#include <stdlib.h>
#include <sys/lock.h>
#include "libos/core/thread.h"

#define NO_LOCK		((_LOCK_T)1)	/* streams of sprintf() and the like */

struct __lock {
	struct thread_mutex mutex;
	FILE *stream;			/* NULL: not a stream's, or it was closed */
	struct __lock *next, *prev;
	uint32_t pins, round;
};

struct __lock __lock___libc_recursive_mutex;
static struct __lock *streams;
static uint32_t last_round;

void __flockfile_init(FILE *stream);

void __retarget_lock_init(_LOCK_T *lock)
{
	*lock = calloc(1, sizeof(**lock));
}

void __retarget_lock_init_recursive(_LOCK_T *lock)
{
	__retarget_lock_init(lock);
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

/* --- streams -------------------------------------------------------------------------------------------- */

static void list_lock(void)
{
	__retarget_lock_acquire(&__lock___libc_recursive_mutex);
}

static void list_unlock(void)
{
	__retarget_lock_release(&__lock___libc_recursive_mutex);
}

void __flockfile_init(FILE *stream)
{
	list_lock();
	if (!stream->lock) {
		__retarget_lock_init(&stream->lock);
		if (stream->lock) {
			stream->lock->stream = stream;
			stream->lock->next = streams;
			if (streams)
				streams->prev = stream->lock;
			streams = stream->lock;
		}
	}
	list_unlock();
}

/* fclose() calls it for a stream's, too. */
void __retarget_lock_close(_LOCK_T lock)
{
	bool last;

	if (!lock)
		return;
	__retarget_lock_acquire(lock);		/* it is not being flushed any more */
	list_lock();
	if (lock->stream) {
		if (lock->next)
			lock->next->prev = lock->prev;
		if (lock->prev)
			lock->prev->next = lock->next;
		else
			streams = lock->next;
		lock->stream = NULL;
	}
	last = !lock->pins;
	list_unlock();
	__retarget_lock_release(lock);
	if (last)
		free(lock);
}

void __retarget_lock_close_recursive(_LOCK_T lock)
{
	__retarget_lock_close(lock);
}

/* Might there be something in it to write? Who reads may hold the lock for ever. Called without it. */
static bool writes(const FILE *stream)
{
	if (stream->flags & __SBUF)
		return ((const struct __file_bufio *)stream)->dir == __SWR;
	return stream->flags & __SWR;
}

/* The next stream that was not flushed in this round, pinned; NULL: there is none. */
static struct __lock *pin_next(uint32_t round)
{
	struct __lock *lock;

	list_lock();
	for (lock = streams; lock; lock = lock->next) {
		if (lock->round == round || !writes(lock->stream))
			continue;
		lock->round = round;
		lock->pins++;
		break;
	}
	list_unlock();
	return lock;
}

static void unpin(struct __lock *lock)
{
	bool last;

	list_lock();
	last = !--lock->pins && !lock->stream;
	list_unlock();
	if (last)
		free(lock);
}

/* Of streams that somebody uses now, at an exit nothing is written. */
static int flush_all(bool wait)
{
	struct __lock *lock;
	uint32_t round;
	int result = 0;

	list_lock();
	round = ++last_round;
	list_unlock();
	while ((lock = pin_next(round)) != NULL) {
		if (wait ? thread_lock(&lock->mutex, EXO_NEVER) : thread_trylock(&lock->mutex)) {
			if (lock->stream && lock->stream->flush && lock->stream->flush(lock->stream) < 0)
				result = EOF;
			thread_unlock(&lock->mutex);
		}
		unpin(lock);
	}
	return result;
}

int fflush(FILE *stream)
{
	bool locked;
	int result;

	if (!stream)
		return flush_all(true);
	if (!stream->lock)
		__flockfile_init(stream);
	locked = stream->lock != NO_LOCK;
	if (locked)
		__retarget_lock_acquire(stream->lock);
	result = stream->flush ? stream->flush(stream) : 0;
	if (locked)
		__retarget_lock_release(stream->lock);
	return result;
}

static __attribute__((destructor)) void flush_at_exit(void)
{
	(void)flush_all(false);
}
