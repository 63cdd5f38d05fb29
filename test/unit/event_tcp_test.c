/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TCP of the libOS event against what RFC 9293, 5961, 6298 and 6528 say, one rule after the other, by single segments: blind
 * attacks, windows that are full, tiny or move, times after which something is sent again, ends of all kinds, floods.
 */
#include "test/unit/event_fake.h"
#include "test/unit/tap.h"

#define PORT		80
#define ISN		0xffffffe0u	/* the numbers wrap soon */

/* --- the client: one segment at a time --- */

static struct {
	uint16_t port;
	uint32_t address, next, ack, window;	/* next: to send; ack: received up to */
	uint32_t server_isn;
	unsigned seen;				/* frames of fake.sent that were looked at */
} client;

struct answer {
	bool any;
	uint8_t flags;
	uint32_t sequence, ack, window, bytes, mss;
	const uint8_t *data;
	uint64_t ms;
};

static void segment(uint32_t sequence, uint32_t ack, uint8_t flags, const char *data, uint32_t bytes)
{
	uint8_t frame[FAKE_BYTES];
	uint32_t all = fake_ip(frame, client.address, PROTOCOL_TCP, TCP_HEADER + bytes);

	memset(frame + 34, 0, TCP_HEADER);
	put16(frame + 34, client.port);
	put16(frame + 36, PORT);
	put32(frame + 38, sequence);
	put32(frame + 42, ack);
	frame[46] = 0x50;
	frame[47] = flags;
	put16(frame + 48, client.window);
	memcpy(frame + 54, data, bytes);
	fake_tcp_sum(frame, all);
	fake_frame(frame, all);
}

/* The next frame for this client that the server has sent. */
static struct answer next_answer(void)
{
	fake_device();
	while (client.seen < fake.sent_count) {
		const struct fake_frame *frame = &fake.sent[client.seen++ % FAKE_FRAMES];
		const uint8_t *tcp = frame->data + 34;
		uint32_t header = (tcp[12] >> 4) * 4u;

		if (get16(frame->data + 12) != 0x0800 || frame->data[23] != PROTOCOL_TCP || get16(tcp + 2) != client.port ||
		    raw32(frame->data + 30) != client.address)
			continue;
		return (struct answer){ true, tcp[13], get32(tcp + 4), get32(tcp + 8), get16(tcp + 14),
			frame->bytes - 34 - header, header == 24 ? get16(tcp + 22) : 0, tcp + header, frame->ms };
	}
	return (struct answer){ .any = false };
}

static struct answer last_answer(void)
{
	struct answer one, last = { .any = false };

	while ((one = next_answer()).any)
		last = one;
	return last;
}

static void forget_answers(void)
{
	fake_device();
	client.seen = fake.sent_count;
}

/* --- the program --- */

static struct {
	struct conn *conn;
	char data[4096];
	uint32_t bytes;
	unsigned opened, ended, closed, rooms;
	int error;
	bool pauses, floods;
} program;
static char much[60000];

static bool on_opened(struct conn *conn)
{
	program.conn = conn;
	program.opened++;
	return true;
}

static size_t on_received(struct conn *conn, const char *data, size_t bytes)
{
	if (program.pauses) {
		conn_pause(conn);
		return 0;
	}
	if (program.bytes + bytes <= sizeof(program.data))
		memcpy(program.data + program.bytes, data, bytes);
	program.bytes += (uint32_t)bytes;
	if (program.floods)
		conn_send(conn, much, sizeof(much), 0);
	return bytes;
}

static void on_room(struct conn *conn)
{
	program.rooms++;
	if (program.floods)
		conn_send(conn, much, sizeof(much), 0);
}

static void on_ended(struct conn *conn)
{
	(void)conn;
	program.ended++;
}

static void on_closed(struct conn *conn, int error)
{
	if (conn == program.conn)
		program.conn = NULL;
	program.closed++;
	program.error = error;
}

static const struct conn_calls calls = {
	.opened = on_opened, .received = on_received, .room = on_room, .ended = on_ended, .closed = on_closed,
};

