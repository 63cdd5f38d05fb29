/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memcached's text protocol (its doc/protocol.txt): lines and values. See kv.h.
 *
 * The framing is never lost: a line that is too long is skipped to its end, a value that is refused is swallowed, and one that does
 * not end where its line said is skipped to the next line end.
 */
#include <string.h>

#include "apps/kv/kv.h"

bool word_is(struct word w, const char *text)
{
	return w.len == strlen(text) && !memcmp(w.at, text, w.len);
}

bool word_number(struct word w, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < w.len; i++) {
		uint64_t digit = (uint64_t)(w.at[i] - '0');

		if (digit > 9 || *v > (UINT64_MAX - digit) / 10)
			return false;
		*v = *v * 10 + digit;
	}
	return w.len > 0;
}

bool word_signed(struct word w, int64_t *v)
{
	bool minus = w.len && *w.at == '-';
	uint64_t number;

	if (minus)
		w = (struct word){ w.at + 1, w.len - 1 };
	if (!word_number(w, &number) || number > INT64_MAX)
		return false;
	*v = minus ? -(int64_t)number : (int64_t)number;
	return true;
}

/* Is this get, gets, gat or gats, with something behind it? */
static bool is_get(const char *line, size_t len)
{
	if (len < 5 || line[0] != 'g' || (line[1] != 'e' && line[1] != 'a') || line[2] != 't')
		return false;
	return line[3] == ' ' || (line[3] == 's' && line[4] == ' ');
}

/* Split into words; those beyond the last count too. */
static unsigned split(const char *line, size_t len, struct word *words)
{
	const char *p = line, *end = line + len;
	unsigned count = 0;

	for (;;) {
		while (p < end && *p == ' ')
			p++;
		if (p == end)
			return count;
		if (count == TOKENS_MAX)
			return count + 1;
		words[count].at = p;
		while (p < end && *p != ' ')
			p++;
		words[count].len = (size_t)(p - words[count].at);
		count++;
	}
}

static void run_line(struct session *s, const char *line, size_t len)
{
	struct word words[TOKENS_MAX];
	unsigned count = split(line, len, words);

	s->noreply = count > 1 && count <= TOKENS_MAX && word_is(words[count - 1], "noreply");
	if (s->noreply)
		count--;
	command_run(s, words, count);
}

static size_t step_line(struct session *s, const char *data, size_t bytes)
{
	size_t look = bytes < LINE_MAX_BYTES ? bytes : LINE_MAX_BYTES, len;
	const char *end = memchr(data, '\n', look);

	if (!end) {
		if (bytes < LINE_MAX_BYTES)
			return 0;
		s->mode = MODE_SKIP;
		s->too_long = true;
		return look;
	}
	if (!s->keys_at && !say_room(s, COPY_MAX))
		return 0;
	len = (size_t)(end - data);
	if (len && data[len - 1] == '\r')
		len--;
	if (!is_get(data, len))
		run_line(s, data, len);
	else if (!command_get(s, data, len))
		return 0;
	return (size_t)(end + 1 - data);
}

static size_t step_skip(struct session *s, const char *data, size_t bytes)
{
	const char *end = memchr(data, '\n', bytes);

	if (!end)
		return bytes;
	if (!say_room(s, COPY_MAX))
		return 0;
	if (s->too_long)
		SAY(s, "CLIENT_ERROR line too long\r\n");
	s->too_long = false;
	s->mode = MODE_LINE;
	return (size_t)(end + 1 - data);
}

static size_t step_swallow(struct session *s, size_t bytes)
{
	size_t n = bytes < s->left ? bytes : s->left;

	s->left -= n;
	if (!s->left)
		s->mode = MODE_LINE;
	return n;
}

/* Bytes of a value. The last two are its line end. */
static size_t step_data(struct session *s, const char *data, size_t bytes)
{
	size_t n = bytes < s->left ? bytes : s->left, value = s->left > 2 ? s->left - 2 : 0, rest;

	if (n == s->left && !say_room(s, COPY_MAX))
		return 0;
	value = value < n ? value : n;
	if (value)
		store_write(s->item, store_text(s->item) - s->left, data, value);
	s->left -= value;
	for (rest = value; rest < n; rest++)
		s->end[2 - s->left--] = data[rest];
	if (s->left)
		return n;
	s->mode = MODE_LINE;
	if (s->end[0] == '\r' && s->end[1] == '\n') {
		command_store(s);
	} else {
		if (s->end[1] != '\n')
			s->mode = MODE_SKIP;
		if (!s->noreply)
			SAY(s, "CLIENT_ERROR bad data chunk\r\n");
		store_release(s->item);
	}
	s->item = NULL;
	return n;
}

size_t proto_step(struct session *s, const char *data, size_t bytes)
{
	switch (s->mode) {
	case MODE_DATA:
		return step_data(s, data, bytes);
	case MODE_SWALLOW:
		return step_swallow(s, bytes);
	case MODE_SKIP:
		return step_skip(s, data, bytes);
	default:
		return step_line(s, data, bytes);
	}
}
