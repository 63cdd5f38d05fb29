/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To stop a child at an instruction, by --icount, under which a nanosecond is one: slices go round, so the child has
 * the one behind its parent's, and at that one's end it is the parent that runs.
 */
#ifndef TEST_GUEST_POSIX_SLICES_H
#define TEST_GUEST_POSIX_SLICES_H

#include "libos/core/core.h"
#include "libos/posix/call.h"

/* Until another slice is the caller's; its end. */
static inline exo_time_t next_slice(void)
{
	const volatile uint64_t *slice_end = &core_disp->slice_end;
	uint64_t was = *slice_end;

	while (*slice_end == was)
		;
	return *slice_end;
}

static inline void others_run(void)
{
	bool was = posix_enter();

	core_yield(EXO_CAP_NONE);
	posix_leave(was);
}

/* Others have the CPU until then; who waits for nobody has it all the time. */
static inline void others_run_until(exo_time_t end)
{
	next_slice();
	while (core_now() < end)
		others_run();
}

#endif