static bool begin(void)
{
	struct answer answer;

	if (program.conn)
		conn_abort(program.conn);
	memset(&program, 0, sizeof(program));
	fake_run(1);
	forget_answers();
	client.port++;
	client.address = FAKE_CLIENT;
	client.window = 8000;
	segment(ISN, 0, TCP_SYN, "", 0);
	answer = next_answer();
	if (answer.flags != (TCP_SYN | TCP_ACK) || answer.ack != ISN + 1)
		return false;
	client.server_isn = answer.sequence;
	client.next = ISN + 1;
	client.ack = answer.sequence + 1;
	segment(client.next, client.ack, TCP_ACK, "", 0);
	forget_answers();
	return program.opened == 1;
}

static void send_in_order(const char *text)
{
	segment(client.next, client.ack, TCP_ACK, text, (uint32_t)strlen(text));
	client.next += (uint32_t)strlen(text);
}

/* --- blind attacks --- */

static void resets(void)
{
	ok(begin(), "a connection");
	segment(client.next + 20000, client.ack, TCP_RST, "", 0);
	segment(client.next - 1, client.ack, TCP_RST, "", 0);
	ok(!program.closed && !last_answer().any, "a reset outside of the window is dropped without an answer");
	segment(client.next + 1, client.ack, TCP_RST, "", 0);
	ok(!program.closed && last_answer().flags == TCP_ACK, "one in the window, not at its beginning, is answered by an ACK");
	segment(client.next, 0, TCP_SYN, "", 0);
	ok(!program.closed && last_answer().flags == TCP_ACK, "so is a SYN");
	segment(client.next, client.ack, TCP_RST, "", 0);
	ok(program.closed == 1 && program.error == ECONNRESET, "the exact one ends it");
}

static void injections(void)
{
	uint32_t window;

	begin();
	segment(client.next, client.ack + 100000, TCP_ACK, "x", 1);
	ok(!program.bytes && last_answer().flags == TCP_ACK, "data that acknowledges what was never sent is dropped");
	segment(client.next, client.ack - 100000, TCP_ACK, "x", 1);
	ok(!program.bytes && last_answer().flags == TCP_ACK, "so is what acknowledges what is long past");
	segment(client.next + 5, client.ack, TCP_ACK, "x", 1);
	ok(!program.bytes, "data that comes early is not shown");
	begin();
	window = client.window = 1000;
	send_in_order("GET");
	is_int((long long)conn_send(program.conn, "0123456789", 10, 0), 10, "bytes are queued");
	fake_run(1);
	segment(client.next + 100000, client.ack + 10, TCP_ACK, "", 0);
	is_int((long long)conn_owed(program.conn), 10, "an ACK outside of the window acknowledges nothing");
	client.window = 0;
	segment(client.next - 100000, client.ack + 10, TCP_ACK, "", 0);
	is_int((long long)conn_owed(program.conn), 10, "nor does an old one");
	client.window = window;
	segment(client.next, client.ack + 10, TCP_ACK, "", 0);
	is_int((long long)conn_owed(program.conn), 0, "the right one does");
}

/* --- order --- */

static void overlaps(void)
{
	begin();
	segment(client.next, client.ack, TCP_ACK, "abcd", 4);
	segment(client.next, client.ack, TCP_ACK, "abcd", 4);
	segment(client.next + 2, client.ack, TCP_ACK, "cdef", 4);
	segment(client.next - 1, client.ack, TCP_ACK, "?abcdefg", 8);
	ok(program.bytes == 7 && !memcmp(program.data, "abcdefg", 7), "what comes twice or overlaps is shown once (%u bytes)",
	    program.bytes);
	segment(client.next + 8, client.ack, TCP_ACK | TCP_FIN, "i", 1);
	ok(!program.ended, "a FIN that comes early does not count");
	segment(client.next + 7, client.ack, TCP_ACK | TCP_FIN, "h", 1);
	ok(program.ended == 1 && program.bytes == 8, "one in order does, behind its data");
	is_int(last_answer().ack, client.next + 9, "and is acknowledged");
	segment(client.next - 1, client.ack, TCP_ACK, "", 0);
	is_int(last_answer().ack, client.next + 9, "a keep-alive is answered");
}

