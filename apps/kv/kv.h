/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A key-value store in memory that speaks memcached's text protocol, by events (libos/conn): the same source for every variant.
 *
 *	main.c		options
 *	session.c	a connection: what comes, what goes, waiting for room
 *	proto.c		lines, and the words of the commands
 *	command.c	what the commands do
 *	stats.c		stats
 *	store.c		keys and values in bounded memory
 *
 * A value is received into its place, and a large one is sent from there. Each command is answered before the next is looked at.
 */
#ifndef APPS_KV_KV_H
#define APPS_KV_KV_H

#include "apps/kv/store.h"
#include "libos/conn/conn.h"

#define LINE_MAX_BYTES	8000	/* of a command line; a longer one is skipped and refused */
#define TOKENS_MAX	8	/* words of a command but get's */
#define KEPT_MAX	4	/* values of which a connection may have bytes on the way that were not copied */
#define COPY_MAX	8192	/* texts up to this are copied */

struct word {
	const char *at;
	size_t len;
};

enum mode {
	MODE_LINE,		/* a command line is next */
	MODE_DATA,		/* a value, into `item` */
	MODE_SWALLOW,		/* a value that is not wanted: so many bytes of it */
	MODE_SKIP,		/* the rest of a line that is not wanted */
};

enum how { HOW_SET, HOW_ADD, HOW_REPLACE, HOW_APPEND, HOW_PREPEND, HOW_CAS };

struct session {
	struct conn *conn;
	enum mode mode;
	bool stalled;			/* bytes wait for room; nothing is read */
	bool half;			/* the other side sends no more */
	bool closing;
	bool noreply;			/* of the command that is being worked on */
	bool too_long;			/* the line that is skipped will be refused */
	enum how how;			/* of a value that is coming: */
	struct item *item;		/* its place, held */
	uint64_t cas;
	size_t left;			/* bytes of it and its line end still to come */
	char end[2];			/* its line end */
	size_t keys_at;			/* of a get that waits for room: where in its line it goes on */
	size_t unread;			/* bytes that `received` left unused last */
	uint64_t queued;		/* bytes given to conn_send */
	char *rest;			/* replies for which there was no room, */
	size_t rest_at, rest_len;	/* rest[rest_at..rest_len) still to be sent, */
	struct item *sending;		/* then this item's text */
	size_t sending_at;		/* from here on */
	bool sending_kept;		/* it is the last of those kept */
	unsigned kept_count;
	struct {
		struct item *item;	/* held while less than */
		uint64_t until;		/* so many bytes are gone */
	} kept[KEPT_MAX];
};

struct kv_counts {
	uint64_t get_hits, get_misses, sets, touch_hits, touch_misses, delete_hits, delete_misses, incr_hits, incr_misses,
		decr_hits, decr_misses, cas_hits, cas_bad, cas_misses, flushes;
	uint64_t connections, connections_total, connections_refused;
};

extern struct kv_counts kv_counts;
extern unsigned kv_max_connections;
extern size_t kv_value_max;

/* session.c: the calls of a connection. */
extern const struct conn_calls kv_calls;
/* Put bytes into the replies: what is not sent yet goes first if there is no room. At most a few KiB. */
void say(struct session *s, const char *text, size_t bytes);
#define SAY(s, literal)	say(s, literal, sizeof(literal) - 1)
void say_number(struct session *s, uint64_t v);
/* An item's text behind what was said, from `at` on. False: it waits for room, or what was said before does: say it later. */
bool say_text(struct session *s, struct item *item, size_t at);
/* Is there room for so much to be said? If not, what was said is sent; false: and there is still none. */
bool say_room(struct session *s, size_t bytes);
void session_close(struct session *s);

/* proto.c: use up bytes; returns how many. 0: more are needed, or room is. */
size_t proto_step(struct session *s, const char *data, size_t bytes);
bool word_is(struct word w, const char *text);
/* A whole number; false if it is none. */
bool word_number(struct word w, uint64_t *v);
bool word_signed(struct word w, int64_t *v);

/* command.c */
/* Carry out a line of words, the first of which is the command. */
void command_run(struct session *s, const struct word *words, unsigned count);
/* The value has come. */
void command_store(struct session *s);
/* get, gets, gat, gats: line[0..len). False: it waits for room. */
bool command_get(struct session *s, const char *line, size_t len);
/* stats.c */
void command_stats(struct session *s, const struct word *words, unsigned count);

#endif
