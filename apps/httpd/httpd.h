/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A web server for the files of one directory: an engine that makes answers and never waits, and a driver that has the connections.
 *
 *	main.c		options
 *	parse.c		understands a request's head
 *	target.c	turns its target into a path below the served directory
 *	files.c		finds the file (entry.c), or index.html, a redirect, a listing (listing.c)
 *	precond.c	whether the client has it already, and which range it wants
 *	reply.c		builds the answer's head
 *
 *	pool.c, serve.c, send.c		the driver of httpd: C11 threads and blocking sockets, a connection to a thread
 *	events.c, events_beside.c	the driver of httpd-events: libos/conn, every connection by one thread, files beside
 *
 * parse, target, precond, date and mime do no I/O at all; files, cache and listing read files.
 *
 * A worker of the threads needs 16 KiB of stack, everything it calls included.
 */
#ifndef APPS_HTTPD_HTTPD_H
#define APPS_HTTPD_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/httpd/date.h"
#include "apps/httpd/parse.h"

#define HTTPD_HEAD_MAX		7680	/* bytes of a request's head */
#define HTTPD_PATH_MAX		2048	/* bytes of a decoded path, NUL included */
#define HTTPD_SMALL_BODY	2048	/* bodies up to this are copied behind their head and sent with it */
#define HTTPD_BODY_MAX		65536	/* bytes of a request's body that are read and thrown away */
#define HTTPD_REPLY_ROOM	3072	/* bytes of `out` that one answer needs at most: head and small body */

struct server {
	const char *root;	/* served directory, without trailing slash */
	size_t root_len;
	unsigned max_clients;
	int idle_ms;		/* longest silence of a client; longest time for a head or a body to arrive */
	size_t cache_bytes;	/* of files that are kept in memory */
	bool listing, test_faults, log;
};

extern struct server server;

/* One date in text form, kept because most replies repeat the last one. */
struct date_text {
	int64_t time;		/* -1: none */
	char text[HTTP_DATE_LEN];
};

/* What follows an answer's head and is not copied behind it. */
struct body {
	const char *data;	/* NULL: nothing */
	uint64_t bytes;
	struct entry *entry;	/* the file it lies in (entry.h), held; */
	void *memory;		/* or what is to be freed */
};

/*
 * Answers in the making: one after another in `out`, until the driver sends them. Whoever has a thread has one of these. The driver
 * sees to HTTPD_REPLY_ROOM bytes of room before each request, and sends w->body before the next.
 */
struct work {
	bool keep;		/* after this answer, another request may come */
	bool quick;		/* nothing is to be asked of a file system: */
	bool later;		/* it would have to be, so there is no answer yet */
	int status;		/* of the current answer, for the log */
	int64_t time;		/* when the request came, seconds since 1970; 0 when that is not known */
	struct body body;
	struct date_text now, modified;
	size_t start_len;	/* the first lines of a plain 200, with its date, which is start_time */
	int64_t start_time;
	char start[64];
	char *path;		/* root, then a decoded path */
	size_t out_len;		/* out[0..out_len): answers not yet sent */
	char out[];
};

/* reply.c: a new one with room for so many bytes of answers; NULL: no memory. */
struct work *work_new(size_t out_bytes);

/* files.c: answer a whole request: method, target and conditions are judged. May leave it for later, if w->quick. */
void answer(struct work *w, const struct http_request *r);

/* files.c: answer with an error after which the connection cannot go on. r may be NULL. */
void refuse(struct work *w, const struct http_request *r, int status);

/* files.c: the body has been sent, or will not be. */
void body_done(struct body *body);

/* files.c: the status that tells a client why opening a file failed with this errno. */
int files_status(int error);

/* listing.c: answer with a list of the directory w->path, if that is allowed; title is its decoded URL path. */
void listing_answer(struct work *w, const struct http_request *r, const char *title);

/* faults.c: do what a /.fault/ path says; returns when it says nothing known. */
void faults_run(const char *path);

/* The driver. */
extern const unsigned driver_clients;	/* how many connections it serves at once unless it is told */
/* Take a port, and say which when 0 is asked for. 0 or an errno. */
int driver_listen(unsigned *port);
/* Serve for ever. Returns only when it cannot begin. */
int driver_run(void);
/* Memory for files, for good; NULL: there is no more of it. */
void *driver_memory(size_t bytes);
/* One at a time may be in entry.c. */
void driver_lock(void);
void driver_unlock(void);

#endif
