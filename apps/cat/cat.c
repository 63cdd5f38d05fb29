/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cat: copies the console's input to its output until the input ends, and says nothing else.
 *
 * Usage: cat [--ticks]: with it, a second thread counts aloud meanwhile, to show that reading blocks one thread
 * only.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "libos/core/thread.h"

static bool ended;

static void tick(void *arg)
{
	(void)arg;
	for (unsigned i = 1; !ended; i++) {
		thread_sleep(core_now() + CORE_SECOND / 10);
		core_line("tick %u", i);
	}
}

static int copy(void)
{
	char buffer[1024];
	ssize_t got;

	while ((got = read(0, buffer, sizeof(buffer))) > 0)
		for (ssize_t at = 0, done; at < got; at += done) {
			done = write(1, buffer + at, (size_t)(got - at));
			if (done <= 0)
				return 1;
		}
	if (got < 0)
		perror("cat: input");
	return got < 0;
}

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--ticks"))) {
		fprintf(stderr, "cat: unknown argument %s; the known one is --ticks\n", argv[argc - 1]);
		return 2;
	}
	if (argc == 2) {
		thread_create("ticks", tick, NULL);
		while (poll(&input, 1, 250) == 0)
			core_line("nothing yet");
	}
	int status = copy();
	ended = true;
	return status;
}
