/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets in a keeper: what its files about them share.
 *
 *   socket*.c  requests, descriptors, options           message.c  queues of what has arrived, and who pays for them
 *   pair.c     connections within the keeper            rights.c   descriptors on their way, and cycles of them
 *   local.c    AF_UNIX                                  inet.c     AF_INET: ports, and what stays in this machine
 *   net.c      AF_INET beyond this machine, over lwIP
 *
 * All that one process sends to another goes from queue to queue, TCP and UDP to an own address included:
 * there are no packets, no checksums, no timers and no memory of lwIP's in it, and it works with no network
 * at all.
 *
 * S1 every socket is in socket_all; it has a `file`, or waits in a listener's queue of those to be accepted
 * S2 peer->peer == socket in a connected pair; a datagram socket's peer counts it in `pointed_at`
 * S3 `queued` is the sum of the payloads in the queue; each message and socket is charged to a user until it is freed
 * S4 a message's `rights` hold references to files; `flights` of a socket counts how many are to its file
 */
#ifndef LIBOS_KEEP_SOCKET_H
#define LIBOS_KEEP_SOCKET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "libos/keep/files.h"

#define SOCKETS_MAX		4096		/* of a keeper */
#define SOCKETS_USER		2048		/* of one user */
#define SOCKET_BYTES_MAX	(8u << 20)	/* in queues: of a keeper */
#define SOCKET_BYTES_USER	(4u << 20)	/* ... and of one user */
#define SOCKET_FLIGHTS_USER	256		/* descriptors of a user on their way */
#define SOCKET_BUFFER		65536		/* a queue takes so much */
#define SOCKET_BUFFER_LEAST	2048
#define SOCKET_BUFFER_MOST	(256u << 10)
#define SOCKET_MESSAGE_MAX	65507		/* bytes of a datagram */
#define SOCKET_RIGHTS_MAX	64		/* descriptors in one message */
#define SOCKET_MESSAGES		512		/* datagrams in a queue */
#define SOCKET_BACKLOG		1024		/* connections that wait to be accepted: SOMAXCONN */

/* A user, with what he has; it is there while he has something. */
struct socket_user {
	struct socket_user *next;
	uid_t uid;
	uint32_t sockets, flights;
	uint64_t bytes;
};

struct socket_name {
	uint32_t bytes;				/* 0: none */
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un un;
	};
};

struct rights {
	struct rights *next;			/* of those to be dropped */
	struct socket_user *user;
	uint32_t count;
	struct keep_file *file[];
};

struct message {
	struct message *next;
	struct socket_user *user;		/* who pays */
	struct rights *rights;			/* travel with the first byte; NULL: none */
	struct socket_name *from;		/* of a datagram, behind the data; NULL: a nameless sender */
	uint32_t start, end, room;		/* data[start..end) is the payload */
	uint32_t charge;
	char data[];
};

enum socket_state { SOCKET_IDLE, SOCKET_LISTENING, SOCKET_CONNECTING, SOCKET_CONNECTED };

struct socket {
	struct socket *all_next, **all_link;	/* S1 */
	struct keep_file *file;
	const struct socket_family *family;
	struct socket_user *user;
	int domain, type, protocol;
	enum socket_state state;
	struct ucred owner, other;		/* who made it, and whom it is connected to */

	struct message *first, *last;		/* what has arrived */
	uint32_t queued, messages, limit, send_limit;
	struct keep_queue readers;		/* wait for a message, an end, or somebody to accept */
	struct keep_queue senders;		/* wait for room in this socket's queue, or its listener's */
	bool ended;				/* nothing will come any more */
	bool shut_read, shut_write;
	bool told;				/* that connect() has succeeded */
	bool cut;				/* ends before anybody accepted it */
	bool refused;				/* sent to a peer that had closed */
	bool short_of_room;			/* found none to send, without waiting */
	int error;				/* SO_ERROR */

	struct socket *peer;			/* S2 */
	uint32_t pointed_at;
	struct socket_name name, peer_name;

	uint32_t backlog, embryos;		/* of a listener */
	struct socket *accept_first, *accept_last, *accept_next;
	struct socket *listener;		/* in whose queue it waits */

	bool reuse_address, reuse_port, broadcast, keep_alive, no_delay, linger;
	int linger_seconds, ttl, tos, keep_idle, keep_interval, keep_count;
	exo_time_t receive_timeout, send_timeout;	/* ns, 0: none */

	uint32_t flights;			/* S4 */
	bool marked;				/* rights.c: it can be reached */
	struct socket *mark_next;

	struct vfs_place place;			/* local.c: its name's node; NULL: none */
	struct socket *port_next;		/* inet.c: in the table of ports */
	bool bound;				/* ... it is in there */
	void *outer;				/* net.c: lwIP's end of it; NULL: none */
};

struct socket_send {
	struct keep_process *process;
	const char *data;			/* the process may change it at any time */
	uint32_t bytes;
	const struct socket_name *to;		/* NULL: to its peer */
	struct rights *rights;			/* taken over if the result is >= 0 */
	bool wait;				/* queue the process if there is no room */
};

