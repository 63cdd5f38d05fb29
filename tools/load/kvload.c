/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exo-kvload: load for a key-value store that speaks memcached's text protocol.
 *
 * One thread, one epoll set; each connection asks, waits for the whole answer, checks it, asks again, so there are
 * always as many requests on their way as connections. Before time is taken all keys are set once. Keys and the choice
 * between get and set come from a generator with a fixed seed: the same run asks the same. Latency goes into a
 * histogram whose classes are 1/64 wide, relatively, so no sample is dropped and a percentile is off by 1.6 % at most.
 * One line of figures on standard output: `NAME VALUE` pairs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX	65536
#define CONNECTIONS_MAX	4096
#define FINE		6			/* log2 of the classes that an octave has */
#define CLASSES		((64 - FINE) << FINE)
#define ROOM		(VALUE_MAX + 256)
#define GIVE_UP_NS	10000000000ull		/* without any answer for so long the load ends */

struct connection {
	int socket;
	bool get;
	uint64_t since;				/* when the request was sent */
	uint32_t have;
	char answer[ROOM];
};

static struct setting {
	unsigned connections, keys, value_bytes, get_percent;
	double seconds;
} setting = { 64, 1000, 100, 90, 5 };
static struct sockaddr_in server = { .sin_family = AF_INET };
static uint64_t seed = 88172645463325252ull;
static uint64_t classes[CLASSES], answers, misses, errors, largest;
static char value[VALUE_MAX + 1];
static uint32_t next_key;			/* while the keys are set: the next one */

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t random_below(uint32_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % limit;
}

static unsigned class_of(uint64_t ns)
{
	if (ns < 1u << FINE)
		return ns;
	unsigned octave = 63 - __builtin_clzll(ns) - FINE;
	return (octave << FINE) + (ns >> octave);
}

static uint64_t class_end(unsigned class)
{
	if (class < 1u << FINE)
		return class;
	unsigned octave = (class >> FINE) - 1;
	return (((uint64_t)(class & ((1u << FINE) - 1)) + (1u << FINE) + 1) << octave) - 1;
}

/* Microseconds that so many of 1,000 answers did not exceed. */
static double percentile(unsigned thousandth)
{
	uint64_t wanted = (answers * thousandth + 999) / 1000, seen = 0;

	for (unsigned class = 0; class < CLASSES; class++) {
		seen += classes[class];
		if (seen >= wanted)
			return (class_end(class) < largest ? class_end(class) : largest) / 1000.0;
	}
	return 0;
}

static void fail(const char *thing)
{
	fprintf(stderr, "exo-kvload: %s: %s\n", thing, strerror(errno));
	exit(1);
}

/* Send the next request. False: the connection is of no use any more. */
static bool ask(struct connection *c, bool filling)
{
	static char text[ROOM];
	uint32_t key = filling ? next_key++ : random_below(setting.keys);
	int length;

	c->get = !filling && random_below(100) < setting.get_percent;
	if (c->get)
		length = snprintf(text, sizeof(text), "get key-%010u\r\n", key);
	else
		length = snprintf(text, sizeof(text), "set key-%010u 0 0 %u\r\n%s\r\n", key, setting.value_bytes, value);
	c->have = 0;
	c->since = now_ns();
	return send(c->socket, text, length, MSG_NOSIGNAL) == length;
}

/* Whether an answer is whole; *right: whether it is what had to come. */
static bool whole(const struct connection *c, bool *right)
{
	*right = true;
	if (c->have < 2 || memcmp(c->answer + c->have - 2, "\r\n", 2) != 0)
		return false;
	if (!c->get) {
		*right = c->have == 8 && memcmp(c->answer, "STORED\r\n", 8) == 0;
		return true;
	}
	if (c->have == 5 && memcmp(c->answer, "END\r\n", 5) == 0) {
		misses++;
		return true;
	}
	if (c->have < 5 || memcmp(c->answer + c->have - 5, "END\r\n", 5) != 0)
		return *right = memcmp(c->answer, "VALUE ", c->have < 6 ? c->have : 6) == 0, !*right;
	const char *line = memchr(c->answer, '\n', c->have);
	if (c->have - (line + 1 - c->answer) < setting.value_bytes + 7)
		return false;			/* these were the value's own bytes */
	*right = memcmp(c->answer, "VALUE key-", 10) == 0 && memcmp(line + 1, value, setting.value_bytes) == 0;
	return true;
}

static bool open_one(struct connection *c)
{
	int on = 1;

	c->socket = socket(AF_INET, SOCK_STREAM, 0);
	if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&server, sizeof(server)) != 0)
		return false;
	setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return true;
}

