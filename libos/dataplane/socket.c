/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets over connections by events: enough for programs with an event loop of their own around poll() or select().
 *
 * A socket's connection is paused when something has come: it is held, in one piece, until recv() copies it out; TCP's
 * window bounds that. poll(), and calls that block, run turns of the loop from the thread poller, so a program uses either
 * conn_run or these. Servers only: connect() and datagrams are not here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "libos/core/thread.h"
#include "libos/dataplane/dataplane.h"
#include "libos/uni/fd.h"

#define WAITING_MAX	128	/* connections of a listener that nobody has accepted */

struct sock {
	struct conn_calls calls;	/* of a listener: its connections know it by them */
	struct conn *conn;
	struct sock *next;		/* in a listener's queue */
	struct sock *first, *last;	/* that queue */
	unsigned waiting;
	uint16_t port;
	int error;
	bool listens, ended, closed;	/* closed: nobody has the descriptor */
};

static struct thread_queue sleepers;
static const struct fd_ops sock_ops;

static exo_time_t drive(void *arg)
{
	(void)arg;
	return loop_turn();
}

static void wake(void)
{
	thread_wake_all(&sleepers);
	fd_wake();
}

/* --- events --- */

static void sock_drop(struct sock *sock)
{
	if (sock->conn)
		conn_set(sock->conn, NULL);
	free(sock);
}

static bool on_opened(struct conn *conn)
{
	struct sock *listener = (struct sock *)((char *)(uintptr_t)conn->calls - offsetof(struct sock, calls)), *sock;

	if (listener->closed || listener->waiting == WAITING_MAX || !(sock = calloc(1, sizeof(*sock))))
		return false;
	sock->conn = conn;
	conn_set(conn, sock);
	if (listener->last)
		listener->last->next = sock;
	else
		listener->first = sock;
	listener->last = sock;
	listener->waiting++;
	wake();
	return true;
}

/* All of it is left: from now on it is held, until somebody has asked for the last of it. */
static size_t on_shown(struct conn *conn, const char *data, size_t bytes)
{
	(void)data, (void)bytes;
	conn_pause(conn);
	wake();
	return 0;
}

static void on_room(struct conn *conn)
{
	(void)conn;
	wake();
}

static void on_ended(struct conn *conn)
{
	struct sock *sock = conn_get(conn);

	if (sock)
		sock->ended = true;
	wake();
}

static void on_closed(struct conn *conn, int error)
{
	struct sock *sock = conn_get(conn);

	if (!sock)
		return;
	sock->conn = NULL;
	sock->ended = true;
	sock->error = error;
	wake();
}

/* --- descriptors --- */

/* False: it would have to wait and must not. */
static bool await(const struct fd *fd, int flags)
{
	if ((fd->flags & O_NONBLOCK) || (flags & MSG_DONTWAIT)) {
		errno = EAGAIN;
		return false;
	}
	thread_wait(&sleepers, EXO_NEVER);
	return true;
}

static ssize_t sock_receive(struct fd *fd, void *buffer, size_t bytes, int flags)
{
	struct sock *sock = fd->object;

	for (;;) {
		struct conn *conn = sock->conn;

		if (conn && conn->held_bytes) {
			if (bytes > conn->held_bytes)
				bytes = conn->held_bytes;
			memcpy(buffer, conn->held, bytes);
			if (!(flags & MSG_PEEK))
				conn_used(conn, bytes);
			return (ssize_t)bytes;
		}
		if (sock->error || sock->listens) {
			errno = sock->listens ? ENOTCONN : sock->error;
			sock->error = 0;
			return -1;
		}
		if (sock->ended)
			return 0;
		if (!await(fd, flags))
			return -1;
	}
}

static ssize_t sock_send(struct fd *fd, const void *buffer, size_t bytes, int flags)
{
	struct sock *sock = fd->object;

	for (;;) {
		size_t sent;

		if (!sock->conn) {
			errno = sock->error ? sock->error : EPIPE;
			return -1;
		}
		sent = conn_send(sock->conn, buffer, bytes, 0);
		if (sent || !bytes)
			return (ssize_t)sent;
		if (!await(fd, flags))
			return -1;
	}
}

static ssize_t sock_read(struct fd *fd, void *buffer, size_t bytes)
{
	return sock_receive(fd, buffer, bytes, 0);
}

static ssize_t sock_write(struct fd *fd, const void *buffer, size_t bytes)
{
	return sock_send(fd, buffer, bytes, 0);
}

static short sock_poll(struct fd *fd, short events)
{
	const struct sock *sock = fd->object;
	short ready = 0;

	(void)events;
	if (sock->listens)
		return sock->first ? POLLIN : 0;
	if (sock->ended || (sock->conn && sock->conn->held_bytes))
		ready |= POLLIN;
	if (!sock->conn)
		return ready | POLLOUT | (sock->error ? POLLERR : POLLHUP);
	if (conn_room(sock->conn) >= TCP_MSS)
		ready |= POLLOUT;
	else
		sock->conn->flags |= CONN_WANTS_ROOM;
	return ready;
}

static int sock_stat(struct fd *fd, struct stat *st)
{
	(void)fd;
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFSOCK | 0600;
	return 0;
}

