/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose turn counts for more: nice values, and real-time policies of processes.
 *
 * Who may have which is judged here; what it means is done in two ways.
 *
 * Turns: processes have their time in turn. So one that shall have less than the favoured ones leaves turns to others:
 * its page says how many, in sixteenths, for each slice that it has used up, and its own libOS yields them
 * (libos/posix/turns.c). The number is the ratio of weights, 1.25 for each step of nice, so it counts from the lowest
 * nice value that any process has. It is the process's own word that is kept, not enforced: one with another libOS
 * takes its turns.
 *
 * Slices: the real-time process of the highest priority has what is free of the CPU's vector, but for every SPARE-th
 * slice; these, and all that it does not want, go round as ever. That the kernel enforces, and it interrupts
 * others when that process wakes. Nobody else is real-time, and nothing is taken. Other real-time processes have what it
 * leaves by turns: each priority leaves BELOW times as many to the one above, and those that are not real-time more.
 *
 * Rejected: to stop and start environments from here, which costs the keeper a clock of its own and each process its
 * upcalls.
 */
#include <errno.h>
#include "libos/keep/private.h"

#define NICE_LEAST	(-WIRE_NICE)
#define NICE_MOST	(WIRE_NICE - 1)
#define TURNS_MOST	(99 * WIRE_TURN)
#define BELOW		10
#define REAL_TIME_MOST	(TURNS_MOST / 2)
#define SPARE		16
#define RUNS		8		/* of slices, at most */

static exo_cap_t run[RUNS];
static uint32_t runs;
static exo_env_id_t first;		/* whose they are; 0: nobody's */

static bool lives(const struct keep_process *process)
{
	return (process->state == KEEP_RUNNING || process->state == KEEP_STOPPED) && !process->ending;
}

/* --- slices --------------------------------------------------------------------------------------------------- */

static void slices_drop(void)
{
	while (runs)
		caps_delete(run[--runs]);
}

static void slices_take(void)
{
	for (uint32_t at = 0, count; at < EXO_SLICES && runs < RUNS; at += count + 1) {
		for (count = 0; at + count < EXO_SLICES && (at + count) % SPARE != SPARE - 1; count++)
			if (info_slice(keep_cpu * EXO_SLICES + at + count)->taken)
				break;
		uint32_t slot = count ? caps_slot() : 0;

		if (slot && exo_slice_take(slot, keep_cpu, at, count) >= 0)
			run[runs++] = caps_handle(slot);
	}
}

static void slices_give(const struct keep_process *process)
{
	exo_env_id_t id = process ? process->id : 0;

	if (id == first)
		return;
	first = id;
	if (!id) {
		slices_drop();
		return;
	}
	if (!runs)
		slices_take();
	for (uint32_t i = 0; i < runs; i++)
		(void)exo_slice_bind(run[i], process->env);
}

/* --- turns ---------------------------------------------------------------------------------------------------- */

/* Of one who is `steps` less favoured. */
static uint32_t turns_of(int steps)
{
	uint64_t ratio = WIRE_TURN << 8;	/* with 8 more bits */

	while (steps-- > 0 && ratio >> 8 < TURNS_MOST)
		ratio += ratio / 4;
	ratio = (ratio >> 8) - WIRE_TURN;
	return (uint32_t)(ratio < TURNS_MOST ? ratio : TURNS_MOST);
}

/* Of a real-time process without slices; `others` has a bit for each priority of such ones. */
static uint32_t turns_below(uint64_t others, unsigned priority)
{
	uint32_t turns = BELOW * WIRE_TURN * (uint32_t)__builtin_popcountll(others >> priority >> 1);

	return turns < REAL_TIME_MOST ? turns : REAL_TIME_MOST;
}

static void look(void)
{
	const struct keep_process *top = NULL;
	int least = NICE_MOST;
	uint64_t others = 0;

	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process)) {
		const struct keep_process *below = process;

		if (!lives(process))
			continue;
		if (process->policy && (!top || process->priority > top->priority)) {
			below = top;
			top = process;
		}
		if (below && below->policy)
			others |= 1ULL << below->priority;
		if (process->nice < least)
			least = process->nice;
	}
	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process)) {
		if (process->policy)
			process->turns = process == top ? 0 : turns_below(others, process->priority);
		else
			process->turns = top ? TURNS_MOST : turns_of(process->nice - least);
		process->page->turns = process->turns;
	}
	slices_give(top);
}

