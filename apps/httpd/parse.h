/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The head of an HTTP/1.x request, and the framing of its body (RFC 9112). Pure: no I/O, no allocation, no
 * globals.
 *
 * The parser is strict where leniency lets two parties disagree on where a request ends: a bare CR or LF, a
 * blank before a colon, a folded line, a repeated or signed Content-Length, a Transfer-Encoding beside a
 * Content-Length or in HTTP/1.0 are all refused. After any error the connection must be closed.
 */
#ifndef APPS_HTTPD_PARSE_H
#define APPS_HTTPD_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_FIELDS_MAX	64	/* header lines of one request */
#define HTTP_LINES_MAX	4	/* lines of one list header (If-Match, If-None-Match) */
#define HTTP_METHOD_MAX	32	/* bytes of a method */

/* A piece of the request; it lies in the caller's buffer. at is NULL when the request has no such part. */
struct http_text {
	const char *at;
	size_t len;
};

/* A header that may stand on several lines. */
struct http_lines {
	unsigned count;
	struct http_text line[HTTP_LINES_MAX];
};

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_OTHER,		/* a method of the standards that files do not allow */
	HTTP_UNKNOWN,
};

struct http_request {
	enum http_method method;
	int minor;		/* 0 or 1: HTTP/1.0, or HTTP/1.1 and above */
	bool keep_alive, has_host, has_length, chunked, expect_continue;
	bool conditional;	/* any of Range and the If- fields is there */
	unsigned connection;	/* options named in Connection, while parsing */
	uint64_t content_length;
	struct http_text target;	/* path and query of a GET or HEAD; otherwise as it came */
	struct http_text raw_target;	/* as it came */
	struct http_text range, if_range, if_modified_since, if_unmodified_since;
	struct http_lines if_match, if_none_match;	/* only the first `count` lines are set */
};

/*
 * Parse the head at the start of text. Returns its length in bytes, empty line included; 0 when more bytes
 * are needed; or minus the status to answer: 400, 417, 431 (too many fields), 501 (transfer coding), 505.
 * Methods are not refused here: framing is known for all of them.
 */
int http_parse(struct http_request *r, const char *text, size_t len);

/*
 * Can the head be complete (or wrong at a line end) when bytes [old, len) are new? Looks only at the new
 * bytes and three before them, so a head that comes in many pieces is not parsed again for each.
 */
bool http_maybe_complete(const char *text, size_t old, size_t len);

/*
 * The status for a head that does not fit its buffer: 414 when not even the request line ended, otherwise
 * 431.
 */
int http_overflow_status(const char *text, size_t len);

/* Where a request's body ends. */
struct http_body {
	bool chunked, done;
	int state;
	uint64_t left;		/* of the body or the current chunk */
	uint64_t total;		/* bytes eaten, chunk headers and trailers included */
};

void http_body_start(struct http_body *b, const struct http_request *r);

/*
 * Eat body bytes from text. Returns how many belong to the body: all of them until b->done, then what follows
 * is the next request; or -400 when a chunk is malformed.
 */
long http_body_eat(struct http_body *b, const char *text, size_t len);

#endif
