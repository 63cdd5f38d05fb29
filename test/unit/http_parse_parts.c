/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests of what apps/httpd makes of a parsed request: target paths, dates, preconditions, ranges,
 * content types.
 */
#include <stdlib.h>
#include <time.h>

#include "apps/httpd/date.h"
#include "apps/httpd/mime.h"
#include "apps/httpd/precond.h"
#include "apps/httpd/target.h"
#include "test/unit/tap.h"

/* Decode from and to buffers of exact size. wanted is the path, or NULL for the status. */
static void decodes_in(size_t room, const char *target, const char *wanted, int status)
{
	size_t len = strlen(target), n = 0;
	char *copy = malloc(len ? len : 1), *out = malloc(room);
	struct http_text query;
	int got;

	memcpy(copy, target, len);
	got = target_decode((struct http_text){ copy, len }, out, room, &n, &query);
	if (wanted)
		is_text(got ? NULL : out, got ? 0 : n, wanted, target);
	else
		ok(got == status, "%d for %s", got, target);
	if (!got && strlen(out) != n)
		ok(false, "no NUL inside");
	free(copy);
	free(out);
}

static void decodes(const char *target, const char *wanted, int status)
{
	decodes_in(64, target, wanted, status);
}

static void test_target(void)
{
	struct http_text query;
	char out[64];
	size_t n;

	decodes("/", "/", 0);
	decodes("", "/", 0);
	decodes("?q", "/", 0);
	decodes("/a", "/a", 0);
	decodes("/a/b/", "/a/b/", 0);
	decodes("//a///b//", "/a/b/", 0);
	decodes("/a/./b/.", "/a/b/", 0);
	decodes("/a/../b", "/b", 0);
	decodes("/a/b/..", "/a/", 0);
	decodes("/a/..", "/", 0);
	decodes("/a/b/../../c/", "/c/", 0);
	decodes("/...", "/...", 0);
	decodes("/..a/.b/c..", "/..a/.b/c..", 0);
	decodes("/%61%20%25%C3%A9+?%zz", "/a %\xc3\xa9+", 0);
	decodes("/a%5C..%5cb", "/a\\..\\b", 0);
	decodes("/a%3Fb%23", "/a?b#", 0);
	decodes("/%252e%252e/x", "/%2e%2e/x", 0);
	decodes("/..", NULL, 403);
	decodes("/../etc/passwd", NULL, 403);
	decodes("/a/../../b", NULL, 403);
	decodes("/%2e%2e/b", NULL, 403);
	decodes("/.%2E/b", NULL, 403);
	decodes("//../b", NULL, 403);
	decodes("/./../b", NULL, 403);
	decodes("/a%2Fb", NULL, 404);
	decodes("/..%2f..%2fetc/passwd", NULL, 404);
	decodes("/a%00b", NULL, 400);
	decodes("/a%", NULL, 400);
	decodes("/a%4", NULL, 400);
	decodes("/a%4g", NULL, 400);
	decodes("/a%g4", NULL, 400);
	decodes_in(8, "/123456", "/123456", 0);
	decodes_in(8, "/12345/", "/12345/", 0);
	decodes_in(8, "/1234567", NULL, 414);
	decodes_in(8, "/123456/", NULL, 414);
	decodes_in(8, "/1234567/..", NULL, 414);
	decodes_in(8, "////////////////////////1", "/1", 0);
	target_decode((struct http_text){ "/a?b?c", 6 }, out, sizeof(out), &n, &query);
	is_text(query.at, query.len, "?b?c", "the query");
	n = target_encode("/a b/\xc3\xa9\"<:", 10, out, sizeof(out));
	is_text(out, n, "/a%20b/%C3%A9%22%3C%3A", "a path in a URL");
	is_int((long long)target_encode("abcd", 4, out, 5), 0, "too long");
	n = html_escape("<a&b\">'", 7, out, sizeof(out));
	is_text(out, n, "&lt;a&amp;b&quot;&gt;&#39;", "text in HTML");
	is_int((long long)html_escape("<<", 2, out, 7), 0, "too long");
}

static void date(int64_t t, const char *text)
{
	char out[HTTP_DATE_LEN];
	int64_t back = -1;

	http_date_format(out, t);
	is_text(out, sizeof(out), text, text);
	ok(http_date_parse(out, sizeof(out), &back) && back == t, "and back");
}

static bool parses(const char *text, int64_t *t)
{
	return http_date_parse(text, strlen(text), t);
}

