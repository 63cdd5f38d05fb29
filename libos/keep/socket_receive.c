/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receiving: what a socket's queue holds goes to the buffer in place, with the sender's address and the
 * numbers of new descriptors behind it. A stream gives bytes of several messages at once, but stops at one
 * with descriptors.
 */
#include <errno.h>
#include <string.h>
#include "libos/keep/socket.h"

struct receive {
	char *to;
	uint32_t bytes, most_fds;
	int flags;
	uint32_t fds, told;		/* out: descriptors; MSG_* */
	const struct socket_name *from;
	char *fd_numbers;		/* where the numbers go; NULL: nowhere */
	struct rights *taken;		/* dropped when the queue is not looked at any more: that may wait */
};

static void take_rights(struct receive *receive, struct keep_process *process, struct message *message)
{
	struct rights *rights = message->rights;
	bool cloexec = receive->flags & MSG_CMSG_CLOEXEC;
	uint32_t count;

	if (!rights)
		return;
	count = rights->count;
	receive->fds = rights_copy(process, rights, receive->most_fds, cloexec, receive->fd_numbers);
	if (!(receive->flags & MSG_PEEK)) {
		message->rights = NULL;
		receive->taken = rights;
	}
	if (receive->fds < count)
		receive->told |= MSG_CTRUNC;
}

static uint32_t take_stream(struct socket *socket, struct receive *receive, struct keep_process *process)
{
	struct message *message = socket->first, *next;
	uint32_t taken = 0, part;

	for (; message && taken < receive->bytes; message = next) {
		bool had_rights = message->rights;

		if (had_rights && taken)
			break;
		next = message->next;
		part = message->end - message->start;
		if (part > receive->bytes - taken)
			part = receive->bytes - taken;
		memcpy(receive->to + taken, message->data + message->start, part);
		taken += part;
		take_rights(receive, process, message);
		if (!(receive->flags & MSG_PEEK)) {
			message->start += part;
			socket->queued -= part;
			if (message->start == message->end)
				message_drop(socket);
		}
		if (had_rights)
			break;
	}
	return taken;
}

static uint32_t take_message(struct socket *socket, struct receive *receive, struct keep_process *process)
{
	struct message *message = socket->first;
	uint32_t bytes = message->end - message->start, part = bytes < receive->bytes ? bytes : receive->bytes;

	memcpy(receive->to, message->data + message->start, part);
	if (part < bytes)
		receive->told |= MSG_TRUNC;
	receive->from = message->from;
	if (socket->type == SOCK_SEQPACKET)
		receive->told |= MSG_EOR;
	take_rights(receive, process, message);
	return receive->flags & MSG_TRUNC ? bytes : part;
}

static void room(struct socket *socket)
{
	keep_wake(&socket->senders);
	if (socket->peer)
		socket_has_room(socket->peer);
}

/* Somebody may send again. */
static void taken(struct socket *socket, uint32_t bytes)
{
	if (socket->queued <= socket->limit - socket->limit / 4 && socket->messages < SOCKET_MESSAGES)
		room(socket);
	if (bytes && socket->family->taken)
		socket->family->taken(socket, bytes);
}

static int64_t nothing(struct socket *socket, struct keep_request *request, const struct receive *receive)
{
	if (socket->error && socket->error != EPIPE)	/* that is the sender's */
		return socket_error(socket);
	if (socket->ended || socket->shut_read)
		return 0;
	if ((socket->type == SOCK_STREAM || socket->type == SOCK_SEQPACKET) && socket->state != SOCKET_CONNECTED &&
	    socket->state != SOCKET_CONNECTING)
		return -ENOTCONN;
	return socket_waits(socket, receive->flags) ? socket_wait_to_read(socket, request) : -EAGAIN;
}

/* Bytes, with the address of a datagram's sender behind `name_room` bytes; or an error. */
static int64_t receive_in(struct socket *socket, struct keep_request *request, struct receive *receive, char *name)
{
	uint32_t bytes, name_bytes = 0;

	if (receive->flags & MSG_OOB)
		return -EINVAL;
	if (!socket->first)
		return nothing(socket, request, receive);
	if (socket->type == SOCK_STREAM) {
		bytes = take_stream(socket, receive, request->process);
		if (!(receive->flags & MSG_PEEK))
			taken(socket, bytes);
	} else {
		bytes = take_message(socket, receive, request->process);
		if (name && receive->from) {
			name_bytes = receive->from->bytes;
			memcpy(name, &receive->from->any, name_bytes);
		}
		if (!(receive->flags & MSG_PEEK)) {
			message_drop(socket);
			taken(socket, 0);
		}
	}
	if (name && socket->type != SOCK_DGRAM && socket->type != SOCK_RAW && socket->domain == AF_INET) {
		name_bytes = socket->peer_name.bytes;
		memcpy(name, &socket->peer_name.any, name_bytes);
	}
	request->more[0] = name_bytes | (uint64_t)receive->told << 32;
	request->more[1] = receive->fds;
	if (receive->taken)
		rights_drop(receive->taken);
	return bytes;
}

int64_t socket_request_receive(struct keep_request *request)
{
	uint32_t fds = (uint32_t)(request->word[2] >> 32), bytes = (uint32_t)request->word[1], name_at;
	char numbers[SOCKET_RIGHTS_MAX * sizeof(int32_t)], name[sizeof(struct sockaddr_un)];
	struct receive receive = { .to = request->data, .flags = (int)request->word[2], .fd_numbers = numbers };
	int64_t error, result;
	struct socket *socket = socket_find(request, &error);

	if (!socket)
		return error;
	receive.most_fds = fds < SOCKET_RIGHTS_MAX ? fds : SOCKET_RIGHTS_MAX;
	name_at = bytes < SOCKET_MESSAGE_MAX ? bytes : SOCKET_MESSAGE_MAX;
	if (socket->domain == AF_UNIX && name_at > WIRE_BUFFER - sizeof(name) - sizeof(numbers))
		name_at = WIRE_BUFFER - sizeof(name) - sizeof(numbers);
	receive.bytes = name_at;
	result = receive_in(socket, request, &receive, name);
	if (result < 0)
		return result;
	memcpy(request->data + name_at, name, (uint32_t)request->more[0]);
	memcpy(request->data + name_at + (uint32_t)request->more[0], numbers, receive.fds * sizeof(int32_t));
	return result;
}

int64_t socket_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
    int64_t offset)
{
	struct receive receive = { .to = to, .bytes = bytes > WIRE_BUFFER ? WIRE_BUFFER : (uint32_t)bytes };

	return offset != -1 ? -ESPIPE : receive_in(file->object, request, &receive, NULL);
}
