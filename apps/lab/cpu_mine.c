/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy of CPU sharing to modify: who of the ready clients runs now, and until when?
 *
 * What there is to decide by (libos/sched/env.h):
 *   sched->clients, client->next       all of them; client->ready: may it run?
 *   client->share                      what it is to have, in percent
 *   client->ns, client->turns          what it has had so far, and how often it was chosen
 *   env_next(sched)                    the next ready one in turn
 *   *until                             lower it to be asked again before the slice ends
 * `used` (here NULL) hears of all CPU time that a client has had. With a name in which "edf" stands,
 * clients have client->period and client->budget, too.
 *
 * This one lets each run for as many parts of a millisecond as its share says, in turn.
 */
#include "libos/sched/env.h"

static struct env_client *pick(struct env_sched *sched, exo_time_t now, exo_time_t *until)
{
	struct env_client *client = env_next(sched);

	if (client)
		*until = now + client->share * 10000;
	return client;
}

const struct env_policy lab_policy = { "mine", pick, NULL };
