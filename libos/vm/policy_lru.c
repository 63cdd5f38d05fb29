/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Least recently used goes, as far as a processor tells: at each choice, the pages that were used since the
 * one before go to the end of the list, in the order in which they stand; the first of the list goes. So
 * uses are ordered to within one fault. Exact order would take a fault for each use.
 *
 * It looks at every resident page each time, where the clock (policy_clock.c) stops at the first that was
 * not used: that is the price of the better order.
 */
#include "libos/vm/policy.h"

static uint32_t lru_victim(struct policy_set *set, uint32_t wanted)
{
	uint32_t page = set->list[0].head;

	(void)wanted;
	for (uint32_t left = set->list[0].count; left; left--) {
		uint32_t next = set->page[page].next;
		if (set->used(set, page)) {
			policy_remove(set, page);
			policy_append(set, 0, page);
		}
		page = next;
	}
	return set->list[0].head;
}

const struct policy policy_lru = { .name = "lru", .victim = lru_victim };
