/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets of the libOS posix, from processes: pairs and fork, TCP and UDP over loopback, UNIX sockets with names,
 * descriptors in messages, readiness, timeouts, a peer that is killed, names and addresses.
 *
 * Run with: -m 96M
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test/guest/tap.h"

#define BULK	(1 << 20)
#define TRIPS	200

static volatile sig_atomic_t pipes_broken;

static void broken(int number)
{
	(void)number;
	pipes_broken++;
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static struct sockaddr_un path(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, name);
	return address;
}

static int listener(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 10)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int connected(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

static int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

/* More pieces than there may be: nobody looks at them. */
static void test_pieces(void)
{
	struct iovec piece = { NULL, 1 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = IOV_MAX + 1 };

	ok(sendmsg(0, &message, 0) == -1 && errno == EMSGSIZE && recvmsg(0, &message, 0) == -1 && errno == EMSGSIZE,
	   "too many pieces");
}

static void test_pair(void)
{
	char text[16] = "";
	int fd[2];
	pid_t child;

	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd), "socketpair");
	child = fork();
	if (child == 0) {
		ssize_t bytes = read(fd[1], text, sizeof(text));

		_exit(bytes == 5 && write(fd[1], "world", 5) == 5 ? 0 : 1);
	}
	ok(write(fd[0], "hello", 5) == 5, "write");
	close(fd[1]);
	ok(read(fd[0], text, sizeof(text)) == 5 && !memcmp(text, "world", 5), "a child answers");
	ok(read(fd[0], text, sizeof(text)) == 0, "its end is an end");
	ok(status_of(child) == 0, "it heard what was said");
	signal(SIGPIPE, broken);
	errno = 0;
	ok(!write(fd[0], "", 0) && !send(fd[0], "", 0, 0), "nothing can be sent to who has closed");
	ok(write(fd[0], "x", 1) == -1 && errno == EPIPE && pipes_broken == 1, "SIGPIPE and EPIPE");
	ok(send(fd[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE && pipes_broken == 1,
	   "MSG_NOSIGNAL: EPIPE alone");
	close(fd[0]);
}

static void test_packets(void)
{
	struct iovec pieces[2] = { { "two ", 4 }, { "pieces", 6 } };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };
	char text[16];
	int fd[2];
	pid_t child;

	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd);
	child = fork();
	if (child == 0) {
		close(fd[0]);
		_exit(sendmsg(fd[1], &message, 0) != 10 || send(fd[1], "cut here", 8, 0) != 8 ||
		      send(fd[1], "", 0, 0) != 0);
	}
	close(fd[1]);
	ok(status_of(child) == 0, "packets are sent by a process that ends then");
	ok(recv(fd[0], text, sizeof(text), 0) == 10 && !memcmp(text, "two pieces", 10),
	   "they are there all the same");
	pieces[0] = (struct iovec){ text, 1 };
	pieces[1] = (struct iovec){ text + 8, 2 };
	ok(recvmsg(fd[0], &message, 0) == 3 && text[0] == 'c' && text[9] == 't' && message.msg_flags & MSG_TRUNC,
	    "recvmsg into pieces: MSG_TRUNC");
	ok(recv(fd[0], text, sizeof(text), 0) == 0 && recv(fd[0], text, sizeof(text), 0) == 0,
	   "an empty one, then the end");
	close(fd[0]);
}

static void bulk_sender(int fd)
{
	char *data = malloc(BULK);

	for (int i = 0; i < BULK; i++)
		data[i] = (char)(i * 7 + (i >> 8));
	_exit(send(fd, data, BULK, 0) == BULK ? 0 : 1);
}

