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
#include <string.h>
#include "libos/core/thread.h"
#include "libos/uni/locks.h"

struct __lock {
	struct thread_mutex mutex;
	FILE *stream;			/* NULL: not a stream's, or it was closed */
	struct __lock *next, *prev;
	uint32_t pins, round;
};

struct __lock __lock___libc_recursive_mutex;
static struct __lock *streams;
static uint32_t last_round;
static bool ends;

void __flockfile_init(FILE *stream);

/* A libOS whose threads are not core's alone brings others (libos/posix/lock.c). False: it is another's. */
bool lock_take(struct thread_mutex *mutex, bool wait);
void lock_give(struct thread_mutex *mutex);

__attribute__((weak)) bool lock_take(struct thread_mutex *mutex, bool wait)
{
	return wait ? thread_lock(mutex, EXO_NEVER) : thread_trylock(mutex);
}

__attribute__((weak)) void lock_give(struct thread_mutex *mutex)
{
	thread_unlock(mutex);
}

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
		(void)lock_take(&lock->mutex, true);
}

void __retarget_lock_acquire_recursive(_LOCK_T lock)
{
	__retarget_lock_acquire(lock);
}

void __retarget_lock_release(_LOCK_T lock)
{
	if (lock)
		lock_give(&lock->mutex);
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

/* Was something read that nobody has taken yet? So it is with who waits for more only for a moment. */
static bool reads_ahead(const FILE *stream)
{
	const struct __file_bufio *file = (const struct __file_bufio *)stream;

	return stream->flags & __SBUF && file->dir == __SRD && (stream->unget || file->off < file->len);
}

/* The next stream that was not flushed in this round, pinned; NULL: there is none. */
static struct __lock *pin_next(uint32_t round, bool *written)
{
	struct __lock *lock;

	list_lock();
	for (lock = streams; lock; lock = lock->next) {
		if (lock->round == round)
			continue;
		*written = writes(lock->stream);
		if (!*written && !reads_ahead(lock->stream))
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

/*
 * As each is flushed alone, those that were read, too. Of streams that somebody uses now, at an exit nothing is written;
 * who reads is never waited for.
 */
static int flush_all(bool wait)
{
	struct __lock *lock;
	uint32_t round;
	bool written;
	int result = 0;

	list_lock();
	round = ++last_round;
	list_unlock();
	while ((lock = pin_next(round, &written)) != NULL) {
		if (lock_take(&lock->mutex, wait && written)) {
			if (lock->stream && stream_flush(lock->stream) < 0)
				result = EOF;
			lock_give(&lock->mutex);
		}
		unpin(lock);
	}
	return result;
}

/* At the end of the program, when picolibc flushes stdout, too, nobody waits for one that may not be there any more. */
int fflush(FILE *stream)
{
	bool locked;
	int result;

	if (!stream)
		return flush_all(true);
	if (!stream->lock)
		__flockfile_init(stream);
	locked = stream->lock && stream->lock != STREAM_NO_LOCK;
	if (locked && !ends)
		__retarget_lock_acquire(stream->lock);
	else if (locked && !lock_take(&stream->lock->mutex, false))
		return 0;
	result = stream_flush(stream);
	if (locked)
		__retarget_lock_release(stream->lock);
	return result;
}

/* picolibc's takes the library's own lock, and keeps it. */
int ftrylockfile(FILE *stream)
{
	if (!stream->lock)
		__flockfile_init(stream);
	return stream->lock && stream->lock != STREAM_NO_LOCK && !lock_take(&stream->lock->mutex, false) ? -1 : 0;
}

static bool any_held;		/* when the process forked */

void streams_fork(void)
{
	any_held = false;
	for (struct __lock *lock = streams; lock; lock = lock->next)
		any_held |= lock->mutex.owner || lock->pins;
}

void streams_forked(void)
{
	for (struct __lock *lock = any_held ? streams : NULL; lock; lock = lock->next) {
		memset(&lock->mutex, 0, sizeof(lock->mutex));
		lock->pins = 0;
	}
}

static __attribute__((destructor)) void flush_at_exit(void)
{
	ends = true;
	(void)flush_all(false);
}