static void ends(void)
{
	struct answer answer;

	begin();
	segment(client.next, client.ack, TCP_ACK | TCP_FIN, "", 0);
	ok(program.ended == 1 && !program.closed, "half closed");
	is_int((long long)conn_send(program.conn, "late", 4, 0), 4, "data still goes the other way");
	conn_close(program.conn);
	fake_run(1);
	answer = last_answer();
	ok(answer.flags & TCP_FIN, "with the end behind it");
	segment(client.next + 1, client.ack + 5, TCP_ACK, "", 0);
	ok(program.closed == 1 && !program.error, "in order");
	segment(client.next, client.ack + 5, TCP_ACK | TCP_FIN, "", 0);
	is_int(last_answer().flags, TCP_ACK, "a FIN that comes again is acknowledged");

	begin();
	conn_close(program.conn);
	fake_run(1);
	segment(client.next, client.ack, TCP_ACK | TCP_FIN, "", 0);	/* has not seen ours */
	ok(!program.closed && last_answer().ack == client.next + 1, "both close at once");
	segment(client.next + 1, client.ack + 1, TCP_ACK, "", 0);
	ok(program.closed == 1 && !program.error, "and come to an end");

	begin();
	program.pauses = true;
	segment(client.next, client.ack, TCP_ACK | TCP_FIN, "rest", 4);
	ok(!program.ended, "the end is not told to one that pauses");
	program.pauses = false;
	conn_resume(program.conn);
	fake_run(1);
	ok(program.bytes == 4 && program.ended == 1, "but behind what was left");
}

/* --- windows --- */

static void full_windows(void)
{
	unsigned probes = 0;
	struct answer answer;
	uint64_t end;

	begin();
	client.window = 0;
	send_in_order("GET");
	conn_send(program.conn, "0123456789", 10, 0);
	conn_close(program.conn);
	for (end = fake.ms + 300000; fake.ms < end && !program.closed;) {
		fake_run(100);
		while ((answer = next_answer()).any)
			if (answer.bytes || answer.flags & TCP_FIN) {
				probes++;
				segment(client.next, client.ack, TCP_ACK, "", 0);
			}
	}
	ok(!program.closed, "a window that stays closed does not end a connection whose probes are answered (%u in 300 s)", probes);
	ok(probes >= 10, "it is probed");
	client.window = 5;
	segment(client.next, client.ack, TCP_ACK, "", 0);
	fake_run(1);
	answer = last_answer();
	ok(answer.bytes == 5 && answer.sequence == client.ack, "what the window allows is sent when it opens (%u)", answer.bytes);
	client.window = 8000;
	segment(client.next, client.ack + 5, TCP_ACK, "", 0);
	fake_run(1);
	answer = last_answer();
	ok(answer.bytes == 5 && answer.flags & TCP_FIN, "and then the rest");
	segment(client.next, client.ack + 11, TCP_ACK | TCP_FIN, "", 0);
	ok(program.closed == 1 && !program.error, "to the end");

	begin();
	client.window = 0;
	send_in_order("GET");
	conn_send(program.conn, "0123456789", 10, 0);
	fake_run(600000);
	ok(program.closed == 1 && program.error == ETIMEDOUT, "a client that answers nothing is given up");
}

/* A last byte and the FIN behind it, as a probe: both may be taken. */
static void last_byte_probe(void)
{
	begin();
	client.window = 0;
	send_in_order("GET");
	conn_send(program.conn, "z", 1, 0);
	conn_close(program.conn);
	fake_run(3000);
	client.window = 8000;
	segment(client.next, client.ack + 2, TCP_ACK, "", 0);
	fake_run(1);
	segment(client.next, client.ack + 2, TCP_ACK | TCP_FIN, "", 0);
	fake_run(3000);
	ok(program.closed == 1 && !program.error, "a probe of the last byte with a FIN may be acknowledged whole");
}

