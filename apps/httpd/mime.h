/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Content types by file name. Pure.
 */
#ifndef APPS_HTTPD_MIME_H
#define APPS_HTTPD_MIME_H

#include "apps/httpd/parse.h"

/* The content type for a path, by its last component's extension in any case. Never empty. */
struct http_text mime_type(const char *path, size_t len);

#endif
