/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline: input and reading. See ldisc.h; output and echo are in ldisc_out.c.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "libos/keep/ldisc.h"
#include "libos/keep/ldisc_out.h"

#define CONTROL(c)	((c) & 0x1f)
#define DELETE		0x7f

static const cc_t first_cc[][2] = {
	{ VINTR, CONTROL('C') }, { VQUIT, CONTROL('\\') }, { VERASE, DELETE }, { VKILL, CONTROL('U') },
	{ VEOF, CONTROL('D') }, { VTIME, 0 }, { VMIN, 1 }, { VSTART, CONTROL('Q') }, { VSTOP, CONTROL('S') },
	{ VSUSP, CONTROL('Z') }, { VREPRINT, CONTROL('R') }, { VWERASE, CONTROL('W') }, { VLNEXT, CONTROL('V') },
};

void ldisc_start(struct ldisc *ldisc, const struct ldisc_hooks *hooks)
{
	struct termios *t = &ldisc->termios;

	memset(ldisc, 0, sizeof(*ldisc));
	ldisc->hooks = hooks;
	t->c_iflag = ICRNL | IXON | BRKINT | IMAXBEL;
	t->c_oflag = OPOST | ONLCR;
	t->c_cflag = CS8 | CREAD | HUPCL;
	t->c_lflag = ISIG | ICANON | IEXTEN | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE;
	for (size_t i = 0; i < sizeof(first_cc) / sizeof(first_cc[0]); i++)
		t->c_cc[first_cc[i][0]] = first_cc[i][1];
	t->c_ispeed = B38400;
	t->c_ospeed = B38400;
	ldisc->size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
}

static bool is(const struct ldisc *ldisc, unsigned which, uint8_t byte)
{
	cc_t cc = ldisc->termios.c_cc[which];

	return cc != _POSIX_VDISABLE && cc == byte;
}

static bool local(const struct ldisc *ldisc, tcflag_t flags)
{
	return (ldisc->termios.c_lflag & flags) == flags;
}

bool ldisc_room(const struct ldisc *ldisc)
{
	/* One place is kept for the newline that ends a full line. */
	return ldisc->tail - ldisc->head < LDISC_IN - 1;
}

static bool put(struct ldisc *ldisc, uint16_t entry)
{
	if (ldisc->tail - ldisc->head >= LDISC_IN - (entry & LDISC_DELIMITER ? 0 : 1)) {
		if (ldisc->termios.c_iflag & IMAXBEL)
			ldisc_echo_raw(ldisc, '\a');
		return false;
	}
	ldisc->in[ldisc->tail++ % LDISC_IN] = entry;
	return true;
}

/* --- editing ------------------------------------------------------------------------------------------ */

/* The column at which the byte before `end` of the edited line was echoed: tabs make it depend on all before. */
static uint32_t column_at(const struct ldisc *ldisc, uint32_t end)
{
	uint32_t column = ldisc->line_column;

	for (uint32_t i = ldisc->ready; i != end; i++)
		column = ldisc_echo_column(ldisc, column, (uint8_t)ldisc->in[i % LDISC_IN]);
	return column;
}

/* Take the last byte of the edited line away, on the screen too. */
static void erase_one(struct ldisc *ldisc)
{
	ldisc->tail--;
	if (!local(ldisc, ECHO))
		return;
	if (!local(ldisc, ECHOE)) {
		ldisc_echo(ldisc, ldisc->termios.c_cc[VERASE]);
		return;
	}
	for (uint32_t to = column_at(ldisc, ldisc->tail); ldisc->column > to;)
		ldisc_echo_back(ldisc);
}

static bool blank(uint16_t entry)
{
	return (uint8_t)entry == ' ' || (uint8_t)entry == '\t';
}

static void erase_word(struct ldisc *ldisc)
{
	while (ldisc->tail != ldisc->ready && blank(ldisc->in[(ldisc->tail - 1) % LDISC_IN]))
		erase_one(ldisc);
	while (ldisc->tail != ldisc->ready && !blank(ldisc->in[(ldisc->tail - 1) % LDISC_IN]))
		erase_one(ldisc);
}