static void test_date(void)
{
	static const char *const bad[] = {
		"",
		"Sun",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 31 Apr 1994 08:49:37 GMT",
		"Sun, 29 Feb 1900 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun Nov  6 08:49:37 94",
		",",
		"1994-11-06T08:49:37Z",
	};
	int64_t t = -1;
	bool same = true;

	date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
	date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
	date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
	date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
	date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
	date(HTTP_DATE_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
	ok(parses("Sunday, 06-Nov-94 08:49:37 GMT", &t) && t == 784111777, "RFC 850");
	ok(parses("Saturday, 06-Nov-69 08:49:37 GMT", &t) && t > 3000000000, "RFC 850 in this century");
	ok(parses("Sun Nov  6 08:49:37 1994", &t) && t == 784111777, "asctime");
	ok(parses("Mon, 01 Jan 0001 00:00:00 GMT", &t) && t < 0, "long ago");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!parses(bad[i], &t), "no date: %s", bad[i]);
	srand(1);
	for (int i = 0; i < 100000; i++) {
		time_t when = ((int64_t)rand() << 20 ^ rand()) % (HTTP_DATE_MAX + 1);
		char out[HTTP_DATE_LEN], wanted[40];
		struct tm tm;

		http_date_format(out, when);
		gmtime_r(&when, &tm);
		strftime(wanted, sizeof(wanted), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		same = same && !memcmp(out, wanted, sizeof(out)) && http_date_parse(out, sizeof(out), &t) &&
		       t == when;
	}
	ok(same, "100000 dates as the C library has them");
}

static struct http_entity entity;
static uint64_t first, last;

static struct http_text text_of(const char *s)
{
	return (struct http_text){ s, s ? strlen(s) : 0 };
}

/* A GET with these fields; NULL: not sent. */
static int judge(const char *match, const char *none_match, const char *unmodified, const char *modified,
		 const char *range, const char *if_range)
{
	struct http_request r = { .method = HTTP_GET,
				  .range = text_of(range),
				  .if_range = text_of(if_range),
				  .if_modified_since = text_of(modified),
				  .if_unmodified_since = text_of(unmodified) };

	if (match)
		r.if_match = (struct http_lines){ 1, { text_of(match) } };
	if (none_match)
		r.if_none_match = (struct http_lines){ 1, { text_of(none_match) } };
	return http_judge(&r, &entity, &first, &last);
}

#define TAG	"\"64-2ebc8d21\""
#define OLD	"Sun, 06 Nov 1994 08:49:36 GMT"
#define SAME	"Sun, 06 Nov 1994 08:49:37 GMT"
#define NEW	"Sun, 06 Nov 1994 08:49:38 GMT"

static void test_conditions(void)
{
	entity = (struct http_entity){ .size = 100, .mtime = 784111905 - 128 };
	http_entity_tag(&entity);
	is_text(entity.etag, entity.etag_len, "\"64-2ebc98a1\"", "a tag from size and time");
	memcpy(entity.etag, TAG, entity.etag_len);
	is_int(judge(0, 0, 0, 0, 0, 0), 200, "no condition");
	is_int(judge(TAG, 0, 0, 0, 0, 0), 200, "If-Match with the tag");
	is_int(judge("*", 0, 0, 0, 0, 0), 200, "If-Match *");
	is_int(judge("\"a,b\" , " TAG, 0, 0, 0, 0, 0), 200, "If-Match with a list");
	is_int(judge("\"other\"", 0, 0, 0, 0, 0), 412, "If-Match without the tag");
	is_int(judge("W/" TAG, 0, 0, 0, 0, 0), 412, "If-Match with the tag as a weak one");
	is_int(judge("\"x, " TAG, 0, 0, 0, 0, 0), 412, "If-Match, malformed");
	is_int(judge(TAG, 0, OLD, 0, 0, 0), 200, "If-Match goes before If-Unmodified-Since");
	is_int(judge(0, 0, OLD, 0, 0, 0), 412, "If-Unmodified-Since, changed");
	is_int(judge(0, 0, SAME, 0, 0, 0), 200, "If-Unmodified-Since, not changed");
	is_int(judge(0, 0, "whenever", 0, 0, 0), 200, "If-Unmodified-Since, no date");
	is_int(judge(0, TAG, 0, 0, 0, 0), 304, "If-None-Match with the tag");
	is_int(judge(0, "W/" TAG, 0, 0, 0, 0), 304, "If-None-Match with a weak tag");
	is_int(judge(0, "*", 0, 0, 0, 0), 304, "If-None-Match *");
	is_int(judge(0, "\"other\"", 0, NEW, 0, 0), 200, "If-None-Match goes before If-Modified-Since");
	is_int(judge(0, "", 0, 0, 0, 0), 200, "If-None-Match, empty");
	is_int(judge(0, 0, 0, SAME, 0, 0), 304, "If-Modified-Since, not changed");
	is_int(judge(0, 0, 0, OLD, 0, 0), 200, "If-Modified-Since, changed");
	is_int(judge(0, 0, 0, "0", 0, 0), 200, "If-Modified-Since, no date");
	is_int(judge("\"other\"", TAG, 0, 0, 0, 0), 412, "412 goes before 304");
	is_int(judge(0, TAG, 0, 0, "bytes=0-1", 0), 304, "304 goes before 206");
	is_int(judge(0, 0, 0, 0, "bytes=0-1", TAG), 206, "If-Range with the tag");
	is_int(judge(0, 0, 0, 0, "bytes=0-1", "W/" TAG), 200, "If-Range with a weak tag");
	is_int(judge(0, 0, 0, 0, "bytes=0-1", "\"other\""), 200, "If-Range with another tag");
	is_int(judge(0, 0, 0, 0, "bytes=0-1", SAME), 206, "If-Range with the date");
	is_int(judge(0, 0, 0, 0, "bytes=0-1", NEW), 200, "If-Range with a later date");
	is_int(judge(0, 0, 0, 0, "bytes=0-1", "Wed"), 200, "If-Range with nonsense");
	is_int(judge(0, 0, 0, 0, "bytes=900-", "\"other\""), 200, "no 416 when If-Range fails");
}

static void range(const char *text, int status, uint64_t from, uint64_t to)
{
	int got = judge(0, 0, 0, 0, text, 0);

	ok(got == status && (got != 206 || (first == from && last == to)), "%d for %s", got, text);
}

static void test_range(void)
{
	entity.size = 100;
	range("bytes=0-0", 206, 0, 0);
	range("bytes=10-19", 206, 10, 19);
	range("bytes=10-", 206, 10, 99);
	range("bytes=99-99", 206, 99, 99);
	range("bytes=0-99999", 206, 0, 99);
	range("bytes=0-99999999999999999999999999", 206, 0, 99);
	range("bytes=0-18446744073709551615", 206, 0, 99);
	range("bytes=-1", 206, 99, 99);
	range("bytes=-100", 206, 0, 99);
	range("bytes=-101", 206, 0, 99);
	range("bytes=-18446744073709551616", 206, 0, 99);
	range("bytes=-0", 416, 0, 0);
	range("bytes=100-", 416, 0, 0);
	range("bytes=18446744073709551615-", 416, 0, 0);
	range("bytes=18446744073709551616-18446744073709551617", 416, 0, 0);
	range("bytes=5-4", 200, 0, 0);
	range("bytes=-", 200, 0, 0);
	range("bytes=", 200, 0, 0);
	range("bytes", 200, 0, 0);
	range("bytes=1", 200, 0, 0);
	range("bytes=1-2x", 200, 0, 0);
	range("bytes=--1", 200, 0, 0);
	range("bytes=+1-2", 200, 0, 0);
	range("bytes=1-2,4-5", 200, 0, 0);
	range("lines=1-2", 200, 0, 0);
	range("Bytes=1-2", 200, 0, 0);
	entity.size = 0;
	range("bytes=0-", 416, 0, 0);
	range("bytes=-5", 416, 0, 0);
	entity.size = UINT64_MAX;
	range("bytes=18446744073709551614-18446744073709551615", 206, UINT64_MAX - 1, UINT64_MAX - 1);
	range("bytes=-18446744073709551615", 206, 0, UINT64_MAX - 1);
	http_entity_tag(&entity);
	ok(entity.etag_len <= HTTP_ETAG_MAX, "the longest tag fits");
}

static void type(const char *path, const char *wanted)
{
	struct http_text t = mime_type(path, strlen(path));

	is_text(t.at, t.len, wanted, path);
}

static void test_mime(void)
{
	type("/www/index.html", "text/html; charset=utf-8");
	type("/a.PNG", "image/png");
	type("/a.tar.gz", "application/gzip");
	type("/a.html/b", "application/octet-stream");
	type("/README", "application/octet-stream");
	type("/a.", "application/octet-stream");
	type("/.html", "text/html; charset=utf-8");
	type("/a.averylongextension", "application/octet-stream");
	type("/a.unknown", "application/octet-stream");
	type("", "application/octet-stream");
	type("/a.h", "text/plain; charset=utf-8");
}

int main(void)
{
	test_target();
	test_date();
	test_conditions();
	test_range();
	test_mime();
	return done();
}
