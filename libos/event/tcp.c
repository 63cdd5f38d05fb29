/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP: what comes (RFC 9293, 5961 against blind attacks). Connections are only accepted, never asked for.
 *
 * Segments are taken in order only: one that comes early is dropped, and asked for again by its acknowledgement. Half-open
 * connections are few, and the oldest makes room for the next, so a flood of them locks nobody out; those that have ended are
 * remembered in a small table, to answer a FIN that comes again.
 */
#include <errno.h>
#include <string.h>
#include "libos/event/tcp.h"
#include "libos/net/sequence.h"

#define CHAINS		16
#define ENDED		8	/* connections that are remembered */
#define SYN_MS		1000
#define RTO_FIRST	1000	/* ms */
#define RTO_LEAST	200
#define RTO_MOST	16000
#define MSS_DEFAULT	536
#define MSS_LEAST	64
#define MEMORY_OF_HALF_OPEN 4096	/* bytes of the heap for each half-open connection; but 4 to 256 of them */
#define OPTION_END	0
#define OPTION_NONE	1
#define OPTION_MSS	2
#define PAST_MOST	65535	/* bytes that an old acknowledgement may lie behind: the largest window */

static struct conn *chains[CHAINS];
static uint32_t half_open;
static struct ended {
	uint32_t peer, nxt, rcv_nxt;
	uint16_t peer_port, port;
} ended[ENDED];
static unsigned ended_next;

struct segment {
	uint32_t sequence, ack, window, bytes;
	const char *data;
	uint8_t flags;
};

/* --- tables --- */

static struct conn *find(const struct ip_in *in)
{
	uint16_t port = get16(in->data + 2), peer_port = get16(in->data);
	struct conn *conn = chains[peer_port % CHAINS];

	while (conn && (conn->peer_port != peer_port || conn->peer != in->from || conn->port != port))
		conn = conn->next;
	return conn;
}

/* A connection goes: from its chain, to those that are remembered if it ended in order. */
void tcp_forget(struct conn *conn)
{
	struct conn **at = &chains[conn->peer_port % CHAINS];

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	half_open -= !conn->established;
	if (conn->fin && conn->una == conn->end)
		ended[ended_next++ % ENDED] = (struct ended){ conn->peer, conn->nxt, conn->rcv_nxt, conn->peer_port, conn->port };
}

static struct conn *oldest_half_open(void)
{
	struct conn *oldest = NULL;

	for (unsigned i = 0; i < CHAINS; i++)
		for (struct conn *conn = chains[i]; conn; conn = conn->next)
			if (!conn->established && (!oldest || conn->born < oldest->born))
				oldest = conn;
	return oldest;
}

/* --- asked for --- */

static uint16_t mss_of(const uint8_t *tcp, uint32_t header)
{
	uint16_t mss = MSS_DEFAULT;

	for (uint32_t at = TCP_HEADER; at + 1 < header && tcp[at] != OPTION_END;) {
		if (tcp[at] == OPTION_NONE) {
			at++;
			continue;
		}
		if (tcp[at + 1] < 2 || at + tcp[at + 1] > header)
			break;
		if (tcp[at] == OPTION_MSS && tcp[at + 1] == 4)
			mss = get16(tcp + at + 2);
		at += tcp[at + 1];
	}
	return mss > TCP_MSS ? TCP_MSS : mss < MSS_LEAST ? MSS_LEAST : mss;
}

static void asked(const struct ip_in *in, const struct segment *segment, uint32_t header)
{
	const struct conn_calls *calls = conn_listener(get16(in->data + 2));
	uint32_t most = event_heap.bytes / MEMORY_OF_HALF_OPEN;
	struct conn *conn;

	if (!calls || !link_has(PROTOCOL_TCP, get16(in->data + 2))) {
		tcp_refuse(in, segment->bytes + 1);
		return;
	}
	if (half_open >= (most < 4 ? 4 : most > 256 ? 256 : most))
		conn_gone(oldest_half_open(), ETIMEDOUT);
	conn = conn_make(calls);
	if (!conn && half_open) {
		conn_gone(oldest_half_open(), ETIMEDOUT);
		conn = conn_make(calls);
	}
	if (!conn) {
		conn_counts.failed++;
		tcp_refuse(in, segment->bytes + 1);
		return;
	}
	conn->peer = in->from;
	conn->peer_port = get16(in->data);
	conn->port = get16(in->data + 2);
	memcpy(conn->mac, in->from_mac, 6);
	conn->una = net_sequence(net_address, conn->port, conn->peer, conn->peer_port) + 1;
	conn->nxt = conn->max = conn->end = conn->una;
	conn->rcv_nxt = segment->sequence + 1;
	conn->advertised = conn->rcv_nxt + tcp_window();
	conn->mss = mss_of(in->data, header);
	conn->cwnd = 4u * conn->mss;
	conn->threshold = TCP_QUEUE;
	conn->rto = RTO_FIRST;
	conn->born = conn_now();
	conn->timer.call = tcp_timer;
	conn->next = chains[conn->peer_port % CHAINS];
	chains[conn->peer_port % CHAINS] = conn;
	half_open++;
	tcp_plain(conn, conn->una - 1, TCP_SYN | TCP_ACK);
	conn_timer_set(&conn->timer, SYN_MS);
}

