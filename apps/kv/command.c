/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kv's commands do, and say: memcached's words for it. See kv.h. Before each there is room for COPY_MAX bytes of reply.
 */
#include <string.h>
#include <time.h>

#include "apps/kv/kv.h"

#define MONTH		2592000		/* seconds: an expiry beyond is a date */
#define GONE		1		/* a store_now that is over */

size_t kv_value_max = VALUE_MAX;

#define REPLY(s, literal)	((s)->noreply ? (void)0 : SAY(s, literal))

/* memcached's EXPTIME to store_now: 0 never, below it at once, up to a month from now, else a date. */
static uint32_t expiry(int64_t time_in)
{
	int64_t now = time_in > MONTH ? (int64_t)time(NULL) : 0;

	if (!time_in)
		return 0;
	if (time_in <= now)
		return GONE;
	return time_in - now > UINT32_MAX / 2 ? 0 : store_now + (uint32_t)(time_in - now);
}

/* An item to which the client will be told the truth: its key may have been too long to be one. */
static struct item *find(struct word key)
{
	return key.len <= KEY_MAX ? store_find(key.at, key.len) : NULL;
}

static bool bad_key(struct session *s, struct word key)
{
	if (key.len <= KEY_MAX)
		return false;
	SAY(s, "CLIENT_ERROR bad command line format\r\n");
	return true;
}

/* "VALUE KEY FLAGS BYTES [CAS]\r\n...\r\n". False: it waits for room. */
static bool say_value(struct session *s, struct item *item, bool with_cas)
{
	size_t head = (size_t)item->key_len + item->suffix_len;

	SAY(s, "VALUE ");
	if (!with_cas)
		return say_text(s, item, 0);
	say(s, item->text, head - 2);
	SAY(s, " ");
	say_number(s, item->cas);
	SAY(s, "\r\n");
	return say_text(s, item, head);
}

/* The next word at or after p. */
static struct word next_word(const char *p, const char *end)
{
	struct word w;

	while (p < end && *p == ' ')
		p++;
	w.at = p;
	while (p < end && *p != ' ')
		p++;
	w.len = (size_t)(p - w.at);
	return w;
}

/* Are all keys of a line keys? There is at least one. */
static bool good_keys(struct session *s, const char *p, const char *end)
{
	struct word w = next_word(p, end);

	if (!w.len) {
		SAY(s, "ERROR\r\n");
		return false;
	}
	for (; w.len; w = next_word(w.at + w.len, end))
		if (bad_key(s, w))
			return false;
	return true;
}

bool command_get(struct session *s, const char *line, size_t len)
{
	bool with_cas = line[3] == 's', touch = line[1] == 'a';
	const char *p = line + 4 + with_cas, *end = line + len;
	uint32_t expires = 0;
	struct word w;
	int64_t seconds;

	if (touch) {
		w = next_word(p, end);
		p = w.at + w.len;
		if (!word_signed(w, &seconds)) {
			SAY(s, "CLIENT_ERROR invalid exptime argument\r\n");
			return true;
		}
		expires = expiry(seconds);
	}
	if (s->keys_at)
		p = line + s->keys_at;
	else if (!good_keys(s, p, end))
		return true;
	for (w = next_word(p, end); w.len; w = next_word(p, end)) {
		struct item *item;

		s->keys_at = (size_t)(w.at - line);
		if (!say_room(s, COPY_MAX + 512))
			return false;
		p = w.at + w.len;
		item = store_find(w.at, w.len);
		if (!item) {
			kv_counts.get_misses++;
			continue;
		}
		kv_counts.get_hits++;
		if (touch) {
			kv_counts.touch_hits++;
			item->expires = expires;
		}
		s->keys_at = (size_t)(p - line);
		if (!say_value(s, item, with_cas))
			return false;
	}
	s->keys_at = len;
	if (!say_room(s, 512))
		return false;
	SAY(s, "END\r\n");
	s->keys_at = 0;
	return true;
}

/* A value that is not taken: say why, and let it go by. */
static void refuse_value(struct session *s, uint64_t bytes, const char *why, size_t why_len)
{
	if (!s->noreply)
		say(s, why, why_len);
	s->mode = MODE_SWALLOW;
	s->left = (size_t)bytes + 2;
}

