/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of conn.h over sockets and poll() share: conn_poll.c (loop, accepting, receiving), conn_poll_send.c (sending, the
 * end of a connection), conn_poll_connect.c (the client's side) and conn_poll_udp.c (datagrams). One thread runs all of it.
 */
#ifndef LIBOS_CONN_CONN_POLL_H
#define LIBOS_CONN_CONN_POLL_H

#include <netinet/in.h>
#include "libos/conn/timer.h"

#define PIECES		8		/* pieces that wait to be sent, of one connection */
#define COPY_BYTES	16384		/* bytes of them that were copied */

enum conn_state {
	CONN_OPEN,
	CONN_CLOSING,		/* conn_close was called, bytes wait to be sent */
	CONN_LINGERING,		/* all was sent and ended; what comes is thrown away */
	CONN_DEAD,		/* gone but for the last word */
};

struct piece {
	const char *data;
	size_t bytes;
};

struct conn {
	int fd;
	unsigned at;			/* its place among the polled ones */
	enum conn_state state;
	bool opening;			/* asked for, not there yet */
	bool finished, shut;		/* conn_finish was called; the other side has been told */
	bool paused;
	bool again;			/* what is held must be shown without anything new */
	bool ended;			/* the other side has */
	bool short_sent;		/* conn_send took less than it was given */
	bool listed;			/* among those to be looked at before the next poll */
	int error;
	unsigned gives;			/* times that the socket was given something */
	uint16_t port;
	uint32_t address;
	const struct conn_calls *calls;
	void *own;
	struct conn *next;		/* in that list */
	char *held;			/* bytes that the program left unused */
	size_t held_bytes;
	struct piece piece[PIECES];	/* the first `pieces` of them, in order */
	unsigned pieces;
	char *copy;			/* COPY_BYTES, of which `copied` are used; NULL: none */
	size_t copied;
	size_t owed;			/* the sum of all pieces */
	struct conn_timer linger;
	size_t linger_left;
};

/* conn_poll.c */
/* Look at a connection before the next poll. */
void conn_list(struct conn *conn);
/* Poll for what a connection now waits for. */
void conn_watch(struct conn *conn);
/* Take up a socket. NULL: there is no memory, and it is closed. */
struct conn *conn_adopt(int fd, const struct sockaddr_in *peer, const struct conn_calls *calls);
/* Have a function called when a descriptor can be read. 0 or ENOMEM. */
int conn_watch_fd(int fd, void (*ready)(int fd, void *own), void *own);

/* conn_poll_connect.c */
/* One that was asked for is there, or will not be. */
void conn_there(struct conn *conn);

/* conn_poll_send.c */
/* Send what waits; then its end, if it is asked for. Calls `room`. */
void conn_flush(struct conn *conn);
/* It is gone: `closed` will be called with this error. */
void conn_die(struct conn *conn, int error);
/* Something came, or the end (0 bytes), for one that lingers. */
void conn_discard(struct conn *conn, size_t bytes);
/* Give back what it has for sending. */
void conn_drop_output(struct conn *conn);

#endif
