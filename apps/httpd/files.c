/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a path to a file and its reply.
 *
 * The path is joined to the served directory once, in the connection's path buffer. A target has no ".." left
 * (target.h), so the result is below it. Symbolic links in the tree are followed: whoever may write the tree
 * decides where it ends.
 *
 * A small body is read straight behind its head in the reply buffer, one send for both; a large one is sent
 * from where it is mapped (on a libOS whose files lie in memory, from the file itself).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/httpd/mime.h"
#include "apps/httpd/precond.h"
#include "apps/httpd/reply.h"
#include "apps/httpd/target.h"

#define LOCATION_END	64	/* bytes that follow a Location's value at most */

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

/* Read exactly len bytes from offset behind what is in the reply buffer. */
static bool read_behind(struct conn *c, int fd, uint64_t offset, size_t len)
{
	size_t have = 0;

	if (offset && lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return false;
	while (have < len) {
		ssize_t n = read(fd, c->out + c->out_len + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	c->out_len += len;
	return true;
}

/*
 * The body behind a finished head. A file that fails now cannot be told of any more: the connection is cut.
 */
static void send_body(struct conn *c, int fd, uint64_t size, uint64_t offset, uint64_t len)
{
	void *map;

	if (len <= HTTPD_SMALL_BODY) {
		if (reply_room(c) < len)
			reply_flush(c, true);
		if (!read_behind(c, fd, offset, (size_t)len))
			c->broken = true;
		return;
	}
	map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		c->broken = true;
		return;
	}
	reply_send(c, (const char *)map + offset, len);
	munmap(map, size);
}

static void put_range(struct conn *c, uint64_t first, uint64_t last, uint64_t size)
{
	PUT(c, "Content-Range: bytes ");
	put_number(c, first);
	PUT(c, "-");
	put_number(c, last);
	PUT(c, "/");
	put_number(c, size);
	PUT(c, "\r\n");
}

static void put_validators(struct conn *c, const struct http_entity *e)
{
	PUT(c, "Last-Modified: ");
	put_date(c, &c->modified, e->mtime);
	PUT(c, "\r\nETag: ");
	put(c, e->etag, e->etag_len);
	PUT(c, "\r\n");
}

static void put_length(struct conn *c, uint64_t len)
{
	PUT(c, "Content-Length: ");
	put_number(c, len);
	PUT(c, "\r\n");
}

/* 416 says how long the file is. */
static void reply_unsatisfiable(struct conn *c, const struct http_request *r, uint64_t size)
{
	reply_start(c, 416);
	PUT(c, "Content-Range: bytes */");
	put_number(c, size);
	PUT(c, "\r\n");
	put_length(c, 0);
	reply_end(c, r);
}

/* Answer with an open file. */
static void answer_file(struct conn *c, const struct http_request *r, int fd, const struct stat *st,
			size_t path_len)
{
	struct http_entity e = { .size = (uint64_t)st->st_size, .mtime = st->st_mtime };
	struct http_text type = mime_type(c->path, path_len);
	uint64_t first = 0, last = 0, len;
	int status;

	http_entity_tag(&e);
	if (c->time && e.mtime > c->time)	/* RFC 9110 8.8.2.1: never later than Date */
		e.mtime = c->time;
	if (e.mtime < 0 || e.mtime > HTTP_DATE_MAX)
		e.mtime = 0;
	status = http_judge(r, &e, &first, &last);
	if (status == 412)
		return reply_error(c, r, 412);
	if (status == 416)
		return reply_unsatisfiable(c, r, e.size);
	len = status == 206 ? last - first + 1 : e.size;
	reply_start(c, status);
	if (status == 206)
		put_range(c, first, last, e.size);
	if (status != 304) {
		PUT(c, "Content-Type: ");
		put(c, type.at, type.len);
		PUT(c, "\r\nAccept-Ranges: bytes\r\n");
		put_length(c, len);
	}
	put_validators(c, &e);
	reply_end(c, r);
	if (status != 304 && r->method == HTTP_GET && len)
		send_body(c, fd, e.size, first, len);
}

/* A directory was asked for without its slash: relative links in it would be wrong. */
static void redirect(struct conn *c, const struct http_request *r, const char *path, size_t len,
		     struct http_text query)
{
	size_t n;

	reply_flush(c, false);	/* all room is needed: an escaped path is up to three times as long */
	reply_start(c, 301);
	PUT(c, "Content-Length: 0\r\nLocation: ");
	n = target_encode(path, len, c->out + c->out_len, reply_room(c) - LOCATION_END);
	if (!n || query.len > reply_room(c) - LOCATION_END - n) {
		c->out_len = 0;
		return reply_error(c, r, 414);
	}
	c->out_len += n;
	PUT(c, "/");
	put(c, query.at, query.len);
	PUT(c, "\r\n");
	reply_end(c, r);
}

/* A path that ends with a slash: index.html below it, or a listing. */
static void answer_directory(struct conn *c, const struct http_request *r, size_t len)
{
	struct stat st;
	int fd;

	memcpy(c->path + len, index_name, sizeof(index_name));
	fd = open(c->path, O_RDONLY | O_NONBLOCK);
	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
		answer_file(c, r, fd, &st, len + sizeof(index_name) - 1);
		close(fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	c->path[len] = 0;
	listing_answer(c, r, c->path + server.root_len);
}

void files_answer(struct conn *c, const struct http_request *r)
{
	char *path = c->path + server.root_len;
	struct http_text query;
	struct stat st;
	size_t len;
	int status = target_decode(r->target, path, HTTPD_PATH_MAX, &len, &query), fd;

	if (status)
		return reply_error(c, r, status);
	if (server.test_faults)
		faults_run(path);
	if (path[len - 1] == '/')
		return answer_directory(c, r, server.root_len + len);
	fd = open(c->path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return errno == EISDIR ? redirect(c, r, path, len, query)
				       : reply_error(c, r, files_status(errno));
	if (fstat(fd, &st))
		reply_error(c, r, 500);
	else if (S_ISDIR(st.st_mode))
		redirect(c, r, path, len, query);
	else if (S_ISREG(st.st_mode))
		answer_file(c, r, fd, &st, server.root_len + len);
	else
		reply_error(c, r, 403);
	close(fd);
}