static void erase_line(struct ldisc *ldisc)
{
	if (local(ldisc, ECHO | ECHOKE | ECHOE)) {
		while (ldisc->tail != ldisc->ready && ldisc->column > ldisc->line_column)
			ldisc_echo_back(ldisc);
		ldisc->tail = ldisc->ready;
		return;
	}
	ldisc->tail = ldisc->ready;
	if (!local(ldisc, ECHO))
		return;
	ldisc_echo(ldisc, ldisc->termios.c_cc[VKILL]);
	if (local(ldisc, ECHOK))
		ldisc_echo_raw(ldisc, '\n');
}

static void reprint(struct ldisc *ldisc)
{
	ldisc_echo(ldisc, ldisc->termios.c_cc[VREPRINT]);
	ldisc_echo_raw(ldisc, '\n');
	ldisc->line_column = ldisc->column;
	for (uint32_t i = ldisc->ready; i != ldisc->tail; i++)
		ldisc_echo(ldisc, (uint8_t)ldisc->in[i % LDISC_IN]);
}

/* The line is complete. */
static bool commit(struct ldisc *ldisc, uint16_t entry)
{
	if (!put(ldisc, entry | LDISC_DELIMITER))
		return false;
	ldisc->ready = ldisc->tail;
	ldisc->lines++;
	ldisc->hooks->input(ldisc);
	return true;
}

/* An editing character; false: it is none. */
static bool edits(struct ldisc *ldisc, uint8_t byte)
{
	bool any = ldisc->tail != ldisc->ready;

	if (is(ldisc, VERASE, byte)) {
		if (any)
			erase_one(ldisc);
	} else if (is(ldisc, VKILL, byte)) {
		erase_line(ldisc);
	} else if (local(ldisc, IEXTEN) && is(ldisc, VWERASE, byte)) {
		erase_word(ldisc);
	} else if (local(ldisc, IEXTEN | ECHO) && is(ldisc, VREPRINT, byte)) {
		reprint(ldisc);
	} else {
		return false;
	}
	return true;
}

static bool type_canonical(struct ldisc *ldisc, uint8_t byte)
{
	if (edits(ldisc, byte))
		return true;
	if (byte == '\n') {
		if (local(ldisc, ECHO) || local(ldisc, ECHONL))
			ldisc_echo_raw(ldisc, '\n');
		return commit(ldisc, '\n');
	}
	if (is(ldisc, VEOF, byte))
		return commit(ldisc, LDISC_EOF);
	if (is(ldisc, VEOL, byte) || (local(ldisc, IEXTEN) && is(ldisc, VEOL2, byte))) {
		if (local(ldisc, ECHO))
			ldisc_echo(ldisc, byte);
		return commit(ldisc, byte);
	}
	if (ldisc->tail == ldisc->ready)
		ldisc->line_column = ldisc->column;
	if (!put(ldisc, byte))
		return false;
	if (local(ldisc, ECHO))
		ldisc_echo(ldisc, byte);
	return true;
}

/* --- typing ------------------------------------------------------------------------------------------- */

static bool signals(struct ldisc *ldisc, uint8_t byte)
{
	static const unsigned char which[][2] = { { VINTR, SIGINT }, { VQUIT, SIGQUIT }, { VSUSP, SIGTSTP } };

	for (unsigned i = 0; i < 3; i++) {
		if (!is(ldisc, which[i][0], byte))
			continue;
		if (!local(ldisc, NOFLSH)) {
			ldisc_flush(ldisc, TCIFLUSH);
			ldisc_flush(ldisc, TCOFLUSH);
		}
		if (local(ldisc, ECHO))
			ldisc_echo(ldisc, byte);
		ldisc->hooks->signal(ldisc, which[i][1]);
		return true;
	}
	return false;
}

/* START and STOP; false: it is neither. */
static bool flow(struct ldisc *ldisc, uint8_t byte)
{
	if (!(ldisc->termios.c_iflag & IXON))
		return false;
	if (is(ldisc, VSTART, byte)) {
		ldisc_stop(ldisc, false);
		return true;
	}
	if (is(ldisc, VSTOP, byte)) {
		ldisc_stop(ldisc, true);
		return true;
	}
	if (ldisc->stopped && ldisc->termios.c_iflag & IXANY)
		ldisc_stop(ldisc, false);
	return false;
}

