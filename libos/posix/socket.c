/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets (POSIX.1-2017): each call is a request to the keeper (libos/keep/socket.c), with data, address and
 * numbers of descriptors in the buffer. What POSIX lets wait waits here, at most as long as the socket's
 * timeout says, and a blocking stream takes all that is sent, in as many requests as there was room for.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "libos/posix/call.h"

/* Of a stream, in one request; the rest is for an address and numbers. */
#define PIECE		(WIRE_BUFFER - 512)
#define RIGHTS_MAX	64

/*
 * One wait for a socket: `limit` ns is what the keeper said (0: no limit); *deadline is 0 at the first. 0, or
 * -errno.
 */
static int wait_for(uint64_t limit, exo_time_t *deadline)
{
	int error;

	if (!*deadline)
		*deadline = limit ? core_now() + limit : EXO_NEVER;
	error = posix_sleep(*deadline, POSIX_RESTARTS);
	return error == -ETIMEDOUT ? -EAGAIN : error;
}

/* A request that may wait, with `bytes` of an argument at the beginning of the buffer. */
static int64_t ask(enum wire_request number, int fd, uint64_t w2, uint64_t w3, const void *argument, size_t bytes,
    uint64_t more[2])
{
	exo_time_t deadline = 0;
	int64_t result;
	int error = 0;

	if (bytes > sizeof(struct sockaddr_storage))
		return -EINVAL;
	do {
		posix_lock();
		if (bytes)
			memcpy(posix_buffer, argument, bytes);
		result = posix_ask(number, (uint64_t)fd, w2, w3, more);
		posix_unlock();
	} while (result == WIRE_WAIT && !(error = wait_for(more[0], &deadline)));
	return error ? error : result;
}

/* An address that the keeper has put at `from`. */
static void address_out(const char *from, uint32_t length, void *address, socklen_t *bytes)
{
	if (address && bytes) {
		memcpy(address, from, length < *bytes ? length : *bytes);
		*bytes = length;
	}
}

/* A length of an address's or option's room: an int once, so what is no int is refused. */
static bool room_is_bad(const void *room, const socklen_t *bytes)
{
	return room && bytes && *bytes > INT_MAX;
}

/* --- making and naming --------------------------------------------------------------------------------------- */

int socket(int domain, int type, int protocol)
{
	return (int)posix_result(posix_ask(REQUEST_SOCKET, (uint64_t)domain, (uint64_t)type,
					   (uint64_t)protocol, NULL));
}

int socketpair(int domain, int type, int protocol, int fd[2])
{
	uint64_t more[2];
	int64_t result = posix_ask(REQUEST_SOCKETPAIR, (uint64_t)domain, (uint64_t)type, (uint64_t)protocol, more);

	if (!result) {
		fd[0] = (int)more[0];
		fd[1] = (int)more[1];
	}
	return (int)posix_result(result);
}

int bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
	uint64_t more[2];

	return (int)posix_result(ask(REQUEST_BIND, fd, bytes, 0, address, bytes, more));
}

int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	uint64_t more[2];
	int64_t result = ask(REQUEST_CONNECT, fd, bytes, 0, address, bytes, more);

	return (int)posix_result(result == -EAGAIN && address->sa_family != AF_UNIX ? -EINPROGRESS : result);
}

int listen(int fd, int backlog)
{
	return (int)posix_result(posix_ask(REQUEST_LISTEN, (uint64_t)fd, (uint64_t)backlog, 0, NULL));
}

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
	exo_time_t deadline = 0;
	uint64_t more[2];
	int64_t result;
	int error = 0;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC) || room_is_bad(address, bytes))
		return (int)posix_result(-EINVAL);
	do {
		posix_lock();
		result = posix_ask(REQUEST_ACCEPT, (uint64_t)fd, (uint64_t)flags, 0, more);
		if (result >= 0)
			address_out(posix_buffer, (uint32_t)more[0], address, bytes);
		posix_unlock();
	} while (result == WIRE_WAIT && !(error = wait_for(more[0], &deadline)));
	return (int)posix_result(error ? error : result);
}

