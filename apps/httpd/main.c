/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpd: options and the listening socket. See httpd.h for the whole.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "apps/httpd/httpd.h"
#include "libos/core/nearest.h"

#define BACKLOG	255

static const char usage[] =
	"usage: httpd [OPTIONS] DIR\n"
	"Serve the files of DIR over HTTP/1.1.\n"
	"\n"
	"  --port N               listen on TCP port N (80); 0: any free one\n"
	"  --max-threads N        serve at most N connections at once (300)\n"
	"  --idle-timeout SECONDS close a connection on which nothing comes for so long; also the longest\n"
	"                         time for a request's head, and for its body, to arrive (15)\n"
	"  --no-listing           do not list directories that have no index.html\n"
	"  --log                  print a line for each request\n"
	"  --test-faults          for tests: asking for /.fault/wild-store, stack-overflow, illegal, loop\n"
	"                         or exit makes the server do just that\n"
	"  --help                 print this\n"
	"\n"
	"examples:\n"
	"  httpd /www\n"
	"  httpd --port 8080 --no-listing /www\n";

static unsigned port = 80, max_threads = 300, idle_seconds = 15;
static bool no_listing;

/* An option is a switch or takes a number between two limits. */
static const struct option {
	const char *name;
	bool *set;
	unsigned *number, low, high;
} options[] = {
	{ "--port", NULL, &port, 0, 65535 },
	{ "--max-threads", NULL, &max_threads, 1, 10000 },
	{ "--idle-timeout", NULL, &idle_seconds, 1, 86400 },
	{ "--no-listing", &no_listing, NULL, 0, 0 },
	{ "--log", &server.log, NULL, 0, 0 },
	{ "--test-faults", &server.test_faults, NULL, 0, 0 },
};

#define OPTIONS	(sizeof(options) / sizeof(options[0]))

static _Noreturn void fail(const char *thing, const char *reason)
{
	fprintf(stderr, "httpd: %s: %s\n", thing, reason);
	exit(2);
}

static const struct option *find_option(const char *name, size_t len)
{
	const char *known[OPTIONS + 2];
	size_t i;

	for (i = 0; i < OPTIONS; i++) {
		known[i] = options[i].name;
		if (strlen(known[i]) == len && !memcmp(known[i], name, len))
			return &options[i];
	}
	known[i++] = "--help";
	known[i] = NULL;
	fprintf(stderr, "httpd: unknown option %.*s; the nearest known one is %s\n", (int)len, name,
		nearest(name, len, known));
	exit(2);
}

static void take_number(const struct option *o, const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < o->low || v > o->high) {
		fprintf(stderr, "httpd: %s %s: write a whole number from %u to %u\n", o->name, text, o->low,
			o->high);
		exit(2);
	}
	*o->number = (unsigned)v;
}

/* Take argv[i], an option with or without "=VALUE". Returns how many words it took. */
static int take_option(char **argv, int i)
{
	const char *word = argv[i], *equals = strchr(word, '=');
	const struct option *o = find_option(word, equals ? (size_t)(equals - word) : strlen(word));

	if (o->set) {
		if (equals)
			fail(o->name, "takes no value");
		*o->set = true;
		return 1;
	}
	if (equals) {
		take_number(o, equals + 1);
		return 1;
	}
	if (!argv[i + 1])
		fail(o->name, "needs a number behind it");
	take_number(o, argv[i + 1]);
	return 2;
}

static void take_arguments(int argc, char **argv)
{
	int i = 1;

	while (i < argc) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(usage, stdout);
			exit(0);
		}
		if (argv[i][0] == '-') {
			i += take_option(argv, i);
			continue;
		}
		if (server.root)
			fail(argv[i], "one directory is enough");
		server.root = argv[i++];
	}
	if (!server.root)
		fail("no directory given", "write httpd DIR; httpd --help says more");
}

/*
 * The root is kept without its trailing slashes, so "/" becomes empty: every path behind it begins with a
 * slash.
 */
static void open_root(void)
{
	struct stat st;

	if (stat(server.root, &st))
		fail(server.root, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		fail(server.root, "not a directory");
	server.root_len = strlen(server.root);
	while (server.root_len && server.root[server.root_len - 1] == '/')
		server.root_len--;
}

static void listen_on_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t len = sizeof(address);
	char thing[16];
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	snprintf(thing, sizeof(thing), "port %u", port);
	address.sin_addr.s_addr = htonl(INADDR_ANY);
	if (fd < 0)
		fail("no network", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		fail(thing, strerror(errno));
	port = ntohs(address.sin_port);
	server.listener = fd;
}

int main(int argc, char **argv)
{
	take_arguments(argc, argv);
	open_root();
	listen_on_port();
	server.listing = !no_listing;
	server.max_threads = max_threads;
	server.idle_ms = (int)idle_seconds * 1000;
	printf("httpd: serving %s on port %u\n", server.root, port);
	fflush(stdout);
	return pool_run();
}
