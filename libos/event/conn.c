/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections: libos/conn/conn.h over the TCP beside it, in little memory.
 *
 * What comes is shown where it lies in the ring; only what the program leaves unused is copied, to a piece of the heap of that
 * size. How much a connection may have on its way depends on how many there are; beyond the number that the heap has room for a
 * client is refused. So memory is bounded whatever clients do, and the program's own time limits decide who keeps his place.
 *
 * A connection that is closed sends its FIN behind what is queued and lives until all is acknowledged, and until the other side
 * ends too, but a second at most. What must not be done while a function of the program's runs for the connection, its end, is
 * done when that has returned (conn_settle).
 */
#include <errno.h>
#include <string.h>
#include "libos/event/tcp.h"

#define LISTENERS	4
#define MEMORY_OF_ONE	3072	/* bytes of the heap for each connection */
#define CREDIT_SHARE	2	/* of the heap, one part in so many is on its way at most */
#define CREDIT_LEAST	512
#define PIECE_LEAST	64
#define LINGER_BYTES	65536
#define HELD_STEP	256
#define RETRY_MS	100

static struct listener {
	uint16_t port;
	const struct conn_calls *calls;
} listeners[LISTENERS];
static struct conn *put_off;
static uint32_t open_count;

/* --- beginning and end --- */

struct conn *conn_make(const struct conn_calls *calls)
{
	struct conn *conn = open_count < event_heap.bytes / MEMORY_OF_ONE ? event_calloc(1, sizeof(*conn)) : NULL;

	if (conn) {
		conn->calls = calls;
		open_count++;
	}
	return conn;
}

static void held_drop(struct conn *conn)
{
	event_free(conn->held);
	conn->held = NULL;
	conn->held_bytes = conn->held_room = 0;
}

void conn_gone(struct conn *conn, int error)
{
	struct conn **at = &put_off;

	conn_timer_clear(&conn->timer);
	while (*at && *at != conn)
		at = &(*at)->next_put_off;
	if (*at)
		*at = conn->next_put_off;
	tcp_forget(conn);
	open_count--;
	if (conn->established) {
		conn_counts.closed++;
		conn_counts.failed += error != 0;
		if (conn->calls && conn->calls->closed)
			conn->calls->closed(conn, error);
	}
	for (struct packet *packet = conn->first, *next; packet; packet = next) {
		next = packet->next;
		packet_drop(packet);
	}
	held_drop(conn);
	event_free(conn);
}

/* By a reset. */
static void abort_now(struct conn *conn, int error)
{
	tcp_plain(conn, conn->nxt, TCP_RST | TCP_ACK);
	conn_gone(conn, error);
}

void conn_abort(struct conn *conn)
{
	if (conn->dead)
		return;
	if (conn->inside)
		conn->dead = ECONNABORTED;
	else
		abort_now(conn, ECONNABORTED);
}

void conn_opened(struct conn *conn)
{
	bool wanted = true;

	conn_counts.opened++;
	conn->inside++;
	if (conn->calls->opened)
		wanted = conn->calls->opened(conn);
	conn->inside--;
	if (wanted)
		return;
	conn->calls = NULL;
	conn->dead = ECONNABORTED;
}

static void put(struct conn *conn)
{
	struct conn **at = &put_off;

	if (conn->put_off)
		return;
	conn->put_off = true;
	while (*at)
		at = &(*at)->next_put_off;
	conn->next_put_off = NULL;
	*at = conn;
	pt_again();
}

/* The FIN goes with the last packet if nothing of that has been sent, else as one of its own. */
static bool queue_fin(struct conn *conn)
{
	struct packet *packet = conn->last;

	if (conn->fin)
		return true;
	if (!packet || before(packet->sequence, conn->max)) {
		packet = packet_make(0);
		if (!packet)
			return false;
		packet->sequence = conn->end;
		if (conn->last)
			conn->last->next = packet;
		else
			conn->first = packet;
		conn->last = packet;
	}
	packet->fin = conn->fin = true;
	conn->end++;
	return true;
}

/* There was no memory: look again soon; or, if something is on its way, when that is acknowledged or sent again. */
static void retry(struct conn *conn)
{
	if (!conn->timer.set && conn->una == conn->end)
		conn_timer_set(&conn->timer, RETRY_MS);
}

