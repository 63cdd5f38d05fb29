/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSI semaphores: sets, of which one operation changes several at once or none.
 *
 * An operation that cannot be done leaves a *waiter*, which says for GETNCNT and GETZCNT who waits for what; it goes
 * when its thread asks again, does not want to any more (SEMFORGET), or its process ends. An *undo* says what a
 * process's end adds to a semaphore: the sum of what it did with SEM_UNDO.
 *
 * X3 values are 0 to VALUE_MOST
 * X4 an undo or a waiter is of a process that lives, and of a set that is there; no process has more than UNDOS
 * or WAITERS
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/ipc.h"

#define SEMS_MOST	250		/* of a set */
#define VALUE_MOST	32767
#define UNDOS		256		/* of a process */
#define WAITERS		64

struct sem {
	uint16_t value;
	int32_t pid;			/* who did something last */
};

struct waiter {
	struct waiter *next;
	uint32_t process, thread;
	uint32_t number;
	bool zero;
};

struct sems {
	struct xsi xsi;
	uint32_t count;
	int64_t done;			/* when the last operation was */
	struct waiter *waiters;
	struct keep_queue waits;
	struct sem sem[];
};

struct undo {
	struct undo *next;
	struct sems *sems;
	uint32_t number;
	int32_t add;
};

static struct undo *undos[WIRE_PROCESSES];
static uint32_t waiting[WIRE_PROCESSES];	/* how many waiters it has */

static struct xsi *make(const struct keep_process *process, uint64_t size, int *error)
{
	struct sems *sems = NULL;

	(void)process;
	*error = -EINVAL;
	if (!size || size > SEMS_MOST)
		return NULL;
	*error = -ENOSPC;
	sems = calloc(1, sizeof(*sems) + size * sizeof(sems->sem[0]));
	if (!sems)
		return NULL;
	sems->count = (uint32_t)size;
	return &sems->xsi;
}

static int fits(const struct xsi *xsi, uint64_t size)
{
	return size > ((const struct sems *)xsi)->count ? -EINVAL : 0;
}

static struct xsi_kind kind = { .make = make, .fits = fits };

static int64_t do_get(struct keep_request *request)
{
	return xsi_get(&kind, request);
}

/* --- waiters -------------------------------------------------------------------------------------------------- */

