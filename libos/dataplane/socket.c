/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BSD sockets (POSIX.1-2017) for programs with an event loop of their own, or with none: streams over connections by events, datagrams
 * over lwIP's UDP, as descriptors of the libOS.
 *
 * poll(), and calls that block, run turns of the loop from the thread poller, so a program uses either conn_run or these. What has come
 * on a stream is held in one piece until it is received; TCP's window bounds that. What comes is copied once more than by conn.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include "lwip/dns.h"
#include "lwip/ip.h"
#include "libos/core/thread.h"
#include "libos/dataplane/socket.h"
#include "libos/net/names.h"
#include "libos/net/net.h"

#define RECEIVE_ROOM	65536

static struct thread_queue sleepers;
static const struct fd_ops sock_ops;

static exo_time_t drive(void *arg)
{
	(void)arg;
	return loop_turn();
}

/* From now on threads that wait turn the loop. */
static void drive_start(void)
{
	static struct thread_poller poller = { .poll = drive };
	static bool started;

	if (!started)
		thread_add_poller(&poller);
	started = true;
}

void sock_wake(void)
{
	thread_wake_all(&sleepers);
	fd_wake();
}

exo_time_t sock_deadline(exo_time_t time)
{
	return time ? core_now() + time : EXO_NEVER;
}

bool sock_await(const struct fd *fd, int flags, exo_time_t deadline)
{
	if (!(fd->flags & O_NONBLOCK) && !(flags & MSG_DONTWAIT) && thread_wait(&sleepers, deadline))
		return true;
	errno = EAGAIN;
	return false;
}

bool sock_addressed(const struct conn_peer *to)
{
	if (to && (to->address & 0xff) == 127)
		return true;
	loop_wait_address();
	if (net_address())
		return true;
	errno = to ? ENETUNREACH : ENETDOWN;
	return false;
}

/* --- messages --- */

void sock_scatter(const struct message *message, size_t at, const void *data, size_t bytes)
{
	const char *from = data;

	for (size_t i = 0; i < message->pieces && bytes; i++) {
		size_t room = message->piece[i].iov_len, part;

		if (at >= room) {
			at -= room;
			continue;
		}
		part = bytes < room - at ? bytes : room - at;
		memcpy((char *)message->piece[i].iov_base + at, from, part);
		from += part;
		bytes -= part;
		at = 0;
	}
}

void sock_gather(const struct message *message, size_t at, void *data, size_t bytes)
{
	char *to = data;

	for (size_t i = 0; i < message->pieces && bytes; i++) {
		size_t room = message->piece[i].iov_len, part;

		if (at >= room) {
			at -= room;
			continue;
		}
		part = bytes < room - at ? bytes : room - at;
		memcpy(to, (const char *)message->piece[i].iov_base + at, part);
		to += part;
		bytes -= part;
		at = 0;
	}
}

static bool message_of(struct message *message, const struct iovec *piece, size_t pieces)
{
	*message = (struct message){ .piece = piece, .pieces = pieces };
	for (size_t i = 0; i < pieces; i++) {
		if (piece[i].iov_len > SSIZE_MAX - message->bytes) {
			errno = EINVAL;
			return false;
		}
		message->bytes += piece[i].iov_len;
	}
	return true;
}

static ssize_t receive(struct fd *fd, const struct message *message, int flags, struct conn_peer *from, size_t *whole)
{
	struct sock *sock = fd->object;
	ssize_t done;

	if (sock->datagrams)
		return datagram_receive(fd, message, flags, from, whole);
	done = stream_receive(fd, message, flags);
	*whole = done > 0 ? (size_t)done : 0;
	*from = sock->peer;
	return done;
}

static ssize_t transmit(struct fd *fd, const struct message *message, int flags, const struct conn_peer *to)
{
	struct sock *sock = fd->object;

	return sock->datagrams ? datagram_send(fd, message, flags, to) : stream_send(fd, message, flags);
}

