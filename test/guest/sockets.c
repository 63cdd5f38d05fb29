/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets from both sides in one program that talks to itself: connecting, with and without waiting, being refused, ends of either
 * side, datagrams with and without a peer, names of ends, options, addresses.
 * Run with: --net user
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "test/guest/tap.h"

#define PORT	4100

static struct sockaddr_in self(unsigned port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	name.sin_addr.s_addr = htonl(0x7f000001);
	return name;
}

static int bound(int type, unsigned port)
{
	struct sockaddr_in name = self(port);
	int s = socket(AF_INET, type, 0);

	name.sin_addr.s_addr = 0;
	return bind(s, (struct sockaddr *)&name, sizeof(name)) ? -1 : s;
}

static int join(int s, unsigned port)
{
	struct sockaddr_in name = self(port);

	return connect(s, (struct sockaddr *)&name, sizeof(name));
}

static short ready(int s, short events, int ms)
{
	struct pollfd one = { .fd = s, .events = events };

	poll(&one, 1, ms);
	return one.revents;
}

static int pending(int s)
{
	int error = -1;
	socklen_t bytes = sizeof(error);

	getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &bytes);
	return error;
}

static unsigned port_of(int s, int (*name)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in at = { .sin_port = 0 };
	socklen_t bytes = sizeof(at);

	return name(s, (struct sockaddr *)&at, &bytes) ? 0 : ntohs(at.sin_port);
}

static void test_streams(int listener)
{
	int client = socket(AF_INET, SOCK_STREAM, 0), server;
	struct sockaddr_in from;
	socklen_t bytes = sizeof(from);
	char text[32];

	ok(port_of(client, getpeername) == 0 && errno == ENOTCONN, "one that is not connected has no peer");
	ok(join(client, PORT) == 0, "connect");
	ok(join(client, PORT) == -1 && errno == EISCONN, "once");
	ok(ready(listener, POLLIN, 1000) == POLLIN, "the listener is told");
	server = accept(listener, (struct sockaddr *)&from, &bytes);
	ok(server >= 0 && bytes == sizeof(from) && ntohs(from.sin_port) == port_of(client, getsockname),
	    "accept tells who it is");
	ok(port_of(client, getpeername) == PORT && port_of(server, getsockname) == PORT &&
	    port_of(server, getpeername) == port_of(client, getsockname), "both know both ends");
	ok(send(client, "question", 8, 0) == 8 && recv(server, text, sizeof(text), 0) == 8, "bytes go one way");
	ok(send(server, "answer", 6, 0) == 6 && recv(client, text, 3, MSG_PEEK) == 3 && recv(client, text, 3, 0) == 3 &&
	    !memcmp(text, "ans", 3) && recv(client, text, sizeof(text), 0) == 3, "and the other, looked at and in parts");
	ok(shutdown(client, SHUT_WR) == 0 && recv(server, text, sizeof(text), 0) == 0, "one side ends");
	ok(send(client, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "it can send no more");
	ok(send(server, "late", 4, 0) == 4 && shutdown(server, SHUT_WR) == 0, "the other goes on, and ends");
	ok(recv(client, text, sizeof(text), 0) == 4 && recv(client, text, sizeof(text), 0) == 0, "which comes whole, then the end");
	close(client);
	close(server);
}

/* Both sides have ended before what came first is read. */
static void test_late(int listener)
{
	int client = socket(AF_INET, SOCK_STREAM, 0), server;
	char text[32];

	join(client, PORT);
	server = accept(listener, NULL, NULL);
	send(server, "early", 5, 0);
	close(server);
	ok(ready(client, POLLIN, 1000) & POLLIN, "something came");
	shutdown(client, SHUT_WR);
	usleep(50000);
	ok(recv(client, text, sizeof(text), 0) == 5 && recv(client, text, sizeof(text), 0) == 0, "is read after both have ended");
	close(client);
}

static void test_refused(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	ok(join(s, PORT + 1) == -1 && errno == ECONNREFUSED, "a port where nobody listens");
	close(s);
	s = socket(AF_INET, SOCK_STREAM, 0);
	fcntl(s, F_SETFL, O_NONBLOCK);
	ok(join(s, PORT + 1) == -1 && errno == EINPROGRESS, "without waiting it is on its way");
	ok(ready(s, POLLOUT, 2000) & (POLLOUT | POLLERR), "until it is told");
	ok(pending(s) == ECONNREFUSED, "why not");
	close(s);
}

static void test_without_waiting(int listener)
{
	int client = socket(AF_INET, SOCK_STREAM, 0), server;
	char text[32];

	fcntl(client, F_SETFL, O_NONBLOCK);
	ok(join(client, PORT) == -1 && errno == EINPROGRESS, "a connection on its way");
	ok(ready(client, POLLOUT, 2000) == POLLOUT && pending(client) == 0, "is there");
	ok(recv(client, text, sizeof(text), 0) == -1 && errno == EAGAIN, "nothing to receive yet");
	server = accept(listener, NULL, NULL);
	send(server, "x", 1, 0);
	ok(ready(client, POLLIN, 2000) == POLLIN && recv(client, text, sizeof(text), 0) == 1, "then there is");
	close(client);
	ok(recv(server, text, sizeof(text), 0) == 0, "its end is told");
	close(server);
}

static void test_reset(int listener)
{
	struct linger hard = { .l_onoff = 1 };
	int client = socket(AF_INET, SOCK_STREAM, 0), server;
	char text[32];

	join(client, PORT);
	server = accept(listener, NULL, NULL);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(client);
	ok(recv(server, text, sizeof(text), 0) == -1 && errno == ECONNRESET, "a reset is told");
	close(server);
}

static void test_options(int listener)
{
	struct timeval wait = { 0, 50000 };
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1, type = 0, other;
	socklen_t bytes = sizeof(int);
	char text[8];

	ok(bound(SOCK_STREAM, PORT) == -1 && errno == EADDRINUSE, "a port is had once");
	ok(!setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) && !setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) &&
	    !setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), "options are taken");
	ok(!getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &type, &bytes) && type, "and told");
	ok(!getsockopt(s, SOL_SOCKET, SO_TYPE, &type, &bytes) && type == SOCK_STREAM, "a stream is one");
	ok(!getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &type, &bytes) && type, "a listener is one");
	ok(setsockopt(s, SOL_SOCKET, 9999, &on, sizeof(on)) == -1 && errno == ENOPROTOOPT, "what is not known is not taken");
	join(s, PORT);
	other = accept(listener, NULL, NULL);
	ok(recv(s, text, sizeof(text), 0) == -1 && (errno == EAGAIN || errno == EWOULDBLOCK), "SO_RCVTIMEO: it waits no longer");
	close(s);
	close(other);
}