/* Keep a byte that means nothing more. */
static bool plain(struct ldisc *ldisc, uint8_t byte)
{
	bool canonical = local(ldisc, ICANON);

	if (canonical && ldisc->tail == ldisc->ready)
		ldisc->line_column = ldisc->column;
	if (!put(ldisc, byte))
		return false;
	if (local(ldisc, ECHO))
		ldisc_echo(ldisc, byte);
	if (!canonical) {
		ldisc->ready = ldisc->tail;
		ldisc->hooks->input(ldisc);
	}
	return true;
}

bool ldisc_type(struct ldisc *ldisc, uint8_t byte)
{
	tcflag_t flags = ldisc->termios.c_iflag;

	if (flags & ISTRIP)
		byte &= 0x7f;
	if (ldisc->literal) {
		ldisc->literal = false;
		return plain(ldisc, byte);
	}
	if (flow(ldisc, byte))
		return true;
	if (local(ldisc, ISIG) && signals(ldisc, byte))
		return true;
	if (local(ldisc, IEXTEN | ICANON) && is(ldisc, VLNEXT, byte)) {
		ldisc->literal = true;
		if (local(ldisc, ECHO | ECHOCTL)) {	/* the cursor stands on it until the next byte comes */
			ldisc_echo_raw(ldisc, '^');
			ldisc_echo_raw(ldisc, '\b');
		}
		return true;
	}
	if (byte == '\r') {
		if (flags & IGNCR)
			return true;
		if (flags & ICRNL)
			byte = '\n';
	} else if (byte == '\n' && flags & INLCR) {
		byte = '\r';
	}
	return local(ldisc, ICANON) ? type_canonical(ldisc, byte) : plain(ldisc, byte);
}

/* --- reading ------------------------------------------------------------------------------------------ */

bool ldisc_ready(const struct ldisc *ldisc)
{
	return ldisc->head != ldisc->ready;
}

size_t ldisc_readable(const struct ldisc *ldisc)
{
	size_t bytes = 0;

	for (uint32_t i = ldisc->head; i != ldisc->ready; i++)
		bytes += !(ldisc->in[i % LDISC_IN] & LDISC_EOF);
	return bytes;
}

size_t ldisc_read(struct ldisc *ldisc, char *to, size_t bytes)
{
	bool canonical = local(ldisc, ICANON);
	size_t done = 0;

	while (ldisc->head != ldisc->ready) {
		uint16_t entry = ldisc->in[ldisc->head % LDISC_IN];
		/* An end of file right behind what fills the reader is left: it must not be an end of its own. */
		bool end = entry & LDISC_EOF;
		if (done == bytes && !(end && canonical && done))
			break;
		ldisc->head++;
		if (!end)
			to[done++] = (char)entry;
		if (!(entry & LDISC_DELIMITER))
			continue;
		ldisc->lines--;
		if (canonical)
			break;
	}
	return done;
}

void ldisc_set(struct ldisc *ldisc, const struct termios *termios)
{
	bool was = local(ldisc, ICANON);

	ldisc->termios = *termios;
	if (was && !local(ldisc, ICANON)) {
		ldisc->ready = ldisc->tail;	/* what was being edited may be read now */
		ldisc->literal = false;
	} else if (!was && local(ldisc, ICANON) && ldisc->ready != ldisc->head) {
		/* What came without lines is one line, as it is. */
		uint16_t *last = &ldisc->in[(ldisc->ready - 1) % LDISC_IN];
		if (!(*last & LDISC_DELIMITER)) {
			*last |= LDISC_DELIMITER;
			ldisc->lines++;
		}
	}
	if (ldisc->stopped && !(ldisc->termios.c_iflag & IXON))
		ldisc_stop(ldisc, false);
	if (ldisc_ready(ldisc))
		ldisc->hooks->input(ldisc);
}

void ldisc_flush(struct ldisc *ldisc, int queue)
{
	if (queue != TCOFLUSH) {
		ldisc->head = ldisc->ready = ldisc->tail;
		ldisc->lines = 0;
		ldisc->literal = false;
	}
	if (queue != TCIFLUSH && ldisc->out_head != ldisc->out_tail) {
		ldisc->out_head = ldisc->out_tail;
		ldisc->hooks->room(ldisc);
	}
}
