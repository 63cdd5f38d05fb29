/* SPDX-License-Identifier: BSD-2-Clause */
/* A process of the libOS posix: it begins, has its arguments, memory and clock, and ends. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/tap.h"

static int zero[3000], one[3000] = { 1 };
/* More constants than one step of mapping takes; the pointer is volatile, not they: those would be data. */
#define LARGE	(700 * 1024)
static const char large[LARGE] = { [LARGE / 2] = 'y', [LARGE - 1] = 'x' };
static const char *const volatile constants = large;

static int constant(void)
{
	const char *at = constants;
	size_t i, wrong = 0;

	for (i = 0; i < LARGE; i += 512)
		wrong += at[i] != (i == LARGE / 2 ? 'y' : 0);
	return !wrong && at[LARGE - 1] == 'x';
}

int main(int argc, char **argv)
{
	struct timespec now;
	char *memory = malloc(100000);

	ok(argc >= 1 && argv[0] && !argv[argc], "arguments");
	ok(!zero[2999] && one[0] == 1 && !one[2999], "data");
	ok(constant(), "constants");
	ok(memory && memset(memory, 1, 100000) == memory && memory[99999] == 1, "memory");
	ok(!clock_gettime(CLOCK_MONOTONIC, &now) && now.tv_sec + now.tv_nsec > 0, "clock");
	free(memory);
	return tap_done();
}
