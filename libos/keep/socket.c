/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets as descriptors: requests, checks, sending, readiness. Receiving is socket_receive.c's.
 *
 * A handler never waits: where POSIX does, the process is put into the socket's queue and told WIRE_WAIT, with the
 * socket's timeout (ns; 0: none) as w1. Sending and receiving work on the buffer in place: data, then the
 * address, then the numbers of descriptors on their way.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/socket.h"

struct socket *socket_all;
static uint32_t socket_count;
static bool collect_due;

/* --- making and ending ------------------------------------------------------------------------------------- */

struct socket *socket_make(const struct socket_family *family, int domain, int type, int protocol,
    const struct keep_process *process, const struct socket *like)
{
	struct socket_user *user = like ? like->user : socket_user(process->euid);
	struct socket *socket = NULL;

	if (!user)
		return NULL;
	if (socket_count < SOCKETS_MAX && user->sockets < SOCKETS_USER)
		socket = calloc(1, sizeof(*socket));
	if (!socket) {
		socket_user_put(user);
		return NULL;
	}
	socket->family = family;
	socket->domain = domain;
	socket->type = type;
	socket->protocol = protocol;
	socket->user = user;
	socket->limit = socket->send_limit = SOCKET_BUFFER;
	socket->ttl = 64;
	if (process)
		socket->owner = (struct ucred){ .pid = process->pid, .uid = process->euid, .gid = process->egid };
	user->sockets++;
	socket_count++;
	socket->all_next = socket_all;
	socket->all_link = &socket_all;
	if (socket_all)
		socket_all->all_link = &socket->all_next;
	socket_all = socket;
	return socket;
}

void socket_async(const struct socket *socket)
{
	if (socket->file && socket->file->flags & O_ASYNC && keep_async)
		keep_async(socket->file, SIGIO);
}

void socket_readable(struct socket *socket)
{
	keep_wake(&socket->readers);
	socket_async(socket);
}

void socket_has_room(struct socket *socket)
{
	if (!socket->short_of_room)
		return;
	socket->short_of_room = false;
	socket_async(socket);
}

void socket_wake(struct socket *socket)
{
	keep_wake(&socket->senders);
	socket_readable(socket);
}

void socket_accept_add(struct socket *listener, struct socket *embryo)
{
	embryo->listener = listener;
	embryo->accept_next = NULL;
	*(listener->accept_last ? &listener->accept_last->accept_next : &listener->accept_first) = embryo;
	listener->accept_last = embryo;
	listener->embryos++;
	socket_readable(listener);
}

void socket_accept_remove(struct socket *embryo)
{
	struct socket *listener = embryo->listener, *before = NULL, **link = &listener->accept_first;

	while (*link != embryo) {
		before = *link;
		link = &(*link)->accept_next;
	}
	*link = embryo->accept_next;
	if (listener->accept_last == embryo)
		listener->accept_last = before;
	listener->embryos--;
	embryo->listener = NULL;
	keep_wake(&listener->senders);
}

void socket_end(struct socket *socket)
{
	socket->cut = socket->listener;
	if (socket->cut)
		socket_accept_remove(socket);
	while (socket->accept_first)
		socket_end(socket->accept_first);
	socket->family->close(socket);
	message_drop_all(socket);
	socket_wake(socket);
	*socket->all_link = socket->all_next;
	if (socket->all_next)
		socket->all_next->all_link = socket->all_link;
	socket->user->sockets--;
	socket_count--;
	socket_user_put(socket->user);
	free(socket);
}

struct socket *socket_of(const struct keep_file *file)
{
	return file->kind == &socket_kind ? file->object : NULL;
}

static void socket_close(struct keep_file *file)
{
	struct socket *socket = file->object;

	if (!socket)
		return;
	socket->file = NULL;
	socket_end(socket);
	rights_collect();
}

/*
 * What only messages name now is found at the next request that concerns sockets: here the reference is still
 * there.
 */
static void socket_closed_by(struct keep_file *file, struct keep_process *process)
{
	(void)process;
	if (file->object && ((struct socket *)file->object)->flights)
		collect_due = true;
}

/* A descriptor for it; or an error, and the socket is as it was. */
static int64_t describe(struct keep_process *process, struct socket *socket, int flags)
{
	struct keep_file *file;
	int64_t fd;

	file = keep_file_make(&socket_kind, socket, O_RDWR | (flags & SOCK_NONBLOCK ? O_NONBLOCK : 0));
	if (!file)
		return -ENFILE;
	fd = keep_fd_add(process, file, 0, flags & SOCK_CLOEXEC);
	if (fd >= 0) {
		socket->file = file;
		return fd;
	}
	file->object = NULL;
	keep_file_drop(file);
	return fd;
}

