/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hierarchical timing wheel (Varghese and Lauck, 1987): five wheels of 64 slots, of 1 ms, 64 ms, 4.1 s, 4.4 minutes and 4.7 hours
 * each. A timer hangs in the finest wheel that reaches to its time; when a coarse slot's time has come, its timers go to finer
 * wheels. Set and clear cost the same always; a timer is moved four times at most, and those that are cleared before never.
 *
 * Which slots may be occupied is in one word a wheel, so that nothing looks at empty slots. A bit is set with its slot's first
 * timer, and goes when the slot is found empty: clearing a timer need not know where it hangs.
 *
 * Invariants:
 *  1. `done` is the time up to which all has been called; a set timer's due time is later. (But see timers_run.)
 *  2. A timer in slot s of wheel w has a due time of digit s in base 64 at place w, and agrees with `done` in all higher digits, or
 *     is up to one turn ahead.
 */
#include "libos/conn/timer.h"

#define BITS	6
#define SLOTS	(1u << BITS)
#define WHEELS	5
#define REACH	((1ull << BITS * WHEELS) - 1)

static struct conn_timer *slots[WHEELS][SLOTS];
static uint64_t occupied[WHEELS];
static uint64_t done;
uint64_t timers_bound = TIMERS_NONE;	/* nothing is due before this */

static void unlink_timer(struct conn_timer *timer)
{
	*timer->back = timer->next;
	if (timer->next)
		timer->next->back = timer->back;
}

/* Hang a timer where its time, or as near as the wheels reach, is found. */
static void hang(struct conn_timer *timer)
{
	uint64_t ahead = timer->due - done, due = ahead > REACH ? done + REACH : timer->due;
	unsigned wheel = 0, slot;

	for (ahead = due - done; ahead >> BITS * (wheel + 1); wheel++)
		;
	slot = due >> BITS * wheel & (SLOTS - 1);
	timer->next = slots[wheel][slot];
	timer->back = &slots[wheel][slot];
	if (timer->next)
		timer->next->back = &timer->next;
	slots[wheel][slot] = timer;
	occupied[wheel] |= 1ull << slot;
	due = due >> BITS * wheel << BITS * wheel;
	if (due < timers_bound)
		timers_bound = due;
}

void conn_timer_set(struct conn_timer *timer, uint64_t milliseconds)
{
	uint64_t now = conn_now();

	if (timer->set)
		unlink_timer(timer);
	timer->set = true;
	timer->due = milliseconds > UINT64_MAX / 2 ? UINT64_MAX / 2 : now + milliseconds;
	if (timer->due <= done)
		timer->due = done + 1;
	hang(timer);
}

void conn_timer_clear(struct conn_timer *timer)
{
	if (!timer->set)
		return;
	timer->set = false;
	unlink_timer(timer);
}

/* How many slots ahead of the one of `done` this wheel's next occupied one is: 1 to 64; 0: there is none. */
static unsigned slots_ahead(unsigned wheel)
{
	unsigned here = done >> BITS * wheel & (SLOTS - 1);

	while (occupied[wheel]) {
		unsigned turn = (here + 1) & (SLOTS - 1);
		uint64_t from_here = occupied[wheel] >> turn | occupied[wheel] << (-turn & (SLOTS - 1));
		unsigned ahead = (unsigned)__builtin_ctzll(from_here), slot = (turn + ahead) & (SLOTS - 1);

		if (slots[wheel][slot])
			return ahead + 1;
		occupied[wheel] &= ~(1ull << slot);
	}
	return 0;
}

static uint64_t find_next(void)
{
	uint64_t next = TIMERS_NONE;

	for (unsigned wheel = 0; wheel < WHEELS; wheel++) {
		unsigned ahead = slots_ahead(wheel);
		uint64_t when = ((done >> BITS * wheel) + ahead) << BITS * wheel;

		if (ahead && when < next)
			next = when;
	}
	return next;
}

/* Take the slot of this time from a wheel: its timers are due, or go to finer wheels. */
static void empty_slot(unsigned wheel, uint64_t when)
{
	unsigned slot = when >> BITS * wheel & (SLOTS - 1);
	struct conn_timer *timer, *rest = slots[wheel][slot];

	slots[wheel][slot] = NULL;
	if (rest)
		rest->back = &rest;	/* whoever is called may clear those that are still to be called */
	while ((timer = rest)) {
		unlink_timer(timer);
		if (timer->due > when) {
			hang(timer);
			continue;
		}
		timer->set = false;
		timer->call(timer);
	}
}

void timers_run(uint64_t now)
{
	while (done < now) {
		uint64_t next = timers_bound = timers_bound > now ? timers_bound : find_next();

		if (next > now) {
			done = now;
			return;
		}
		done = next;
		for (unsigned wheel = WHEELS; wheel-- > 0;)
			if (!(next & ((1ull << BITS * wheel) - 1)))
				empty_slot(wheel, next);
	}
	if (timers_bound <= now)
		timers_bound = find_next();
}
