/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A web server for the files of one directory, over plain POSIX sockets and files and C11 threads.
 *
 * A request walks straight through:
 *
 *	main.c		options, the listening socket
 *	pool.c		a worker accepts the connection
 *	serve.c		receives a request's head, discards its body, keeps alive or closes
 *	parse.c		understands the head
 *	target.c	turns its target into a path below the served directory
 *	files.c		finds the file, or index.html, a redirect, a listing (listing.c)
 *	precond.c	whether the client has it already, and which range it wants
 *	reply.c		builds the answer and sends it
 *
 * Each connection is served by one thread from start to end, with its own buffers, and shares nothing with
 * others but the constants in `server` and two counters. parse, target, precond, date and mime do no I/O.
 *
 * A worker needs 16 KiB of stack, everything it calls included.
 */
#ifndef APPS_HTTPD_HTTPD_H
#define APPS_HTTPD_HTTPD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/httpd/date.h"
#include "apps/httpd/parse.h"

#define HTTPD_IN_BYTES		8192	/* request buffer; the longest head is HTTPD_HEAD_MAX */
#define HTTPD_HEAD_MAX		7680
#define HTTPD_OUT_BYTES		4096	/* reply buffer: heads and small bodies */
#define HTTPD_PATH_MAX		2048	/* bytes of a decoded path, NUL included */
#define HTTPD_SMALL_BODY	2048	/* bodies up to this are copied behind their head and sent with it */
#define HTTPD_BODY_MAX		65536	/* bytes of a request's body that are read and thrown away */

struct server {
	const char *root;	/* served directory, without trailing slash */
	size_t root_len;
	int listener;
	unsigned max_threads;
	int idle_ms;		/* longest silence of a client; longest time for a head or a body to arrive */
	bool listing, test_faults, log;
	atomic_uint threads, waiting;	/* workers; those of them that wait for a connection */
	atomic_bool starved;	/* the last try to start a worker failed */
};

extern struct server server;

/* One date in text form, kept because most replies repeat the last one. */
struct date_text {
	int64_t time;		/* -1: none */
	char text[HTTP_DATE_LEN];
};

/* A connection. Each worker has one of these, and uses it again for the next connection. */
struct conn {
	int fd;
	bool broken;		/* sending failed: nothing more can be said */
	bool keep;		/* after this reply, wait for another request */
	bool linger;		/* close slowly: unread input may be on its way */
	bool limited;		/* send limits are set */
	int receive_ms;		/* the socket's receive timeout; 0: not set yet */
	unsigned long requests;
	int status;		/* of the current reply, for the log */
	int64_t time;		/* when the request came, seconds since 1970; 0 when that is not known */
	size_t in_at, in_end;	/* in[in_at..in_end): received, not yet used */
	size_t scanned;		/* bytes of an incomplete head that have been looked at */
	size_t out_len;		/* out[0..out_len): replies not yet sent */
	struct date_text now, modified;
	char in[HTTPD_IN_BYTES];
	char out[HTTPD_OUT_BYTES];
	char path[];		/* root, then a decoded path: server.root_len + HTTPD_PATH_MAX + index.html */
};

/* pool.c: accept connections until the program ends. Returns only when the first worker cannot start. */
int pool_run(void);

/* Are all workers busy, and may there be no more? */
bool pool_full(void);

/* serve.c: serve c->fd until it is closed. */
void serve(struct conn *c);

/* files.c: answer a GET or HEAD. */
void files_answer(struct conn *c, const struct http_request *r);

/* files.c: the status that tells a client why opening a file failed with this errno. */
int files_status(int error);

/*
 * listing.c: answer with a list of the directory c->path, if that is allowed; title is its decoded URL path.
 */
void listing_answer(struct conn *c, const struct http_request *r, const char *title);

/* faults.c: do what a /.fault/ path says; returns when it says nothing known. */
void faults_run(const char *path);

#endif