void conn_settle(struct conn *conn)
{
	if (conn->inside)
		return;
	if (conn->dead) {
		abort_now(conn, conn->dead);
		return;
	}
	if (conn->closing)
		held_drop(conn);
	if ((conn->closing || conn->finished) && !queue_fin(conn))
		retry(conn);
	tcp_output(conn);
	if (conn->fin && conn->ended && conn->una == conn->end && !conn->held_bytes && (conn->closing || conn->told))
		conn_gone(conn, 0);
}

void conn_finish(struct conn *conn)
{
	if (conn->closing || conn->dead || conn->finished)
		return;
	conn->finished = true;
	put(conn);
}

void conn_close(struct conn *conn)
{
	if (conn->closing || conn->dead)
		return;
	conn->closing = true;		/* what is held may just be shown: it goes when that has returned */
	conn->behind = 0;
	put(conn);
}

/* --- receiving --- */

static bool hold(struct conn *conn, const char *data, uint32_t bytes)
{
	uint32_t need = conn->held_bytes + bytes;
	char *room;

	if (need > conn->held_room) {
		need = (need + HELD_STEP - 1) / HELD_STEP * HELD_STEP;
		room = event_alloc(need);
		if (!room)
			return false;
		if (conn->held)
			memcpy(room, conn->held, conn->held_bytes);
		event_free(conn->held);
		conn->held = room;
		conn->held_room = need;
	}
	memcpy(conn->held + conn->held_bytes, data, bytes);
	conn->held_bytes += bytes;
	conn_counts.copied_in += bytes;
	return true;
}

static uint32_t show(struct conn *conn, const char *data, uint32_t bytes)
{
	size_t used;

	conn->inside++;
	used = conn->calls->received(conn, data, bytes);
	conn->inside--;
	return used < bytes ? (uint32_t)used : bytes;
}

static void show_held(struct conn *conn)
{
	uint32_t used = show(conn, conn->held, conn->held_bytes);

	if (conn->closing || conn->dead)
		return;
	conn->held_bytes -= used;
	if (conn->held_bytes)
		memmove(conn->held, conn->held + used, conn->held_bytes);
	else
		held_drop(conn);
}

/* The window goes on; the other side is told if it was held up. */
static void window_open(struct conn *conn)
{
	if (conn->behind * 2 >= tcp_window())
		conn->ack = true;
	conn->behind = 0;
}

void conn_take(struct conn *conn, const char *data, uint32_t bytes)
{
	uint32_t used = 0;

	conn_counts.received += bytes;
	if (conn->closing) {
		conn->discarded += bytes;
		if (conn->discarded > LINGER_BYTES)
			conn->dead = ECONNABORTED;
		return;
	}
	conn->behind += bytes;
	if (!conn->paused && !conn->held_bytes)
		used = show(conn, data, bytes);
	if (conn->closing || conn->dead)
		return;
	if (used < bytes && !hold(conn, data + used, bytes - used)) {
		conn->dead = ENOBUFS;
		return;
	}
	if (!conn->paused && conn->held_bytes > bytes - used)
		show_held(conn);
	if (conn->closing || conn->dead || conn->paused)
		return;
	if (conn->held_bytes > CONN_HELD_MAX)
		conn->dead = ENOBUFS;
	conn->behind = 0;
}

/* Told behind all that came before it. */
static void tell_ended(struct conn *conn)
{
	if (!conn->ended || conn->told || conn->paused || conn->show || conn->closing || conn->dead)
		return;
	conn->told = true;
	if (!conn->calls->ended) {
		conn_close(conn);
		return;
	}
	conn->inside++;
	conn->calls->ended(conn);
	conn->inside--;
}

void conn_ended(struct conn *conn)
{
	conn->ended = true;
	tell_ended(conn);
}

void conn_pause(struct conn *conn)
{
	conn->paused = true;
}

void conn_resume(struct conn *conn)
{
	if (!conn->paused)
		return;
	conn->paused = false;
	conn->show = true;
	put(conn);
}

/* --- sending --- */

size_t conn_owed(const struct conn *conn)
{
	return conn->end - conn->una - (conn->fin && conn->una != conn->end);
}

/* What one connection may have on its way: a share, so that all have something. */
size_t conn_room(const struct conn *conn)
{
	uint32_t share = event_heap.bytes / CREDIT_SHARE / (open_count + 1), owed = conn->end - conn->una;

	if (conn->closing || conn->finished || conn->dead)
		return 0;
	if (share > TCP_QUEUE)
		share = TCP_QUEUE;
	if (share < CREDIT_LEAST)
		share = CREDIT_LEAST;
	return owed < share ? share - owed : 0;
}

