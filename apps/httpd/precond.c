/* SPDX-License-Identifier: BSD-2-Clause */
/* Preconditions (RFC 9110 section 13) and ranges (section 14). See precond.h. */
#include <string.h>

#include "apps/httpd/date.h"
#include "apps/httpd/precond.h"

static size_t put_hex(char *out, uint64_t v)
{
	size_t n = 1;

	while (n < 16 && v >> 4 * n)
		n++;
	for (size_t i = n; i--; v >>= 4)
		out[i] = "0123456789abcdef"[v & 15];
	return n;
}

void http_entity_tag(struct http_entity *e)
{
	size_t n = 0;

	e->etag[n++] = '"';
	n += put_hex(e->etag + n, e->size);
	e->etag[n++] = '-';
	n += put_hex(e->etag + n, (uint64_t)e->mtime);
	e->etag[n++] = '"';
	e->etag_len = n;
}

/*
 * Is the entity's tag in this line: "*", or tags W/"..." parted by commas? A malformed rest matches nothing.
 */
static bool line_has(struct http_text line, const struct http_entity *e, bool weak)
{
	const char *p = line.at, *end = p + line.len;

	if (line.len == 1 && *p == '*')
		return true;
	while (p < end) {
		bool is_weak = end - p >= 2 && p[0] == 'W' && p[1] == '/';
		const char *tag = is_weak ? p + 2 : p, *close;

		if (tag == end || *tag != '"')
			return false;
		close = memchr(tag + 1, '"', (size_t)(end - tag - 1));
		if (!close)
			return false;
		p = close + 1;
		if ((weak || !is_weak) && (size_t)(p - tag) == e->etag_len &&
		    !memcmp(tag, e->etag, e->etag_len))
			return true;
		while (p < end && (*p == ',' || *p == ' ' || *p == '\t'))
			p++;
	}
	return false;
}

static bool lines_have(const struct http_lines *lines, const struct http_entity *e, bool weak)
{
	for (unsigned i = 0; i < lines->count; i++)
		if (line_has(lines->line[i], e, weak))
			return true;
	return false;
}

/* Is there such a date, and is the entity not younger? */
static bool unmodified_since(struct http_text field, const struct http_entity *e, bool *valid)
{
	int64_t t = 0;

	*valid = field.at && http_date_parse(field.at, field.len, &t);
	return *valid && e->mtime <= t;
}

/* If-Range: true when the client's part is of this very entity. Weak tags never are. */
static bool same_entity(struct http_text field, const struct http_entity *e)
{
	int64_t t;

	if (!field.at)
		return true;
	if (field.len > 1 && (field.at[0] == '"' || field.at[1] == '/'))
		return field.len == e->etag_len && !memcmp(field.at, e->etag, e->etag_len);
	return http_date_parse(field.at, field.len, &t) && t == e->mtime;
}

/* Decimal digits at *p; a number too large for us counts as the largest, which no file reaches. */
static bool digits(const char **p, const char *end, uint64_t *value)
{
	const char *start = *p;
	uint64_t v = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; ++*p) {
		uint64_t digit = (uint64_t)(**p - '0');

		v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
	}
	*value = v;
	return *p > start;
}

/* Returns 200, 206 or 416 for a Range field's value. */
static int judge_range(struct http_text range, uint64_t size, uint64_t *first, uint64_t *last)
{
	const char *p = range.at, *end = p + range.len;
	bool has_first, has_last;
	uint64_t a, b;

	if (range.len < 6 || memcmp(p, "bytes=", 6))
		return 200;
	p += 6;
	has_first = digits(&p, end, &a);
	if (p == end || *p++ != '-')
		return 200;
	has_last = digits(&p, end, &b);
	if (p != end || (!has_first && !has_last) || (has_first && has_last && a > b))
		return 200;
	if (!has_first) {	/* the last b bytes */
		if (!b || !size)
			return 416;
		*first = b < size ? size - b : 0;
		*last = size - 1;
		return 206;
	}
	if (a >= size)
		return 416;
	*first = a;
	*last = has_last && b < size ? b : size - 1;
	return 206;
}

int http_judge(const struct http_request *r, const struct http_entity *e, uint64_t *first, uint64_t *last)
{
	bool valid, old;

	if (r->if_match.count) {
		if (!lines_have(&r->if_match, e, false))
			return 412;
	} else if (r->if_unmodified_since.at) {
		old = unmodified_since(r->if_unmodified_since, e, &valid);
		if (valid && !old)
			return 412;
	}
	if (r->if_none_match.count) {
		if (lines_have(&r->if_none_match, e, true))
			return 304;
	} else if (r->if_modified_since.at) {
		if (unmodified_since(r->if_modified_since, e, &valid))
			return 304;
	}
	if (r->range.at && r->method == HTTP_GET && same_entity(r->if_range, e))
		return judge_range(r->range, e->size, first, last);
	return 200;
}
