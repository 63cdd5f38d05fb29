/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: packets, timers, what was put off, protothreads; then what is to be sent leaves, and the program sleeps until the
 * next timer or event. A program at rest costs nothing: without a timer nothing wakes it.
 *
 * Timers are a list in the order of their times, for there are few; one that is due last of all, as when idle connections are
 * given the same time again and again, goes to its end without a search.
 */
#include "libos/conn/work.h"
#include "libos/event/net.h"
#include "libos/event/private.h"

#define MS	(CORE_SECOND / 1000)
#define ADDRESS_WAIT	(10 * CORE_SECOND)	/* as long as socket() of the libOS uni */

struct conn_counts conn_counts;
static struct conn_timer *timers, **timers_end = &timers;
static struct pt *protothreads;
static uint64_t now;		/* ms; stands still for one turn */
static bool running, stopped, again;
static int stop_value;

/* --- time --- */

uint64_t conn_now(void)
{
	return running ? now : core_now() / MS;
}

static struct conn_timer *last_timer(void)
{
	return timers ? (struct conn_timer *)((char *)timers_end - offsetof(struct conn_timer, next)) : NULL;
}

void conn_timer_clear(struct conn_timer *timer)
{
	if (!timer->set)
		return;
	timer->set = false;
	*timer->back = timer->next;
	if (timer->next)
		timer->next->back = timer->back;
	else
		timers_end = timer->back;
}

void conn_timer_set(struct conn_timer *timer, uint64_t milliseconds)
{
	struct conn_timer **at = timers_end, *last;

	conn_timer_clear(timer);
	timer->set = true;
	timer->due = milliseconds > UINT64_MAX / 2 ? UINT64_MAX / 2 : conn_now() + milliseconds;
	last = last_timer();
	if (last && last->due > timer->due)
		for (at = &timers; (*at)->due <= timer->due;)
			at = &(*at)->next;
	else
		at = timers_end;
	timer->next = *at;
	timer->back = at;
	*at = timer;
	if (timer->next)
		timer->next->back = &timer->next;
	else
		timers_end = &timer->next;
}

/* Those that are due now; one that sets itself to be due at once waits for the next turn. */
static bool timers_run(void)
{
	bool any = false;

	for (unsigned most = 64; timers && timers->due <= now && most--; any = true) {
		struct conn_timer *timer = timers;
		conn_timer_clear(timer);
		timer->call(timer);
	}
	return any;
}

/* --- protothreads --- */

static void expired(struct conn_timer *timer)
{
	(void)timer;
}

void pt_timer(struct pt *pt, uint64_t milliseconds)
{
	pt->timer.call = expired;
	conn_timer_set(&pt->timer, milliseconds);
}

void pt_start(struct pt *pt, enum pt_state (*run)(struct pt *pt))
{
	struct pt **at = &protothreads;

	pt->line = 0;
	pt->run = run;
	again = true;
	pt->started = true;
	if (pt->listed)
		return;
	pt->listed = true;
	pt->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = pt;
}

void pt_stop(struct pt *pt)
{
	conn_timer_clear(&pt->timer);
	pt->started = false;		/* the loop takes it from the list */
}

void pt_again(void)
{
	again = true;
}

static void protothreads_run(void)
{
	struct pt **at = &protothreads, *pt;

	while ((pt = *at)) {
		if (pt->started && pt->run(pt) == PT_ENDED)
			pt->started = false;
		if (pt->started) {
			at = &pt->next;
		} else {
			*at = pt->next;
			pt->listed = false;
		}
	}
}

/* --- running --- */

void conn_stop(int value)
{
	stop_value = value;
	stopped = true;
}

/* Go round for the network alone until there is an address. */
void event_wait_address(void)
{
	exo_time_t end = core_now() + ADDRESS_WAIT;

	while (!running && !net_address && core_now() < end) {
		uint64_t events = *(volatile uint64_t *)&core_disp->events;
		bool busy = event_net_poll() != 0;
		exo_time_t until;

		now = core_now() / MS;
		busy |= timers_run();
		dhcp_turn();
		event_net_flush();
		until = timers ? timers->due * MS : EXO_NEVER;
		if (!busy)
			event_sleep(until < end ? until : end, events);
	}
}

int conn_run(void)
{
	stopped = false;
	running = true;
	while (!stopped) {
		uint64_t events = *(volatile uint64_t *)&core_disp->events;
		unsigned taken;
		bool busy;

		now = core_now() / MS;
		again = false;
		conn_counts.turns++;
		taken = event_net_poll();
		busy = taken != 0;
		busy |= timers_run();
		works_run();
		conn_turn();
		protothreads_run();
		event_net_flush();
		if (busy || again || stopped || works_wait())
			continue;
		conn_counts.sleeps++;
		event_sleep(timers ? timers->due * MS : EXO_NEVER, events);
	}
	running = false;
	return stop_value;
}
