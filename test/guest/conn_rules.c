/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server for test/e2e/conn.py that does with connections what its clients say, so that what conn.h promises can be asked of every
 * implementation. A request is a line; what is not whole is left unused. Its first letter, and a number behind it:
 *
 *	e N	N bytes follow; they come back		b N	N bytes are sent, byte i being i % 251; k N: of conn_memory
 *	p MS	pauses, leaving the rest, for so long	t MS	after so long the milliseconds that it took
 *	c	closes, and looks at its data after it	a	aborts
 *	l	leaves all that follows unused		o	conn_owed and conn_room
 *	h N	when the other side has ended N bytes are sent, and only then it is closed
 *	s	opened, closed, live; the last error's letter; times that conn_send took less than conn_room had said
 *	z	"pong"
 *	x PORT	connects to the client's machine there, says "hello", finishes; what comes is sent on, then how it was closed
 *	w MS	something that takes so long is done beside (conn_beside), then "done"
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libos/conn/conn.h"

#define PORT	8077

struct client {
	struct conn *conn;
	struct conn_timer timer;
	uint64_t since;
	size_t big, at, half;		/* bytes still to be sent; where; of which when the other side ends */
	size_t echo;			/* bytes that come back */
	bool kept, closes, leaves, waits;
	struct conn *asked;		/* what x has asked for */
	struct conn_work work;
	size_t work_ms;
	bool works;
	struct client *next;
};

static char *pattern, *kept_pattern;
static struct client *unused;
static unsigned opened_count, closed_count, live, broken_promises;
static int last_error;

static size_t give(struct client *c, const char *data, size_t bytes, unsigned flags)
{
	size_t room = conn_room(c->conn), sent = conn_send(c->conn, data, bytes, flags);

	broken_promises += sent < bytes && sent < room && conn_room(c->conn);	/* else it broke meanwhile */
	return sent;
}

static void say(struct client *c, const char *text)
{
	give(c, text, strlen(text), 0);
}

static char error_letter(void)
{
	switch (last_error) {
	case ECONNABORTED:
		return 'A';
	case ECONNRESET:
		return 'R';
	case ENOBUFS:
		return 'N';
	}
	return last_error ? '?' : '0';
}

/* True: all is sent. */
static bool push(struct client *c)
{
	while (c->big) {
		size_t bytes = c->big < 8192 ? c->big : 8192, at = c->at % (251 * 64);
		size_t sent = give(c, (c->kept && kept_pattern ? kept_pattern : pattern) + at, bytes,
		    c->kept && kept_pattern ? CONN_KEPT : 0);

		c->at += sent;
		c->big -= sent;
		if (sent < bytes)
			return false;
	}
	if (c->closes)
		conn_close(c->conn);
	return true;
}

static void on_timer(struct conn_timer *timer)
{
	struct client *c = (struct client *)((char *)timer - offsetof(struct client, timer));
	char text[32];

	if (c->waits) {
		c->waits = false;
		conn_resume(c->conn);
		return;
	}
	snprintf(text, sizeof(text), "%u\n", (unsigned)(conn_now() - c->since));
	say(c, text);
}

static bool on_opened(struct conn *conn)
{
	struct client *c = unused ? unused : malloc(sizeof(*c));

	if (!c)
		return false;
	if (c == unused)
		unused = c->next;
	memset(c, 0, sizeof(*c));
	c->conn = conn;
	c->timer.call = on_timer;
	conn_set(conn, c);
	opened_count++;
	live++;
	return true;
}

/* --- x: a connection to somebody --- */

static const char *error_word(int error)
{
	return error == ECONNREFUSED ? "refused\n" : error == ECONNRESET ? "reset\n" : error == ENOTSUP ? "cannot\n" :
	    error ? "?\n" : "closed\n";
}

static bool asked_opened(struct conn *conn)
{
	bool good = conn_room(conn) >= 6 && conn_send(conn, "hello\n", 6, 0) == 6;

	conn_finish(conn);
	return good && !conn_send(conn, "x", 1, 0);
}

static size_t asked_received(struct conn *conn, const char *data, size_t bytes)
{
	struct client *c = conn_get(conn);
	size_t sent = c ? give(c, data, bytes, 0) : bytes;

	if (sent < bytes)
		conn_pause(conn);
	return sent;
}

static void asked_ended(struct conn *conn)
{
	(void)conn;
}

static void asked_closed(struct conn *conn, int error)
{
	struct client *c = conn_get(conn);

	if (!c)
		return;
	c->asked = NULL;
	say(c, error_word(error));
}

static const struct conn_calls asked_calls = {
	.opened = asked_opened, .received = asked_received, .ended = asked_ended, .closed = asked_closed,
};

static void ask(struct client *c, size_t port)
{
	struct conn_peer to = { conn_peer(c->conn, NULL), (uint16_t)port };
	int wrong = conn_connect(&to, &asked_calls, &c->asked);

	if (wrong) {
		c->asked = NULL;
		say(c, error_word(wrong));
		return;
	}
	conn_set(c->asked, c);
	if (conn_send(c->asked, "x", 1, 0) || conn_room(c->asked))
		say(c, "it takes bytes before it is there\n");
}

