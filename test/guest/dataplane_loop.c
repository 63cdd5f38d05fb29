/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of the libOS dataplane from inside: ports that are had once, timers in order and cleared, an idle loop that sleeps, other
 * threads that run beside it, connections of the program to itself with pauses and ends of all kinds, and memory that is back.
 * Run with: --net user
 */
#include <errno.h>
#include <string.h>
#include "lwip/tcp.h"
#include "libos/conn/conn.h"
#include "libos/core/thread.h"
#include "libos/net/memory.h"
#include "test/guest/tap.h"

#define PORT	4000
#define ROUNDS	3

static unsigned fired[4], order, ticks, beside;
static uint64_t began;
static struct conn_timer timers[4], end;

static void on_timer(struct conn_timer *timer)
{
	fired[timer - timers] = ++order;
}

static void on_end(struct conn_timer *timer)
{
	(void)timer;
	conn_stop(7);
}

static int run_for(uint64_t ms)
{
	end.call = on_end;
	conn_timer_set(&end, ms);
	return conn_run();
}

static void test_timers(void)
{
	for (unsigned i = 0; i < 4; i++) {
		timers[i].call = on_timer;
		conn_timer_set(&timers[i], 40 - 10 * i);
	}
	conn_timer_clear(&timers[1]);
	began = conn_now();
	ok(run_for(60) == 7, "conn_run returns what conn_stop was given");
	ok(conn_now() - began >= 60 && conn_now() - began < 1000, "after the time that was set");
	ok(fired[3] == 1 && fired[2] == 2 && fired[0] == 3 && !fired[1], "timers in the order of their times, not the cleared one");
}

static void test_idle(void)
{
	struct conn_counts before = conn_counts;

	run_for(500);
	ok(conn_counts.turns - before.turns < 40, "half an idle second has %u turns", (unsigned)(conn_counts.turns - before.turns));
	ok(conn_counts.sleeps - before.sleeps + 2 >= conn_counts.turns - before.turns, "it sleeps after each");
}

static void tick(void *arg)
{
	(void)arg;
	while (ticks < 20) {
		thread_sleep(core_now() + CORE_SECOND / 200);
		ticks++;
	}
}

static void spin(void *arg)
{
	(void)arg;
	for (; beside < 1000; beside++)
		thread_yield();
}

static void test_threads(void)
{
	struct thread *one = thread_create("tick", tick, NULL), *two = thread_create("spin", spin, NULL);

	run_for(400);
	ok(ticks == 20, "a thread that sleeps is woken beside the loop: %u times", ticks);
	ok(beside == 1000, "one that only yields gets its turns: %u", beside);
	thread_join(one);
	thread_join(two);
}

/* --- connections to oneself --- */

static unsigned served, server_closed, client_got, client_ended, client_error, pausing;
static struct conn *paused;
static struct conn_timer resume;

static void go_on(struct conn_timer *timer)
{
	(void)timer;
	conn_resume(paused);
}

static size_t server_received(struct conn *conn, const char *data, size_t bytes)
{
	served++;
	if (pausing && data[0] == 'p') {
		pausing = 0;
		paused = conn;
		conn_pause(conn);
		resume.call = go_on;
		conn_timer_set(&resume, 20);
		return 0;
	}
	if (data[0] == 'a') {
		conn_abort(conn);
		return bytes;
	}
	if (bytes < 100)
		return 0;		/* until it is whole */
	conn_send(conn, data, bytes, 0);
	conn_close(conn);
	return bytes;
}

static void server_gone(struct conn *conn, int error)
{
	(void)conn, (void)error;
	server_closed++;
}

static const struct conn_calls server = { .received = server_received, .closed = server_gone };

static err_t client_received(void *arg, struct tcp_pcb *pcb, struct pbuf *packet, err_t error)
{
	(void)arg, (void)error;
	if (packet) {
		client_got += packet->tot_len;
		tcp_recved(pcb, packet->tot_len);
		pbuf_free(packet);
		return ERR_OK;
	}
	client_ended++;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_close(pcb);
	return ERR_OK;
}

static void client_failed(void *arg, err_t error)
{
	(void)arg, (void)error;
	client_error++;
}

/* 100 bytes in two pieces. */
static err_t client_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	char text[100];

	(void)error;
	memset(text, *(const char *)arg, sizeof(text));
	tcp_write(pcb, text, 60, TCP_WRITE_FLAG_COPY);
	tcp_output(pcb);
	tcp_write(pcb, text, 40, TCP_WRITE_FLAG_COPY);
	return tcp_output(pcb);
}

static void client(const char *what)
{
	struct tcp_pcb *pcb = tcp_new();
	ip_addr_t self;

	IP_ADDR4(&self, 127, 0, 0, 1);
	tcp_arg(pcb, (void *)(uintptr_t)what);
	tcp_recv(pcb, client_received);
	tcp_err(pcb, client_failed);
	tcp_connect(pcb, &self, PORT, client_connected);
	run_for(200);
}

static void datagram(uint16_t port, const struct conn_peer *from, const char *data, size_t bytes)
{
	(void)port, (void)from, (void)data, (void)bytes;
}

int main(void)
{
	uint32_t free_before, free_after;

	ok(conn_listen(PORT, &server) == 0, "a port is had");
	ok(conn_listen(PORT, &server) == EADDRINUSE, "not twice");
	ok(conn_bind(PORT, datagram) == 0 && conn_bind(PORT, datagram) == EADDRINUSE, "a port for datagrams likewise");
	ok(!conn_datagram(PORT + 1, &(struct conn_peer){ 0, 1 }, "x", 1), "nothing is sent from a port that is not had");
	ok(conn_memory(1 << 30) == NULL && conn_memory(100) != NULL, "memory to send from, not more than there is");
	test_timers();
	test_idle();
	test_threads();
	client("w");
	net_memory_settle();
	free_before = net_memory_use().pages_free;
	for (unsigned i = 0; i < ROUNDS; i++) {
		pausing = 1;
		client("w");
		client("p");
		client("a");
	}
	ok(client_got == 100 * (2 * ROUNDS + 1), "answers come whole, in pieces and paused or not: %u bytes", client_got);
	ok(client_ended == 2 * ROUNDS + 1 && client_error == ROUNDS, "ends and resets: %u, %u", client_ended, client_error);
	ok(server_closed == 3 * ROUNDS + 1, "each has a last word: %u", server_closed);
	run_for(3000);		/* those that have ended are remembered for two seconds */
	net_memory_settle();
	free_after = net_memory_use().pages_free;
	ok(free_after + 1 >= free_before, "the network's memory is back: %u pages of %u", free_after, free_before);
	ok(conn_counts.opened == conn_counts.closed, "as many were closed as opened");
	return tap_done();
}
