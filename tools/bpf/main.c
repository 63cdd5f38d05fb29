/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exo-bpf: what `exo bpf` does, with the kernel's own verifier, interpreter and compiler, built for this computer.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "exo/bpf.h"
#include "tools/bpf/tool.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} verbs[] = {
	{ "check", verb_check, "check FILE [--use packet|wake|owner] [--guards]" },
	{ "dump", verb_dump, "dump FILE [--use packet|wake|owner] [--native]" },
	{ "run", verb_run, "run FILE [--use packet|wake|owner] [--packet HEX | --pcap FILE | --block FILE[:N] | "
	  "--wake NAME=N,...] [--memory [W:]HEX]" },
	{ "plugin", verb_plugin, "plugin [--interp|--jit|--vm] [--verify] [MEMORY_HEX] <PROGRAM_HEX" },
};
#define VERBS	(sizeof(verbs) / sizeof(verbs[0]))

int complain(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "exo bpf: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return 1;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool bytes_hex(struct bytes *bytes, const char *word, size_t length)
{
	if (length > 2 && word[0] == '0' && (word[1] | 0x20) == 'x') {
		word += 2;
		length -= 2;
	}
	if (length == 0 || (length > 1 && length % 2))
		return false;
	for (size_t i = 0; i < length; i++)
		if (digit(word[i]) < 0)
			return false;
	for (size_t i = 0; i < length; i += 2) {
		if (bytes->count == bytes->room) {
			bytes->room = 2 * bytes->room + 64;
			bytes->at = realloc(bytes->at, bytes->room);
			if (!bytes->at)
				exit(complain("there is no memory"));
		}
		bytes->at[bytes->count++] = (uint8_t)(length == 1 ? digit(word[0]) :
						      digit(word[i]) << 4 | digit(word[i + 1]));
	}
	return true;
}

int main(int argc, char **argv)
{
	bool help = argc > 1 && strcmp(argv[1], "--help") == 0;

	for (size_t i = 0; argc > 1 && i < VERBS; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 2, argv + 2);
	if (argc > 1 && !help)
		complain("%s: there is no such verb", argv[1]);
	if (argc == 1)
		complain("which verb?");
	for (size_t i = 0; i < VERBS; i++)
		fprintf(help ? stdout : stderr, "%s exo bpf %s\n", i ? "      " : "usage:", verbs[i].usage);
	return !help;
}
