/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that are ready when something has happened: counters (eventfd) and times (timerfd). Descriptors of signals
 * are signalfd.c's.
 *
 * A timer's expirations are computed when somebody asks: between `due` and now, one for each `interval`. The keeper itself
 * wakes for a timer only while somebody waits for it: then it stands in `armed`, until it has told those who wait.
 *
 * E1 a timer is in `armed` iff its `link` is not NULL; it goes with its description
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/keep.h"

#define COUNT_MOST	(UINT64_MAX - 1)
#define OFTEN_NS	1000000		/* who waits for edges of a timer that nobody reads is told no more often */
#define FAR_NS		(1ULL << 62)	/* no time is later: some 146 years */

struct counter {
	uint64_t count;
	struct keep_queue readers, writers;
	bool one;			/* a read takes one of it */
};

struct timer {
	exo_time_t due;			/* 0: not set */
	uint64_t interval;
	bool wall;			/* times that are said to it are times of the day */
	bool day;			/* `due` is one, with this offset of core_wall() */
	int64_t offset;
	bool cancels, cancelled;	/* it is to be told when the clock is set; it was */
	exo_time_t wake_at;
	struct timer *next, **link;
	struct keep_queue waiters;
};

static struct timer *armed;
static const struct keep_kind counter_kind, timer_kind;

static int64_t own_stat(struct keep_file *file, struct stat *st)
{
	(void)file;
	st->st_mode = S_IRUSR | S_IWUSR;
	st->st_nlink = 1;
	return 0;
}

/* A descriptor of `object`, which goes if there can be none. */
static int64_t describe(struct keep_process *process, const struct keep_kind *kind, void *object, uint64_t flags)
{
	struct keep_file *file = object ? keep_file_make(kind, object, O_RDWR | (int)(flags & O_NONBLOCK)) : NULL;
	int64_t fd;

	if (!file) {
		free(object);
		return -ENOMEM;
	}
	fd = keep_fd_add(process, file, 0, flags & O_CLOEXEC);
	if (fd < 0)
		keep_file_drop(file);
	return fd;
}

/* --- counters ------------------------------------------------------------------------------------------------- */

static int64_t counter_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			    int64_t offset)
{
	struct counter *counter = file->object;
	uint64_t value = counter->one ? 1 : counter->count;

	if (offset != -1)
		return -ESPIPE;
	if (bytes < sizeof(value))
		return -EINVAL;
	if (!counter->count) {
		keep_wait(&counter->readers, request->process);
		return WIRE_WAIT;
	}
	counter->count -= value;
	memcpy(to, &value, sizeof(value));
	keep_wake(&counter->writers);
	return sizeof(value);
}

static int64_t counter_write(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
			     int64_t offset)
{
	struct counter *counter = file->object;
	uint64_t value;

	if (offset != -1)
		return -ESPIPE;
	if (bytes < sizeof(value))
		return -EINVAL;
	memcpy(&value, from, sizeof(value));
	if (value > COUNT_MOST)
		return -EINVAL;
	if (value > COUNT_MOST - counter->count) {
		keep_wait(&counter->writers, request->process);
		return WIRE_WAIT;
	}
	counter->count += value;
	if (value)
		keep_wake(&counter->readers);
	return (int64_t)bytes;		/* lest the rest be written as another number */
}

static short counter_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct counter *counter = file->object;

	(void)events;
	if (wait) {
		keep_wait(&counter->readers, process);
		keep_wait(&counter->writers, process);
	}
	return (short)((counter->count ? POLLIN : 0) | (counter->count < COUNT_MOST ? POLLOUT : 0));
}

static void own_free(struct keep_file *file)
{
	free(file->object);
}

static const struct keep_kind counter_kind = { .read = counter_read, .write = counter_write, .poll = counter_poll,
	.stat = own_stat, .close = own_free };

static int64_t do_eventfd(struct keep_request *request)
{
	struct counter *counter;

	if (request->word[0] > UINT32_MAX || request->word[1] & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK | WIRE_EVENT_ONE))
		return -EINVAL;
	counter = calloc(1, sizeof(*counter));
	if (counter) {
		counter->count = request->word[0];
		counter->one = request->word[1] & WIRE_EVENT_ONE;
	}
	return describe(request->process, &counter_kind, counter, request->word[1]);
}

/* --- timers --------------------------------------------------------------------------------------------------- */

static void disarm(struct timer *timer)
{
	if (!timer->link)
		return;
	*timer->link = timer->next;
	if (timer->next)
		timer->next->link = timer->link;
	timer->link = NULL;
}

/* Somebody waits: for the first time that it is due, or for the next one. */
static void arm(struct timer *timer, exo_time_t now)
{
	exo_time_t at = timer->due;

	if (!at)
		return;
	if (at <= now) {
		if (!timer->interval)
			return;
		at = now + timer->interval - (now - at) % timer->interval;
		at = at < now + OFTEN_NS ? now + OFTEN_NS : at;
	}
	keep_again();
	if (timer->link) {
		timer->wake_at = at < timer->wake_at ? at : timer->wake_at;
		return;
	}
	timer->wake_at = at;
	timer->next = armed;
	timer->link = &armed;
	if (armed)
		armed->link = &timer->next;
	armed = timer;
}