/* Which family and protocol; 0 or an error. */
static int64_t kind_of(const struct keep_request *request, const struct socket_family **family, int *type,
		       int *protocol)
{
	int domain = (int)request->word[0], number = (int)request->word[2];

	*type = (int)request->word[1] & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	*protocol = number;
	if (*type < SOCK_STREAM || *type > SOCK_SEQPACKET)
		return domain == AF_UNIX || domain == AF_INET ? -EINVAL : -EAFNOSUPPORT;
	if (domain == AF_UNIX) {
		*family = &socket_local;
		if (*type != SOCK_STREAM && *type != SOCK_DGRAM && *type != SOCK_SEQPACKET)
			return -ESOCKTNOSUPPORT;
		return number ? -EPROTONOSUPPORT : 0;
	}
	if (domain != AF_INET)
		return -EAFNOSUPPORT;
	*family = &socket_inet;
	if (*type == SOCK_STREAM || *type == SOCK_DGRAM) {
		*protocol = *type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
		return number && number != *protocol ? -EPROTONOSUPPORT : 0;
	}
	if (*type != SOCK_RAW)
		return -ESOCKTNOSUPPORT;
	if (request->process->euid)
		return -EPERM;
	return number == IPPROTO_ICMP ? 0 : -EPROTONOSUPPORT;
}

static int64_t request_socket(struct keep_request *request)
{
	const struct socket_family *family;
	struct socket *socket;
	int type, protocol;
	int64_t result = kind_of(request, &family, &type, &protocol);

	if (result)
		return result;
	socket = socket_make(family, (int)request->word[0], type, protocol, request->process, NULL);
	if (!socket)
		return -ENOBUFS;
	result = describe(request->process, socket, (int)request->word[1]);
	if (result < 0)
		socket_end(socket);
	return result;
}

static int64_t request_pair(struct keep_request *request)
{
	const struct socket_family *family;
	struct socket *one, *other;
	int type, protocol;
	int64_t result = kind_of(request, &family, &type, &protocol), fd;

	if (result)
		return result;
	if (family != &socket_local)
		return -EOPNOTSUPP;
	one = socket_make(family, AF_UNIX, type, protocol, request->process, NULL);
	other = one ? socket_make(family, AF_UNIX, type, protocol, request->process, NULL) : NULL;
	result = other ? describe(request->process, one, (int)request->word[1]) : -ENOBUFS;
	fd = result < 0 ? result : describe(request->process, other, (int)request->word[1]);
	if (fd < 0) {
		if (result >= 0) {
			struct keep_file *file = one->file;

			request->process->fd[result] = (struct keep_fd){ 0 };
			file->object = NULL;
			keep_file_drop(file);
		}
		if (other)
			socket_end(other);
		if (one)
			socket_end(one);
		return fd;
	}
	pair_join(one, other);
	if (type == SOCK_DGRAM)
		one->pointed_at = other->pointed_at = 1;
	request->more[0] = (uint64_t)result;
	request->more[1] = (uint64_t)fd;
	return 0;
}

/* --- finding and waiting ------------------------------------------------------------------------------------ */

struct socket *socket_find(const struct keep_request *request, int64_t *error)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);

	if (collect_due) {
		collect_due = false;
		rights_collect();
	}
	*error = !file ? -EBADF : file->kind != &socket_kind ? -ENOTSOCK : 0;
	return *error ? NULL : file->object;
}

bool socket_waits(const struct socket *socket, int flags)
{
	return !(socket->file->flags & O_NONBLOCK) && !(flags & MSG_DONTWAIT);
}

int64_t socket_wait_to_read(struct socket *socket, struct keep_request *request)
{
	keep_wait(&socket->readers, request->process);
	request->more[0] = socket->receive_timeout;
	return WIRE_WAIT;
}

int64_t socket_error(struct socket *socket)
{
	int error = socket->error;

	socket->error = 0;
	return -error;
}

/* The address in the buffer at `offset`. */
static int64_t name_of(const struct socket *socket, const char *data, uint64_t offset, uint64_t bytes,
    struct socket_name *name)
{
	memset(name, 0, sizeof(*name));
	if (bytes < sizeof(name->any.sa_family) || bytes > sizeof(name->un) || offset + bytes > WIRE_BUFFER)
		return -EINVAL;
	memcpy(&name->any, data + offset, bytes);
	name->bytes = (uint32_t)bytes;
	if (name->any.sa_family == AF_UNSPEC)
		return 0;
	if (name->any.sa_family != socket->domain)
		return -EAFNOSUPPORT;
	return socket->domain == AF_INET && bytes < sizeof(name->in) ? -EINVAL : 0;
}

static int64_t request_bind(struct keep_request *request)
{
	struct socket_name name;
	int64_t error;
	struct socket *socket = socket_find(request, &error);

	if (!socket)
		return error;
	error = name_of(socket, request->data, 0, request->word[1], &name);
	if (error)
		return error;
	if (name.any.sa_family != socket->domain)
		return -EAFNOSUPPORT;
	return socket->family->bind(socket, request->process, &name);
}

