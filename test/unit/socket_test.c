/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper's sockets without a machine: what POSIX says of each call, and at the end nothing is left.
 */
#include <signal.h>
#include <sys/time.h>
#include "libos/keep/outer.h"
#include "test/unit/socket_fake.h"
#include "test/unit/tap.h"

#define TCP	AF_INET, SOCK_STREAM
#define BIG	(60 * 1024)

static int64_t make(unsigned who, int domain, int type)
{
	return ask(who, REQUEST_SOCKET, (uint64_t)domain, (uint64_t)type, 0);
}

static uint32_t put_in(unsigned who, uint32_t at, uint32_t address, uint16_t port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };

	name.sin_addr.s_addr = htonl(address);
	memcpy(fake_buffer[who] + at, &name, sizeof(name));
	return sizeof(name);
}

static uint32_t put_un(unsigned who, uint32_t at, const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	strcpy(name.sun_path, path);
	memcpy(fake_buffer[who] + at, &name, sizeof(name));
	return (uint32_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static int64_t say(unsigned who, int64_t fd, const char *text, int flags)
{
	memcpy(fake_buffer[who], text, strlen(text));
	return ask(who, REQUEST_SENDTO, (uint64_t)fd, strlen(text), (uint64_t)flags << 32);
}

static int64_t hear(unsigned who, int64_t fd, uint32_t bytes, int flags)
{
	memset(fake_buffer[who], 0, 64);
	return ask(who, REQUEST_RECVFROM, (uint64_t)fd, bytes, (uint32_t)flags);
}

static bool heard(unsigned who, int64_t fd, const char *text)
{
	int64_t bytes = hear(who, fd, 1000, 0);

	return bytes == (int64_t)strlen(text) && !memcmp(fake_buffer[who], text, (size_t)bytes);
}

static short poll_of(unsigned who, int64_t fd)
{
	struct keep_file *file = keep_fd_file(&keep_process[who], fd);

	return file->kind->poll(file, &keep_process[who], POLLIN | POLLOUT, false);
}

static void clean(const char *what)
{
	for (unsigned i = 0; i < FAKE_PROCESSES; i++)
		fake_exit(i);
	for (unsigned i = 0; i < FAKE_NAMES; i++)
		fake_name[i].path[0] = 0;
	rights_collect();
	ok(!socket_all && !message_bytes() && !rights_flights() && !fake_files, "%s: nothing is left", what);
}

static void test_pairs(void)
{
	int64_t a, b;

	is_int(ask(0, REQUEST_SOCKETPAIR, AF_INET, SOCK_STREAM, 0), -EOPNOTSUPP, "no pair of Internet sockets");
	is_int(ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0), 0, "socketpair");
	a = (int64_t)fake_more[0], b = (int64_t)fake_more[1];
	is_int(hear(0, a, 10, 0), WIRE_WAIT, "an empty one: wait");
	is_int(hear(0, a, 10, MSG_DONTWAIT), -EAGAIN, "... or not");
	fake_woken[0] = false;
	is_int(say(1, b, "x", 0), -EBADF, "another process has no such descriptor");
	is_int(say(0, b, "hello", 0), 5, "sent");
	ok(fake_woken[0], "the reader is woken");
	is_int(say(0, b, " world", 0), 6, "sent");
	is_int(hear(0, a, 5, MSG_PEEK), 5, "peeked");
	ok(heard(0, a, "hello world"), "a stream joins what was sent");
	is_int(poll_of(0, a), POLLOUT, "can be written");
	is_int(ask(0, REQUEST_SHUTDOWN, (uint64_t)b, SHUT_WR, 0), 0, "shutdown");
	is_int(hear(0, a, 10, 0), 0, "an end");
	fake_signals = 0;
	is_int(say(0, b, "x", 0), -EPIPE, "no more sending");
	is_int(fake_signals, 1, "SIGPIPE");
	is_int(say(0, b, "x", MSG_NOSIGNAL), -EPIPE, "no more sending");
	is_int(fake_signals, 1, "no SIGPIPE with MSG_NOSIGNAL");
	say(0, a, "unread", 0);
	fake_close(0, b);
	is_int(hear(0, a, 10, 0), -ECONNRESET, "closed with unread data: reset");
	is_int(hear(0, a, 10, 0), 0, "... once");
	ok(poll_of(0, a) & POLLIN && poll_of(0, a) & POLLHUP, "hung up");
	clean("pairs");
}

static void test_room(void)
{
	int64_t a, b, sent, all = 0;

	ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0);
	a = (int64_t)fake_more[0], b = (int64_t)fake_more[1];
	while ((sent = ask(0, REQUEST_SENDTO, (uint64_t)a, BIG, 0)) > 0)
		all += sent;
	is_int(sent, WIRE_WAIT, "a full queue: wait");
	is_int(all, SOCKET_BUFFER, "so much fits");
	ok(!(poll_of(0, a) & POLLOUT), "cannot be written");
	fake_woken[0] = false;
	is_int(hear(0, b, 100, 0), 100, "a little is read");
	ok(!fake_woken[0], "no writer is woken for so little");
	hear(0, b, 40000, 0);
	ok(fake_woken[0] && poll_of(0, a) & POLLOUT, "room again");
	clean("room");
	ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_SEQPACKET, 0);
	a = (int64_t)fake_more[0], b = (int64_t)fake_more[1];
	say(0, a, "one", 0);
	say(0, a, "", 0);
	say(0, a, "three", 0);
	ok(heard(0, b, "one") && heard(0, b, "") && heard(0, b, "three"), "packets keep their bounds, the empty one too");
	say(0, a, "truncated", 0);
	is_int(hear(0, b, 5, 0), 5, "a part");
	ok(fake_more[0] >> 32 & MSG_TRUNC, "MSG_TRUNC");
	is_int(hear(0, b, 5, MSG_DONTWAIT), -EAGAIN, "the rest is lost");
	clean("packets");
}