/* COMMAND KEY FLAGS EXPTIME BYTES [CAS] */
static void begin_store(struct session *s, const struct word *w, unsigned count, enum how how)
{
	static const char large[] = "SERVER_ERROR object too large for cache\r\n";
	static const char full[] = "SERVER_ERROR out of memory storing object\r\n";
	static const char format[] = "CLIENT_ERROR bad command line format\r\n";
	uint64_t flags = 0, bytes = 0;
	struct item *old;
	int64_t seconds = 0;

	if (count != (how == HOW_CAS ? 6 : 5))
		return SAY(s, "ERROR\r\n");
	if (!word_number(w[4], &bytes) || bytes > INT32_MAX)
		return word_signed(w[4], &seconds) ? SAY(s, "CLIENT_ERROR bad data chunk\r\n")
						   : say(s, format, sizeof(format) - 1);
	if (w[1].len > KEY_MAX || !word_number(w[2], &flags) || flags > UINT32_MAX || !word_signed(w[3], &seconds) ||
	    (how == HOW_CAS && !word_number(w[5], &s->cas))) {
		s->noreply = false;
		return refuse_value(s, bytes, format, sizeof(format) - 1);
	}
	kv_counts.sets++;
	s->item = bytes <= kv_value_max ? store_make(w[1].at, w[1].len, (uint32_t)flags, expiry(seconds), (size_t)bytes) : NULL;
	if (!s->item) {
		old = how == HOW_SET ? find(w[1]) : NULL;
		if (old)
			store_remove(old);	/* better none than an old one */
		return bytes > kv_value_max ? refuse_value(s, bytes, large, sizeof(large) - 1)
					    : refuse_value(s, bytes, full, sizeof(full) - 1);
	}
	s->how = how;
	s->mode = MODE_DATA;
	s->left = (size_t)bytes + 2;
}

/* The old value with a new one before or behind it. NULL: no memory. */
static struct item *join(struct item *old, struct item *new, bool behind)
{
	struct item *joined, *first = behind ? old : new, *last = behind ? new : old;
	size_t bytes = (size_t)old->bytes + new->bytes, at;

	if (bytes > kv_value_max)
		return NULL;
	old->holds++;
	joined = store_make(old->text, old->key_len, old->flags, old->expires, bytes);
	if (joined) {
		at = (size_t)joined->key_len + joined->suffix_len;
		for (struct item *from = first;; from = last) {
			size_t begin = (size_t)from->key_len + from->suffix_len;

			for (size_t done = 0; done < from->bytes;) {
				char *piece;
				size_t n = store_piece(from, begin + done, &piece);

				n = n < from->bytes - done ? n : from->bytes - done;
				store_write(joined, at, piece, n);
				at += n;
				done += n;
			}
			if (from == last)
				break;
		}
	}
	store_release(old);
	return joined;
}

static void store_joined(struct session *s, struct item *old)
{
	struct item *joined = join(old, s->item, s->how == HOW_APPEND);

	if (!joined)
		return REPLY(s, "SERVER_ERROR out of memory storing object\r\n");
	store_put(joined);
	store_release(joined);
	REPLY(s, "STORED\r\n");
}

void command_store(struct session *s)
{
	struct item *item = s->item, *old = store_find(item->text, item->key_len);

	if (s->how == HOW_CAS && !old) {
		kv_counts.cas_misses++;
		REPLY(s, "NOT_FOUND\r\n");
	} else if (s->how == HOW_CAS && old->cas != s->cas) {
		kv_counts.cas_bad++;
		REPLY(s, "EXISTS\r\n");
	} else if (s->how == HOW_ADD ? old != NULL : s->how != HOW_SET && !old) {
		REPLY(s, "NOT_STORED\r\n");
	} else if (s->how == HOW_APPEND || s->how == HOW_PREPEND) {
		store_joined(s, old);
	} else {
		kv_counts.cas_hits += s->how == HOW_CAS;
		store_put(item);
		REPLY(s, "STORED\r\n");
	}
	store_release(item);
}

static void run_delete(struct session *s, const struct word *w, unsigned count)
{
	struct item *item;

	if (count > 3)
		return SAY(s, "ERROR\r\n");
	if (bad_key(s, w[1]))
		return;
	if (count == 3 && !word_is(w[2], "0"))
		return SAY(s, "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n");
	item = find(w[1]);
	if (!item) {
		kv_counts.delete_misses++;
		return REPLY(s, "NOT_FOUND\r\n");
	}
	kv_counts.delete_hits++;
	store_remove(item);
	REPLY(s, "DELETED\r\n");
}

/* An item's value as a number. */
static bool value_number(struct item *item, uint64_t *v)
{
	char digits[20];

	if (item->bytes > sizeof(digits))
		return false;
	store_read(item, (size_t)item->key_len + item->suffix_len, digits, item->bytes);
	return word_number((struct word){ digits, item->bytes }, v);
}

