/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer: any bytes as a connection's input, through head, target, conditions and body, as apps/httpd
 * does.
 */
#include <stdlib.h>
#include <string.h>

#include "apps/httpd/mime.h"
#include "apps/httpd/precond.h"
#include "apps/httpd/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_request(const struct http_request *r)
{
	struct http_entity e = { .size = 1000, .mtime = 784111777 };
	uint64_t first = 0, last = 0;
	struct http_text query;
	char path[256], text[2048];
	size_t len;

	http_entity_tag(&e);
	if (http_judge(r, &e, &first, &last) == 206 && (first > last || last >= e.size))
		abort();
	if (target_decode(r->target, path, sizeof(path), &len, &query))
		return;
	if (path[0] != '/' || strlen(path) != len || strstr(path, "//") || strstr(path, "/../") ||
	    strstr(path, "/./") || (len >= 3 && !strcmp(path + len - 3, "/..")))
		abort();
	mime_type(path, len);
	target_encode(path, len, text, sizeof(text));
	html_escape(path, len, text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	while (size) {
		struct http_request r;
		struct http_body b;
		int head = http_parse(&r, text, size);
		long eaten;

		if (head > (int)size)
			abort();
		if (head <= 0)
			return 0;
		text += head;
		size -= (size_t)head;
		one_request(&r);
		http_body_start(&b, &r);
		eaten = http_body_eat(&b, text, size);
		if (eaten > (long)size || (!b.done && eaten >= 0 && eaten != (long)size))
			abort();
		if (eaten < 0 || !b.done)
			return 0;
		text += eaten;
		size -= (size_t)eaten;
	}
	return 0;
}
