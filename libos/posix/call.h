/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asking the keeper (wire.h). All of it is for threads, never for upcall code.
 *
 * A request that needs the buffer, to say something or to be told something, stands between posix_lock and
 * posix_unlock: other threads of the process wait there. They are brackets (signals.h), too. The pattern for what may
 * have to wait:
 *
 *	do {
 *		posix_lock();
 *		memcpy(posix_buffer, ...);
 *		result = posix_ask(REQUEST_X, w1, w2, w3, more);
 *		... copy what it gave ...
 *		posix_unlock();
 *	} while (result == WIRE_WAIT && !(result = posix_sleep(EXO_NEVER, POSIX_RESTARTS)));
 *	return posix_result(result);
 *
 * posix_sleep belongs to the last posix_ask of the same thread: what changed since then it does not miss.
 */
#ifndef LIBOS_POSIX_CALL_H
#define LIBOS_POSIX_CALL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libos/core/core.h"
#include "libos/core/thread.h"
#include "libos/posix/signals.h"
#include "libos/posix/wire.h"

#define posix_page	((struct wire_page *)WIRE_VA_PAGE)
#define posix_buffer	((char *)WIRE_VA_BUFFER)

/* Which signal handlers end a wait (posix_sleep). */
enum posix_how { POSIX_FIRM, POSIX_RESTARTS, POSIX_BREAKS };

/* The buffer is the calling thread's until posix_unlock; recursive. */
extern struct thread_mutex posix_mutex;
extern bool posix_was;			/* inside, when the lock was taken first */
void posix_lock_again(bool was);
void posix_unlock_again(void);
static inline void posix_lock(void)
{
	bool was = posix_enter();

	if (__builtin_expect(posix_mutex.owner != NULL, 0)) {
		posix_lock_again(was);
		return;
	}
	posix_mutex.owner = thread_current;
	posix_mutex.depth = 1;
	posix_was = was;
}
static inline void posix_unlock(void)
{
	if (__builtin_expect(posix_mutex.depth != 1 || posix_mutex.waiters.head, 0)) {
		posix_unlock_again();
		return;
	}
	posix_mutex.depth = 0;
	posix_mutex.owner = NULL;
	posix_leave(posix_was);
}

/*
 * Make a request; `more` gets w1 and w2 of the answer and may be NULL. The result: >= 0, -errno, or WIRE_WAIT. While
 * the keeper waits for a disk other threads run. A request that takes arguments or results in the buffer is made
 * with the lock held.
 */
int64_t posix_ask(enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t more[2]);
/* The same for who has the lock; `more` must be there. */
extern exo_cap_t posix_keeper;
extern bool posix_cancels;		/* some thread was cancelled, ever */
/*
 * `wakes` when this thread asked last, to which posix_sleep belongs: whoever makes requests between a
 * thread's request and its sleep puts it back.
 */
extern __thread uint64_t posix_asked_at;
int64_t posix_request_slowly(const uint64_t sent[4], uint64_t word[4], int64_t status);
static inline uint64_t posix_wakes(void)
{
	return *(volatile uint64_t *)&posix_page->wakes;
}
/* As if the thread had asked now: for a wait that belongs to no request. */
static inline void posix_mark(void)
{
	posix_asked_at = posix_wakes();
}
static inline int64_t posix_request(enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t more[2])
{
	uint64_t word[4] = { number, w1, w2, w3 };
	int64_t status, result;

	posix_mark();
	status = exo_call_keep(posix_keeper, EXO_NEVER, word);
	result = (int64_t)word[0];
	if (__builtin_expect(((uint64_t)status | word[3]) || result == WIRE_LATER, 0)) {
		uint64_t got[4] = { word[0], word[1], word[2], word[3] };

		result = posix_request_slowly((const uint64_t[]){ number, w1, w2, w3 }, got, status);
		word[1] = got[1];
		word[2] = got[2];
	}
	more[0] = word[1];
	more[1] = word[2];
	return result;
}
/* copy_path.S. Its end: exceptions before it go on in posix_copy_path_failed. */
int64_t posix_copy_path(const char *path, char *to);
extern const char posix_copy_path_end[], posix_copy_path_failed[];
/* A path to an offset of the buffer, for who has the lock: how many bytes with its NUL, or -ENAMETOOLONG, -EFAULT. */
static inline int64_t posix_put_path(const char *path, uint32_t offset)
{
	int64_t bytes = posix_copy_path(path, posix_buffer + offset);

	return bytes > 0 ? bytes : bytes ? -EFAULT : -ENAMETOOLONG;
}
/* The same until it is not WIRE_WAIT any more, for requests without the buffer. Also -EINTR and -ETIMEDOUT. */
int64_t posix_ask_wait(enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t more[2],
		       exo_time_t deadline, enum posix_how how);
/* The same as posix_ask with a PATH at the beginning of the buffer, locked meanwhile; -ENAMETOOLONG, -EFAULT. */
int64_t posix_ask_path(enum wire_request number, const char *path, uint64_t w1, uint64_t w2, uint64_t w3,
		       uint64_t more[2]);

/*
 * After WIRE_WAIT, unlocked: sleep until the keeper says that something has changed since this thread asked last.
 * 0; -ETIMEDOUT when `deadline` has passed; -EINTR when a signal handler has run that ends the wait, which is
 * a matter of `how`: one without SA_RESTART, any one (poll and select never restart), or none.
 */
int posix_sleep(exo_time_t deadline, enum posix_how how);
/* The same as posix_sleep without end, if that is simple: true, it has slept. */
bool posix_doze(void);

/* The exposed tables (info_env and so on, in libos/core/spawn.h) can be looked at from now on. */
void posix_need_info(void);

/* One transfer, as it is: word[0] is the number and then the result. Inside brackets. */
int64_t posix_transfer(uint64_t word[4]);

/* -errno to errno and -1; everything else as it is. */
int64_t posix_result(int64_t result);

/* Called once before main; in a child of fork. */
void posix_call_start(void);
void posix_call_forked(void);

/* End the process with a wait status: after atexit functions and the like. */
_Noreturn void posix_end(int status);

#endif
