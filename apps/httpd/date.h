/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP dates (RFC 9110 section 5.6.7). Pure; times are seconds since 1970, UTC.
 */
#ifndef APPS_HTTPD_DATE_H
#define APPS_HTTPD_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_DATE_LEN	29			/* "Sun, 06 Nov 1994 08:49:37 GMT" */
#define HTTP_DATE_MAX	INT64_C(253402300799)	/* the end of year 9999 */

/* Write HTTP_DATE_LEN bytes, no NUL. t must be in [0, HTTP_DATE_MAX]. */
void http_date_format(char *out, int64_t t);

/* Read any of the three forms. False, and *t unchanged, when it is none. */
bool http_date_parse(const char *text, size_t len, int64_t *t);

#endif
