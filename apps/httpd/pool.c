/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers of the threads' driver: each is a thread that waits for a connection, serves it, and waits again. All wait on the one
 * listening socket. When the last waiting worker gets a connection it first starts another, up to
 * max_threads; when all are busy new connections wait in the socket's backlog. Workers never end: what a busy
 * hour needed stays for the next.
 *
 * When a worker cannot be started (no memory), the server goes on with those there are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <threads.h>
#include <time.h>

#include "apps/httpd/threads.h"

#define BACKLOG	255

struct pool pool;
const unsigned driver_clients = 300;

static mtx_t lock;

static int worker(void *buffers);

bool pool_full(void)
{
	return atomic_load_explicit(&pool.waiting, memory_order_relaxed) == 0 &&
	       (atomic_load_explicit(&pool.starved, memory_order_relaxed) ||
		atomic_load_explicit(&pool.threads, memory_order_relaxed) >= server.max_clients);
}

static struct client *new_client(void)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->work = work_new(OUT_BYTES);
	if (!c->work) {
		free(c);
		return NULL;
	}
	return c;
}

static void free_client(struct client *c)
{
	if (c)
		free(c->work);
	free(c);
}

/* Start a worker if there may be one more. */
static void grow(void)
{
	struct client *c;
	thrd_t thread;

	if (atomic_fetch_add(&pool.threads, 1) >= server.max_clients) {
		atomic_fetch_sub(&pool.threads, 1);
		return;
	}
	c = new_client();
	if (c && thrd_create(&thread, worker, c) == thrd_success) {
		thrd_detach(thread);
		atomic_store(&pool.starved, false);
		return;
	}
	free_client(c);
	atomic_fetch_sub(&pool.threads, 1);
	atomic_store(&pool.starved, true);
}

/*
 * Some errors of accept mean one connection, some that something has run out for a while; none ends the
 * server.
 */
static int accept_one(void)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	for (;;) {
		int fd = accept(pool.listener, NULL, NULL);

		if (fd >= 0)
			return fd;
		if (errno != EINTR && errno != ECONNABORTED)
			thrd_sleep(&pause, NULL);
	}
}

static int worker(void *buffers)
{
	struct client *c = buffers;

	for (;;) {
		atomic_fetch_add(&pool.waiting, 1);
		c->fd = accept_one();
		if (atomic_fetch_sub(&pool.waiting, 1) == 1)
			grow();
		serve(c);
	}
	return 0;
}

int driver_run(void)
{
	struct client *c = new_client();

	if (!c || mtx_init(&lock, mtx_plain) != thrd_success) {
		fputs("httpd: not enough memory for one connection; give the program more\n", stderr);
		return EXIT_FAILURE;
	}
	atomic_store(&pool.threads, 1);
	return worker(c);
}

int driver_listen(unsigned *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port) };
	socklen_t len = sizeof(address);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_ANY);
	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		return errno;
	*port = ntohs(address.sin_port);
	pool.listener = fd;
	return 0;
}

void *driver_memory(size_t bytes)
{
	return malloc(bytes);
}

void driver_lock(void)
{
	mtx_lock(&lock);
}

void driver_unlock(void)
{
	mtx_unlock(&lock);
}
