/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_INET: ports, and everything between processes of this keeper. What goes beyond this machine is net.c's
 * (outer.h).
 *
 * A TCP connection to an own address is a pair of sockets (pair.c) with Internet names: no segments, no timers, and
 * nothing of it is seen by lwIP. UDP goes from queue to queue as well, and is dropped where there is no room; an echo
 * request to an own address is answered here. Bound sockets stand in a hash table by their port.
 */
#include <errno.h>
#include <string.h>
#include "libos/keep/outer.h"
#include "libos/keep/socket.h"

#define BUCKETS		64
#define PORT_FIRST	49152		/* of those that are given out */
#define PORT_LAST	65535
#define LOOPBACK	htonl(INADDR_LOOPBACK)
#define IP_HEADER	20
#define ICMP_HEADER	8
#define ECHO_REQUEST	8

const struct outer *inet_outer;
static struct socket *bucket[BUCKETS];
static uint16_t next_port = PORT_FIRST;

static bool is_loopback(uint32_t address)
{
	return (ntohl(address) >> 24) == 127;
}

/* Is it this machine's? */
static bool is_own(uint32_t address)
{
	return is_loopback(address) || (inet_outer && address && address == inet_outer->address());
}

static struct outer_end end_of(const struct socket_name *name)
{
	return (struct outer_end){ .address = name->in.sin_addr.s_addr, .port = name->in.sin_port };
}

static struct socket_name name_of(uint32_t address, uint16_t port)
{
	struct socket_name name = { .bytes = sizeof(name.in) };

	name.in.sin_family = AF_INET;
	name.in.sin_port = port;
	name.in.sin_addr.s_addr = address;
	return name;
}

void inet_name(const struct socket *socket, struct socket_name *name)
{
	uint32_t to = socket->peer_name.in.sin_addr.s_addr;

	if (!socket->peer_name.bytes || name->in.sin_addr.s_addr)
		return;
	name->in.sin_addr.s_addr = is_own(to) || !inet_outer ? to : inet_outer->address();
}

/* --- ports -------------------------------------------------------------------------------------------------- */

static struct socket **bucket_of(uint16_t port)
{
	return &bucket[ntohs(port) % BUCKETS];
}

static bool may_share(const struct socket *one, const struct socket *other)
{
	if (one->reuse_port && other->reuse_port && one->owner.uid == other->owner.uid)
		return true;
	if (!one->reuse_address || !other->reuse_address)
		return false;
	return one->type != SOCK_STREAM || (one->state != SOCKET_LISTENING && other->state != SOCKET_LISTENING);
}

static bool is_free(const struct socket *socket, uint32_t address, uint16_t port)
{
	for (const struct socket *other = *bucket_of(port); other; other = other->port_next) {
		uint32_t taken = other->name.in.sin_addr.s_addr;

		if (other != socket && other->protocol == socket->protocol && other->name.in.sin_port == port &&
		    (!taken || !address || taken == address) && !may_share(socket, other))
			return false;
	}
	return true;
}

static uint16_t free_port(const struct socket *socket, uint32_t address)
{
	for (unsigned i = 0; i <= PORT_LAST - PORT_FIRST; i++) {
		uint16_t port = htons(next_port);

		next_port = next_port == PORT_LAST ? PORT_FIRST : (uint16_t)(next_port + 1);
		if (is_free(socket, address, port))
			return port;
	}
	return 0;
}

static void enter(struct socket *socket)
{
	struct socket **head = bucket_of(socket->name.in.sin_port);

	socket->port_next = *head;
	*head = socket;
	socket->bound = true;
}

static void leave(struct socket *socket)
{
	struct socket **link = bucket_of(socket->name.in.sin_port);

	if (!socket->bound)
		return;
	while (*link != socket)
		link = &(*link)->port_next;
	*link = socket->port_next;
	socket->bound = false;
}

/* Datagrams to it from beyond this machine reach it, too. */
static int64_t open_outer(struct socket *socket)
{
	if (!inet_outer || socket->type == SOCK_STREAM || is_loopback(socket->name.in.sin_addr.s_addr))
		return 0;
	return inet_outer->datagrams(socket, socket->protocol, end_of(&socket->name));
}

