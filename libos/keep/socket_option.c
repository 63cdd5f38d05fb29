/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of sockets, and what ioctl tells of them.
 *
 * Options that are numbers stand in two tables, of those that can be set and of those that can be asked for; the rest
 * (timeouts, lingering, credentials) have their own structures.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include "libos/keep/socket.h"

#define US	1000u			/* ns */
#define TIMEOUT_MOST	(1ll << 32)	/* seconds */

static int pending_error(struct socket *socket)
{
	int error = socket->error;

	socket->error = 0;
	return error;
}

/* The value of an option that is a number; false: there is none. */
static bool number_get(struct socket *socket, int level, int name, int *value)
{
	bool tcp = socket->protocol == IPPROTO_TCP && socket->domain == AF_INET;

	if (level == IPPROTO_TCP && tcp) {
		switch (name) {
		case TCP_NODELAY: *value = socket->no_delay; return true;
		case TCP_MAXSEG: *value = 1460; return true;
		case TCP_KEEPIDLE: *value = socket->keep_idle ? socket->keep_idle : 7200; return true;
		case TCP_KEEPINTVL: *value = socket->keep_interval ? socket->keep_interval : 75; return true;
		case TCP_KEEPCNT: *value = socket->keep_count ? socket->keep_count : 9; return true;
		default: return false;
		}
	}
	if (level == IPPROTO_IP && socket->domain == AF_INET) {
		*value = name == IP_TTL ? socket->ttl : socket->tos;
		return name == IP_TTL || name == IP_TOS;
	}
	if (level != SOL_SOCKET)
		return false;
	switch (name) {
	case SO_TYPE: *value = socket->type; return true;
	case SO_DOMAIN: *value = socket->domain; return true;
	case SO_PROTOCOL: *value = socket->protocol; return true;
	case SO_ERROR: *value = pending_error(socket); return true;
	case SO_ACCEPTCONN: *value = socket->state == SOCKET_LISTENING; return true;
	case SO_REUSEADDR: *value = socket->reuse_address; return true;
	case SO_REUSEPORT: *value = socket->reuse_port; return true;
	case SO_BROADCAST: *value = socket->broadcast; return true;
	case SO_KEEPALIVE: *value = socket->keep_alive; return true;
	case SO_RCVBUF: *value = (int)socket->limit; return true;
	case SO_SNDBUF: *value = (int)socket->send_limit; return true;
	case SO_RCVLOWAT: *value = 1; return true;
	case SO_SNDLOWAT: *value = SOCKET_BUFFER_LEAST; return true;
	case SO_DEBUG: *value = 0; return true;
	case SO_DONTROUTE: *value = 0; return true;
	case SO_OOBINLINE: *value = 0; return true;
	default: return false;
	}
}

static uint32_t buffer_size(int value)
{
	if (value < (int)SOCKET_BUFFER_LEAST)
		return SOCKET_BUFFER_LEAST;
	return value > (int)SOCKET_BUFFER_MOST ? SOCKET_BUFFER_MOST : (uint32_t)value;
}

static int64_t tcp_set(struct socket *socket, int name, int value)
{
	if (socket->protocol != IPPROTO_TCP || socket->domain != AF_INET)
		return -ENOPROTOOPT;
	if (name != TCP_NODELAY && (value < 1 || value > 32767))
		return -EINVAL;
	switch (name) {
	case TCP_NODELAY: socket->no_delay = value; return 0;
	case TCP_KEEPIDLE: socket->keep_idle = value; return 0;
	case TCP_KEEPINTVL: socket->keep_interval = value; return 0;
	case TCP_KEEPCNT: socket->keep_count = value; return 0;
	default: return -ENOPROTOOPT;
	}
}

static int64_t ip_set(struct socket *socket, int name, int value)
{
	if (socket->domain != AF_INET || (name != IP_TTL && name != IP_TOS))
		return -ENOPROTOOPT;
	if (value < (name == IP_TTL) || value > 255)
		return -EINVAL;
	*(name == IP_TTL ? &socket->ttl : &socket->tos) = value;
	return 0;
}

static int64_t number_set(struct socket *socket, int level, int name, int value)
{
	if (level == IPPROTO_TCP)
		return tcp_set(socket, name, value);
	if (level == IPPROTO_IP)
		return ip_set(socket, name, value);
	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	switch (name) {
	case SO_REUSEADDR: socket->reuse_address = value; return 0;
	case SO_REUSEPORT: socket->reuse_port = value; return 0;
	case SO_BROADCAST: socket->broadcast = value; return 0;
	case SO_KEEPALIVE: socket->keep_alive = value; return 0;
	case SO_RCVBUF: socket->limit = buffer_size(value); return 0;
	case SO_SNDBUF: socket->send_limit = buffer_size(value); return 0;
	default: return -ENOPROTOOPT;
	}
}

