/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 2Q: a page that is wanted for the first time is on trial, first in, first out; only one that is wanted
 * again after it has gone is taken for one that is used often. So a scan drives out nothing but itself.
 *
 * TRIAL    resident, on trial; a quarter of the frames
 * GONE     not resident: the last that went from TRIAL; as many as half of the frames
 * OFTEN    resident, wanted again while in GONE; by second chance
 *
 * After Johnson and Shasha (VLDB 1994), their full version and shares; they keep OFTEN by exact use, which a
 * pager does not see.
 */
#include "libos/vm/policy.h"

enum { TRIAL, GONE, OFTEN };

static uint32_t twoq_victim(struct policy_set *set, uint32_t wanted)
{
	if (policy_in(set, GONE, wanted)) {
		/* It must not be forgotten for the one that goes now. */
		policy_remove(set, wanted);
		policy_append(set, GONE, wanted);
	}
	if (set->list[TRIAL].count > set->frames / 4 || !set->list[OFTEN].count)
		return set->list[TRIAL].head;
	return policy_second_chance(set, OFTEN);
}

static void twoq_loaded(struct policy_set *set, uint32_t page)
{
	bool again = policy_in(set, GONE, page);

	policy_remove(set, page);
	policy_append(set, again ? OFTEN : TRIAL, page);
}

static void twoq_dropped(struct policy_set *set, uint32_t page)
{
	bool tried = policy_in(set, TRIAL, page);

	policy_remove(set, page);
	if (!tried)
		return;
	policy_append(set, GONE, page);
	if (set->list[GONE].count > set->frames / 2)
		policy_remove(set, set->list[GONE].head);
}

const struct policy policy_2q = { "2q", twoq_victim, twoq_loaded, twoq_dropped };
