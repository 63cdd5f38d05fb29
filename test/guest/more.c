/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small writes to TCP, over loopback: what MSG_MORE holds back goes with what follows, with the connection's end, or
 * after a while by itself. Run by test/e2e/more.py, since it needs a network.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/tap.h"

static int door;

static bool connected(int pair[2], int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (pair[0] < 0 || connect(pair[0], (struct sockaddr *)&at, sizeof(at)))
		return false;
	pair[1] = accept(door, NULL, NULL);
	return pair[1] >= 0;
}

static void patience(int fd, int ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void held(int pair[2])
{
	char got[64] = "";
	int64_t began = now_ms();

	ok(send(pair[0], "one", 3, MSG_MORE) == 3, "a send with MSG_MORE");
	patience(pair[1], 50);
	ok(recv(pair[1], got, sizeof(got), 0) < 0 && errno == EAGAIN, "nothing comes at once");
	patience(pair[1], 5000);
	ok(recv(pair[1], got, sizeof(got), 0) == 3 && !memcmp(got, "one", 3), "it comes by itself");
	ok(now_ms() - began >= 150, "after a while");
}

static void joined(int pair[2])
{
	char got[64] = "";

	ok(send(pair[0], "two, ", 5, MSG_MORE) == 5 && send(pair[0], "three", 5, 0) == 5, "MSG_MORE, and more");
	ok(recv(pair[1], got, sizeof(got), 0) == 10 && !memcmp(got, "two, three", 10), "both come together");
}

/* More than a connection takes at once, in small pieces: some are held, some wait for room. */
static void much(int pair[2])
{
	char piece[1000], got[1000];
	size_t sent = 0, came = 0;
	bool right = true;

	for (int i = 0; i < 300; i++) {
		memset(piece, 'a' + i % 26, sizeof(piece));
		ssize_t n = send(pair[0], piece, sizeof(piece), (i % 3 ? MSG_MORE : 0) | MSG_DONTWAIT);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	while (came < sent) {
		ssize_t n = recv(pair[1], got, sizeof(got), 0);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			right &= got[i] == (char)('a' + (came + (size_t)i) / sizeof(piece) % 26);
		came += (size_t)n;
	}
	ok(sent > 10000 && came == sent && right, "%lu bytes in pieces come whole and in order", (unsigned long)sent);
}

static void ended(int pair[2])
{
	char got[64] = "";

	ok(send(pair[0], "last", 4, MSG_MORE) == 4 && !close(pair[0]), "MSG_MORE, and the end");
	ok(recv(pair[1], got, sizeof(got), 0) == 4 && !memcmp(got, "last", 4), "what was held comes");
	ok(recv(pair[1], got, sizeof(got), 0) == 0, "and the end");
	close(pair[1]);
}

int main(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(7000) };
	int pair[2];

	door = socket(AF_INET, SOCK_STREAM, 0);
	if (!ok(door >= 0 && !bind(door, (struct sockaddr *)&at, sizeof(at)) && !listen(door, 4) && connected(pair, 7000),
		"a connection over loopback"))
		return tap_done();
	held(pair);
	joined(pair);
	much(pair);
	ended(pair);
	ok(connected(pair, 7000) && !close(pair[1]), "another one, whose other end is closed");
	ok(recv(pair[0], &at, 1, 0) == 0 && send(pair[0], "x", 1, 0) == 1, "a write into it is taken");
	for (int i = 0; i < 50 && send(pair[0], "x", 1, 0) == 1; i++)
		usleep(10000);
	ok(send(pair[0], "x", 1, 0) < 0, "and refused once the answer to it has come: %s", strerror(errno));
	return tap_done();
}