static void test_datagrams(void)
{
	int a = bound(SOCK_DGRAM, PORT), b = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = self(PORT), from;
	struct iovec piece[2] = { { (char *)"two ", 4 }, { (char *)"pieces", 6 } };
	struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = piece, .msg_iovlen = 2 };
	socklen_t bytes = sizeof(from);
	char text[32];

	ok(bound(SOCK_DGRAM, PORT) == -1 && errno == EADDRINUSE, "a port for datagrams is had once");
	ok(send(b, "x", 1, 0) == -1, "without a peer nothing is sent");
	ok(sendto(b, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)) == 5, "sendto");
	ok(ready(a, POLLIN, 1000) == POLLIN && recvfrom(a, text, sizeof(text), 0, (struct sockaddr *)&from, &bytes) == 5 &&
	    ntohs(from.sin_port) == port_of(b, getsockname), "recvfrom tells who sent it");
	ok(sendto(a, "back", 4, 0, (struct sockaddr *)&from, sizeof(from)) == 4 && recv(b, text, 2, 0) == 2, "back, cut off");
	ok(recv(b, text, sizeof(text), MSG_DONTWAIT) == -1 && errno == EAGAIN, "the rest of it is gone");
	ok(join(c, PORT) == 0 && port_of(c, getpeername) == PORT, "one with a peer");
	ok(send(c, "one", 3, 0) == 3 && recv(a, text, sizeof(text), 0) == 3, "sends to it");
	to.sin_port = htons((uint16_t)port_of(c, getsockname));
	sendto(b, "stranger", 8, 0, (struct sockaddr *)&to, sizeof(to));
	sendto(a, "peer", 4, 0, (struct sockaddr *)&to, sizeof(to));
	ok(recv(c, text, sizeof(text), 0) == 4 && recv(c, text, sizeof(text), MSG_DONTWAIT) == -1, "and hears nobody else");
	to.sin_port = htons(PORT);
	ok(sendmsg(b, &message, 0) == 10 && recv(a, text, sizeof(text), 0) == 10 && !memcmp(text, "two pieces", 10), "sendmsg");
	close(a);
	close(b);
	close(c);
}

static void test_names(void)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found = NULL;
	const struct sockaddr_in *name;

	ok(getaddrinfo("10.1.2.3", "80", &hints, &found) == 0 && found, "an address by its numbers");
	name = (const struct sockaddr_in *)(const void *)found->ai_addr;
	ok(ntohl(name->sin_addr.s_addr) == 0x0a010203 && ntohs(name->sin_port) == 80, "is that one");
	freeaddrinfo(found);
}

static void test_many(int listener)
{
	char text[8];
	int good = 0;

	for (int i = 0; i < 200; i++) {
		int client = socket(AF_INET, SOCK_STREAM, 0), server;

		if (join(client, PORT))
			break;
		server = accept(listener, NULL, NULL);
		good += send(client, "x", 1, 0) == 1 && recv(server, text, 1, 0) == 1;
		if (i % 2)
			close(client);
		close(server);
		if (!(i % 2))
			close(client);
	}
	ok(good == 200, "%d of 200 connections, one after the other", good);
}

int main(void)
{
	int listener = bound(SOCK_STREAM, PORT);

	ok(listener >= 0 && !listen(listener, 16), "a listener");
	test_streams(listener);
	test_late(listener);
	test_refused();
	test_without_waiting(listener);
	test_reset(listener);
	test_options(listener);
	test_datagrams();
	test_names();
	test_many(listener);
	close(listener);
	ok(join(socket(AF_INET, SOCK_STREAM, 0), PORT) == -1 && errno == ECONNREFUSED, "a listener that was closed");
	listener = bound(SOCK_STREAM, PORT + 2);
	ok(listener >= 0 && !listen(listener, 16) && join(socket(AF_INET, SOCK_STREAM, 0), PORT + 2) == 0, "another one");
	return tap_done();
}