static void test_local(void)
{
	uint64_t s = (uint64_t)make(0, AF_UNIX, SOCK_STREAM), c = (uint64_t)make(1, AF_UNIX, SOCK_STREAM), n;
	struct ucred credentials;

	is_int(ask(0, REQUEST_LISTEN, s, 5, 0), -EDESTADDRREQ, "listen without a name");
	is_int(ask(0, REQUEST_BIND, s, put_un(0, 0, "/tmp/s"), 0), 0, "bind");
	is_int(ask(0, REQUEST_BIND, s, put_un(0, 0, "/tmp/t"), 0), -EINVAL, "... once");
	is_int(ask(1, REQUEST_CONNECT, c, put_un(1, 0, "/tmp/s"), 0), -ECONNREFUSED, "nobody listens");
	is_int(ask(0, REQUEST_LISTEN, s, 1, 0), 0, "listen");
	is_int(ask(0, REQUEST_ACCEPT, s, 0, 0), WIRE_WAIT, "nobody yet");
	fake_woken[0] = false;
	is_int(ask(1, REQUEST_CONNECT, c, put_un(1, 0, "/tmp/s"), 0), 0, "connect");
	ok(fake_woken[0], "the listener is woken");
	n = (uint64_t)make(1, AF_UNIX, SOCK_STREAM);
	is_int(ask(1, REQUEST_CONNECT, n, put_un(1, 0, "/tmp/s"), 0), WIRE_WAIT, "a full backlog");
	is_int(say(1, (int64_t)c, "early", 0), 5, "sent before it is accepted");
	fake_woken[1] = false;
	is_int(ask(0, REQUEST_ACCEPT, s, 0, 0), (int64_t)s + 1, "accept");
	ok(fake_woken[1], "who waits for the backlog is woken");
	ok(heard(0, (int64_t)s + 1, "early"), "heard");
	is_int(ask(0, REQUEST_SOCKOPT, s + 1, (uint64_t)SOL_SOCKET << 32 | SO_PEERCRED, (uint64_t)-1), sizeof(credentials),
	    "SO_PEERCRED");
	memcpy(&credentials, fake_buffer[0], sizeof(credentials));
	is_int(credentials.pid, 2, "the peer's pid");
	is_int(ask(1, REQUEST_CONNECT, n, put_un(1, 0, "/tmp/s"), 0), 0, "now it connects");
	is_int(ask(1, REQUEST_CONNECT, n, put_un(1, 0, "/tmp/s"), 0), -EISCONN, "... once");
	fake_close(0, (int64_t)s);
	is_int(hear(1, (int64_t)n, 10, 0), -ECONNRESET, "never accepted: reset");
	n = (uint64_t)make(1, AF_UNIX, SOCK_STREAM);
	is_int(ask(1, REQUEST_CONNECT, n, put_un(1, 0, "/tmp/s"), 0), -ECONNREFUSED, "a name without its socket");
	s = (uint64_t)make(0, AF_UNIX, SOCK_STREAM);
	is_int(ask(0, REQUEST_BIND, s, put_un(0, 0, "/tmp/s"), 0), -EADDRINUSE, "the name is still there");
	is_int(ask(1, REQUEST_CONNECT, n, put_un(1, 0, "/tmp/none"), 0), -ENOENT, "no such name");
	is_int(ask(1, REQUEST_CONNECT, n, 1, 0), -EINVAL, "half an address");
	put_in(1, 0, INADDR_LOOPBACK, 80);
	is_int(ask(1, REQUEST_CONNECT, n, 16, 0), -EAFNOSUPPORT, "another family's address");
	clean("names");
}

