/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to the keeper, and waiting for it. See call.h.
 *
 * Waiting is a queue of threads and a poller, which wakes all of them when `wakes` in the page has grown: each asks
 * again. One thread of the process is inside a request at a time, so the keeper knows one request of each process.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include "libos/core/thread.h"
#include "libos/posix/call.h"
#include "libos/posix/cpus.h"
#include "libos/posix/signal_private.h"

#define FIRST	1	/* depth of the lock when it was just taken */

exo_cap_t posix_keeper;
bool posix_cancels;
static exo_cap_t keeper_env;
struct thread_mutex posix_mutex;
bool posix_was;
static struct thread_queue waiting;
static uint64_t wakes_seen;		/* by the poller */
__thread uint64_t posix_asked_at;

void posix_lock_again(bool was)
{
	thread_lock(&posix_mutex, EXO_NEVER);
	if (posix_mutex.depth != FIRST)
		return;
	posix_was = was;
	if (signal_slice_late)
		signal_slice_asked();
}

void posix_unlock_again(void)
{
	bool was = posix_mutex.depth == FIRST ? posix_was : true;

	thread_unlock(&posix_mutex);
	posix_leave(was);
}

static exo_time_t look(void *arg)
{
	(void)arg;
	if (posix_wakes() != wakes_seen) {
		wakes_seen = posix_wakes();
		thread_wake_all(&waiting);
	}
	return EXO_NEVER;
}

static struct thread_poller poller = { .poll = look };

/* Until `wakes` is not what it was; false: the deadline came first. */
static bool wait_changed(uint64_t since, exo_time_t deadline)
{
	if (posix_wakes() != since)
		return true;
	return thread_wait(&waiting, deadline);
}

/* Somebody waits for the keeper: it knows who. */
static int64_t give_way(const uint64_t word[4])
{
	if (word[3] == WIRE_GIVE_WAY)
		core_yield(keeper_env);
	return (int64_t)word[0];
}

/* The keeper was interrupted while it served another. Woken, it asks that one to give way. */
static __attribute__((noinline)) int64_t transfer_again(uint64_t word[4], const uint64_t sent[4], int64_t status)
{
	unsigned tries = 0, spin;

	posix_page->waits = 1;
	while (status == -EXO_EBUSY || status == WIRE_BUSY) {
		for (spin = tries++ * 97 % 1024; spin; spin--)
			__asm__ volatile("pause");
		exo_wake(keeper_env);
		core_yield(keeper_env);
		memcpy(word, sent, 4 * sizeof(*word));
		status = exo_call_keep(posix_keeper, EXO_NEVER, word);
	}
	posix_page->waits = 0;
	if (status < 0)
		core_fail("its keeper does not answer: %s", exo_error_text(status));
	return give_way(word);
}

int64_t posix_transfer(uint64_t word[4])
{
	const uint64_t sent[4] = { word[0], word[1], word[2], word[3] };
	int64_t status = exo_call_keep(posix_keeper, EXO_NEVER, word);

	return status ? transfer_again(word, sent, status) : give_way(word);
}

/* The keeper waits for a disk: its answer, when it has one. */
static __attribute__((noinline)) int64_t collect(uint64_t word[4])
{
	int64_t result;

	do {
		wait_changed(posix_asked_at, EXO_NEVER);
		posix_asked_at = posix_wakes();
		word[0] = REQUEST_COLLECT;
		result = posix_transfer(word);
	} while (result == WIRE_WAIT);
	if (signal_slice_late)
		signal_slice_asked();
	return result;
}

/* The keeper was busy, or has begun and waits for a disk. */
int64_t posix_request_slowly(const uint64_t sent[4], uint64_t word[4], int64_t status)
{
	int64_t result = status ? transfer_again(word, sent, status) : give_way(word);

	return result == WIRE_LATER ? collect(word) : result;
}

int64_t posix_ask(enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t more[2])
{
	uint64_t none[2];
	int64_t result;

	posix_lock();
	result = posix_request(number, w1, w2, w3, more ? more : none);
	posix_unlock();
	return result;
}