/* --- structures --------------------------------------------------------------------------------------------- */

static int64_t timeout_set(exo_time_t *timeout, const char *data, uint64_t bytes)
{
	struct timeval value;

	if (bytes < sizeof(value))
		return -EINVAL;
	memcpy(&value, data, sizeof(value));
	if (value.tv_usec < 0 || value.tv_usec >= 1000000)
		return -EDOM;
	if (value.tv_sec < 0)
		value.tv_sec = 0, value.tv_usec = 1;
	*timeout = value.tv_sec > TIMEOUT_MOST ? 0 :
		(uint64_t)value.tv_sec * CORE_SECOND + (uint64_t)value.tv_usec * US;
	return 0;
}

static int64_t linger_set(struct socket *socket, const char *data, uint64_t bytes)
{
	struct linger value;

	if (bytes < sizeof(value))
		return -EINVAL;
	memcpy(&value, data, sizeof(value));
	socket->linger = value.l_onoff;
	socket->linger_seconds = value.l_linger;
	return 0;
}

static int64_t set(struct socket *socket, int level, int name, const char *data, uint64_t bytes)
{
	int64_t result;
	int value;

	if (bytes > WIRE_BUFFER)
		return -EINVAL;
	if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO))
		return timeout_set(name == SO_RCVTIMEO ? &socket->receive_timeout : &socket->send_timeout,
				   data, bytes);
	if (level == SOL_SOCKET && name == SO_LINGER)
		return linger_set(socket, data, bytes);
	/* Those of IP may be a byte, as elsewhere; one that is not there is so in any length. */
	if (bytes < sizeof(value) && !(bytes && level == IPPROTO_IP))
		return !(level == SOL_SOCKET && name == SO_ERROR) && number_get(socket, level, name, &value) ?
			-EINVAL : -ENOPROTOOPT;
	if (bytes < sizeof(value))
		value = (uint8_t)*data;
	else
		memcpy(&value, data, sizeof(value));
	result = number_set(socket, level, name, value);
	if (!result && socket->family->option)
		socket->family->option(socket);
	return result;
}

static int64_t get(struct socket *socket, int level, int name, char *data)
{
	exo_time_t timeout = name == SO_RCVTIMEO ? socket->receive_timeout : socket->send_timeout;
	struct linger linger = { .l_onoff = socket->linger, .l_linger = socket->linger_seconds };
	struct timeval time;
	int value;

	if (number_get(socket, level, name, &value)) {
		memcpy(data, &value, sizeof(value));
		return sizeof(value);
	}
	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	switch (name) {
	case SO_RCVTIMEO:
	case SO_SNDTIMEO:
		time.tv_sec = (time_t)(timeout / CORE_SECOND);
		time.tv_usec = (suseconds_t)(timeout % CORE_SECOND / US);
		memcpy(data, &time, sizeof(time));
		return sizeof(time);
	case SO_LINGER:
		memcpy(data, &linger, sizeof(linger));
		return sizeof(linger);
	case SO_PEERCRED:
		if (socket->domain != AF_UNIX)
			return -ENOPROTOOPT;
		memcpy(data, socket->state == SOCKET_CONNECTED ? &socket->other : &socket->owner,
		       sizeof(struct ucred));
		return sizeof(struct ucred);
	default:
		return -ENOPROTOOPT;
	}
}

int64_t socket_option(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	struct socket *socket = file ? socket_of(file) : NULL;
	int level = (int)(request->word[1] >> 32), name = (int)(uint32_t)request->word[1];

	if (!socket)
		return file ? -ENOTSOCK : -EBADF;
	if ((int64_t)request->word[2] == -1)
		return get(socket, level, name, request->data);
	return set(socket, level, name, request->data, request->word[2]);
}

int64_t socket_ioctl(struct keep_file *file, struct keep_request *request, uint64_t number, char *argument)
{
	const struct socket *socket = file->object;
	int value;

	if (number == FIOSETOWN || number == SIOCSPGRP) {
		memcpy(&value, argument, sizeof(value));
		return keep_owner_set ? keep_owner_set(file, request->process, value) : -ENOTTY;
	}
	if (number == FIOGETOWN || number == SIOCGPGRP) {
		memcpy(argument, &file->owner, sizeof(file->owner));
		return 0;
	}
	if (number != FIONREAD)
		return -ENOTTY;
	if (socket->state == SOCKET_LISTENING)
		return -EINVAL;
	if (socket->type == SOCK_STREAM)
		value = (int)socket->queued;
	else
		value = socket->first ? (int)(socket->first->end - socket->first->start) : 0;
	memcpy(argument, &value, sizeof(value));
	return 0;
}
