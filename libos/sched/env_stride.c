/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stride: CPU time in proportion to shares, exactly. A client's pass is the time that it has had, divided by
 * its share; who has the lowest runs. It counts what was used, not turns, so it makes no difference who uses
 * whole slices. At no time is anybody further from its due than by one slice.
 *
 * Who was not ready has no claim to the time that went by: it begins where the others are. After Waldspurger
 * and Weihl (1995).
 */
#include "libos/sched/env.h"

#define ONE	(1ULL << 20)	/* pass of 1 ns for a share of 1 */

static struct env_client *stride_pick(struct env_sched *sched, exo_time_t now, exo_time_t *until)
{
	struct env_client *best = NULL;

	(void)now, (void)until;
	for (struct env_client *client = sched->clients; client; client = client->next) {
		if (!client->ready) {
			client->behind = true;
			continue;
		}
		if (client->behind && client->pass < sched->pass)
			client->pass = sched->pass;
		client->behind = false;
		if (!best || client->pass < best->pass)
			best = client;
	}
	if (best)
		sched->pass = best->pass;
	return best;
}

static void stride_used(struct env_sched *sched, struct env_client *client, uint64_t ns)
{
	(void)sched;
	client->pass += ns * ONE / client->share;
}

const struct env_policy env_stride = { "stride", stride_pick, stride_used };
