/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Request heads and body framing, after RFC 9112 sections 2 to 7 and RFC 9110 sections 5, 7 and 10. See
 * parse.h.
 *
 * One pass, byte by byte over names and targets and eight bytes at a time over field values, which are most
 * of a head. Each step returns 1 (go on), 0 (bytes are missing) or minus a status.
 */
#include <string.h>

#include "apps/httpd/parse.h"

/* What a byte may be part of. */
#define TOKEN	1	/* method or field name */
#define TARGET	2	/* request target: visible, no fragment, no backslash; raw UTF-8 is let through */
#define HOST	4	/* host and port */

static const unsigned char class_of[256] = {
	['0' ... '9'] = TOKEN | TARGET | HOST, ['A' ... 'Z'] = TOKEN | TARGET | HOST,
	['a' ... 'z'] = TOKEN | TARGET | HOST,
	['!'] = TOKEN | TARGET | HOST, ['$'] = TOKEN | TARGET | HOST, ['%'] = TOKEN | TARGET | HOST,
	['&'] = TOKEN | TARGET | HOST, ['\''] = TOKEN | TARGET | HOST, ['*'] = TOKEN | TARGET | HOST,
	['+'] = TOKEN | TARGET | HOST, ['-'] = TOKEN | TARGET | HOST, ['.'] = TOKEN | TARGET | HOST,
	['_'] = TOKEN | TARGET | HOST, ['~'] = TOKEN | TARGET | HOST,
	['#'] = TOKEN, ['^'] = TOKEN | TARGET, ['`'] = TOKEN | TARGET, ['|'] = TOKEN | TARGET,
	['('] = TARGET | HOST, [')'] = TARGET | HOST, [','] = TARGET | HOST, [';'] = TARGET | HOST,
	['='] = TARGET | HOST, [':'] = TARGET | HOST, ['['] = TARGET | HOST, [']'] = TARGET | HOST,
	['"'] = TARGET, ['/'] = TARGET, ['<'] = TARGET, ['>'] = TARGET, ['?'] = TARGET, ['@'] = TARGET,
	['{'] = TARGET, ['}'] = TARGET,
	[0x80 ... 0xff] = TARGET,
};

#define CONNECTION_CLOSE	1u
#define CONNECTION_KEEP		2u

struct scan {
	const char *p, *end;
};

static bool is(char c, int class)
{
	return class_of[(unsigned char)c] & class;
}

static const char *skip_class(const char *p, const char *end, int class)
{
	while (p < end && is(*p, class))
		p++;
	return p;
}

/* Is the text this word of lower-case letters and hyphens, in any case? */
static bool same(const char *text, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((text[i] | 0x20) != word[i])
			return false;
	return true;
}

static bool text_is(struct http_text t, const char *word)
{
	return t.len == strlen(word) && same(t.at, word, t.len);
}

static enum http_method method_named(const char *name, size_t len)
{
	static const char *const other[] = {
		"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"
	};

	if (len == 3 && !memcmp(name, "GET", 3))
		return HTTP_GET;
	if (len == 4 && !memcmp(name, "HEAD", 4))
		return HTTP_HEAD;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (len == strlen(other[i]) && !memcmp(name, other[i], len))
			return HTTP_OTHER;
	return HTTP_UNKNOWN;
}

static int parse_method(struct scan *s, struct http_request *r)
{
	const char *start = s->p, *p = skip_class(start, s->end, TOKEN);

	if (p - start > HTTP_METHOD_MAX)
		return -501;
	if (p == s->end)
		return 0;
	if (p == start || *p != ' ')
		return -400;
	r->method = method_named(start, (size_t)(p - start));
	s->p = p + 1;
	return 1;
}

/* An absolute-form target is cut down to path and query; its authority takes the place of Host. */
static int cut_authority(struct http_text *target)
{
	size_t scheme = target->len > 7 && same(target->at, "http://", 7) ? 7
		      : target->len > 8 && same(target->at, "https://", 8) ? 8 : 0;
	const char *end = target->at + target->len, *start = target->at + scheme, *p;

	if (!scheme)
		return -400;
	p = skip_class(start, end, HOST);
	if (p == start || (p < end && *p != '/' && *p != '?'))
		return -400;
	*target = (struct http_text){ p, (size_t)(end - p) };
	return 1;
}

static int parse_target(struct scan *s, struct http_request *r)
{
	const char *start = s->p, *p = skip_class(start, s->end, TARGET);

	if (p == s->end)
		return 0;
	if (p == start || *p != ' ')
		return -400;
	r->raw_target = r->target = (struct http_text){ start, (size_t)(p - start) };
	s->p = p + 1;
	if (*start != '/' && (r->method == HTTP_GET || r->method == HTTP_HEAD))
		return cut_authority(&r->target);
	return 1;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int parse_version(struct scan *s, struct http_request *r)
{
	static const char form[] = "HTTP/d.d\r\n";

	if (s->end - s->p >= 10 && !memcmp(s->p, "HTTP/1.1\r\n", 10)) {	/* nearly always */
		r->minor = 1;
		s->p += 10;
		return 1;
	}
	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		if (s->p + i == s->end)
			return 0;
		if (form[i] == 'd' ? !is_digit(s->p[i]) : s->p[i] != form[i])
			return -400;
	}
	if (s->p[5] != '1')
		return -505;
	r->minor = s->p[7] != '0';
	s->p += sizeof(form) - 1;
	return 1;
}

