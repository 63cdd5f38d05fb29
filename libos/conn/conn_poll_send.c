/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending for conn_poll.c, and the end of a connection.
 *
 * What conn_send takes stands in a short list of pieces: either the program's own bytes (CONN_KEPT) or a part of one buffer of
 * copies, which is filled from its front and begun anew when all has gone. Large bytes go to the socket at once if nothing waits, so
 * that a large body is not copied here. All else leaves before the next poll, in one call.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "libos/conn/conn_poll.h"

#define DIRECT_BYTES	4096		/* so much is given to the socket without a copy */
#define SPARE_MAX	64		/* buffers of copies that are kept for the next */
#define LINGER_MS	1000
#define LINGER_BYTES	65536
#define ROOM_TURNS	4		/* times that `room` is called before others have their turn */

static char *spare[SPARE_MAX];
static unsigned spares;

static char *get_copy(void)
{
	return spares ? spare[--spares] : malloc(COPY_BYTES);
}

void conn_drop_output(struct conn *conn)
{
	if (conn->copy && spares < SPARE_MAX)
		spare[spares++] = conn->copy;
	else
		free(conn->copy);
	conn->copy = NULL;
	conn->copied = 0;
	conn->pieces = 0;
	conn->owed = 0;
}

void conn_die(struct conn *conn, int error)
{
	if (conn->state == CONN_DEAD)
		return;
	conn->state = CONN_DEAD;
	conn->error = error;
	conn_list(conn);
}

/* Give bytes to the socket. Returns how many it took; a connection that is broken dies. */
static size_t give(struct conn *conn, const struct piece *piece, unsigned pieces)
{
	struct iovec vector[PIECES];
	struct msghdr message = { .msg_iov = vector, .msg_iovlen = pieces };
	int on = 1;
	ssize_t n;

	if (++conn->gives == 2)	/* from now on nothing waits for an acknowledgement; the first had none to wait for */
		setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (pieces == 1) {
		n = send(conn->fd, piece->data, piece->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		for (unsigned i = 0; i < pieces; i++)
			vector[i] = (struct iovec){ (char *)piece[i].data, piece[i].bytes };
		n = sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			conn_die(conn, errno);
		return 0;
	}
	conn_counts.sent += (uint64_t)n;
	return (size_t)n;
}

/* So many bytes of the pieces are gone. */
static void advance(struct conn *conn, size_t bytes)
{
	unsigned gone = 0;

	conn->owed -= bytes;
	while (gone < conn->pieces && bytes >= conn->piece[gone].bytes)
		bytes -= conn->piece[gone++].bytes;
	conn->pieces -= gone;
	memmove(conn->piece, conn->piece + gone, conn->pieces * sizeof(conn->piece[0]));
	if (!conn->pieces)
		return conn_drop_output(conn);
	conn->piece[0].data += bytes;
	conn->piece[0].bytes -= bytes;
}

static void linger_over(struct conn_timer *timer)
{
	conn_die((struct conn *)((char *)timer - offsetof(struct conn, linger)), 0);
}

/* All is sent: say so, and wait for the other side. */
static void finish(struct conn *conn)
{
	shutdown(conn->fd, SHUT_WR);
	if (conn->ended)
		return conn_die(conn, 0);
	conn->state = CONN_LINGERING;
	conn->linger_left = LINGER_BYTES;
	conn->linger.call = linger_over;
	conn_timer_set(&conn->linger, LINGER_MS);
	conn_watch(conn);
}

void conn_discard(struct conn *conn, size_t bytes)
{
	if (!bytes || bytes > conn->linger_left)
		return conn_die(conn, 0);
	conn->linger_left -= bytes;
}

/* All is sent of one that was finished: say so. */
static void end_output(struct conn *conn)
{
	conn->shut = true;
	shutdown(conn->fd, SHUT_WR);
	if (conn->ended)
		conn_die(conn, 0);
}

void conn_flush(struct conn *conn)
{
	if (conn->opening) {
		if (conn->state == CONN_CLOSING)
			conn_die(conn, 0);
		return;
	}
	for (int turn = 0; conn->state <= CONN_CLOSING; turn++) {
		if (conn->pieces)
			advance(conn, give(conn, conn->piece, conn->pieces));
		if (conn->pieces || conn->state == CONN_DEAD)
			break;
		if (conn->state == CONN_CLOSING)
			return finish(conn);
		if (conn->finished && !conn->shut)
			end_output(conn);
		if (!conn->short_sent || turn == ROOM_TURNS)
			break;
		conn->short_sent = false;
		if (conn->calls->room)
			conn->calls->room(conn);
	}
	if (conn->state != CONN_DEAD)
		conn_watch(conn);
}

size_t conn_room(const struct conn *conn)
{
	return conn->state == CONN_OPEN && !conn->opening && !conn->finished && conn->pieces < PIECES ? COPY_BYTES - conn->copied : 0;
}

size_t conn_owed(const struct conn *conn)
{
	return conn->owed;
}

/* Queue bytes that stay where they are. Bytes behind the last ones' end become one piece with them. */
static size_t queue(struct conn *conn, const char *data, size_t bytes)
{
	struct piece *last = conn->pieces ? &conn->piece[conn->pieces - 1] : NULL;

	if (last && last->data + last->bytes == data)
		last->bytes += bytes;
	else if (conn->pieces == PIECES)
		return 0;
	else
		conn->piece[conn->pieces++] = (struct piece){ data, bytes };
	conn->owed += bytes;
	return bytes;
}

static size_t queue_copy(struct conn *conn, const char *data, size_t bytes)
{
	char *to;

	if (!conn->copy)
		conn->copy = get_copy();
	if (!conn->copy) {
		conn_die(conn, ENOMEM);
		return 0;
	}
	to = conn->copy + conn->copied;
	if (bytes > COPY_BYTES - conn->copied)
		bytes = COPY_BYTES - conn->copied;
	if (!bytes || !queue(conn, to, bytes))
		return 0;
	memcpy(to, data, bytes);
	conn->copied += bytes;
	conn_counts.copied_out += bytes;
	return bytes;
}

size_t conn_send(struct conn *conn, const void *data, size_t bytes, unsigned flags)
{
	const char *from = data;
	size_t taken = 0;

	if (conn->state != CONN_OPEN || conn->finished || !bytes)
		return 0;
	if (conn->opening) {
		conn->short_sent = true;
		return 0;
	}
	if (!conn->pieces && bytes >= DIRECT_BYTES && !(flags & CONN_MORE)) {
		taken = give(conn, &(struct piece){ from, bytes }, 1);
		if (taken == bytes || conn->state != CONN_OPEN)
			return taken;
	}
	taken += flags & CONN_KEPT ? queue(conn, from + taken, bytes - taken)
				   : queue_copy(conn, from + taken, bytes - taken);
	conn->short_sent |= taken < bytes;
	conn_list(conn);
	return taken;
}

void conn_close(struct conn *conn)
{
	if (conn->state != CONN_OPEN)
		return;
	conn->state = CONN_CLOSING;
	conn_list(conn);
}

void conn_finish(struct conn *conn)
{
	if (conn->state != CONN_OPEN || conn->opening)
		return;
	conn->finished = true;
	conn->short_sent = false;
	conn_list(conn);
}

void conn_abort(struct conn *conn)
{
	struct linger hard = { .l_onoff = 1 };

	if (conn->state == CONN_DEAD)
		return;
	setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_die(conn, ECONNABORTED);
}
