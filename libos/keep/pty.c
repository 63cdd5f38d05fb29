/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pseudo-terminals: a terminal whose other end is a descriptor, the master. What is written there is typed,
 * what is read there is what the terminal would show.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include "libos/keep/tty.h"

#define TYPE_MAX	1024	/* characters that one request types: each may be a signal to a whole group */

static void shown(struct ldisc *ldisc)
{
	keep_wake(&((struct keep_tty *)ldisc)->master_readers);
}

static void room(struct ldisc *ldisc)
{
	keep_wake(&((struct keep_tty *)ldisc)->writers);
}

static const struct ldisc_hooks hooks = { .signal = tty_signal, .input = tty_input, .output = shown, .room = room };

static bool deserted(const struct keep_tty *tty)
{
	return tty->was_open && !tty->opens;
}

static int64_t master_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			   int64_t offset)
{
	struct keep_tty *tty = file->object;
	int64_t done = (int64_t)ldisc_take(&tty->ldisc, to, bytes);

	(void)offset;
	if (done || !bytes)
		return done;
	if (deserted(tty))
		return -EIO;
	keep_wait(&tty->master_readers, request->process);
	return WIRE_WAIT;
}

/* A full line that nobody has ended takes no more: what is typed then is lost, so that its end can be typed. */
static bool may_type(const struct keep_tty *tty)
{
	return ldisc_room(&tty->ldisc) || !ldisc_ready(&tty->ldisc);
}

static int64_t master_write(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
			    int64_t offset)
{
	struct keep_tty *tty = file->object;
	uint64_t done = 0;

	(void)offset;
	if (bytes > TYPE_MAX)
		bytes = TYPE_MAX;
	while (done < bytes && may_type(tty))
		ldisc_type(&tty->ldisc, (uint8_t)from[done++]);
	if (done || !bytes)
		return (int64_t)done;
	keep_wait(&tty->master_writers, request->process);
	return WIRE_WAIT;
}

static short master_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct keep_tty *tty = file->object;
	short now = 0;

	if (ldisc_shown(&tty->ldisc))
		now |= events & (POLLIN | POLLRDNORM);
	if (deserted(tty))
		now |= POLLHUP;
	if (may_type(tty))
		now |= events & (POLLOUT | POLLWRNORM);
	if (wait) {
		keep_wait(&tty->master_readers, process);
		keep_wait(&tty->master_writers, process);
	}
	return now;
}

static int64_t master_ioctl(struct keep_file *file, struct keep_request *request, uint64_t number, char *argument)
{
	struct keep_tty *tty = file->object;
	unsigned value = (unsigned)tty->number - 1;

	if (number == TIOCGPTN) {
		memcpy(argument, &value, sizeof(value));
		return sizeof(value);
	}
	if (number == TIOCSPTLCK) {
		memcpy(&value, argument, sizeof(value));
		tty->locked = value;
		return 0;
	}
	return tty_ioctl(tty, request, number, argument, true);
}

static int64_t master_stat(struct keep_file *file, struct stat *st)
{
	tty_stat(file->object, st);
	st->st_ino = 998;
	return 0;
}

static void master_close(struct keep_file *file)
{
	struct keep_tty *tty = file->object;

	tty->master = false;
	tty_hide_slave(tty);
	tty_hang_up(tty);
	if (!tty->opens)
		tty->used = false;
}

static const struct keep_kind master_kind = {
	.read = master_read,
	.write = master_write,
	.stat = master_stat,
	.ioctl = master_ioctl,
	.poll = master_poll,
	.close = master_close,
};

int64_t pty_open(struct keep_process *process, int flags, struct keep_file **file)
{
	struct keep_tty *tty = NULL;
	int error;

	for (unsigned i = TTY_CONSOLE + 1; i < TTYS && !tty; i++)
		if (!keep_ttys[i].used)
			tty = &keep_ttys[i];
	if (!tty)
		return -EAGAIN;
	tty_start(tty, &hooks);
	error = tty_show_slave(tty, process->euid);
	if (!error && !(*file = keep_file_make(&master_kind, tty, flags & (O_ACCMODE | O_NONBLOCK)))) {
		tty_hide_slave(tty);
		error = -ENOMEM;
	}
	tty->used = tty->master = tty->locked = !error;
	return error;
}

struct keep_tty *pty_slave(int number)
{
	if (number < 0 || number >= TTYS - 1 || !keep_ttys[number + 1].used || !keep_ttys[number + 1].master)
		return NULL;
	return &keep_ttys[number + 1];
}

void pty_closed(struct keep_tty *tty)
{
	if (!tty->master)
		tty->used = false;
	keep_wake(&tty->master_readers);
}
