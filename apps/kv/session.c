/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection of kv: see kv.h.
 *
 * Replies gather in one buffer for all, because one function runs at a time, and leave when it returns. Only those for which there is
 * no room have memory of their own; then nothing more is read until they have gone.
 */
#include <stdlib.h>
#include <string.h>

#include "apps/kv/kv.h"

#define OUT_BYTES	32768

struct kv_counts kv_counts;
unsigned kv_max_connections = 1024;

static char out[OUT_BYTES];
static size_t out_len;
static struct session *unused;

/* Let go of the values that have been sent. */
static void drop_sent(struct session *s)
{
	uint64_t gone = s->queued - conn_owed(s->conn);
	unsigned n = 0;

	while (n < s->kept_count && s->kept[n].until <= gone)
		store_release(s->kept[n++].item);
	s->kept_count -= n;
	memmove(s->kept, s->kept + n, s->kept_count * sizeof(s->kept[0]));
}

static void stall(struct session *s)
{
	s->stalled = true;
	conn_pause(s->conn);
}

/* Send what was said. True: all of it. */
static bool flush(struct session *s, unsigned flags)
{
	size_t bytes = out_len, taken = bytes ? conn_send(s->conn, out, bytes, flags) : 0;

	out_len = 0;
	s->queued += taken;
	if (taken == bytes)
		return true;
	s->rest_at = 0;
	s->rest_len = bytes - taken;
	s->rest = malloc(s->rest_len);
	if (s->rest)
		memcpy(s->rest, out + taken, s->rest_len);
	stall(s);
	if (!s->rest) {
		s->closing = true;
		conn_abort(s->conn);	/* it may be gone when `received` returns, not before */
	}
	return false;
}

void say(struct session *s, const char *text, size_t bytes)
{
	(void)s;
	memcpy(out + out_len, text, bytes);
	out_len += bytes;
}

void say_number(struct session *s, uint64_t v)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + v % 10);
	while (v /= 10);
	say(s, digits + i, sizeof(digits) - i);
}

bool say_room(struct session *s, size_t bytes)
{
	return !s->stalled && (OUT_BYTES - out_len >= bytes || flush(s, 0));
}

/* More of the item that is being sent. True: all of it. */
static bool send_item(struct session *s)
{
	struct item *item = s->sending;
	size_t end = store_text(item);

	while (s->sending_at < end) {
		char *piece;
		size_t bytes = store_piece(item, s->sending_at, &piece);
		unsigned more = s->sending_at + bytes < end ? CONN_MORE : 0;
		size_t taken = conn_send(s->conn, piece, bytes, more | (s->sending_kept ? CONN_KEPT : 0));

		s->queued += taken;
		s->sending_at += taken;
		if (taken < bytes)
			return false;
	}
	s->sending = NULL;
	if (s->sending_kept)
		s->kept[s->kept_count - 1].until = s->queued;
	else
		store_release(item);
	return true;
}

bool say_text(struct session *s, struct item *item, size_t at)
{
	size_t bytes = store_text(item) - at;

	if (bytes <= COPY_MAX) {
		store_read(item, at, out + out_len, bytes);
		out_len += bytes;
		return true;
	}
	item->holds++;
	s->sending = item;
	s->sending_at = at;
	s->sending_kept = item->kept && s->kept_count < KEPT_MAX;
	if (s->sending_kept) {
		s->kept[s->kept_count].item = item;
		s->kept[s->kept_count++].until = UINT64_MAX;
	}
	if (!flush(s, CONN_MORE))
		return false;
	if (send_item(s))
		return true;
	stall(s);
	return false;
}

/* There is room: send what waits. True: all of it. */
static bool send_waiting(struct session *s)
{
	if (s->rest) {
		size_t bytes = s->rest_len - s->rest_at;
		size_t taken = conn_send(s->conn, s->rest + s->rest_at, bytes, s->sending ? CONN_MORE : 0);

		s->queued += taken;
		s->rest_at += taken;
		if (taken < bytes)
			return false;
		free(s->rest);
		s->rest = NULL;
	}
	return !s->sending || send_item(s);
}

void session_close(struct session *s)
{
	s->closing = true;
}

/* All that could be done is done: the connection's end, if it is to end. */
static void finish(struct session *s)
{
	if (!s->stalled && (s->closing || (s->half && !s->unread)))
		conn_close(s->conn);
}

static void look_at_clock(void)
{
	static uint64_t start;

	if (!start)
		start = conn_now();
	store_now = (uint32_t)((conn_now() - start) / 1000) + 2;
}

static size_t received(struct conn *conn, const char *data, size_t bytes)
{
	struct session *s = conn_get(conn);
	size_t used = 0;

	look_at_clock();
	if (s->kept_count)
		drop_sent(s);
	while (used < bytes && !s->stalled && !s->closing) {
		size_t n = proto_step(s, data + used, bytes - used);

		if (!n)
			break;
		used += n;
	}
	if (!s->stalled)
		flush(s, 0);
	s->unread = s->stalled ? bytes - used : 0;
	finish(s);
	return s->closing ? bytes : used;
}

static void room(struct conn *conn)
{
	struct session *s = conn_get(conn);

	if (!s->stalled)
		return;
	drop_sent(s);
	if (!send_waiting(s))
		return;
	s->stalled = false;
	if (s->closing || (s->half && !s->unread))
		finish(s);
	else
		conn_resume(conn);
}

static void ended(struct conn *conn)
{
	struct session *s = conn_get(conn);

	s->half = true;
	finish(s);
}

static bool opened(struct conn *conn)
{
	struct session *s = unused;

	if (kv_counts.connections >= kv_max_connections) {
		kv_counts.connections_refused++;
		return false;
	}
	if (s)
		unused = (struct session *)s->conn;
	else
		s = malloc(sizeof(*s));
	if (!s)
		return false;
	memset(s, 0, sizeof(*s));
	s->conn = conn;
	conn_set(conn, s);
	kv_counts.connections++;
	kv_counts.connections_total++;
	return true;
}

static void closed(struct conn *conn, int error)
{
	struct session *s = conn_get(conn);

	(void)error;
	kv_counts.connections--;
	for (unsigned i = 0; i < s->kept_count; i++)
		store_release(s->kept[i].item);
	if (s->sending && !s->sending_kept)
		store_release(s->sending);
	if (s->item)
		store_release(s->item);
	free(s->rest);
	s->conn = (struct conn *)unused;
	unused = s;
}

const struct conn_calls kv_calls = {
	.opened = opened,
	.received = received,
	.room = room,
	.ended = ended,
	.closed = closed,
};
