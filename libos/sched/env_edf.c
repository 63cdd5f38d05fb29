/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Earliest deadline first, with reservations: a client has a budget in each of its periods, and the end of a
 * period is its deadline. If the budgets of all, each divided by its period, sum up to no more than 1 (less
 * the cost of switching), all have their budget by their deadlines (Liu and Layland 1973). A client that
 * wants more than its budget waits for its next period, and one without a period runs only when nobody with
 * one wants to, so neither can make another late.
 *
 * A client releases its work itself, by waking (a timer, an event): here its periods are only counted, from
 * the release that the caller has set. So a job is asked about again when it is released, if that comes
 * before the deadline of the one that runs, and not before.
 */
#include "libos/sched/env.h"

/*
 * ns: what is left of a budget and not worth a switch. So a budget is that much more than is needed, at
 * least.
 */
#define LEAST	2000

/* The period of a client in which `now` lies. */
static void renew(struct env_client *client, exo_time_t now)
{
	if (now < client->release + client->period)
		return;
	client->release += client->period;
	if (now >= client->release + client->period)
		client->release += (now - client->release) / client->period * client->period;
	client->left = client->budget;
}

static exo_time_t deadline(const struct env_client *client)
{
	return client->release + client->period;
}

/* When it can next want the CPU that it does not want now. */
static exo_time_t next_release(const struct env_client *client, exo_time_t now)
{
	return now < client->release ? client->release : deadline(client);
}

static struct env_client *edf_pick(struct env_sched *sched, exo_time_t now, exo_time_t *until)
{
	struct env_client *best = NULL, *client;

	for (client = sched->clients; client; client = client->next) {
		if (!client->period)
			continue;
		renew(client, now);
		if (client->ready && client->left >= LEAST && now >= client->release &&
		    (!best || deadline(client) < deadline(best)))
			best = client;
	}
	for (client = sched->clients; client; client = client->next) {
		if (!client->period || client == best)
			continue;
		exo_time_t next = next_release(client, now);
		if ((!best || next + client->period < deadline(best)) && next < *until)
			*until = next;
	}
	if (!best)
		return env_next(sched);
	if (now + best->left < *until)
		*until = now + best->left;
	return best;
}

static void edf_used(struct env_sched *sched, struct env_client *client, uint64_t ns)
{
	(void)sched;
	client->left -= ns < client->left ? ns : client->left;
}

const struct env_policy env_edf = { "edf", edf_pick, edf_used };
