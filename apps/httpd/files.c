/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a request to its answer.
 *
 * A target is looked for among the files in memory as it came; only if it is not there it is decoded and joined to the served
 * directory in the work's path buffer. A decoded target has no ".." left (target.h), so the result is below it. Symbolic links in the
 * tree are followed: whoever may write the tree decides where it ends.
 *
 * A small body is copied straight behind its head, one send for both; a large one is sent from where it lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "apps/httpd/entry.h"
#include "apps/httpd/reply.h"
#include "apps/httpd/target.h"

#define REDIRECT_ROOM	512	/* bytes of a redirect beside its Location's value, at most */

static const char index_name[] = "index.html";

int files_status(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return 404;
	case EACCES:
	case EPERM:
	case ELOOP:
		return 403;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return 503;
	}
	return 500;
}

void body_done(struct body *body)
{
	if (body->entry)
		entry_put(body->entry);
	free(body->memory);
	*body = (struct body){ .data = NULL };
}

/* These bytes of a file follow the head. Its hold goes to the body, or ends. */
static void put_body(struct work *w, struct entry *e, uint64_t first, uint64_t len)
{
	if (len > HTTPD_SMALL_BODY) {
		w->body = (struct body){ .data = e->data + first, .bytes = len, .entry = e };
		return;
	}
	if (len)
		put(w, e->data + first, (size_t)len);
	entry_put(e);
}

static void put_range(struct work *w, uint64_t first, uint64_t last, uint64_t size)
{
	PUT(w, "Content-Range: bytes ");
	put_number(w, first);
	PUT(w, "-");
	put_number(w, last);
	PUT(w, "/");
	put_number(w, size);
	PUT(w, "\r\n");
}

/* 416 says how long the file is. */
static void reply_unsatisfiable(struct work *w, const struct http_request *r, uint64_t size)
{
	reply_start(w, 416);
	PUT(w, "Content-Range: bytes */");
	put_number(w, size);
	PUT(w, "\r\nContent-Length: 0\r\n");
	reply_end(w, r);
}

/* Answer with a file when there are conditions, or its date cannot be told as it is. */
static void answer_judged(struct work *w, const struct http_request *r, struct entry *e)
{
	struct http_entity told = e->entity;
	uint64_t first = 0, last = 0, len;
	int status;

	if (w->time && told.mtime > w->time)	/* RFC 9110 8.8.2.1: never later than Date */
		told.mtime = w->time;
	status = http_judge(r, &told, &first, &last);
	if (status == 412 || status == 416) {
		entry_put(e);
		return status == 412 ? reply_error(w, r, 412) : reply_unsatisfiable(w, r, told.size);
	}
	len = status == 206 ? last - first + 1 : told.size;
	reply_start(w, status);
	if (status == 206)
		put_range(w, first, last, told.size);
	if (status != 304)
		put_content(w, e->type, len);
	put_validators(w, &told);
	reply_end(w, r);
	put_body(w, e, first, status != 304 && r->method == HTTP_GET ? len : 0);
}

/* Answer with a file. Its hold is used up. */
static void answer_entry(struct work *w, const struct http_request *r, struct entry *e)
{
	if (r->conditional || !e->lines_len || (w->time && e->entity.mtime > w->time))
		return answer_judged(w, r, e);
	reply_start_ok(w);
	put(w, e->lines, e->lines_len);
	reply_end(w, r);
	put_body(w, e, 0, r->method == HTTP_GET ? e->entity.size : 0);
}

static void answer_file(struct work *w, const struct http_request *r, size_t key_len, int fd, const struct stat *st)
{
	struct entry *e = entry_add(w, key_len, fd, st);

	if (e)
		answer_entry(w, r, e);
	else
		reply_error(w, r, files_status(errno));
}

/* A directory was asked for without its slash: relative links in it would be wrong. */
static void redirect(struct work *w, const struct http_request *r, const char *path, size_t len,
		     struct http_text query)
{
	size_t begin = w->out_len, most = HTTPD_REPLY_ROOM - REDIRECT_ROOM, n;

	reply_start(w, 301);
	PUT(w, "Content-Length: 0\r\nLocation: ");
	n = target_encode(path, len, w->out + w->out_len, most);
	if (!n || query.len >= most - n) {
		w->out_len = begin;
		return reply_error(w, r, 414);
	}
	w->out_len += n;
	PUT(w, "/");
	put(w, query.at, query.len);
	PUT(w, "\r\n");
	reply_end(w, r);
}

/* A path that ends with a slash: index.html below it, or a listing. */
static void answer_directory(struct work *w, const struct http_request *r, size_t key_len)
{
	size_t len = server.root_len + key_len;
	struct stat st;
	int fd;

	memcpy(w->path + len, index_name, sizeof(index_name));
	fd = open(w->path, O_RDONLY | O_NONBLOCK);
	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
		answer_file(w, r, key_len, fd, &st);
		close(fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	w->path[len] = 0;
	listing_answer(w, r, w->path + server.root_len);
}

/* The file system's part: w->path leads to what is asked for. */
static void answer_path(struct work *w, const struct http_request *r, size_t key_len, struct http_text query)
{
	struct stat st;
	int fd = open(w->path, O_RDONLY | O_NONBLOCK);

	if (fd < 0)
		return errno == EISDIR ? redirect(w, r, w->path + server.root_len, key_len, query)
				       : reply_error(w, r, files_status(errno));
	if (fstat(fd, &st))
		reply_error(w, r, 500);
	else if (S_ISDIR(st.st_mode))
		redirect(w, r, w->path + server.root_len, key_len, query);
	else if (S_ISREG(st.st_mode))
		answer_file(w, r, key_len, fd, &st);
	else
		reply_error(w, r, 403);
	close(fd);
}

/* Answer a GET or HEAD. */
static void answer_get(struct work *w, const struct http_request *r)
{
	struct entry *e = entry_find(w, r->target.at, r->target.len);
	char *path = w->path + server.root_len;
	struct http_text query;
	size_t len;
	int status;

	if (e)
		return answer_entry(w, r, e);
	if (w->later)
		return;
	status = target_decode(r->target, path, HTTPD_PATH_MAX, &len, &query);
	if (status)
		return reply_error(w, r, status);
	e = entry_find(w, path, len);
	if (!e && w->quick) {
		w->later = true;
		return;
	}
	if (!e && server.test_faults)
		faults_run(path);
	if (e)
		answer_entry(w, r, e);
	else if (path[len - 1] == '/')
		answer_directory(w, r, len);
	else
		answer_path(w, r, len, query);
}

void answer(struct work *w, const struct http_request *r)
{
	w->later = false;
	if (r->method == HTTP_GET || r->method == HTTP_HEAD)
		answer_get(w, r);
	else
		reply_error(w, r, r->method == HTTP_OTHER ? 405 : 501);
	if (server.log && !w->later)
		reply_log(w, r);
}

void refuse(struct work *w, const struct http_request *r, int status)
{
	w->keep = false;
	reply_error(w, r, status);
	if (server.log)
		reply_log(w, r);
}
