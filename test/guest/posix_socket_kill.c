/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that are killed in the middle of sockets: whoever is left goes on, and no frame is lost. Each
 * child does what chance says (connections, descriptors in messages, names, datagrams) until it is killed,
 * after a time of its own.
 *
 * Run with: -m 96M
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "test/guest/tap.h"

#define PORT	7100
#define ROUNDS	40
#define BATCHES	8	/* at least: the first two warm the keeper up */
#define BATCHES_MOST 24	/* until it is seen whether the free frames go on becoming fewer */
#define HALF	3
#define STEP_US	97
#define FDS	16

static uint32_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static struct sockaddr_in address = { .sin_family = AF_INET };
static struct sockaddr_un name = { .sun_family = AF_UNIX };

static void send_fd(int to, int number)
{
	char byte = '!', control[CMSG_SPACE(sizeof(int))];
	struct iovec piece = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);

	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(part), &number, sizeof(int));
	sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void step(void)
{
	static char data[5000];
	int some = 3 + (int)below(FDS), other = 3 + (int)below(FDS), pair[2];

	switch (below(10)) {
	case 0:
		if (some < FDS)
			socketpair(AF_UNIX, below(2) ? SOCK_STREAM : SOCK_DGRAM, 0, pair);
		break;
	case 1:
		if (some < FDS && (some = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
			connect(some, (struct sockaddr *)&address, sizeof(address));
		break;
	case 2:
		send_fd(some, other);
		break;
	case 3:
		name.sun_path[5] = (char)('a' + below(4));
		bind(some, (struct sockaddr *)&name, sizeof(name));
		listen(some, 3);
		break;
	case 4:
		name.sun_path[5] = (char)('a' + below(4));
		fcntl(some, F_SETFL, O_NONBLOCK);
		connect(some, (struct sockaddr *)&name, sizeof(name));
		unlink(name.sun_path);
		break;
	case 5:
		recv(some, data, below(sizeof(data)), MSG_DONTWAIT);
		break;
	case 6:
		close(some);
		break;
	default:
		send(some, data, below(sizeof(data)), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

/* Whoever has connected meanwhile is heard and let go of: not for ever, as others come. */
static void drain(int server)
{
	char data[256];
	int fd, count = 0;

	while (count++ < 100 && (fd = accept(server, NULL, NULL)) >= 0) {
		while (recv(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
			;
		close(fd);
	}
}

static int batch(int server, unsigned number)
{
	int good = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			seed = number * ROUNDS + i;
			close(server);
			for (;;)
				step();
		}
		usleep(1 + i * STEP_US);
		drain(server);
		kill(child, SIGKILL);
		good += waitpid(child, &status, 0) == child && WIFSIGNALED(status);
		drain(server);
	}
	return good;
}

/* Does the keeper find its tables in order? */
static bool sound(void)
{
	int64_t wrong;

	posix_lock();
	wrong = posix_ask(REQUEST_CHECK, 0, 0, 0, NULL);
	if (wrong)
		printf("# %.100s\n", posix_buffer);
	posix_unlock();
	return !wrong;
}

/* The most of some batches. */
static uint32_t most(const uint32_t *frames)
{
	uint32_t most = 0;

	for (unsigned i = 0; i < HALF; i++)
		most = frames[i] > most ? frames[i] : most;
	return most;
}

/* The keeper's own use goes up and down; a frame for each process would be three times ROUNDS from one half to the next. */
static bool level(const uint32_t *frames, unsigned batches)
{
	return batches >= BATCHES && most(frames + batches - HALF) + 2 * ROUNDS >= most(frames + batches - 2 * HALF);
}

int main(void)
{
	int server = socket(AF_INET, SOCK_STREAM, 0), fd[2];
	uint32_t frames[BATCHES_MOST];
	unsigned batches = 0;
	char byte;

	address.sin_port = htons(PORT);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	strcpy(name.sun_path, "/tmp/x");
	bind(server, (struct sockaddr *)&address, sizeof(address));
	listen(server, 100);
	fcntl(server, F_SETFL, O_NONBLOCK);
	while (batches < BATCHES_MOST && !level(frames, batches)) {
		ok(batch(server, batches) == ROUNDS, "%d processes, each killed after a time of its own", ROUNDS);
		ok(sound(), "the keeper's tables are in order");
		frames[batches] = core_info->frames_free;
		printf("# %u frames free\n", (unsigned)frames[batches++]);
	}
	ok(level(frames, batches), "no frames are lost");
	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd) && write(fd[0], "x", 1) == 1 && read(fd[1], &byte, 1) == 1,
	    "sockets work as before");
	return tap_done();
}
