/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's console as a terminal. Bytes come as they were typed: the marks by which `exo run` tells the
 * end of a file from its bytes (libos/core/input.c) are this terminal's LNEXT and EOF and mean the same.
 */
#include <string.h>
#include "libos/keep/tty.h"

static exo_cap_t console;

static void show(struct ldisc *ldisc)
{
	char bytes[EXO_CONSOLE_MAX];
	size_t have = 0, more, part;

	while ((more = ldisc_take(ldisc, bytes + have, sizeof(bytes) - have))) {
		have += more;
		part = core_lines(bytes, have, sizeof(bytes) - 1);
		core_write(bytes, part);
		have -= part;
		memmove(bytes, bytes + part, have);
	}
	core_write(bytes, have);
}

static void room(struct ldisc *ldisc)
{
	keep_wake(&((struct keep_tty *)ldisc)->writers);
}

static const struct ldisc_hooks hooks = { .signal = tty_signal, .input = tty_input, .output = show, .room = room };

/* What was typed. */
static exo_time_t look(void *arg)
{
	struct keep_tty *tty = arg;
	static char bytes[EXO_CONSOLE_MAX];
	int64_t got;

	while ((got = exo_console_read(console, 0, sizeof(bytes))) > 0) {
		memcpy(bytes, core_arg(0), (size_t)got);
		for (int64_t i = 0; i < got; i++)
			ldisc_type(&tty->ldisc, (uint8_t)bytes[i]);
	}
	return EXO_NEVER;
}

void console_start(void)
{
	static struct thread_poller poller = { .poll = look, .arg = &keep_ttys[TTY_CONSOLE] };

	tty_start(&keep_ttys[TTY_CONSOLE], &hooks);
	/* As all programs write to it: whoever shows it begins a line with each newline. */
	keep_ttys[TTY_CONSOLE].ldisc.termios.c_oflag = OPOST | ONLRET;
	console = core_named(EXO_NAME_CONSOLE);
	if (console && !keep_input_plain)
		thread_add_poller(&poller);
}