static void test_tcp(void)
{
	int server = listener(7000), client, fd;
	struct sockaddr_in address;
	socklen_t bytes = sizeof(address);
	char *data = malloc(BULK), text[8];
	pid_t child;
	int good = 1;

	ok(server >= 0, "a listener");
	ok(listener(7000) == -1 && errno == EADDRINUSE, "its port is taken");
	ok(connected(7001) == -1 && errno == ECONNREFUSED, "nobody listens at another");
	child = fork();
	if (child == 0) {
		client = connected(7000);
		bulk_sender(client);
	}
	fd = accept(server, (struct sockaddr *)&address, &bytes);
	ok(fd >= 0 && bytes == sizeof(address) && address.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "accept");
	ok(recv(fd, data, BULK, MSG_WAITALL) == BULK, "MSG_WAITALL: all of it");
	for (int i = 0; i < BULK && good; i++)
		good = data[i] == (char)(i * 7 + (i >> 8));
	ok(good, "as it was sent");
	ok(recv(fd, text, sizeof(text), 0) == 0, "then an end");
	ok(status_of(child) == 0, "send() took all of it");
	close(fd);

	client = connected(7000);
	fd = accept(server, NULL, NULL);
	ok(fcntl(client, F_SETFL, O_NONBLOCK) == 0 && recv(client, text, 1, 0) == -1 && errno == EAGAIN,
	   "O_NONBLOCK: EAGAIN");
	ok(send(fd, "abc", 3, 0) == 3 && recv(client, text, 8, MSG_PEEK) == 3 &&
	   recv(client, text, 8, 0) == 3, "MSG_PEEK");
	ok(!shutdown(client, SHUT_WR) && recv(fd, text, 1, 0) == 0 && send(fd, "x", 1, 0) == 1, "half closed");
	send(fd, "unread", 6, 0);
	close(client);
	ok(recv(fd, text, 1, 0) == -1 && errno == ECONNRESET, "closed with unread data: ECONNRESET");
	close(fd);
	close(server);
	free(data);
}

/* A stream that must not wait is connected, or refused, later, also to an own address. */
static void test_later(void)
{
	struct sockaddr_in there = loopback(7161), nobody = loopback(7162);
	int server = listener(7161), one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), mark = 1, error = -1;
	int two = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), file = open("/tmp/later", O_RDWR | O_CREAT, 0600);
	struct in6_addr any = IN6ADDR_ANY_INIT, own = IN6ADDR_LOOPBACK_INIT;
	struct pollfd ready[2] = { { one, POLLOUT, 0 }, { two, POLLOUT, 0 } };
	socklen_t bytes = sizeof(error);

	ok(connect(one, (struct sockaddr *)&there, sizeof(there)) == -1 && errno == EINPROGRESS, "connect without waiting: EINPROGRESS");
	ok(poll(ready, 1, 1000) == 1 && ready[0].revents == POLLOUT &&
	   !getsockopt(one, SOL_SOCKET, SO_ERROR, &error, &bytes) && error == 0, "... and connected");
	ok(!connect(one, (struct sockaddr *)&there, sizeof(there)) &&
	   connect(one, (struct sockaddr *)&there, sizeof(there)) == -1 && errno == EISCONN, "... as connect says");
	ok(!ioctl(one, SIOCATMARK, &mark) && mark == 0 && ioctl(file, SIOCATMARK, &mark) == -1 && errno == ENOTTY &&
	   ioctl(-1, SIOCATMARK, &mark) == -1 && errno == EBADF, "SIOCATMARK");
	ok(connect(two, (struct sockaddr *)&nobody, sizeof(nobody)) == -1 && errno == EINPROGRESS, "nobody there: EINPROGRESS");
	ok(poll(ready + 1, 1, 1000) == 1 && ready[1].revents & POLLERR &&
	   !getsockopt(two, SOL_SOCKET, SO_ERROR, &error, &bytes) && error == ECONNREFUSED, "... and ECONNREFUSED");
	ok(connect(two, (struct sockaddr *)&there, sizeof(there)) == -1 && errno == EINPROGRESS &&
	   poll(ready + 1, 1, 1000) == 1 && ready[1].revents == POLLOUT, "... and the socket can be connected yet");
	ok(setsockopt(one, IPPROTO_IP, IP_ADD_MEMBERSHIP, &(struct ip_mreq){ 0 }, sizeof(struct ip_mreq)) == -1 &&
	   errno == ENOPROTOOPT, "IP_ADD_MEMBERSHIP: ENOPROTOOPT");
	ok(IN6_ARE_ADDR_EQUAL(&own, &in6addr_loopback) && !IN6_ARE_ADDR_EQUAL(&own, &any), "IN6_ARE_ADDR_EQUAL");
	ok(sizeof(n_short) == 2 && sizeof(n_long) == 4 && sizeof(n_time) == 4 && sizeof(struct ip) == 20, "netinet/in_systm.h");
	close(one);
	close(two);
	close(file);
	close(server);
	unlink("/tmp/later");
}

