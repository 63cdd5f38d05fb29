/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of httpd-events: every connection by one thread, over libos/conn.
 *
 * A request is parsed where it lies and answered at once; what one event brought, however many requests, is answered together. Only a
 * request with a body that is still to come, and answers for which there is no room, have memory of their own. While an answer waits
 * for room nothing more is read from that client.
 *
 * When there are as many clients as may be, more wait with nothing read of them; meanwhile those that are idle for a second make room,
 * and those that have had many answers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/httpd/events.h"
#include "apps/httpd/reply.h"

#define FULL_IDLE_MS	1000	/* idle time when others wait */
#define FULL_REQUESTS	100	/* requests after which a connection must then make room */
#define FULL_LOOK_MS	250
#define WAITING_MAX	1000

const unsigned driver_clients = 1000;

struct work *events_work;

static struct list {
	struct client *newest, *oldest;
} idle, waiting;
static struct client *unused;
static unsigned clients, all;	/* connections without, and with, those that are ending */

/* The date changes rarely; the clock's own time says when to look again, four times a second. */
static int64_t time_now(void)
{
	static uint64_t looked;
	static int64_t time;
	uint64_t now = conn_now() / 256 + 1;

	if (now != looked) {
		looked = now;
		time = clock_now();
	}
	return time;
}

static void leave(struct list *list, struct client *c)
{
	*(c->newer ? &c->newer->older : &list->newest) = c->older;
	*(c->older ? &c->older->newer : &list->oldest) = c->newer;
}

static void enter(struct list *list, struct client *c)
{
	c->newer = NULL;
	c->older = list->newest;
	*(c->older ? &c->older->newer : &list->oldest) = c;
	list->newest = c;
}

void client_state(struct client *c, enum client_state state)
{
	if (state == CLIENT_IDLE || c->state != state)
		c->since = conn_now();
	if (c->state == CLIENT_IDLE) {
		if (state == CLIENT_IDLE && c == idle.newest)
			return;
		leave(&idle, c);
	}
	if (state == CLIENT_IDLE)
		enter(&idle, c);
	c->state = state;
}

void client_refuse(struct client *c, const struct http_request *r, int status)
{
	events_work->time = time_now();
	refuse(events_work, r, status);
	c->close = true;
}

/*
 * Answer a whole request, or have it answered beside; its head is given. False: that must wait, and the request comes again; not if
 * it `must` be.
 */
static bool answer_one(struct client *c, const struct http_request *r, const char *head, size_t len, bool must)
{
	struct work *w = events_work;

	w->time = time_now();
	w->keep = r->keep_alive && !(++c->requests >= FULL_REQUESTS && waiting.oldest);
	answer(w, r);
	if (!w->later) {
		c->close = !w->keep;
		return true;
	}
	if (beside_answer(c, head, len, w->time, w->keep, must))
		return true;
	if (!must && beside_wait(c)) {
		c->requests--;
		return false;
	}
	client_refuse(c, r, 503);
	return true;
}

/* Keep a request's head until its body, some of which has come, is complete. */
static bool begin_pending(struct client *c, const char *head, size_t len, const struct http_body *body)
{
	struct pending *p = malloc(sizeof(*p) + len);

	if (!p) {
		client_refuse(c, NULL, 503);
		return false;
	}
	p->body = *body;
	p->len = len;
	memcpy(p->head, head, len);
	c->pending = p;
	client_state(c, CLIENT_BODY);
	return true;
}

/* A request with a body: its head is data[0..head). Returns how many bytes were used. */
static size_t take_with_body(struct client *c, const struct http_request *r, const char *data, size_t head,
			     size_t bytes)
{
	struct http_body body;
	long eaten;

	http_body_start(&body, r);
	if (r->method != HTTP_GET && r->method != HTTP_HEAD) {
		client_refuse(c, r, r->method == HTTP_OTHER ? 405 : 501);
		return bytes;
	}
	if (!body.chunked && body.left > HTTPD_BODY_MAX) {
		client_refuse(c, r, 413);
		return bytes;
	}
	eaten = http_body_eat(&body, data + head, bytes - head);
	if (eaten < 0 || body.total > HTTPD_BODY_MAX) {
		client_refuse(c, r, eaten < 0 ? 400 : 413);
		return bytes;
	}
	if (body.done)
		answer_one(c, r, data, head, true);
	else if (begin_pending(c, data, head, &body) && r->expect_continue && head == bytes)
		reply_continue(events_work);
	return head + (size_t)eaten;
}

