/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kv: options. See kv.h for the whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kv/kv.h"
#include "libos/core/nearest.h"

static const char usage[] =
	"usage: kv [OPTIONS]\n"
	"Keep keys and values in memory for clients of memcached's text protocol.\n"
	"\n"
	"  -p, --port N             listen on TCP port N (11211)\n"
	"  -m, --memory MIB         keep at most so much (16); what was not used for the longest goes first\n"
	"  -c, --connections N      serve at most N at once (1024)\n"
	"  -I, --value-max KIB      the largest value (1024, which is also the most)\n"
	"  -h, --help               print this\n"
	"\n"
	"examples:\n"
	"  kv\n"
	"  kv --port 11212 --memory 64\n";

static unsigned port = 11211, memory_mib = 16, value_kib = 1024;

static const struct option {
	const char *name;
	char letter;
	unsigned *number, low, high;
} options[] = {
	{ "--port", 'p', &port, 1, 65535 },
	{ "--memory", 'm', &memory_mib, 1, 1 << 20 },
	{ "--connections", 'c', &kv_max_connections, 1, 100000 },
	{ "--value-max", 'I', &value_kib, 1, VALUE_MAX / 1024 },
};

#define OPTIONS	(sizeof(options) / sizeof(options[0]))

static const struct option *find_option(const char *word, size_t len)
{
	const char *known[OPTIONS + 2];
	size_t i;

	for (i = 0; i < OPTIONS; i++) {
		known[i] = options[i].name;
		if ((strlen(known[i]) == len && !memcmp(known[i], word, len)) ||
		    (len == 2 && word[1] == options[i].letter))
			return &options[i];
	}
	known[i++] = "--help";
	known[i] = NULL;
	fprintf(stderr, "kv: unknown option %.*s; the nearest known one is %s\n", (int)len, word,
		nearest(word, len, known));
	exit(2);
}

static void take_number(const struct option *o, const char *text)
{
	char *end;
	unsigned long v = text ? strtoul(text, &end, 10) : 0;

	if (!text || *text < '0' || *text > '9' || *end || v < o->low || v > o->high) {
		fprintf(stderr, "kv: %s %s: write a whole number from %u to %u\n", o->name, text ? text : "", o->low,
			o->high);
		exit(2);
	}
	*o->number = (unsigned)v;
}

static void take_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *equals = strchr(word, '=');

		if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			fputs(usage, stdout);
			exit(0);
		}
		if (word[0] != '-') {
			fprintf(stderr, "kv: %s: only options are known; kv --help lists them\n", word);
			exit(2);
		}
		if (equals)
			take_number(find_option(word, (size_t)(equals - word)), equals + 1);
		else
			take_number(find_option(word, strlen(word)), argv[i + 1]), i++;
	}
}

void *store_memory(size_t bytes, bool large, bool *kept)
{
	void *memory = large ? conn_memory(bytes) : NULL;

	*kept = memory;
	return memory ? memory : malloc(bytes);
}

int main(int argc, char **argv)
{
	int error;

	take_arguments(argc, argv);
	kv_value_max = (size_t)value_kib * 1024;
	if (!store_start((size_t)memory_mib << 20)) {
		fputs("kv: not enough memory; give the program more, or kv less with --memory\n", stderr);
		return 2;
	}
	error = conn_listen((uint16_t)port, &kv_calls);
	if (error) {
		fprintf(stderr, "kv: port %u: %s\n", port, strerror(error));
		return 2;
	}
	printf("kv: serving on port %u\n", port);
	fflush(stdout);
	return conn_run();
}