/* A port of its own choice: 0 */
static int64_t bind_to(struct socket *socket, uint32_t address, uint16_t port)
{
	int64_t error;

	if (socket->type != SOCK_RAW) {
		if (!port)
			port = free_port(socket, address);
		if (!port || !is_free(socket, address, port))
			return -EADDRINUSE;
	}
	socket->name = name_of(address, port);
	error = open_outer(socket);
	if (error) {
		socket->name.bytes = 0;
		return error;
	}
	enter(socket);
	return 0;
}

static int64_t inet_bind(struct socket *socket, struct keep_process *process, const struct socket_name *name)
{
	uint32_t address = name->in.sin_addr.s_addr;
	uint16_t port = ntohs(name->in.sin_port);

	if (socket->bound || socket->state != SOCKET_IDLE)
		return -EINVAL;
	if (address && !is_own(address) && !(socket->type == SOCK_DGRAM && address == INADDR_BROADCAST))
		return -EADDRNOTAVAIL;
	if (port && port < IPPORT_RESERVED && process->euid && socket->type != SOCK_RAW)
		return -EACCES;
	return bind_to(socket, address, name->in.sin_port);
}

/* --- TCP ---------------------------------------------------------------------------------------------------- */

static int64_t inet_listen(struct socket *socket)
{
	int64_t error = socket->bound ? 0 : bind_to(socket, 0, 0);

	for (const struct socket *other = *bucket_of(socket->name.in.sin_port); other && !error;
	     other = other->port_next) {
		if (other != socket && other->state == SOCKET_LISTENING && other->protocol == IPPROTO_TCP &&
		    other->name.in.sin_port == socket->name.in.sin_port &&
		    other->name.in.sin_addr.s_addr == socket->name.in.sin_addr.s_addr)
			return -EADDRINUSE;
	}
	if (error || !inet_outer || is_loopback(socket->name.in.sin_addr.s_addr))
		return error;
	return inet_outer->listen(socket, end_of(&socket->name), socket->backlog);
}

static struct socket *listener_at(uint32_t address, uint16_t port)
{
	struct socket *any = NULL;

	for (struct socket *socket = *bucket_of(port); socket; socket = socket->port_next) {
		if (socket->state != SOCKET_LISTENING || socket->name.in.sin_port != port)
			continue;
		if (socket->name.in.sin_addr.s_addr == address)
			return socket;
		if (!socket->name.in.sin_addr.s_addr)
			any = socket;
	}
	return any;
}

static int64_t connect_within(struct socket *socket, struct keep_process *process, uint32_t address, uint16_t port,
    bool wait)
{
	struct socket *listener = listener_at(address, port);
	int64_t error;

	if (!listener)
		return -ECONNREFUSED;
	error = pair_connect(socket, listener, process, wait);
	if (error)
		return error == -EAGAIN ? -ECONNREFUSED : error;
	if (!socket->name.in.sin_addr.s_addr)
		socket->name.in.sin_addr.s_addr = address;
	socket->peer_name = name_of(address, port);
	socket->peer->name = socket->peer_name;
	socket->peer->peer_name = socket->name;
	return 0;
}

/*
 * Who must not wait asks how the connection went when the socket is ready, as of any other address: at the next connect(), or
 * by SO_ERROR. Programs take it for granted that a stream is not connected at once (POSIX leaves it open).
 */
static int64_t within_later(struct socket *socket, int64_t error)
{
	if (error && error != -ECONNREFUSED)
		return error;
	socket->told = false;
	if (error) {
		socket->error = ECONNREFUSED;
		socket_wake(socket);
	}
	return -EINPROGRESS;
}

/* Is there an address to speak from? Waits for one a while, and sees that the socket is still there then. */
static int64_t addressed(struct socket *socket)
{
	struct keep_file *file = socket->file;
	bool there;

	if (!inet_outer)
		return -ENETUNREACH;
	keep_file_hold(file);
	there = inet_outer->ready();
	if (file->refs == 1)
		there = false;
	keep_file_drop(file);
	return there ? 0 : -ENETUNREACH;
}

