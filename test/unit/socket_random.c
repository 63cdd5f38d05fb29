/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on the keeper's sockets by four processes, against a naive record of what each stream must say:
 * byte n of a direction is a function of n and the direction (a socket's owner.gid keeps its peer's key), so whatever
 * arrives is checked with no queue of its own.
 * Processes end in the middle; descriptors are inherited and sent along; requests are nonsense at times. At the end of
 * each round nothing is left.
 */
#include <signal.h>
#include "test/unit/socket_fake.h"
#include "test/lib/random.h"
#include "test/unit/tap.h"

#define ROUNDS		60
#define STEPS		3000
#define STREAMS		4096

static uint64_t seed = 0x2545f4914f6cdd1d;

static uint32_t below(uint32_t n)
{
	return (uint32_t)((random_next(&seed) >> 32) % n);
}

/* What has been sent and received by a socket, found by its address. */
static struct stream {
	const struct socket *socket;
	uint64_t sent, received;
	uint32_t key;			/* of what it sends; its peer has the other one */
	const struct socket *peer;
} stream[STREAMS];
static unsigned streams;
static unsigned wrong;

static struct stream *of(const struct socket *socket)
{
	for (unsigned i = 0; i < streams; i++) {
		if (stream[i].socket == socket)
			return &stream[i];
	}
	return NULL;
}

static uint8_t byte_at(uint32_t key, uint64_t n)
{
	return (uint8_t)((n * 31 + (n >> 8) * 7) ^ key);
}

static void add(const struct socket *socket)
{
	struct stream *one = of(socket);

	if (!one && streams < STREAMS)
		one = &stream[streams++];
	*one = (struct stream){ .socket = socket, .key = below(256) };
}

/* Records of sockets that are gone go, before their addresses are used again. */
static void forget(void)
{
	for (unsigned i = 0; i < streams; i++) {
		const struct socket *socket = socket_all;

		while (socket && socket != stream[i].socket)
			socket = socket->all_next;
		if (!socket)
			stream[i--] = stream[--streams];
	}
}

static struct socket *some(unsigned who, int64_t *fd)
{
	struct keep_file *file;

	*fd = below(24);
	file = keep_fd_file(&keep_process[who], *fd);
	return file ? socket_of(file) : NULL;
}

static void note_pair(const struct socket *one)
{
	add(one);
	add(one->peer);
	of(one)->peer = one->peer;
	of(one->peer)->peer = one;
}

static void send_some(unsigned who)
{
	int64_t fd, result;
	struct socket *socket = some(who, &fd);
	struct stream *record = socket && socket->type == SOCK_STREAM ? of(socket) : NULL;
	uint32_t bytes = below(8) ? below(300) : below(50000);
	uint64_t rights = 0;

	if (!record || !record->peer)
		return;
	for (uint32_t i = 0; i < bytes; i++)
		fake_buffer[who][i] = (char)byte_at(record->key, record->sent + i);
	if (socket->domain == AF_UNIX && !below(6)) {
		int32_t number = (int32_t)below(24);

		memcpy(fake_buffer[who] + bytes, &number, sizeof(number));
		rights = 1ull << 32;
	}
	result = ask(who, REQUEST_SENDTO, (uint64_t)fd, bytes | rights, 0);
	if (result > 0)
		record->sent += (uint64_t)result;
}

static void receive_some(unsigned who)
{
	int64_t fd, result;
	struct socket *socket = some(who, &fd);
	struct stream *record = socket && socket->type == SOCK_STREAM ? of(socket) : NULL;
	bool peek = !below(4);

	if (!record)
		return;
	result = ask(who, REQUEST_RECVFROM, (uint64_t)fd, below(3000),
	    (uint64_t)below(3) << 32 | (peek ? MSG_PEEK : 0));
	for (int64_t i = 0; i < result; i++) {
		uint8_t got = (uint8_t)fake_buffer[who][i];
		uint8_t want = byte_at(socket->owner.gid, record->received + (uint64_t)i);

		wrong += got != want;
	}
	if (result > 0 && !peek)
		record->received += (uint64_t)result;
}