/* --- w: something beside --- */

extern int usleep(unsigned us) __attribute__((weak));	/* not everywhere */

static void beside(struct conn_work *work)
{
	const struct client *c = (const struct client *)((char *)work - offsetof(struct client, work));

	if (usleep)
		usleep((unsigned)c->work_ms * 1000);
}

static void beside_done(struct conn_work *work)
{
	struct client *c = (struct client *)((char *)work - offsetof(struct client, work));

	c->works = false;
	if (c->conn) {
		say(c, "done\n");
		return;
	}
	c->next = unused;
	unused = c;
}

static void set_timer(struct client *c, size_t ms)
{
	c->since = conn_now();
	conn_timer_set(&c->timer, ms);
}

/* One request. False: nothing more is read for now. */
static bool obey(struct client *c, char what, size_t number, const char *data, size_t bytes)
{
	char text[64];

	switch (what) {
	case 'e':
		c->echo = number;
		return true;
	case 'b': case 'k':
		c->kept = what == 'k';
		c->big = number;
		c->at = 0;
		if (push(c))
			return true;
		conn_pause(c->conn);
		return false;
	case 'p':
		c->waits = true;
		conn_pause(c->conn);
		set_timer(c, number);
		return false;
	case 't':
		set_timer(c, number);
		return true;
	case 'c':
		conn_close(c->conn);
		for (size_t i = 0; i < bytes; i++)	/* it is there until this returns */
			live += data[i] == 1;
		return false;
	case 'a':
		conn_abort(c->conn);
		return false;
	case 'l':
		c->leaves = true;
		return false;
	case 'h':
		c->half = number;
		return true;
	case 'x':
		ask(c, number);
		return true;
	case 'w':
		c->works = true;
		c->work_ms = number;
		c->work = (struct conn_work){ .work = beside, .done = beside_done };
		conn_beside(&c->work);
		return true;
	case 'o':
		snprintf(text, sizeof(text), "%u %u\n", (unsigned)conn_owed(c->conn), (unsigned)conn_room(c->conn));
		break;
	case 's':
		snprintf(text, sizeof(text), "%u %u %u %c %u\n", opened_count, closed_count, live, error_letter(), broken_promises);
		break;
	default:
		snprintf(text, sizeof(text), "pong\n");
	}
	say(c, text);
	return true;
}

static size_t take_echo(struct client *c, const char *data, size_t bytes)
{
	size_t part = bytes < c->echo ? bytes : c->echo, sent = give(c, data, part, 0);

	c->echo -= sent;
	if (sent < part)
		conn_pause(c->conn);
	return sent;
}

static size_t on_received(struct conn *conn, const char *data, size_t bytes)
{
	struct client *c = conn_get(conn);
	size_t used = 0;

	while (used < bytes && !c->leaves) {
		const char *line = data + used, *end;

		if (c->echo) {
			size_t part = take_echo(c, line, bytes - used);
			used += part;
			if (!part || c->echo)
				break;
			continue;
		}
		if (conn_room(conn) < 512) {	/* for an answer */
			conn_pause(conn);
			conn_send(conn, pattern, 0, 0);
			c->waits = true;
			conn_timer_set(&c->timer, 5);
			break;
		}
		end = memchr(line, '\n', bytes - used);
		if (!end)
			break;
		used += (size_t)(end + 1 - line);
		if (!obey(c, *line, end - line > 2 ? strtoul(line + 2, NULL, 10) : 0, data, bytes))
			break;
	}
	return used;
}

static void on_room(struct conn *conn)
{
	struct client *c = conn_get(conn);

	if ((c->big && !push(c)) || c->waits)
		return;
	if (c->asked)
		conn_resume(c->asked);
	conn_resume(conn);
}

static void on_ended(struct conn *conn)
{
	struct client *c = conn_get(conn);

	c->big += c->half;
	c->closes = true;
	push(c);
}

static void on_closed(struct conn *conn, int error)
{
	struct client *c = conn_get(conn);

	conn_timer_clear(&c->timer);
	if (error)
		last_error = error;
	closed_count++;
	live--;
	if (c->asked) {
		conn_set(c->asked, NULL);
		conn_abort(c->asked);
	}
	c->conn = NULL;
	if (c->works)
		return;			/* until that is done */
	c->next = unused;
	unused = c;
}

static const struct conn_calls calls = {
	.opened = on_opened, .received = on_received, .room = on_room, .ended = on_ended, .closed = on_closed,
};

int main(int argc, char **argv)
{
	static char bytes[251 * 64 + 8192];
	unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : PORT;
	int wrong;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i % 251);
	pattern = bytes;
	wrong = conn_listen((uint16_t)port, &calls);
	if (wrong) {
		printf("conn_rules: listening: %s\n", strerror(wrong));
		return 1;
	}
	kept_pattern = conn_memory(sizeof(bytes));
	if (kept_pattern)
		memcpy(kept_pattern, bytes, sizeof(bytes));
	if (conn_listen((uint16_t)port, &calls) == 0)
		printf("conn_rules: listening twice\n");
	printf("conn_rules: serving\n");
	fflush(stdout);
	return conn_run();
}
