/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams for dataplane's sockets: a socket is a connection of conn.h that is paused as soon as something has come. It is held then,
 * in one piece, until somebody receives the last of it.
 *
 * A listener's connections wait in its queue as sockets that nobody has a number of; they are let go when it is closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/dataplane/socket.h"
#include "libos/net/flownet.h"
#include "libos/net/net.h"

#define WAITING_MOST	1024
#define GATHER_BYTES	4096		/* of small pieces, sent together */

static const struct conn_calls stream_calls;

struct tcp_pcb *stream_pcb(const struct sock *sock)
{
	return sock->listener ? sock->listener : sock->conn ? sock->conn->pcb : sock->bound;
}

/* --- events --- */

static bool on_asked(struct conn *conn)
{
	struct sock *listener = (struct sock *)((char *)(uintptr_t)conn->calls - offsetof(struct sock, calls)), *sock;

	if (listener->waiting >= listener->waiting_most || !(sock = calloc(1, sizeof(*sock))))
		return false;
	conn->calls = &stream_calls;
	conn_set(conn, sock);
	sock->conn = conn;
	sock->state = SOCK_CONNECTED;
	sock->peer.address = conn_peer(conn, &sock->peer.port);
	sock->options = listener->options;
	sock->receive_room = listener->receive_room;
	sock->ttl = listener->ttl;
	sock->tos = listener->tos;
	sock->nagle = listener->nagle;
	memcpy(sock->keep, listener->keep, sizeof(sock->keep));
	sock_options_apply(sock, conn->pcb);
	if (listener->last)
		listener->last->next = sock;
	else
		listener->first = sock;
	listener->last = sock;
	listener->waiting++;
	sock_wake();
	return true;
}

static bool on_there(struct conn *conn)
{
	struct sock *sock = conn_get(conn);

	sock->state = SOCK_CONNECTED;
	sock_wake();
	return true;
}

/* All of it is left: from now on it is held, until somebody has asked for the last of it. */
static size_t on_shown(struct conn *conn, const char *data, size_t bytes)
{
	const struct sock *sock = conn_get(conn);

	(void)data;
	if (sock && sock->receive_shut)
		return bytes;
	conn_pause(conn);
	sock_wake();
	return 0;
}

static void on_room(struct conn *conn)
{
	(void)conn;
	sock_wake();
}

static void on_ended(struct conn *conn)
{
	struct sock *sock = conn_get(conn);

	if (sock)
		sock->ended = true;
	sock_wake();
}

static void on_closed(struct conn *conn, int error)
{
	struct sock *sock = conn_get(conn);

	if (!sock)
		return;
	sock->conn = NULL;
	sock->error = error;
	if (sock->state == SOCK_CONNECTING)
		sock->state = SOCK_NEW;		/* it may be tried again */
	else
		sock->ended = true;
	sock_wake();
}

static const struct conn_calls stream_calls = { on_there, on_shown, on_room, on_ended, on_closed };

/* --- beginning --- */

/* A port is chosen if `to` names none. */
int stream_bind(struct sock *sock, const struct conn_peer *to)
{
	struct tcp_pcb *pcb;
	ip_addr_t address;
	err_t error;

	if (sock->state != SOCK_NEW || sock->bound) {
		errno = EINVAL;
		return -1;
	}
	if (to->port && !flownet_owns(IP_PROTO_TCP, to->port)) {
		errno = EACCES;
		return -1;
	}
	pcb = tcp_new();
	if (!pcb) {
		errno = ENOBUFS;
		return -1;
	}
	ip_addr_set_ip4_u32(&address, to->address);
	sock_options_apply(sock, pcb);
	error = tcp_bind(pcb, &address, to->port);
	if (error != ERR_OK) {
		tcp_abort(pcb);
		errno = conn_errno(error);
		return -1;
	}
	sock->bound = pcb;
	return 0;
}

static bool bound(struct sock *sock)
{
	return sock->bound || !stream_bind(sock, &(struct conn_peer){ 0, 0 });
}

