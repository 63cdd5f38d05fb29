/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the parts of the libOS dataplane: the loop (loop.c), connections (conn.c), what is between rings and TCP (tcp.c).
 */
#ifndef LIBOS_DATAPLANE_DATAPLANE_H
#define LIBOS_DATAPLANE_DATAPLANE_H

#include <stdbool.h>
#include "lwip/tcp.h"
#include "libos/conn/conn.h"
#include "libos/core/core.h"

#define DATAPLANE_BATCH	64	/* packets of a ring that one turn handles at most, before anything is sent */

enum {
	CONN_DIRTY = 1,		/* in the list of those that have something to send */
	CONN_PAUSED = 2,
	CONN_AGAIN = 4,		/* what was left is to be shown again */
	CONN_WANTS_ROOM = 8,
	CONN_CLOSING = 16,	/* conn_close was called */
	CONN_INSIDE = 32,	/* one of its functions runs */
	CONN_ABORT = 64,	/* ... and has called conn_abort */
	CONN_ENDED = 128,	/* the other side has */
	CONN_LOCAL = 256,	/* an error of our own is why it is aborted */
	CONN_TOLD = 512,	/* the program knows that the other side has ended */
	CONN_OPENING = 1024,	/* asked for, not there yet */
	CONN_FINISHED = 2048,	/* conn_finish was called */
	CONN_OVER = 4096,	/* both sides have ended, TCP has forgotten it, and something is still to be shown: pcb is NULL */
	CONN_ANSWERED = 8192,	/* since something came the program has sent something, or nothing ever came */
};

struct conn {
	struct tcp_pcb *pcb;
	const struct conn_calls *calls;
	void *own;
	struct conn *next_dirty;
	char *held;			/* unused bytes, in one piece: held_bytes of held_size */
	uint32_t held_bytes, held_size;
	uint32_t discarded;		/* bytes that came after conn_close */
	uint32_t flags;
	uint32_t error;
	uint32_t quiet;			/* half seconds without progress, while it is closing */
	uint32_t last_ack;
};

/* Time, as it was when this turn of the loop began. */
extern exo_time_t loop_time;
/* Ports for datagrams that the program has: what is short may be one of them. */
extern unsigned loop_datagrams;

/* Bring the network up, once: 0 or an errno. */
int loop_network(void);
/* Go round until the address is there, for 10 s at most; not when called in a turn of the loop. */
void loop_wait_address(void);
/* A thread beside the loop has done something that the loop waits for. */
void loop_wake(void);
/* work.c: call `done` of all that is done. */
void work_done(void);
extern struct conn_work *work_finished;
/* This connection has something to send: tcp_output at the end of the turn. */
void loop_dirty(struct conn *conn);
/* It goes: it is in no list any more. */
void loop_forget(struct conn *conn);

/* tcp.c: what comes for this listener, and for its connections, takes the short way. */
void tcp_direct(struct tcp_pcb *listener);
/* tcp.c: likewise for a connection that was asked for from here; if there is room. */
void tcp_direct_connection(struct tcp_pcb *pcb);
/* tcp.c: tcp_write with a copy and without more to come, for the usual case. False: it is not that, nothing is done. */
bool tcp_write_segment(struct tcp_pcb *pcb, const void *data, size_t bytes);
/* tcp.c: as tcp_output, short for what is usual. */
err_t tcp_output_now(struct tcp_pcb *pcb);
/* conn.c: TCP has reached TIME-WAIT. False: the connection goes on; nobody was called. */
bool conn_settled(struct tcp_pcb *pcb);
/* conn.c: TCP's errors as errno. */
int conn_errno(err_t error);
/* conn.c: conn_listen, conn_connect, with a port that is bound, or not (0). It is gone if they fail. NULL: they have. */
struct tcp_pcb *conn_listen_on(struct tcp_pcb *pcb, const struct conn_calls *calls);
int conn_connect_from(struct tcp_pcb *pcb, const struct conn_peer *to, const struct conn_calls *calls, struct conn **conn);
/* conn.c: for socket_stream.c, which takes what a paused connection holds when it is asked for. */
void conn_used(struct conn *conn, size_t bytes);
/* loop.c: one turn, without sleep; when it wants the next at the latest. */
exo_time_t loop_turn(void);
/* conn.c: send, and show again, what the loop has in its list. */
void conn_service(struct conn *conn);
/* How many there are. */
extern unsigned conn_open;

#endif
