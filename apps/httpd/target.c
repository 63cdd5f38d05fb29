/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decoding comes first, then components are judged, once: so an escaped dot is a dot, and nothing is decoded
 * twice. What is left is a list of plain names, and no list of plain names leads out of the directory it
 * starts in. RFC 3986 sections 2.1 and 5.2.4.
 */
#include <string.h>

#include "apps/httpd/target.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of an escape at p, or minus a status. */
static int unescape(const char *p, const char *end)
{
	int high, low, c;

	if (end - p < 3)
		return -400;
	high = hex(p[1]);
	low = hex(p[2]);
	if (high < 0 || low < 0)
		return -400;
	c = high << 4 | low;
	return c == 0 ? -400 : c == '/' ? -404 : c;
}

/*
 * The component out[start..n) is complete. Returns where the next one starts, or -403. A plain name is kept,
 * and n returned; "." and ".." give the start of the directory they mean.
 */
static long end_component(const char *out, size_t start, size_t n)
{
	if (n - start == 1 && out[start] == '.')
		return (long)start;
	if (n - start == 2 && out[start] == '.' && out[start + 1] == '.') {
		if (start == 1)
			return -403;
		for (start--; out[start - 1] != '/'; start--)
			;
		return (long)start;
	}
	return (long)n;
}

int target_decode(struct http_text target, char *out, size_t max, size_t *len, struct http_text *query)
{
	const char *p = target.at, *end = p + target.len;
	size_t n = 1, start = 1;	/* out[start..n) is the component so far */
	long next;

	out[0] = '/';
	for (; p < end && *p != '?'; p++) {
		int c = (unsigned char)*p;

		if (c == '/') {
			next = end_component(out, start, n);
			if (next < 0)
				return 403;
			if (next == (long)n && n > start)
				out[next++] = '/';
			n = start = (size_t)next;
		} else {
			if (c == '%') {
				c = unescape(p, end);
				if (c < 0)
					return -c;
				p += 2;
			}
			out[n++] = (char)c;
		}
		if (n >= max)
			return 414;
	}
	next = end_component(out, start, n);
	if (next < 0)
		return 403;
	out[next] = 0;
	*len = (size_t)next;
	*query = (struct http_text){ p, (size_t)(end - p) };
	return 0;
}

static int stays(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~/", c));
}

size_t target_encode(const char *text, size_t len, char *out, size_t max)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (max - n < 3)
			return 0;
		if (stays(text[i])) {
			out[n++] = text[i];
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[(unsigned char)text[i] >> 4];
		out[n++] = digits[text[i] & 15];
	}
	return n;
}

static const char *entity(char c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '"': return "&quot;";
	case '\'': return "&#39;";
	}
	return NULL;
}

size_t html_escape(const char *text, size_t len, char *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		const char *e = entity(text[i]);
		size_t add = e ? strlen(e) : 1;

		if (max - n < add)
			return 0;
		memcpy(out + n, e ? e : text + i, add);
		n += add;
	}
	return n;
}
