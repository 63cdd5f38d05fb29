/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP: what leaves (RFC 9293; 5681 for congestion, 6298 for the time after which something is sent again).
 *
 * Transmissions go by sequence number: `nxt` says where the next one begins, and going back is setting it back. A packet's
 * headers lie beside it, so while the device still reads a packet it is not sent again.
 */
#include <errno.h>
#include <string.h>
#include "libos/event/tcp.h"

#define RTO_MOST	16000	/* ms */
#define RETRIES		7
#define SYN_RETRIES	2
#define SYN_MS		1000
#define WINDOW_MOST	8	/* segments */

uint32_t tcp_window(void)
{
	uint32_t segments = link_slots() / 2;

	return (segments < WINDOW_MOST ? segments : WINDOW_MOST) * TCP_MSS;
}

/* The header behind the IP header of a packet. `options`: how many bytes of its payload belong to it. */
static void header(struct packet *packet, uint32_t to, uint16_t port, uint16_t to_port, uint32_t sequence, uint32_t ack,
    uint8_t flags, uint32_t window, uint32_t skip, uint32_t bytes, uint32_t options)
{
	uint8_t *tcp = packet->header + ETH_HEADER + IP_HEADER;
	uint16_t sum;

	put16(tcp, port);
	put16(tcp + 2, to_port);
	put32(tcp + 4, sequence);
	put32(tcp + 8, ack);
	tcp[12] = (uint8_t)((TCP_HEADER + options) / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, window < 65535 ? window : 65535);
	put32(tcp + 16, 0);
	sum = (uint16_t)~ip_sum(net_address, to, PROTOCOL_TCP, tcp, TCP_HEADER, packet->payload + skip, bytes);
	memcpy(tcp + 16, &sum, 2);
	packet->head = ETH_HEADER + IP_HEADER + TCP_HEADER;
}

/* The window that is told: it never shrinks. */
static uint32_t window_of(const struct conn *conn)
{
	uint32_t full = tcp_window(), window = conn->behind < full ? full - conn->behind : 0;
	uint32_t told = conn->advertised - conn->rcv_nxt;

	return (int32_t)told > 0 && told > window ? told : window;
}

void tcp_plain(const struct conn *conn, uint32_t sequence, uint8_t flags)
{
	static const uint8_t mss[4] = { 2, 4, TCP_MSS >> 8, TCP_MSS & 255 };
	uint32_t options = flags & TCP_SYN ? 4 : 0, window = window_of(conn);
	struct packet *packet = packet_make(options);

	if (!packet)
		return;
	memcpy(packet->data, mss, options);
	packet->bytes = (uint16_t)options;
	ip_header(packet, PROTOCOL_TCP, conn->mac, conn->peer, TCP_HEADER + options);
	header(packet, conn->peer, conn->port, conn->peer_port, sequence, conn->rcv_nxt, flags, window, 0, options, options);
	link_send(packet, 0, options);
	packet_drop(packet);
}

void tcp_refuse(const struct ip_in *in, uint32_t bytes)
{
	struct packet *packet = packet_make(0);
	const uint8_t *tcp = in->data;
	bool acked = tcp[13] & TCP_ACK;

	if (!packet)
		return;
	ip_header(packet, PROTOCOL_TCP, in->from_mac, in->from, TCP_HEADER);
	header(packet, in->from, get16(tcp + 2), get16(tcp), acked ? get32(tcp + 8) : 0, get32(tcp + 4) + bytes,
	    acked ? TCP_RST : TCP_RST | TCP_ACK, 0, 0, 0, 0);
	link_send(packet, 0, 0);
	packet_drop(packet);
}

