/* SPDX-License-Identifier: BSD-2-Clause */
/* What posix_run.py has run: shows its arguments, environment or a file, or ends in one of several ways. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libos/core/spawn.h"
#include "libos/posix/call.h"

extern char **environ;

static int show(const char *path)
{
	char bytes[512];
	ssize_t got;
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		perror(path);
		return 1;
	}
	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		fwrite(bytes, 1, (size_t)got, stdout);
	return 0;
}

/* Standard input to its end: how many bytes, a sum that depends on their order, and whether it is a terminal. */
static int sum(void)
{
	unsigned char bytes[700];
	unsigned value = 0;
	long count = 0;
	ssize_t got;

	while ((got = read(0, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			value = value * 31 + bytes[i];
		count += got;
	}
	printf("%ld bytes, sum %u, %s\n", count, value, isatty(0) ? "a terminal" : "no terminal");
	return got < 0;
}

/* The environments that there are, by the kernel's own table, with a child. */
static int list(void)
{
	const struct exo_env_info *env;

	if (!fork())
		for (;;)
			pause();
	usleep(100000);
	posix_need_info();
	for (uint32_t i = 0; (env = info_env(i)) != NULL; i++)
		if (env->state != EXO_ENV_NONE)
			printf("%s\n", env->label);
	return 0;
}

/* All the memory that malloc gives, touched: it says itself when there is no more. */
static int eat(void)
{
	unsigned mib = 0;

	for (char *block; (block = malloc(1 << 20)) != NULL; mib++)
		memset(block, 1, 1 << 20);
	printf("%u\n", mib);
	return 0;
}

/* Children that would run for ever: they end with process 1. */
static int parent(void)
{
	for (int i = 0; i < 3; i++)
		if (!fork())
			for (;;)
				pause();
	return 4;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "sum"))
		return sum();
	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "kill"))
		raise(atoi(argv[2]));
	if (!strcmp(what, "fault"))
		__asm__ volatile("movl $1, 8");
	if (!strcmp(what, "show"))
		return show(argv[2]);
	if (!strcmp(what, "write")) {
		FILE *file = fopen(argv[2], "w");

		return file && fputs("written\n", file) >= 0 && !fclose(file) ? show(argv[2]) : 1;
	}
	if (!strcmp(what, "parent"))
		return parent();
	if (!strcmp(what, "eat"))
		return eat();
	if (!strcmp(what, "ps"))
		return list();
	printf("pid %d:", getpid());
	for (int i = 0; i < argc; i++)
		printf(" [%s]", argv[i]);
	printf("\n");
	for (char **at = environ; *at; at++)
		printf("%s\n", *at);
	return 0;
}
