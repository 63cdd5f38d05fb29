/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building answers: a head is put into w->out piece by piece, between reply_start and reply_end. The driver has made sure of room for
 * any answer (HTTPD_REPLY_ROOM), so nothing here looks whether it fits but what depends on the request's length.
 */
#ifndef APPS_HTTPD_REPLY_H
#define APPS_HTTPD_REPLY_H

#include <string.h>

#include "apps/httpd/httpd.h"
#include "apps/httpd/precond.h"

/* Append len bytes. */
static inline void put(struct work *w, const char *text, size_t len)
{
	memcpy(w->out + w->out_len, text, len);
	w->out_len += len;
}

#define PUT(w, literal)	put(w, literal, sizeof(literal) - 1)

void put_number(struct work *w, uint64_t v);

/* Begin an answer: status line and Date, from w->time. */
void reply_start(struct work *w, int status);

/* The same for 200. */
void reply_start_ok(struct work *w);

/* End an answer's head: Connection where it must be said, and the empty line. */
void reply_end(struct work *w, const struct http_request *r);

/* The lines that say what a file is: Content-Type, Accept-Ranges, Content-Length; Last-Modified, ETag. */
void put_content(struct work *w, struct http_text type, uint64_t len);
void put_validators(struct work *w, const struct http_entity *e);
/* All of them to a place of their own. Returns their length; 0: they have no room there. */
size_t reply_lines(struct work *w, char *to, size_t room, const struct http_entity *e, struct http_text type);

/* A whole answer with a short text for a body. r may be NULL when the request was not understood. */
void reply_error(struct work *w, const struct http_request *r, int status);

/* "100 Continue"; it must be sent at once. */
void reply_continue(struct work *w);

/* Print a line for a request; r NULL: it was not understood. */
void reply_log(const struct work *w, const struct http_request *r);

/* Seconds since 1970; 0 when the machine does not know the time. */
int64_t clock_now(void);

#endif
