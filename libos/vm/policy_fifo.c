/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First in, first out: the page goes that came first. Asks nothing about use, so it costs no entry of a page
 * table.
 */
#include "libos/vm/policy.h"

static uint32_t fifo_victim(struct policy_set *set, uint32_t wanted)
{
	(void)wanted;
	return set->list[0].head;
}

const struct policy policy_fifo = { .name = "fifo", .victim = fifo_victim };
