/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that never sleeps, over uni: it asks again and again, without waiting, for what only comes when the network has its
 * turn. Each way of asking must let it come; all is within the machine, by 127.0.0.1.
 * Run with: --net user
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/select.h>
#include <sys/socket.h>
#include "test/guest/tap.h"

#define PORT	7000
#define SECONDS	5	/* for what takes far less than a turn of a clock */

static int listener, near = -1, far = -1;

static bool late(time_t *since)
{
	time_t now = time(NULL);

	if (!*since)
		*since = now;
	return now - *since > SECONDS;
}

static bool would_block(ssize_t result)
{
	return result < 0 && (errno == EAGAIN || errno == EINPROGRESS || errno == EALREADY);
}

static bool connects(const struct sockaddr_in *to)
{
	time_t since = 0;
	int result;

	do
		result = connect(near, (const struct sockaddr *)to, sizeof(*to));
	while (would_block(result) && !late(&since));
	return !result || errno == EISCONN;
}

static bool accepts(void)
{
	time_t since = 0;

	do
		far = accept(listener, NULL, NULL);
	while (would_block(far) && !late(&since));
	return far >= 0 && !fcntl(far, F_SETFL, O_NONBLOCK);
}

/* Does a byte come? */
static bool by_recv(void)
{
	time_t since = 0;
	ssize_t result;
	char byte;

	do
		result = recv(far, &byte, 1, 0);
	while (would_block(result) && !late(&since));
	return result == 1;
}

static bool by_read(void)
{
	time_t since = 0;
	ssize_t result;
	char byte;

	do
		result = read(far, &byte, 1);
	while (would_block(result) && !late(&since));
	return result == 1;
}

/* `near` can always be written to, so that poll never has to wait; with nothing that is ready it is told not to. */
static bool by_poll(int timeout)
{
	struct pollfd fds[2] = { { far, POLLIN, 0 }, { near, timeout ? POLLOUT : 0, 0 } };
	time_t since = 0;

	while (poll(fds, 2, timeout) >= 0 && !(fds[0].revents & POLLIN) && !late(&since))
		;
	return fds[0].revents & POLLIN && by_recv();
}

static bool by_select(void)
{
	time_t since = 0;
	bool come = false;

	while (!come && !late(&since)) {
		struct timeval none = { 0, 0 };
		fd_set in;

		FD_ZERO(&in);
		FD_SET(far, &in);
		come = select(far + 1, &in, NULL, NULL, &none) == 1;
	}
	return come && by_recv();
}

/* Until all is there that fits nowhere at once. */
static bool by_send(void)
{
	static char bytes[400000];
	size_t sent = 0, received = 0;
	time_t since = 0;

	while (received < sizeof(bytes) && !late(&since)) {
		ssize_t result = sent < sizeof(bytes) ? send(near, bytes + sent, sizeof(bytes) - sent, 0) : 0;

		sent += result > 0 ? (size_t)result : 0;
		result = recv(far, bytes, sizeof(bytes), MSG_DONTWAIT);
		received += result > 0 ? (size_t)result : 0;
	}
	return received == sizeof(bytes);
}

int main(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	listener = socket(AF_INET, SOCK_STREAM, 0);
	near = socket(AF_INET, SOCK_STREAM, 0);
	if (!ok(listener >= 0 && near >= 0 && !bind(listener, (struct sockaddr *)&here, sizeof(here)) &&
	    !fcntl(listener, F_SETFL, O_NONBLOCK) && !listen(listener, 1) && !fcntl(near, F_SETFL, O_NONBLOCK),
	    "two sockets that do not wait"))
		return tap_done();
	ok(connects(&here), "connect, again and again");
	if (!ok(accepts(), "accept"))
		return tap_done();
	ok(send(near, "1", 1, 0) == 1 && by_recv(), "recv");
	ok(send(near, "2", 1, 0) == 1 && by_read(), "read");
	ok(send(near, "3", 1, 0) == 1 && by_poll(0), "poll without waiting");
	ok(send(near, "4", 1, 0) == 1 && by_poll(-1), "poll with something that is always ready");
	ok(send(near, "5", 1, 0) == 1 && by_select(), "select");
	ok(by_send(), "send and recv of more than there is room for");
	return tap_done();
}