/* --- descriptors --- */

static ssize_t sock_read(struct fd *fd, void *buffer, size_t bytes)
{
	struct iovec piece = { buffer, bytes };
	struct conn_peer from;
	size_t whole;

	return receive(fd, &(struct message){ &piece, 1, bytes }, 0, &from, &whole);
}

static ssize_t sock_write(struct fd *fd, const void *buffer, size_t bytes)
{
	struct iovec piece = { (void *)(uintptr_t)buffer, bytes };

	return transmit(fd, &(struct message){ &piece, 1, bytes }, 0, NULL);
}

static ssize_t sock_writev(struct fd *fd, const struct iovec *pieces, int count)
{
	struct message message;

	return message_of(&message, pieces, (size_t)count) ? transmit(fd, &message, 0, NULL) : -1;
}

static short sock_poll(struct fd *fd, short events)
{
	struct sock *sock = fd->object;

	return (sock->datagrams ? datagram_poll(sock) : stream_poll(sock)) & (events | POLLERR | POLLHUP);
}

static int sock_stat(struct fd *fd, struct stat *st)
{
	(void)fd;
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFSOCK | 0666;
	st->st_blksize = TCP_MSS;
	return 0;
}

static int sock_close(struct fd *fd)
{
	struct sock *sock = fd->object;

	if (sock->datagrams)
		datagram_close(sock);
	else
		stream_close(sock);
	return 0;
}

static int sock_ioctl(struct fd *fd, int request, void *value)
{
	const struct sock *sock = fd->object;

	if (request != FIONREAD) {
		errno = EINVAL;
		return -1;
	}
	*(int *)value = (int)(sock->datagrams ? sock->waiting_bytes : sock->conn ? sock->conn->held_bytes : 0);
	return 0;
}

static const struct fd_ops sock_ops = {
	.read = sock_read, .write = sock_write, .writev = sock_writev, .stat = sock_stat, .close = sock_close, .poll = sock_poll,
	.option = sock_ioctl,
};

struct sock *sock_get(int number, struct fd **fd)
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

/* With the network's turn if it would have to wait (fd_result). */
static ssize_t leave(struct fd *fd, ssize_t result)
{
	fd_put(fd);
	return fd_result(result);
}

/* --- making, and ends --- */

static struct sock *sock_make(bool datagrams)
{
	struct sock *sock = calloc(1, sizeof(*sock));

	if (!sock || (datagrams && datagram_make(sock))) {
		free(sock);
		errno = ENOMEM;
		return NULL;
	}
	sock->datagrams = datagrams;
	sock->receive_room = RECEIVE_ROOM;
	return sock;
}

int socket(int family, int type, int protocol)
{
	int number, wrong;
	struct sock *sock;

	if (family != AF_INET || (type != SOCK_STREAM && type != SOCK_DGRAM) ||
	    (protocol && protocol != (type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP))) {
		errno = family != AF_INET ? EAFNOSUPPORT : EPROTONOSUPPORT;
		return -1;
	}
	wrong = loop_network();
	if (wrong) {
		errno = wrong;
		return -1;
	}
	sock = sock_make(type == SOCK_DGRAM);
	if (!sock)
		return -1;
	drive_start();
	number = fd_open(&sock_ops, sock, O_RDWR);
	if (number < 0 && sock->datagrams)
		datagram_close(sock);
	else if (number < 0)
		stream_close(sock);
	return number;
}

/* An address that somebody gives; false and errno. */
static bool name_read(const struct sockaddr *address, socklen_t bytes, struct conn_peer *to)
{
	const struct sockaddr_in *name = (const struct sockaddr_in *)(const void *)address;

	if (!address || bytes < sizeof(*name) || name->sin_family != AF_INET) {
		errno = address && bytes >= sizeof(*name) ? EAFNOSUPPORT : EINVAL;
		return false;
	}
	*to = (struct conn_peer){ name->sin_addr.s_addr, lwip_ntohs(name->sin_port) };
	return true;
}