static void count(uint64_t ns)
{
	classes[class_of(ns)]++;
	answers++;
	if (ns > largest)
		largest = ns;
}

/* What has come on a connection. False: it is over. */
static bool receive(struct connection *c, bool filling, uint64_t end)
{
	ssize_t got = recv(c->socket, c->answer + c->have, ROOM - c->have, MSG_DONTWAIT);
	bool right;

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	c->have += got;
	if (!whole(c, &right))
		return c->have < ROOM;
	if (!right)
		return false;
	uint64_t now = now_ns();
	if (!filling)
		count(now - c->since);
	if (filling ? next_key < setting.keys : now < end)
		return ask(c, filling);
	c->since = 0;				/* no more to ask */
	return true;
}

/* Ask on the first `open` connections until the end, or until all keys are set; then collect what is on its way. */
static void phase(struct connection *connections, unsigned open, int set, bool filling, uint64_t end)
{
	struct epoll_event events[256];
	unsigned busy = 0;
	uint64_t last = now_ns();

	for (unsigned i = 0; i < open; i++)
		if (connections[i].socket >= 0 && (!filling || next_key < setting.keys))
			busy += ask(&connections[i], filling);
	while (busy > 0 && now_ns() - last < GIVE_UP_NS) {
		int found = epoll_wait(set, events, 256, 1000);
		if (found > 0)
			last = now_ns();
		for (int i = 0; i < found; i++) {
			struct connection *c = events[i].data.ptr;
			if (c->socket < 0)
				continue;
			if (!receive(c, filling, end)) {
				errors++;
				close(c->socket);
				c->socket = -1;
				busy--;
			} else if (c->since == 0) {
				busy--;
			}
		}
	}
	errors += busy;
}

static void run(void)
{
	struct connection *connections = calloc(setting.connections, sizeof(*connections));
	int set = epoll_create1(0);

	if (connections == NULL || set < 0)
		fail("start");
	for (unsigned i = 0; i < setting.connections; i++) {
		if (!open_one(&connections[i])) {
			if (i == 0)
				fail("connection");
			errors++;
			connections[i].socket = -1;
			continue;
		}
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };
		epoll_ctl(set, EPOLL_CTL_ADD, connections[i].socket, &event);
	}
	phase(connections, setting.connections < 16 ? setting.connections : 16, set, true, 0);
	uint64_t began = now_ns();
	phase(connections, setting.connections, set, false, began + (uint64_t)(setting.seconds * 1e9));
	double took = (now_ns() - began) / 1e9;
	printf("requests %llu seconds %.4f rate %.1f p50_us %.1f p90_us %.1f p99_us %.1f max_us %.1f misses %llu errors %llu\n",
	       (unsigned long long)answers, took, answers / took, percentile(500), percentile(900), percentile(990),
	       largest / 1000.0, (unsigned long long)misses, (unsigned long long)errors);
}

static unsigned number(const char *text, unsigned low, unsigned high, const char *what)
{
	char *end;
	unsigned long found = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || found < low || found > high) {
		fprintf(stderr, "exo-kvload: %s %s: write a whole number from %u to %u\n", what, text, low, high);
		exit(2);
	}
	return found;
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "c:d:g:k:v:h")) != -1) {
		switch (option) {
		case 'c': setting.connections = number(optarg, 1, CONNECTIONS_MAX, "-c"); break;
		case 'd': setting.seconds = number(optarg, 1, 3600, "-d"); break;
		case 'g': setting.get_percent = number(optarg, 0, 100, "-g"); break;
		case 'k': setting.keys = number(optarg, 1, 1000000000, "-k"); break;
		case 'v': setting.value_bytes = number(optarg, 1, VALUE_MAX, "-v"); break;
		default:
			fprintf(option == 'h' ? stdout : stderr,
				"usage: exo-kvload [-c CONNECTIONS (64)] [-d SECONDS (5)] [-g PERCENT of gets (90)]\n"
				"                  [-k KEYS (1000)] [-v VALUE BYTES (100)] ADDRESS PORT\n");
			return option == 'h' ? 0 : 2;
		}
	}
	if (argc - optind != 2 || inet_pton(AF_INET, argv[optind], &server.sin_addr) != 1) {
		fprintf(stderr, "exo-kvload: an IPv4 address and a port are needed; exo-kvload -h says more\n");
		return 2;
	}
	server.sin_port = htons(number(argv[optind + 1], 1, 65535, "port"));
	memset(value, 'x', setting.value_bytes);
	run();
	return 0;
}