static void connect_some(unsigned who)
{
	int64_t fd, listener;
	struct socket *socket = some(who, &fd), *server = some(below(FAKE_PROCESSES), &listener);
	int64_t result;

	if (!socket || !server || !server->name.bytes)
		return;
	memcpy(fake_buffer[who], &server->name.any, server->name.bytes);
	result = ask(who, REQUEST_CONNECT, (uint64_t)fd, server->name.bytes, 0);
	if (!result && socket->peer && socket->type == SOCK_STREAM && !of(socket)) {
		note_pair(socket);
		socket->owner.gid = of(socket->peer)->key;
		socket->peer->owner.gid = of(socket)->key;
	}
}

static void accept_some(unsigned who)
{
	int64_t fd;

	for (unsigned i = 0; i < 20; i++) {
		const struct socket *socket = some(who, &fd);

		if (socket && socket->state == SOCKET_LISTENING) {
			ask(who, REQUEST_ACCEPT, (uint64_t)fd, 0, 0);
			return;
		}
	}
}

static void name_some(unsigned who)
{
	int64_t fd;
	struct socket *socket = some(who, &fd);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(1000 + below(4))) };

	if (!socket)
		return;
	if (socket->domain == AF_UNIX) {
		un.sun_path[0] = (char)('a' + below(6));
		memcpy(fake_buffer[who], &un, sizeof(un));
		if (!below(3))
			fake_unlink(un.sun_path);
		ask(who, REQUEST_BIND, (uint64_t)fd, 4, 0);
	} else {
		memcpy(fake_buffer[who], &in, sizeof(in));
		ask(who, REQUEST_BIND, (uint64_t)fd, sizeof(in), 0);
	}
	ask(who, REQUEST_LISTEN, (uint64_t)fd, below(4), 0);
}

static void make_some(unsigned who)
{
	static const int types[] = { SOCK_STREAM, SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	int type = types[below(5)];

	if (below(2)) {
		ask(who, REQUEST_SOCKET, below(2) ? AF_INET : AF_UNIX, (uint64_t)type, 0);
	} else if (!ask(who, REQUEST_SOCKETPAIR, AF_UNIX, (uint64_t)type, 0) && type == SOCK_STREAM) {
		struct socket *one = keep_process[who].fd[fake_more[0]].file->object;

		note_pair(one);
		one->owner.gid = of(one->peer)->key;
		one->peer->owner.gid = of(one)->key;
	}
}

static void nonsense(unsigned who)
{
	for (unsigned i = 0; i < 64; i++)
		fake_buffer[who][i] = (char)below(256);
	*(uint16_t *)(void *)fake_buffer[who] = (uint16_t)(1 + below(2));
	ask(who, REQUEST_BIND + below(REQUEST_SOCKOPT - REQUEST_BIND), below(30), below(4) ? below(200) : seed,
	    below(4) ? below(4) : seed);
}

static void step(void)
{
	unsigned who = below(FAKE_PROCESSES);
	int64_t fd;

	switch (below(16)) {
	case 0: case 1: make_some(who); break;
	case 2: name_some(who); break;
	case 3: case 4: connect_some(who); break;
	case 5: accept_some(who); break;
	case 6: case 7: case 8: send_some(who); break;
	case 9: case 10: case 11: receive_some(who); break;
	case 12: if (some(who, &fd)) fake_close(who, fd); break;
	case 13: if (!below(10)) fake_inherit(who, below(FAKE_PROCESSES)); break;
	case 14: if (!below(40)) fake_exit(who); break;
	default: if (!below(3)) { if (some(who, &fd) && !below(8)) ask(who, REQUEST_SHUTDOWN, (uint64_t)fd, below(4), 0); }
	}
	forget();
}

int main(void)
{
	fake_start();
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool good = true;

		for (unsigned i = 0; i < STEPS && good; i++) {
			step();
			if (i % 16 == 0)
				good = !socket_check();
		}
		for (unsigned i = 0; i < 500; i++)
			nonsense(below(FAKE_PROCESSES));
		good = good && !socket_check();
		for (unsigned i = 0; i < FAKE_PROCESSES; i++)
			fake_exit(i);
		for (unsigned i = 0; i < FAKE_NAMES; i++)
			fake_name[i].path[0] = 0;
		rights_collect();
		forget();
		if (!ok(good && !wrong && !socket_all && !message_bytes() && !rights_flights() && !fake_files,
		    "round %u: every byte is right, the tables are sound, nothing is left", round))
			printf("# sound %d, wrong bytes %u, bytes %u, flights %u, files %u\n", good, wrong, message_bytes(),
			    rights_flights(), fake_files);
	}
	return done();
}