static void small_segments(void)
{
	uint8_t frame[FAKE_BYTES];
	static const uint8_t sizes[] = { 0, 1, 64, 100 };
	char text[400];

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < sizeof(sizes); i++) {
		uint32_t all, most = 0, sum = 0;
		struct answer answer;

		begin();
		conn_abort(program.conn);
		client.port++;
		forget_answers();
		all = fake_ip(frame, client.address, PROTOCOL_TCP, 24);
		memset(frame + 34, 0, 20);
		put16(frame + 34, client.port);
		put16(frame + 36, PORT);
		put32(frame + 38, ISN);
		frame[46] = 0x60;
		frame[47] = TCP_SYN;
		put16(frame + 48, 8000);
		put32(frame + 54, 0x02040000u | sizes[i]);
		fake_tcp_sum(frame, all);
		fake_frame(frame, all);
		answer = next_answer();
		client.ack = answer.sequence + 1;
		segment(client.next, client.ack, TCP_ACK, "", 0);
		conn_send(program.conn, text, sizeof(text), 0);
		fake_run(1);
		for (unsigned turn = 0; turn < 20; turn++) {
			while ((answer = next_answer()).any)
				if (answer.sequence == client.ack + sum) {
					most = answer.bytes > most ? answer.bytes : most;
					sum += answer.bytes;
				}
			segment(client.next, client.ack + sum, TCP_ACK, "", 0);
			fake_run(1);
		}
		ok(sum == sizeof(text) && most <= (sizes[i] < 64 ? 64 : sizes[i]), "MSS %u: %u bytes in pieces of at most %u",
		    sizes[i], sum, most);
	}
}

/* --- time --- */

static void times(void)
{
	uint64_t at[12], first;
	struct answer answer;
	unsigned again = 0;

	begin();
	first = fake.ms;
	program.floods = true;		/* more than there is room for */
	send_in_order("GET");
	fake_run(900);
	while ((answer = next_answer()).any)
		again += answer.ms > first + 50 && answer.bytes;
	is_int(again, 0, "nothing is sent again within the first 900 ms");
	fake_run(200000);
	again = 0;
	while ((answer = next_answer()).any)
		if (answer.bytes && answer.sequence == client.ack && again < 12)
			at[again++] = answer.ms;
	ok(again >= 4 && program.error == ETIMEDOUT, "then %u times, and the connection is given up", again);
	for (unsigned i = 2; i < again && i < 5; i++)
		ok(at[i] - at[i - 1] >= (at[i - 1] - at[i - 2]) * 3 / 2, "each after a longer time: %u, %u ms",
		    (unsigned)(at[i - 1] - at[i - 2]), (unsigned)(at[i] - at[i - 1]));

	/* With an answer after 300 ms each time nothing is sent again. */
	begin();
	again = 0;
	client.window = 60000;
	program.floods = true;
	send_in_order("GET");
	for (unsigned turn = 0, sum = 0; turn < 12; turn++) {
		uint32_t seen = sum;
		fake_run(300);
		while ((answer = next_answer()).any) {
			if (answer.bytes && before(answer.sequence, client.ack + seen))
				again++;
			else if (answer.bytes && answer.sequence + answer.bytes - client.ack > seen)
				seen = answer.sequence + answer.bytes - client.ack;
			else
				again += answer.bytes != 0;
		}
		sum = seen;
		segment(client.next, client.ack + sum, TCP_ACK, "", 0);
	}
	is_int(again, 0, "a round trip of 300 ms: nothing is sent twice");
}

/* --- floods --- */

