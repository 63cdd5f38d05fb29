/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UNIX sockets. A name is a node of a file system, of kind socket; the socket that is bound to it holds the node, so
 * that no other file can come to be the same node meanwhile, and is found by it. Who may write to the node
 * may connect. A name outlives its socket, as everywhere: then ECONNREFUSED.
 */
#include <errno.h>
#include <string.h>
#include "libos/keep/socket.h"

/* The path of a name, NUL-terminated; 0 or an error. */
static int64_t path_of(const struct socket_name *name, char path[sizeof(name->un.sun_path) + 1])
{
	uint32_t bytes = name->bytes - (uint32_t)offsetof(struct sockaddr_un, sun_path);

	if (name->bytes <= offsetof(struct sockaddr_un, sun_path) || !name->un.sun_path[0])
		return -EINVAL;
	memcpy(path, name->un.sun_path, bytes);
	path[bytes] = 0;
	return 0;
}

static struct socket *bound_to(const struct fs_node *node)
{
	struct socket *socket = socket_all;

	/* One without a description is being closed. */
	while (socket && (socket->domain != AF_UNIX || socket->place.node != node || !socket->file))
		socket = socket->all_next;
	return socket;
}

static int64_t local_bind(struct socket *socket, struct keep_process *process, const struct socket_name *name)
{
	char path[sizeof(name->un.sun_path) + 1];
	struct keep_file *file = socket->file;
	struct vfs_place place;
	int64_t error = path_of(name, path);

	if (error || socket->name.bytes)
		return -EINVAL;
	socket->name = *name;		/* nobody else binds it meanwhile */
	socket->name.bytes = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
	keep_file_hold(file);
	error = keep_name_make(process, path, S_IFSOCK | 0777, &place);
	if (error < 0)
		socket->name.bytes = 0;
	else
		socket->place = place;
	keep_file_drop(file);
	return error == -EEXIST ? -EADDRINUSE : error < 0 ? error : 0;
}

/* The socket of a name that fits to one; NULL: *error. May wait for a disk. */
static struct socket *named(const struct socket *socket, struct keep_process *process, const struct socket_name *name,
    int64_t *error)
{
	char path[sizeof(name->un.sun_path) + 1];
	struct keep_file *file = socket->file;
	struct keep_file *its;
	struct vfs_place place;
	struct socket *found;

	*error = path_of(name, path);
	if (*error)
		return NULL;
	keep_file_hold(file);
	*error = keep_name_find(process, path, VFS_MAY_WRITE, &place);
	if (file->refs == 1 && *error >= 0) {
		keep_name_drop(&place);
		*error = -EBADF;
	}
	if (*error < 0) {
		keep_file_drop(file);
		return NULL;
	}
	found = bound_to(place.node);
	its = found ? found->file : NULL;
	if (its)
		keep_file_hold(its);		/* letting go of the name may wait, too */
	keep_name_drop(&place);
	*error = !its || its->refs == 1 ? -ECONNREFUSED : found->type != socket->type ? -EPROTOTYPE : 0;
	if (its)
		keep_file_drop(its);
	keep_file_drop(file);
	return *error ? NULL : found;
}

static int64_t local_listen(struct socket *socket)
{
	return socket->name.bytes ? 0 : -EDESTADDRREQ;
}

static int64_t local_connect(struct socket *socket, struct keep_process *process, const struct socket_name *name,
    bool wait)
{
	struct socket *to;
	int64_t error;

	if (name->any.sa_family == AF_UNSPEC) {
		if (socket->type != SOCK_DGRAM)
			return -EINVAL;
		pair_point(socket, NULL);
		socket->state = SOCKET_IDLE;
		socket->peer_name.bytes = 0;
		return 0;
	}
	to = named(socket, process, name, &error);
	if (!to)
		return error;
	if (socket->type == SOCK_DGRAM) {
		if (to->peer && to->peer != socket)
			return -EPERM;
		pair_point(socket, to);
		socket->state = SOCKET_CONNECTED;
		socket->peer_name = to->name;
		return 0;
	}
	if (socket->state != SOCKET_IDLE)
		return -EISCONN;
	return to->state == SOCKET_LISTENING ? pair_connect(socket, to, process, wait) : -ECONNREFUSED;
}

static int64_t local_send(struct socket *socket, struct socket_send *send)
{
	struct socket *to = socket->peer;
	int64_t error;

	if (socket->type != SOCK_DGRAM)
		return send->to ? (socket->state == SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP) :
			pair_send(socket, send);
	if (send->to) {
		to = named(socket, send->process, send->to, &error);
		if (!to)
			return error;
	}
	if (!to)
		return socket->state == SOCKET_CONNECTED ? -ECONNREFUSED : -ENOTCONN;
	return pair_send_to(socket, to, send);
}

static bool local_writable(struct socket *socket, struct keep_queue **room)
{
	if (socket->type == SOCK_DGRAM || socket->state == SOCKET_CONNECTED)
		return pair_writable(socket, room);
	return true;
}

static void local_shut(struct socket *socket, bool reading, bool writing)
{
	if (socket->type != SOCK_DGRAM)
		pair_shut(socket, reading, writing);
	if (reading && socket->peer && socket->type != SOCK_DGRAM)
		socket_wake(socket->peer);
}

static void local_close(struct socket *socket)
{
	struct vfs_place place = socket->place;

	socket->place.node = NULL;
	if (socket->type == SOCK_DGRAM)
		pair_forget(socket);
	else
		pair_part(socket, socket->first || socket->cut);
	if (place.node)
		keep_name_drop(&place);
}

const struct socket_family socket_local = {
	.bind = local_bind, .listen = local_listen, .connect = local_connect, .send = local_send,
	.writable = local_writable, .shut = local_shut, .close = local_close,
};