int stream_listen(struct sock *sock, int backlog)
{
	struct tcp_pcb *pcb;

	sock->waiting_most = backlog < 1 ? 1 : backlog > WAITING_MOST ? WAITING_MOST : (unsigned)backlog;
	if (sock->state == SOCK_LISTENS)
		return 0;
	if (sock->state != SOCK_NEW) {
		errno = EINVAL;
		return -1;
	}
	if (!bound(sock))
		return -1;
	pcb = sock->bound;
	sock->bound = NULL;
	sock->calls = (struct conn_calls){ .opened = on_asked };
	sock->listener = conn_listen_on(pcb, &sock->calls);
	if (!sock->listener) {
		errno = EADDRINUSE;
		return -1;
	}
	sock->state = SOCK_LISTENS;
	return 0;
}

struct sock *stream_accept(struct fd *fd)
{
	struct sock *sock = fd->object, *next;
	exo_time_t deadline = sock_deadline(sock->receive_time);

	if (sock->state != SOCK_LISTENS) {
		errno = EINVAL;
		return NULL;
	}
	while (!sock->first) {
		if (!sock_await(fd, 0, deadline))
			return NULL;
	}
	next = sock->first;
	sock->first = next->next;
	sock->last = sock->first ? sock->last : NULL;
	sock->waiting--;
	return next;
}

/* What there is to say to one who asks again. */
static int connect_again(const struct sock *sock)
{
	switch (sock->state) {
	case SOCK_LISTENS:
		return EOPNOTSUPP;
	case SOCK_CONNECTING:
		return EALREADY;
	case SOCK_CONNECTED:
		return EISCONN;
	default:
		return 0;
	}
}

int stream_connect(struct fd *fd, const struct conn_peer *to)
{
	struct sock *sock = fd->object;
	exo_time_t deadline = sock_deadline(sock->send_time);
	int wrong = connect_again(sock);
	struct tcp_pcb *pcb;

	if (!wrong && !to->port)
		wrong = ECONNREFUSED;
	if (wrong) {
		errno = wrong;
		return -1;
	}
	if (!bound(sock))
		return -1;
	pcb = sock->bound;
	sock->bound = NULL;
	sock->peer = *to;
	sock->error = 0;
	wrong = conn_connect_from(pcb, to, &stream_calls, &sock->conn);
	if (wrong) {
		errno = wrong;
		return -1;
	}
	conn_set(sock->conn, sock);
	sock->state = SOCK_CONNECTING;
	while (sock->state == SOCK_CONNECTING) {
		if (!sock_await(fd, 0, deadline)) {
			errno = EINPROGRESS;
			return -1;
		}
	}
	if (sock->state == SOCK_CONNECTED)
		return 0;
	errno = sock->error ? sock->error : ECONNREFUSED;
	sock->error = 0;
	return -1;
}

/* --- data --- */

/* What is held, into the message from `at` on. */
static size_t take(struct conn *conn, const struct message *message, size_t at, int flags)
{
	size_t bytes = message->bytes - at < conn->held_bytes ? message->bytes - at : conn->held_bytes;

	sock_scatter(message, at, conn->held, bytes);
	if (!(flags & MSG_PEEK))
		conn_used(conn, bytes);
	return bytes;
}