/* A listener stays, for there may be no connection without its calls: it refuses from now on. */
static int sock_close(struct fd *fd)
{
	struct sock *sock = fd->object, *next;

	if (sock->listens) {
		for (sock->closed = true; sock->first; sock->first = next) {
			next = sock->first->next;
			if (sock->first->conn)
				conn_abort(sock->first->conn);
			sock_drop(sock->first);
		}
		return 0;
	}
	if (sock->conn && sock->conn->held_bytes)
		conn_abort(sock->conn);		/* as TCP has it when something was not read */
	else if (sock->conn)
		conn_close(sock->conn);
	sock_drop(sock);
	return 0;
}

static const struct fd_ops sock_ops = {
	.read = sock_read, .write = sock_write, .stat = sock_stat, .close = sock_close, .poll = sock_poll,
};

/* The socket of a number, held until fd_put; NULL and errno. */
static struct sock *sock_get(int number, struct fd **fd)
{
	*fd = fd_get(number);
	if (!*fd)
		return NULL;
	if ((*fd)->ops == &sock_ops)
		return (*fd)->object;
	fd_put(*fd);
	errno = ENOTSOCK;
	return NULL;
}

int socket(int family, int type, int protocol)
{
	static struct thread_poller poller;
	int number, wrong;
	struct sock *sock;

	(void)protocol;
	if (family != AF_INET || type != SOCK_STREAM) {
		errno = family != AF_INET ? EAFNOSUPPORT : EPROTONOSUPPORT;
		return -1;
	}
	wrong = loop_network();
	sock = wrong ? NULL : calloc(1, sizeof(*sock));
	if (!sock) {
		errno = wrong ? wrong : ENOMEM;
		return -1;
	}
	if (!poller.poll) {
		poller.poll = drive;
		thread_add_poller(&poller);
	}
	number = fd_open(&sock_ops, sock, O_RDWR);
	if (number < 0)
		free(sock);
	return number;
}

int bind(int number, const struct sockaddr *address, socklen_t bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);

	if (!sock)
		return -1;
	if (bytes < sizeof(struct sockaddr_in) || sock->conn || sock->listens) {
		fd_put(fd);
		errno = EINVAL;
		return -1;
	}
	sock->port = lwip_ntohs(((const struct sockaddr_in *)address)->sin_port);
	fd_put(fd);
	return 0;
}

int listen(int number, int backlog)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	int wrong = 0;

	(void)backlog;
	if (!sock)
		return -1;
	if (!sock->listens) {
		sock->calls = (struct conn_calls){ on_opened, on_shown, on_room, on_ended, on_closed };
		wrong = sock->port && !sock->conn ? conn_listen(sock->port, &sock->calls) : EINVAL;
		sock->listens = !wrong;
	}
	fd_put(fd);
	errno = wrong ? wrong : errno;
	return wrong ? -1 : 0;
}

static void name_of(const struct sock *sock, struct sockaddr *address, socklen_t *bytes)
{
	struct sockaddr_in name = { .sin_len = sizeof(name), .sin_family = AF_INET };
	uint16_t port = 0;

	if (!address || !bytes)
		return;
	name.sin_addr.s_addr = sock->conn ? conn_peer(sock->conn, &port) : 0;
	name.sin_port = lwip_htons(port);
	memcpy(address, &name, *bytes < sizeof(name) ? *bytes : sizeof(name));
	*bytes = sizeof(name);
}

int accept(int number, struct sockaddr *address, socklen_t *bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd), *next;
	int made = -1;

	if (!sock)
		return -1;
	while (sock->listens && !sock->first && await(fd, 0))
		;
	next = sock->first;
	if (!sock->listens) {
		errno = EINVAL;
	} else if (next) {
		made = fd_open(&sock_ops, next, O_RDWR);
		if (made >= 0) {
			sock->first = next->next;
			sock->last = sock->first ? sock->last : NULL;
			sock->waiting--;
			name_of(next, address, bytes);
		}
	}
	fd_put(fd);
	return made;
}

ssize_t recv(int number, void *buffer, size_t bytes, int flags)
{
	struct fd *fd;
	ssize_t done = sock_get(number, &fd) ? sock_receive(fd, buffer, bytes, flags) : -1;

	if (fd && fd->ops == &sock_ops)
		fd_put(fd);
	return done;
}

ssize_t send(int number, const void *buffer, size_t bytes, int flags)
{
	struct fd *fd;
	ssize_t done = sock_get(number, &fd) ? sock_send(fd, buffer, bytes, flags) : -1;

	if (fd && fd->ops == &sock_ops)
		fd_put(fd);
	return done;
}

int getpeername(int number, struct sockaddr *address, socklen_t *bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	bool connected = sock && sock->conn;

	if (!sock)
		return -1;
	name_of(sock, address, bytes);
	fd_put(fd);
	errno = connected ? errno : ENOTCONN;
	return connected ? 0 : -1;
}

int setsockopt(int number, int level, int option, const void *value, socklen_t bytes)
{
	struct fd *fd;

	(void)level, (void)option, (void)value, (void)bytes;
	if (!sock_get(number, &fd))
		return -1;
	fd_put(fd);
	return 0;	/* an address is used again, nothing is delayed: as it is anyway */
}

int getsockopt(int number, int level, int option, void *value, socklen_t *bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);

	if (!sock)
		return -1;
	if (level == SOL_SOCKET && option == SO_ERROR && *bytes >= sizeof(int)) {
		memcpy(value, &sock->error, sizeof(int));
		*bytes = sizeof(int);
		sock->error = 0;
	}
	fd_put(fd);
	return 0;
}
