/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process table and requests for the keeper's parts (libos/keep) on this computer: no transfers, no environments.
 */
#ifndef TEST_UNIT_KEEP_TABLE_H
#define TEST_UNIT_KEEP_TABLE_H

#include <stdlib.h>
#include <string.h>
#include "libos/keep/keep.h"

#define FAKE_PROCESSES	6

static struct keep_process fake_table[WIRE_PROCESSES];
struct keep_process *keep_process = fake_table;
uint32_t keep_used = WIRE_PROCESSES;
static keep_handler fake_handlers[WIRE_REQUESTS];
static unsigned fake_signals;			/* SIGPIPEs and the like */
static void (*fake_signal)(struct keep_process *process, int number, const struct wire_signal *info);

void keep_serve(enum wire_request number, keep_handler handler)
{
	fake_handlers[number] = handler;
}

void (*keep_watch)(struct keep_queue *queue, bool woken);

void keep_wait(struct keep_queue *queue, const struct keep_process *process)
{
	if (process->index == KEEP_WATCHER)
		keep_watch(queue, false);
	queue->waits[process->index >> 6] |= 1ull << (process->index & 63);
	queue->some |= 1ull << (process->index >> 6);
}

void keep_poke(struct keep_process *process)
{
	process->page->wakes++;
}

void keep_wake(struct keep_queue *queue)
{
	bool watched = queue->waits[KEEP_WATCHER >> 6] >> (KEEP_WATCHER & 63);

	for (uint32_t i = 0; i < WIRE_PROCESSES; i++)
		if (queue->waits[i >> 6] >> (i & 63) & 1)
			keep_poke(&keep_process[i]);
	memset(queue, 0, sizeof(*queue));
	if (watched)
		keep_watch(queue, true);
}

bool keep_process_room(struct keep_process *process, uint32_t fds)
{
	return process && fds <= WIRE_FDS;
}

struct keep_process *keep_find(pid_t pid)
{
	for (uint32_t i = 0; i < WIRE_PROCESSES; i++)
		if (keep_process[i].state != KEEP_FREE && keep_process[i].pid == pid)
			return &keep_process[i];
	return NULL;
}

void keep_signal(struct keep_process *process, int number, const struct wire_signal *info)
{
	fake_signals++;
	if (fake_signal)
		fake_signal(process, number, info);
}

bool keep_in_group(const struct keep_process *process, gid_t gid)
{
	return process->egid == gid || (process->groups && process->group[0] == gid);
}

void core_random(void *buffer, size_t bytes)
{
	memset(buffer, 0x5a, bytes);
}

static inline struct keep_process *fake_process(uint32_t index)
{
	struct keep_process *process = &keep_process[index];

	memset(process, 0, sizeof(*process));
	process->index = index;
	process->pid = (pid_t)index + 100;
	process->state = KEEP_RUNNING;
	process->umask = 022;
	for (unsigned i = 0; i < KEEP_LIMITS; i++)
		process->limit[i][0] = UINT64_MAX;
	process->limit[KEEP_LIMIT_FILES][0] = WIRE_FDS;
	process->page = calloc(1, sizeof(*process->page));
	process->buffer = calloc(1, WIRE_BUFFER);
	return process;
}

static inline void fake_end(struct keep_process *process)
{
	keep_fds_close(process);
	free(process->page);
	free(process->buffer);
	process->page = NULL;
	process->state = KEEP_FREE;
}

static inline int64_t fake_ask(struct keep_process *process, enum wire_request number, uint64_t w1, uint64_t w2,
			       uint64_t w3, uint64_t more[2])
{
	struct keep_request request = { .process = process, .word = { w1, w2, w3 }, .data = process->buffer };
	int64_t result = fake_handlers[number](&request);

	if (more)
		memcpy(more, request.more, sizeof(request.more));
	return result;
}

static inline int64_t fake_path(struct keep_process *process, enum wire_request number, const char *path, uint64_t w1,
				uint64_t w2, uint64_t w3)
{
	strcpy(process->buffer, path);
	return fake_ask(process, number, w1, w2, w3, NULL);
}

#endif
