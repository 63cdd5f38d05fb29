/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server for test/e2e/dataplane.py that does with connections whatever conn.h lets a program do. Requests are heads of HTTP
 * without a body; the first letters of the path say what happens:
 *
 *	/big	 a megabyte, from memory of the program's that is copied;  /kept  the same of conn_memory
 *	/pause	 reads on after 300 ms only, then answers;  /abort  a reset;  /close  answers and closes
 *	/counts	 conn_counts, bytes that the kernel received and copied, and the network's memory, one line each
 *	/stop	 ends the program;  else: 110 bytes
 *
 * What is not whole yet is left unused. Answers wait until the last one is sent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/conn/conn.h"
#include "libos/core/spawn.h"
#include "libos/net/memory.h"

#define PORT		80
#define BIG_BYTES	1000000
#define PIECE		8192
#define PAUSE_MS	300

struct client {
	struct conn *conn;
	struct conn_timer timer;
	size_t big;		/* bytes of a big answer that are still to be sent */
	size_t rest;		/* of a short one */
	unsigned how;
};

static const char short_answer[] =
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 110\r\n\r\n"
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
static char copied[PIECE], *kept;
static unsigned open_now;

static void go_on(struct client *client)
{
	if (client->rest)
		client->rest -= conn_send(client->conn, short_answer + sizeof(short_answer) - 1 - client->rest, client->rest, 0);
	while (client->big) {
		size_t piece = client->big < PIECE ? client->big : PIECE;
		size_t sent = conn_send(client->conn, client->how ? kept : copied, piece, client->how | CONN_MORE);

		client->big -= sent;
		if (sent < piece)
			return;
	}
}

static void send_text(struct conn *conn, const char *body)
{
	char text[1024];
	int bytes = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);

	conn_send(conn, text, (size_t)bytes, 0);
}

static void send_counts(struct conn *conn)
{
	unsigned long long received = 0, direct = 0;
	struct net_memory_use use;
	char text[512];

	for (uint32_t i = 0; i < core_info->flows.entries; i++) {
		received += info_flow(i)->rx_bytes;
		direct += info_flow(i)->rx_direct;
	}
	net_memory_settle();
	use = net_memory_use();
	snprintf(text, sizeof(text), "open %u\nopened %llu\nclosed %llu\ncopied_in %llu\ncopied_out %llu\nturns %llu\n"
	    "empty %llu\nsleeps %llu\nreceived %llu\nkernel_copied %llu\npages %u\nfree %u\n", open_now,
	    (unsigned long long)conn_counts.opened, (unsigned long long)conn_counts.closed,
	    (unsigned long long)conn_counts.copied_in, (unsigned long long)conn_counts.copied_out,
	    (unsigned long long)conn_counts.turns, (unsigned long long)conn_counts.polls_empty,
	    (unsigned long long)conn_counts.sleeps, received, received - direct, use.pages, use.pages_free);
	send_text(conn, text);
}

static void paused_enough(struct conn_timer *timer)
{
	struct client *client = (struct client *)((char *)timer - offsetof(struct client, timer));

	send_text(client->conn, "paused");
	conn_resume(client->conn);
}

static void answer(struct client *client, const char *path)
{
	struct conn *conn = client->conn;

	if (!strncmp(path, "/big", 4) || !strncmp(path, "/kept", 5)) {
		char head[100];

		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG_BYTES);
		conn_send(conn, head, strlen(head), CONN_MORE);
		client->big = BIG_BYTES;
		client->how = path[1] == 'k' && kept ? CONN_KEPT : 0;
		go_on(client);
	} else if (!strncmp(path, "/pause", 6)) {
		conn_pause(conn);
		conn_timer_set(&client->timer, PAUSE_MS);
	} else if (!strncmp(path, "/abort", 6)) {
		conn_abort(conn);
	} else if (!strncmp(path, "/counts", 7)) {
		send_counts(conn);
	} else {
		client->rest = sizeof(short_answer) - 1 - conn_send(conn, short_answer, sizeof(short_answer) - 1, 0);
	}
	if (!strncmp(path, "/stop", 5))
		conn_stop(0);
	if (!strncmp(path, "/close", 6))
		conn_close(conn);
}

static bool opened(struct conn *conn)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return false;
	client->conn = conn;
	client->timer.call = paused_enough;
	conn_set(conn, client);
	open_now++;
	return true;
}

static size_t received(struct conn *conn, const char *data, size_t bytes)
{
	struct client *client = conn_get(conn);
	size_t used = 0;

	while (used < bytes && !client->big && !client->rest && !client->timer.set) {
		const char *end = bytes - used > 4 && !memcmp(data + bytes - 4, "\r\n\r\n", 4) &&
		    !memmem(data + used, bytes - used - 4, "\r\n\r\n", 4) ? data + bytes - 4 :
		    memmem(data + used, bytes - used, "\r\n\r\n", 4);

		if (!end)
			break;
		if ((size_t)(end - data) > used + 5)
			answer(client, data + used + 4);
		used = (size_t)(end - data) + 4;
	}
	if (client->big || client->rest)
		conn_pause(conn);	/* until there is room for more answers */
	return used;
}

static void room(struct conn *conn)
{
	struct client *client = conn_get(conn);

	if (!client->big && !client->rest)
		return;
	go_on(client);
	if (!client->big && !client->rest)
		conn_resume(conn);	/* what came meanwhile */
}

static void closed(struct conn *conn, int error)
{
	struct client *client = conn_get(conn);

	(void)error;
	conn_timer_clear(&client->timer);
	free(client);
	open_now--;
}

static const struct conn_calls calls = { .opened = opened, .received = received, .room = room, .closed = closed };

static void echo(uint16_t port, const struct conn_peer *from, const char *data, size_t bytes)
{
	conn_datagram(port, from, data, bytes);
}

int main(void)
{
	int wrong;

	memset(copied, 'c', sizeof(copied));
	wrong = conn_listen(PORT, &calls);
	if (!wrong)
		wrong = conn_bind(7, echo);
	if (wrong == EACCES)
		wrong = 0;	/* a program that has a part of a port only */
	if (wrong) {
		printf("listen: %s\n", strerror(wrong));
		return 1;
	}
	if (conn_listen(PORT, &calls) == 0)
		printf("a port was given twice\n");
	kept = conn_memory(PIECE);
	if (kept)
		memset(kept, 'k', PIECE);
	printf("answering\n");
	fflush(stdout);
	wrong = conn_run();
	printf("stopped with %u open\n", open_now);
	return wrong;
}
