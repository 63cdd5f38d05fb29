/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conditional and range requests: which part of a file to send, if any. Pure.
 */
#ifndef APPS_HTTPD_PRECOND_H
#define APPS_HTTPD_PRECOND_H

#include "apps/httpd/parse.h"

#define HTTP_ETAG_MAX	40

/* What the preconditions are about. */
struct http_entity {
	uint64_t size;
	int64_t mtime;			/* in [0, HTTP_DATE_MAX] */
	char etag[HTTP_ETAG_MAX];	/* with its quotes; strong */
	size_t etag_len;
};

/*
 * Set an entity's tag from its size and time. The file must not change within a second without changing its
 * size.
 */
void http_entity_tag(struct http_entity *e);

/*
 * Judge a GET or HEAD for an existing file, in the order of RFC 9110 section 13.2.2. Returns 200 (all of it),
 * 206 (bytes *first to *last, both included), 304, 412 or 416. For 200 *first and *last are not set. Only a
 * single range is honoured; for several, an unknown unit or a malformed range the answer is the whole file,
 * as section 14.2 allows.
 */
int http_judge(const struct http_request *r, const struct http_entity *e, uint64_t *first, uint64_t *last);

#endif