static void name_write(const struct conn_peer *end, struct sockaddr *address, socklen_t *bytes)
{
	struct sockaddr_in name = { .sin_len = sizeof(name), .sin_family = AF_INET };

	if (!address || !bytes)
		return;
	name.sin_addr.s_addr = end->address;
	name.sin_port = lwip_htons(end->port);
	memcpy(address, &name, *bytes < sizeof(name) ? *bytes : sizeof(name));
	*bytes = sizeof(name);
}

int bind(int number, const struct sockaddr *address, socklen_t bytes)
{
	struct conn_peer to;
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	int result = -1;

	if (!sock)
		return -1;
	if (!name_read(address, bytes, &to))
		;
	else if (to.address && (to.address & 0xff) != 127 && to.address != net_address())
		errno = EADDRNOTAVAIL;
	else
		result = sock->datagrams ? datagram_bind(sock, &to) : stream_bind(sock, &to);
	fd_put(fd);
	return result;
}

int listen(int number, int backlog)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	int result = -1;

	if (!sock)
		return -1;
	if (sock->datagrams)
		errno = EOPNOTSUPP;
	else
		result = stream_listen(sock, backlog);
	fd_put(fd);
	return result;
}

int accept(int number, struct sockaddr *address, socklen_t *bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd), *next;
	int made = -1;

	if (!sock)
		return -1;
	next = sock->datagrams ? NULL : stream_accept(fd);
	if (sock->datagrams)
		errno = EOPNOTSUPP;
	if (next) {
		name_write(&next->peer, address, bytes);
		made = fd_open(&sock_ops, next, O_RDWR);
		if (made < 0)
			stream_close(next);
	}
	return (int)leave(fd, made);
}

int connect(int number, const struct sockaddr *address, socklen_t bytes)
{
	struct conn_peer to = { 0, 0 };
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	int result = -1;

	if (!sock)
		return -1;
	if (sock->datagrams && address && bytes >= sizeof(address->sa_family) + 1 && address->sa_family == AF_UNSPEC)
		result = datagram_connect(sock, &to);
	else if (!name_read(address, bytes, &to))
		;
	else if (sock_addressed(&to))
		result = sock->datagrams ? datagram_connect(sock, &to) : stream_connect(fd, &to);
	return (int)leave(fd, result);
}

int shutdown(int number, int how)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	int result = -1;

	if (!sock)
		return -1;
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) {
		errno = EINVAL;
	} else if (sock->state != SOCK_CONNECTED) {
		errno = ENOTCONN;
	} else {
		sock->receive_shut |= how != SHUT_WR;
		sock->send_shut |= how != SHUT_RD;
		result = sock->datagrams ? 0 : stream_shutdown(sock, how != SHUT_WR, how != SHUT_RD);
		sock_wake();
	}
	fd_put(fd);
	return result;
}

int getpeername(int number, struct sockaddr *address, socklen_t *bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	bool connected = sock && sock->state == SOCK_CONNECTED;

	if (!sock)
		return -1;
	if (connected)
		name_write(&sock->peer, address, bytes);
	else
		errno = ENOTCONN;
	fd_put(fd);
	return connected ? 0 : -1;
}

int getsockname(int number, struct sockaddr *address, socklen_t *bytes)
{
	struct fd *fd;
	struct sock *sock = sock_get(number, &fd);
	const struct tcp_pcb *pcb;

	if (!sock)
		return -1;
	pcb = stream_pcb(sock);
	if (sock->udp)
		sock->self = (struct conn_peer){ ip4_addr_get_u32(ip_2_ip4(&sock->udp->local_ip)), sock->udp->local_port };
	else if (pcb)
		sock->self = (struct conn_peer){ ip4_addr_get_u32(ip_2_ip4(&pcb->local_ip)), pcb->local_port };
	if (!sock->self.address && sock->state == SOCK_CONNECTED)
		sock->self.address = (sock->peer.address & 0xff) == 127 ? sock->peer.address : net_address();
	name_write(&sock->self, address, bytes);
	fd_put(fd);
	return 0;
}