static void test_ping_pong(void)
{
	int server = listener(7002), fd, good = 0;
	pid_t child = fork();
	char byte = 0;

	if (child == 0) {
		fd = connected(7002);
		while (read(fd, &byte, 1) == 1) {
			byte++;
			if (write(fd, &byte, 1) != 1)
				_exit(2);
		}
		_exit(0);
	}
	fd = accept(server, NULL, NULL);
	for (int i = 0; i < TRIPS; i++) {
		byte = (char)i;
		good += write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 && byte == (char)(i + 1);
	}
	ok(good == TRIPS, "%d of %d round trips", good, TRIPS);
	close(fd);
	close(server);
	ok(status_of(child) == 0, "the other side saw the end");
}

static void test_many(void)
{
	int server = listener(7003), served = 0;
	pid_t child[6];

	for (int i = 0; i < 6; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			char text[32], want[32];
			int fd = connected(7003);

			sprintf(want, "client %d", i);
			send(fd, want, strlen(want), 0);
			_exit(recv(fd, text, sizeof(text), 0) == (ssize_t)strlen(want) &&
			      !memcmp(text, want, strlen(want)) ? 0 : 1);
		}
	}
	for (int i = 0; i < 6; i++) {
		int fd = accept(server, NULL, NULL);

		if (fork() == 0) {
			char text[32];
			ssize_t bytes = recv(fd, text, sizeof(text), 0);

			_exit(send(fd, text, (size_t)bytes, 0) != bytes);
		}
		close(fd);
	}
	for (int status; wait(&status) > 0;)
		served += status == 0;
	ok(served == 12, "a process for each of six clients at once: %d ended well", served);
	close(server);
}

static void test_killed(void)
{
	int server = listener(7004), fd, status;
	char text[8];
	pid_t child = fork();

	if (child == 0) {
		fd = connected(7004);
		send(fd, "x", 1, 0);
		pause();
		_exit(0);
	}
	fd = accept(server, NULL, NULL);
	recv(fd, text, 1, 0);
	kill(child, SIGKILL);
	ok(recv(fd, text, 1, 0) == 0, "a peer that is killed is an end");
	status = status_of(child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it is reaped");
	close(fd);
	close(server);
}

static void test_udp(void)
{
	struct sockaddr_in address = loopback(7005), from;
	socklen_t bytes = sizeof(from);
	struct timeval wait = { .tv_usec = 50000 };
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	char text[64];

	ok(!bind(a, (struct sockaddr *)&address, sizeof(address)), "UDP");
	ok(sendto(b, "datagram", 8, 0, (struct sockaddr *)&address, sizeof(address)) == 8, "sendto");
	ok(recvfrom(a, text, 4, 0, (struct sockaddr *)&from, &bytes) == 4 && bytes == sizeof(from), "recvfrom, cut");
	ok(sendto(a, "back", 4, 0, (struct sockaddr *)&from, bytes) == 4 &&
	   recv(b, text, sizeof(text), 0) == 4, "and back");
	setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	ok(recv(a, text, 1, 0) == -1 && errno == EAGAIN && read(a, text, 1) == -1 && errno == EAGAIN, "SO_RCVTIMEO");
	connect(b, (struct sockaddr *)&address, sizeof(address));
	ok(!getsockname(b, (struct sockaddr *)&from, &bytes) && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK),
	    "getsockname: the address that it speaks from");
	close(a);
	close(b);
}

static void test_poll(void)
{
	struct pollfd list[2];
	int fd[2], server = listener(7006), client;
	fd_set set;
	pid_t child;

	socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
	list[0] = (struct pollfd){ .fd = fd[0], .events = POLLIN };
	list[1] = (struct pollfd){ .fd = server, .events = POLLIN };
	ok(poll(list, 2, 0) == 0, "poll: nothing");
	child = fork();
	if (child == 0) {
		usleep(20000);
		_exit(write(fd[1], "x", 1) != 1);
	}
	ok(poll(list, 2, 5000) == 1 && list[0].revents == POLLIN && !list[1].revents, "poll: bytes");
	status_of(child);
	client = connected(7006);
	FD_ZERO(&set);
	FD_SET(server, &set);
	ok(select(server + 1, &set, NULL, NULL, NULL) == 1 && sizeof(set) * 8 == FD_SETSIZE &&
	   FD_ISSET(server, &set), "select: a connection");
	list[0] = (struct pollfd){ .fd = client, .events = POLLOUT };
	ok(poll(list, 1, 0) == 1 && list[0].revents == POLLOUT, "poll: room");
	close(client);
	close(server);
	close(fd[0]);
	close(fd[1]);
}

