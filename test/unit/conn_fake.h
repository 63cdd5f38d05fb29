/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h without a network, for unit tests and fuzzers: one connection. What is fed to it is shown in pieces, what is sent is
 * gathered, and there is as much room as the test says.
 */
#ifndef TEST_UNIT_CONN_FAKE_H
#define TEST_UNIT_CONN_FAKE_H

#include <stdlib.h>
#include <string.h>

#include "libos/conn/conn.h"

struct conn {
	void *own;
	bool paused, resumed, closing, short_sent;
};

static struct conn fake;
static struct {
	const struct conn_calls *calls;
	char *out;
	size_t out_len, out_room;
	size_t room;			/* bytes that conn_send still takes; fake_drain gives more */
	uint64_t now;
	bool open;
} faked = { .room = SIZE_MAX, .now = 1000 };

struct conn_counts conn_counts;

void conn_set(struct conn *conn, void *own)
{
	conn->own = own;
}

void *conn_get(const struct conn *conn)
{
	return conn->own;
}

size_t conn_send(struct conn *conn, const void *data, size_t bytes, unsigned flags)
{
	size_t n = bytes < faked.room ? bytes : faked.room;

	(void)flags;
	if (conn->closing)
		return 0;
	if (faked.out_len + n > faked.out_room) {
		faked.out_room = (faked.out_len + n) * 2;
		faked.out = realloc(faked.out, faked.out_room);
	}
	if (n)
		memcpy(faked.out + faked.out_len, data, n);
	faked.out_len += n;
	if (faked.room != SIZE_MAX)
		faked.room -= n;
	conn->short_sent |= n < bytes;
	return n;
}

size_t conn_owed(const struct conn *conn)
{
	(void)conn;
	return 0;
}

void conn_pause(struct conn *conn)
{
	conn->paused = true;
}

void conn_resume(struct conn *conn)
{
	conn->paused = false;
	conn->resumed = true;
}

void conn_close(struct conn *conn)
{
	conn->closing = true;
}

void conn_abort(struct conn *conn)
{
	conn->closing = true;
}

uint64_t conn_now(void)
{
	return faked.now;
}

static struct conn_work *fake_asked;

void conn_beside(struct conn_work *work)
{
	struct conn_work **at = &fake_asked;

	while (*at)
		at = &(*at)->next;
	work->next = NULL;
	*at = work;
}

static inline void fake_beside(void)
{
	while (fake_asked) {
		struct conn_work *work = fake_asked;

		fake_asked = work->next;
		work->work(work);
		work->done(work);
	}
}

static inline bool fake_open(const struct conn_calls *calls)
{
	memset(&fake, 0, sizeof(fake));
	faked.calls = calls;
	faked.open = calls->opened(&fake);
	return faked.open;
}

static inline void fake_close(void)
{
	if (faked.open)
		faked.calls->closed(&fake, 0);
	faked.open = false;
}

/*
 * Feed bytes in pieces of at most `piece`; whenever it is stalled there are `drain` more bytes of room. Each showing is in memory of
 * its exact size. False: more was left unused than may be.
 */
static inline bool fake_feed(const char *data, size_t bytes, size_t piece, size_t drain)
{
	size_t have = 0, fed = 0;
	char *shown = NULL;
	bool good = true;

	while (!fake.closing && good) {
		size_t more = bytes - fed < piece ? bytes - fed : piece, used;
		char *next;

		fake_beside();
		if (fake.closing)
			break;
		if (fake.paused) {
			faked.room = drain;
			fake.short_sent = false;
			faked.calls->room(&fake);
			continue;
		}
		if (!more && !fake.resumed)
			break;
		if (fake.resumed && have)
			more = 0;
		fake.resumed = false;
		if (!more && !have)
			continue;
		next = malloc(have + more);
		if (have)
			memcpy(next, shown, have);
		memcpy(next + have, data + fed, more);
		free(shown);
		shown = next;
		have += more;
		fed += more;
		used = faked.calls->received(&fake, shown, have);
		if (used > have)
			abort();
		have -= used;
		next = malloc(have ? have : 1);
		memcpy(next, shown + used, have);
		free(shown);
		shown = next;
		good = have <= CONN_HELD_MAX || fake.paused || fake.closing;
	}
	free(shown);
	return good;
}

#endif
