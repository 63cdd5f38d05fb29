/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of httpd-events: what its files share. events.c takes requests, events_send.c sends and watches the time,
 * events_memo.c knows the last answers, events_beside.c has what asks a file system done beside the loop.
 */
#ifndef APPS_HTTPD_EVENTS_H
#define APPS_HTTPD_EVENTS_H

#include "apps/httpd/httpd.h"
#include "libos/conn/conn.h"

#define OUT_BYTES	16384	/* answers that are made before they are sent */
#define KEPT_MAX	4	/* files of which a connection may have bytes on the way that were not copied */

enum client_state {
	CLIENT_IDLE,		/* between requests */
	CLIENT_HEAD,		/* a part of a head has come */
	CLIENT_BODY,		/* a part of a request's body has come */
	CLIENT_SENDING,		/* an answer waits, for room or for a disk; nothing is read */
	CLIENT_ENDING,		/* conn_close was called */
	CLIENT_WAITING,		/* until there are fewer clients; nothing is read */
};

/* A request that waits for its body's end, with a copy of its head. */
struct pending {
	struct http_body body;
	size_t len;
	char head[];
};

struct client {
	struct conn *conn;
	enum client_state state;
	bool close;			/* after what is being sent */
	bool half;			/* the other side sends no more */
	bool slow;			/* it had something to read when the timer last looked */
	unsigned kept_count;
	unsigned requests;
	size_t left;			/* bytes that `received` left unused last */
	size_t scanned;			/* bytes of an incomplete head that have been looked at */
	uint64_t since;			/* conn_now when this state began */
	uint64_t queued;		/* bytes given to conn_send */
	uint64_t seen;			/* of them gone when the timer last looked, */
	uint64_t seen_at;		/* and when that was */
	struct pending *pending;
	char *rest;			/* answers for which there was no room, */
	size_t rest_at, rest_len;	/* rest[rest_at..rest_len) still to be sent, */
	struct body body;		/* then body.data[body_at..body.bytes) */
	uint64_t body_at;
	uint64_t touched;		/* a body that is mapped: so much of it is in memory */
	struct job *job;		/* what is done beside for it */
	struct job *made;		/* an answer from there that must wait for the one before */
	bool in_line;			/* it waits that something can be done beside, */
	struct client *behind;		/* before this one */
	struct {
		struct entry *entry;	/* held while less than */
		uint64_t until;		/* so many bytes are gone */
	} kept[KEPT_MAX];
	struct client *newer, *older;	/* in the list of its state; newer: the next, of those not used */
	struct conn_timer timer;
};

/* All answers are made here: one function runs at a time, and sends before it returns. */
extern struct work *events_work;

/* events.c */
/* It is at this point now. */
void client_state(struct client *c, enum client_state state);
/* Refuse what it sent, and end it. */
void client_refuse(struct client *c, const struct http_request *r, int status);

/* All is sent that was to be: go on with what it sends. */
void client_go_on(struct client *c);

/* events_beside.c */
/*
 * Answer this request beside, at this time; `keep` as in struct work. False: there is too much to do, or no memory; `must`: only
 * if there is no memory.
 */
bool beside_answer(struct client *c, const char *head, size_t len, int64_t time, bool keep, bool must);
/* It has a request that beside_answer did not take: client_go_on when there is less to do. False: there is nothing to wait for. */
bool beside_wait(struct client *c);
/* Have the next piece of c->body brought into memory; c->touched tells. False: there is no memory. */
bool beside_touch(struct client *c);
/* Send c->made. As client_send. */
bool beside_send(struct client *c);
/* Nobody waits for it any more. */
void beside_drop(struct client *c);

/* events_memo.c */
struct memo {
	int64_t time;			/* work.time of the answer */
	bool keep;
	size_t head_len, out_len;
	char head[256];
	char out[768];
};
/* The answer to the request at the front of data, if it was remembered in this second; NULL: it was not. */
const struct memo *memo_find(const char *data, size_t bytes, int64_t time);
/* Remember an answer without a body behind it. */
void memo_keep(const char *head, size_t head_len, int64_t time, const char *out, size_t out_len, bool keep);

/* events_send.c */
/* Send an answer that lies elsewhere, when none was made. As client_send. */
bool client_send_memo(struct client *c, const struct memo *memo);
/* Send an answer that was made beside. As client_send. */
bool client_send_made(struct client *c, struct work *w);
/* Send the answers made and the body behind the last. False: not all had room, or it is ending. */
bool client_send(struct client *c);
/* There is room again. False: still not for all. */
bool client_send_rest(struct client *c);
/* Let go of the files that have been sent. */
void client_sent(struct client *c);
/* Let go of everything. */
void client_drop(struct client *c);
/* conn_close, and what follows from it. */
void client_close(struct client *c);
/* The timer's function. */
void client_tick(struct conn_timer *timer);

#endif
