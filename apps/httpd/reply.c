/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads and errors. See reply.h. No stdio but for the log: every answer passes here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apps/httpd/reply.h"

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

/* One block: the work, its answers, its path. */
struct work *work_new(size_t out_bytes)
{
	struct work *w = malloc(sizeof(*w) + out_bytes + server.root_len + HTTPD_PATH_MAX + sizeof("index.html"));

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->now.time = w->modified.time = w->start_time = -1;
	w->path = w->out + out_bytes;
	memcpy(w->path, server.root, server.root_len);
	return w;
}

void put_number(struct work *w, uint64_t v)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + v % 10);
	while (v /= 10);
	put(w, digits + i, sizeof(digits) - i);
}

int64_t clock_now(void)
{
	time_t t = time(NULL);

	return t >= CLOCK_SET && t <= HTTP_DATE_MAX ? (int64_t)t : 0;
}

/* A date that is likely to be the same as the last time. */
static void put_date(struct work *w, struct date_text *cache, int64_t t)
{
	if (cache->time != t) {
		cache->time = t;
		http_date_format(cache->text, t);
	}
	put(w, cache->text, HTTP_DATE_LEN);
}

void reply_start(struct work *w, int status)
{
	struct http_text text = status_text(status);

	w->status = status;
	PUT(w, "HTTP/1.1 ");
	put(w, text.at, text.len);
	PUT(w, "\r\n");
	if (w->time) {
		PUT(w, "Date: ");
		put_date(w, &w->now, w->time);
		PUT(w, "\r\n");
	}
}

void reply_start_ok(struct work *w)
{
	size_t begin = w->out_len;

	if (w->start_time == w->time) {
		w->status = 200;
		return put(w, w->start, w->start_len);
	}
	reply_start(w, 200);
	w->start_time = w->time;
	w->start_len = w->out_len - begin;
	memcpy(w->start, w->out + begin, w->start_len);
}

void reply_end(struct work *w, const struct http_request *r)
{
	if (!w->keep)
		PUT(w, "Connection: close\r\n\r\n");
	else if (r->minor == 0)
		PUT(w, "Connection: keep-alive\r\n\r\n");
	else
		PUT(w, "\r\n");
}

void put_content(struct work *w, struct http_text type, uint64_t len)
{
	PUT(w, "Content-Type: ");
	put(w, type.at, type.len);
	PUT(w, "\r\nAccept-Ranges: bytes\r\nContent-Length: ");
	put_number(w, len);
	PUT(w, "\r\n");
}

void put_validators(struct work *w, const struct http_entity *e)
{
	PUT(w, "Last-Modified: ");
	put_date(w, &w->modified, e->mtime);
	PUT(w, "\r\nETag: ");
	put(w, e->etag, e->etag_len);
	PUT(w, "\r\n");
}

size_t reply_lines(struct work *w, char *to, size_t room, const struct http_entity *e, struct http_text type)
{
	size_t begin = w->out_len, len;

	put_content(w, type, e->size);
	put_validators(w, e);
	len = w->out_len - begin;
	w->out_len = begin;
	if (len > room)
		return 0;
	memcpy(to, w->out + begin, len);
	return len;
}

void reply_error(struct work *w, const struct http_request *r, int status)
{
	struct http_text text = status_text(status);

	reply_start(w, status);
	if (status == 405)
		PUT(w, "Allow: GET, HEAD\r\n");
	PUT(w, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: ");
	put_number(w, text.len + 1);
	PUT(w, "\r\n");
	reply_end(w, r);
	if (!r || r->method != HTTP_HEAD) {
		put(w, text.at, text.len);
		PUT(w, "\n");
	}
}

void reply_continue(struct work *w)
{
	PUT(w, "HTTP/1.1 100 Continue\r\n\r\n");
}

void reply_log(const struct work *w, const struct http_request *r)
{
	static const char *const methods[] = { "GET", "HEAD", "other", "other" };

	if (r && r->raw_target.at)
		printf("httpd: %s %.*s %d\n", methods[r->method], (int)r->raw_target.len, r->raw_target.at,
		       w->status);
	else
		printf("httpd: malformed request %d\n", w->status);
	fflush(stdout);
}