static void floods(void)
{
	uint32_t most, numbers[64], steps = 0;
	uint16_t mine;
	struct answer answer;

	begin();
	mine = client.port;
	event_fake.used_most = event_fake.used;
	for (unsigned i = 0; i < 20000; i++) {
		client.port = (uint16_t)(1024 + i);
		client.address = 0x0a + ((i * 2654435761u) & ~0xffu);
		segment(i * 977, 0, TCP_SYN, "", 0);
		fake_device();
	}
	most = event_fake.used_most;
	ok(most < EVENT_HEAP / 2, "20,000 SYNs: %u bytes at most", most);
	client.port = mine;
	client.address = FAKE_CLIENT;
	forget_answers();
	send_in_order("still");
	is_int(program.bytes, 5, "a connection goes on meanwhile");
	for (unsigned i = 0; i < 64; i++) {
		client.port = (uint16_t)(30000 + i);
		segment(ISN, 0, TCP_SYN, "", 0);
		answer = next_answer();
		numbers[i] = answer.sequence;
	}
	for (unsigned i = 2; i < 64; i++)
		steps += numbers[i] - numbers[i - 1] == numbers[i - 1] - numbers[i - 2];
	is_int(steps, 0, "initial numbers of neighbouring ports have no step in common");
	client.port = mine;
	fake_run(60000);
	conn_abort(program.conn);
	fake_run(100);
	is_int(event_fake.blocks, 0, "nothing is left of it");

	forget_answers();
	client.port = 40000;
	for (unsigned i = 0; i < 2000; i++, client.port++) {	/* connections that say nothing */
		segment(ISN, 0, TCP_SYN, "", 0);
		answer = next_answer();
		if (answer.flags == (TCP_SYN | TCP_ACK))
			segment(ISN + 1, answer.sequence + 1, TCP_ACK, "", 0);
	}
	ok(program.opened < 100 && event_fake.used < EVENT_HEAP / 2, "2,000 connections: %u are open, in %u bytes", program.opened, event_fake.used);
	client.port = 40000;
	for (unsigned i = 0; i < 2000; i++, client.port++)
		segment(ISN + 1, 0, TCP_RST, "", 0);
	fake_run(60000);
	is_int(event_fake.blocks, 0, "and all are gone by their resets");
}

/* --- below --- */

static void strangers(void)
{
	uint8_t frame[FAKE_BYTES];
	uint32_t all;

	begin();
	client.port++;
	segment(7, 9, TCP_ACK, "", 0);
	ok(last_answer().flags == TCP_RST, "an ACK of no connection is reset");
	segment(7, 0, TCP_SYN | TCP_FIN, "", 0);
	ok(!program.conn || program.opened == 1, "SYN and FIN open nothing");
	segment(7, 9, TCP_RST | TCP_ACK, "", 0);
	forget_answers();
	segment(7, 9, TCP_RST, "", 0);
	ok(!last_answer().any, "a reset is never answered");
	all = fake_ip(frame, FAKE_CLIENT, PROTOCOL_UDP, 8 + 4);
	memset(frame + 34, 0, 12);
	put16(frame + 34, 9);
	put16(frame + 36, 9);
	put16(frame + 38, 12);
	forget_answers();
	fake_frame(frame, all);
	fake_device();
	is_int(fake.sent_count - client.seen, 1, "a datagram to a closed port is answered");
	forget_answers();
	memset(frame, 0xff, 6);
	fake_frame(frame, all);
	fake_device();
	is_int(fake.sent_count - client.seen, 0, "but not if it came by broadcast (RFC 1122, 3.2.2)");
	memcpy(frame, "\2\0\0\0\0\1\3\0\0\0\0\1", 12);
	fake_frame(frame, all);
	fake_device();
	is_int(fake.sent_count - client.seen, 0, "nor to a sender that is many");
}

void dhcp_input(const uint8_t *data, uint32_t bytes)
{
	(void)data, (void)bytes;
}

int main(void)
{
	fake_pages();
	client.port = 20000;
	is_int(conn_listen(PORT, &calls), 0, "listening");
	resets();
	injections();
	overlaps();
	ends();
	full_windows();
	last_byte_probe();
	small_segments();
	times();
	floods();
	strangers();
	is_int(fake.malformed, 0, "no frame of ours was malformed");
	return done();
}
