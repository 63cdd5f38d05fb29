/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TCP/IP of the libOS event on a faked wire: clients that send and read at odd paces over a wire that loses, doubles and
 * reorders get back what they sent, byte for byte, and their end; then broken frames, made of good ones. The device reads a packet
 * some time after it was posted, the heap is the host's, so the sanitizers see what is used too late; nothing may be left.
 *
 * The program's loop is the real one. It calls event_sleep when it has nothing to do: there the world goes on.
 */
#include <errno.h>
#include <sys/mman.h>

#define EVENT_HEAP	(512 << 10)
#include "test/unit/event_parts.h"
#include "test/unit/tap.h"

#define CLIENTS		24
#define FRAME_MOST	1600
#define WIRE_MOST	512
#define SERVER_IP	0x0f02000a	/* 10.0.2.15 */
#define STREAM_MOST	20000
#define GIVE_UP_MS	600000

static uint64_t now_ms = 5000;
static unsigned loss, odd;		/* per cent */

/* --- what the rest of the libOS and core supply --- */

static const uint8_t own_mac[6] = { 2, 0, 0, 0, 0, 1 };

exo_time_t core_now(void)
{
	return now_ms * 1000000;
}

void core_random(void *buffer, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((uint8_t *)buffer)[i] = (uint8_t)rand();
}

void dhcp_input(const uint8_t *data, uint32_t bytes)
{
	(void)data, (void)bytes;
}

/* --- the device and the wire --- */

static struct posted {
	struct packet *packet;
	const char *payload;
	uint32_t head, bytes;
} posted[64];
static unsigned posted_count;

static struct frame {
	uint32_t bytes;
	uint8_t data[FRAME_MOST];
} to_server[WIRE_MOST];
static unsigned to_server_count;
static unsigned long malformed;

bool link_send(struct packet *packet, uint32_t skip, uint32_t bytes)
{
	if (posted_count == sizeof(posted) / sizeof(posted[0]) || rand() % 100 < (int)odd / 4)
		return false;
	packet->busy++;
	posted[posted_count++] = (struct posted){ packet, packet->payload + skip, packet->head, bytes };
	return true;
}

static void from_server(const uint8_t *frame, uint32_t bytes);

/* The device takes the first packet that is posted. */
static void device(void)
{
	uint8_t frame[FRAME_MOST];
	struct posted one = posted[0];

	memcpy(frame, one.packet->header, one.head);
	memcpy(frame + one.head, one.payload, one.bytes);
	memmove(posted, posted + 1, --posted_count * sizeof(posted[0]));
	if (!--one.packet->busy && one.packet->dropped)
		event_free(one.packet);
	if (rand() % 100 >= (int)loss)
		from_server(frame, one.head + one.bytes);
}

void link_flush(bool collect)
{
	while (collect && posted_count)
		device();
}

void event_net_flush(void)
{
}

static void put_on_wire(const uint8_t *frame, uint32_t bytes)
{
	unsigned at = to_server_count;

	if (rand() % 100 < (int)loss || to_server_count == WIRE_MOST)
		return;
	if (at && rand() % 100 < (int)odd) {
		at = (unsigned)rand() % at;
		memmove(&to_server[at + 1], &to_server[at], (to_server_count - at) * sizeof(to_server[0]));
	}
	to_server[at].bytes = bytes;
	memcpy(to_server[at].data, frame, bytes);
	to_server_count++;
	if (rand() % 100 < (int)odd / 2)
		put_on_wire(frame, bytes);
}

/* Each frame in a block of its size, so that reading behind it is seen. */
void dhcp_turn(void)
{
}

unsigned event_net_poll(void)
{
	unsigned taken = 0;

	for (; to_server_count && taken < 4; taken++) {
		uint32_t bytes = to_server[0].bytes;
		uint8_t *frame = malloc(bytes ? bytes : 1);

		memcpy(frame, to_server[0].data, bytes);
		memmove(to_server, to_server + 1, --to_server_count * sizeof(to_server[0]));
		ip_input(frame, bytes);
		free(frame);
	}
	return taken;
}

/* --- the clients --- */

static struct client {
	uint16_t port;
	enum { CLOSED, ASKED, OPEN, DONE } state;
	uint32_t una, nxt, fin_at, rcv_nxt, window;
	uint32_t sent_bytes, got_bytes, base;	/* base: sequence of the first byte */
	bool ended;			/* the server has */
	uint64_t again;
	uint8_t out[STREAM_MOST], in[STREAM_MOST];
} clients[CLIENTS];
static unsigned finished, wrong_bytes, reset;
static unsigned long echoed;