static exo_time_t look(void *arg)
{
	exo_time_t now = core_now(), first = EXO_NEVER;
	struct timer *next;

	(void)arg;
	for (struct timer *timer = armed; timer; timer = next) {
		next = timer->next;
		if (timer->wake_at <= now) {
			disarm(timer);
			keep_wake(&timer->waiters);
		} else if (timer->wake_at < first) {
			first = timer->wake_at;
		}
	}
	return first;
}

static int64_t day_offset(void)
{
	return core_wall_offset ? *core_wall_offset : 0;
}

/* The time of the day may have been set since: then it is due at another one. */
static void settle(struct timer *timer)
{
	int64_t offset = day_offset(), ahead = offset - timer->offset;

	if (!timer->day || !timer->due || !ahead)
		return;
	timer->due = ahead > 0 && timer->due <= (uint64_t)ahead ? 1 : timer->due - (uint64_t)ahead;
	timer->offset = offset;
	timer->cancelled = timer->cancels;
}

void keep_eventfd_clock(void)
{
	struct timer *next;

	for (struct timer *timer = armed; timer; timer = next) {
		next = timer->next;
		if (!timer->day)
			continue;
		disarm(timer);
		keep_wake(&timer->waiters);
	}
}

static int64_t timer_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes, int64_t offset)
{
	struct timer *timer = file->object;
	exo_time_t now = core_now();
	uint64_t times = 1;

	if (offset != -1)
		return -ESPIPE;
	if (bytes < sizeof(times))
		return -EINVAL;
	settle(timer);
	if (timer->cancelled) {
		timer->cancelled = false;
		return -ECANCELED;
	}
	if (!timer->due || timer->due > now) {
		keep_wait(&timer->waiters, request->process);
		arm(timer, now);
		return WIRE_WAIT;
	}
	if (timer->interval) {
		times += (now - timer->due) / timer->interval;
		timer->due += times * timer->interval;
	} else {
		timer->due = 0;
	}
	memcpy(to, &times, sizeof(times));
	return sizeof(times);
}

static short timer_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct timer *timer = file->object;
	exo_time_t now = core_now();

	(void)events;
	settle(timer);
	if (wait) {
		keep_wait(&timer->waiters, process);
		arm(timer, now);
	}
	return timer->cancelled || (timer->due && timer->due <= now) ? POLLIN : 0;
}

static void timer_close(struct keep_file *file)
{
	disarm(file->object);
	free(file->object);
}

static const struct keep_kind timer_kind = { .read = timer_read, .poll = timer_poll, .stat = own_stat,
	.close = timer_close };

static int64_t do_timerfd(struct keep_request *request)
{
	struct timer *timer;

	if (request->word[0] & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK) || request->word[1] > 1)
		return -EINVAL;
	timer = calloc(1, sizeof(*timer));
	if (timer)
		timer->wall = request->word[1];
	return describe(request->process, &timer_kind, timer, request->word[0]);
}

static uint64_t left(const struct timer *timer, exo_time_t now)
{
	if (!timer->due)
		return 0;
	if (timer->due > now)
		return timer->due - now;
	return timer->interval ? timer->interval - (now - timer->due) % timer->interval : 0;
}

static exo_time_t when(const struct timer *timer, uint64_t value, bool until, exo_time_t now)
{
	uint64_t wall = timer->wall ? core_wall() : 0;

	if (!until)
		return value < FAR_NS ? now + value : FAR_NS;
	if (wall)
		value = value > wall ? now + (value - wall) : now;
	return value < FAR_NS ? value : FAR_NS;
}

static int64_t do_timer_set(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int32_t)request->word[0]);
	uint64_t how = request->word[0] >> 32;
	exo_time_t now = core_now();
	struct timer *timer;

	if (!file)
		return -EBADF;
	if (file->kind != &timer_kind || how & ~(uint64_t)(WIRE_TIMER_SET | WIRE_TIMER_UNTIL | WIRE_TIMER_CANCEL))
		return -EINVAL;
	timer = file->object;
	settle(timer);
	request->more[0] = left(timer, now);
	request->more[1] = timer->interval;
	if (!(how & WIRE_TIMER_SET))
		return 0;
	disarm(timer);
	timer->due = request->word[1] ? when(timer, request->word[1], how & WIRE_TIMER_UNTIL, now) : 0;
	timer->day = timer->wall && how & WIRE_TIMER_UNTIL;
	timer->cancels = timer->day && how & WIRE_TIMER_CANCEL;
	timer->cancelled = false;
	timer->offset = day_offset();
	timer->interval = request->word[2] < FAR_NS ? request->word[2] : FAR_NS;
	/* Who waits asks again: it is another time now. */
	keep_wake(&timer->waiters);
	return 0;
}

void keep_eventfd_start(void)
{
	static struct thread_poller poller = { .poll = look };

	keep_serve(REQUEST_EVENTFD, do_eventfd);
	keep_serve(REQUEST_TIMERFD, do_timerfd);
	keep_serve(REQUEST_TIMERFD_SET, do_timer_set);
	thread_add_poller(&poller);
}
