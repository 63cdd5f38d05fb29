/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer: what clients send to the libOS event's TCP/IP, and what its program does with it. Each byte chooses what happens next:
 * a segment that fits a connection more or less, any frame, time that passes, a device that takes nothing; the bytes behind it say
 * how. The invariants of tcp.h hold after each step; at the end no connection and no memory is left, and no frame of ours was wrong.
 */
#include "test/unit/event_fake.h"

#define CLIENTS		4
#define PROGRAM_MOST	64
#define WAITING_MOST	4	/* packets that wait for a hardware address, for good */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;
static struct { uint32_t sequence, ack; } heard[CLIENTS];	/* from the server, last */
static struct conn *connections[PROGRAM_MOST];
static char kept[32768];
static unsigned looked_at;

static uint8_t byte(void)
{
	return at < end ? *at++ : 0;
}

/* --- the program --- */

static void remember(struct conn *from, struct conn *to)
{
	for (unsigned i = 0; i < PROGRAM_MOST; i++)
		if (connections[i] == from) {
			connections[i] = to;
			return;
		}
	abort();
}

static void act(struct conn *conn)
{
	uint8_t what = byte();
	struct conn *other = connections[byte() % PROGRAM_MOST];

	if (what & 1)
		conn_send(conn, kept, (size_t)byte() << (what >> 5), what & 2 ? CONN_KEPT : what & 4 ? CONN_MORE : 0);
	switch (what >> 3 & 7) {
	case 0:
		conn_pause(conn);
		break;
	case 1:
		conn_resume(conn);
		break;
	case 2:
		if (what & 64)
			conn_close(conn);
		break;
	case 3:
		if (what & 64)
			conn_abort(conn);
		break;
	case 4:
		if (other && other != conn)
			conn_abort(other);
		break;
	case 5:
		if (other)
			conn_resume(other);
		break;
	}
}

static bool on_opened(struct conn *conn)
{
	if (byte() % 8 == 1)
		return false;
	remember(NULL, conn);
	conn_set(conn, kept);
	return true;
}

static size_t on_received(struct conn *conn, const char *data, size_t bytes)
{
	uint8_t used = byte();
	unsigned sum = 0;

	act(conn);
	for (size_t i = 0; i < bytes; i++)	/* it may be looked at until this returns */
		sum += (unsigned char)data[i];
	kept[sum % sizeof(kept)] = 1;
	return used < 128 ? bytes : bytes * (used - 128u) / 127;
}

static void on_closed(struct conn *conn, int error)
{
	(void)error;
	if (conn_get(conn) != kept)
		abort();
	remember(conn, NULL);
}

static const struct conn_calls calls = {
	.opened = on_opened, .received = on_received, .room = act, .ended = act, .closed = on_closed,
}, plain = { .opened = on_opened, .received = on_received, .closed = on_closed };

static void on_datagram(uint16_t port, const struct conn_peer *from, const char *data, size_t bytes)
{
	conn_datagram(port, from, data, bytes);
}

/* --- the invariants of tcp.h --- */

static void check(const struct conn *conn)
{
	const struct packet *packet, *last = NULL;
	uint32_t sequence = conn->una;

	if (before(conn->nxt, conn->una) || before(conn->max, conn->nxt) || before(conn->end, conn->max))
		abort();
	for (packet = conn->first; packet; last = packet, packet = packet->next) {
		if (packet->sequence != sequence || packet->bytes + packet->fin == 0)
			abort();
		sequence += packet->bytes + (uint32_t)packet->fin;
	}
	if (sequence != conn->end || last != conn->last || conn_owed(conn) > TCP_QUEUE + CONN_HELD_MAX)
		abort();
}

static void check_all(void)
{
	for (unsigned i = 0; i < PROGRAM_MOST; i++)
		if (connections[i])
			check(connections[i]);
	if (fake.malformed)
		abort();
}

/* --- the clients --- */