static uint32_t client_ip(const struct client *client)
{
	return 0x6402000a + ((uint32_t)(client - clients) << 24);	/* 10.0.2.100 and on */
}

static void client_send(const struct client *client, uint32_t sequence, uint8_t flags, const void *data, uint32_t bytes)
{
	uint8_t frame[FRAME_MOST] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0, 0x45 }, *ip = frame + 14, *tcp = ip + 20;
	uint32_t from = client_ip(client), to = SERVER_IP;
	uint16_t sum;

	put16(ip + 2, 40 + bytes);
	ip[8] = 64;
	ip[9] = PROTOCOL_TCP;
	memcpy(ip + 12, &from, 4);
	memcpy(ip + 16, &to, 4);
	unsigned short net_checksum(const void *at, int length);
	sum = (uint16_t)~net_checksum(ip, 20);
	memcpy(ip + 10, &sum, 2);
	put16(tcp, client->port);
	put16(tcp + 2, 80);
	put32(tcp + 4, sequence);
	put32(tcp + 8, flags & TCP_ACK ? client->rcv_nxt : 0);
	tcp[12] = 0x50;
	tcp[13] = flags;
	put16(tcp + 14, client->window);
	memcpy(tcp + 20, data, bytes);
	sum = (uint16_t)~ip_sum(from, to, PROTOCOL_TCP, tcp, 20, tcp + 20, bytes);
	memcpy(tcp + 16, &sum, 2);
	put_on_wire(frame, 54 + bytes);
}

static void client_begin(struct client *client)
{
	static uint16_t port = 20000;

	memset(client, 0, offsetof(struct client, out));
	client->port = port++;
	client->una = client->nxt = (uint32_t)rand() * 7919u;
	client->base = client->una + 1;
	client->sent_bytes = (uint32_t)rand() % STREAM_MOST;
	client->fin_at = client->base + client->sent_bytes;
	client->window = 8192;
	client->state = ASKED;
	for (unsigned i = 0; i < client->sent_bytes; i++)
		client->out[i] = (uint8_t)rand();
}

static void client_act(struct client *client)
{
	if (client->state == CLOSED || client->state == DONE || now_ms < client->again)
		return;
	client->again = now_ms + 100 + (uint64_t)rand() % 200;
	if (client->state == ASKED) {
		client_send(client, client->una, TCP_SYN, "", 0);
		return;
	}
	client->window = rand() % 8 ? (uint32_t)rand() % 6000 : 0;	/* it reads at an odd pace */
	for (unsigned i = 0; i < 4; i++) {
		uint32_t at = client->una + i * 700, left = client->fin_at - at;
		bool last = (int32_t)left <= 700;

		if ((int32_t)left < 0)
			break;
		client_send(client, at, (uint8_t)(TCP_ACK | (last ? TCP_FIN : 0)), client->out + (at - client->base),
		    last ? left : 700);
		if (before(client->nxt, at + (last ? left + 1 : 700)))
			client->nxt = at + (last ? left + 1 : 700);
		if (last)
			break;
	}
	if (client->una == client->fin_at + 1)
		client_send(client, client->una, TCP_ACK, "", 0);
}

static void client_end(struct client *client)
{
	finished++;
	wrong_bytes += client->got_bytes != client->sent_bytes || memcmp(client->in, client->out, client->got_bytes);
	echoed += client->got_bytes;
	client->state = DONE;
	client->again = now_ms + 3000;
}

static void client_take(struct client *client, const uint8_t *tcp, uint32_t bytes)
{
	uint32_t sequence = get32(tcp + 4), ack = get32(tcp + 8), header = (tcp[12] >> 4) * 4u, length = bytes - header;
	uint8_t flags = tcp[13];

	if (client->state == DONE || client->state == CLOSED)
		return;
	if (flags & TCP_RST) {
		reset += client->state == OPEN;
		client->state = DONE;
		finished += client->again != 0;
		return;
	}
	if (client->state == ASKED) {
		if ((flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK) || ack != client->base)
			return;
		client->una = client->nxt = ack;
		client->rcv_nxt = sequence + 1;
		client->state = OPEN;
		client->again = 0;
		return;
	}
	if (!before(client->nxt, ack) && before(client->una, ack)) {
		client->una = ack;
		client->again = now_ms;
	}
	if (sequence == client->rcv_nxt && !client->ended && client->got_bytes + length <= STREAM_MOST) {
		memcpy(client->in + client->got_bytes, tcp + header, length);
		client->got_bytes += length;
		client->rcv_nxt += length;
		if (flags & TCP_FIN) {
			client->rcv_nxt++;
			client->ended = true;
		}
	}
	if (length || flags & TCP_FIN)
		client_send(client, client->una, TCP_ACK, "", 0);
	if (client->ended && client->una == client->fin_at + 1)
		client_end(client);
}

