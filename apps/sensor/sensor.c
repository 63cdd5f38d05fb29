/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sensor: samples at a period, reports each sample to a collector by UDP, shows the last ones as a page, and sleeps in between.
 *
 *	sensor [--period MS] [--collector A.B.C.D:PORT] [--port N] [--patience MS]
 *		[--address A.B.C.D/BITS [--gateway A.B.C.D]]
 *
 * The machine has no thermometer; what it measures is real and its own: free frames of the machine, the CPU time that this
 * program has used, how often it was given the CPU, and what its network and heap hold. A report is one line of text:
 *
 *	sensor 7 up_ms=7123 free_frames=15877 cpu_us=412 switches=31 heap_free=31680
 *
 * The page is at /, the same as JSON at /json. All is bounded: READINGS samples, CLIENTS connections, each with 10 s (--patience)
 * from its first byte to its last, REQUEST bytes of a request.
 */
#include <string.h>
#include "libos/event/event.h"

EVENT_MEMORY(2, 2, 5);

#define READINGS	16
#define CLIENTS		6
#define REQUEST		1024
#define LINE		160	/* bytes that fit the longest line of an answer */
#define UDP_PORT	5005	/* that reports come from */

struct reading {
	uint64_t number, up_ms, cpu_us, switches;
	uint32_t free_frames, heap_free;
};

/* An answer is made line by line, as there is room to send it. */
struct client {
	struct conn_timer timer;
	struct conn *conn;
	const char *status;		/* NULL: nothing has been asked yet */
	enum { NOTHING, PAGE, JSON } what;
	uint64_t next;			/* reading to come; ... */
	bool ended;			/* ... all is in `line` */
	uint16_t bytes, sent;		/* of `line` */
	char line[LINE];
};

static struct reading readings[READINGS];
static uint64_t taken, reported;
static uint64_t period_ms = 1000, patience_ms = 10000;
static struct conn_peer collector;
static uint32_t client_count;

/* --- sampling --- */

static const struct reading *latest(void)
{
	return &readings[(taken - 1) % READINGS];
}

static void sample(void)
{
	struct reading *reading = &readings[taken % READINGS];
	const struct exo_env_info *self = event_self();

	*reading = (struct reading){
		.number = ++taken, .up_ms = conn_now(), .free_frames = core_info->frames_free, .heap_free = event_heap.free,
		.cpu_us = self ? self->ns / 1000 : 0, .switches = self ? self->switches : 0,
	};
}

static bool report(void)
{
	const struct reading *reading = latest();
	char line[LINE];
	size_t bytes = core_format(line, sizeof(line), "sensor %lu up_ms=%lu free_frames=%u cpu_us=%lu switches=%lu heap_free=%u\n",
	    reading->number, reading->up_ms, reading->free_frames, reading->cpu_us, reading->switches, reading->heap_free);

	return conn_datagram(UDP_PORT, &collector, line, bytes);
}

static enum pt_state sampler(struct pt *pt)
{
	PT_BEGIN(pt);
	PT_WAIT_UNTIL(pt, event_address());
	core_print("sensor: sampling every %lu ms\n", period_ms);
	for (;;) {
		sample();
		if (collector.port && report())
			reported++;
		PT_SLEEP(pt, period_ms);
	}
	PT_END(pt);
}

/* --- the page --- */

static void put(struct client *client, const char *format, ...)
{
	va_list arguments;
	size_t bytes;

	va_start(arguments, format);
	bytes = core_vformat(client->line, sizeof(client->line), format, arguments);
	va_end(arguments);
	client->bytes = (uint16_t)(bytes < sizeof(client->line) ? bytes : sizeof(client->line) - 1);
	client->sent = 0;
}

/* The next line of an answer; false: that was the last. */
static bool next_line(struct client *client)
{
	const struct reading *reading;

	if (client->ended)
		return false;
	if (client->next + READINGS < taken)
		client->next = taken - READINGS;	/* slow: those in between are gone */
	client->ended = client->what == NOTHING || client->next == taken;
	if (client->ended) {
		put(client, client->what == PAGE ? "</table>\n" : client->what == JSON ? "null]}\n" : "%s\n", client->status);
		return true;
	}
	reading = &readings[client->next++ % READINGS];
	put(client, client->what == JSON ? "[%lu,%lu,%u,%lu,%lu,%u],\n" : "<tr><td>%lu<td>%lu<td>%u<td>%lu<td>%lu<td>%u\n",
	    reading->number, reading->up_ms, reading->free_frames, reading->cpu_us, reading->switches, reading->heap_free);
	return true;
}

static const char *title(int what)
{
	return what == PAGE ? "<title>sensor</title><p>%lu taken, %lu reported; %lu turns, %lu sleeps\n"
	    "<table><tr><th>#<th>up ms<th>free frames<th>CPU us<th>switches<th>heap free\n" :
	    what == JSON ? "{\"taken\":%lu,\"reported\":%lu,\"turns\":%lu,\"sleeps\":%lu,\"readings\":[\n" : "";
}

/* --- clients --- */

