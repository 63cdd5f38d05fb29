/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process on several CPUs: more environments in its space, for its threads (libos/posix/cpus.h).
 *
 * All are made at once, while the process waits for the answer, so nobody runs who could use up what its account may have
 * for a moment: otherwise that is the one environment. The process may wake them and nothing else, so they end with it.
 * One that ends by itself ends the process.
 */
#include <errno.h>
#include "libos/keep/private.h"

#define FRAMES		4	/* of an environment; the second is its dispatcher page */

static bool runs(uint32_t cpu)
{
	const struct exo_env_info *own = info_env((uint32_t)core_disp->self);

	return own && own->cpu != cpu;
}

static exo_vaddr_t page_of(uint32_t n)
{
	return WIRE_VA_CPUS + n * EXO_PAGE_SIZE;
}

/* It lies in the body from its creation on; it does not run yet. */
static int64_t make(struct keep_body *body, const struct frame *frame, uint32_t cpu, exo_vaddr_t entry)
{
	struct exo_env_params *params = core_arg(0);
	struct keep_cpu *one = &body->cpu[body->cpus];
	uint32_t n = body->cpus, slot = caps_slot();
	int64_t error;

	if (!slot)
		return -EXO_ESLOT;
	*params = (struct exo_env_params){ .cpu = cpu, .run_entry = entry };
	core_format(params->label, sizeof(params->label), "cpu%u", cpu);
	error = exo_env_create(slot, body->space, body->account, frame->cap, frame->first, 0);
	if (error < 0)
		return error;
	*one = (struct keep_cpu){ .env = caps_handle(slot), .cpu = cpu };
	body->cpus++;
	error = space_map_in(body->space, &body->objects, page_of(n), EXO_MAP_READ | EXO_MAP_WRITE, frame->cap,
			     frame->first + 1, 1);
	if (error < 0)
		return error;
	*(volatile uint64_t *)core_arg(0) = page_of(n + 1);
	error = exo_env_write(one->env, page_of(n) + offsetof(struct exo_disp, upcall_sp), 0, sizeof(uint64_t));
	if (error >= 0)
		error = exo_env_read(one->env, page_of(n) + offsetof(struct exo_disp, self), 0, sizeof(one->id));
	one->id = *(volatile exo_env_id_t *)core_arg(0);
	if (error >= 0)
		error = exo_cap_derive(body->env, one->env, 1, EXO_RIGHT_WAKE, 0, 0);
	if (error >= 0)
		error = exo_cap_derive(one->env, EXO_PEER, n, EXO_RIGHT_READ | EXO_RIGHT_WAKE, 0, 0);
	return error;
}

static void drop_last(struct keep_body *body)
{
	struct keep_cpu *one = &body->cpu[--body->cpus];
	const struct exo_env_info *info = info_env((uint32_t)one->id);
	uint64_t before = info && info->id == one->id ? info->ns : 0;

	while (exo_env_destroy(one->env) == -EXO_EAGAIN)
		;
	body->ns += info && info->id == one->id ? info->ns : before;
	caps_delete(one->env);
}

static int64_t make_all(struct keep_request *request)
{
	struct keep_body *body = request->process->body;
	struct frame frame;
	int64_t error = 0;

	/* Once: the frames of what fails stay the body's. */
	if (body->cpus_asked || core_info->cpus < 2 || !body_room())
		return body->cpus_asked ? body->cpus : 0;
	body->cpus_asked = true;
	body_envs(body->account, core_info->cpus);
	for (uint32_t cpu = 0; cpu < core_info->cpus && body->cpus < WIRE_CPUS && error >= 0; cpu++) {
		uint32_t before = body->cpus;

		if (!runs(cpu))
			continue;
		error = frame_bag_take(&body->objects, FRAMES, &frame);
		if (error >= 0)
			error = make(body, &frame, cpu, request->word[0]);
		if (error < 0 && body->cpus > before)
			drop_last(body);
	}
	body_envs(body->account, 1);
	for (uint32_t i = 0; i < body->cpus; i++)
		(void)exo_env_start(body->cpu[i].env);
	return body->cpus;
}

void body_recall(const struct keep_body *body, uint32_t i)
{
	const struct keep_cpu *one = &body->cpu[i];

	if (exo_env_move(one->env, EXO_CPU_NONE) >= 0)
		while (exo_env_move(one->env, one->cpu) == -EXO_EAGAIN)
			;
}

static int64_t recall(struct keep_request *request)
{
	const struct keep_body *body = request->process->body;

	if (request->word[0] >= body->cpus)
		return -EINVAL;
	body_recall(body, (uint32_t)request->word[0]);
	return 0;
}

void body_cpus_drop(struct keep_body *body)
{
	while (body->cpus)
		drop_last(body);
}

const struct exo_env_info *body_cpu(const struct keep_body *body, uint32_t i)
{
	const struct exo_env_info *info = info_env((uint32_t)body->cpu[i].id);

	return info && info->id == body->cpu[i].id ? info : NULL;
}

void keep_cpus_start(void)
{
	keep_serve(REQUEST_CPUS, make_all);
	keep_serve(REQUEST_RECALL, recall);
}