static int64_t request_connect(struct keep_request *request)
{
	struct socket_name name;
	int64_t error;
	struct socket *socket = socket_find(request, &error);

	if (!socket)
		return error;
	error = name_of(socket, request->data, 0, request->word[1], &name);
	if (error)
		return error;
	if (socket->type != SOCK_DGRAM && socket->type != SOCK_RAW) {
		if (socket->error)
			return socket_error(socket);
		if (socket->state == SOCKET_LISTENING)
			return -EOPNOTSUPP;
		if (socket->state == SOCKET_CONNECTED && !socket->told) {
			socket->told = true;
			return 0;
		}
		if (socket->state == SOCKET_CONNECTED)
			return -EISCONN;
	}
	request->more[0] = socket->send_timeout;
	return socket->family->connect(socket, request->process, &name, socket_waits(socket, 0));
}

static int64_t request_listen(struct keep_request *request)
{
	int64_t error;
	struct socket *socket = socket_find(request, &error);
	int backlog = (int)request->word[1];
	uint32_t before;

	if (!socket)
		return error;
	if (socket->type != SOCK_STREAM && socket->type != SOCK_SEQPACKET)
		return -EOPNOTSUPP;
	if (socket->state != SOCKET_IDLE && socket->state != SOCKET_LISTENING)
		return -EINVAL;
	before = socket->backlog;
	socket->backlog = backlog < 1 ? 1 : backlog > SOCKET_BACKLOG ? SOCKET_BACKLOG : (uint32_t)backlog;
	if (socket->state == SOCKET_LISTENING)
		return 0;
	error = socket->family->listen(socket);
	if (error) {
		socket->backlog = before;
		return error;
	}
	socket->state = SOCKET_LISTENING;
	keep_wake(&socket->readers);
	return 0;
}

static int64_t request_accept(struct keep_request *request)
{
	int64_t error, fd;
	struct socket *socket = socket_find(request, &error), *embryo;

	if (!socket)
		return error;
	if (socket->type != SOCK_STREAM && socket->type != SOCK_SEQPACKET)
		return -EOPNOTSUPP;
	if (socket->state != SOCKET_LISTENING)
		return -EINVAL;
	embryo = socket->accept_first;
	if (!embryo)
		return socket_waits(socket, 0) ? socket_wait_to_read(socket, request) : -EAGAIN;
	fd = describe(request->process, embryo, (int)request->word[1]);
	if (fd < 0)
		return fd;
	socket_accept_remove(embryo);
	request->more[0] = embryo->peer_name.bytes;
	memcpy(request->data, &embryo->peer_name.any, embryo->peer_name.bytes);
	return fd;
}

/* --- sending ------------------------------------------------------------------------------------------------ */

static int64_t broken(struct keep_request *request, const struct socket *socket, int flags)
{
	if (socket->type != SOCK_DGRAM && !(flags & MSG_NOSIGNAL))
		keep_signal(request->process, SIGPIPE, NULL);
	return -EPIPE;
}

static int64_t send_out(struct socket *socket, struct keep_request *request, struct socket_send *send, int flags)
{
	int64_t result;

	if (socket->error) {
		result = socket_error(socket);
		return result == -EPIPE ? broken(request, socket, flags) : result;
	}
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	send->process = request->process;
	send->wait = socket_waits(socket, flags);
	result = socket->family->send(socket, send);
	if (result == -EPIPE)
		return broken(request, socket, flags);
	if (result == WIRE_WAIT)
		request->more[0] = socket->send_timeout;
	socket->short_of_room = result == -EAGAIN;
	return result;
}

static int64_t request_send(struct keep_request *request)
{
	uint32_t bytes = (uint32_t)request->word[1], fds = (uint32_t)(request->word[1] >> 32);
	uint32_t name_bytes = (uint32_t)request->word[2];
	struct socket_name name;
	struct socket_send send = { .data = request->data, .bytes = bytes };
	int64_t error, result;
	struct socket *socket = socket_find(request, &error);

	if (!socket)
		return error;
	if (bytes > WIRE_BUFFER || fds > SOCKET_RIGHTS_MAX ||
	    bytes + (uint64_t)name_bytes + fds * sizeof(int32_t) > WIRE_BUFFER)
		return bytes > SOCKET_MESSAGE_MAX ? -EMSGSIZE : -EINVAL;
	if (name_bytes) {
		error = name_of(socket, request->data, bytes, name_bytes, &name);
		if (error)
			return error;
		if (name.any.sa_family == AF_UNSPEC)
			return -EAFNOSUPPORT;
		send.to = &name;
	}
	if (fds && socket->domain != AF_UNIX)
		return -EINVAL;
	if (fds)
		error = rights_make(request->process, request->data + bytes + name_bytes, fds, &send.rights);
	if (error)
		return error;
	result = send_out(socket, request, &send, (int)(request->word[2] >> 32));
	if (result < 0 && send.rights)
		rights_drop(send.rights);
	return result;
}

