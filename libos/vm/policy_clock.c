/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Least recently used, nearly: the hand goes round the resident pages in the order in which they came; one
 * that was used since the hand passed it is passed again, the first that was not goes (second chance). After
 * Multics and BSD.
 */
#include "libos/vm/policy.h"

static uint32_t clock_victim(struct policy_set *set, uint32_t wanted)
{
	(void)wanted;
	return policy_second_chance(set, 0);
}

const struct policy policy_clock = { .name = "clock", .victim = clock_victim };