static void from_server(const uint8_t *frame, uint32_t bytes)
{
	const uint8_t *ip = frame + 14;
	unsigned short net_checksum(const void *at, int length);
	unsigned index = ip[16] == 10 ? ip[19] - 100u : CLIENTS;

	if (bytes < 42)
		malformed++;
	if (bytes < 54 || get16(frame + 12) != 0x0800 || ip[9] != PROTOCOL_TCP)
		return;
	if (net_checksum(ip, 20) != 0xffff || get16(ip + 2) != bytes - 14 ||
	    ip_sum(raw32(ip + 12), raw32(ip + 16), PROTOCOL_TCP, ip + 20, bytes - 34, "", 0) != 0xffff)
		malformed++;
	else if (index < CLIENTS && get16(ip + 22) == clients[index].port)
		client_take(&clients[index], ip + 20, bytes - 34);
}

/* --- the program: it sends back what it gets --- */

static struct echo {
	struct conn *conn;
	struct echo *next;
	uint8_t waits[STREAM_MOST];
	uint32_t bytes;
	bool ended;
} *echoes;
static bool fuzzing;

static void push(struct conn *conn)
{
	struct echo *echo = conn_get(conn);
	uint32_t part = echo->bytes, sent;

	if (part > 1 && rand() % 2)
		part = (uint32_t)rand() % part;
	sent = (uint32_t)conn_send(conn, echo->waits, part, rand() % 3 ? 0 : CONN_MORE);
	memmove(echo->waits, echo->waits + sent, echo->bytes - sent);
	echo->bytes -= sent;
	if (echo->ended && !echo->bytes)
		conn_close(conn);
}

/* A connection that is refused here is not told to have been closed. */
static bool on_open(struct conn *conn)
{
	struct echo *echo = fuzzing && rand() % 8 == 0 ? NULL : calloc(1, sizeof(*echo));

	if (!echo)
		return false;
	*echo = (struct echo){ .conn = conn, .next = echoes };
	echoes = echo;
	conn_set(conn, echo);
	return true;
}

static size_t on_received(struct conn *conn, const char *data, size_t bytes)
{
	struct echo *echo = conn_get(conn);
	size_t used = rand() % 4 ? bytes : (size_t)rand() % (bytes + 1);

	if (fuzzing && rand() % 4 == 0) {
		if (rand() % 2)
			conn_close(conn);
		else
			conn_abort(conn);
	}
	if (echo->bytes + used > STREAM_MOST)
		used = STREAM_MOST - echo->bytes;
	memcpy(echo->waits + echo->bytes, data, used);
	echo->bytes += (uint32_t)used;
	if (used < bytes || rand() % 10 == 0)
		conn_pause(conn);
	push(conn);
	return used;
}

static void on_end(struct conn *conn)
{
	struct echo *echo = conn_get(conn);

	conn_resume(conn);
	echo->ended = true;
	push(conn);
}

static void on_closed(struct conn *conn, int error)
{
	struct echo *echo = conn_get(conn), **at = &echoes;

	(void)error;
	while (*at != echo)
		at = &(*at)->next;
	*at = echo->next;
	free(echo);
}

static const struct conn_calls echo_calls = {
	.opened = on_open, .received = on_received, .room = push, .ended = on_end, .closed = on_closed,
};

/* --- the world goes on --- */

static unsigned wanted;			/* clients to be served */
static uint64_t end_ms;

/* What is paused goes on now and then. */
static enum pt_state stir(struct pt *pt)
{
	PT_BEGIN(pt);
	for (;;) {
		for (struct echo *echo = echoes, *next; echo; echo = next) {
			next = echo->next;
			conn_resume(echo->conn);
			if (echo->bytes)
				push(echo->conn);
		}
		PT_SLEEP(pt, 30);
	}
	PT_END(pt);
}

static void clients_act(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *client = &clients[i];

		if (wanted && (client->state == CLOSED || (client->state == DONE && now_ms > client->again))) {
			wanted--;
			client_begin(client);
		}
		client_act(client);
	}
}