void keep_priority_changed(struct keep_process *process)
{
	(void)process;
	look();
}

/* --- requests ------------------------------------------------------------------------------------------------- */

static bool may(const struct keep_process *asks, const struct keep_process *process)
{
	return !asks->euid || asks->euid == process->uid || asks->euid == process->euid;
}

static bool meant(const struct keep_process *process, uint64_t which, uint64_t who)
{
	if (!lives(process) && process->state != KEEP_ZOMBIE)
		return false;
	if (which == WIRE_PRIORITY_PROCESS)
		return (uint64_t)process->pid == who;
	return (which == WIRE_PRIORITY_GROUP ? (uint64_t)process->pgid : process->euid) == who;
}

static int64_t renice(const struct keep_process *asks, struct keep_process *process, int nice)
{
	if (!may(asks, process))
		return -EPERM;
	if (nice < process->nice && asks->euid)
		return -EACCES;
	process->nice = (int8_t)nice;
	return 0;
}

/* All that are meant; what fails for one is told, and done for the others. */
static int64_t do_priority(struct keep_request *request)
{
	const struct keep_process *asks = request->process;
	uint64_t which = request->word[0] & ~(uint64_t)WIRE_PRIORITY_SET, who = (uint32_t)request->word[1];
	int64_t wanted = (int64_t)request->word[2], result = 0;
	bool found = false, set = request->word[0] & WIRE_PRIORITY_SET;
	int least = NICE_MOST;

	if (which > WIRE_PRIORITY_USER)
		return -EINVAL;
	wanted = wanted < NICE_LEAST ? NICE_LEAST : wanted > NICE_MOST ? NICE_MOST : wanted;
	if (!who)
		who = which == WIRE_PRIORITY_PROCESS ? (uint64_t)asks->pid : which == WIRE_PRIORITY_GROUP ?
			(uint64_t)asks->pgid : asks->euid;
	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process)) {
		int64_t error;

		if (!meant(process, which, who))
			continue;
		found = true;
		error = set ? renice(asks, process, (int)wanted) : 0;
		if (error)
			result = error;
		if (process->nice < least)
			least = process->nice;
	}
	if (!found)
		return -ESRCH;
	if (set)
		look();
	return result ? result : least + WIRE_NICE;
}

static int64_t do_schedule(struct keep_request *request)
{
	const struct keep_process *asks = request->process;
	int64_t pid = (int64_t)request->word[0], was;
	struct keep_process *process = pid ? pid < 0 || pid > INT32_MAX ? NULL : keep_find((pid_t)pid) : request->process;
	uint64_t policy = request->word[2] >> 32, priority = (uint32_t)request->word[2];

	if (pid < 0)
		return -EINVAL;
	if (!process)
		return -ESRCH;
	was = process->policy;
	request->more[0] = process->priority;
	if (!request->word[1])
		return was;
	if (request->word[1] == 1)
		policy = process->policy;
	if (policy > WIRE_SCHED_RR || (policy ? priority - 1 >= WIRE_SCHED_MOST : priority))
		return -EINVAL;
	if (!may(asks, process) ||
	    (asks->euid && policy && (policy != process->policy || priority > process->priority)))
		return -EPERM;
	process->policy = (uint8_t)policy;
	process->priority = (uint8_t)priority;
	look();
	return was;
}

/* Threads that compute where they may not any more are stopped, and see it. */
static int64_t do_affinity(struct keep_request *request)
{
	int64_t pid = (int64_t)request->word[0];
	struct keep_process *process = pid ? pid < 0 || pid > INT32_MAX ? NULL : keep_find((pid_t)pid) : request->process;
	uint64_t all = core_info->cpus < 64 ? (1ULL << core_info->cpus) - 1 : UINT64_MAX;

	if (!process || !lives(process))
		return -ESRCH;
	if (request->word[2]) {
		if (!may(request->process, process))
			return -EPERM;
		if (request->word[1] >> keep_cpu & 1)
			return -EINVAL;
		process->not_cpus = process->page->not_cpus = request->word[1] & all;
		for (uint32_t i = 0; i < process->body->cpus; i++)
			body_recall(process->body, i);
	}
	request->more[0] = all & ~process->not_cpus;
	return 0;
}

void keep_priority_start(void)
{
	keep_serve(REQUEST_AFFINITY, do_affinity);
	keep_serve(REQUEST_PRIORITY, do_priority);
	keep_serve(REQUEST_SCHEDULE, do_schedule);
}
