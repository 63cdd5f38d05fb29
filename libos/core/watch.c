/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one predicate of a program's threads. See watch.h.
 *
 * An error of the predicate (no memory for it, or a frame of it was taken away) makes the program sleep on events, and
 * look at the words every LOOK_NS, so it goes on, if slowly; who waits for a word that has gone learns that elsewhere.
 */
#include "libos/core/thread.h"
#include "libos/core/watch.h"

#define LOOK_NS		(CORE_SECOND / 100)

uint64_t watch_sleeps;
static struct predicate words;
static uint32_t armed;		/* a bit for each word */

_Static_assert(PREDICATE_WORDS <= 32, "a bit for each word");

static void idle(exo_time_t until, uint64_t events)
{
	exo_time_t look;

	if (!armed) {
		core_sleep(until, events);
		return;
	}
	watch_sleeps++;
	if (predicate_sleep(&words, until, events) == 0)
		return;
	look = core_now() + LOOK_NS;
	core_sleep(look < until ? look : until, events);
}

int watch_add(exo_cap_t frames, uint32_t index, uint32_t offset, unsigned bytes, enum predicate_test test)
{
	int word = predicate_add(&words, frames, index, offset, bytes, test);

	if (word >= 0)
		thread_idle = idle;
	return word;
}

void watch_remove(int word)
{
	watch_off(word);
	predicate_remove(&words, word);
}

void watch_arm(int word, uint64_t mask, uint64_t value)
{
	predicate_arm(&words, word, mask, value);
	armed |= 1u << word;
}

void watch_off(int word)
{
	predicate_disarm(&words, word);
	armed &= ~(1u << word);
}
