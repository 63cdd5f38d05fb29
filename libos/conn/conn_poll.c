/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h over sockets and poll(): for uni, posix, and any other system that has them.
 *
 * A turn of the loop: poll; call for what is ready; look at the listed connections, which have something to send, to show again, or
 * their last word to say; call the timers that are due. So what one function sends in many pieces leaves in one. An idle connection
 * costs what poll does for it and nothing here: the table's places are closed up when one goes, and looked through only until as
 * many ready ones are found as poll has said there are.
 *
 * A connection owns memory only for what it has left unused and what waits to be sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "libos/conn/conn_poll.h"
#include "libos/conn/work.h"

#define BACKLOG		1024		/* clients who come while this loop is busy; the system may allow fewer */
#define ACCEPT_MAX	64		/* connections taken in one turn */
#define RECEIVE_BYTES	16384		/* taken from a connection at once */
#define PAUSE_MS	50		/* when there are no more descriptors or memory for a connection */

struct conn_counts conn_counts;

/* What is polled: sources[i] is behind polled[i]. Exactly one of conn and ready is set. */
struct source {
	struct conn *conn;
	void (*ready)(int fd, void *own);
	void *own;
};

static struct pollfd *polled;
static struct source *sources;
static unsigned count, room;

static struct conn *listed, **listed_end = &listed;
static char buffer[CONN_HELD_MAX + RECEIVE_BYTES];
static bool stopped;
static int stop_value;
static uint64_t now;

static void look_at_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t conn_now(void)
{
	if (!now)
		look_at_clock();
	return now;
}

void *conn_memory(size_t bytes)
{
	return malloc(bytes);
}

/* Add a place to the table. 0 or ENOMEM. */
static int add_source(int fd, struct source source)
{
	if (count == room) {
		unsigned more = room ? room * 2 : 16;
		struct pollfd *p = realloc(polled, more * sizeof(*p));
		struct source *s;

		if (!p)
			return ENOMEM;
		polled = p;
		s = realloc(sources, more * sizeof(*s));
		if (!s)
			return ENOMEM;
		sources = s;
		room = more;
	}
	polled[count] = (struct pollfd){ .fd = fd, .events = POLLIN };
	sources[count++] = source;
	return 0;
}

int conn_watch_fd(int fd, void (*ready)(int fd, void *own), void *own)
{
	return add_source(fd, (struct source){ .ready = ready, .own = own });
}

/* The last place takes this one's. */
static void remove_source(unsigned at)
{
	count--;
	polled[at] = polled[count];
	sources[at] = sources[count];
	if (at < count && sources[at].conn)
		sources[at].conn->at = at;
}

static bool receives(const struct conn *conn)
{
	return conn->state == CONN_LINGERING ||
	    (conn->state == CONN_OPEN && !conn->opening && !conn->paused && !conn->ended);
}

void conn_watch(struct conn *conn)
{
	bool in = receives(conn), out = conn->opening || conn->pieces || (conn->short_sent && conn->state == CONN_OPEN);

	/* Nothing is asked for: what is always told, an error, waits too, or a paused one would be told of it without end. */
	polled[conn->at].fd = in || out ? conn->fd : -1;
	polled[conn->at].events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
}

void conn_list(struct conn *conn)
{
	if (conn->listed)
		return;
	conn->listed = true;
	conn->next = NULL;
	*listed_end = conn;
	listed_end = &conn->next;
}

/* Keep what was left unused. */
static void hold(struct conn *conn, const char *rest, size_t bytes)
{
	char *held = NULL;

	if (bytes > CONN_HELD_MAX && !conn->paused)
		return conn_die(conn, ENOBUFS);
	if (bytes) {
		held = malloc(bytes);
		if (!held)
			return conn_die(conn, ENOMEM);
		memcpy(held, rest, bytes);
		conn_counts.copied_in += bytes;
	}
	free(conn->held);
	conn->held = held;
	conn->held_bytes = bytes;
}

/* Show a connection's bytes: buffer[0..bytes), or those that are held if nothing has come. */
static void show(struct conn *conn, const char *data, size_t bytes)
{
	size_t used = conn->calls->received(conn, data, bytes);

	if (conn->state != CONN_OPEN)
		return;
	if (used < bytes || conn->held)
		hold(conn, data + used, bytes - used);
}

static void end_input(struct conn *conn)
{
	conn->ended = true;
	if (conn->calls->ended)
		conn->calls->ended(conn);
	else
		conn_close(conn);
	if (conn->shut)
		conn_die(conn, 0);
	conn_list(conn);
	conn_watch(conn);
}

static void receive(struct conn *conn)
{
	size_t held = conn->held_bytes;
	ssize_t n;

	if (held > CONN_HELD_MAX)	/* it was paused then: the old comes first, by itself */
		return show(conn, conn->held, held);
	n = recv(conn->fd, buffer + held, RECEIVE_BYTES, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			conn_die(conn, errno);
		return;
	}
	if (conn->state == CONN_LINGERING)
		return conn_discard(conn, (size_t)n);
	if (!n)
		return end_input(conn);
	conn_counts.received += (uint64_t)n;
	if (held) {
		memcpy(buffer, conn->held, held);
		conn_counts.copied_in += held;
	}
	show(conn, buffer, held + (size_t)n);
}

struct conn *conn_adopt(int fd, const struct sockaddr_in *peer, const struct conn_calls *calls)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn || add_source(fd, (struct source){ .conn = conn })) {
		free(conn);
		close(fd);
		return NULL;
	}
	conn->at = count - 1;
	conn->fd = fd;
	conn->calls = calls;
	conn->address = peer->sin_addr.s_addr;
	conn->port = ntohs(peer->sin_port);
	conn_counts.opened++;
	return conn;
}

