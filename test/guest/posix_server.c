/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server as UNIX has them, for test/e2e/posix_net.py: a process for each connection, and one for UDP.
 *
 * A connection says one line: GET /N HTTP/1.0 (N bytes), ECHO N (N bytes follow), ABORT, KILL, CRASH, DROP
 * (ends with what it has not read), CONNECT ADDRESS PORT [OWN PORT] (what that one says is passed on), NAME HOST,
 * PING ADDRESS, WHO (argument 2; also of one who CONNECTs), QUIT (the server ends). Argument 1 is the port; 80 if there is none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/ip_icmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE	8192

static char data[PIECE];
static volatile sig_atomic_t quit;
static const char *who = "";

static void on_term(int number)
{
	(void)number;
	quit = 1;
}

static void say(int fd, const char *text)
{
	send(fd, text, strlen(text), 0);
}

static void give(int fd, long bytes)
{
	sprintf(data, "HTTP/1.0 200 OK\r\nContent-Length: %ld\r\nContent-Type: application/octet-stream\r\n\r\n", bytes);
	say(fd, data);
	for (long done = 0; done < bytes;) {
		size_t part = bytes - done < PIECE ? (size_t)(bytes - done) : PIECE;

		for (size_t i = 0; i < part; i++)
			data[i] = (char)((done + (long)i) * 13 >> 2);
		if (send(fd, data, part, 0) != (ssize_t)part)
			_exit(1);
		done += (long)part;
	}
}

static void echo(int fd, long bytes)
{
	while (bytes > 0) {
		ssize_t got = recv(fd, data, PIECE, 0);

		if (got <= 0 || send(fd, data, (size_t)got, 0) != got)
			_exit(1);
		bytes -= got;
	}
}

static void pass_on(int fd, const char *host, const char *port, uint16_t from)
{
	const struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(from) };
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	int out = socket(AF_INET, SOCK_STREAM, 0), error = getaddrinfo(host, port, &hints, &found);
	ssize_t got;

	if (error) {
		say(fd, gai_strerror(error));
		return;
	}
	if ((from && bind(out, (const struct sockaddr *)&own, sizeof(own))) || connect(out, found->ai_addr, found->ai_addrlen)) {
		say(fd, strerror(errno));
		return;
	}
	say(out, "from the guest\n");
	while ((got = recv(out, data, PIECE, 0)) > 0)
		send(fd, data, (size_t)got, 0);
}

static uint16_t sum_of(const uint16_t *word, unsigned count)
{
	uint32_t sum = 0;

	while (count--)
		sum += *word++;
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~(sum + (sum >> 16));
}

static void ping(int fd, const char *host)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(host) };
	struct icmphdr request = { .type = ICMP_ECHO, .un.echo = { 0x1234, 1 } }, answer;
	struct timeval wait = { .tv_sec = 5 };
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	ssize_t got;

	request.checksum = sum_of((uint16_t *)&request, sizeof(request) / 2);
	setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (sendto(raw, &request, sizeof(request), 0, (struct sockaddr *)&address,
		   sizeof(address)) != sizeof(request))
		say(fd, strerror(errno));
	while ((got = recv(raw, data, PIECE, 0)) > 0) {
		const struct iphdr *ip = (struct iphdr *)data;

		memcpy(&answer, data + ip->ihl * 4, sizeof(answer));
		if (answer.type == ICMP_ECHOREPLY && answer.un.echo.id == 0x1234 &&
		    ip->saddr == address.sin_addr.s_addr) {
			say(fd, "alive");
			return;
		}
	}
}

/* One line, byte by byte: what follows stays in the socket. */
static void read_line(int fd, char *line, size_t size)
{
	size_t length = 0;

	while (length + 1 < size && recv(fd, line + length, 1, 0) == 1 && line[length] != '\n')
		length++;
	line[length] = 0;
}

static void serve(int fd)
{
	char line[200] = "", host[100], port[20];
	struct linger cut = { 1, 0 };
	long number = 0;

	read_line(fd, line, sizeof(line));
	if (sscanf(line, "GET /%ld", &number) == 1) {
		char rest[200];

		do
			read_line(fd, rest, sizeof(rest));
		while (rest[0] && rest[0] != '\r');
		give(fd, number);
	} else if (sscanf(line, "ECHO %ld", &number) == 1) {
		echo(fd, number);
	} else if (sscanf(line, "CONNECT %99s %19s %ld", host, port, &number) >= 2) {
		pass_on(fd, host, port, (uint16_t)number);
	} else if (sscanf(line, "NAME %99s", host) == 1) {
		struct hostent *found = gethostbyname(host);

		say(fd, found ? inet_ntoa(*(struct in_addr *)found->h_addr) : hstrerror(h_errno));
	} else if (sscanf(line, "PING %99s", host) == 1) {
		ping(fd, host);
	} else if (!strncmp(line, "WHO", 3) || !strncmp(line, "from the guest", 14)) {
		say(fd, who);
	} else if (!strncmp(line, "ABORT", 5)) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
	} else if (!strncmp(line, "KILL", 4)) {
		raise(SIGKILL);
	} else if (!strncmp(line, "CRASH", 5)) {
		volatile char *volatile nowhere = NULL;

		*nowhere = 0;
	} else if (!strncmp(line, "QUIT", 4)) {
		kill(getppid(), SIGTERM);
	} else if (!strncmp(line, "DROP", 4)) {
		usleep(100000);
	}
	_exit(0);
}

static void udp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(7) };
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ssize_t got;

	bind(fd, (struct sockaddr *)&address, bytes);
	while ((got = recvfrom(fd, data, PIECE, 0, (struct sockaddr *)&address, &bytes)) >= 0)
		sendto(fd, data, (size_t)got, 0, (struct sockaddr *)&address, bytes);
	_exit(1);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(argc > 1 ? (uint16_t)atoi(argv[1]) : 80) };
	struct sigaction action = { .sa_handler = on_term };
	/* a signal right before accept() would be seen too late */
	struct timeval wait_for = { .tv_usec = 200000 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	unsigned served = 0, ended = 0;
	pid_t other = fork(), child;
	int status;

	if (argc > 2)
		who = argv[2];
	if (other == 0)
		udp();
	sigaction(SIGTERM, &action, NULL);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait_for, sizeof(wait_for));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 50)) {
		perror("posix_server");
		return 1;
	}
	printf("server: ready%s%s\n", argc > 2 ? " " : "", argc > 2 ? who : "");
	fflush(stdout);
	while (!quit) {
		int client = accept(fd, NULL, NULL);

		if (client >= 0) {
			child = fork();
			if (child == 0) {
				close(fd);
				serve(client);
			}
			if (child < 0)
				perror("posix_server: fork");
			served += child > 0;
			close(client);
		} else if (errno != EINTR && errno != EAGAIN) {
			perror("posix_server: accept");
		}
		while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
			ended++;
			if (status)
				printf("server: %d ended with %x\n", (int)child, status);
		}
	}
	kill(other, SIGKILL);
	while (wait(NULL) > 0)
		ended++;
	printf("server: served %u, ended %u\n", served, ended - 1);
	return served != ended - 1;
}