/* A segment that belongs to no connection. */
static void strange(const struct ip_in *in, const struct segment *segment, uint32_t header)
{
	struct conn old = { .peer = in->from, .peer_port = get16(in->data), .port = get16(in->data + 2) };

	if (segment->flags & TCP_RST)
		return;
	if ((segment->flags & (TCP_SYN | TCP_ACK | TCP_FIN)) == TCP_SYN) {
		asked(in, segment, header);
		return;
	}
	for (unsigned i = 0; i < ENDED; i++) {
		if (ended[i].peer != old.peer || ended[i].peer_port != old.peer_port || ended[i].port != old.port)
			continue;
		if (segment->bytes || segment->flags & TCP_FIN) {
			memcpy(old.mac, in->from_mac, 6);
			old.rcv_nxt = old.advertised = ended[i].rcv_nxt;
			tcp_plain(&old, ended[i].nxt, TCP_ACK);
		}
		return;
	}
	tcp_refuse(in, segment->bytes + !!(segment->flags & (TCP_SYN | TCP_FIN)));
}

/* --- acknowledged --- */

static void measured(struct conn *conn)
{
	uint64_t took = conn_now() - conn->timed_at;
	uint32_t ms = took < RTO_MOST ? (uint32_t)took : RTO_MOST, rto;

	if (!conn->srtt) {
		conn->srtt = (uint16_t)(ms + 1);
		conn->variance = (uint16_t)(ms / 2 + 1);
	} else {
		uint32_t off = ms > conn->srtt ? ms - conn->srtt : conn->srtt - ms;
		conn->variance = (uint16_t)((3u * conn->variance + off + 3) / 4);
		conn->srtt = (uint16_t)((7u * conn->srtt + ms + 7) / 8);
	}
	conn->timed_at = 0;
	rto = conn->srtt + 4u * conn->variance;
	conn->rto = (uint16_t)(rto < RTO_LEAST ? RTO_LEAST : rto > RTO_MOST ? RTO_MOST : rto);
}

/* What is acknowledged goes. */
static void advance(struct conn *conn, uint32_t ack)
{
	struct packet *packet;
	uint32_t bytes = ack - conn->una;

	if (conn->timed_at && !before(ack, conn->timed))
		measured(conn);
	while ((packet = conn->first)) {
		uint32_t done = ack - packet->sequence, whole = packet->bytes + packet->fin;

		if (!whole || done < whole) {
			packet->sequence += done;
			packet->payload += done;
			packet->bytes = (uint16_t)(packet->bytes - done);
			break;
		}
		conn->first = packet->next;
		if (!conn->first)
			conn->last = NULL;
		packet_drop(packet);
	}
	conn->una = ack;
	if (before(conn->nxt, ack))
		conn->nxt = ack;
	conn->cwnd += conn->cwnd < conn->threshold ? (bytes < conn->mss ? bytes : conn->mss) :
	    (uint32_t)conn->mss * conn->mss / conn->cwnd + 1;
	if (conn->cwnd > TCP_QUEUE)
		conn->cwnd = TCP_QUEUE;
	conn->retries = conn->duplicates = 0;
	conn_timer_clear(&conn->timer);
	if (conn->una == conn->end && conn->closing)
		conn_timer_set(&conn->timer, LINGER_MS);
}

static void acknowledged(struct conn *conn, const struct segment *segment)
{
	if (before(conn->una, segment->ack)) {
		conn->window = segment->window;
		advance(conn, segment->ack);
		return;
	}
	if (segment->ack != conn->una)
		return;			/* an old one */
	if (!segment->window)
		conn->retries = 0;	/* it lives, and waits: the program decides how long */
	if (segment->window != conn->window || segment->bytes || conn->nxt == conn->una) {
		if (!conn->window && segment->window)
			conn->nxt = conn->una;	/* a probe may have been dropped */
		conn->window = segment->window;
		return;
	}
	if (conn->window && ++conn->duplicates == 3) {
		uint32_t flight = conn->nxt - conn->una;
		conn->threshold = flight / 2 > 2u * conn->mss ? flight / 2 : 2u * conn->mss;
		conn->cwnd = conn->threshold;
		tcp_again(conn);
	}
}

