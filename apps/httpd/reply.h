/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building and sending replies. A reply's head is put into the connection's reply buffer piece by piece,
 * between reply_start and reply_end; small bodies follow it there, and nothing is sent until the buffer is
 * full or the worker is about to wait for the client. So pipelined requests are answered together.
 */
#ifndef APPS_HTTPD_REPLY_H
#define APPS_HTTPD_REPLY_H

#include <string.h>

#include "apps/httpd/httpd.h"

#define REPLY_HEAD_ROOM	768	/* reply_start makes sure of this much room: a whole head fits in it */

/* Append len bytes to the reply buffer. The caller has made sure of the room. */
static inline void put(struct conn *c, const char *text, size_t len)
{
	memcpy(c->out + c->out_len, text, len);
	c->out_len += len;
}

#define PUT(c, literal)	put(c, literal, sizeof(literal) - 1)

static inline size_t reply_room(const struct conn *c)
{
	return HTTPD_OUT_BYTES - c->out_len;
}

void put_number(struct conn *c, uint64_t v);

/* Begin a reply: status line and Date, from c->time. */
void reply_start(struct conn *c, int status);

/* End a reply's head: Connection where it must be said, and the empty line. */
void reply_end(struct conn *c, const struct http_request *r);

/* A whole reply with a short text for a body. r may be NULL when the request was not understood. */
void reply_error(struct conn *c, const struct http_request *r, int status);

/* "100 Continue", sent at once. */
void reply_continue(struct conn *c);

/*
 * Send what is in the buffer; more: further bytes follow at once. False, and c->broken set, when the client
 * is gone.
 */
bool reply_flush(struct conn *c, bool more);

/* Send len bytes from where they lie, behind what is in the buffer. A client that is too slow is cut off. */
bool reply_send(struct conn *c, const char *data, uint64_t len);

/* Seconds since 1970; 0 when the machine does not know the time. */
int64_t clock_now(void);

/* Put a date that is likely to be the same as the last time. */
void put_date(struct conn *c, struct date_text *cache, int64_t t);

/* A monotonic clock, milliseconds. */
int64_t clock_ms(void);

#endif
