/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals: reading, writing, who controls whom. See tty.h; settings are in tty_ioctl.c, names in
 * tty_open.c.
 *
 * A process in the background that reads (or, with TOSTOP, writes; or changes settings) makes its whole group
 * stop: it is answered WIRE_WAIT, takes the signal that has just been posted, stops, and asks again when it
 * is continued. If the signal would do nothing (ignored, blocked, a group without a guard), reading fails
 * with EIO and writing is let through, as POSIX has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include "libos/keep/tty.h"

#define DECISECOND	(CORE_SECOND / 10)
#define BIT(number)	(1ULL << ((number) - 1))
#define POLL_ROOM	512	/* bytes of room from which on a terminal can be written to */

struct keep_tty keep_ttys[TTYS];

void tty_start(struct keep_tty *tty, const struct ldisc_hooks *hooks)
{
	memset(tty, 0, sizeof(*tty));
	tty->number = (int)(tty - keep_ttys);
	tty->used = true;
	ldisc_start(&tty->ldisc, hooks);
}

static exo_time_t patience(const struct keep_tty *tty)
{
	return tty->ldisc.termios.c_cc[VTIME] * DECISECOND;
}

void tty_signal(struct ldisc *ldisc, int number)
{
	struct keep_tty *tty = (struct keep_tty *)ldisc;

	if (tty->pgid)
		keep_signal_group(tty->pgid, number);
}

void tty_input(struct ldisc *ldisc)
{
	struct keep_tty *tty = (struct keep_tty *)ldisc;

	if (tty->read_until)
		tty->read_until = core_now() + patience(tty);
	keep_wake(&tty->readers);
}

void tty_hang_up(struct keep_tty *tty)
{
	tty->hung = true;
	for (unsigned i = 0; i < keep_used; i++) {
		struct keep_process *process = &keep_process[i];
		if (process->tty != tty)
			continue;
		if (process->pid == tty->sid || process->pgid == tty->pgid) {
			keep_signal(process, SIGHUP, NULL);
			keep_signal(process, SIGCONT, NULL);
		}
		process->tty = NULL;
	}
	tty->sid = tty->pgid = 0;
	keep_wake(&tty->readers);
	keep_wake(&tty->writers);
}

/* --- who may ------------------------------------------------------------------------------------------ */

/* 0: go on; WIRE_WAIT: it has been told to stop; -EIO. */
static int64_t background(const struct keep_tty *tty, const struct keep_process *process, int number)
{
	bool deaf = (process->ignored | process->blocked) & BIT(number);

	if (process->tty != tty || process->pgid == tty->pgid || !tty->pgid)
		return 0;
	if (number == SIGTTOU && deaf)
		return 0;
	if (deaf || keep_orphaned(process->pgid, NULL))
		return -EIO;
	keep_signal_group(process->pgid, number);
	return WIRE_WAIT;
}

int64_t keep_tty_changes(const struct keep_tty *tty, const struct keep_process *process)
{
	return background(tty, process, SIGTTOU);
}

/* --- reading ------------------------------------------------------------------------------------------ */

/* May a read return now? */
static bool enough(struct keep_tty *tty, uint64_t bytes)
{
	const cc_t *cc = tty->ldisc.termios.c_cc;
	uint64_t there, wanted;

	if (tty->ldisc.termios.c_lflag & ICANON)
		return ldisc_ready(&tty->ldisc);
	there = ldisc_readable(&tty->ldisc);
	wanted = cc[VMIN] ? cc[VMIN] : 1;
	if (there >= (wanted < bytes ? wanted : bytes) || (!cc[VMIN] && !cc[VTIME]))
		return true;
	if (!cc[VTIME])
		return false;
	if (!tty->read_until && (!cc[VMIN] || there)) {
		tty->read_until = core_now() + patience(tty);
		keep_again();
	}
	return tty->read_until && tty->read_until <= core_now();
}

static int64_t tty_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			int64_t offset)
{
	struct keep_tty *tty = file->object;
	int64_t error;

	(void)offset;
	if (tty->hung || !bytes)
		return 0;
	if ((error = background(tty, request->process, SIGTTIN)))
		return error;
	if (!enough(tty, bytes)) {
		keep_wait(&tty->readers, request->process);
		return WIRE_WAIT;
	}
	tty->read_until = 0;
	int64_t done = (int64_t)ldisc_read(&tty->ldisc, to, bytes);
	keep_wake(&tty->master_writers);
	if (ldisc_ready(&tty->ldisc))
		keep_wake(&tty->readers);
	return done;
}

