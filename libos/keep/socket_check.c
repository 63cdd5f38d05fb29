/* SPDX-License-Identifier: BSD-2-Clause */
/* The invariants of socket.h, looked at; check.c calls it. */
#include "libos/keep/socket.h"

static const char *check_queue(const struct socket *socket)
{
	uint32_t queued = 0, messages = 0;

	for (const struct message *message = socket->first; message; message = message->next) {
		queued += message->end - message->start;
		messages++;
		if (!message->next && message != socket->last)
			return "S3: the last message is another";
	}
	return queued == socket->queued && messages == socket->messages ? NULL : "S3: a queue of another length";
}

static uint32_t pointing_at(const struct socket *socket)
{
	uint32_t count = 0;

	for (const struct socket *other = socket_all; other; other = other->all_next)
		count += other->type == SOCK_DGRAM && other->peer == socket;
	return count;
}

static const char *check_one(const struct socket *socket)
{
	const struct socket *embryo;
	uint32_t embryos = 0;

	if (!socket->file == !socket->listener)
		return "S1: a socket with no descriptor that nobody can accept, or with both";
	if (socket->file && socket->file->object != socket)
		return "S1: a socket of another description";
	for (embryo = socket->accept_first; embryo && embryos <= SOCKETS_MAX; embryo = embryo->accept_next)
		embryos += embryo->listener == socket;
	if (embryos != socket->embryos)
		return "S1: a listener's queue of another length";
	if (socket->type != SOCK_DGRAM && socket->peer && socket->peer->peer != socket)
		return "S2: a peer with another peer";
	if (socket->type == SOCK_DGRAM && pointing_at(socket) != socket->pointed_at)
		return "S2: pointed at by others than are counted";
	if (socket->file && socket->flights > socket->file->refs)
		return "S4: more of it on their way than there are";
	return check_queue(socket);
}

const char *socket_check(void)
{
	const char *wrong = NULL;

	for (const struct socket *socket = socket_all; socket && !wrong; socket = socket->all_next)
		wrong = check_one(socket);
	return wrong;
}
