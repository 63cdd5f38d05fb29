/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A page replacement policy to modify: which page goes when another is wanted and no frame is left?
 *
 * What there is to decide by (libos/vm/policy.h):
 *   set->list[0].head, .tail           the resident page that came first, last
 *   set->page[page].next, .prev        the one that came after it, before it; POLICY_NONE: there is none
 *   set->used(set, page)               was it used since this was asked last?
 *   set->written(set, page)            was it written, so that it costs a write if it goes?
 *   policy_remove, policy_append       take a page out of its list, put it at the end of one (there are four)
 *
 * This one is first in, first out.
 */
#pragma GCC target("general-regs-only")
#include "libos/vm/policy.h"

static uint32_t victim(struct policy_set *set, uint32_t wanted)
{
	(void)wanted;
	return set->list[0].head;
}

const struct policy lab_policy = { .name = "mine", .victim = victim };