/*
 * Which of the eight bytes are below 0x20, or 0x7f? Marks their top bits. The lowest mark is always right;
 * above it a borrow may have set others.
 */
static uint64_t controls(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
	uint64_t del = word ^ ones * 0x7f;

	return (((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & high;
}

/* The first byte at or after p that cannot stand in a field value. The machine is little-endian. */
static const char *skip_value(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t word, marks;

		memcpy(&word, p, 8);
		marks = controls(word);
		if (!marks) {
			p += 8;
			continue;
		}
		p += __builtin_ctzll(marks) / 8;
		if (*p != '\t')
			return p;
		p++;
	}
	while (p < end && ((unsigned char)*p >= 0x20 || *p == '\t') && *p != 0x7f)
		p++;
	return p;
}

static int once(struct http_request *r, struct http_text *field, struct http_text value)
{
	if (field->at)
		return -400;
	*field = value;
	r->conditional = true;
	return 1;
}

static int add_line(struct http_request *r, struct http_lines *lines, struct http_text value)
{
	if (lines->count == HTTP_LINES_MAX)
		return -400;
	lines->line[lines->count++] = value;
	r->conditional = true;
	return 1;
}

static int take_host(struct http_request *r, struct http_text value)
{
	const char *end = value.at + value.len;

	if (r->has_host || skip_class(value.at, end, HOST) != end)
		return -400;
	r->has_host = true;
	return 1;
}

static int take_length(struct http_request *r, struct http_text value)
{
	uint64_t v = 0;

	if (r->has_length || !value.len)
		return -400;
	for (size_t i = 0; i < value.len; i++) {
		uint64_t digit = (uint64_t)(value.at[i] - '0');

		if (!is_digit(value.at[i]) || v > (INT64_MAX - digit) / 10)
			return -400;
		v = v * 10 + digit;
	}
	r->has_length = true;
	r->content_length = v;
	return 1;
}

/* A coding that is not known leaves the body's end unknown, so only plain "chunked" is taken. */
static int take_coding(struct http_request *r, struct http_text value)
{
	if (r->chunked)
		return -400;
	r->chunked = true;
	return text_is(value, "chunked") ? 1 : -501;
}

static int take_connection(struct http_request *r, struct http_text value)
{
	const char *p = value.at, *end = p + value.len;

	while (p < end) {
		const char *start = p;

		p = skip_class(p, end, TOKEN);
		if (p - start == 5 && same(start, "close", 5))
			r->connection |= CONNECTION_CLOSE;
		else if (p - start == 10 && same(start, "keep-alive", 10))
			r->connection |= CONNECTION_KEEP;
		while (p < end && (*p == ',' || *p == ' ' || *p == '\t'))
			p++;
		if (p == start)		/* neither a token nor a separator */
			return -400;
	}
	return 1;
}

static int take_expect(struct http_request *r, struct http_text value)
{
	if (!text_is(value, "100-continue"))
		return -417;
	r->expect_continue = true;
	return 1;
}

/* Keep the fields that matter. The length picks the few names to compare with. */
static int take_field(struct http_request *r, const char *name, size_t len, struct http_text value)
{
	switch (len) {
	case 4:
		return same(name, "host", 4) ? take_host(r, value) : 1;
	case 5:
		return same(name, "range", 5) ? once(r, &r->range, value) : 1;
	case 6:
		return same(name, "expect", 6) ? take_expect(r, value) : 1;
	case 8:
		if (same(name, "if-match", 8))
			return add_line(r, &r->if_match, value);
		return same(name, "if-range", 8) ? once(r, &r->if_range, value) : 1;
	case 10:
		return same(name, "connection", 10) ? take_connection(r, value) : 1;
	case 13:
		return same(name, "if-none-match", 13) ? add_line(r, &r->if_none_match, value) : 1;
	case 14:
		return same(name, "content-length", 14) ? take_length(r, value) : 1;
	case 17:
		if (same(name, "transfer-encoding", 17))
			return take_coding(r, value);
		return same(name, "if-modified-since", 17) ? once(r, &r->if_modified_since, value) : 1;
	case 19:
		return same(name, "if-unmodified-since", 19) ? once(r, &r->if_unmodified_since, value) : 1;
	}
	return 1;
}

static int parse_field(struct scan *s, struct http_request *r)
{
	const char *name = s->p, *p = skip_class(name, s->end, TOKEN), *value, *last;
	size_t name_len = (size_t)(p - name);

	if (p == s->end)
		return 0;
	if (!name_len || *p != ':')	/* also a folded line, and a blank before the colon */
		return -400;
	for (value = p + 1; value < s->end && (*value == ' ' || *value == '\t'); value++)
		;
	p = skip_value(value, s->end);
	if (p == s->end)
		return 0;
	if (*p != '\r')
		return -400;
	if (p + 1 == s->end)
		return 0;
	if (p[1] != '\n')
		return -400;
	for (last = p; last > value && (last[-1] == ' ' || last[-1] == '\t'); last--)
		;
	s->p = p + 2;
	return take_field(r, name, name_len, (struct http_text){ value, (size_t)(last - value) });
}

/* What only all fields together show. */
static int finish(struct http_request *r)
{
	if (!r->has_host && r->minor)
		return -400;
	if (r->chunked && (r->has_length || !r->minor))
		return -400;
	r->keep_alive = r->minor ? !(r->connection & CONNECTION_CLOSE) : r->connection == CONNECTION_KEEP;
	r->expect_continue = r->expect_continue && r->minor;
	return 1;
}

int http_parse(struct http_request *r, const char *text, size_t len)
{
	struct scan s = { text, text + len };
	int step;

	memset(r, 0, offsetof(struct http_request, if_match));
	r->if_match.count = r->if_none_match.count = 0;
	while (s.end - s.p >= 2 && s.p[0] == '\r' && s.p[1] == '\n')	/* some send one too many */
		s.p += 2;
	if (s.p < s.end && *s.p == '\r' && s.end - s.p == 1)
		return 0;
	if ((step = parse_method(&s, r)) <= 0 || (step = parse_target(&s, r)) <= 0 ||
	    (step = parse_version(&s, r)) <= 0)
		return step;
	for (int fields = 0;; fields++) {
		if (s.p == s.end)
			return 0;
		if (*s.p == '\r')
			break;
		if (fields == HTTP_FIELDS_MAX)
			return -431;
		if ((step = parse_field(&s, r)) <= 0)
			return step;
	}
	if (s.p + 1 == s.end)
		return 0;
	if (s.p[1] != '\n')
		return -400;
	step = finish(r);
	return step < 0 ? step : (int)(s.p + 2 - text);
}

bool http_maybe_complete(const char *text, size_t old, size_t len)
{
	for (size_t i = old; i < len; i++) {
		if (text[i] != '\n')
			continue;
		if (i == 0 || text[i - 1] != '\r' || (i >= 3 && text[i - 2] == '\n' && text[i - 3] == '\r'))
			return true;
	}
	return false;
}

int http_overflow_status(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && (text[i] == '\r' || text[i] == '\n'))
		i++;
	return memchr(text + i, '\n', len - i) ? 431 : 414;
}

/*
 * Body framing: a fixed number of bytes, or chunks: SIZE [;extension] CRLF data CRLF, size 0 ends, then
 * trailers.
 */
enum {
	LENGTH,
	SIZE_FIRST, SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF,
	TRAILER_START, TRAILER, TRAILER_LF, END_LF,
};

void http_body_start(struct http_body *b, const struct http_request *r)
{
	b->chunked = r->chunked;
	b->left = r->chunked ? 0 : r->content_length;
	b->state = r->chunked ? SIZE_FIRST : LENGTH;
	b->total = 0;
	b->done = !b->chunked && !b->left;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A byte of a chunk's size line. */
static bool size_byte(struct http_body *b, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		if (b->left >> 56)
			return false;
		b->left = b->left << 4 | (unsigned)digit;
		b->state = SIZE;
		return true;
	}
	if (b->state == SIZE_FIRST)
		return false;
	b->state = c == '\r' ? SIZE_LF : EXTENSION;
	return c == '\r' || c == ';' || c == ' ' || c == '\t';
}

/* Any other byte that is not chunk data. */
static bool frame_byte(struct http_body *b, char c)
{
	switch (b->state) {
	case SIZE_FIRST:
	case SIZE:
		return size_byte(b, c);
	case EXTENSION:
		if (c == '\r')
			b->state = SIZE_LF;
		return c != '\n' && c != 0;
	case SIZE_LF:
		b->state = b->left ? DATA : TRAILER_START;
		return c == '\n';
	case DATA_CR:
		b->state = DATA_LF;
		return c == '\r';
	case DATA_LF:
		b->state = SIZE_FIRST;
		return c == '\n';
	case TRAILER_START:
		b->state = c == '\r' ? END_LF : TRAILER;
		return c != '\n' && c != 0;
	case TRAILER:
		if (c == '\r')
			b->state = TRAILER_LF;
		return c != '\n' && c != 0;
	case TRAILER_LF:
		b->state = TRAILER_START;
		return c == '\n';
	case END_LF:
		b->done = c == '\n';
		return b->done;
	}
	return false;
}

long http_body_eat(struct http_body *b, const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && !b->done) {
		if (b->state == LENGTH || b->state == DATA) {
			size_t n = len - i < b->left ? len - i : (size_t)b->left;

			i += n;
			b->left -= n;
			if (b->left)
				break;
			if (b->state == LENGTH)
				b->done = true;
			b->state = DATA_CR;
		} else if (!frame_byte(b, text[i++])) {
			return -400;
		}
	}
	b->total += i;
	return (long)i;
}