void event_sleep(exo_time_t until, uint64_t events)
{
	(void)until, (void)events;
	for (unsigned i = 0; posted_count && i < 3; i++)
		device();
	now_ms += 1 + (uint64_t)rand() % 10;
	clients_act();
	if (now_ms >= end_ms)
		conn_stop(1);
	for (unsigned i = 0; i < CLIENTS; i++)
		if (wanted || clients[i].state == ASKED || clients[i].state == OPEN)
			return;
	conn_stop(0);
}

/* Until nothing is left that waits for a time. */
static void let_go(void)
{
	memset(clients, 0, sizeof(clients));
	wanted = 0;
	for (int i = 0; i < 3000 && (event_fake.blocks || posted_count); i++) {
		end_ms = now_ms + 1;
		conn_run();
		now_ms += 50;
	}
}

static void transfers(unsigned count, unsigned lost, unsigned oddly)
{
	int result;

	finished = wrong_bytes = reset = 0;
	echoed = malformed = 0;
	loss = lost;
	odd = oddly;
	wanted = count;
	end_ms = now_ms + GIVE_UP_MS;
	result = conn_run();
	ok(result == 0, "loss %u%%, oddities %u%%: all of them end (%u of %u, after %lu ms)", lost, oddly, finished, count,
	    (unsigned long)(now_ms + GIVE_UP_MS - end_ms));
	ok(finished == count && !wrong_bytes, "and get what they sent: %lu bytes, %u wrong", echoed, wrong_bytes);
	ok(!reset && !malformed, "no reset (%u), no malformed frame (%lu)", reset, malformed);
}

static void fuzz(void)
{
	uint8_t frame[FRAME_MOST];

	loss = odd = 0;
	for (int i = 0; i < 60000; i++) {
		struct client *client = &clients[rand() % 3];
		uint32_t bytes;

		if (rand() % 50 == 0 || client->state != OPEN)
			client_begin(client);
		to_server_count = 0;
		client->rcv_nxt += (uint32_t)rand() % 3;
		client->window = (uint32_t)rand() % 3 * 1000;
		client_send(client, client->state == ASKED ? client->una : client->una + (uint32_t)rand() % 3,
		    (uint8_t)(client->state == ASKED ? TCP_SYN : rand() % 64), client->out, (uint32_t)rand() % 60);
		if (!to_server_count)
			continue;
		bytes = to_server[0].bytes;
		memcpy(frame, to_server[0].data, bytes);
		for (int n = rand() % 3; n-- > 0;)
			frame[rand() % 4 ? 12 + rand() % 42 : rand() % (int)bytes] = (uint8_t)rand();
		if (rand() % 20 == 0)
			bytes = (uint32_t)rand() % bytes;
		if (rand() % 2) {	/* past the sums */
			unsigned short net_checksum(const void *at, int length);
			uint16_t sum;
			memset(frame + 24, 0, 2);
			sum = (uint16_t)~net_checksum(frame + 14, 20);
			memcpy(frame + 24, &sum, 2);
			if (bytes >= 54) {
				memset(frame + 50, 0, 2);
				sum = (uint16_t)~ip_sum(raw32(frame + 26), raw32(frame + 30), PROTOCOL_TCP, frame + 34,
				    bytes - 34, "", 0);
				memcpy(frame + 50, &sum, 2);
			}
		}
		to_server[0].bytes = bytes;
		memcpy(to_server[0].data, frame, bytes);
		end_ms = now_ms + 2;
		wanted = 0;
		conn_run();
	}
	ok(true, "60,000 broken frames");
	while (echoes)
		conn_abort(echoes->conn);
	let_go();
	is_int(event_fake.blocks, 0, "no memory is left behind");
}

static void pages(void)
{
	const uint64_t at[] = { EXO_VA_DISP, EXO_VA_ARG, EXO_VA_START, EXO_VA_INFO };

	for (unsigned i = 0; i < 4; i++)
		if (mmap((void *)at[i], EXO_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			 -1, 0) == MAP_FAILED)
			printf("# no page at 0x%lx: %s\n", at[i], strerror(errno));
	memcpy(((struct exo_info *)core_info)->device[0].address, own_mac, 6);
}

int main(void)
{
	static const struct conn_calls other;
	static struct pt pt;

	srand(7);
	pages();
	net_address = SERVER_IP;
	net_mask = 0x00ffffff;
	is_int(conn_listen(80, &echo_calls), 0, "listening");
	is_int(conn_listen(80, &other), EADDRINUSE, "once for each port");
	pt_start(&pt, stir);
	transfers(150, 0, 0);
	transfers(150, 3, 10);
	transfers(80, 20, 30);
	let_go();
	is_int(event_fake.blocks, 0, "no memory is left behind");
	fuzzing = true;
	fuzz();
	return done();
}
