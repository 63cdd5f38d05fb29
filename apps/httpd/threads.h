/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of httpd: each connection is served by one thread from start to end, with its own buffers. Threads share the constants in
 * `server`, the files in memory, and a few counters.
 */
#ifndef APPS_HTTPD_THREADS_H
#define APPS_HTTPD_THREADS_H

#include <stdatomic.h>

#include "apps/httpd/httpd.h"

#define IN_BYTES	8192	/* a connection's buffer for what it receives; the longest head is HTTPD_HEAD_MAX */
#define OUT_BYTES	(2 * HTTPD_REPLY_ROOM)

struct pool {
	int listener;
	atomic_uint threads, waiting;	/* workers; those of them that wait for a connection */
	atomic_bool starved;	/* the last try to start a worker failed */
};

extern struct pool pool;

/* A connection. Each worker has one of these, and uses it again for the next connection. */
struct client {
	int fd;
	bool broken;		/* sending failed: nothing more can be said */
	bool linger;		/* close slowly: unread input may be on its way */
	bool limited;		/* send limits are set */
	bool last;		/* the connection is closed behind what is sent now */
	int receive_ms;		/* the socket's receive timeout; 0: not set yet */
	unsigned long requests;
	size_t in_at, in_end;	/* in[in_at..in_end): received, not yet used */
	size_t scanned;		/* bytes of an incomplete head that have been looked at */
	struct work *work;
	char in[IN_BYTES];
};

/* pool.c: are all workers busy, and may there be no more? */
bool pool_full(void);

/* serve.c: serve c->fd until it is closed. */
void serve(struct client *c);

/* send.c: send the answers that are ready, and the body behind the last. False, and c->broken set, when the client is gone. */
bool flush(struct client *c);

/* send.c: a monotonic clock, milliseconds. */
int64_t clock_ms(void);

#endif