static int send_fd(int to, int number)
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
	return (int)sendmsg(to, &message, 0);
}

static int receive_fd(int from)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec piece = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	int number = -1;

	if (recvmsg(from, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&number, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return number;
}

static void test_local(void)
{
	struct sockaddr_un address = path("/tmp/socket");
	int server = socket(AF_UNIX, SOCK_STREAM, 0), fd, given, pipe_fd[2];
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	char text[16];
	pid_t child;

	mkdir("/tmp", 0777);
	unlink("/tmp/socket");
	ok(!bind(server, (struct sockaddr *)&address, sizeof(address)), "a name in the file system: %s",
	   strerror(errno));
	ok(!listen(server, 5), "listen");
	child = fork();
	if (child == 0) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) || pipe(pipe_fd))
			_exit(1);
		send_fd(fd, pipe_fd[0]);
		_exit(write(pipe_fd[1], "in a pipe", 9) != 9);
	}
	fd = accept(server, NULL, NULL);
	ok(!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) && peer.pid == child, "SO_PEERCRED");
	given = receive_fd(fd);
	ok(given >= 0 && read(given, text, sizeof(text)) == 9 && !memcmp(text, "in a pipe", 9), "SCM_RIGHTS: a pipe");
	ok(read(given, text, sizeof(text)) == 0, "whose writer is gone");
	status_of(child);
	close(given);
	close(fd);
	close(server);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ok(connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1 && errno == ECONNREFUSED,
	   "a name without a socket");
	ok(!unlink("/tmp/socket") && connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1 &&
	   errno == ENOENT,
	    "no name");
	close(fd);
}

static void test_names(void)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found = NULL;
	struct ifaddrs *list = NULL;
	struct in6_addr six;
	char text[64], service[16];
	const struct servent *http = getservbyname("http", "tcp");

	int error = getaddrinfo("localhost", "http", &hints, &found);

	ok(!error, "getaddrinfo: %s", gai_strerror(error));
	ok(found && ((struct sockaddr_in *)found->ai_addr)->sin_port == htons(80) &&
	    ((struct sockaddr_in *)found->ai_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK), "localhost, http");
	ok(found && !getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), service,
				 sizeof(service), 0) &&
	    !strcmp(text, "localhost") && !strcmp(service, "http"), "getnameinfo");
	freeaddrinfo(found);
	ok(getaddrinfo(NULL, "nonsense", &hints, &found) == EAI_SERVICE, "no such service");
	ok(http && ntohs(http->s_port) == 80, "getservbyname");
	ok(getprotobyname("tcp") && getprotobyname("tcp")->p_proto == IPPROTO_TCP, "getprotobyname");
	ok(inet_pton(AF_INET6, "fe80::1:0:0:2", &six) == 1 && inet_ntop(AF_INET6, &six, text, sizeof(text)) &&
	    !strcmp(text, "fe80::1:0:0:2"), "IPv6 as text: %s", text);
	ok(inet_pton(AF_INET, "1.2.3", &six) == 0 && inet_addr("1.2.3") == htonl(0x01020003), "IPv4 as text");
	ok(if_nametoindex("lo") == 1 && if_indextoname(1, text) && !strcmp(text, "lo"), "if_nametoindex");
	ok(!getifaddrs(&list) && list && list->ifa_flags & IFF_LOOPBACK, "getifaddrs");
	freeifaddrs(list);
}

/* One address of IPv6 for `node`: 0 and its text, or what getaddrinfo says. */
static int six_of(const char *node, int family, int flags, char *text)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_DGRAM, .ai_flags = flags }, *found = NULL;
	int error = getaddrinfo(node, "7", &hints, &found);

	strcpy(text, "none");
	if (error)
		return error;
	if (found->ai_family == AF_INET6 && found->ai_addrlen == sizeof(struct sockaddr_in6) && !found->ai_next &&
	    ((struct sockaddr_in6 *)found->ai_addr)->sin6_port == htons(7))
		error = getnameinfo(found->ai_addr, found->ai_addrlen, text, NI_MAXHOST, NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(found);
	return error;
}