int accept(int fd, struct sockaddr *address, socklen_t *bytes)
{
	return accept4(fd, address, bytes, 0);
}

int shutdown(int fd, int how)
{
	return (int)posix_result(posix_ask(REQUEST_SHUTDOWN, (uint64_t)fd, (uint64_t)how, 0, NULL));
}

static int name_of(int fd, int peer, struct sockaddr *address, socklen_t *bytes)
{
	int64_t result;

	posix_lock();
	result = posix_ask(REQUEST_GETNAME, (uint64_t)fd, (uint64_t)peer, 0, NULL);
	if (result >= 0 && room_is_bad(address, bytes))
		result = -EINVAL;
	if (result >= 0)
		address_out(posix_buffer, (uint32_t)result, address, bytes);
	posix_unlock();
	return (int)posix_result(result > 0 ? 0 : result);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *bytes)
{
	return name_of(fd, 0, address, bytes);
}

int getpeername(int fd, struct sockaddr *address, socklen_t *bytes)
{
	return name_of(fd, 1, address, bytes);
}

/* --- options -------------------------------------------------------------------------------------------------- */

static int64_t option_get(int fd, int level, int option, void *value, socklen_t *bytes)
{
	int64_t result;

	posix_lock();
	result = posix_ask(REQUEST_SOCKOPT, (uint64_t)fd, (uint64_t)(uint32_t)level << 32 | (uint32_t)option,
			   (uint64_t)-1, NULL);
	if (result >= 0 && room_is_bad(value, bytes))
		result = -EINVAL;
	if (result >= 0) {
		if (*bytes > (socklen_t)result)
			*bytes = (socklen_t)result;
		memcpy(value, posix_buffer, *bytes);
	}
	posix_unlock();
	return result > 0 ? 0 : result;
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
	return (int)posix_result(option_get(fd, level, option, value, bytes));
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
	int64_t result;

	if (bytes > PIECE)
		return (int)posix_result(-EINVAL);
	posix_lock();
	memcpy(posix_buffer, value, bytes);
	result = posix_ask(REQUEST_SOCKOPT, (uint64_t)fd, (uint64_t)(uint32_t)level << 32 | (uint32_t)option,
			   bytes, NULL);
	posix_unlock();
	return (int)posix_result(result);
}

static bool is_stream(int fd)
{
	socklen_t bytes = sizeof(int);
	int type;

	return !option_get(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) && type == SOCK_STREAM;
}

/* There is no urgent data: never at its mark. */
int sockatmark(int fd)
{
	socklen_t bytes = sizeof(int);
	int type;
	int64_t result = option_get(fd, SOL_SOCKET, SO_TYPE, &type, &bytes);

	return (int)posix_result(result == -ENOTSOCK ? -ENOTTY : result);
}

/* --- sending -------------------------------------------------------------------------------------------------- */

struct parcel {
	const struct iovec *piece;
	int pieces;
	size_t done;		/* bytes of them all */
	const void *name;
	socklen_t name_bytes;
	const int *fds;
	uint32_t fd_count;
	int flags;
};

/* Bytes [from, from + bytes) of the pieces to the buffer, or from it. */
static void copy(const struct iovec *piece, size_t from, size_t bytes, char *buffer, bool out)
{
	for (; bytes; piece++) {
		size_t part = piece->iov_len > from ? piece->iov_len - from : 0;
		char *at = (char *)piece->iov_base + from;

		from = part ? 0 : from - piece->iov_len;
		if (part > bytes)
			part = bytes;
		if (out)
			memcpy(buffer, at, part);
		else
			memcpy(at, buffer, part);
		buffer += part;
		bytes -= part;
	}
}

/* Bytes of all pieces; more than SSIZE_MAX / 2: too many. */
static size_t length_of(const struct iovec *piece, int pieces)
{
	size_t all = 0;

	for (int i = 0; i < pieces; i++) {
		if (piece[i].iov_len > SIZE_MAX / 4 - all)
			return SIZE_MAX / 4;
		all += piece[i].iov_len;
	}
	return all;
}