static int64_t connect_stream(struct socket *socket, struct keep_process *process, uint32_t address, uint16_t port,
    bool wait)
{
	int64_t error;

	if (socket->state == SOCKET_CONNECTING) {
		if (!wait)
			return -EALREADY;
	} else {
		error = socket->bound ? 0 : bind_to(socket, 0, 0);
		if (error)
			return error == -EADDRINUSE ? -EADDRNOTAVAIL : error;
		if (is_own(address)) {
			error = connect_within(socket, process, address, port, wait);
			return wait || error == WIRE_WAIT ? error : within_later(socket, error);
		}
		error = addressed(socket);
		if (error)
			return error;
		error = inet_outer->connect(socket, end_of(&socket->name), (struct outer_end){ address, port });
		if (error)
			return error;
		socket->peer_name = name_of(address, port);
		socket->state = SOCKET_CONNECTING;
		if (!wait)
			return -EINPROGRESS;
	}
	keep_wait(&socket->senders, process);
	return WIRE_WAIT;
}

static int64_t inet_connect(struct socket *socket, struct keep_process *process, const struct socket_name *name,
    bool wait)
{
	uint32_t address = name->in.sin_addr.s_addr ? name->in.sin_addr.s_addr : LOOPBACK;
	int64_t error;

	if (socket->type == SOCK_STREAM) {
		if (name->any.sa_family == AF_UNSPEC)
			return -EAFNOSUPPORT;
		if (address == INADDR_BROADCAST || IN_MULTICAST(ntohl(address)))
			return -ENETUNREACH;
		return connect_stream(socket, process, address, name->in.sin_port, wait);
	}
	if (name->any.sa_family == AF_UNSPEC) {
		socket->peer_name.bytes = 0;
		socket->state = SOCKET_IDLE;
		return 0;
	}
	if (address == INADDR_BROADCAST && !socket->broadcast)
		return -EACCES;
	error = is_own(address) ? 0 : addressed(socket);
	if (error)
		return error;
	error = socket->bound ? 0 : bind_to(socket, 0, 0);
	if (error)
		return error;
	socket->peer_name = name_of(address, name->in.sin_port);
	socket->state = SOCKET_CONNECTED;
	return 0;
}

/* --- datagrams ---------------------------------------------------------------------------------------------- */

static bool same(const struct socket_name *name, struct outer_end end)
{
	return name->in.sin_addr.s_addr == end.address && name->in.sin_port == end.port;
}

/* Who gets a datagram: one connected to the sender before one with the address, before any. */
static struct socket *udp_at(struct outer_end at, struct outer_end from)
{
	struct socket *best = NULL;
	int best_score = -1;

	for (struct socket *socket = *bucket_of(at.port); socket; socket = socket->port_next) {
		int score = 0;

		if (socket->protocol != IPPROTO_UDP || socket->name.in.sin_port != at.port)
			continue;
		if (socket->name.in.sin_addr.s_addr) {
			if (socket->name.in.sin_addr.s_addr != at.address)
				continue;
			score++;
		}
		if (socket->state == SOCKET_CONNECTED) {
			if (!same(&socket->peer_name, from))
				continue;
			score += 2;
		}
		if (score > best_score) {
			best = socket;
			best_score = score;
		}
	}
	return best;
}

static void arrive(struct socket *to, struct socket_user *user, const char *data, uint32_t bytes,
		   struct outer_end from)
{
	struct socket_name name = name_of(from.address, from.port);

	if (!to->shut_read && to->queued + bytes <= to->limit && to->messages < SOCKET_MESSAGES)
		message_add(to, user, data, bytes, false, &name, NULL);
}

static int64_t udp_within(struct socket *socket, const struct socket_send *send, struct outer_end to)
{
	struct outer_end from = end_of(&socket->name);
	struct socket *receiver;

	if (!from.address)
		from.address = to.address;
	receiver = udp_at(to, from);
	if (receiver)
		arrive(receiver, socket->user, send->data, send->bytes, from);
	else if (socket->state == SOCKET_CONNECTED) {
		socket->error = ECONNREFUSED;
		socket_wake(socket);
	}
	return send->bytes;
}