static void welcome(int fd, const struct sockaddr_in *from, const struct conn_calls *calls)
{
	struct conn *conn = conn_adopt(fd, from, calls);

	if (!conn) {
		conn_counts.failed++;
	} else if (calls->opened && !calls->opened(conn)) {
		conn->calls = NULL;
		conn_die(conn, 0);
	}
}

struct listener {
	int fd;
	const struct conn_calls *calls;
	struct conn_timer pause;
};

static void listen_again(struct conn_timer *timer)
{
	struct listener *l = (struct listener *)((char *)timer - offsetof(struct listener, pause));

	for (unsigned i = 0; i < count; i++)
		if (sources[i].own == l)
			polled[i].fd = l->fd;
}

/* There is nothing left for one more connection: those that wait wait on for a while. */
static void pause_listening(struct listener *l)
{
	for (unsigned i = 0; i < count; i++)
		if (sources[i].own == l)
			polled[i].fd = -1;
	l->pause.call = listen_again;
	conn_timer_set(&l->pause, PAUSE_MS);
}

static void accept_some(int fd, void *own)
{
	struct listener *l = own;

	for (int i = 0; i < ACCEPT_MAX; i++) {
		struct sockaddr_in from = { .sin_family = AF_INET };
		socklen_t bytes = sizeof(from);
		int new = accept(fd, (struct sockaddr *)&from, &bytes);

		if (new >= 0)
			welcome(new, &from, l->calls);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			return pause_listening(l);
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

int conn_listen(uint16_t port, const struct conn_calls *calls)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct listener *l = calloc(1, sizeof(*l));
	int on = 1, fd = l ? socket(AF_INET, SOCK_STREAM, 0) : -1, error;

	if (fd < 0) {
		error = l ? errno : ENOMEM;
		free(l);
		return error == EAFNOSUPPORT ? ENETDOWN : error;
	}
	l->fd = fd;
	l->calls = calls;
	address.sin_addr.s_addr = htonl(INADDR_ANY);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK))
		error = errno;
	else
		error = conn_watch_fd(fd, accept_some, l);
	if (error) {
		close(fd);
		free(l);
	}
	return error;
}

void conn_set(struct conn *conn, void *own)
{
	conn->own = own;
}

void *conn_get(const struct conn *conn)
{
	return conn->own;
}

uint32_t conn_peer(const struct conn *conn, uint16_t *port)
{
	if (port)
		*port = conn->port;
	return conn->address;
}

void conn_pause(struct conn *conn)
{
	conn->paused = true;
	conn_list(conn);
}

void conn_resume(struct conn *conn)
{
	conn->paused = false;
	conn->again = true;
	conn_list(conn);
}

/* The last word. */
static void bury(struct conn *conn)
{
	conn_timer_clear(&conn->linger);
	remove_source(conn->at);
	close(conn->fd);
	conn_counts.closed++;
	if (conn->error)
		conn_counts.failed++;
	if (conn->calls && conn->calls->closed)
		conn->calls->closed(conn, conn->error);
	conn_drop_output(conn);
	free(conn->held);
	free(conn);
}

/* What must be done for a connection before the next poll. It stays marked as listed meanwhile: what is called here lists it. */
static void look_after(struct conn *conn)
{
	bool again = conn->again && !conn->paused;

	if (again)
		conn->again = false;
	if (again && conn->state == CONN_OPEN && conn->held_bytes)
		show(conn, conn->held, conn->held_bytes);
	if (conn->pieces || conn->short_sent || conn->finished || conn->state == CONN_CLOSING)
		conn_flush(conn);
	if (conn->state == CONN_DEAD)
		return bury(conn);
	conn_watch(conn);
	conn->listed = false;
	if (conn->again && !conn->paused)
		conn_list(conn);
}

/* Each that is listed now once: one that lists itself again waits for the next turn. */
static void look_after_listed(void)
{
	struct conn *conn = listed, *next;

	listed = NULL;
	listed_end = &listed;
	for (; conn; conn = next) {
		next = conn->next;
		look_after(conn);
	}
}

static void serve(unsigned at, short what)
{
	struct conn *conn = sources[at].conn;

	if (!conn)
		return sources[at].ready(polled[at].fd, sources[at].own);
	if (conn->opening)
		return conn_there(conn);
	if (what & POLLOUT)
		conn_flush(conn);
	if (receives(conn) && what & (POLLIN | POLLERR | POLLHUP))
		receive(conn);
	else if (!(what & (POLLIN | POLLOUT)))
		conn_die(conn, ECONNRESET);
}

static int timeout_ms(void)
{
	uint64_t next = timers_next();

	if (listed || works_wait())
		return 0;
	if (next == TIMERS_NONE)
		return -1;
	return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now);
}

int conn_run(void)
{
	stopped = false;
	look_at_clock();
	while (!stopped) {
		int timeout = timeout_ms(), ready = poll(polled, count, timeout);

		conn_counts.turns++;
		if (timeout)
			conn_counts.sleeps++;
		else if (!ready)
			conn_counts.polls_empty++;
		look_at_clock();
		/* From the end: who comes meanwhile stands behind. */
		for (unsigned i = count; i-- > 0 && ready > 0;) {
			short what = polled[i].revents;

			if (!what)
				continue;
			polled[i].revents = 0;
			ready--;
			serve(i, what);
		}
		timers_run(now);
		works_run();
		look_after_listed();
	}
	return stop_value;
}

void conn_stop(int value)
{
	stopped = true;
	stop_value = value;
}