/* --- writing ------------------------------------------------------------------------------------------ */

static int64_t tty_write(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
			 int64_t offset)
{
	struct keep_tty *tty = file->object;
	int64_t error;
	uint64_t done = 0, part;

	(void)offset;
	if (tty->hung)
		return -EIO;
	if (tty->ldisc.termios.c_lflag & TOSTOP && (error = background(tty, request->process, SIGTTOU)))
		return error;
	while (done < bytes && (part = ldisc_write(&tty->ldisc, from + done, bytes - done)))
		done += part;
	if (done || !bytes)
		return (int64_t)done;
	keep_wait(&tty->writers, request->process);
	return WIRE_WAIT;
}

static short tty_poll(struct keep_file *file, struct keep_process *process, short events, bool wait)
{
	struct keep_tty *tty = file->object;
	short now = 0;

	if (tty->hung)
		return (short)(POLLHUP | (events & POLLIN));
	if (events & (POLLIN | POLLRDNORM) && ldisc_ready(&tty->ldisc))
		now |= events & (POLLIN | POLLRDNORM);
	if (events & (POLLOUT | POLLWRNORM) &&
	    LDISC_OUT - (tty->ldisc.out_tail - tty->ldisc.out_head) > POLL_ROOM)
		now |= events & (POLLOUT | POLLWRNORM);
	if (wait) {
		keep_wait(&tty->readers, process);
		keep_wait(&tty->writers, process);
	}
	return now;
}

static int64_t tty_ioctl_here(struct keep_file *file, struct keep_request *request, uint64_t number, char *argument)
{
	return tty_ioctl(file->object, request, number, argument, false);
}

static int64_t tty_stat_here(struct keep_file *file, struct stat *st)
{
	tty_stat(file->object, st);
	return 0;
}

static void tty_close(struct keep_file *file)
{
	struct keep_tty *tty = file->object;

	tty->opens--;
	if (!tty->opens && tty->number != TTY_CONSOLE)
		pty_closed(tty);
}

const struct keep_kind keep_tty_kind = {
	.read = tty_read,
	.write = tty_write,
	.stat = tty_stat_here,
	.ioctl = tty_ioctl_here,
	.poll = tty_poll,
	.close = tty_close,
};

/* --- sessions, time ----------------------------------------------------------------------------------- */

int keep_tty_number(const struct keep_tty *tty)
{
	return tty ? tty->number : -1;
}

void keep_tty_leave(struct keep_process *leader)
{
	struct keep_tty *tty = leader->tty;

	if (!tty || tty->sid != leader->pid)
		return;
	for (unsigned i = 0; i < keep_used; i++) {
		struct keep_process *process = &keep_process[i];
		if (process->tty != tty)
			continue;
		if (process != leader && process->pgid == tty->pgid) {
			keep_signal(process, SIGHUP, NULL);
			keep_signal(process, SIGCONT, NULL);
		}
		process->tty = NULL;
	}
	tty->sid = tty->pgid = 0;
}

/* Reads that VTIME ends. */
static exo_time_t watch(void *arg)
{
	exo_time_t now = core_now(), next = EXO_NEVER;

	(void)arg;
	for (unsigned i = 0; i < TTYS; i++) {
		struct keep_tty *tty = &keep_ttys[i];
		if (!tty->used || !tty->read_until)
			continue;
		if (tty->read_until <= now)
			keep_wake(&tty->readers);
		else if (tty->read_until < next)
			next = tty->read_until;
	}
	return next;
}

static int64_t request_ttyname(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	const struct keep_tty *tty;

	if (!file)
		return -EBADF;
	if (file->kind != &keep_tty_kind)
		return -ENOTTY;
	tty = file->object;
	if (tty->number == TTY_CONSOLE)
		core_format(request->data, 32, "/dev/console");
	else
		core_format(request->data, 32, "/dev/pts/%d", tty->number - 1);
	return 0;
}

void keep_tty_start(void)
{
	static struct thread_poller poller = { .poll = watch };

	keep_serve(REQUEST_TTYNAME, request_ttyname);
	thread_add_poller(&poller);
	console_start();
	tty_names_start();
}
