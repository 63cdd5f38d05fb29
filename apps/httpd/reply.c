/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replies: heads, errors, and sending them. See reply.h. No stdio here: every reply passes.
 *
 * Limits for a client that does not read: a send that makes no progress for the idle time fails, and a whole
 * body must go out at RATE_MIN on average. They are set before a connection's second reply or its first large
 * body; one small reply always fits the socket's own buffer, so short connections save the calls.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "apps/httpd/reply.h"

#define RATE_MIN	512		/* bytes a second that a client must take of a large body */
#define SEND_PIECE	(256 * 1024)	/* bytes handed to one send: progress is looked at between pieces */
#define CLOCK_SET	1000000000	/* a clock that says less (2001) was never set */

#define STATUS(text) { text, sizeof(text) - 1 }

static struct http_text status_text(int status)
{
	static const struct { int status; struct http_text text; } texts[] = {
		{ 200, STATUS("200 OK") },
		{ 206, STATUS("206 Partial Content") },
		{ 304, STATUS("304 Not Modified") },
		{ 404, STATUS("404 Not Found") },
		{ 301, STATUS("301 Moved Permanently") },
		{ 400, STATUS("400 Bad Request") },
		{ 403, STATUS("403 Forbidden") },
		{ 405, STATUS("405 Method Not Allowed") },
		{ 408, STATUS("408 Request Timeout") },
		{ 412, STATUS("412 Precondition Failed") },
		{ 413, STATUS("413 Content Too Large") },
		{ 414, STATUS("414 URI Too Long") },
		{ 416, STATUS("416 Range Not Satisfiable") },
		{ 417, STATUS("417 Expectation Failed") },
		{ 431, STATUS("431 Request Header Fields Too Large") },
		{ 501, STATUS("501 Not Implemented") },
		{ 503, STATUS("503 Service Unavailable") },
		{ 505, STATUS("505 HTTP Version Not Supported") },
	};
	static const struct http_text other = STATUS("500 Internal Server Error");

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return other;
}

void put_number(struct conn *c, uint64_t v)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + v % 10);
	while (v /= 10);
	put(c, digits + i, sizeof(digits) - i);
}

int64_t clock_now(void)
{
	time_t t = time(NULL);

	return t >= CLOCK_SET && t <= HTTP_DATE_MAX ? (int64_t)t : 0;
}

void put_date(struct conn *c, struct date_text *cache, int64_t t)
{
	if (cache->time != t) {
		cache->time = t;
		http_date_format(cache->text, t);
	}
	put(c, cache->text, HTTP_DATE_LEN);
}

int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void reply_start(struct conn *c, int status)
{
	struct http_text text = status_text(status);

	if (reply_room(c) < REPLY_HEAD_ROOM)
		reply_flush(c, false);
	c->status = status;
	PUT(c, "HTTP/1.1 ");
	put(c, text.at, text.len);
	PUT(c, "\r\n");
	if (c->time) {
		PUT(c, "Date: ");
		put_date(c, &c->now, c->time);
		PUT(c, "\r\n");
	}
}

void reply_end(struct conn *c, const struct http_request *r)
{
	if (!c->keep)
		PUT(c, "Connection: close\r\n\r\n");
	else if (r->minor == 0)
		PUT(c, "Connection: keep-alive\r\n\r\n");
	else
		PUT(c, "\r\n");
}

void reply_error(struct conn *c, const struct http_request *r, int status)
{
	struct http_text text = status_text(status);

	reply_start(c, status);
	if (status == 405)
		PUT(c, "Allow: GET, HEAD\r\n");
	PUT(c, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: ");
	put_number(c, text.len + 1);
	PUT(c, "\r\n");
	reply_end(c, r);
	if (!r || r->method != HTTP_HEAD) {
		put(c, text.at, text.len);
		PUT(c, "\n");
	}
}

void reply_continue(struct conn *c)
{
	if (reply_room(c) < REPLY_HEAD_ROOM)
		reply_flush(c, false);
	PUT(c, "HTTP/1.1 100 Continue\r\n\r\n");
	reply_flush(c, false);
}

static void set_limits(struct conn *c)
{
	struct timeval limit = { .tv_sec = server.idle_ms / 1000, .tv_usec = server.idle_ms % 1000 * 1000 };
	int on = 1;

	if (c->limited)
		return;
	c->limited = true;
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static bool send_all(struct conn *c, const char *data, uint64_t len, int flags)
{
	uint64_t sent = 0;
	int64_t start = 0;

	while (sent < len && !c->broken) {
		size_t piece = len - sent < SEND_PIECE ? (size_t)(len - sent) : SEND_PIECE;
		ssize_t n = send(c->fd, data + sent, piece, MSG_NOSIGNAL | flags);

		if (n <= 0) {
			if (n < 0 && errno == EINTR)
				continue;
			c->broken = true;
			break;
		}
		sent += (uint64_t)n;
		if (sent == len)
			break;
		if (!start)
			start = clock_ms();
		else if (clock_ms() - start > server.idle_ms + (int64_t)(sent / RATE_MIN) * 1000)
			c->broken = true;
	}
	return !c->broken;
}

bool reply_flush(struct conn *c, bool more)
{
	size_t len = c->out_len;

	c->out_len = 0;
	if (!len || c->broken)
		return !c->broken;
	if (c->requests > 1 || more)
		set_limits(c);
	return send_all(c, c->out, len, more ? MSG_MORE : 0);
}

bool reply_send(struct conn *c, const char *data, uint64_t len)
{
	return reply_flush(c, len > 0) && send_all(c, data, len, 0);
}
