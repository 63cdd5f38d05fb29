/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections within the keeper: of UNIX sockets, and of TCP to an own address.
 *
 * What is sent is put into the peer's queue at once; who finds no room there waits in its `senders`. Closing with
 * unread data, or a connection that was never accepted, is told to the peer as ECONNRESET, else as an end.
 */
#include <errno.h>
#include "libos/keep/socket.h"

static bool whole(const struct socket *socket)
{
	return socket->type != SOCK_STREAM;
}

void pair_join(struct socket *one, struct socket *other)
{
	one->peer = other;
	other->peer = one;
	one->state = other->state = SOCKET_CONNECTED;
	one->other = other->owner;
	other->other = one->owner;
}

static int64_t no_room(struct socket *to, const struct socket_send *send)
{
	if (!send->wait)
		return -EAGAIN;
	keep_wait(&to->senders, send->process);
	return WIRE_WAIT;
}

/*
 * To a peer that has closed. TCP learns that nobody reads only by the answer to what it sends: the first bytes go, and
 * from then on the connection has failed. No bytes of a stream go nowhere, either.
 */
static int64_t send_nowhere(struct socket *socket, uint32_t bytes)
{
	if (!bytes && !whole(socket) && !socket->refused)
		return 0;
	if (socket->domain == AF_UNIX || socket->refused)
		return -EPIPE;
	socket->refused = true;
	socket->error = EPIPE;
	socket_wake(socket);
	return bytes;
}

int64_t pair_send(struct socket *socket, struct socket_send *send)
{
	struct socket *peer = socket->peer;
	uint32_t bytes = send->bytes, room;

	if (socket->state != SOCKET_CONNECTED)
		return socket->shut_write ? -EPIPE : -ENOTCONN;
	if (socket->shut_write)
		return -EPIPE;
	if (!peer)
		return send_nowhere(socket, bytes);
	if (peer->shut_read)
		return socket->domain == AF_UNIX ? -EPIPE : (int64_t)bytes;
	room = peer->queued < peer->limit ? peer->limit - peer->queued : 0;
	if (whole(socket) && bytes > peer->limit)
		return -EMSGSIZE;
	if (whole(socket) ? room < bytes || peer->messages >= SOCKET_MESSAGES : !room && bytes)
		return no_room(peer, send);
	if (!whole(socket) && bytes > room)
		bytes = room;
	if (!bytes && !whole(socket)) {
		if (send->rights)
			rights_drop(send->rights);
		return 0;
	}
	if (!message_add(peer, socket->user, send->data, bytes, !whole(socket), NULL, send->rights))
		return -ENOBUFS;
	return bytes;
}

bool pair_writable(struct socket *socket, struct keep_queue **room)
{
	const struct socket *peer = socket->peer;

	if (!peer || peer->shut_read || socket->shut_write)
		return true;
	*room = &socket->peer->senders;
	return peer->queued <= peer->limit - peer->limit / 4 && peer->messages < SOCKET_MESSAGES;
}

void pair_shut(struct socket *socket, bool reading, bool writing)
{
	struct socket *peer = socket->peer;

	if (!peer || !peer->peer)
		return;
	if (writing)
		peer->ended = true;
	(void)reading;
	socket_wake(peer);
}

void pair_part(struct socket *socket, bool reset)
{
	struct socket *peer = socket->peer;

	socket->peer = NULL;
	if (!peer)
		return;
	peer->peer = NULL;
	peer->ended = true;
	if (reset) {
		peer->error = ECONNRESET;
		peer->refused = true;
	}
	socket_wake(peer);
}

int64_t pair_connect(struct socket *socket, struct socket *listener, struct keep_process *process, bool wait)
{
	struct socket *embryo;

	if (listener->embryos >= listener->backlog) {
		if (!wait)
			return -EAGAIN;
		keep_wait(&listener->senders, process);
		return WIRE_WAIT;
	}
	embryo = socket_make(socket->family, socket->domain, socket->type, socket->protocol, NULL, listener);
	if (!embryo)
		return -ENOBUFS;
	embryo->owner = listener->owner;
	embryo->limit = listener->limit;
	embryo->send_limit = listener->send_limit;
	embryo->no_delay = listener->no_delay;
	embryo->keep_alive = listener->keep_alive;
	embryo->linger = listener->linger;
	embryo->linger_seconds = listener->linger_seconds;
	embryo->name = listener->name;
	embryo->peer_name = socket->name;
	socket->peer_name = listener->name;
	pair_join(socket, embryo);
	socket->told = true;
	socket_accept_add(listener, embryo);
	return 0;
}

/* --- datagrams --------------------------------------------------------------------------------------------- */

int64_t pair_send_to(struct socket *socket, struct socket *to, struct socket_send *send)
{
	if (socket->shut_write || to->shut_read)
		return -EPIPE;
	if (to->peer && to->peer != socket)
		return -EPERM;
	if (send->bytes > to->limit)
		return -EMSGSIZE;
	if (to->queued + send->bytes > to->limit || to->messages >= SOCKET_MESSAGES)
		return no_room(to, send);
	if (!message_add(to, socket->user, send->data, send->bytes, false, &socket->name, send->rights))
		return -ENOBUFS;
	return send->bytes;
}

void pair_point(struct socket *socket, struct socket *to)
{
	if (socket->peer)
		socket->peer->pointed_at--;
	socket->peer = to;
	if (to)
		to->pointed_at++;
}

void pair_forget(struct socket *socket)
{
	pair_point(socket, NULL);
	for (struct socket *other = socket_all; other && socket->pointed_at; other = other->all_next) {
		if (other->peer != socket || other->type != SOCK_DGRAM)
			continue;
		pair_point(other, NULL);
		keep_wake(&other->senders);
		keep_wake(&other->readers);
	}
	keep_wake(&socket->senders);
}
