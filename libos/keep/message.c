/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has arrived at sockets, and who pays for it.
 *
 * A message is one allocation: payload, and behind it the sender's name. Bytes of a stream fill up the
 * message that is last in the queue, so that many small writes cost few allocations. Small messages that are
 * done with are kept for the next one: a request and its reply over a connection allocate nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/keep/socket.h"

#define SMALL		448	/* bytes of payload that a stream's message has at least */
#define SPARES		32

static struct socket_user *users;
static struct message *spare;
static unsigned spares;
static uint32_t charged;

struct socket_user *socket_user(uid_t uid)
{
	struct socket_user *user;

	for (user = users; user; user = user->next) {
		if (user->uid == uid)
			return user;
	}
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	user->next = users;
	users = user;
	return user;
}

void socket_user_put(struct socket_user *user)
{
	struct socket_user **link = &users;

	if (user->sockets || user->flights || user->bytes)
		return;
	while (*link != user)
		link = &(*link)->next;
	*link = user->next;
	free(user);
}

uint32_t message_bytes(void)
{
	return charged;
}

static struct message *make(uint32_t room, uint32_t extra)
{
	struct message *message = spare;

	if (room + extra != SMALL || !message)
		return malloc(sizeof(*message) + room + extra);
	spare = message->next;
	spares--;
	return message;
}

static void end(struct message *message)
{
	message->user->bytes -= message->charge;
	charged -= message->charge;
	socket_user_put(message->user);
	if (message->charge != sizeof(*message) + SMALL || spares == SPARES) {
		free(message);
		return;
	}
	message->next = spare;
	spare = message;
	spares++;
}

/* Add to the last message. */
static bool join(struct socket *to, const struct socket_user *user, const char *data, uint32_t bytes)
{
	struct message *last = to->last;

	if (!last || last->user != user || last->room - last->end < bytes)
		return false;
	memcpy(last->data + last->end, data, bytes);
	last->end += bytes;
	to->queued += bytes;
	return true;
}

bool message_add(struct socket *to, struct socket_user *user, const char *data, uint32_t bytes, bool joins,
    const struct socket_name *from, struct rights *rights)
{
	uint32_t room = joins && bytes < SMALL ? SMALL : (bytes + 7) & ~7u, extra = from && from->bytes ?
		sizeof(*from) : 0;
	uint32_t charge = (uint32_t)sizeof(struct message) + room + extra;
	struct message *message;

	if (joins && !rights && join(to, user, data, bytes)) {
		socket_readable(to);
		return true;
	}
	if (user->bytes + charge > SOCKET_BYTES_USER || charged + charge > SOCKET_BYTES_MAX)
		return false;
	message = make(room, extra);
	if (!message)
		return false;
	*message = (struct message){ .user = user, .rights = rights, .end = bytes, .room = room, .charge = charge };
	memcpy(message->data, data, bytes);
	if (extra) {
		message->from = (struct socket_name *)(message->data + room);
		*message->from = *from;
	}
	user->bytes += charge;
	charged += charge;
	*(to->last ? &to->last->next : &to->first) = message;
	to->last = message;
	to->queued += bytes;
	to->messages++;
	socket_readable(to);
	return true;
}

void message_drop(struct socket *socket)
{
	struct message *message = socket->first;

	socket->first = message->next;
	if (!socket->first)
		socket->last = NULL;
	socket->queued -= message->end - message->start;
	socket->messages--;
	if (message->rights)
		rights_drop(message->rights);
	end(message);
}

void message_drop_all(struct socket *socket)
{
	while (socket->first)
		message_drop(socket);
}