int64_t posix_ask_wait(enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t more[2],
		       exo_time_t deadline, enum posix_how how)
{
	int64_t result;

	while ((result = posix_ask(number, w1, w2, w3, more)) == WIRE_WAIT) {
		result = posix_sleep(deadline, how);
		if (result)
			break;
	}
	return result;
}

int64_t posix_ask_path(enum wire_request number, const char *path, uint64_t w1, uint64_t w2, uint64_t w3,
		       uint64_t more[2])
{
	uint64_t none[2];
	int64_t result;

	posix_lock();
	result = posix_put_path(path, 0);
	if (result > 0)
		result = posix_request(number, w1, w2, w3, more ? more : none);
	posix_unlock();
	return result;
}

static inline bool signals_came(void)
{
	return signal_look || *(volatile uint64_t *)&posix_page->pending;
}

/* Has nothing come? Else *woken: what it waits for may have; false: a signal. */
static inline bool waits_still(bool *woken)
{
	*woken = false;
	return !signals_came() && !(*woken = posix_wakes() != posix_asked_at);
}

/* The only thread that waits, no timer: straight to sleep. */
bool posix_doze(void)
{
	bool was = posix_enter(), slept = false;
	uint64_t events = *(volatile uint64_t *)&core_disp->events;

	if (signal_timer_next != EXO_NEVER && posix_thread_count() == 1)
		posix_preempt_stop();
	if (!waiting.head && !posix_cpus_busy && signal_timer_next == EXO_NEVER && waits_still(&slept))
		do {
			if (!thread_doze(events, EXO_NEVER))
				break;
			events = *(volatile uint64_t *)&core_disp->events;
		} while (__builtin_expect(waits_still(&slept), false));
	posix_leave(was);
	return slept;
}

int posix_sleep(exo_time_t deadline, enum posix_how how)
{
	bool was = posix_enter();
	int result = 0;

	if (deadline == EXO_NEVER && posix_doze()) {
		posix_leave(was);
		return 0;
	}

	while (how == POSIX_FIRM && !result && posix_wakes() == posix_asked_at)
		result = thread_wait(&waiting, posix_due(deadline)) ? 0 : -ETIMEDOUT;
	/* A signal is a change, too, and may be one that ends the wait: it comes first. */
	while (how != POSIX_FIRM && !result) {
		bool changed = posix_wakes() != posix_asked_at;

		if (changed && !signals_came())
			break;
		enum signal_woken woken = signal_wait(&waiting, changed ? 0 : deadline);
		if (woken == SIGNAL_TIME && changed)
			break;
		if (woken == SIGNAL_TIME)
			result = -ETIMEDOUT;
		else if (woken == SIGNAL_CAME && signal_run(how == POSIX_RESTARTS))
			result = -EINTR;
		else if (woken == SIGNAL_CAME)
			break;		/* a handler may have done anything: ask again */
	}
	posix_leave(was);
	return result;
}

int64_t posix_result(int64_t result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

void posix_end(int status)
{
	uint64_t word[4] = { REQUEST_EXIT, (uint64_t)status };

	(void)posix_enter();
	posix_transfer(word);
	core_exit((uint64_t)(uint8_t)(status >> 8));
}

void posix_call_start(void)
{
	posix_keeper = core_named(WIRE_ENTRY);
	keeper_env = core_named(WIRE_KEEPER);
	if (!posix_keeper)
		core_fail("this program is a process: it needs a keeper, which `exo run` starts");
	if (posix_page->major != WIRE_MAJOR)
		core_fail("built for processes of version %d.%d, this keeper's are of %u.%u", WIRE_MAJOR, WIRE_MINOR,
			  posix_page->major, posix_page->minor);
	wakes_seen = posix_wakes();
	thread_add_poller(&poller);
}

void posix_call_forked(void)
{
	wakes_seen = posix_wakes();
	waiting = (struct thread_queue){ 0 };
	posix_mutex = (struct thread_mutex){ 0 };
}

void posix_need_info(void)
{
	if (caps_at(WIRE_SLOT_INFO)->type == EXO_TYPE_NONE)
		(void)posix_ask(REQUEST_INFO, 0, 0, 0, NULL);
}
