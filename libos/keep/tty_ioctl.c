/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals: settings, sizes, foreground groups, controlling terminals.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "libos/keep/tty.h"

int64_t keep_tty_changes(const struct keep_tty *tty, const struct keep_process *process);

/* What a master has not read has left the terminal: its other end may be the one who waits here. */
static int64_t drained(struct keep_tty *tty, struct keep_request *request)
{
	if (tty->ldisc.out_head == tty->ldisc.out_tail || (tty->number != TTY_CONSOLE && !tty->ldisc.stopped))
		return 0;
	keep_wait(&tty->writers, request->process);
	return WIRE_WAIT;
}

static int64_t set(struct keep_tty *tty, struct keep_request *request, uint64_t number, const char *argument)
{
	struct termios termios;

	memcpy(&termios, argument, sizeof(termios));
	if (number != TCSETS && drained(tty, request))
		return WIRE_WAIT;
	if (number == TCSETSF)
		ldisc_flush(&tty->ldisc, TCIFLUSH);
	ldisc_set(&tty->ldisc, &termios);
	return 0;
}

static int64_t set_size(struct keep_tty *tty, const char *argument)
{
	struct winsize size;

	memcpy(&size, argument, sizeof(size));
	if (!memcmp(&size, &tty->ldisc.size, sizeof(size)))
		return 0;
	tty->ldisc.size = size;
	if (tty->pgid)
		keep_signal_group(tty->pgid, SIGWINCH);
	return 0;
}

static int64_t set_foreground(struct keep_tty *tty, const struct keep_process *process, const char *argument)
{
	pid_t pgid;

	memcpy(&pgid, argument, sizeof(pgid));
	if (process->tty != tty || process->sid != tty->sid)
		return -ENOTTY;
	if (pgid <= 0)
		return -EINVAL;
	if (!keep_group_exists(pgid, process->sid))
		return -EPERM;
	tty->pgid = pgid;
	return 0;
}

/* The terminal becomes that of the session whose leader asks. */
static int64_t control(struct keep_tty *tty, struct keep_process *leader)
{
	if (leader->tty == tty && tty->sid == leader->sid)
		return 0;
	if (leader->pid != leader->sid || leader->tty || tty->sid || tty->hung)
		return -EPERM;
	tty->sid = leader->sid;
	tty->pgid = leader->pgid;
	for (unsigned i = 0; i < keep_used; i++)
		if (keep_process[i].sid == leader->sid && keep_process[i].state != KEEP_FREE)
			keep_process[i].tty = tty;
	return 0;
}

static int64_t let_go(struct keep_tty *tty, struct keep_process *process)
{
	if (process->tty != tty)
		return -ENOTTY;
	if (process->pid == process->sid)
		keep_tty_leave(process);
	process->tty = NULL;
	return 0;
}

static int64_t flow(struct keep_tty *tty, int action)
{
	switch (action) {
	case TCOOFF:
	case TCOON:
		ldisc_stop(&tty->ldisc, action == TCOOFF);
		return 0;
	case TCIOFF:
	case TCION:
		return 0;	/* there is no line to send START and STOP over */
	default:
		return -EINVAL;
	}
}

static int64_t flush(struct keep_tty *tty, int queue)
{
	if (queue != TCIFLUSH && queue != TCOFLUSH && queue != TCIOFLUSH)
		return -EINVAL;
	ldisc_flush(&tty->ldisc, queue);
	keep_wake(&tty->master_writers);
	return 0;
}

static int64_t answer(char *argument, const void *from, uint64_t bytes)
{
	memcpy(argument, from, bytes);
	return (int64_t)bytes;
}

/* What only asks; -ENOTTY: not one of these. The result is how many bytes of the buffer are the answer. */
static int64_t ask(struct keep_tty *tty, const struct keep_process *process, uint64_t number, char *argument,
		   bool master)
{
	int bytes;

	switch (number) {
	case TCGETS:
		return answer(argument, &tty->ldisc.termios, sizeof(struct termios));
	case TIOCGWINSZ:
		return answer(argument, &tty->ldisc.size, sizeof(struct winsize));
	case TIOCGPGRP:
		if (!master && process->tty != tty)
			return -ENOTTY;
		return answer(argument, &tty->pgid, sizeof(pid_t));
	case TIOCGSID:
		if (!tty->sid || (!master && process->tty != tty))
			return -ENOTTY;
		return answer(argument, &tty->sid, sizeof(pid_t));
	case FIONREAD:
		bytes = (int)(master ? ldisc_shown(&tty->ldisc) : ldisc_readable(&tty->ldisc));
		return answer(argument, &bytes, sizeof(bytes));
	case TIOCOUTQ:
		bytes = (int)(tty->ldisc.out_tail - tty->ldisc.out_head);
		return answer(argument, &bytes, sizeof(bytes));
	default:
		return -ENOTTY;
	}
}

static int64_t change(struct keep_tty *tty, struct keep_request *request, uint64_t number, const char *argument)
{
	int value;

	memcpy(&value, argument, sizeof(value));
	switch (number) {
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set(tty, request, number, argument);
	case TIOCSWINSZ:
		return set_size(tty, argument);
	case TIOCSPGRP:
		return set_foreground(tty, request->process, argument);
	case TCSBRK:
		return value ? drained(tty, request) : 0;
	case TCXONC:
		return flow(tty, value);
	case TCFLSH:
		return flush(tty, value);
	case TIOCSTI:
		if (request->process->euid && request->process->tty != tty)
			return -EPERM;
		ldisc_type(&tty->ldisc, (uint8_t)argument[0]);
		return 0;
	default:
		return -ENOTTY;
	}
}

int64_t tty_ioctl(struct keep_tty *tty, struct keep_request *request, uint64_t number, char *argument, bool master)
{
	int64_t result;

	if (tty->hung)
		return -EIO;
	if (number == TIOCSCTTY)
		return master ? -ENOTTY : control(tty, request->process);
	if (number == TIOCNOTTY)
		return let_go(tty, request->process);
	result = ask(tty, request->process, number, argument, master);
	if (result != -ENOTTY || number == TIOCGPGRP || number == TIOCGSID)
		return result;
	if (!master && number != TIOCSWINSZ && number != TIOCSTI &&
	    (result = keep_tty_changes(tty, request->process)))
		return result;
	return change(tty, request, number, argument);
}
