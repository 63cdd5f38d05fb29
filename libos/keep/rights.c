/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors on their way through UNIX sockets (SCM_RIGHTS), and the cycles that they can make.
 *
 * A socket whose last descriptors were closed while they lay in messages can be reached only if somebody can still
 * receive one of these. So from the sockets that have other references, all are marked that messages in queues of
 * marked ones, or the queues of marked listeners, lead to; what is not marked loses its messages, and goes with them.
 * The work is in proportion to sockets and descriptors on their way, both of which are bounded.
 *
 * Dropping references is done from a list, never by recursion: a chain of sockets in each other's queues may be long.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/socket.h"

static struct rights *dropped;
static bool dropping, collecting;
static uint32_t flights;

uint32_t rights_flights(void)
{
	return flights;
}

static void count(struct keep_file *file, int change)
{
	struct socket *socket = socket_of(file);

	flights += (uint32_t)change;
	if (socket)
		socket->flights += (uint32_t)change;
}

int64_t rights_make(struct keep_process *process, const char *fds, uint32_t number, struct rights **made)
{
	struct socket_user *user = socket_user(process->euid);
	struct rights *rights = user ? malloc(sizeof(*rights) + number * sizeof(rights->file[0])) : NULL;
	int64_t error = !rights ? -ENOMEM : user->flights + number > SOCKET_FLIGHTS_USER ? -ETOOMANYREFS : 0;

	for (uint32_t i = 0; i < number && !error; i++) {
		int32_t fd;

		memcpy(&fd, fds + i * sizeof(fd), sizeof(fd));
		rights->file[i] = keep_fd_file(process, fd);
		if (!rights->file[i])
			error = -EBADF;
	}
	if (error) {
		free(rights);
		if (user)
			socket_user_put(user);
		return error;
	}
	rights->user = user;
	rights->count = number;
	rights->next = NULL;
	user->flights += number;
	for (uint32_t i = 0; i < number; i++) {
		keep_file_hold(rights->file[i]);
		count(rights->file[i], 1);
	}
	*made = rights;
	return 0;
}

static void end(struct rights *rights)
{
	rights->user->flights -= rights->count;
	socket_user_put(rights->user);
	for (uint32_t i = 0; i < rights->count; i++) {
		count(rights->file[i], -1);
		keep_file_drop(rights->file[i]);
	}
	free(rights);
}

void rights_drop(struct rights *rights)
{
	rights->next = dropped;
	dropped = rights;
	if (dropping)
		return;
	dropping = true;
	while ((rights = dropped) != NULL) {
		dropped = rights->next;
		end(rights);
	}
	dropping = false;
}

uint32_t rights_copy(struct keep_process *process, const struct rights *rights, uint32_t most, bool cloexec,
		     char *fds)
{
	uint32_t given = 0;

	while (given < rights->count && given < most) {
		struct keep_file *file = rights->file[given];
		int64_t fd;
		int32_t number;

		keep_file_hold(file);
		fd = keep_fd_add(process, file, 0, cloexec);
		if (fd < 0) {
			keep_file_drop(file);
			break;
		}
		number = (int32_t)fd;
		memcpy(fds + given++ * sizeof(number), &number, sizeof(number));
	}
	return given;
}

/* --- cycles ------------------------------------------------------------------------------------------------ */

static void mark(struct socket *socket, struct socket **work)
{
	if (!socket || socket->marked)
		return;
	socket->marked = true;
	socket->mark_next = *work;
	*work = socket;
}

static void mark_all(void)
{
	struct socket *work = NULL, *socket;

	for (socket = socket_all; socket; socket = socket->all_next)
		socket->marked = false;
	for (socket = socket_all; socket; socket = socket->all_next) {
		if (socket->file && socket->file->refs > socket->flights)
			mark(socket, &work);
		else if (!socket->file && !socket->listener)
			mark(socket, &work);	/* is being made */
	}
	while ((socket = work) != NULL) {
		work = socket->mark_next;
		for (struct message *message = socket->first; message; message = message->next) {
			for (uint32_t i = 0; message->rights && i < message->rights->count; i++)
				mark(socket_of(message->rights->file[i]), &work);
		}
		for (struct socket *embryo = socket->accept_first; embryo; embryo = embryo->accept_next)
			mark(embryo, &work);
	}
}

void rights_collect(void)
{
	struct rights *found = NULL, *next;

	if (!flights || collecting || dropping)
		return;
	collecting = true;
	mark_all();
	for (struct socket *socket = socket_all; socket; socket = socket->all_next) {
		for (struct message *message = socket->first; message && !socket->marked; message = message->next) {
			if (!message->rights)
				continue;
			message->rights->next = found;
			found = message->rights;
			message->rights = NULL;
		}
	}
	for (; found; found = next) {
		next = found->next;
		rights_drop(found);
	}
	collecting = false;
}
