/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: bytes through the argument frame, at most EXO_CONSOLE_MAX a call. What several programs write comes in turns
 * of a call, so where there is more than one takes, each ends with a line's end if it can.
 */
#include "libos/core/core.h"

static exo_cap_t console;

size_t core_lines(const char *bytes, size_t count, size_t room)
{
	size_t part = room;

	if (count <= room)
		return count;
	while (part && bytes[part - 1] != '\n')
		part--;
	return part ? part : room;
}

/*
 * Usable from threads and from fault handlers: the latter have their own, smaller part of the argument frame.
 */
static void write_from(uint64_t offset, size_t room, const char *bytes, size_t count)
{
	if (!console)
		console = core_named(EXO_NAME_CONSOLE);
	while (count && console) {
		size_t part = core_lines(bytes, count, room);
		char *frame = core_arg(offset);

		for (size_t i = 0; i < part; i++)
			frame[i] = bytes[i];
		int64_t done = exo_console_write(console, offset, part);
		if (done <= 0)
			return;
		bytes += done;
		count -= (size_t)done;
	}
}

void core_write(const char *bytes, size_t count)
{
	if (core_disp->off)
		write_from(CORE_ARG_FAULT, EXO_PAGE_SIZE - CORE_ARG_FAULT, bytes, count);
	else
		write_from(0, EXO_CONSOLE_MAX, bytes, count);
}
