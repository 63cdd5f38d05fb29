/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time of the day as the processes of one keeper have it: the machine's and what the superuser among them has put
 * on top. The machine's clock is nobody's, and other keepers' processes see nothing of it.
 *
 * Each page says what is to be added, and how often that has changed; whoever waits for a time of the day is woken
 * and looks again. Files' times are the keeper's own reading of the same clock.
 */
#include <errno.h>
#include "libos/keep/keep.h"

#pragma weak keep_eventfd_clock

static volatile int64_t offset;
static uint32_t sets;

static int64_t do_clock(struct keep_request *request)
{
	uint64_t now = core_wall() - (uint64_t)offset;	/* the machine's; 0: it has none */

	if (request->process->euid)
		return -EPERM;
	if (request->word[0] >= WIRE_DAY_END)
		return -EINVAL;
	offset = (int64_t)(request->word[0] - (now ? now : core_now()));
	sets++;
	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process)) {
		keep_clock_page(process->page);
		if (process->state == KEEP_RUNNING || process->state == KEEP_STOPPED)
			keep_poke(process);
	}
	if (keep_eventfd_clock)
		keep_eventfd_clock();
	return 0;
}

void keep_clock_page(struct wire_page *page)
{
	__atomic_store_n(&page->day_offset, offset, __ATOMIC_RELAXED);
	__atomic_store_n(&page->day_sets, sets, __ATOMIC_RELEASE);
}

void keep_clock_start(void)
{
	core_wall_offset = &offset;
	keep_serve(REQUEST_CLOCK, do_clock);
}
