/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who pays for a shape of filters: the account that has flows of it, or has begun one.
 *
 * What several accounts use is charged to the lowest that they all lie below (N8). So nobody pays for it alone when the
 * others go, no charge moves to who did not ask, and it is refused only to who asks. The charge goes with the last flow and
 * the last program that it was asked for; and what was only begun keeps no account alive (account_settle).
 */
#include "exo/flows.h"

int64_t flow_shape_charge(struct shape *shape, exo_pfn_t account)
{
	struct account *now = account_at(account), *before = account_at(shape->account);
	int64_t error;

	if (before) {
		if (account_below(now, before))
			return 0;
		now = account_above(before, now);
		account_charge(before, EXO_SHARE_SHAPES, -1);
	}
	error = account_take_kept(now, EXO_SHARE_SHAPES, 1);
	if (!error)
		shape->account = now->self;
	else if (before)
		account_charge(before, EXO_SHARE_SHAPES, 1);
	return error;
}

void flow_shape_discharge(struct shape *shape)
{
	exo_pfn_t account = shape->account;

	if (!account || shape->flows || shape->asked)
		return;
	shape->account = 0;
	account_charge(account_at(account), EXO_SHARE_SHAPES, -1);
}

int32_t flow_shapes_forget(exo_pfn_t account)
{
	int32_t count = 0;

	for (struct shape *shape = shape_table + 1; shape < shape_table + shapes_max; shape++) {
		if (shape->account != account || shape->flows)
			continue;
		shape->asked = 0;
		shape->account = 0;
		count++;
	}
	return count;
}

bool flow_shapes_idle(exo_pfn_t account)
{
	for (uint32_t s = 1; s < shapes_max; s++) {
		if (shape_table[s].used && !shape_table[s].flows && (!account || shape_table[s].account == account))
			return true;
	}
	return false;
}