static void listen_to_server(void)
{
	fake_device();
	for (; looked_at < fake.sent_count; looked_at++) {
		const uint8_t *frame = fake.sent[looked_at % FAKE_FRAMES].data, *tcp = frame + 34;
		unsigned client = get16(tcp + 2) - 1000u;

		if (get16(frame + 12) != 0x0800 || frame[23] != PROTOCOL_TCP || client >= CLIENTS)
			continue;
		heard[client].sequence = get32(tcp + 4) + fake.sent[looked_at % FAKE_FRAMES].bytes - 34 - (tcp[12] >> 4) * 4u +
		    !!(tcp[13] & (TCP_SYN | TCP_FIN));
		heard[client].ack = get32(tcp + 8);
	}
}

static void segment(void)
{
	static const uint8_t usual[] = { TCP_SYN, TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN, TCP_RST, TCP_ACK, TCP_ACK };
	uint8_t frame[FAKE_BYTES], how = byte(), kind = byte(), options = how & 4 ? byte() % 11 * 4 : 0, *tcp = frame + 34;
	unsigned client = how % CLIENTS;
	uint32_t bytes = kind & 128 ? byte() * 4u : 0, all = fake_ip(frame, FAKE_CLIENT, PROTOCOL_TCP, TCP_HEADER + options + bytes);

	memset(tcp, 0, TCP_HEADER + options + bytes);
	put16(tcp, 1000 + client);
	put16(tcp + 2, how & 8 ? 80 : 81);
	put32(tcp + 4, heard[client].ack + (how & 16 ? (uint32_t)(int8_t)byte() * 64u : 0));
	put32(tcp + 8, heard[client].sequence + (how & 32 ? (uint32_t)(int8_t)byte() * 16u : 0));
	tcp[12] = (uint8_t)((TCP_HEADER + options) / 4 << 4);
	tcp[13] = how & 64 ? byte() : usual[kind & 7];
	put16(tcp + 14, kind & 8 ? byte() * 257u : kind & 16 ? byte() : 8000);
	for (unsigned i = 0; i < options; i++)
		tcp[TCP_HEADER + i] = byte();
	fake_tcp_sum(frame, all);
	fake_frame(frame, all);
}

static void any_frame(void)
{
	uint8_t frame[FAKE_BYTES];
	uint32_t bytes = byte() * 6u, all = fake_ip(frame, byte() & 1 ? FAKE_CLIENT : heard[0].ack, byte(), bytes);

	for (uint32_t i = 0; i < bytes && i < 300; i++)
		frame[34 + i] = byte();
	for (unsigned changes = byte() % 8; changes--;)
		frame[byte() % all] = byte();
	if (byte() & 1) {
		uint16_t sum;
		memset(frame + 24, 0, 2);
		sum = (uint16_t)~net_checksum(frame + 14, IP_HEADER);
		memcpy(frame + 24, &sum, 2);
	}
	if (byte() & 1)
		all = all * byte() / 256;
	fake_frame(frame, all);
}

static void step(void)
{
	uint8_t what = byte();

	switch (what & 15) {
	case 8:
		any_frame();
		break;
	case 9:
		fake_run(byte() * 8u + 1);
		break;
	case 10:
		fake_run(byte() * 256u + 1);
		break;
	case 11:
		fake.deaf = byte() & 1;
		break;
	case 12:
		if (connections[what >> 4])
			act(connections[what >> 4]);
		break;
	default:
		segment();
	}
	if (what & 128)
		fake_run(1);
	else if (what & 64)
		listen_to_server();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;

	if (!started) {
		started = true;
		fake_pages();
		if (conn_listen(80, &calls) || conn_listen(81, &plain) || conn_bind(7, on_datagram))
			abort();
		dhcp_begin();
	}
	at = data;
	end = data + size;
	while (at < end) {
		step();
		check_all();
	}
	fake.deaf = false;
	for (unsigned i = 0; i < PROGRAM_MOST; i++)
		if (connections[i])
			conn_abort(connections[i]);
	fake_run(300000);
	net_address = FAKE_SERVER;	/* somebody may have been a DHCP server */
	net_mask = 0x00ffffff;
	listen_to_server();
	for (unsigned i = 0; i < PROGRAM_MOST; i++)
		if (connections[i])
			abort();
	if (event_fake.blocks > WAITING_MOST || fake.malformed)
		abort();
	return 0;
}

void event_address_changed(uint32_t address, uint32_t mask, uint32_t gateway)
{
	net_address = address;
	net_mask = mask;
	net_gateway = gateway;
}
