/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Request targets: from the URL's path to a path below the served directory, and back. Pure.
 */
#ifndef APPS_HTTPD_TARGET_H
#define APPS_HTTPD_TARGET_H

#include <stddef.h>

#include "apps/httpd/parse.h"

/*
 * Decode and normalise the path of a target into out, NUL-terminated: it begins with one slash, has no empty,
 * "." or ".." component, and ends with a slash if it can only mean a directory. *query gets what follows the
 * '?', which included, or an empty text. max counts the NUL. Returns 0 and *len; or the status to answer: 400
 * malformed escape or an encoded NUL; 403 ".." above the root; 404 an encoded slash (no file can have that
 * name); 414 too long.
 */
int target_decode(struct http_text target, char *out, size_t max, size_t *len, struct http_text *query);

/*
 * Write text to out so that it can stand in a URL's path (slashes stay). Returns its length, 0 if it needs
 * more than max bytes. The result needs no escaping in HTML.
 */
size_t target_encode(const char *text, size_t len, char *out, size_t max);

/*
 * Write text to out with the characters that mean something in HTML escaped; 0 if it needs more than max
 * bytes.
 */
size_t html_escape(const char *text, size_t len, char *out, size_t max);

#endif