/* More of a body. Returns how many bytes were used. */
static size_t take_body(struct client *c, const char *data, size_t bytes)
{
	struct pending *p = c->pending;
	long eaten = http_body_eat(&p->body, data, bytes);
	struct http_request r;

	http_parse(&r, p->head, p->len);
	if (eaten < 0 || p->body.total > HTTPD_BODY_MAX)
		client_refuse(c, &r, eaten < 0 ? 400 : 413);
	else if (p->body.done)
		answer_one(c, &r, p->head, p->len, true);
	else
		return bytes;
	c->pending = NULL;
	free(p);
	return eaten < 0 ? bytes : (size_t)eaten;
}

/* A request at the front of data. Returns how many bytes were used; 0: it is not complete, or waits in line. */
static size_t take_request(struct client *c, const char *data, size_t bytes)
{
	size_t old = c->scanned, made;
	struct http_request r;
	int head;

	c->scanned = 0;
	head = old && bytes > old && !http_maybe_complete(data, old, bytes) ? 0 : http_parse(&r, data, bytes);
	if (head > HTTPD_HEAD_MAX || (!head && bytes >= HTTPD_HEAD_MAX))
		head = -http_overflow_status(data, HTTPD_HEAD_MAX);
	if (!head) {
		c->scanned = bytes;
		if (c->state != CLIENT_HEAD)
			client_state(c, CLIENT_HEAD);
		return 0;
	}
	if (head < 0) {
		client_refuse(c, NULL, -head);
		return bytes;
	}
	if (r.chunked || r.content_length)
		return take_with_body(c, &r, data, (size_t)head, bytes);
	made = events_work->out_len;
	if (!answer_one(c, &r, data, (size_t)head, false))
		return 0;
	if (!events_work->body.data && !c->job)
		memo_keep(data, (size_t)head, events_work->time, events_work->out + made, events_work->out_len - made,
			  !c->close);
	return (size_t)head;
}

/* All that the client sent before its end has been answered; half a head is told of. */
static void finish_half(struct client *c)
{
	if (c->state == CLIENT_HEAD)
		client_refuse(c, NULL, 400);
	c->close = true;
	client_send(c);
}

/* Nothing more is read until its answer is there. */
static void put_off(struct client *c)
{
	client_state(c, CLIENT_SENDING);
	conn_pause(c->conn);
}

/* The usual case first: one request, the same as an earlier one. */
static size_t received(struct conn *conn, const char *data, size_t bytes)
{
	struct client *c = conn_get(conn);
	struct work *w = events_work;
	const struct memo *memo;
	size_t used = 0;

	if (c->state == CLIENT_IDLE && !c->half && !server.log && !waiting.oldest) {
		memo = memo_find(data, bytes, time_now());
		if (memo && memo->head_len == bytes) {
			c->left = 0;
			if (client_send_memo(c, memo))
				client_state(c, CLIENT_IDLE);
			return bytes;
		}
	}
	if (c->state >= CLIENT_SENDING)
		return c->state == CLIENT_ENDING ? bytes : 0;
	if (c->kept_count)
		client_sent(c);
	while (used < bytes) {
		size_t n = c->pending ? take_body(c, data + used, bytes - used)
				      : take_request(c, data + used, bytes - used);

		if (!n)
			break;
		used += n;
		if (c->close || c->job)
			break;
		if ((w->body.data || w->out_len > OUT_BYTES - HTTPD_REPLY_ROOM) && !client_send(c))
			break;
	}
	c->left = bytes - used;
	if (c->state < CLIENT_SENDING && client_send(c)) {
		if (c->job || c->in_line)
			put_off(c);
		else if (!c->pending && !c->scanned)
			client_state(c, CLIENT_IDLE);
	}
	if (c->half && c->state < CLIENT_SENDING)
		finish_half(c);
	return c->close ? bytes : used;
}