static bool transmit(struct conn *conn, struct packet *packet, uint32_t skip, uint32_t bytes)
{
	bool last = skip + bytes == packet->bytes;
	uint8_t flags = (uint8_t)(TCP_ACK | (last && bytes ? TCP_PSH : 0) | (last && packet->fin ? TCP_FIN : 0));
	uint32_t window = window_of(conn), end;

	if (packet->busy)
		return false;
	ip_header(packet, PROTOCOL_TCP, conn->mac, conn->peer, TCP_HEADER + bytes);
	header(packet, conn->peer, conn->port, conn->peer_port, packet->sequence + skip, conn->rcv_nxt, flags, window, skip,
	    bytes, 0);
	if (!link_send(packet, skip, bytes))
		return false;
	conn->ack = false;
	conn->advertised = conn->rcv_nxt + window;
	end = packet->sequence + skip + bytes + (flags & TCP_FIN);
	if (before(conn->nxt, end))
		conn->nxt = end;
	if (before(conn->max, end))
		conn->max = end;
	return true;
}

/* Bytes that may leave from nxt on. */
static uint32_t allowed(const struct conn *conn)
{
	uint32_t limit = conn->window < conn->cwnd ? conn->window : conn->cwnd, used = conn->nxt - conn->una;

	return used < limit ? limit - used : 0;
}

static void send_all(struct conn *conn)
{
	struct packet *packet = conn->first;

	for (; packet && conn->nxt != conn->end; packet = packet->next) {
		uint32_t skip = conn->nxt - packet->sequence, bytes = packet->bytes - skip, may = allowed(conn), max = conn->max;

		if (skip > packet->bytes || (skip == packet->bytes && !packet->fin))
			continue;
		if (bytes > may) {
			if (conn->nxt != conn->una || !may)
				break;	/* what is on its way first; or a probe, in time */
			bytes = may;
		}
		if (!transmit(conn, packet, skip, bytes))
			break;
		if (before(max, conn->max) && !conn->timed_at) {
			conn->timed = conn->nxt;
			conn->timed_at = conn_now();
		}
		if (skip + bytes < packet->bytes)
			break;
	}
}

void tcp_output(struct conn *conn)
{
	if (!conn->established)
		return;
	send_all(conn);
	if (conn->ack) {
		tcp_plain(conn, conn->nxt, TCP_ACK);
		conn->advertised = conn->rcv_nxt + window_of(conn);
		conn->ack = false;
	}
	if (conn->una != conn->end && !conn->timer.set)
		conn_timer_set(&conn->timer, conn->rto);
}

void tcp_again(struct conn *conn)
{
	struct packet *first = conn->first;

	conn->timed_at = 0;		/* Karn: what was sent twice is not measured */
	if (first)
		transmit(conn, first, 0, first->bytes < conn->window ? first->bytes : conn->window);
}

/* The time for an answer has passed. */
static void late(struct conn *conn)
{
	uint32_t flight = conn->nxt - conn->una;

	if (++conn->retries > RETRIES) {
		conn->dead = ETIMEDOUT;
		return;
	}
	link_flush(true);		/* the device may have done with it, and nobody asked */
	conn->rto = conn->rto * 2 < RTO_MOST ? (uint16_t)(conn->rto * 2) : RTO_MOST;
	conn->timed_at = 0;
	if (conn->window && flight) {
		conn->threshold = flight / 2 > 2u * conn->mss ? flight / 2 : 2u * conn->mss;
		conn->cwnd = conn->mss;
	}
	conn->nxt = conn->una;
	if (!conn->window && conn->first)
		transmit(conn, conn->first, 0, conn->first->bytes != 0);	/* a probe of the window */
}

void tcp_timer(struct conn_timer *timer)
{
	struct conn *conn = (struct conn *)((char *)timer - offsetof(struct conn, timer));

	if (!conn->established) {
		if (++conn->retries > SYN_RETRIES) {
			conn_gone(conn, ETIMEDOUT);
			return;
		}
		tcp_plain(conn, conn->una - 1, TCP_SYN | TCP_ACK);
		conn_timer_set(timer, SYN_MS << conn->retries);
		return;
	}
	if (conn->una != conn->end)
		late(conn);
	else if (conn->closing && conn->fin)
		conn->ended = true;	/* the other side has had its time */
	else
		conn_acknowledged(conn);
	conn_settle(conn);
}