/* --- data --- */

ssize_t recvfrom(int number, void *buffer, size_t bytes, int flags, struct sockaddr *from, socklen_t *from_bytes)
{
	struct iovec piece = { buffer, bytes };
	struct conn_peer peer;
	struct fd *fd;
	size_t whole;
	ssize_t done;

	if (!sock_get(number, &fd))
		return -1;
	done = receive(fd, &(struct message){ &piece, 1, bytes }, flags, &peer, &whole);
	if (done >= 0)
		name_write(&peer, from, from_bytes);
	return leave(fd, done);
}

ssize_t recv(int number, void *buffer, size_t bytes, int flags)
{
	return recvfrom(number, buffer, bytes, flags, NULL, NULL);
}

ssize_t recvmsg(int number, struct msghdr *message, int flags)
{
	struct message pieces;
	struct conn_peer peer;
	struct fd *fd;
	size_t whole = 0;
	ssize_t done = -1;

	if (!sock_get(number, &fd))
		return -1;
	if (message_of(&pieces, message->msg_iov, (size_t)message->msg_iovlen))
		done = receive(fd, &pieces, flags, &peer, &whole);
	if (done >= 0) {
		name_write(&peer, message->msg_name, &message->msg_namelen);
		message->msg_controllen = 0;
		message->msg_flags = whole > (size_t)done ? MSG_TRUNC : 0;
	}
	return leave(fd, done);
}

ssize_t sendto(int number, const void *buffer, size_t bytes, int flags, const struct sockaddr *to, socklen_t to_bytes)
{
	struct iovec piece = { (void *)(uintptr_t)buffer, bytes };
	struct conn_peer peer;
	struct fd *fd;
	ssize_t done = -1;

	if (!sock_get(number, &fd))
		return -1;
	if (!to || name_read(to, to_bytes, &peer))
		done = transmit(fd, &(struct message){ &piece, 1, bytes }, flags, to ? &peer : NULL);
	return leave(fd, done);
}

ssize_t send(int number, const void *buffer, size_t bytes, int flags)
{
	return sendto(number, buffer, bytes, flags, NULL, 0);
}

ssize_t sendmsg(int number, const struct msghdr *message, int flags)
{
	struct message pieces;
	struct conn_peer peer;
	struct fd *fd;
	ssize_t done = -1;

	if (!sock_get(number, &fd))
		return -1;
	if (message_of(&pieces, message->msg_iov, (size_t)message->msg_iovlen) &&
	    (!message->msg_name || name_read(message->msg_name, message->msg_namelen, &peer)))
		done = transmit(fd, &pieces, flags, message->msg_name ? &peer : NULL);
	return leave(fd, done);
}

/* --- names --- */

const char *names_start(void)
{
	return loop_network() ? "no network" : NULL;
}

bool names_addressed(void)
{
	return sock_addressed(NULL);
}

/* A question to a name server. lwIP always answers, if only that nobody has. */
struct question {
	bool answered, found;
	ip_addr_t address;
};

static void on_answer(const char *name, const ip_addr_t *address, void *arg)
{
	struct question *question = arg;

	(void)name;
	question->answered = true;
	question->found = address != NULL;
	if (address)
		question->address = *address;
	sock_wake();
}

/* lwIP's names (api/netdb.c) ask this of its sockets, which are not here. */
err_t netconn_gethostbyname(const char *name, ip_addr_t *address)
{
	struct question question = { .answered = false };
	err_t error = dns_gethostbyname(name, address, on_answer, &question);

	if (error != ERR_INPROGRESS)
		return error;
	drive_start();
	while (!question.answered)
		thread_wait(&sleepers, EXO_NEVER);
	*address = question.address;
	return question.found ? ERR_OK : ERR_VAL;
}
