/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpd: options. See httpd.h for the whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apps/httpd/httpd.h"
#include "libos/core/nearest.h"

static const char usage[] =
	"usage: httpd [OPTIONS] DIR\n"
	"Serve the files of DIR over HTTP/1.1.\n"
	"\n"
	"  --port N               listen on TCP port N (80); httpd: 0 for any free one\n"
	"  --max-clients N        serve at most N connections at once (httpd 300, httpd-events 1000)\n"
	"  --cache KIB            keep at most so much of files in memory (1024); a changed file is seen\n"
	"                         to be so within a second\n"
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

struct server server;

static unsigned port = 80, idle_seconds = 15, cache_kib = 1024;
static bool no_listing;

/* An option is a switch or takes a number between two limits. */
static const struct option {
	const char *name;
	bool *set;
	unsigned *number, low, high;
} options[] = {
	{ "--port", NULL, &port, 0, 65535 },
	{ "--max-clients", NULL, &server.max_clients, 1, 100000 },
	{ "--cache", NULL, &cache_kib, 0, 1 << 22 },
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

int main(int argc, char **argv)
{
	char thing[16];
	int error;

	server.max_clients = driver_clients;
	take_arguments(argc, argv);
	open_root();
	server.listing = !no_listing;
	server.idle_ms = (int)idle_seconds * 1000;
	server.cache_bytes = (size_t)cache_kib * 1024;
	snprintf(thing, sizeof(thing), "port %u", port);
	error = driver_listen(&port);
	if (error)
		fail(thing, strerror(error));
	printf("httpd: serving %s on port %u\n", server.root, port);
	fflush(stdout);
	return driver_run();
}
