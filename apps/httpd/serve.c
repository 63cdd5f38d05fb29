/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection of the threads' driver: requests one after another until it is closed. See httpd.h for the request's way.
 *
 * The request buffer holds whatever the client has sent ahead. A request is parsed before anything is
 * received, and replies are sent only before the worker waits: so a batch of pipelined requests costs one
 * receive and one send.
 *
 * A client's time is limited twice: it may be silent for idle_ms, and a head or a body, once begun, must be
 * complete within idle_ms however it is dribbled.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "apps/httpd/reply.h"
#include "apps/httpd/threads.h"

#define FULL_IDLE_MS	1000	/* idle time when every worker is busy: others wait */
#define FULL_REQUESTS	100	/* requests after which a connection must then make room */
#define LINGER_MS	1000	/* how long to wait for a client to close after us, */
#define LINGER_BYTES	65536	/* and what to throw away meanwhile */

enum { CLOSED = 0, TIMED_OUT = -1 };

static void receive_timeout(struct client *c, int64_t ms)
{
	struct timeval t;

	if (ms < 1)
		ms = 1;
	if (ms == c->receive_ms)
		return;
	c->receive_ms = (int)ms;
	t.tv_sec = ms / 1000;
	t.tv_usec = ms % 1000 * 1000;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

/* Bytes received, or CLOSED, or TIMED_OUT. */
static ssize_t receive(struct client *c, char *to, size_t max, int64_t ms)
{
	ssize_t n;

	if (ms <= 0)
		return TIMED_OUT;
	receive_timeout(c, ms);
	do
		n = recv(c->fd, to, max, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? TIMED_OUT : CLOSED;
	return n;
}

/* Move what is unused to the buffer's front. */
static void compact(struct client *c)
{
	memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
	c->in_end -= c->in_at;
	c->in_at = 0;
}

/* Parse what is in the buffer, unless it is known to be incomplete still. As http_parse. */
static int try_parse(struct client *c, struct http_request *r)
{
	const char *text = c->in + c->in_at;
	size_t len = c->in_end - c->in_at, old = c->scanned;

	c->scanned = len;
	if (!len || (old && !http_maybe_complete(text, old, len)))
		return 0;
	return http_parse(r, text, len);
}

/* Get a whole head. Returns its length, 0 when the connection is to be closed silently, or minus a status. */
static int receive_head(struct client *c, struct http_request *r)
{
	int64_t idle = pool_full() && server.idle_ms > FULL_IDLE_MS ? FULL_IDLE_MS : server.idle_ms;
	int64_t deadline = 0;

	c->scanned = 0;
	for (;;) {
		int len = try_parse(c, r);
		ssize_t n;

		if (len > HTTPD_HEAD_MAX)
			return -431;
		if (len)
			return len;
		if (c->in_end - c->in_at >= HTTPD_HEAD_MAX)
			return -http_overflow_status(c->in + c->in_at, c->in_end - c->in_at);
		if (c->in_at)
			compact(c);
		if (!flush(c))
			return 0;
		if (c->in_end && !deadline)
			deadline = clock_ms() + server.idle_ms;
		n = receive(c, c->in + c->in_end, IN_BYTES - c->in_end,
			    deadline ? deadline - clock_ms() : idle);
		if (n <= 0)
			return !c->in_end ? 0 : n == CLOSED ? -400 : -408;
		c->in_end += (size_t)n;
	}
}

/*
 * Read and throw away the request's body. Returns where the next request begins in the buffer; minus a
 * status; or 0 when the connection is gone. The head stays where it is: its pieces are still needed.
 */
static long discard_body(struct client *c, const struct http_request *r, size_t at)
{
	int64_t deadline = clock_ms() + server.idle_ms;
	struct http_body b;

	http_body_start(&b, r);
	if (!b.chunked && b.left > HTTPD_BODY_MAX)
		return -413;
	if (r->expect_continue && at == c->in_end)
		reply_continue(c->work);	/* sent before anything is received */
	for (;;) {
		long eaten = http_body_eat(&b, c->in + at, c->in_end - at);
		ssize_t n;

		if (eaten < 0)
			return eaten;
		if (b.total > HTTPD_BODY_MAX)
			return -413;
		if (b.done)
			return (long)at + eaten;
		c->in_end = at;
		if (!flush(c))
			return 0;
		n = receive(c, c->in + at, IN_BYTES - at, deadline - clock_ms());
		if (n <= 0)
			return n == CLOSED ? 0 : -408;
		c->in_end += (size_t)n;
	}
}

/* An error after which the connection cannot go on. */
static bool give_up(struct client *c, const struct http_request *r, int status)
{
	c->linger = true;
	refuse(c->work, r, status);
	return false;
}

/* Take one request from the connection and answer it. False when the connection is to be closed. */
static bool serve_request(struct client *c)
{
	struct work *w = c->work;
	struct http_request r;
	int head = receive_head(c, &r);
	long next;

	if (head == 0 || ((w->body.data || w->out_len > OUT_BYTES - HTTPD_REPLY_ROOM) && !flush(c)))
		return false;
	c->requests++;
	w->time = clock_now();
	if (head < 0)
		return give_up(c, NULL, -head);
	w->keep = r.keep_alive && !(c->requests >= FULL_REQUESTS && pool_full());
	next = (long)c->in_at + head;
	if (r.chunked || r.content_length) {
		if (r.method != HTTP_GET && r.method != HTTP_HEAD)
			return give_up(c, &r, r.method == HTTP_OTHER ? 405 : 501);
		if (c->in_at) {		/* make room behind the head; its pieces move */
			compact(c);
			http_parse(&r, c->in, c->in_end);
		}
		next = discard_body(c, &r, (size_t)head);
		if (next <= 0)
			return next < 0 ? give_up(c, &r, (int)-next) : false;
	}
	answer(w, &r);
	c->in_at = (size_t)next;
	return w->keep && !c->broken;
}

/*
 * Say that no more comes, and read a little: closing over unread input would make the network drop our last
 * reply.
 */
static void close_slowly(struct client *c)
{
	int64_t deadline = clock_ms() + LINGER_MS;
	size_t left = LINGER_BYTES;

	shutdown(c->fd, SHUT_WR);
	while (left) {
		ssize_t n = receive(c, c->in, left < IN_BYTES ? left : IN_BYTES,
				    deadline - clock_ms());

		if (n <= 0)
			break;
		left -= (size_t)n;
	}
}

void serve(struct client *c)
{
	c->broken = c->linger = c->limited = c->last = false;
	c->receive_ms = 0;
	c->requests = 0;
	c->in_at = c->in_end = c->work->out_len = 0;
	while (serve_request(c))
		;
	c->last = !c->linger && c->in_at == c->in_end;		/* the end goes along with the reply */
	if (flush(c) && (c->linger || c->in_at != c->in_end))
		close_slowly(c);
	close(c->fd);
}