/* --- segments --- */

/* Cut off what is not awaited. False: nothing of the segment's data is. */
static bool fit(struct conn *conn, struct segment *segment)
{
	uint32_t old = conn->rcv_nxt - segment->sequence, room = conn->advertised - conn->rcv_nxt;

	if (before(segment->sequence, conn->rcv_nxt)) {
		conn->ack = true;
		if (old > segment->bytes || (old == segment->bytes && !(segment->flags & TCP_FIN)))
			return false;
		segment->sequence += old;
		segment->data += old;
		segment->bytes -= old;
	} else if (segment->sequence != conn->rcv_nxt) {
		conn->ack = true;
		return false;
	}
	if (segment->bytes > room) {
		conn->ack = true;
		segment->bytes = room;
		segment->flags &= (uint8_t)~TCP_FIN;
	}
	return true;
}

/*
 * Does a segment lie beside what is awaited (RFC 9293, 3.10.7.4), or acknowledge what was never sent or is long past (RFC 5961, 5)?
 * Nothing of it counts then: it is an old one, or a guess.
 */
static bool astray(const struct conn *conn, const struct segment *segment)
{
	uint32_t end = segment->sequence + segment->bytes + (segment->flags & TCP_FIN);

	if (before(end, conn->rcv_nxt) || (before(conn->advertised, segment->sequence) && segment->sequence != conn->rcv_nxt))
		return true;
	return conn->established && (before(conn->max, segment->ack) || before(segment->ack, conn->una - PAST_MOST));
}

/* Is there nothing more to be done for a segment? The connection may be gone then. */
static bool refused(struct conn *conn, const struct segment *segment)
{
	if (segment->flags & TCP_RST) {
		if (segment->sequence == conn->rcv_nxt) {
			conn_gone(conn, ECONNRESET);
			return true;
		}
		if (!before(segment->sequence, conn->rcv_nxt) && before(segment->sequence, conn->advertised))
			tcp_plain(conn, conn->nxt, TCP_ACK);
		return true;
	}
	if (segment->flags & TCP_SYN) {
		if (!conn->established && segment->sequence + 1 == conn->rcv_nxt && !(segment->flags & TCP_ACK))
			tcp_plain(conn, conn->una - 1, TCP_SYN | TCP_ACK);
		else
			tcp_plain(conn, conn->nxt, TCP_ACK);
		return true;
	}
	if (!(segment->flags & TCP_ACK))
		return true;
	if (!astray(conn, segment))
		return false;
	conn->ack = true;
	conn_settle(conn);
	return true;
}

static void in_order(struct conn *conn, const struct segment *segment)
{
	if (segment->bytes) {
		conn->rcv_nxt += segment->bytes;
		conn->ack = true;
		conn_take(conn, segment->data, segment->bytes);
	}
	if (segment->flags & TCP_FIN && !conn->dead) {
		conn->rcv_nxt++;
		conn->ack = true;
		conn_ended(conn);
	}
}

void tcp_input(const struct ip_in *in)
{
	uint32_t header = (in->data[12] >> 4) * 4u;
	struct conn *conn;
	struct segment segment;

	if (header < TCP_HEADER || header > in->bytes ||
	    ip_sum(in->from, in->to, PROTOCOL_TCP, in->data, in->bytes, in->data, 0) != 0xffff) {
		event_packets.refused++;
		return;
	}
	segment = (struct segment){ get32(in->data + 4), get32(in->data + 8), get16(in->data + 14), in->bytes - header,
		(const char *)in->data + header, in->data[13] };
	conn = find(in);
	if (!conn) {
		strange(in, &segment, header);
		return;
	}
	if (refused(conn, &segment))
		return;
	if (!conn->established) {
		if (segment.ack != conn->una) {
			tcp_refuse(in, 0);
			return;
		}
		half_open--;
		conn->established = true;
		conn->retries = 0;
		conn->window = segment.window;
		conn_timer_clear(&conn->timer);
		conn_opened(conn);
	} else {
		acknowledged(conn, &segment);
	}
	memcpy(conn->mac, in->from_mac, 6);
	if (!conn->dead && (segment.bytes || segment.flags & TCP_FIN || segment.sequence != conn->rcv_nxt) && !conn->ended &&
	    fit(conn, &segment))
		in_order(conn, &segment);
	else if (conn->ended && (segment.bytes || segment.flags & TCP_FIN))
		conn->ack = true;
	conn_acknowledged(conn);
	conn_settle(conn);
}

void tcp_room(void)
{
	for (unsigned i = 0; i < CHAINS; i++)
		for (struct conn *conn = chains[i]; conn; conn = conn->next)
			tcp_output(conn);
}