static void test_datagrams(void)
{
	uint64_t a = (uint64_t)make(0, AF_UNIX, SOCK_DGRAM), b = (uint64_t)make(1, AF_UNIX, SOCK_DGRAM), bytes;
	int64_t result;
	unsigned count = 0;

	ask(0, REQUEST_BIND, a, put_un(0, 0, "/a"), 0);
	is_int(say(1, (int64_t)b, "x", 0), -ENOTCONN, "to nobody");
	memcpy(fake_buffer[1], "to a", 4);
	bytes = put_un(1, 4, "/a");
	is_int(ask(1, REQUEST_SENDTO, b, 4, bytes), 4, "to a name");
	is_int(hear(0, (int64_t)a, 100, 0), 4, "heard");
	is_int((int64_t)(uint32_t)fake_more[0], 0, "a nameless sender");
	ask(1, REQUEST_BIND, b, put_un(1, 0, "/b"), 0);
	is_int(ask(1, REQUEST_CONNECT, b, put_un(1, 0, "/a"), 0), 0, "connect");
	while ((result = say(1, (int64_t)b, "", 0)) == 0 && count < 10000)
		count++;
	ok(result == WIRE_WAIT && count == SOCKET_MESSAGES, "empty ones are bounded, too");
	hear(0, (int64_t)a, 100, 0);
	is_int((int64_t)(uint32_t)fake_more[0], (int64_t)(offsetof(struct sockaddr_un, sun_path) + 3), "the sender's name");
	ok(!strcmp(((struct sockaddr_un *)(void *)(fake_buffer[0] + 100))->sun_path, "/b"), "... as it is");
	fake_close(0, (int64_t)a);
	is_int(say(1, (int64_t)b, "x", 0), -ECONNREFUSED, "the receiver is gone");
	clean("datagrams");
}

static int64_t send_fd(unsigned who, int64_t fd, int32_t number)
{
	fake_buffer[who][0] = '!';
	memcpy(fake_buffer[who] + 1, &number, sizeof(number));
	return ask(who, REQUEST_SENDTO, (uint64_t)fd, 1ull << 32 | 1, 0);
}

static void test_rights(void)
{
	int64_t a, b, c, d, e, f;
	int32_t number;

	ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0);
	a = (int64_t)fake_more[0], b = (int64_t)fake_more[1];
	fake_inherit(1, 0);
	ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0);
	c = (int64_t)fake_more[0], d = (int64_t)fake_more[1];
	is_int(send_fd(0, a, 200), -EBADF, "a descriptor that is not there");
	is_int(send_fd(0, a, (int32_t)c), 1, "a descriptor is sent");
	fake_close(0, c);
	is_int(ask(1, REQUEST_RECVFROM, (uint64_t)b, 10, 4ull << 32), 1, "received");
	is_int((int64_t)fake_more[1], 1, "with a descriptor");
	memcpy(&number, fake_buffer[1] + 10, sizeof(number));
	say(1, number, "through", 0);
	ok(heard(0, d, "through"), "it is the same socket");
	send_fd(0, a, (int32_t)d);
	is_int(hear(1, b, 10, 0), 1, "without room for it");
	ok(fake_more[0] >> 32 & MSG_CTRUNC, "MSG_CTRUNC");
	is_int(rights_flights(), 0, "it is dropped");
	clean("descriptors");

	ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0);
	a = (int64_t)fake_more[0], b = (int64_t)fake_more[1];
	ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0);
	c = (int64_t)fake_more[0], d = (int64_t)fake_more[1];
	ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0);
	e = (int64_t)fake_more[0], f = (int64_t)fake_more[1];
	send_fd(0, a, (int32_t)b);	/* into its own queue */
	send_fd(0, c, (int32_t)f);	/* d holds f, f holds d */
	send_fd(0, e, (int32_t)d);
	send_fd(0, e, (int32_t)a);
	is_int(rights_flights(), 4, "four on their way");
	rights_collect();
	is_int(rights_flights(), 4, "all of them can be reached");
	for (int64_t fd = 0; fd < 6; fd++)
		fake_close(0, fd);
	a = make(0, AF_UNIX, SOCK_STREAM);
	hear(0, a, 1, 0);
	ok(socket_all && !socket_all->all_next && !rights_flights(), "cycles are found at the next request");
	clean("cycles");
}