static int64_t socket_write(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
    int64_t offset)
{
	struct socket *socket = file->object;
	struct socket_send send = { .data = from, .bytes = bytes > WIRE_BUFFER ? WIRE_BUFFER : (uint32_t)bytes };

	return offset != -1 ? -ESPIPE : send_out(socket, request, &send, 0);
}

/* --- the rest ----------------------------------------------------------------------------------------------- */

static int64_t request_shutdown(struct keep_request *request)
{
	int64_t error;
	struct socket *socket = socket_find(request, &error);
	int how = (int)request->word[1];

	if (!socket)
		return error;
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (socket->state != SOCKET_CONNECTED)
		return -ENOTCONN;
	socket->shut_read |= how != SHUT_WR;
	socket->shut_write |= how != SHUT_RD;
	socket->family->shut(socket, how != SHUT_WR, how != SHUT_RD);
	socket_wake(socket);
	return 0;
}

static int64_t request_name(struct keep_request *request)
{
	int64_t error;
	struct socket *socket = socket_find(request, &error);
	struct socket_name name;

	if (!socket)
		return error;
	if (request->word[1] && socket->state != SOCKET_CONNECTED)
		return -ENOTCONN;
	if (request->word[1] && socket->type != SOCK_DGRAM && socket->type != SOCK_RAW && socket->domain == AF_INET &&
	    socket->ended && socket->shut_write)
		return -ENOTCONN;
	name = request->word[1] ? socket->peer_name : socket->name;
	if (!name.bytes) {
		name.any.sa_family = (sa_family_t)socket->domain;
		name.bytes = socket->domain == AF_INET ? sizeof(name.in) : sizeof(sa_family_t);
	}
	if (socket->domain == AF_INET && !request->word[1])
		inet_name(socket, &name);
	memcpy(request->data, &name.any, name.bytes);
	return name.bytes;
}

static short socket_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct socket *socket = file->object;
	struct keep_queue *room = &socket->senders;
	bool stream = socket->type == SOCK_STREAM || socket->type == SOCK_SEQPACKET;
	short now = 0;

	if (!socket)
		return POLLNVAL;
	if (socket->first || socket->ended || socket->shut_read || socket->error || socket->accept_first)
		now |= POLLIN | POLLRDNORM;
	if (stream && (socket->ended || socket->shut_read))
		now |= WIRE_POLLRDHUP;
	if (stream && (socket->state == SOCKET_IDLE || (socket->state == SOCKET_CONNECTED && socket->ended &&
	    (socket->shut_write || socket->refused || (!socket->peer && socket->domain == AF_UNIX)))))
		now |= POLLHUP;
	if (socket->error)
		now |= POLLERR;
	if (socket->state != SOCKET_LISTENING && (socket->error || socket->family->writable(socket, &room)))
		now |= POLLOUT | POLLWRNORM;
	now &= events | POLLERR | POLLHUP;
	if (wait) {
		keep_wait(&socket->readers, process);
		if (events & (POLLOUT | POLLWRNORM))
			keep_wait(room, process);
	}
	return now;
}

static int64_t socket_stat(struct keep_file *file, struct stat *st)
{
	const struct socket *socket = file->object;

	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFSOCK | 0777;
	st->st_uid = socket->owner.uid;
	st->st_gid = socket->owner.gid;
	st->st_nlink = 1;
	st->st_blksize = 4096;
	st->st_ino = (ino_t)((uintptr_t)socket >> 4);
	return 0;
}

const struct keep_kind socket_kind = {
	.read = socket_read, .write = socket_write, .stat = socket_stat, .ioctl = socket_ioctl, .poll = socket_poll,
	.close = socket_close, .closed_by = socket_closed_by, .async = true,
};

void keep_local_start(void)
{
	keep_serve(REQUEST_SOCKET, request_socket);
	keep_serve(REQUEST_SOCKETPAIR, request_pair);
	keep_serve(REQUEST_BIND, request_bind);
	keep_serve(REQUEST_CONNECT, request_connect);
	keep_serve(REQUEST_LISTEN, request_listen);
	keep_serve(REQUEST_ACCEPT, request_accept);
	keep_serve(REQUEST_SENDTO, request_send);
	keep_serve(REQUEST_RECVFROM, socket_request_receive);
	keep_serve(REQUEST_SHUTDOWN, request_shutdown);
	keep_serve(REQUEST_GETNAME, request_name);
	keep_serve(REQUEST_SOCKOPT, socket_option);
}