static uint16_t sum_of(const uint8_t *data, uint32_t bytes)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i + 1 < bytes; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	if (bytes & 1)
		sum += (uint32_t)(data[bytes - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* An ICMP packet from an own address to an own address, to all who listen. */
static void icmp_deliver(struct socket_user *user, uint8_t *packet, uint32_t bytes, struct outer_end from)
{
	struct socket *next;

	for (struct socket *socket = socket_all; socket; socket = next) {
		next = socket->all_next;
		if (socket->type == SOCK_RAW && socket->bound && (socket->state != SOCKET_CONNECTED ||
		    socket->peer_name.in.sin_addr.s_addr == from.address))
			arrive(socket, user, (const char *)packet, bytes, from);
	}
}

static int64_t icmp_within(struct socket *socket, const struct socket_send *send, struct outer_end to)
{
	uint8_t packet[IP_HEADER + 2048] = { 0x45 }, *icmp = packet + IP_HEADER;
	uint32_t bytes = IP_HEADER + send->bytes;
	uint16_t sum;

	if (bytes > sizeof(packet))
		return -EMSGSIZE;
	packet[2] = (uint8_t)(bytes >> 8);
	packet[3] = (uint8_t)bytes;
	packet[8] = (uint8_t)socket->ttl;
	packet[9] = IPPROTO_ICMP;
	memcpy(packet + 12, &to.address, 4);
	memcpy(packet + 16, &to.address, 4);
	sum = sum_of(packet, IP_HEADER);
	packet[10] = (uint8_t)(sum >> 8);
	packet[11] = (uint8_t)sum;
	memcpy(icmp, send->data, send->bytes);
	to.port = 0;
	icmp_deliver(socket->user, packet, bytes, to);
	if (send->bytes < ICMP_HEADER || icmp[0] != ECHO_REQUEST || sum_of(icmp, send->bytes))
		return send->bytes;
	icmp[0] = icmp[2] = icmp[3] = 0;
	sum = sum_of(icmp, send->bytes);
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	icmp_deliver(socket->user, packet, bytes, to);
	return send->bytes;
}

static int64_t send_datagram(struct socket *socket, struct socket_send *send)
{
	const struct socket_name *name = send->to ? send->to : &socket->peer_name;
	struct outer_end to = end_of(name);
	int64_t error;

	if (socket->shut_write)
		return -EPIPE;
	if (!send->to && socket->state != SOCKET_CONNECTED)
		return -EDESTADDRREQ;
	if (send->bytes > SOCKET_MESSAGE_MAX)
		return -EMSGSIZE;
	if (!to.port && socket->type == SOCK_DGRAM)
		return -EINVAL;
	if (!to.address)
		to.address = LOOPBACK;
	if (to.address == INADDR_BROADCAST && !socket->broadcast)
		return -EACCES;
	error = socket->bound ? 0 : bind_to(socket, 0, 0);
	if (error)
		return error == -EADDRINUSE ? -EAGAIN : error;
	if (is_own(to.address))
		return socket->type == SOCK_RAW ? icmp_within(socket, send, to) : udp_within(socket, send, to);
	if (!inet_outer || !socket->outer)
		return -ENETUNREACH;
	return inet_outer->send_to(socket, send->data, send->bytes, to);
}

/* --- what socket.c calls ------------------------------------------------------------------------------------ */

static int64_t inet_send(struct socket *socket, struct socket_send *send)
{
	int64_t sent;

	if (socket->type != SOCK_STREAM)
		return send_datagram(socket, send);
	if (socket->state == SOCKET_CONNECTING) {
		if (!send->wait)
			return -EAGAIN;
		keep_wait(&socket->senders, send->process);
		return WIRE_WAIT;
	}
	if (!socket->outer)
		return pair_send(socket, send);
	if (socket->shut_write)
		return -EPIPE;
	sent = inet_outer->send(socket, send->data, send->bytes);
	if (sent || !send->bytes)
		return sent;
	if (!send->wait)
		return -EAGAIN;
	keep_wait(&socket->senders, send->process);
	return WIRE_WAIT;
}

static bool inet_writable(struct socket *socket, struct keep_queue **room)
{
	if (socket->type != SOCK_STREAM || socket->shut_write)
		return true;
	if (socket->state == SOCKET_CONNECTING)
		return false;
	if (!socket->outer)
		return pair_writable(socket, room);
	return inet_outer->room(socket) >= SOCKET_BUFFER_LEAST;
}

static void inet_taken(struct socket *socket, uint32_t bytes)
{
	if (socket->outer && socket->type == SOCK_STREAM)
		inet_outer->taken(socket, bytes);
}

static void inet_shut(struct socket *socket, bool reading, bool writing)
{
	if (socket->type != SOCK_STREAM)
		return;
	if (!socket->outer)
		pair_shut(socket, reading, writing);
	else if (writing)
		inet_outer->shut(socket, writing);
}

static void inet_option(struct socket *socket)
{
	if (socket->outer)
		inet_outer->option(socket);
}

static void inet_close(struct socket *socket)
{
	bool reset = socket->first || socket->cut || (socket->linger && !socket->linger_seconds);

	leave(socket);
	if (socket->outer)
		inet_outer->close(socket, reset);
	if (socket->type == SOCK_STREAM)
		pair_part(socket, reset);
}

const struct socket_family socket_inet = {
	.bind = inet_bind, .listen = inet_listen, .connect = inet_connect, .send = inet_send,
		.writable = inet_writable,
	.taken = inet_taken, .shut = inet_shut, .option = inet_option, .close = inet_close,
};

/* --- what net.c tells ---------------------------------------------------------------------------------------- */

void inet_opened(struct socket *socket, int error)
{
	socket->state = error ? SOCKET_IDLE : SOCKET_CONNECTED;
	socket->error = error;
	if (error)
		socket->peer_name.bytes = 0;
	socket_wake(socket);
}

struct socket *inet_accepted(struct socket *listener, struct outer_end from, struct outer_end at)
{
	struct socket *socket;

	if (listener->embryos >= SOCKET_BACKLOG)
		return NULL;
	socket = socket_make(&socket_inet, AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, listener);
	if (!socket)
		return NULL;
	socket->owner = listener->owner;
	socket->limit = listener->limit;
	socket->linger = listener->linger;
	socket->linger_seconds = listener->linger_seconds;
	socket->no_delay = listener->no_delay;
	socket->keep_alive = listener->keep_alive;
	socket->state = SOCKET_CONNECTED;
	socket->told = true;
	socket->name = name_of(at.address, at.port);
	socket->peer_name = name_of(from.address, from.port);
	socket_accept_add(listener, socket);
	return socket;
}

bool inet_arrived(struct socket *socket, const char *data, uint32_t bytes)
{
	if (!socket->shut_read)
		return message_add(socket, socket->user, data, bytes, true, NULL, NULL);
	inet_outer->taken(socket, bytes);
	return true;
}

void inet_datagram(struct socket *socket, const char *data, uint32_t bytes, struct outer_end from)
{
	if (socket->state == SOCKET_CONNECTED && socket->peer_name.in.sin_addr.s_addr != from.address)
		return;
	if (socket->state == SOCKET_CONNECTED && socket->type == SOCK_DGRAM &&
	    socket->peer_name.in.sin_port != from.port)
		return;
	arrive(socket, socket->user, data, bytes, from);
}

void inet_ended(struct socket *socket, int error)
{
	socket->ended = true;
	if (error)
		socket->error = error;
	socket_wake(socket);
}

void inet_room(struct socket *socket)
{
	keep_wake(&socket->senders);
	socket_has_room(socket);
}

void **inet_outer_end(struct socket *socket)
{
	return &socket->outer;
}

struct outer_options inet_options(const struct socket *socket)
{
	return (struct outer_options){
		.no_delay = socket->no_delay, .keep_alive = socket->keep_alive, .broadcast = socket->broadcast,
		.ttl = socket->ttl, .tos = socket->tos, .keep_idle = socket->keep_idle,
		.keep_interval = socket->keep_interval, .keep_count = socket->keep_count,
	};
}
