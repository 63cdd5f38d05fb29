/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP of the libOS event: a connection, and what tcp.c (what comes), tcp_out.c (what leaves) and conn.c (the program's side) tell
 * each other.
 *
 * T1 una <= nxt <= max <= end: acknowledged up to, next to send, sent up to, queued up to (with the FIN, if `fin`)
 * T2 the packets of a connection are in the order of their sequence numbers, without gaps, from una to end
 * T3 a packet of which nothing has been sent begins at max or later; only such a one grows
 * T4 a connection is freed by gone() alone, and that is not called while a function of the program's runs for it (`inside`)
 */
#ifndef LIBOS_EVENT_TCP_H
#define LIBOS_EVENT_TCP_H

#include "libos/event/net.h"

#define TCP_FIN	1
#define TCP_SYN	2
#define TCP_RST	4
#define TCP_PSH	8
#define TCP_ACK	16

#define TCP_MSS		1460
#define TCP_QUEUE	(16 * TCP_MSS)	/* bytes that a connection may have on its way at most */
#define LINGER_MS	1000

struct conn {
	struct conn *next;		/* in its chain */
	struct conn *next_put_off;
	const struct conn_calls *calls;
	void *own;
	struct packet *first, *last;
	char *held;			/* what the program has left unused */
	uint32_t held_bytes, held_room;
	uint32_t peer;
	uint16_t peer_port, port;
	uint32_t una, nxt, max, end;
	uint32_t window, cwnd, threshold;
	uint32_t rcv_nxt, advertised;	/* received up to; the window that was told ends there */
	uint32_t behind;		/* bytes that the window does not go on for: the program pauses */
	uint32_t discarded;
	uint32_t timed;			/* what is to be acknowledged for a time to be measured, which began ... */
	uint64_t timed_at;		/* ... then; 0: none is */
	uint64_t born;
	uint16_t mss, rto, srtt, variance;	/* bytes; ms */
	uint8_t mac[6];
	uint8_t retries, duplicates, inside;
	bool established, ended, told, closing, finished, fin, waits, paused, put_off, show, ack;
	int dead;			/* an errno: to be ended */
	struct conn_timer timer;	/* what is sent again; an end that is waited for */
};

static inline bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* tcp_out.c: send what may be sent, or at least an acknowledgement that is due */
void tcp_output(struct conn *conn);
/* The oldest packet again. */
void tcp_again(struct conn *conn);
/* An acknowledgement and the like: no data. */
void tcp_plain(const struct conn *conn, uint32_t sequence, uint8_t flags);
/* Answer a segment that belongs to no connection by a reset. */
void tcp_refuse(const struct ip_in *in, uint32_t bytes);
void tcp_timer(struct conn_timer *timer);
uint32_t tcp_window(void);

/* tcp.c */
void tcp_forget(struct conn *conn);

/* conn.c */
const struct conn_calls *conn_listener(uint16_t port);
struct conn *conn_make(const struct conn_calls *calls);
void conn_opened(struct conn *conn);
void conn_take(struct conn *conn, const char *data, uint32_t bytes);
void conn_ended(struct conn *conn);
void conn_acknowledged(struct conn *conn);
/* Send what is due; end it if it is to end. The connection may be gone then. */
void conn_settle(struct conn *conn);
void conn_gone(struct conn *conn, int error);

#endif