static void test_chain(void)
{
	int64_t old[2], a, b;
	uint32_t most = 0;

	ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0);
	old[0] = (int64_t)fake_more[0], old[1] = (int64_t)fake_more[1];
	for (unsigned i = 0; i < 200; i++) {
		if (ask(0, REQUEST_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0) < 0)
			break;
		a = (int64_t)fake_more[0], b = (int64_t)fake_more[1];
		send_fd(0, a, (int32_t)old[0]);
		send_fd(0, a, (int32_t)old[1]);
		most = rights_flights() > most ? rights_flights() : most;
		fake_close(0, old[0]);
		fake_close(0, old[1]);
		old[0] = a, old[1] = b;
	}
	is_int(most, SOCKET_FLIGHTS_USER, "a chain of pairs in each other's queues, bounded");
	clean("a chain");
}

static void test_tcp(void)
{
	uint64_t s = (uint64_t)make(0, TCP), c = (uint64_t)make(1, TCP), other;
	struct sockaddr_in name;
	int value;

	is_int(ask(0, REQUEST_BIND, s, put_in(0, 0, 0x01020304, 80), 0), -EADDRNOTAVAIL, "not our address");
	is_int(ask(0, REQUEST_BIND, s, put_in(0, 0, INADDR_ANY, 80), 0), 0, "bind");
	other = (uint64_t)make(0, TCP);
	is_int(ask(0, REQUEST_BIND, other, put_in(0, 0, INADDR_LOOPBACK, 80), 0), -EADDRINUSE, "it is taken");
	is_int(ask(1, REQUEST_CONNECT, c, put_in(1, 0, INADDR_LOOPBACK, 80), 0), -ECONNREFUSED, "nobody listens");
	is_int(ask(0, REQUEST_LISTEN, s, 5, 0), 0, "listen");
	is_int(ask(1, REQUEST_CONNECT, c, put_in(1, 0, 0x0a000001, 80), 0), -ENETUNREACH, "there is no network");
	is_int(ask(1, REQUEST_CONNECT, c, put_in(1, 0, INADDR_LOOPBACK, 80), 0), 0, "connect");
	is_int(ask(0, REQUEST_ACCEPT, s, 0, 0), (int64_t)other + 1, "accept");
	memcpy(&name, fake_buffer[0], sizeof(name));
	ok(name.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && ntohs(name.sin_port) >= 49152, "the client's address");
	is_int(ask(1, REQUEST_GETNAME, c, 0, 0), sizeof(name), "getsockname");
	ok(!memcmp(fake_buffer[1], &name, sizeof(name)), "is the same");
	ask(0, REQUEST_GETNAME, other + 1, 0, 0);
	memcpy(&name, fake_buffer[0], sizeof(name));
	ok(name.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && name.sin_port == htons(80), "the server's");
	say(1, (int64_t)c, "ping", 0);
	ok(heard(0, (int64_t)other + 1, "ping"), "there ...");
	say(0, (int64_t)other + 1, "pong", 0);
	ok(heard(1, (int64_t)c, "pong"), "... and back");
	memcpy(fake_buffer[1], &(struct linger){ 1, 0 }, sizeof(struct linger));
	is_int(ask(1, REQUEST_SOCKOPT, c, (uint64_t)SOL_SOCKET << 32 | SO_LINGER, sizeof(struct linger)), 0, "SO_LINGER");
	fake_close(1, (int64_t)c);
	is_int(ask(0, REQUEST_SOCKOPT, other + 1, (uint64_t)SOL_SOCKET << 32 | SO_ERROR, (uint64_t)-1), sizeof(int), "SO_ERROR");
	memcpy(&value, fake_buffer[0], sizeof(value));
	is_int(value, ECONNRESET, "reset");
	is_int(hear(0, (int64_t)other + 1, 10, 0), 0, "then an end");
	is_int(say(0, (int64_t)other + 1, "", MSG_NOSIGNAL), -EPIPE, "after a reset not even nothing is sent");
	is_int(say(0, (int64_t)other + 1, "x", MSG_NOSIGNAL), -EPIPE, "and nobody to send to");
	keep_process[2].euid = 1000;
	other = (uint64_t)make(2, TCP);
	is_int(ask(2, REQUEST_BIND, other, put_in(2, 0, INADDR_ANY, 81), 0), -EACCES, "a port for root only");
	is_int(make(2, AF_INET, SOCK_RAW), -EPERM, "raw sockets are for root only");
	is_int(make(2, AF_INET6, SOCK_STREAM), -EAFNOSUPPORT, "no IPv6");
	is_int(make(2, AF_INET, 77), -EINVAL, "no such type");
	is_int(make(2, AF_INET, SOCK_RDM), -ESOCKTNOSUPPORT, "a type that is not there");
	keep_process[2].euid = 0;
	clean("TCP");
}

