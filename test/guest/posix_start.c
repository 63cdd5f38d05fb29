/* SPDX-License-Identifier: BSD-2-Clause */
/* A process of the libOS posix: it begins, has its arguments, memory and clock, and ends. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/tap.h"

static int zero[3000], one[3000] = { 1 };

int main(int argc, char **argv)
{
	struct timespec now;
	char *memory = malloc(100000);

	ok(argc >= 1 && argv[0] && !argv[argc], "arguments");
	ok(!zero[2999] && one[0] == 1 && !one[2999], "data");
	ok(memory && memset(memory, 1, 100000) == memory && memory[99999] == 1, "memory");
	ok(!clock_gettime(CLOCK_MONOTONIC, &now) && now.tv_sec + now.tv_nsec > 0, "clock");
	free(memory);
	return tap_done();
}