static void go_on(struct conn *conn)
{
	struct client *client = conn_get(conn);

	while (client->status) {
		client->sent += (uint16_t)conn_send(conn, client->line + client->sent, client->bytes - client->sent, CONN_MORE);
		if (client->sent < client->bytes)
			return;
		if (!next_line(client)) {
			conn_close(conn);
			return;
		}
	}
}

/* HTTP/1.0 without a length: the end of the connection is the end of the answer. */
static void answer(struct client *client, const char *status, int what)
{
	char head[LINE];

	client->status = status;
	client->what = what;
	core_format(head, sizeof(head), "HTTP/1.0 %s\r\nContent-Type: %s\r\n\r\n", status,
	    what == PAGE ? "text/html" : what == JSON ? "application/json" : "text/plain");
	conn_send(client->conn, head, strlen(head), CONN_MORE);
	put(client, title(what), taken, reported, conn_counts.turns, conn_counts.sleeps);
	go_on(client->conn);
}

static bool is(const char *data, size_t bytes, const char *text)
{
	size_t length = strlen(text);

	return bytes > length && !memcmp(data, text, length) && (data[length] == ' ' || data[length] == '\r');
}

static size_t received(struct conn *conn, const char *data, size_t bytes)
{
	struct client *client = conn_get(conn);
	size_t end = 0;

	if (client->status)
		return bytes;
	while (end + 3 < bytes && memcmp(data + end, "\r\n\r\n", 4))
		end++;
	if (end + 3 >= bytes && bytes < REQUEST)
		return 0;
	if (end + 3 >= bytes)
		answer(client, "431 Request Header Fields Too Large", NOTHING);
	else if (is(data, bytes, "GET /"))
		answer(client, "200 OK", PAGE);
	else if (is(data, bytes, "GET /json"))
		answer(client, "200 OK", JSON);
	else if (!memcmp(data, "GET ", 4))
		answer(client, "404 Not Found", NOTHING);
	else
		answer(client, "405 Method Not Allowed", NOTHING);
	return bytes;
}

static void late(struct conn_timer *timer)
{
	conn_abort(((struct client *)timer)->conn);
}

static bool opened(struct conn *conn)
{
	struct client *client = client_count < CLIENTS ? event_calloc(1, sizeof(*client)) : NULL;

	if (!client)
		return false;
	client_count++;
	client->conn = conn;
	client->timer.call = late;
	conn_timer_set(&client->timer, patience_ms);
	conn_set(conn, client);
	return true;
}

static void closed(struct conn *conn, int error)
{
	struct client *client = conn_get(conn);

	(void)error;
	conn_timer_clear(&client->timer);
	event_free(client);
	client_count--;
}

static const struct conn_calls calls = { .opened = opened, .received = received, .room = go_on, .closed = closed };

/* --- starting --- */

static uint64_t number(const char **at)
{
	uint64_t value = 0;

	while (**at >= '0' && **at <= '9' && value < 1000000000)
		value = value * 10 + (uint64_t)(*(*at)++ - '0');
	return value;
}

/* "A.B.C.D:PORT" */
static bool peer(const char *at, struct conn_peer *peer)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t byte = number(&at);
		if (byte > 255 || *at++ != (i < 3 ? '.' : ':'))
			return false;
		peer->address |= (uint32_t)byte << 8 * i;
	}
	uint64_t port = number(&at);
	peer->port = (uint16_t)port;
	return port && port < 65536 && !*at;
}

static _Noreturn void usage(const char *word)
{
	core_fail("%s: not understood; sensor [--period MS] [--collector A.B.C.D:PORT] [--port N] "
		  "[--patience MS] [--address A.B.C.D/BITS [--gateway A.B.C.D]]", word);
}

int main(int argc, char **argv)
{
	static struct pt pt;
	const char *address = NULL, *gateway = NULL;
	uint64_t port = 80;
	int error;

	for (int i = 1; i < argc; i += 2) {
		const char *value = argv[i + 1], *at = value;
		bool good = value != NULL;

		if (!good)
			usage(argv[i]);
		if (!strcmp(argv[i], "--period"))
			good = (period_ms = number(&at)) >= 10 && !*at;
		else if (!strcmp(argv[i], "--patience"))
			good = (patience_ms = number(&at)) > 0 && !*at;
		else if (!strcmp(argv[i], "--port"))
			good = (port = number(&at)) && port < 65536 && !*at;
		else if (!strcmp(argv[i], "--collector"))
			good = peer(value, &collector);
		else if (!strcmp(argv[i], "--address"))
			address = value;
		else if (!strcmp(argv[i], "--gateway"))
			gateway = value;
		else
			good = false;
		if (!good)
			usage(argv[i]);
	}
	if (address && !event_address_set(address, gateway))
		usage("--address");
	error = conn_listen((uint16_t)port, &calls);
	if (error || (collector.port && conn_bind(UDP_PORT, NULL)))
		core_fail("no network: %s", event_net_start() ? event_net_start() : "no memory");
	pt_start(&pt, sampler);
	return conn_run();
}