/* Behind the last packet, if nothing of it has been sent. Returns how many bytes were taken. */
static uint32_t append(struct conn *conn, const char *data, uint32_t bytes)
{
	struct packet *last = conn->last;
	uint32_t part;

	if (!last || last->payload != last->data || before(last->sequence, conn->max) || last->bytes >= last->room)
		return 0;
	part = bytes < (uint32_t)last->room - last->bytes ? bytes : (uint32_t)last->room - last->bytes;
	memcpy(last->data + last->bytes, data, part);
	last->bytes = (uint16_t)(last->bytes + part);
	return part;
}

/* A packet of its own. */
static uint32_t add(struct conn *conn, const char *data, uint32_t bytes, unsigned flags)
{
	uint32_t part = bytes < conn->mss ? bytes : conn->mss;
	struct packet *packet = packet_make(flags & CONN_KEPT ? 0 : flags & CONN_MORE ? conn->mss : part);

	while (!packet && part >= 2 * PIECE_LEAST && !(flags & CONN_KEPT)) {
		part /= 2;
		packet = packet_make(part);
	}
	if (!packet)
		return 0;
	if (flags & CONN_KEPT)
		packet->payload = data;
	else
		memcpy(packet->data, data, part);
	packet->bytes = (uint16_t)part;
	packet->sequence = conn->end;
	if (conn->last)
		conn->last->next = packet;
	else
		conn->first = packet;
	conn->last = packet;
	return part;
}

size_t conn_send(struct conn *conn, const void *data, size_t bytes, unsigned flags)
{
	size_t done = 0, room;

	while (done < bytes && (room = conn_room(conn)) > 0) {
		uint32_t want = (uint32_t)(bytes - done < room ? bytes - done : room);
		uint32_t part = flags & CONN_KEPT ? 0 : append(conn, (const char *)data + done, want);

		if (!part)
			part = add(conn, (const char *)data + done, want, flags);
		if (!part)
			break;
		conn->end += part;
		done += part;
		conn_counts.copied_out += flags & CONN_KEPT ? 0 : part;
	}
	conn->waits = done < bytes && !conn->closing && !conn->finished;
	conn_counts.sent += done;
	if (!conn->inside && (!(flags & CONN_MORE) || conn->waits))
		tcp_output(conn);
	if (conn->waits)
		retry(conn);
	return done;
}

/* Something was acknowledged: there may be room again. */
void conn_acknowledged(struct conn *conn)
{
	if (!conn->waits || conn->closing || conn->dead || !conn_room(conn))
		return;
	conn->waits = false;
	if (!conn->calls->room)
		return;
	conn->inside++;
	conn->calls->room(conn);
	conn->inside--;
}

/* --- what was put off --- */

static void turn(struct conn *conn)
{
	if (conn->show && !conn->paused && !conn->closing) {
		conn->show = false;
		if (conn->held_bytes)
			show_held(conn);
		if (!conn->paused)
			window_open(conn);
	}
	tell_ended(conn);
	conn_acknowledged(conn);
	conn_settle(conn);
}

/* Those that are there now; what is put off meanwhile stands behind them. */
void conn_turn(void)
{
	struct conn *last = put_off, *conn;

	while (last && last->next_put_off)
		last = last->next_put_off;
	do {
		conn = put_off;
		if (!conn)
			break;
		put_off = conn->next_put_off;
		conn->put_off = false;
		turn(conn);
	} while (conn != last);
}

/* --- listening --- */

const struct conn_calls *conn_listener(uint16_t port)
{
	for (struct listener *one = listeners; one < listeners + LISTENERS; one++)
		if (one->calls && one->port == port)
			return one->calls;
	return NULL;
}

int conn_listen(uint16_t port, const struct conn_calls *calls)
{
	struct listener *one = listeners;

	if (event_net_start())
		return ENETDOWN;
	if (conn_listener(port))
		return EADDRINUSE;
	if (!link_has(PROTOCOL_TCP, port))
		return EACCES;
	while (one < listeners + LISTENERS && one->calls)
		one++;
	if (one == listeners + LISTENERS)
		return ENOMEM;
	*one = (struct listener){ port, calls };
	event_wait_address();
	return 0;
}

int conn_connect(const struct conn_peer *to, const struct conn_calls *calls, struct conn **conn)
{
	(void)to, (void)calls, (void)conn;
	return ENOTSUP;		/* tcp.c only answers */
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
		*port = conn->peer_port;
	return conn->peer;
}
