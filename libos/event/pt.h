/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protothreads: functions that wait without a stack.
 *
 * A protothread is a function that the libOS's loop (or another protothread) calls again and again. It returns where it has to
 * wait, and goes on there the next time: the place is a line number, kept in two bytes, and PT_BEGIN is a switch on it. So
 * local variables are lost over a wait (keep them in the structure around struct pt, or static), and no wait may stand inside a
 * switch of the function's own. Two waits need two lines. The idea is Dunkels, Schmidt, Voigt and Ali's (SenSys 2006).
 *
 *	static enum pt_state blink(struct pt *pt)
 *	{
 *		PT_BEGIN(pt);
 *		for (;;) {
 *			toggle();
 *			PT_SLEEP(pt, 500);
 *		}
 *		PT_END(pt);
 *	}
 *	...
 *	static struct pt blinker;
 *	pt_start(&blinker, blink);
 */
#ifndef LIBOS_EVENT_PT_H
#define LIBOS_EVENT_PT_H

#include <stdbool.h>
#include <stdint.h>
#include "libos/conn/conn.h"

enum pt_state { PT_WAITING, PT_ENDED };

struct pt {
	uint16_t line;			/* where it goes on; 0: at the beginning */
	bool started;			/* the loop calls it */
	bool listed;			/* it is in the loop's list */
	enum pt_state (*run)(struct pt *pt);
	struct pt *next;
	struct conn_timer timer;	/* of PT_SLEEP and PT_WAIT_UNTIL_OR */
};

#define PT_BEGIN(pt)	switch ((pt)->line) { case 0:
#define PT_END(pt)	} (pt)->line = 0; return PT_ENDED

/* Wait until a condition holds. It is looked at whenever something has happened to the program: a packet, a timer, an event. */
#define PT_WAIT_UNTIL(pt, condition) do { \
		(pt)->line = __LINE__; __attribute__((fallthrough)); case __LINE__: \
		if (!(condition)) \
			return PT_WAITING; \
	} while (0)
#define PT_WAIT_WHILE(pt, condition)	PT_WAIT_UNTIL(pt, !(condition))

/* Let the others run once. */
#define PT_YIELD(pt) do { \
		pt_again(); \
		(pt)->line = __LINE__; \
		return PT_WAITING; case __LINE__:; \
	} while (0)

/* Wait so many milliseconds. */
#define PT_SLEEP(pt, milliseconds) do { \
		pt_timer(pt, milliseconds); \
		PT_WAIT_UNTIL(pt, !(pt)->timer.set); \
	} while (0)

/* Wait until a condition holds, or so many milliseconds: look at the condition again to see which. */
#define PT_WAIT_UNTIL_OR(pt, condition, milliseconds) do { \
		pt_timer(pt, milliseconds); \
		PT_WAIT_UNTIL(pt, (condition) || !(pt)->timer.set); \
		conn_timer_clear(&(pt)->timer); \
	} while (0)

/* Wait until another protothread, which this one runs from its beginning, has ended. */
#define PT_SPAWN(pt, child, function) do { \
		(child)->line = 0; \
		PT_WAIT_UNTIL(pt, (function)(child) == PT_ENDED); \
	} while (0)

#define PT_EXIT(pt)	do { (pt)->line = 0; return PT_ENDED; } while (0)
#define PT_RESTART(pt)	do { (pt)->line = 0; pt_again(); return PT_WAITING; } while (0)

/*
 * Have the loop run it from its beginning, from the next turn on, until it ends. Memory is the caller's: zero at first, and the
 * loop's until the protothread has ended or, behind pt_stop, one more turn is over.
 */
void pt_start(struct pt *pt, enum pt_state (*run)(struct pt *pt));
/* Take it from the loop, wherever it waits. Not from within itself. */
void pt_stop(struct pt *pt);
/* The loop's next turn comes without sleep. */
void pt_again(void);
/* For the macros. */
void pt_timer(struct pt *pt, uint64_t milliseconds);

#endif
