/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers: each is a thread that waits for a connection, serves it, and waits again. All wait on the one
 * listening socket. When the last waiting worker gets a connection it first starts another, up to
 * max_threads; when all are busy new connections wait in the socket's backlog. Workers never end: what a busy
 * hour needed stays for the next.
 *
 * When a worker cannot be started (no memory), the server goes on with those there are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <threads.h>
#include <time.h>

#include "apps/httpd/httpd.h"

struct server server;

static int worker(void *buffers);

bool pool_full(void)
{
	return atomic_load_explicit(&server.waiting, memory_order_relaxed) == 0 &&
	       (atomic_load_explicit(&server.starved, memory_order_relaxed) ||
		atomic_load_explicit(&server.threads, memory_order_relaxed) >= server.max_threads);
}

static struct conn *new_conn(void)
{
	struct conn *c = malloc(sizeof(*c) + server.root_len + HTTPD_PATH_MAX + sizeof("index.html"));

	if (!c)
		return NULL;
	c->now.time = c->modified.time = -1;
	memcpy(c->path, server.root, server.root_len);
	return c;
}

/* Start a worker if there may be one more. */
static void grow(void)
{
	struct conn *c;
	thrd_t thread;

	if (atomic_fetch_add(&server.threads, 1) >= server.max_threads) {
		atomic_fetch_sub(&server.threads, 1);
		return;
	}
	c = new_conn();
	if (c && thrd_create(&thread, worker, c) == thrd_success) {
		thrd_detach(thread);
		atomic_store(&server.starved, false);
		return;
	}
	free(c);
	atomic_fetch_sub(&server.threads, 1);
	atomic_store(&server.starved, true);
}

/*
 * Some errors of accept mean one connection, some that something has run out for a while; none ends the
 * server.
 */
static int accept_one(void)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	for (;;) {
		int fd = accept(server.listener, NULL, NULL);

		if (fd >= 0)
			return fd;
		if (errno != EINTR && errno != ECONNABORTED)
			thrd_sleep(&pause, NULL);
	}
}

static int worker(void *buffers)
{
	struct conn *c = buffers;

	for (;;) {
		atomic_fetch_add(&server.waiting, 1);
		c->fd = accept_one();
		if (atomic_fetch_sub(&server.waiting, 1) == 1)
			grow();
		serve(c);
	}
	return 0;
}

int pool_run(void)
{
	struct conn *c = new_conn();

	if (!c) {
		fputs("httpd: not enough memory for one connection; give the program more\n", stderr);
		return EXIT_FAILURE;
	}
	atomic_store(&server.threads, 1);
	return worker(c);
}