/* One request, until it is not WIRE_WAIT. Address and descriptors go with the first. */
static int64_t send_part(int fd, const struct parcel *parcel, size_t bytes)
{
	uint32_t name_bytes = parcel->done ? 0 : parcel->name_bytes, fds = parcel->done ? 0 : parcel->fd_count;
	exo_time_t deadline = 0;
	uint64_t more[2];
	int64_t result;
	int error = 0;

	if (bytes + name_bytes + fds * sizeof(int) > WIRE_BUFFER)
		return -EMSGSIZE;
	do {
		posix_lock();
		copy(parcel->piece, parcel->done, bytes, posix_buffer, true);
		if (name_bytes)
			memcpy(posix_buffer + bytes, parcel->name, name_bytes);
		if (fds)
			memcpy(posix_buffer + bytes + name_bytes, parcel->fds, fds * sizeof(int));
		result = posix_ask(REQUEST_SENDTO, (uint64_t)fd, (uint64_t)fds << 32 | bytes,
		    (uint64_t)(uint32_t)parcel->flags << 32 | name_bytes, more);
		posix_unlock();
	} while (result == WIRE_WAIT && !(error = wait_for(more[0], &deadline)));
	return error ? error : result;
}

static int64_t send_all(int fd, struct parcel *parcel)
{
	size_t all = length_of(parcel->piece, parcel->pieces);
	bool pieces = all > PIECE && is_stream(fd);
	int64_t result;

	if (parcel->name_bytes > sizeof(struct sockaddr_storage))
		return -EINVAL;
	do {
		size_t rest = all - parcel->done;

		result = send_part(fd, parcel, pieces && rest > PIECE ? PIECE : rest);
		if (result < 0)
			return parcel->done ? (int64_t)parcel->done : result;
		parcel->done += (size_t)result;
	} while (parcel->done < all && result > 0);
	return (int64_t)parcel->done;
}

ssize_t sendto(int fd, const void *buffer, size_t bytes, int flags, const struct sockaddr *to, socklen_t to_bytes)
{
	struct iovec piece = { .iov_base = (void *)buffer, .iov_len = bytes };
	struct parcel parcel = {
		.piece = &piece, .pieces = 1, .name = to, .name_bytes = to ? to_bytes : 0, .flags = flags,
	};

	return posix_result(send_all(fd, &parcel));
}

ssize_t send(int fd, const void *buffer, size_t bytes, int flags)
{
	return sendto(fd, buffer, bytes, flags, NULL, 0);
}

/* The descriptors of a message's control part; their number, or -errno. */
static int rights_of(const struct msghdr *message, int fds[RIGHTS_MAX])
{
	int count = 0;

	if (!message->msg_control || message->msg_controllen < sizeof(struct cmsghdr))
		return 0;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		size_t bytes = part->cmsg_len - CMSG_LEN(0);

		if (part->cmsg_len < CMSG_LEN(0) ||
		    (char *)part + part->cmsg_len > (char *)message->msg_control + message->msg_controllen)
			return -EINVAL;
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			return -EINVAL;
		if (bytes / sizeof(int) > (size_t)(RIGHTS_MAX - count))
			return -EINVAL;
		memcpy(fds + count, CMSG_DATA(part), bytes / sizeof(int) * sizeof(int));
		count += (int)(bytes / sizeof(int));
	}
	return count;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	int fds[RIGHTS_MAX], count = rights_of(message, fds);
	struct parcel parcel = {
		.piece = message->msg_iov, .pieces = message->msg_iovlen, .name = message->msg_name,
		.name_bytes = message->msg_name ? message->msg_namelen : 0, .fds = fds, .fd_count = (uint32_t)count,
		.flags = flags,
	};

	if (count < 0)
		return posix_result(count);
	if (message->msg_iovlen < 0 || message->msg_iovlen > IOV_MAX)
		return posix_result(-EMSGSIZE);
	return posix_result(send_all(fd, &parcel));
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
	unsigned int sent;

	for (sent = 0; sent < count; sent++) {
		ssize_t bytes = sendmsg(fd, &messages[sent].msg_hdr, flags);

		if (bytes < 0)
			return sent ? (int)sent : -1;
		messages[sent].msg_len = (unsigned int)bytes;
	}
	return (int)sent;
}

