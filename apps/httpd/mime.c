/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table is searched from the top, so what web pages are made of comes first. Text is said to be UTF-8.
 * Markdown goes out as plain text, because browsers offer to save text/markdown instead of showing it.
 */
#include "apps/httpd/mime.h"

#define EXTENSION_MAX	7

#define TYPE(ext, type) { ext, sizeof(ext) - 1, { type, sizeof(type) - 1 } }

static const struct {
	char extension[EXTENSION_MAX + 1];
	unsigned char len;
	struct http_text type;
} types[] = {
	TYPE("html", "text/html; charset=utf-8"),
	TYPE("css", "text/css; charset=utf-8"),
	TYPE("js", "text/javascript; charset=utf-8"),
	TYPE("png", "image/png"),
	TYPE("jpg", "image/jpeg"),
	TYPE("svg", "image/svg+xml"),
	TYPE("txt", "text/plain; charset=utf-8"),
	TYPE("md", "text/plain; charset=utf-8"),
	TYPE("json", "application/json"),
	TYPE("ico", "image/x-icon"),
	TYPE("htm", "text/html; charset=utf-8"),
	TYPE("mjs", "text/javascript; charset=utf-8"),
	TYPE("gif", "image/gif"),
	TYPE("jpeg", "image/jpeg"),
	TYPE("webp", "image/webp"),
	TYPE("avif", "image/avif"),
	TYPE("woff2", "font/woff2"),
	TYPE("woff", "font/woff"),
	TYPE("ttf", "font/ttf"),
	TYPE("otf", "font/otf"),
	TYPE("xml", "application/xml"),
	TYPE("pdf", "application/pdf"),
	TYPE("wasm", "application/wasm"),
	TYPE("csv", "text/csv; charset=utf-8"),
	TYPE("tsv", "text/tab-separated-values; charset=utf-8"),
	TYPE("log", "text/plain; charset=utf-8"),
	TYPE("conf", "text/plain; charset=utf-8"),
	TYPE("c", "text/plain; charset=utf-8"),
	TYPE("h", "text/plain; charset=utf-8"),
	TYPE("py", "text/plain; charset=utf-8"),
	TYPE("sh", "text/plain; charset=utf-8"),
	TYPE("zip", "application/zip"),
	TYPE("gz", "application/gzip"),
	TYPE("xz", "application/x-xz"),
	TYPE("tar", "application/x-tar"),
	TYPE("mp3", "audio/mpeg"),
	TYPE("ogg", "audio/ogg"),
	TYPE("wav", "audio/wav"),
	TYPE("mp4", "video/mp4"),
	TYPE("webm", "video/webm"),
};

/*
 * The last component's extension in lower case; its length, 0 if there is none or it is too long to be known.
 */
static size_t extension_of(const char *path, size_t len, char *lower)
{
	size_t n = 0;

	while (n < len && n <= EXTENSION_MAX && path[len - 1 - n] != '.' && path[len - 1 - n] != '/')
		n++;
	if (n == 0 || n == len || n > EXTENSION_MAX || path[len - 1 - n] != '.')
		return 0;
	for (size_t i = 0; i < n; i++) {
		char c = path[len - n + i];

		lower[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	return n;
}

struct http_text mime_type(const char *path, size_t len)
{
	static const char unknown[] = "application/octet-stream";
	char lower[EXTENSION_MAX + 1];
	size_t n = extension_of(path, len, lower);

	for (size_t i = 0; n && i < sizeof(types) / sizeof(types[0]); i++) {
		size_t j = 0;

		if (types[i].len != n)
			continue;
		while (j < n && types[i].extension[j] == lower[j])
			j++;
		if (j == n)
			return types[i].type;
	}
	return (struct http_text){ unknown, sizeof(unknown) - 1 };
}