ssize_t stream_receive(struct fd *fd, const struct message *message, int flags)
{
	struct sock *sock = fd->object;
	exo_time_t deadline = sock_deadline(sock->receive_time);
	bool all = (flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
	size_t done = 0;

	if (sock->state == SOCK_NEW || sock->state == SOCK_LISTENS) {
		errno = sock->error ? sock->error : ENOTCONN;
		sock->error = 0;
		return -1;
	}
	for (;;) {
		if (sock->conn && sock->conn->held_bytes && !sock->receive_shut)
			done += take(sock->conn, message, done, flags);
		if (done == message->bytes || (done && !all))
			return (ssize_t)done;
		if (done && (sock->error || sock->ended || sock->receive_shut))
			return (ssize_t)done;
		if (sock->error) {
			errno = sock->error;
			sock->error = 0;
			return -1;
		}
		if (sock->ended || sock->receive_shut)
			return 0;
		if (!sock_await(fd, flags, deadline))
			return done ? (ssize_t)done : -1;
	}
}

/* As much as there is room for. Small pieces go together. */
static size_t give(struct conn *conn, const struct message *message, size_t at, unsigned flags)
{
	size_t done = 0, skip = at;

	if (message->pieces > 1 && message->bytes - at <= GATHER_BYTES) {
		char together[GATHER_BYTES];

		sock_gather(message, at, together, message->bytes - at);
		return conn_send(conn, together, message->bytes - at, flags);
	}
	for (size_t i = 0; i < message->pieces; i++) {
		size_t bytes = message->piece[i].iov_len, sent;

		if (skip >= bytes) {
			skip -= bytes;
			continue;
		}
		sent = conn_send(conn, (const char *)message->piece[i].iov_base + skip, bytes - skip,
		    flags | (i + 1 < message->pieces ? CONN_MORE : 0));
		done += sent;
		if (sent < bytes - skip)
			break;
		skip = 0;
	}
	return done;
}

/* Why nothing can be sent; 0: it can, or soon. */
static int dumb(struct sock *sock)
{
	int error = sock->error;

	if (sock->state == SOCK_NEW || sock->state == SOCK_LISTENS)
		return ENOTCONN;
	if (sock->conn && !sock->send_shut)
		return 0;
	sock->error = 0;
	return error ? error : EPIPE;
}

ssize_t stream_send(struct fd *fd, const struct message *message, int flags)
{
	struct sock *sock = fd->object;
	exo_time_t deadline = sock_deadline(sock->send_time);
	size_t done = 0;
	int wrong;

	for (;;) {
		wrong = dumb(sock);
		if (wrong) {
			errno = wrong;
			return done ? (ssize_t)done : -1;
		}
		if (sock->state == SOCK_CONNECTED)
			done += give(sock->conn, message, done, flags & MSG_MORE ? CONN_MORE : 0);
		if (done == message->bytes || (done && ((fd->flags & O_NONBLOCK) || (flags & MSG_DONTWAIT))))
			return (ssize_t)done;
		if (!sock_await(fd, flags, deadline))
			return done ? (ssize_t)done : -1;
	}
}

short stream_poll(struct sock *sock)
{
	short ready = 0;

	if (sock->state == SOCK_LISTENS)
		return sock->first ? POLLIN : 0;
	if (sock->state == SOCK_CONNECTING)
		return 0;
	if (sock->ended || sock->receive_shut || (sock->conn && sock->conn->held_bytes))
		ready |= POLLIN;
	if (!sock->conn)
		return ready | (sock->error ? POLLIN | POLLERR : 0) | POLLOUT | POLLHUP;
	if (sock->send_shut || conn_room(sock->conn) >= TCP_MSS)
		ready |= POLLOUT;
	else
		sock->conn->flags |= CONN_WANTS_ROOM;
	if (sock->ended && sock->send_shut)
		ready |= POLLHUP;
	return ready;
}

/* --- end --- */

int stream_shutdown(struct sock *sock, bool receive, bool send)
{
	if (!sock->conn) {
		errno = ENOTCONN;
		return -1;
	}
	if (receive && sock->conn->held_bytes)
		conn_used(sock->conn, sock->conn->held_bytes);
	if (send)
		conn_finish(sock->conn);
	return 0;
}

/* What was not read is answered by a reset, as TCP has it. */
static void let_go(struct sock *sock)
{
	struct conn *conn = sock->conn;

	if (conn) {
		conn_set(conn, NULL);
		if (sock->hard || (conn->held_bytes && !sock->receive_shut) || sock->state == SOCK_CONNECTING)
			conn_abort(conn);
		else
			conn_close(conn);
	}
	free(sock);
}

void stream_close(struct sock *sock)
{
	struct sock *next;

	if (sock->listener) {
		tcp_arg(sock->listener, NULL);
		tcp_close(sock->listener);
	}
	while ((next = sock->first)) {
		sock->first = next->next;
		next->hard = true;
		let_go(next);
	}
	if (sock->bound)
		tcp_abort(sock->bound);
	let_go(sock);
}
