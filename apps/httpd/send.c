/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending, for the threads' driver.
 *
 * Limits for a client that does not read: a send that makes no progress for the idle time fails, and a whole body must go out at
 * RATE_MIN on average. They are set before a connection's second reply or its first large body; one small reply always fits the
 * socket's own buffer, so short connections save the calls.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "apps/httpd/threads.h"

#define RATE_MIN	512		/* bytes a second that a client must take of a large body */
#define SEND_PIECE	(256 * 1024)	/* bytes handed to one send: progress is looked at between pieces */

int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void set_limits(struct client *c)
{
	struct timeval limit = { .tv_sec = server.idle_ms / 1000, .tv_usec = server.idle_ms % 1000 * 1000 };
	int on = 1;

	if (c->limited)
		return;
	c->limited = true;
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void send_all(struct client *c, const char *data, uint64_t len, int flags)
{
	uint64_t sent = 0;
	int64_t start = 0;

	while (sent < len && !c->broken) {
		size_t piece = len - sent < SEND_PIECE ? (size_t)(len - sent) : SEND_PIECE;
		ssize_t n = send(c->fd, data + sent, piece, MSG_NOSIGNAL | flags);

		if (n <= 0) {
			if (n < 0 && errno == EINTR)
				continue;
			c->broken = true;
			break;
		}
		sent += (uint64_t)n;
		if (sent == len)
			break;
		if (!start)
			start = clock_ms();
		else if (clock_ms() - start > server.idle_ms + (int64_t)(sent / RATE_MIN) * 1000)
			c->broken = true;
	}
}

bool flush(struct client *c)
{
	struct work *w = c->work;
	size_t len = w->out_len;

	w->out_len = 0;
	if (len && !c->broken) {
		if (c->requests > 1 || w->body.data)
			set_limits(c);
		send_all(c, w->out, len, w->body.data || c->last ? MSG_MORE : 0);
	}
	if (w->body.data) {
		send_all(c, w->body.data, w->body.bytes, 0);
		body_done(&w->body);
	}
	return !c->broken;
}
