/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory's entries as a page of links.
 *
 * The names are collected and sorted first (at most NAMES_MAX bytes of them). The page is then made twice by
 * the same code: once only to count its bytes, once to be sent, so that its length can stand in front of it.
 * It is never in memory as a whole: pieces of at most PIECE_MAX bytes go through the reply buffer.
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

/* Names one after another, each with its NUL; a directory's ends with a slash. */
struct names {
	char *text;
	size_t used, room;
	char **sorted;
	size_t count;
};

struct page {
	struct conn *c;
	uint64_t bytes;
	bool counting;
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

/* Room for the next piece: send what is there, or while counting only count it. */
static void begin_piece(struct page *p)
{
	if (p->counting) {
		p->bytes += p->c->out_len;
		p->c->out_len = 0;
	} else if (reply_room(p->c) < PIECE_MAX) {
		reply_flush(p->c, true);
	}
}

static void put_html(struct conn *c, const char *text)
{
	c->out_len += html_escape(text, strlen(text), c->out + c->out_len, ESCAPED_MAX);
}

static void put_link(struct conn *c, const char *name)
{
	PUT(c, "<li><a href=\"");
	c->out_len += target_encode(name, strlen(name), c->out + c->out_len, ENCODED_MAX);
	PUT(c, "\">");
	put_html(c, name);
	PUT(c, "</a></li>\n");
}

static void make_page(struct page *p, const struct names *n, const char *title)
{
	struct conn *c = p->c;

	begin_piece(p);
	PUT(c, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Index of ");
	put_html(c, title);
	PUT(c, "</title></head>\n<body><h1>Index of ");
	begin_piece(p);
	put_html(c, title);
	PUT(c, "</h1>\n<ul>\n");
	if (title[1])
		PUT(c, "<li><a href=\"../\">../</a></li>\n");
	for (size_t i = 0; i < n->count; i++) {
		begin_piece(p);
		put_link(c, n->sorted[i]);
	}
	begin_piece(p);
	PUT(c, "</ul></body></html>\n");
}

static void send_page(struct conn *c, const struct http_request *r, const struct names *n, const char *title)
{
	struct page page = { .c = c, .counting = true };

	reply_flush(c, false);
	make_page(&page, n, title);
	begin_piece(&page);
	page.counting = false;
	reply_start(c, 200);
	PUT(c, "Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
	put_number(c, page.bytes);
	PUT(c, "\r\n");
	reply_end(c, r);
	if (r->method == HTTP_GET)
		make_page(&page, n, title);
}

void listing_answer(struct conn *c, const struct http_request *r, const char *title)
{
	struct names n = { .text = NULL };
	DIR *dir = opendir(c->path);

	if (!dir)
		return reply_error(c, r, files_status(errno));
	if (!server.listing)
		reply_error(c, r, 403);
	else if (!read_names(&n, dir))
		reply_error(c, r, 503);
	else
		send_page(c, r, &n, title);
	closedir(dir);
	free(n.sorted);
	free(n.text);
}