static void test_udp(void)
{
	uint64_t s = (uint64_t)make(0, AF_INET, SOCK_DGRAM), c = (uint64_t)make(1, AF_INET, SOCK_DGRAM);
	struct sockaddr_in from;

	ask(0, REQUEST_BIND, s, put_in(0, 0, INADDR_ANY, 5000), 0);
	memcpy(fake_buffer[1], "abc", 3);
	put_in(1, 3, INADDR_LOOPBACK, 5000);
	is_int(ask(1, REQUEST_SENDTO, c, 3, sizeof(from)), 3, "sendto");
	is_int(hear(0, (int64_t)s, 100, 0), 3, "recvfrom");
	memcpy(&from, fake_buffer[0] + 100, sizeof(from));
	ok(fake_more[0] == sizeof(from) && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "and who sent it");
	is_int(ask(1, REQUEST_CONNECT, c, put_in(1, 0, INADDR_LOOPBACK, 5001), 0), 0, "connect");
	is_int(say(1, (int64_t)c, "x", 0), 1, "to a port that nobody has");
	is_int(say(1, (int64_t)c, "x", 0), -ECONNREFUSED, "is told at the next call");
	memcpy(fake_buffer[0], "xyz", 3);
	memcpy(fake_buffer[0] + 3, &from, sizeof(from));
	ask(0, REQUEST_SENDTO, s, 3, sizeof(from));
	is_int(hear(1, (int64_t)c, 100, MSG_DONTWAIT), -EAGAIN, "connected: not from others");
	clean("UDP");
}

