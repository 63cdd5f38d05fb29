/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory's entries as a page of links.
 *
 * The names are collected and sorted first (at most NAMES_MAX bytes of them). The page grows in memory of its own, which the answer's
 * body then is.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "apps/httpd/reply.h"
#include "apps/httpd/target.h"

#define NAMES_MAX	(1 << 20)	/* bytes of names of one directory */
#define NAME_BYTES	255		/* of one entry; longer ones are left out */
#define ENCODED_MAX	(3 * (NAME_BYTES + 1))	/* a name in a URL, */
#define ESCAPED_MAX	(6 * (NAME_BYTES + 1))	/* and in HTML; a longer title is left out */
#define PIECE_MAX	(ENCODED_MAX + ESCAPED_MAX + 256)
#define PAGE_FIRST	8192		/* bytes of a page's memory at first */

/* Names one after another, each with its NUL; a directory's ends with a slash. */
struct names {
	char *text;
	size_t used, room;
	char **sorted;
	size_t count;
};

struct page {
	char *text;		/* NULL: there was no memory */
	size_t used, room;
};

static bool add_name(struct names *n, const char *name, size_t len, bool directory)
{
	size_t need = n->used + len + 2;

	if (need > n->room) {
		size_t room = n->room ? n->room * 2 : 4096;
		char *text = room <= NAMES_MAX ? realloc(n->text, room) : NULL;

		if (!text)
			return false;
		n->text = text;
		n->room = room;
	}
	memcpy(n->text + n->used, name, len);
	n->used += len;
	if (directory)
		n->text[n->used++] = '/';
	n->text[n->used++] = 0;
	n->count++;
	return true;
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool read_names(struct names *n, DIR *dir)
{
	struct dirent *entry;
	char *p;

	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (is_dot(entry->d_name) || len > NAME_BYTES)
			continue;
		if (!add_name(n, entry->d_name, len, entry->d_type == DT_DIR))
			return false;
	}
	n->sorted = malloc((n->count + 1) * sizeof(*n->sorted));
	if (!n->sorted)
		return false;
	p = n->text;
	for (size_t i = 0; i < n->count; i++, p += strlen(p) + 1)
		n->sorted[i] = p;
	qsort(n->sorted, n->count, sizeof(*n->sorted), by_name);
	return true;
}

/* Room for the next piece. */
static bool begin_piece(struct page *p)
{
	char *text = p->text;

	if (p->room - p->used >= PIECE_MAX)
		return text;
	p->room = p->room ? p->room * 2 : PAGE_FIRST;
	p->text = realloc(text, p->room);
	if (!p->text) {
		free(text);
		*p = (struct page){ .text = NULL };
	}
	return p->text;
}

static void put_text(struct page *p, const char *text)
{
	size_t len = strlen(text);

	memcpy(p->text + p->used, text, len);
	p->used += len;
}

static void put_html(struct page *p, const char *text)
{
	p->used += html_escape(text, strlen(text), p->text + p->used, ESCAPED_MAX);
}

static void put_link(struct page *p, const char *name)
{
	put_text(p, "<li><a href=\"");
	p->used += target_encode(name, strlen(name), p->text + p->used, ENCODED_MAX);
	put_text(p, "\">");
	put_html(p, name);
	put_text(p, "</a></li>\n");
}

static bool make_page(struct page *p, const struct names *n, const char *title)
{
	if (!begin_piece(p))
		return false;
	put_text(p, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Index of ");
	put_html(p, title);
	put_text(p, "</title></head>\n<body><h1>Index of ");
	if (!begin_piece(p))
		return false;
	put_html(p, title);
	put_text(p, "</h1>\n<ul>\n");
	if (title[1])
		put_text(p, "<li><a href=\"../\">../</a></li>\n");
	for (size_t i = 0; i < n->count; i++) {
		if (!begin_piece(p))
			return false;
		put_link(p, n->sorted[i]);
	}
	if (!begin_piece(p))
		return false;
	put_text(p, "</ul></body></html>\n");
	return true;
}

static void send_page(struct work *w, const struct http_request *r, const struct names *n, const char *title)
{
	struct page page = { .text = NULL };

	if (!make_page(&page, n, title))
		return reply_error(w, r, 503);
	reply_start(w, 200);
	PUT(w, "Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
	put_number(w, page.used);
	PUT(w, "\r\n");
	reply_end(w, r);
	if (r->method == HTTP_GET)
		w->body = (struct body){ .data = page.text, .bytes = page.used, .memory = page.text };
	else
		free(page.text);
}

void listing_answer(struct work *w, const struct http_request *r, const char *title)
{
	struct names n = { .text = NULL };
	DIR *dir = opendir(w->path);

	if (!dir)
		return reply_error(w, r, files_status(errno));
	if (!server.listing)
		reply_error(w, r, 403);
	else if (!read_names(&n, dir))
		reply_error(w, r, 503);
	else
		send_page(w, r, &n, title);
	closedir(dir);
	free(n.sorted);
	free(n.text);
}
