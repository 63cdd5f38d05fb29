/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Environments in turn: each ready one has what is left of a slice, in the order in which they were added.
 */
#include "libos/sched/env.h"

static struct env_client *ready_from(struct env_client *from, const struct env_client *end)
{
	while (from && from != end && !(from->ready && !from->period))
		from = from->next;
	return from == end ? NULL : from;
}

struct env_client *env_next(struct env_sched *sched)
{
	struct env_client *last = sched->last, *after = last ? last->next : NULL;
	struct env_client *client = ready_from(after, NULL);

	if (!client)
		client = ready_from(sched->clients, after);
	if (client)
		sched->last = client;
	return client;
}

static struct env_client *rr_pick(struct env_sched *sched, exo_time_t now, exo_time_t *until)
{
	(void)now, (void)until;
	return env_next(sched);
}

const struct env_policy env_rr = { .name = "round robin", .pick = rr_pick };