static void room(struct conn *conn)
{
	struct client *c = conn_get(conn);

	if (c->state != CLIENT_SENDING || ((c->rest || c->body.data) && !client_send_rest(c)))
		return;
	if (c->made ? beside_send(c) : !c->job && !c->in_line)
		client_go_on(c);
}

void client_go_on(struct client *c)
{
	client_state(c, c->pending ? CLIENT_BODY : CLIENT_IDLE);
	if (c->half && !c->left)
		finish_half(c);
	else
		conn_resume(c->conn);
}

static void ended(struct conn *conn)
{
	struct client *c = conn_get(conn);

	c->half = true;
	if (c->state < CLIENT_SENDING)
		finish_half(c);
}

static void admit(struct client *c)
{
	clients++;
	c->since = conn_now();
	c->state = CLIENT_IDLE;
	enter(&idle, c);
}

/* There is one client less. */
static void admit_next(void)
{
	struct client *c = waiting.oldest;

	clients--;
	if (!c || clients >= server.max_clients)
		return;
	leave(&waiting, c);
	admit(c);
	conn_resume(c->conn);
}

/* Others wait: who has been idle for long goes. */
static void look_for_room(struct conn_timer *timer)
{
	uint64_t now = conn_now();

	while (waiting.oldest && idle.oldest && now - idle.oldest->since >= FULL_IDLE_MS)
		client_close(idle.oldest);
	if (waiting.oldest)
		conn_timer_set(timer, FULL_LOOK_MS);
}

static void wait_for_room(struct client *c)
{
	static struct conn_timer timer = { .call = look_for_room };

	c->state = CLIENT_WAITING;
	enter(&waiting, c);
	conn_pause(c->conn);
	if (!timer.set)
		conn_timer_set(&timer, FULL_LOOK_MS);
}

static bool opened(struct conn *conn)
{
	struct client *c = unused;

	if (all >= server.max_clients + WAITING_MAX)
		return false;
	if (c)
		unused = c->newer;
	else
		c = malloc(sizeof(*c));
	if (!c)
		return false;
	memset(c, 0, sizeof(*c));
	all++;
	c->conn = conn;
	c->timer.call = client_tick;
	conn_timer_set(&c->timer, (uint64_t)server.idle_ms);
	conn_set(conn, c);
	if (clients < server.max_clients)
		admit(c);
	else
		wait_for_room(c);
	return true;
}

static void closed(struct conn *conn, int error)
{
	struct client *c = conn_get(conn);
	enum client_state state = c->state;

	(void)error;
	if (state == CLIENT_IDLE)
		leave(&idle, c);
	if (state == CLIENT_WAITING)
		leave(&waiting, c);
	client_drop(c);
	c->newer = unused;
	unused = c;
	all--;
	if (state < CLIENT_ENDING)
		admit_next();
}

/* One that only waits for the other side to end does not count any more. */
void client_close(struct client *c)
{
	if (c->state == CLIENT_ENDING)
		return;
	client_state(c, CLIENT_ENDING);
	conn_close(c->conn);
	admit_next();
}

static const struct conn_calls calls = {
	.opened = opened,
	.received = received,
	.room = room,
	.ended = ended,
	.closed = closed,
};

int driver_listen(unsigned *port)
{
	return *port ? conn_listen((uint16_t)*port, &calls) : EINVAL;
}

int driver_run(void)
{
	events_work = work_new(OUT_BYTES);
	if (!events_work) {
		fputs("httpd: not enough memory for one connection; give the program more\n", stderr);
		return EXIT_FAILURE;
	}
	events_work->quick = true;
	return conn_run();
}

void *driver_memory(size_t bytes)
{
	return conn_memory(bytes);
}

void driver_lock(void)
{
}

void driver_unlock(void)
{
}