/* There is none; but its numbers are numbers. */
static void test_six(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr *any = (const struct sockaddr *)&address;
	char text[NI_MAXHOST];

	ok(!six_of("::1", AF_UNSPEC, AI_NUMERICHOST, text) && !strcmp(text, "::1"), "::1 as a number: %s", text);
	ok(!six_of("fe80::2", AF_INET6, 0, text) && !strcmp(text, "fe80::2"), "fe80::2 where a name may be: %s",
	   text);
	ok(six_of("::1", AF_INET, 0, text) == EAI_NONAME, "::1 is no IPv4");
	ok(six_of("::x", AF_UNSPEC, 0, text) == EAI_NONAME, "nor ::x a name");
	ok(six_of("10.1.2.3", AF_INET6, AI_NUMERICHOST, text) == EAI_NONAME, "an address of IPv4 is none of IPv6");
	ok(!six_of("10.1.2.3", AF_INET6, AI_V4MAPPED, text) && !strcmp(text, "::ffff:10.1.2.3"),
	   "unless mapped: %s", text);
	ok(six_of("localhost", AF_INET6, 0, text) == EAI_NONAME, "no name leads to IPv6");
	ok(!six_of(NULL, AF_INET6, 0, text) && !strcmp(text, "::1") && !six_of(NULL, AF_INET6, AI_PASSIVE, text) &&
	   !strcmp(text, "::"), "the own one, and any");
	ok(six_of(NULL, AF_INET6, AI_ADDRCONFIG, text) == EAI_NONAME, "which no interface has");
	ok(six_of("::1", AF_UNIX, 0, text) == EAI_FAMILY, "another family");
	ok(!six_of(NULL, AF_UNSPEC, AI_PASSIVE, text) && !strcmp(text, "none"), "who does not mind gets IPv4");
	ok(getnameinfo(any, sizeof(address), text, sizeof(text), NULL, 0, NI_NAMEREQD) == EAI_NONAME &&
	   getnameinfo(any, sizeof(address), text, 3, NULL, 0, 0) == EAI_OVERFLOW &&
	   getnameinfo(any, sizeof(struct sockaddr_in), text, sizeof(text), NULL, 0, 0) == EAI_FAMILY,
	   "no name, no room, no address");
	ok(socket(AF_INET6, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT, "no socket of IPv6");
}

static int option_error(int fd, int level, int name, const void *value, socklen_t bytes)
{
	return setsockopt(fd, level, name, value, bytes) ? errno : 0;
}

static void test_option_lengths(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), value = 9;
	struct ip_mreq group = { .imr_multiaddr.s_addr = htonl(0xe0000001) };
	socklen_t bytes = sizeof(value);
	uint8_t byte = 5;

	ok(option_error(fd, IPPROTO_IP, IP_MULTICAST_TTL, &byte, 1) == ENOPROTOOPT &&
	   option_error(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &value, sizeof(value)) == ENOPROTOOPT &&
	   option_error(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) == ENOPROTOOPT,
	   "no multicast, in any length");
	ok(!option_error(fd, IPPROTO_IP, IP_TTL, &byte, 1) &&
	   !getsockopt(fd, IPPROTO_IP, IP_TTL, &value, &bytes) && value == 5, "a time to live in a byte");
	ok(option_error(fd, IPPROTO_IP, IP_TTL, &byte, 0) == EINVAL &&
	   option_error(fd, SOL_SOCKET, SO_BROADCAST, &byte, 1) == EINVAL, "what is there has its length");
	ok(option_error(fd, SOL_SOCKET, 999, &byte, 1) == ENOPROTOOPT &&
	   option_error(fd, SOL_SOCKET, SO_ERROR, &byte, 1) == ENOPROTOOPT, "what is not has none");
	close(fd);
}

int main(void)
{
	test_six();
	test_option_lengths();
	test_pieces();
	test_pair();
	test_packets();
	test_tcp();
	test_later();
	test_ping_pong();
	test_many();
	test_killed();
	test_udp();
	test_poll();
	test_local();
	test_names();
	return tap_done();
}
