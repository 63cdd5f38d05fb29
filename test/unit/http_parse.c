/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests of apps/httpd/parse: request heads good and bad, at each cut, and body framing with an eye on
 * smuggling. Heads are parsed from buffers of their exact size, so that the address sanitizer sees a read
 * outside.
 */
#include <stdlib.h>

#include "apps/httpd/parse.h"
#include "test/unit/tap.h"

static struct http_request r;
static char *copy;

/* Text has no NUL unless its length is given. */
static int parse_bytes(const char *text, size_t len)
{
	free(copy);
	copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	return http_parse(&r, copy, len);
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

/* Must give this result; and when it is a length, every shorter prefix must ask for more. */
static void gives(const char *text, int wanted)
{
	int len = (int)strlen(text), got = parse(text), cut;

	if (wanted == 1)
		wanted = len;
	for (cut = 0; cut < len; cut++) {
		int part = parse_bytes(text, (size_t)cut);

		if (wanted > 0 ? part != (cut < wanted ? 0 : wanted) : part != 0 && part != wanted)
			break;
	}
	parse(text);
	if (!ok(got == wanted && cut == len, "%d for %.*s", got, (int)strcspn(text, "\r\n"), text))
		printf("# wanted %d; prefix of %d bytes of %d\n", wanted, cut, len);
}

#define G	"GET / HTTP/1.1\r\nHost: h\r\n"
#define END	"\r\n"

static void test_lines(void)
{
	gives(G END, 1);
	ok(r.method == HTTP_GET && r.minor == 1 && r.keep_alive && !r.chunked && !r.has_length,
	   "its meaning");
	is_text(r.target.at, r.target.len, "/", "its target");
	gives("HEAD /a?b HTTP/1.1\r\nhOST:h:80\r\n\r\n", 1);
	ok(r.method == HTTP_HEAD, "HEAD");
	gives("POST /a HTTP/1.1\r\nHost: h\r\n\r\n", 1);
	ok(r.method == HTTP_OTHER, "a known method");
	gives("get / HTTP/1.1\r\nHost: h\r\n\r\n", 1);
	ok(r.method == HTTP_UNKNOWN, "methods have a case");
	gives("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 1);
	gives("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 1);
	gives("GET / HTTP/1.0\r\n\r\n", 1);
	ok(r.minor == 0 && !r.keep_alive, "HTTP/1.0 closes");
	gives("\r\n\r\nGET / HTTP/1.0\r\n\r\n", 1);
	gives("GET /" "\xc3\xa9" " HTTP/1.0\r\n\r\n", 1);
	gives("GET / HTTP/1.9\r\nHost:\r\n\r\n", 1);
	gives("GET / HTTP/1.1\r\n\r\n", -400);
	gives("GET / HTTP/2.0\r\n\r\n", -505);
	gives("PRI * HTTP/2.0\r\n\r\n", -505);
	gives("GET / HTTP/0.9\r\n\r\n", -505);
	gives("GET / HTTP/11\r\n\r\n", -400);
	gives("GET / http/1.1\r\n\r\n", -400);
	gives("GET / HTTP/1.1 \r\n\r\n", -400);
	gives("GET / HTTP/1.10\r\n\r\n", -400);
	gives("GET /\r\n\r\n", -400);
	gives("GET  / HTTP/1.1\r\n\r\n", -400);
	gives("GET /  HTTP/1.1\r\n\r\n", -400);
	gives("GET\t/ HTTP/1.1\r\n\r\n", -400);
	gives(" GET / HTTP/1.1\r\n\r\n", -400);
	gives("GET / HTTP/1.1\n\n", -400);
	gives("GET / HTTP/1.1\rHost: h\r\r", -400);
	gives("GET /#x HTTP/1.1\r\n\r\n", -400);
	gives("GET /a\\b HTTP/1.1\r\n\r\n", -400);
	gives("GET /a\177 HTTP/1.1\r\n\r\n", -400);
	gives("GET a HTTP/1.1\r\n\r\n", -400);
	gives("GET * HTTP/1.1\r\n\r\n", -400);
	gives("G(T / HTTP/1.1\r\n\r\n", -400);
	gives("\r\rGET / HTTP/1.0\r\n\r\n", -400);
	gives("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n\r\n", -501);
	is_int(parse_bytes("GET /\0 HTTP/1.1\r\n\r\n", 19), -400, "a NUL in the target");
	is_int(parse_bytes(G "A: \0\r\n\r\n", 32), -400, "a NUL in a value");
}

static void test_absolute(void)
{
	gives("GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n", 1);
	is_text(r.target.at, r.target.len, "/a?b", "path of an absolute target");
	is_text(r.raw_target.at, r.raw_target.len, "http://h/a?b", "and as it came");
	gives("GET HTTPS://h:1?q HTTP/1.1\r\nHost: h\r\n\r\n", 1);
	is_text(r.target.at, r.target.len, "?q", "an absolute target without a path");
	gives("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", 1);
	is_int((long long)r.target.len, 0, "nor a query");
	gives("GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", -400);
	gives("GET http:// HTTP/1.1\r\nHost: h\r\n\r\n", -400);
	gives("GET http://u@h/a HTTP/1.1\r\nHost: h\r\n\r\n", -400);
	gives("GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n", -400);
}

static void test_fields(void)
{
	gives(G "A:b\r\nEmpty:\r\nBlank: \t \r\nX:  a \t b  \r\n\r\n", 1);
	gives(G "Long: 0123456789abcdef\xff\x80 0123456789\t0123456789\r\n\r\n", 1);
	gives(G "A : b\r\n\r\n", -400);
	gives(G " A: b\r\n\r\n", -400);
	gives(G "A: b\r\n folded\r\n\r\n", -400);
	gives(G "A: b\r\n\tfolded\r\n\r\n", -400);
	gives(G "A\r\n\r\n", -400);
	gives(G ": b\r\n\r\n", -400);
	gives(G "A: b\n\r\n", -400);
	gives(G "A: b\rc\r\n\r\n", -400);
	gives(G "A: b\r\n\rX", -400);
	gives(G "A: 12345678\001\r\n\r\n", -400);
	gives(G "A: 1234567\177\r\n\r\n", -400);
	gives(G "A(: b\r\n\r\n", -400);
	gives(G "Host: h\r\n\r\n", -400);
	gives("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", -400);
	gives("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", -400);
	gives("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", -400);
	gives("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", -400);
	gives(G "Range: bytes=0-1\r\nIf-Range: \"x\"\r\nIf-Modified-Since: a\r\nIf-Unmodified-Since: b\r\n"
	      "If-Match: *\r\nIf-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n\r\n", 1);
	is_text(r.range.at, r.range.len, "bytes=0-1", "Range");
	is_text(r.if_range.at, r.if_range.len, "\"x\"", "If-Range");
	is_text(r.if_modified_since.at, r.if_modified_since.len, "a", "If-Modified-Since");
	is_text(r.if_unmodified_since.at, r.if_unmodified_since.len, "b", "If-Unmodified-Since");
	ok(r.if_match.count == 1 && r.if_none_match.count == 2, "lists on several lines");
	gives(G "Range: bytes=0-1\r\nRange: bytes=0-1\r\n\r\n", -400);
	gives(G "If-Match: a\r\nIf-Match: a\r\nIf-Match: a\r\nIf-Match: a\r\nIf-Match: a\r\n\r\n", -400);
	gives(G "Connection: Close\r\n\r\n", 1);
	ok(!r.keep_alive, "close");
	gives(G "Connection: foo, ,KEEP-alive,\tclose\r\n\r\n", 1);
	ok(!r.keep_alive, "close wins in a list");
	gives(G "Connection: keep-alive\r\nConnection: close\r\n\r\n", 1);
	ok(!r.keep_alive, "close wins on several lines");
	gives("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 1);
	ok(r.keep_alive, "HTTP/1.0 keeps alive when asked to");
	gives(G "Connection: a=b\r\n\r\n", -400);
	gives(G "Expect: 100-Continue\r\n\r\n", 1);
	ok(r.expect_continue, "Expect");
	gives(G "Expect: a miracle\r\n\r\n", -417);
	gives("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", 1);
	ok(!r.expect_continue, "an HTTP/1.0 client does not wait for 100");
}

static void test_framing(void)
{
	gives(G "Content-Length: 5\r\n\r\n", 1);
	ok(r.has_length && r.content_length == 5, "Content-Length");
	gives(G "Content-Length: 9223372036854775807\r\n\r\n", 1);
	gives(G "Content-Length: 9223372036854775808\r\n\r\n", -400);
	gives(G "Content-Length: 18446744073709551621\r\n\r\n", -400);
	gives(G "Content-Length: +5\r\n\r\n", -400);
	gives(G "Content-Length: -1\r\n\r\n", -400);
	gives(G "Content-Length: 0x5\r\n\r\n", -400);
	gives(G "Content-Length: 5 5\r\n\r\n", -400);
	gives(G "Content-Length: 5,5\r\n\r\n", -400);
	gives(G "Content-Length:\r\n\r\n", -400);
	gives(G "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", -400);
	gives(G "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", -400);
	gives(G "Transfer-Encoding: Chunked\r\n\r\n", 1);
	ok(r.chunked, "Transfer-Encoding");
	gives(G "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", -400);
	gives(G "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", -400);
	gives(G "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n", -400);
	gives(G "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", -400);
	gives(G "Transfer-Encoding: gzip, chunked\r\n\r\n", -501);
	gives(G "Transfer-Encoding: xchunked\r\n\r\n", -501);
	gives(G "Transfer-Encoding: identity\r\n\r\n", -501);
	gives(G "Transfer-Encoding:\r\n\r\n", -501);
	gives(G "Transfer-Encoding: \013chunked\r\n\r\n", -400);
	gives("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", -400);
	gives("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n", 1);
}

static void test_limits(void)
{
	char text[4096] = G;

	for (int i = 0; i < HTTP_FIELDS_MAX - 1; i++)
		strcat(text, "Field: value\r\n");
	strcat(text, END);
	is_int(parse(text), (int)strlen(text), "as many fields as are allowed");
	text[strlen(text) - 2] = 0;
	strcat(text, "One: more\r\n\r\n");
	is_int(parse(text), -431, "one more");
	is_int(http_overflow_status("GET /aaaa", 9), 414, "no end of the request line: 414");
	is_int(http_overflow_status("\r\nGET /aa", 9), 414, "also behind empty lines");
	is_int(http_overflow_status("GET /\r\nA", 8), 431, "otherwise 431");
	ok(!http_maybe_complete("GET / HTTP/1.1\r\nHost: h\r\n", 3, 25), "no empty line yet");
	ok(http_maybe_complete("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 25, 27), "an empty line");
	ok(http_maybe_complete("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 26, 27), "its last byte");
	ok(http_maybe_complete("GET / HTTP/1.1\r\nHost: h\n", 16, 24), "a bare line feed is worth a look");
	ok(http_maybe_complete("\n", 0, 1), "also as the first byte");
}

/* Feed a chunked body in pieces of `step`; returns what belongs to it, or the error. */
static long eat(const char *text, size_t step, bool *done)
{
	struct http_request chunked = { .chunked = true };
	size_t len = strlen(text), at = 0;
	struct http_body b;

	http_body_start(&b, &chunked);
	while (at < len && !b.done) {
		size_t n = len - at < step ? len - at : step;
		char *piece = malloc(n);
		long eaten;

		memcpy(piece, text + at, n);
		eaten = http_body_eat(&b, piece, n);
		free(piece);
		if (eaten < 0)
			return eaten;
		if ((size_t)eaten < n && !b.done)
			return -1;
		at += (size_t)eaten;
	}
	*done = b.done;
	return b.total == at ? (long)at : -2;
}

static void chunks(const char *text, long wanted, bool wanted_done)
{
	bool done = false, all = true;

	for (size_t step = 1; step <= strlen(text) + 1; step++)
		all = all && eat(text, step, &done) == wanted && (wanted < 0 || done == wanted_done);
	ok(all, "chunks %ld: %.*s", wanted, (int)strcspn(text, "\r\n"), text);
}

static void test_chunks(void)
{
	chunks("0\r\n\r\nGET", 5, true);
	chunks("5\r\nhello\r\n0\r\n\r\n", 15, true);
	chunks("000A;name=\"v\" ; x\r\n0123456789\r\n0\r\nTrailer: x\r\nB: c\r\n\r\nrest", 54, true);
	chunks("5\r\nhel", 6, false);
	chunks("aF \r\n", 5, false);
	chunks("5\r\nhelloX", -400, false);
	chunks("5\nhello", -400, false);
	chunks("5\rhello", -400, false);
	chunks("5\r\nhello\n0\r\n\r\n", -400, false);
	chunks("\r\n", -400, false);
	chunks(";x\r\n", -400, false);
	chunks("-5\r\n", -400, false);
	chunks("+5\r\n", -400, false);
	chunks("0x5\r\n", -400, false);
	chunks("5_0\r\n", -400, false);
	chunks("ffffffffffffffff\r\n", -400, false);
	chunks("10000000000000000\r\n", -400, false);
	chunks("00000000000000000000000000000\r\n\r\n", 33, true);
	chunks("0\r\n\n", -400, false);
	chunks("0\r\nA: b\n\r\n", -400, false);
	chunks("0\r\n\rX", -400, false);
	chunks("5;a\nb\r\n", -400, false);
}

static void test_length(void)
{
	struct http_request plain = { .has_length = true, .content_length = 5 };
	struct http_body b;

	http_body_start(&b, &plain);
	ok(!b.done && http_body_eat(&b, "abc", 3) == 3 && !b.done, "a body by length, in part");
	ok(http_body_eat(&b, "deGET", 5) == 2 && b.done && b.total == 5, "and its end");
	plain.content_length = 0;
	http_body_start(&b, &plain);
	ok(b.done && http_body_eat(&b, "GET", 3) == 0, "an empty body");
}

static void test_damage(void)
{
	static const char good[] =
		"GET /a/b?c HTTP/1.1\r\nHost: host:80\r\nAccept: */*\r\nRange: bytes=0-5\r\n"
		"Connection: keep-alive, x\r\nIf-None-Match: \"a\", W/\"b\"\r\nContent-Length: 12\r\n\r\n";
	static const char odd[] = "\r\n\t :,;\"\0\177\377/HG019";
	char text[sizeof(good)];
	int full = 0;

	srand(1);
	for (int i = 0; i < 200000; i++) {
		size_t len = rand() % 4 ? sizeof(good) - 1 : (size_t)rand() % sizeof(good);
		int result;

		memcpy(text, good, sizeof(good));
		for (int n = rand() % 4; n > 0; n--)
			text[(size_t)rand() % (sizeof(good) - 1)] = odd[(size_t)rand() % (sizeof(odd) - 1)];
		result = parse_bytes(text, len);
		if (result > (int)len)
			abort();
		full += result > 0;
	}
	ok(full > 1000, "200000 damaged heads, %d of them still good", full);
}

int main(void)
{
	test_lines();
	test_absolute();
	test_fields();
	test_framing();
	test_limits();
	test_chunks();
	test_length();
	test_damage();
	free(copy);
	return done();
}
