/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of dataplane's sockets share: socket.c (descriptors, calls, names of their ends), socket_option.c,
 * socket_stream.c (over conn.h) and socket_datagram.c (over lwIP's raw UDP).
 */
#ifndef LIBOS_DATAPLANE_SOCKET_H
#define LIBOS_DATAPLANE_SOCKET_H

#include <sys/socket.h>
#include "lwip/udp.h"
#include "libos/dataplane/dataplane.h"
#include "libos/uni/fd.h"

enum sock_state {
	SOCK_NEW,
	SOCK_LISTENS,
	SOCK_CONNECTING,
	SOCK_CONNECTED,		/* or ended since; a datagram socket: has one peer */
};

struct sock {
	bool datagrams;
	enum sock_state state;
	int error;			/* that SO_ERROR and the next call tell */
	exo_time_t receive_time, send_time;	/* that a call waits; 0: for ever */
	uint32_t options;		/* lwIP's SOF_ */
	uint32_t receive_room;		/* bytes of datagrams that wait to be received */
	int nagle, keep[3];		/* TCP_NODELAY is off; TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, seconds; 0: as they are */
	uint8_t ttl, tos;		/* ttl 0: the usual */
	bool receive_shut, send_shut, hard;	/* hard: close resets */
	struct conn_peer self, peer;	/* while there is no connection: what was asked for */
	/* streams */
	struct tcp_pcb *bound;		/* a port, and no more yet */
	struct tcp_pcb *listener;
	struct conn *conn;
	bool ended;			/* the other side has */
	struct sock *next;		/* in a listener's queue, */
	struct sock *first, *last;	/* which is this */
	unsigned waiting, waiting_most;
	struct conn_calls calls;	/* a listener's: a connection knows it by them until it is in the queue */
	/* datagrams */
	struct udp_pcb *udp;
	struct datagram *oldest, *newest;
	uint32_t waiting_bytes;
};

/* A message that is sent or received: pieces of memory, in order. */
struct message {
	const struct iovec *piece;
	size_t pieces;
	size_t bytes;			/* of them all */
};

/* socket.c */
/* The socket of a number, held until fd_put; NULL and errno. */
struct sock *sock_get(int number, struct fd **fd);
/* Something has happened that somebody may wait for. */
void sock_wake(void);
/* Wait until something happens. False, and errno: EAGAIN, for it must not wait, or the time is over. */
bool sock_await(const struct fd *fd, int flags, exo_time_t deadline);
/* When a call that begins now, and may wait so long, must end. */
exo_time_t sock_deadline(exo_time_t time);
/* Is there an address, or can one be waited for? False, and errno. `to`: for whom; NULL: for a name server. */
bool sock_addressed(const struct conn_peer *to);
/* Copy into a message's pieces from `at` on, or from them. */
void sock_scatter(const struct message *message, size_t at, const void *data, size_t bytes);
void sock_gather(const struct message *message, size_t at, void *data, size_t bytes);

/* socket_option.c: what was set before there was a connection is set for it now. */
void sock_options_apply(struct sock *sock, struct tcp_pcb *pcb);

/*
 * socket_stream.c, socket_datagram.c: as the calls of their names. 0 or bytes; -1 and errno. They wait if the descriptor may.
 */
int stream_bind(struct sock *sock, const struct conn_peer *to);
int stream_listen(struct sock *sock, int backlog);
/* The next of a listener's queue, out of it; NULL and errno. */
struct sock *stream_accept(struct fd *fd);
int stream_connect(struct fd *fd, const struct conn_peer *to);
ssize_t stream_receive(struct fd *fd, const struct message *message, int flags);
ssize_t stream_send(struct fd *fd, const struct message *message, int flags);
int stream_shutdown(struct sock *sock, bool receive, bool send);
short stream_poll(struct sock *sock);
/* Its TCP, if it has one now. */
struct tcp_pcb *stream_pcb(const struct sock *sock);
void stream_close(struct sock *sock);

int datagram_make(struct sock *sock);
int datagram_bind(struct sock *sock, const struct conn_peer *to);
/* port 0: with nobody any more. */
int datagram_connect(struct sock *sock, const struct conn_peer *to);
/* *whole: how long it was. from: who sent it. */
ssize_t datagram_receive(struct fd *fd, const struct message *message, int flags, struct conn_peer *from, size_t *whole);
ssize_t datagram_send(struct fd *fd, const struct message *message, int flags, const struct conn_peer *to);
short datagram_poll(struct sock *sock);
void datagram_close(struct sock *sock);

#endif
