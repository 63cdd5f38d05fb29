/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Most recently brought in goes first: what came while there was room stays, and the rest of a scan passes
 * through one frame. For a sequential scan that is repeated, of n pages through m frames, no policy has fewer
 * faults.
 *
 * "Recently used" is taken as recently faulted in: the use that a fault shows is the only one that costs
 * nothing to see, and pages that are used all the time (an index) must not be taken for the last step of the
 * scan. Weak where the set of pages in use changes: what came first never goes.
 */
#include "libos/vm/policy.h"

static uint32_t mru_victim(struct policy_set *set, uint32_t wanted)
{
	(void)wanted;
	return set->list[0].tail;
}

const struct policy policy_mru = { .name = "mru", .victim = mru_victim };
