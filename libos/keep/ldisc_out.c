/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline: output and echo. See ldisc.h.
 */
#include <string.h>
#include "libos/keep/ldisc.h"
#include "libos/keep/ldisc_out.h"

#define TAB	8
#define ECHO_ROOM	16	/* places of out[] that only an echo takes */

static uint32_t room(const struct ldisc *ldisc)
{
	return LDISC_OUT - (ldisc->out_tail - ldisc->out_head);
}

static void out(struct ldisc *ldisc, uint8_t byte)
{
	ldisc->out[ldisc->out_tail++ % LDISC_OUT] = byte;
}

static uint32_t advance(uint32_t column, uint8_t byte)
{
	switch (byte) {
	case '\n':
	case '\r':
		return 0;
	case '\b':
		return column ? column - 1 : 0;
	case '\t':
		return column / TAB * TAB + TAB;
	default:
		/* Of the bytes of a UTF-8 character the first one moves the cursor. */
		return column + (byte >= ' ' && byte != 0x7f && (byte & 0xc0) != 0x80);
	}
}

/* Put one byte out as OPOST says; false: there is no room for all that it becomes. */
static bool process(struct ldisc *ldisc, uint8_t byte, uint32_t keep)
{
	tcflag_t flags = ldisc->termios.c_oflag;
	uint32_t spaces;

	if (room(ldisc) < keep + TAB)
		return false;
	if (!(flags & OPOST)) {
		out(ldisc, byte);
		ldisc->column = advance(ldisc->column, byte);
		return true;
	}
	if (byte == '\r') {
		if (flags & ONOCR && ldisc->column == 0)
			return true;
		if (flags & OCRNL)
			byte = '\n';
	}
	if (byte == '\n' && flags & ONLCR) {
		out(ldisc, '\r');
		out(ldisc, '\n');
		ldisc->column = 0;
		return true;
	}
	if (byte == '\t' && (flags & TABDLY) == TAB3) {
		spaces = TAB - ldisc->column % TAB;
		ldisc->column += spaces;
		while (spaces--)
			out(ldisc, ' ');
		return true;
	}
	out(ldisc, byte);
	ldisc->column = advance(ldisc->column, byte);
	return true;
}

size_t ldisc_write(struct ldisc *ldisc, const char *from, size_t bytes)
{
	size_t done = 0;

	while (done < bytes && process(ldisc, (uint8_t)from[done], ECHO_ROOM))
		done++;
	if (done)
		ldisc->hooks->output(ldisc);
	return done;
}

void ldisc_echo_raw(struct ldisc *ldisc, uint8_t byte)
{
	if (process(ldisc, byte, 0))
		ldisc->hooks->output(ldisc);
}

static bool shown_as_control(const struct ldisc *ldisc, uint8_t byte)
{
	return ldisc->termios.c_lflag & ECHOCTL && (byte < ' ' || byte == 0x7f) && byte != '\t' && byte != '\n';
}

void ldisc_echo(struct ldisc *ldisc, uint8_t byte)
{
	if (!shown_as_control(ldisc, byte)) {
		ldisc_echo_raw(ldisc, byte);
		return;
	}
	ldisc_echo_raw(ldisc, '^');
	ldisc_echo_raw(ldisc, byte ^ 0x40);
}

uint32_t ldisc_echo_column(const struct ldisc *ldisc, uint32_t column, uint8_t byte)
{
	return shown_as_control(ldisc, byte) ? column + 2 : advance(column, byte);
}

void ldisc_echo_back(struct ldisc *ldisc)
{
	if (room(ldisc) >= 3) {
		out(ldisc, '\b');
		out(ldisc, ' ');
		out(ldisc, '\b');
		ldisc->hooks->output(ldisc);
	}
	if (ldisc->column)
		ldisc->column--;
}

size_t ldisc_shown(const struct ldisc *ldisc)
{
	return ldisc->stopped ? 0 : ldisc->out_tail - ldisc->out_head;
}

size_t ldisc_take(struct ldisc *ldisc, char *to, size_t bytes)
{
	size_t shown = ldisc_shown(ldisc);

	if (bytes > shown)
		bytes = shown;
	for (size_t i = 0; i < bytes; i++)
		to[i] = (char)ldisc->out[ldisc->out_head++ % LDISC_OUT];
	if (bytes)
		ldisc->hooks->room(ldisc);
	return bytes;
}

void ldisc_stop(struct ldisc *ldisc, bool stop)
{
	bool was = ldisc->stopped;

	ldisc->stopped = stop;
	if (was && !stop)
		ldisc->hooks->output(ldisc);
}
