/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posix_spawn: a new process with a new image, without the parent's memory in between.
 *
 * The child is made as fork makes one, then attributes and file actions are done in its name, by the same
 * handlers that it would ask itself, then it gets its image. Whatever fails, nothing has been, and the parent
 * has the error.
 */
#include <errno.h>
#include <string.h>
#include "libos/keep/private.h"

#pragma weak keep_fds_exec
#pragma weak keep_signal_exec

#define ACTIONS_MAX	1024

static int attributes(struct keep_process *child, const struct wire_spawn *spawn)
{
	if (spawn->flags & WIRE_SPAWN_SETSID) {
		child->sid = child->pgid = child->pid;
		child->tty = NULL;
	}
	if (spawn->flags & WIRE_SPAWN_SETPGROUP) {
		int64_t error = keep_ask(child, REQUEST_SETPGID, 0, (uint64_t)spawn->pgid, 0, NULL);

		if (error)
			return (int)error;
	}
	if (spawn->flags & (WIRE_SPAWN_SETSCHEDPARAM | WIRE_SPAWN_SETSCHEDULER)) {
		uint64_t to = (uint64_t)(spawn->schedule >> 16) << 32 | (spawn->schedule & UINT16_MAX);
		int64_t error = keep_ask(child, REQUEST_SCHEDULE, 0, spawn->flags & WIRE_SPAWN_SETSCHEDULER ? 2 : 1, to, NULL);

		if (error < 0)
			return (int)error;
	}
	if (spawn->flags & WIRE_SPAWN_RESETIDS) {
		child->euid = child->uid;
		child->egid = child->gid;
	}
	if (spawn->flags & WIRE_SPAWN_SETSIGDEF)
		child->ignored &= ~spawn->defaults;
	if (spawn->flags & WIRE_SPAWN_SETSIGMASK)
		child->blocked = spawn->mask;
	return 0;
}

/* An open takes the lowest descriptor; it moves to the one that is asked for. */
static int64_t open_as(struct keep_process *child, const struct wire_action *action, const char *path)
{
	int64_t fd, error;

	keep_ask(child, REQUEST_CLOSE, (uint64_t)action->fd, 0, 0, NULL);
	fd = keep_ask(child, REQUEST_OPEN, (uint64_t)-2, action->flags, action->mode, path);
	if (fd < 0 || fd == action->fd)
		return fd;
	error = keep_ask(child, REQUEST_DUP, (uint64_t)fd, (uint64_t)action->fd, WIRE_DUP_EXACT, NULL);
	keep_ask(child, REQUEST_CLOSE, (uint64_t)fd, 0, 0, NULL);
	return error;
}

static int64_t act(struct keep_process *child, const struct wire_action *action, const char *path)
{
	uint64_t fd = (uint64_t)action->fd;

	switch (action->action) {
	case WIRE_SPAWN_OPEN:
		return open_as(child, action, path);
	case WIRE_SPAWN_CLOSE:
		keep_ask(child, REQUEST_CLOSE, fd, 0, 0, NULL);
		return 0;
	case WIRE_SPAWN_DUP2:
		if (action->fd == action->other)	/* it is only kept open over the exec */
			return keep_ask(child, REQUEST_FCNTL, fd, 2, 0, NULL);
		return keep_ask(child, REQUEST_DUP, fd, (uint64_t)action->other, WIRE_DUP_EXACT, NULL);
	case WIRE_SPAWN_CHDIR:
		return keep_ask(child, REQUEST_CHDIR, (uint64_t)-1, 0, 0, path);
	case WIRE_SPAWN_FCHDIR:
		return keep_ask(child, REQUEST_CHDIR, fd, 0, 0, NULL);
	default:
		return -EINVAL;
	}
}

/* Every step of what the caller wrote is checked: it lies in a copy of the keeper's. */
static int actions(struct keep_process *child, const char *at, uint64_t bytes, uint32_t count)
{
	if (count > ACTIONS_MAX)
		return -EINVAL;
	while (count--) {
		struct wire_action action;
		const char *path;
		int64_t error;

		if (bytes < sizeof(action))
			return -EINVAL;
		memcpy(&action, at, sizeof(action));
		path = at + sizeof(action);
		if (action.bytes < sizeof(action) || action.bytes > bytes || action.bytes % 8 ||
		    (action.bytes > sizeof(action) && !memchr(path, '\0', action.bytes - sizeof(action))))
			return -EINVAL;
		if (action.bytes == sizeof(action))
			path = "";
		error = act(child, &action, path);
		if (error < 0)
			return (int)error;
		at += action.bytes;
		bytes -= action.bytes;
	}
	return 0;
}

static int furnish(struct keep_process *child, struct program *program, uint64_t tail)
{
	struct keep_body *body = NULL;
	struct wire_spawn spawn;
	int error;

	memcpy(&spawn, program->tail, sizeof(spawn));
	keep_process_name(child, program->path);
	error = attributes(child, &spawn);
	if (!error)
		error = actions(child, program->tail + sizeof(spawn), tail - sizeof(spawn), spawn.actions);
	if (!error)
		error = program_find(child, program, -1);
	if (!error)
		body = program_body(child, program, &error);
	if (error)
		return error;
	body_record(body, child);
	program_ids(child, program, body);
	child->execed = true;
	if (keep_fds_exec)
		keep_fds_exec(child);
	if (keep_signal_exec)
		keep_signal_exec(child, NULL);
	keep_page_fill(child);
	keep_process_run(child, body);
	return exo_env_start(body->env) < 0 ? -EAGAIN : 0;
}

static int64_t spawn(struct keep_request *request)
{
	struct keep_process *parent = request->process, *child;
	struct program program = { 0 };
	uint64_t tail = request->word[2];
	int error = tail < sizeof(struct wire_spawn) || tail % 8 ? -EINVAL : program_take(request, &program, tail);
	pid_t pid = 0;

	child = error ? NULL : keep_process_make(parent);
	if (child) {
		pid = child->pid;
		error = furnish(child, &program, tail);
	} else if (!error) {
		error = -EAGAIN;
	}
	program_end(&program);
	if (child && error)
		keep_process_undo(child);
	return error ? error : pid;
}

void keep_spawn_start(void)
{
	keep_serve(REQUEST_SPAWN, spawn);
}
