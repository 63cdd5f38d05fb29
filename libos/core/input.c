/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input from the console.
 *
 * A serial line has no end, so one is agreed upon, as terminals do it: byte END (Ctrl-D) is the end of input,
 * and QUOTE (Ctrl-V) takes the meaning of the byte behind it away. `exo run` sends what is not typed at a
 * terminal so; whatever a file holds comes out here as it was, and then the end.
 */
#include "libos/core/core.h"

#define END	0x04
#define QUOTE	0x16

static exo_cap_t console;
static char taken[EXO_CONSOLE_MAX];	/* bytes from the kernel that nobody has asked for yet */
static size_t first, count;
static bool ended, quoted;

/* More bytes, without the marks: 0 or an error. */
static int64_t refill(void)
{
	if (!console)
		console = core_named(EXO_NAME_CONSOLE);
	int64_t got = exo_console_read(console, 0, sizeof(taken));
	const char *frame = core_arg(0);

	first = count = 0;
	for (int64_t i = 0; i < got && !ended; i++) {
		if (!quoted && frame[i] == QUOTE) {
			quoted = true;
			continue;
		}
		ended = !quoted && frame[i] == END;
		quoted = false;
		if (!ended)
			taken[count++] = frame[i];
	}
	return got < 0 ? got : 0;
}

int64_t core_input(void)
{
	if (!count && !ended) {
		int64_t error = refill();
		if (error)
			return error;
	}
	return count ? (int64_t)count : ended ? CORE_INPUT_END : 0;
}

size_t core_read(char *bytes, size_t most)
{
	size_t part = most < count ? most : count;

	for (size_t i = 0; i < part; i++)
		bytes[i] = taken[first + i];
	first += part;
	count -= part;
	return part;
}