/* --- receiving ------------------------------------------------------------------------------------------------ */

struct catch {
	const struct iovec *piece;
	size_t done;
	int flags;
	void *name;
	socklen_t *name_bytes;
	uint32_t most_fds, fd_count;
	int fds[RIGHTS_MAX];
	int told;		/* MSG_* */
};

static int64_t receive_part(int fd, struct catch *catch, size_t bytes)
{
	exo_time_t deadline = 0;
	uint64_t more[2];
	int64_t result;
	int error = 0;

	do {
		posix_lock();
		result = posix_ask(REQUEST_RECVFROM, (uint64_t)fd, bytes,
		    (uint64_t)catch->most_fds << 32 | (uint32_t)catch->flags, more);
		if (result >= 0) {
			uint32_t name_bytes = (uint32_t)more[0];

			copy(catch->piece, catch->done, (size_t)result < bytes ? (size_t)result : bytes,
			     posix_buffer, false);
			address_out(posix_buffer + bytes, name_bytes, catch->name, catch->name_bytes);
			catch->told = (int)(more[0] >> 32);
			catch->fd_count = (uint32_t)more[1];
			memcpy(catch->fds, posix_buffer + bytes + name_bytes, catch->fd_count * sizeof(int));
		}
		posix_unlock();
	} while (result == WIRE_WAIT && !(error = wait_for(more[0], &deadline)));
	return error ? error : result;
}

static int64_t receive(int fd, struct catch *catch, size_t bytes)
{
	bool all = (catch->flags & MSG_WAITALL) && !(catch->flags & (MSG_PEEK | MSG_DONTWAIT)) && is_stream(fd);
	int64_t result;

	do {
		size_t rest = bytes - catch->done;

		result = receive_part(fd, catch, rest > PIECE ? PIECE : rest);
		if (result < 0)
			return catch->done ? (int64_t)catch->done : result;
		catch->done += (size_t)result;
	} while (all && result && catch->done < bytes && !catch->fd_count);
	return (int64_t)catch->done;
}

ssize_t recvfrom(int fd, void *buffer, size_t bytes, int flags, struct sockaddr *from, socklen_t *from_bytes)
{
	struct iovec piece = { .iov_base = buffer, .iov_len = bytes };
	struct catch catch = { .piece = &piece, .flags = flags, .name = from, .name_bytes = from_bytes };

	return posix_result(room_is_bad(from, from_bytes) ? -EINVAL : receive(fd, &catch, bytes));
}

ssize_t recv(int fd, void *buffer, size_t bytes, int flags)
{
	return recvfrom(fd, buffer, bytes, flags, NULL, NULL);
}

/* Descriptors into a message's control part, which has room for them. */
static void rights_out(struct msghdr *message, const struct catch *catch)
{
	struct cmsghdr *part = message->msg_control;

	message->msg_controllen = 0;
	if (!catch->fd_count)
		return;
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = (socklen_t)CMSG_LEN(catch->fd_count * sizeof(int));
	memcpy(CMSG_DATA(part), catch->fds, catch->fd_count * sizeof(int));
	message->msg_controllen = (socklen_t)CMSG_SPACE(catch->fd_count * sizeof(int));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	struct catch catch = {
		.piece = message->msg_iov, .flags = flags, .name = message->msg_name,
			.name_bytes = &message->msg_namelen,
	};
	int64_t result;

	if (message->msg_iovlen < 0 || message->msg_iovlen > IOV_MAX)
		return posix_result(-EMSGSIZE);
	if (message->msg_control && message->msg_controllen > CMSG_LEN(0)) {
		catch.most_fds = (uint32_t)((message->msg_controllen - CMSG_LEN(0)) / sizeof(int));
		if (catch.most_fds > RIGHTS_MAX)
			catch.most_fds = RIGHTS_MAX;
	}
	result = receive(fd, &catch, length_of(message->msg_iov, message->msg_iovlen));
	if (result < 0)
		return posix_result(result);
	rights_out(message, &catch);
	message->msg_flags = catch.told;
	return result;
}
