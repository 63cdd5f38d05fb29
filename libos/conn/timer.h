/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers for those who implement conn.h: conn_timer_set and conn_timer_clear, for all of them but event, which has few and a list
 * of its own; the loop calls the rest.
 * No memory but the callers' and 2.6 KiB; nothing costs more for many timers than for few.
 */
#ifndef LIBOS_CONN_TIMER_H
#define LIBOS_CONN_TIMER_H

#include "libos/conn/conn.h"

#define TIMERS_NONE	UINT64_MAX

/*
 * Call what is due at `now`, a time of conn_now's clock. A timer is unset before it is called, and its function may set it again.
 */
void timers_run(uint64_t now);
/* When timers_run must be called next, never later than that: it may find nothing due yet. TIMERS_NONE: no timer is set. */
extern uint64_t timers_bound;
static inline uint64_t timers_next(void)
{
	return timers_bound;
}

#endif
