/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of a scheduler of environments that is the same for all policies: owning slices, looking at what
 * the clients have used, lending. See env.h.
 */
#include "libos/core/core.h"
#include "libos/core/spawn.h"
#include "libos/sched/env.h"

int64_t env_own(struct env_sched *sched, uint32_t first, uint32_t count)
{
	uint32_t slot = caps_slot();
	int64_t error;

	if (!slot)
		return -EXO_EFULL;
	error = exo_slice_take(slot, info_env((uint32_t)core_disp->self)->cpu, first, count);
	if (error < 0)
		return error;
	sched->slices = caps_handle(slot);
	error = exo_slice_bind(sched->slices, core_named(EXO_NAME_ENV));
	if (error < 0)
		env_disown(sched);
	return error < 0 ? error : 0;
}

void env_disown(struct env_sched *sched)
{
	caps_delete(sched->slices);
	sched->slices = EXO_CAP_NONE;
}

void env_add(struct env_sched *sched, struct env_client *client)
{
	struct env_client **end = &sched->clients;
	const struct exo_env_info *info = info_env((uint32_t)client->id);

	while (*end)
		end = &(*end)->next;
	*end = client;
	client->next = NULL;
	client->ns = client->turns = 0;
	client->seen = info ? info->ns : 0;
	client->left = client->budget;
	client->pass = sched->pass;
	client->behind = client->ready = false;
}

void env_remove(struct env_sched *sched, struct env_client *client)
{
	struct env_client **at = &sched->clients;

	while (*at && *at != client)
		at = &(*at)->next;
	if (*at)
		*at = client->next;
	if (sched->last == client)
		sched->last = NULL;
}

/* Who is ready, and what each has used since the last look. */
static void look(struct env_sched *sched)
{
	for (struct env_client *client = sched->clients; client; client = client->next) {
		const struct exo_env_info *info = info_env((uint32_t)client->id);
		uint64_t ns = info->ns - client->seen;
		client->ready = info->state == EXO_ENV_READY && info->id == client->id;
		if (!ns || info->id != client->id)
			continue;
		client->seen += ns;
		client->ns += ns;
		if (sched->policy->used)
			sched->policy->used(sched, client, ns);
	}
}

void env_turn(struct env_sched *sched)
{
	uint64_t events = *(volatile uint64_t *)&core_disp->events;
	exo_time_t until = EXO_NEVER, now = core_now();
	struct env_client *client;

	look(sched);
	sched->turns++;
	client = sched->policy->pick(sched, now, &until);
	if (client) {
		client->turns++;
		core_lend(client->env, until);
		return;
	}
	if (until > now + core_info->slice_ns)
		until = now + core_info->slice_ns;
	core_sleep(until, events);
}

void env_run(struct env_sched *sched, exo_time_t until)
{
	while (core_now() < until)
		env_turn(sched);
	look(sched);
}