/* What a family does. `wait`: put the process in a queue and say WIRE_WAIT, else -EAGAIN or -EINPROGRESS. */
struct socket_family {
	int64_t (*bind)(struct socket *socket, struct keep_process *process, const struct socket_name *name);
	int64_t (*listen)(struct socket *socket);
	int64_t (*connect)(struct socket *socket, struct keep_process *process,
			   const struct socket_name *name, bool wait);
	int64_t (*send)(struct socket *socket, struct socket_send *send);
	bool (*writable)(struct socket *socket, struct keep_queue **room);	/* ... or in which queue to wait */
	void (*taken)(struct socket *socket, uint32_t bytes);	/* read from the queue; NULL: nobody minds */
	void (*shut)(struct socket *socket, bool reading, bool writing);
	void (*option)(struct socket *socket);			/* one has changed; NULL: nobody minds */
	void (*close)(struct socket *socket);
};

extern struct socket *socket_all;
extern const struct keep_kind socket_kind;
extern const struct socket_family socket_local, socket_inet;

/* --- socket.c --------------------------------------------------------------------------------------------- */

/* A socket without a descriptor, charged to `like`'s user or the process's; NULL: there are too many. */
struct socket *socket_make(const struct socket_family *family, int domain, int type, int protocol,
    const struct keep_process *process, const struct socket *like);
/* It goes, with all in its queues. */
void socket_end(struct socket *socket);
/* The socket of a description, or NULL. */
struct socket *socket_of(const struct keep_file *file);
/* Put a socket into a listener's queue, or out of it. */
void socket_accept_add(struct socket *listener, struct socket *embryo);
void socket_accept_remove(struct socket *embryo);
/* It has been told by a signal that something has come, if it wants that: O_ASYNC. */
void socket_async(const struct socket *socket);
/* Who waits to read looks again. / There is room for what it sends: the same of its senders, if it has found none. */
void socket_readable(struct socket *socket);
void socket_has_room(struct socket *socket);
/* Everybody who waits for anything of it looks again. */
void socket_wake(struct socket *socket);

/* For the other files of requests: the socket that word 0 names, or NULL and *error. */
struct socket *socket_find(const struct keep_request *request, int64_t *error);
bool socket_waits(const struct socket *socket, int flags);	/* does this call wait? flags: MSG_* */
int64_t socket_wait_to_read(struct socket *socket, struct keep_request *request);	/* WIRE_WAIT */
int64_t socket_error(struct socket *socket);			/* what SO_ERROR says, as -errno; it is told then */

/* --- socket_receive.c ------------------------------------------------------------------------------------- */

int64_t socket_request_receive(struct keep_request *request);
int64_t socket_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes, int64_t offset);

/* --- socket_option.c -------------------------------------------------------------------------------------- */

int64_t socket_option(struct keep_request *request);
/* FIONREAD and its like. */
int64_t socket_ioctl(struct keep_file *file, struct keep_request *request, uint64_t number, char *argument);

/* --- inet.c ----------------------------------------------------------------------------------------------- */

/* The address that a connected socket speaks from, where it was bound to any. */
void inet_name(const struct socket *socket, struct socket_name *name);

/* --- socket_check.c --------------------------------------------------------------------------------------- */

/* What is wrong with S1 to S4; NULL: nothing. */
const char *socket_check(void);

/* --- message.c -------------------------------------------------------------------------------------------- */

/* The record of a user, to which the caller adds something; NULL: no memory. / Gone if he has nothing left. */
struct socket_user *socket_user(uid_t uid);
void socket_user_put(struct socket_user *user);
/*
 * Append to a socket's queue, and wake its readers. `from` NULL: a stream's bytes, which may join those
 * before. false: no memory, or the user has too much; then nothing has changed.
 */
bool message_add(struct socket *to, struct socket_user *user, const char *data, uint32_t bytes, bool joins,
    const struct socket_name *from, struct rights *rights);
/* The first of the queue goes. / All. */
void message_drop(struct socket *socket);
void message_drop_all(struct socket *socket);
uint32_t message_bytes(void);		/* charged, in all */

/* --- rights.c --------------------------------------------------------------------------------------------- */

/* References to what the numbers at `fds` of a process name. 0, or -EBADF, -ETOOMANYREFS, -ENOMEM. */
int64_t rights_make(struct keep_process *process, const char *fds, uint32_t count, struct rights **rights);
/*
 * Descriptors of them in a process, with references of their own; how many there was room for. The numbers go
 * to `fds`. It does not wait.
 */
uint32_t rights_copy(struct keep_process *process, const struct rights *rights, uint32_t most, bool cloexec,
		     char *fds);
/* May wait: a description that goes may be the last of a file that has to be removed. */
void rights_drop(struct rights *rights);
/* Sockets that only messages in their own queues name go. */
void rights_collect(void);
uint32_t rights_flights(void);

/* --- pair.c ----------------------------------------------------------------------------------------------- */

void pair_join(struct socket *one, struct socket *other);
int64_t pair_send(struct socket *socket, struct socket_send *send);
bool pair_writable(struct socket *socket, struct keep_queue **room);
void pair_shut(struct socket *socket, bool reading, bool writing);
/* `reset`: the peer is told that the connection was cut. */
void pair_part(struct socket *socket, bool reset);
/* A new socket in the listener's queue, joined with this one. 0, WIRE_WAIT, -EAGAIN, -ENOBUFS. */
int64_t pair_connect(struct socket *socket, struct socket *listener, struct keep_process *process, bool wait);
/* Datagrams: to this one. */
int64_t pair_send_to(struct socket *socket, struct socket *to, struct socket_send *send);
void pair_point(struct socket *socket, struct socket *to);	/* its peer from now on; NULL: none */
void pair_forget(struct socket *socket);			/* nobody's peer any more */

#endif