/* Those of a process's thread, or (thread ~0) of all of them. */
static void forget(struct sems *sems, uint32_t process, uint32_t thread)
{
	for (struct waiter **link = &sems->waiters, *waiter; (waiter = *link);) {
		if (waiter->process != process || (thread != UINT32_MAX && waiter->thread != thread)) {
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		waiting[process]--;
		free(waiter);
	}
}

static void await(struct sems *sems, const struct keep_process *process, uint32_t thread, const struct wire_semop *op)
{
	struct waiter *waiter = waiting[process->index] < WAITERS ? malloc(sizeof(*waiter)) : NULL;

	keep_wait(&sems->waits, process);
	if (!waiter)
		return;			/* it waits, and is not counted */
	waiting[process->index]++;
	*waiter = (struct waiter){ sems->waiters, process->index, thread, op->number, op->add == 0 };
	sems->waiters = waiter;
}

/* --- undo ----------------------------------------------------------------------------------------------------- */

static struct undo *find_undo(const struct keep_process *process, const struct sems *sems, uint32_t number)
{
	struct undo *undo = undos[process->index];

	while (undo && (undo->sems != sems || undo->number != number))
		undo = undo->next;
	return undo;
}

/* There is an entry for each operation that wants one. */
static int make_undos(const struct keep_process *process, struct sems *sems, const struct wire_semop *op, uint64_t ops)
{
	uint32_t count = 0;

	for (const struct undo *undo = undos[process->index]; undo; undo = undo->next)
		count++;
	for (uint64_t i = 0; i < ops; i++) {
		struct undo *undo;

		if (!(op[i].flags & WIRE_SEM_UNDO) || !op[i].add || find_undo(process, sems, op[i].number))
			continue;
		undo = count++ < UNDOS ? malloc(sizeof(*undo)) : NULL;
		if (!undo)
			return -ENOSPC;
		*undo = (struct undo){ undos[process->index], sems, op[i].number, 0 };
		undos[process->index] = undo;
	}
	return 0;
}

/* Those of one semaphore (or, SEMS_MOST, of all) of a set go, whosever they are; `empty`: those that say nothing. */
static void drop_undos(uint32_t process, const struct sems *sems, uint32_t number, bool empty)
{
	for (struct undo **link = &undos[process], *undo; (undo = *link);) {
		if (undo->sems != sems || (number != SEMS_MOST && undo->number != number) || (empty && undo->add)) {
			link = &undo->next;
			continue;
		}
		*link = undo->next;
		free(undo);
	}
}

static void drop_all_undos(const struct sems *sems, uint32_t number)
{
	for (uint32_t i = 0; i < keep_used; i++)
		drop_undos(i, sems, number, false);
}

void xsi_sem_exit(const struct keep_process *process)
{
	struct undo *undo;

	while ((undo = undos[process->index])) {
		struct sem *sem = &undo->sems->sem[undo->number];
		int32_t value = sem->value + undo->add;

		undos[process->index] = undo->next;
		sem->value = (uint16_t)(value < 0 ? 0 : value > VALUE_MOST ? VALUE_MOST : value);
		sem->pid = process->pid;
		undo->sems->done = xsi_now();
		keep_wake(&undo->sems->waits);
		free(undo);
	}
	for (uint32_t i = 0; waiting[process->index] && i < XSI_MOST; i++)
		if (kind.at[i])
			forget((struct sems *)kind.at[i], process->index, UINT32_MAX);
}

/* --- operations ----------------------------------------------------------------------------------------------- */

static void take_back(struct sems *sems, const struct keep_process *process, const struct wire_semop *op, uint64_t ops)
{
	while (ops-- > 0) {
		struct undo *undo = op[ops].flags & WIRE_SEM_UNDO ? find_undo(process, sems, op[ops].number) : NULL;

		sems->sem[op[ops].number].value = (uint16_t)(sems->sem[op[ops].number].value - op[ops].add);
		if (undo)
			undo->add += op[ops].add;
	}
}

/* 0, -ERANGE, or 1: not now. */
static int step(struct sems *sems, const struct keep_process *process, const struct wire_semop *op)
{
	int32_t value = sems->sem[op->number].value + op->add;
	struct undo *undo = op->flags & WIRE_SEM_UNDO ? find_undo(process, sems, op->number) : NULL;

	if (op->add == 0 ? value != 0 : value < 0)
		return 1;
	if (value > VALUE_MOST || (undo && (undo->add - op->add > VALUE_MOST || undo->add - op->add < -VALUE_MOST)))
		return -ERANGE;
	sems->sem[op->number].value = (uint16_t)value;
	if (undo)
		undo->add -= op->add;
	return 0;
}

static int64_t operate(struct sems *sems, const struct keep_process *process, uint32_t thread,
		       const struct wire_semop *op, uint64_t ops)
{
	bool changed = false;
	int result = 0;
	uint64_t i;

	for (i = 0; i < ops && !(result = step(sems, process, &op[i])); i++)
		changed |= op[i].add != 0;
	if (result) {
		take_back(sems, process, op, i);
		if (result < 0)
			return result;
		if (op[i].flags & WIRE_SEM_NOWAIT)
			return -EAGAIN;
		await(sems, process, thread, &op[i]);
		return WIRE_WAIT;
	}
	for (i = 0; i < ops; i++)
		sems->sem[op[i].number].pid = process->pid;
	sems->done = xsi_now();
	if (changed)
		keep_wake(&sems->waits);
	return 0;
}

static int64_t do_operate(struct keep_request *request)
{
	const struct keep_process *process = request->process;
	struct wire_semop op[WIRE_SEMOPS];
	uint64_t ops = request->word[1];
	unsigned want = IPC_READ;
	int64_t result;
	int error;
	struct sems *sems;

	if (ops > WIRE_SEMOPS)
		return -E2BIG;
	if (!ops)
		return -EINVAL;
	memcpy(op, request->data, ops * sizeof(op[0]));
	for (uint64_t i = 0; i < ops; i++)
		if (op[i].add)
			want = IPC_WRITE;
	sems = (struct sems *)xsi_find(&kind, process, request->word[0], want, &error);
	if (!sems)
		return error;
	for (uint64_t i = 0; i < ops; i++)
		if (op[i].number >= sems->count)
			return -EFBIG;
	forget(sems, process->index, (uint32_t)request->word[2]);
	result = make_undos(process, sems, op, ops);
	if (!result)
		result = operate(sems, process, (uint32_t)request->word[2], op, ops);
	drop_undos(process->index, sems, SEMS_MOST, true);
	return result;
}

static int64_t do_forget(struct keep_request *request)
{
	int error;
	struct sems *sems = (struct sems *)xsi_find(&kind, request->process, request->word[0], 0, &error);

	if (!sems)
		return error;
	forget(sems, request->process->index, (uint32_t)request->word[2]);
	return 0;
}

/* --- control -------------------------------------------------------------------------------------------------- */

static void end(struct sems *sems)
{
	drop_all_undos(sems, SEMS_MOST);
	while (sems->waiters)
		forget(sems, sems->waiters->process, UINT32_MAX);
	keep_wake(&sems->waits);
	xsi_remove(&kind, &sems->xsi);
	free(sems);
}

static int64_t count_waiters(const struct sems *sems, uint32_t number, bool zero)
{
	int64_t count = 0;

	for (const struct waiter *waiter = sems->waiters; waiter; waiter = waiter->next)
		count += waiter->number == number && waiter->zero == zero;
	return count;
}

/* What is asked of one semaphore. */
static int64_t get_one(struct sems *sems, uint32_t number, uint32_t command)
{
	switch (command) {
	case WIRE_SEM_GETVAL:
		return sems->sem[number].value;
	case WIRE_SEM_GETPID:
		return sems->sem[number].pid;
	case WIRE_SEM_GETNCNT:
		return count_waiters(sems, number, false);
	default:
		return count_waiters(sems, number, true);
	}
}

static int64_t set_values(struct sems *sems, const struct keep_request *request)
{
	uint16_t value[SEMS_MOST];

	memcpy(value, request->data, sems->count * sizeof(value[0]));
	for (uint32_t i = 0; i < sems->count; i++)
		if (value[i] > VALUE_MOST)
			return -ERANGE;
	for (uint32_t i = 0; i < sems->count; i++) {
		sems->sem[i].value = value[i];
		sems->sem[i].pid = request->process->pid;
	}
	drop_all_undos(sems, SEMS_MOST);
	return 0;
}

static int64_t set_one(struct sems *sems, const struct keep_request *request, uint32_t number)
{
	uint64_t value = request->word[2];

	if (value > VALUE_MOST)
		return -ERANGE;
	sems->sem[number].value = (uint16_t)value;
	sems->sem[number].pid = request->process->pid;
	drop_all_undos(sems, number);
	return 0;
}

static int64_t show(const struct sems *sems, char *to)
{
	struct wire_sem wire = { .count = sems->count, .done = sems->done };

	xsi_show(&sems->xsi, &wire.xsi);
	memcpy(to, &wire, sizeof(wire));
	return 0;
}

static int64_t own(struct sems *sems, struct keep_request *request, uint32_t command)
{
	struct wire_sem wire;

	if (!xsi_owner(request->process, &sems->xsi))
		return -EPERM;
	if (command == WIRE_IPC_RMID) {
		end(sems);
		return 0;
	}
	memcpy(&wire, request->data, sizeof(wire));
	xsi_set(&sems->xsi, &wire.xsi);
	keep_wake(&sems->waits);
	return 0;
}

static int64_t do_control(struct keep_request *request)
{
	uint32_t command = (uint32_t)request->word[1], number = (uint32_t)(request->word[1] >> 32);
	bool set = command == WIRE_SEM_SETVAL || command == WIRE_SEM_SETALL || command == WIRE_SEM_COUNT;
	bool owner = command == WIRE_IPC_RMID || command == WIRE_IPC_SET;
	int error;
	struct sems *sems = (struct sems *)xsi_find(&kind, request->process, request->word[0],
						    owner ? 0 : set ? IPC_WRITE : IPC_READ, &error);
	int64_t result;

	if (command > WIRE_SEM_COUNT)
		return -EINVAL;
	if (!sems)
		return error;
	if (owner)
		return own(sems, request, command);
	if (command == WIRE_IPC_STAT)
		return show(sems, request->data);
	if (command == WIRE_SEM_COUNT)
		return sems->count;
	if (command == WIRE_SEM_GETALL) {
		for (uint32_t i = 0; i < sems->count; i++)
			memcpy(request->data + i * sizeof(uint16_t), &sems->sem[i].value, sizeof(uint16_t));
		return sems->count;
	}
	if (command != WIRE_SEM_SETALL && number >= sems->count)
		return -EINVAL;
	if (!set)
		return get_one(sems, number, command);
	result = command == WIRE_SEM_SETALL ? set_values(sems, request) : set_one(sems, request, number);
	if (!result) {
		sems->xsi.changed = xsi_now();
		keep_wake(&sems->waits);
	}
	return result;
}

/* --- check, start --------------------------------------------------------------------------------------------- */

static bool there(const struct sems *sems)
{
	for (uint32_t i = 0; i < XSI_MOST; i++)
		if ((const struct sems *)kind.at[i] == sems)
			return true;
	return false;
}

static bool gone(uint32_t process)
{
	return keep_process[process].state == KEEP_FREE || keep_process[process].state == KEEP_ZOMBIE;
}

const char *xsi_sem_check(void)
{
	for (uint32_t i = 0; i < XSI_MOST; i++) {
		const struct sems *sems = (const struct sems *)kind.at[i];

		for (uint32_t j = 0; sems && j < sems->count; j++)
			if (sems->sem[j].value > VALUE_MOST)
				return "X3: a semaphore's value is none";
		for (const struct waiter *waiter = sems ? sems->waiters : NULL; waiter; waiter = waiter->next)
			if (gone(waiter->process))
				return "X4: somebody waits for a semaphore who is gone";
	}
	for (uint32_t i = 0; i < keep_used; i++)
		for (const struct undo *undo = undos[i]; undo; undo = undo->next)
			if (gone(i) || !there(undo->sems) || undo->number >= undo->sems->count)
				return "X4: an undo of nobody, or of no semaphore";
	return xsi_check(&kind);
}

void xsi_sem_start(void)
{
	keep_serve(REQUEST_SEMGET, do_get);
	keep_serve(REQUEST_SEMOP, do_operate);
	keep_serve(REQUEST_SEMFORGET, do_forget);
	keep_serve(REQUEST_SEMCTL, do_control);
}
