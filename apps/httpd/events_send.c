/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending, and the time that clients have, for the driver of httpd-events.
 *
 * Bytes of a file in memory are not copied when they are sent (CONN_KEPT), if the file is held until they are gone. A connection holds
 * at most KEPT_MAX files so; of any more it sends copies.
 *
 * Each client has one timer, which is not touched by requests: when it fires it looks what there is to wait for, and is set to when
 * that would be too long. A client that has something to read must take RATE_MIN bytes a second of it.
 */
#include <stdlib.h>
#include <string.h>

#include "apps/httpd/entry.h"
#include "apps/httpd/events.h"

#define RATE_MIN	512

void client_sent(struct client *c)
{
	uint64_t gone = c->queued - conn_owed(c->conn);
	unsigned n = 0;

	while (n < c->kept_count && c->kept[n].until <= gone)
		entry_put(c->kept[n++].entry);
	c->kept_count -= n;
	memmove(c->kept, c->kept + n, c->kept_count * sizeof(c->kept[0]));
}

void client_drop(struct client *c)
{
	conn_timer_clear(&c->timer);
	for (unsigned i = 0; i < c->kept_count; i++)
		entry_put(c->kept[i].entry);
	c->kept_count = 0;
	beside_drop(c);
	free(c->pending);
	free(c->rest);
	body_done(&c->body);
}

/* Of a file that is mapped only what is in memory is sent. False: the next piece is on its way. */
static bool in_memory(struct client *c, size_t *bytes)
{
	const struct body *b = &c->body;

	if (!b->entry || b->entry->block)
		return true;
	if (c->body_at == c->touched && (c->job || beside_touch(c)))
		return false;
	if (c->body_at == c->touched)
		c->touched = b->bytes;		/* without memory it waits here */
	*bytes = (size_t)(c->touched - c->body_at);
	return true;
}

/* As much of the body as there is room for. True: all of it. */
static bool send_body(struct client *c)
{
	struct body *b = &c->body;

	while (c->body_at < b->bytes) {
		bool kept = b->entry && b->entry->block && c->kept_count < KEPT_MAX;
		size_t bytes = (size_t)(b->bytes - c->body_at), taken;

		if (!in_memory(c, &bytes))
			return false;
		taken = conn_send(c->conn, b->data + c->body_at, bytes, kept ? CONN_KEPT : 0);
		c->queued += taken;
		c->body_at += taken;
		if (kept && taken) {
			b->entry->holds++;
			c->kept[c->kept_count].entry = b->entry;
			c->kept[c->kept_count++].until = c->queued;
		}
		if (taken < bytes)
			return false;
	}
	body_done(b);
	return true;
}

/* All that waits; then its end, if it is to end. True: it may go on. */
static bool send_waiting(struct client *c)
{
	if (c->rest) {
		size_t bytes = c->rest_len - c->rest_at;
		size_t taken = conn_send(c->conn, c->rest + c->rest_at, bytes, c->body.data ? CONN_MORE : 0);

		c->queued += taken;
		c->rest_at += taken;
		if (taken < bytes)
			return false;
		free(c->rest);
		c->rest = NULL;
	}
	if (c->body.data && !send_body(c))
		return false;
	if (!c->close)
		return true;
	client_close(c);
	return false;
}

bool client_send_rest(struct client *c)
{
	client_sent(c);
	return send_waiting(c);
}

/* There was no room for these bytes: keep them until there is. */
static bool keep_rest(struct client *c, const char *rest, size_t bytes)
{
	c->rest = malloc(bytes);
	if (!c->rest) {
		conn_abort(c->conn);	/* it, and c, may be gone now */
		return false;
	}
	memcpy(c->rest, rest, bytes);
	c->rest_at = 0;
	c->rest_len = bytes;
	return true;
}

/* Send these bytes, and c->body behind them. */
static bool send_answers(struct client *c, const char *out, size_t bytes)
{
	size_t taken = bytes ? conn_send(c->conn, out, bytes, c->body.data ? CONN_MORE : 0) : 0;

	c->queued += taken;
	if (taken < bytes && !keep_rest(c, out + taken, bytes - taken))
		return false;
	if (taken == bytes && !c->body.data && !c->close)
		return true;
	if (taken == bytes && send_waiting(c))
		return true;
	if (c->state != CLIENT_ENDING) {
		client_state(c, CLIENT_SENDING);
		conn_pause(c->conn);
	}
	return false;
}

static bool send_work(struct client *c, struct work *w)
{
	size_t bytes = w->out_len;

	w->out_len = 0;
	if (w->body.data) {
		c->body = w->body;
		c->body_at = c->touched = 0;
		w->body = (struct body){ .data = NULL };
	}
	return send_answers(c, w->out, bytes);
}

bool client_send(struct client *c)
{
	return send_work(c, events_work);
}

bool client_send_made(struct client *c, struct work *w)
{
	c->close = !w->keep;
	return send_work(c, w);
}

bool client_send_memo(struct client *c, const struct memo *memo)
{
	c->close = !memo->keep;
	return send_answers(c, memo->out, memo->out_len);
}

/* How long a client that has nothing to read may be as it is. */
static uint64_t patience(const struct client *c)
{
	uint64_t idle = conn_now() - c->since;

	return idle < (uint64_t)server.idle_ms ? (uint64_t)server.idle_ms - idle : 0;
}

/* Its time is up. */
static void time_out(struct client *c)
{
	if (c->state == CLIENT_HEAD || c->state == CLIENT_BODY) {
		client_refuse(c, NULL, 408);
		client_send(c);
	} else {
		client_close(c);
	}
}

void client_tick(struct conn_timer *timer)
{
	struct client *c = (struct client *)((char *)timer - offsetof(struct client, timer));
	uint64_t owed = conn_owed(c->conn), gone = c->queued - owed, now = conn_now();

	if (c->job || c->in_line) {		/* it is not its fault */
		c->slow = false;
		return conn_timer_set(timer, (uint64_t)server.idle_ms);
	}
	if (owed || c->state == CLIENT_SENDING) {
		if (c->slow && gone - c->seen < (now - c->seen_at) / 1000 * RATE_MIN)
			return conn_abort(c->conn);
		c->slow = true;
		c->seen = gone;
		c->seen_at = now;
		return conn_timer_set(timer, (uint64_t)server.idle_ms);
	}
	if (c->slow)
		c->since = now;
	c->slow = false;
	client_sent(c);
	if (c->state >= CLIENT_ENDING)
		return conn_timer_set(timer, (uint64_t)server.idle_ms);
	if (!patience(c))
		time_out(c);
	else
		conn_timer_set(timer, patience(c));
}
