/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libos/conn/timer.c against a list that is searched from end to end: random sets, moves and clears, from outside and from timers
 * themselves, with times from none to years. Each is called once, in the turn in which it is due, and timers_next is never late.
 */
#include <stdlib.h>

#include "libos/conn/timer.h"
#include "test/unit/tap.h"

#define TIMERS	200

static struct timer {
	struct conn_timer timer;
	bool set;
	uint64_t due;
} timers[TIMERS];

static uint64_t now = 1000000007;
static unsigned long calls, early, late, unset, changes_inside;

uint64_t conn_now(void)
{
	return now;
}

static void set(struct timer *t, uint64_t after)
{
	conn_timer_set(&t->timer, after);
	t->due = now + after;
	t->set = true;
}

static void clear(struct timer *t)
{
	conn_timer_clear(&t->timer);
	t->set = false;
}

static uint64_t some_time(void)
{
	return (uint64_t)rand() >> rand() % 32;
}

static void called(struct conn_timer *timer)
{
	struct timer *t = (struct timer *)timer, *other = &timers[rand() % TIMERS];

	calls++;
	unset += !t->set;
	early += now < t->due;
	t->set = false;
	if (rand() % 4)
		return;
	changes_inside++;
	if (rand() % 2)
		set(other, some_time());
	else
		clear(other);
}

/* The first time at which something is due; 0: never. */
static uint64_t first_due(void)
{
	uint64_t first = 0;

	for (int i = 0; i < TIMERS; i++)
		if (timers[i].set && (!first || timers[i].due < first))
			first = timers[i].due;
	return first;
}

int main(void)
{
	unsigned long next_late = 0, none_wrong = 0, long_way = 0;

	srand(5);
	for (int i = 0; i < TIMERS; i++)
		timers[i].timer.call = called;
	ok(timers_next() == TIMERS_NONE, "no timer: nothing next");
	for (int turn = 0; turn < 200000; turn++) {
		struct timer *t = &timers[rand() % TIMERS];
		uint64_t first, next;

		if (rand() % 3)
			set(t, some_time());
		else
			clear(t);
		first = first_due();
		next = timers_next();
		none_wrong += (first == 0) != (next == TIMERS_NONE);
		next_late += first && next > (first > now ? first : now + 1);
		now = next != TIMERS_NONE && rand() % 2 && next > now ? next : now + (rand() % 8 ? 1 : some_time() / 16);
		timers_run(now);
		first = first_due();
		late += first && first < now;
	}
	now += 1ull << 33;
	timers_run(now);
	while (timers_next() != TIMERS_NONE && long_way++ < 100000) {
		now = timers_next();
		timers_run(now);
	}
	is_int(early, 0, "none is called before its time");
	is_int(late, 0, "none is left when its time has come");
	is_int(unset, 0, "none is called that is not set");
	is_int(next_late, 0, "timers_next is never late");
	is_int(none_wrong, 0, "and knows when there is none");
	ok(calls > 10000 && changes_inside > 1000, "%lu calls, %lu changes from within them", calls, changes_inside);
	return done();
}
