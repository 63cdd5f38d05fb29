/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As much of a keeper as sockets need, on this computer: processes, descriptors, queues, names of sockets, requests.
 *
 * Whoever is woken is seen in `fake_woken`; files that are open are counted.
 */
#ifndef TEST_UNIT_SOCKET_FAKE_H
#define TEST_UNIT_SOCKET_FAKE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/socket.h"

#define FAKE_PROCESSES	4
#define FAKE_NAMES	16

static keep_handler fake_handler[WIRE_REQUESTS];
static char fake_buffer[FAKE_PROCESSES][WIRE_BUFFER];
static bool fake_woken[FAKE_PROCESSES];
static unsigned fake_files, fake_signals;
static struct fake_name {
	char path[120];		/* "": unlinked */
	uint32_t holds;
	struct fs_node node;
} fake_name[FAKE_NAMES];

static struct keep_process fake_process[FAKE_PROCESSES];
struct keep_process *keep_process = fake_process;
uint32_t keep_used = FAKE_PROCESSES;

void keep_serve(enum wire_request number, keep_handler handler) { fake_handler[number] = handler; }

void keep_wait(struct keep_queue *queue, const struct keep_process *process)
{
	queue->waits[process->index / 64] |= 1ull << process->index % 64;
	queue->some |= 1ull << process->index / 64;
}

void keep_wake(struct keep_queue *queue)
{
	for (unsigned i = 0; i < FAKE_PROCESSES; i++)
		fake_woken[i] |= queue->waits[0] >> i & 1;
	memset(queue, 0, sizeof(*queue));
}

void keep_signal(struct keep_process *process, int number, const struct wire_signal *info)
{
	(void)process, (void)number, (void)info;
	fake_signals++;
}

struct keep_file *keep_file_make(const struct keep_kind *kind, void *object, int flags)
{
	struct keep_file *file = calloc(1, sizeof(*file));

	*file = (struct keep_file){ .kind = kind, .object = object, .flags = flags, .refs = 1 };
	fake_files++;
	return file;
}

void keep_file_hold(struct keep_file *file) { file->refs++; }

void keep_file_drop(struct keep_file *file)
{
	if (--file->refs)
		return;
	file->kind->close(file);
	fake_files--;
	free(file);
}

int64_t keep_fd_add(struct keep_process *process, struct keep_file *file, int lowest, bool cloexec)
{
	for (int fd = lowest; fd < WIRE_FDS; fd++) {
		if (process->fd[fd].file)
			continue;
		process->fd[fd] = (struct keep_fd){ .file = file, .cloexec = cloexec };
		return fd;
	}
	return -EMFILE;
}

struct keep_file *keep_fd_file(const struct keep_process *process, int64_t fd)
{
	return fd < 0 || fd >= WIRE_FDS ? NULL : process->fd[fd].file;
}

int64_t keep_name_make(struct keep_process *process, const char *path, mode_t mode, struct vfs_place *held)
{
	struct fake_name *free_name = NULL;

	(void)process, (void)mode;
	for (unsigned i = 0; i < FAKE_NAMES; i++) {
		if (!strcmp(fake_name[i].path, path))
			return -EEXIST;
		if (!fake_name[i].path[0] && !fake_name[i].holds)
			free_name = &fake_name[i];
	}
	if (!free_name)
		return -ENOSPC;
	strcpy(free_name->path, path);
	free_name->holds = 1;
	memset(held, 0, sizeof(*held));
	held->node = &free_name->node;
	return 0;
}

int64_t keep_name_find(struct keep_process *process, const char *path, unsigned access, struct vfs_place *held)
{
	(void)process, (void)access;
	for (unsigned i = 0; i < FAKE_NAMES; i++) {
		if (strcmp(fake_name[i].path, path))
			continue;
		fake_name[i].holds++;
		memset(held, 0, sizeof(*held));
		held->node = &fake_name[i].node;
		return 0;
	}
	return -ENOENT;
}

void keep_name_drop(struct vfs_place *held)
{
	((struct fake_name *)((char *)held->node - offsetof(struct fake_name, node)))->holds--;
}

/* --- what a test does ---------------------------------------------------------------------------------------- */

static inline void fake_start(void)
{
	for (uint32_t i = 0; i < FAKE_PROCESSES; i++) {
		keep_process[i] = (struct keep_process){
			.state = KEEP_RUNNING, .index = i, .pid = (pid_t)i + 1, .buffer = fake_buffer[i],
		};
	}
	keep_local_start();
}

static uint64_t fake_more[2];

static inline int64_t ask(unsigned who, enum wire_request number, uint64_t w1, uint64_t w2, uint64_t w3)
{
	struct keep_request request = {
		.process = &keep_process[who], .word = { w1, w2, w3 }, .data = fake_buffer[who],
	};
	int64_t result = fake_handler[number](&request);

	memcpy(fake_more, request.more, sizeof(fake_more));
	return result;
}

static inline void fake_close(unsigned who, int64_t fd)
{
	struct keep_file *file = keep_process[who].fd[fd].file;

	keep_process[who].fd[fd] = (struct keep_fd){ 0 };
	if (file->kind->closed_by)
		file->kind->closed_by(file, &keep_process[who]);
	keep_file_drop(file);
}

/* The process ends. */
static inline void fake_exit(unsigned who)
{
	for (int64_t fd = 0; fd < WIRE_FDS; fd++) {
		if (keep_process[who].fd[fd].file)
			fake_close(who, fd);
	}
}

static inline void fake_unlink(const char *path)
{
	for (unsigned i = 0; i < FAKE_NAMES; i++) {
		if (!strcmp(fake_name[i].path, path))
			fake_name[i].path[0] = 0;
	}
}

/* Descriptors of one process in another: fork. */
static inline void fake_inherit(unsigned child, unsigned parent)
{
	for (int fd = 0; fd < WIRE_FDS; fd++) {
		if (keep_process[child].fd[fd].file || !keep_process[parent].fd[fd].file)
			continue;
		keep_process[child].fd[fd] = keep_process[parent].fd[fd];
		keep_file_hold(keep_process[child].fd[fd].file);
	}
}

#endif
