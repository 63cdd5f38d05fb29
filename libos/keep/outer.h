/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between inet.c, which knows sockets, and net.c, which knows lwIP: what goes beyond this machine.
 *
 * Addresses and ports are in network byte order here. inet.c calls the functions of struct outer; net.c calls the
 * inet_* ones, at any time but not from within an outer one that says otherwise.
 */
#ifndef LIBOS_KEEP_OUTER_H
#define LIBOS_KEEP_OUTER_H

#include <stdbool.h>
#include <stdint.h>

struct socket;

struct outer_end {
	uint32_t address;
	uint16_t port;
};

struct outer {
	uint32_t (*address)(void);		/* ours; 0: none yet */
	bool (*ready)(void);			/* there is one; waits for it up to some seconds */
	/* TCP. 0 or -errno; that it is open or refused is told by inet_opened. */
	int (*connect)(struct socket *socket, struct outer_end from, struct outer_end to);
	int (*listen)(struct socket *socket, struct outer_end at, uint32_t backlog);
	/* Bytes that were taken; 0: no room now (inet_room tells when). */
	int64_t (*send)(struct socket *socket, const char *data, uint32_t bytes);
	uint32_t (*room)(struct socket *socket);
	void (*taken)(struct socket *socket, uint32_t bytes);
	void (*shut)(struct socket *socket, bool writing);
	void (*option)(struct socket *socket);	/* no_delay, keep_alive ... have changed */
	/* UDP and raw: from now on what comes to `at` is its. */
	int (*datagrams)(struct socket *socket, int protocol, struct outer_end at);
	int64_t (*send_to)(struct socket *socket, const char *data, uint32_t bytes, struct outer_end to);
	/* The socket is gone; no call about it comes any more. `reset`: at once, the peer is told. */
	void (*close)(struct socket *socket, bool reset);
};

extern const struct outer *inet_outer;		/* NULL: there is no network */

/* How net.c tells what has happened. */
void inet_opened(struct socket *socket, int error);		/* connect() has ended */
/* NULL: refuse */
struct socket *inet_accepted(struct socket *listener, struct outer_end from, struct outer_end at);
bool inet_arrived(struct socket *socket, const char *data, uint32_t bytes);	/* false: no memory; say it again */
void inet_datagram(struct socket *socket, const char *data, uint32_t bytes, struct outer_end from);
void inet_ended(struct socket *socket, int error);		/* FIN (0), or it is cut */
void inet_room(struct socket *socket);
void **inet_outer_end(struct socket *socket);			/* net.c's own pointer */
struct outer_options {
	bool no_delay, keep_alive, broadcast;
	int ttl, tos, keep_idle, keep_interval, keep_count;
};
struct outer_options inet_options(const struct socket *socket);

#endif
