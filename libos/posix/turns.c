/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that others are favoured before (nice, real-time processes) leaves them turns of the CPU.
 *
 * Its page says how many for each slice that it has used up (libos/keep/priority.c). When it is interrupted in the
 * middle of something, its slice is over: at its next turns it yields at once, from the upcall, and is called anew. A turn that
 * comes back at once was wanted by nobody who computes; after IDLE of those in a row the rest is forgiven, so that no time
 * is lost. A signal ends it, too. Who sleeps before its slice is over owes nothing.
 */
#include "libos/posix/call.h"
#include "libos/posix/signal_private.h"

#pragma GCC target("general-regs-only")

#define IDLE		3
#define AT_ONCE		8		/* in less than this part of a slice */

struct posix_turns posix_turns;

bool posix_turn_leave(struct posix_turns *turns)
{
	exo_time_t now = core_now();

	if (!turns->given)
		turns->owed += signal_page->turns;
	else
		turns->idle = now - turns->given < core_info->slice_ns / AT_ONCE ? turns->idle + 1 : 0;
	if (turns->owed < WIRE_TURN || turns->idle >= IDLE || *(volatile uint64_t *)&signal_page->pending) {
		if (turns->owed >= WIRE_TURN)
			turns->owed = 0;
		turns->idle = 0;
		turns->given = 0;
		return false;
	}
	turns->owed -= WIRE_TURN;
	turns->given = now;
	return true;
}