/* Change an item's value to these digits, in its place if that is as long and nobody looks. */
static bool put_digits(struct item *item, const char *digits, size_t bytes)
{
	struct item *new;

	if (item->bytes == bytes && !item->holds) {
		store_write(item, (size_t)item->key_len + item->suffix_len, digits, bytes);
		store_changed(item);
		return true;
	}
	item->holds++;
	new = store_make(item->text, item->key_len, item->flags, item->expires, bytes);
	if (new) {
		store_write(new, (size_t)new->key_len + new->suffix_len, digits, bytes);
		store_put(new);
		store_release(new);
	}
	store_release(item);
	return new;
}

static void run_count(struct session *s, const struct word *w, unsigned count, bool up)
{
	uint64_t delta, v;
	char digits[20];
	size_t i = sizeof(digits);
	struct item *item;

	if (count != 3)
		return SAY(s, "ERROR\r\n");
	if (bad_key(s, w[1]))
		return;
	if (!word_number(w[2], &delta))
		return SAY(s, "CLIENT_ERROR invalid numeric delta argument\r\n");
	item = find(w[1]);
	if (!item) {
		++*(up ? &kv_counts.incr_misses : &kv_counts.decr_misses);
		return REPLY(s, "NOT_FOUND\r\n");
	}
	if (!value_number(item, &v))
		return REPLY(s, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	++*(up ? &kv_counts.incr_hits : &kv_counts.decr_hits);
	v = up ? v + delta : v < delta ? 0 : v - delta;
	for (uint64_t rest = v; i == sizeof(digits) || rest; rest /= 10)
		digits[--i] = (char)('0' + rest % 10);
	if (!put_digits(item, digits + i, sizeof(digits) - i))
		return REPLY(s, "SERVER_ERROR out of memory in incr\r\n");
	if (s->noreply)
		return;
	say(s, digits + i, sizeof(digits) - i);
	SAY(s, "\r\n");
}

static void run_touch(struct session *s, const struct word *w, unsigned count)
{
	struct item *item;
	int64_t seconds;

	if (count != 3)
		return SAY(s, "ERROR\r\n");
	if (bad_key(s, w[1]))
		return;
	if (!word_signed(w[2], &seconds))
		return SAY(s, "CLIENT_ERROR invalid exptime argument\r\n");
	item = find(w[1]);
	if (!item) {
		kv_counts.touch_misses++;
		return REPLY(s, "NOT_FOUND\r\n");
	}
	kv_counts.touch_hits++;
	item->expires = expiry(seconds);
	REPLY(s, "TOUCHED\r\n");
}

static void run_flush(struct session *s, const struct word *w, unsigned count)
{
	int64_t seconds = 0;
	uint32_t when;

	if (count > 2)
		return SAY(s, "ERROR\r\n");
	if (count == 2 && !word_signed(w[1], &seconds))
		return SAY(s, "CLIENT_ERROR bad command line format\r\n");
	kv_counts.flushes++;
	when = expiry(seconds);
	store_flush(when > store_now ? when : store_now);
	REPLY(s, "OK\r\n");
}

static void run_other(struct session *s, const struct word *w, unsigned count)
{
	if (word_is(w[0], "version"))
		return SAY(s, "VERSION " EXO_VERSION "\r\n");
	if (word_is(w[0], "verbosity") && (count == 2 || (count == 1 && s->noreply)))
		return REPLY(s, "OK\r\n");
	if (word_is(w[0], "quit"))
		return session_close(s);
	SAY(s, "ERROR\r\n");
}

void command_run(struct session *s, const struct word *w, unsigned count)
{
	static const char *const stores[] = { "set", "add", "replace", "append", "prepend", "cas" };

	if (!count || count > TOKENS_MAX)
		return SAY(s, "ERROR\r\n");
	for (unsigned i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
		if (word_is(w[0], stores[i]))
			return begin_store(s, w, count, (enum how)i);
	if (word_is(w[0], "flush_all"))
		return run_flush(s, w, count);
	if (word_is(w[0], "stats"))
		return command_stats(s, w, count);
	if (count > 1) {
		if (word_is(w[0], "delete"))
			return run_delete(s, w, count);
		if (word_is(w[0], "incr") || word_is(w[0], "decr"))
			return run_count(s, w, count, w[0].at[0] == 'i');
		if (word_is(w[0], "touch"))
			return run_touch(s, w, count);
	}
	run_other(s, w, count);
}
