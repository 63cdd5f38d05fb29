/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lottery: each slice is drawn among the ready clients, with as many tickets for each as its share. Shares
 * hold on average: after n slices one with the part p of the tickets has p * n of them, give or take some
 * sqrt(n p (1 - p)). Nothing is remembered, so clients may come, go and change their shares at any time.
 *
 * The random numbers are a shift register's, from the seed: the same seed makes the same choices. After
 * Waldspurger and Weihl (1994), without compensation tickets for those who give up a slice early.
 */
#include "libos/sched/env.h"

/* Marsaglia's xorshift64*, of which the upper half is used. */
static uint32_t draw(struct env_sched *sched)
{
	sched->seed ^= sched->seed >> 12;
	sched->seed ^= sched->seed << 25;
	sched->seed ^= sched->seed >> 27;
	return (uint32_t)(sched->seed * 0x2545f4914f6cdd1d >> 32);
}

static struct env_client *lottery_pick(struct env_sched *sched, exo_time_t now, exo_time_t *until)
{
	struct env_client *client;
	uint64_t tickets = 0, ticket;

	(void)now, (void)until;
	for (client = sched->clients; client; client = client->next)
		tickets += client->ready ? client->share : 0;
	if (!tickets)
		return NULL;
	/* Shares are 32 bits wide: what a multiplication cuts off makes no difference that could be seen. */
	ticket = (uint64_t)((unsigned __int128)tickets * draw(sched) >> 32);
	for (client = sched->clients; client; client = client->next) {
		uint64_t share = client->ready ? client->share : 0;
		if (ticket < share)
			break;
		ticket -= share;
	}
	return client;
}

const struct env_policy env_lottery = { .name = "lottery", .pick = lottery_pick };