static void test_ping(void)
{
	static const uint8_t request[8] = { 8, 0, 0xf7, 0xff - 1, 0, 1, 0, 0 };
	uint64_t s = (uint64_t)ask(0, REQUEST_SOCKET, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	bool answered = false;

	memcpy(fake_buffer[0], request, sizeof(request));
	put_in(0, 8, INADDR_LOOPBACK, 0);
	is_int(ask(0, REQUEST_SENDTO, s, 8, sizeof(struct sockaddr_in)), 8, "an echo request");
	while (hear(0, (int64_t)s, 100, MSG_DONTWAIT) == 28)
		answered |= fake_buffer[0][20] == 0 && fake_buffer[0][25] == 1;
	ok(answered, "is answered");
	clean("ping");
}

static void test_options(void)
{
	uint64_t s = (uint64_t)make(0, TCP);
	struct timeval time = { .tv_sec = 2, .tv_usec = 500000 };

	memcpy(fake_buffer[0], &time, sizeof(time));
	is_int(ask(0, REQUEST_SOCKOPT, s, (uint64_t)SOL_SOCKET << 32 | SO_RCVTIMEO, sizeof(time)), 0, "SO_RCVTIMEO");
	is_int(ask(0, REQUEST_SOCKOPT, s, (uint64_t)SOL_SOCKET << 32 | SO_RCVTIMEO, (uint64_t)-1), sizeof(time), "asked");
	ok(!memcmp(fake_buffer[0], &time, sizeof(time)), "as it was set");
	is_int(hear(0, (int64_t)s, 1, 0), -ENOTCONN, "not connected");
	is_int(ask(0, REQUEST_SOCKOPT, s, (uint64_t)SOL_SOCKET << 32 | 999, (uint64_t)-1), -ENOPROTOOPT, "no such option");
	is_int(ask(0, REQUEST_SOCKOPT, s, (uint64_t)99 << 32 | 1, 4), -ENOPROTOOPT, "no such level");
	is_int(ask(0, REQUEST_SOCKOPT, s, (uint64_t)SOL_SOCKET << 32 | SO_TYPE, 4), -ENOPROTOOPT, "one that is only asked for");
	is_int(ask(0, REQUEST_SOCKOPT, s, (uint64_t)SOL_SOCKET << 32 | SO_REUSEADDR, 1), -EINVAL, "half a value");
	is_int(ask(0, REQUEST_SENDTO, s, WIRE_BUFFER + 1, 0), -EMSGSIZE, "more than the buffer");
	is_int(ask(0, REQUEST_SENDTO, s, WIRE_BUFFER - 4, 16), -EMSGSIZE, "an address outside the buffer");
	is_int(ask(0, REQUEST_SENDTO, s, (uint64_t)99 << 32 | 1, 0), -EINVAL, "too many descriptors");
	clean("options");
}

/* --- beyond this machine, faked ------------------------------------------------------------------------------ */

static struct socket *outer_socket;	/* the last that was given to it */
static unsigned outer_closed, outer_taken;
static bool outer_full, outer_reset;

static uint32_t fake_address(void) { return htonl(0x0a00020f); }
static bool fake_ready(void) { return true; }
static void fake_taken(struct socket *socket, uint32_t bytes) { (void)socket; outer_taken += bytes; }
static void fake_shut(struct socket *socket, bool writing) { (void)socket, (void)writing; }
static void fake_option(struct socket *socket) { (void)socket; }
static uint32_t fake_room(struct socket *socket) { (void)socket; return outer_full ? 0 : 10000; }

static int fake_connect(struct socket *socket, struct outer_end from, struct outer_end to)
{
	(void)from, (void)to;
	outer_socket = socket;
	*inet_outer_end(socket) = socket;
	return 0;
}

static int fake_listen(struct socket *socket, struct outer_end at, uint32_t backlog)
{
	(void)backlog;
	return fake_connect(socket, at, at);
}

static int64_t fake_send(struct socket *socket, const char *data, uint32_t bytes)
{
	(void)socket, (void)data;
	return outer_full ? 0 : bytes > 100 ? 100 : bytes;
}

static int fake_datagrams(struct socket *socket, int protocol, struct outer_end at)
{
	(void)protocol;
	return fake_connect(socket, at, at);
}

static int64_t fake_send_to(struct socket *socket, const char *data, uint32_t bytes, struct outer_end to)
{
	(void)socket, (void)data, (void)to;
	return bytes;
}

static void fake_outer_close(struct socket *socket, bool reset)
{
	*inet_outer_end(socket) = NULL;
	outer_closed++;
	outer_reset = reset;
}

static const struct outer fake_outer = {
	.address = fake_address, .ready = fake_ready, .connect = fake_connect, .listen = fake_listen, .send = fake_send,
	.room = fake_room, .taken = fake_taken, .shut = fake_shut, .option = fake_option, .datagrams = fake_datagrams,
	.send_to = fake_send_to, .close = fake_outer_close,
};

static void test_beyond(void)
{
	uint64_t c = (uint64_t)make(0, TCP), s;
	struct sockaddr_in name;

	inet_outer = &fake_outer;
	is_int(ask(0, REQUEST_CONNECT, c, put_in(0, 0, 0x08080808, 80), 0), WIRE_WAIT, "connect: wait");
	is_int(hear(0, (int64_t)c, 10, MSG_DONTWAIT), -EAGAIN, "nothing yet");
	ok(!poll_of(0, (int64_t)c), "not ready");
	fake_woken[0] = false;
	inet_opened(outer_socket, 0);
	ok(fake_woken[0], "it is open: woken");
	is_int(ask(0, REQUEST_CONNECT, c, put_in(0, 0, 0x08080808, 80), 0), 0, "connect: done");
	is_int(ask(0, REQUEST_CONNECT, c, put_in(0, 0, 0x08080808, 80), 0), -EISCONN, "... once");
	ask(0, REQUEST_GETNAME, c, 0, 0);
	memcpy(&name, fake_buffer[0], sizeof(name));
	ok(name.sin_addr.s_addr == fake_address() && name.sin_port, "its own name");
	is_int(ask(0, REQUEST_SENDTO, c, 1000, 0), 100, "what there was room for");
	outer_full = true;
	is_int(ask(0, REQUEST_SENDTO, c, 1000, 0), WIRE_WAIT, "no room: wait");
	outer_full = false;
	fake_woken[0] = false;
	inet_room(outer_socket);
	ok(fake_woken[0], "room: woken");
	ok(inet_arrived(outer_socket, "abc", 3) && inet_arrived(outer_socket, "def", 3), "bytes arrive");
	ok(heard(0, (int64_t)c, "abcdef") && outer_taken == 6, "they are read, and the window opens again");
	inet_ended(outer_socket, 0);
	is_int(hear(0, (int64_t)c, 10, 0), 0, "an end");
	fake_close(0, (int64_t)c);
	ok(outer_closed == 1 && !outer_reset, "closed");

	c = (uint64_t)make(0, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
	is_int(ask(0, REQUEST_CONNECT, c, put_in(0, 0, 0x08080808, 81), 0), -EINPROGRESS, "without waiting: EINPROGRESS");
	is_int(ask(0, REQUEST_CONNECT, c, put_in(0, 0, 0x08080808, 81), 0), -EALREADY, "then EALREADY");
	*inet_outer_end(outer_socket) = NULL;
	inet_opened(outer_socket, ECONNREFUSED);
	ok(poll_of(0, (int64_t)c) & POLLERR, "refused: POLLERR");
	is_int(ask(0, REQUEST_CONNECT, c, put_in(0, 0, 0x08080808, 81), 0), -ECONNREFUSED, "and ECONNREFUSED");

	s = (uint64_t)make(0, TCP);
	ask(0, REQUEST_BIND, s, put_in(0, 0, INADDR_ANY, 80), 0);
	is_int(ask(0, REQUEST_LISTEN, s, 2, 0), 0, "listen beyond");
	for (unsigned i = 0; i < SOCKET_BACKLOG; i++)
		inet_accepted(outer_socket, (struct outer_end){ 1, (uint16_t)i }, (struct outer_end){ fake_address(), htons(80) });
	ok(!inet_accepted(outer_socket, (struct outer_end){ 1, 1 }, (struct outer_end){ 2, 2 }), "its queue is bounded");
	ok(ask(0, REQUEST_ACCEPT, s, 0, 0) > 0, "accept");
	is_int(ask(1, REQUEST_CONNECT, (uint64_t)make(1, TCP), put_in(1, 0, INADDR_LOOPBACK, 80), 0), WIRE_WAIT,
	    "one of this machine waits for room");
	s = (uint64_t)make(0, AF_INET, SOCK_DGRAM);
	ask(0, REQUEST_BIND, s, put_in(0, 0, INADDR_ANY, 53), 0);
	for (unsigned i = 0; i < 2 * SOCKET_MESSAGES; i++)
		inet_datagram(outer_socket, "x", 1, (struct outer_end){ 3, 4 });
	is_int(outer_socket->messages, SOCKET_MESSAGES, "datagrams are bounded");
	clean("beyond this machine");
	inet_outer = NULL;
}

static void test_limits(void)
{
	unsigned count = 0;

	for (unsigned who = 0; who < 3; who++) {
		while (make(who, AF_UNIX, SOCK_DGRAM) >= 0)
			count++;
	}
	is_int(count, SOCKETS_USER, "a user's sockets are bounded");
	keep_process[3].euid = 7;
	ok(make(3, AF_UNIX, SOCK_DGRAM) >= 0, "another user has his own");
	keep_process[3].euid = 0;
	clean("limits");
}

int main(void)
{
	fake_start();
	test_pairs();
	test_room();
	test_local();
	test_datagrams();
	test_rights();
	test_chain();
	test_tcp();
	test_udp();
	test_ping();
	test_options();
	test_beyond();
	test_limits();
	return done();
}
