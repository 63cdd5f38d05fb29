/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals of a keeper, for its own files: tty.c has what is common, console.c and pty.c the devices.
 *
 * Y1 a terminal has a session (`sid`) only while the session's leader lives; `pgid` is its foreground group
 * Y2 `opens` counts the open file descriptions of the terminal itself, not of a pseudo-terminal's master
 * Y3 once `hung`, a terminal gives end of file and takes nothing; it is used again only when all are closed
 */
#ifndef LIBOS_KEEP_TTY_H
#define LIBOS_KEEP_TTY_H

#include "libos/keep/keep.h"
#include "libos/keep/ldisc.h"

#define TTYS		33		/* the console and 32 pseudo-terminals */
#define TTY_CONSOLE	0

struct keep_tty {
	struct ldisc ldisc;		/* first: hooks are told this */
	bool used, hung;
	int number;			/* in the table */
	pid_t sid, pgid;		/* 0: none */
	uint32_t opens;
	struct keep_queue readers, writers;
	exo_time_t read_until;		/* VTIME; 0: no read is being timed */
	/* pty.c: */
	bool master, was_open, locked;	/* its master is open; it itself ever was */
	struct keep_queue master_readers, master_writers;
};

extern struct keep_tty keep_ttys[TTYS];
extern const struct keep_kind keep_tty_kind;

/* Ready for use, with hooks of the device's own for output and room; see ldisc.h. */
void tty_start(struct keep_tty *tty, const struct ldisc_hooks *hooks);
/* The hooks that are the same for all. */
void tty_signal(struct ldisc *ldisc, int number);
void tty_input(struct ldisc *ldisc);
/* Nobody is at the other end any more. */
void tty_hang_up(struct keep_tty *tty);
/* What both ends of a pseudo-terminal answer; `master`: it is asked there. */
int64_t tty_ioctl(struct keep_tty *tty, struct keep_request *request, uint64_t number, char *argument, bool master);
void tty_stat(const struct keep_tty *tty, struct stat *st);
/* Names in /dev: of a slave, whose owner is `uid`; 0 or -errno. Of all others. */
int tty_show_slave(const struct keep_tty *tty, uid_t uid);
void tty_hide_slave(const struct keep_tty *tty);
void tty_names_start(void);

/* console.c */
void console_start(void);
/* input.c: a description of what comes from the console, with one reference; NULL: no memory. */
struct keep_file *keep_input_make(void);
/* pty.c: open a new master; a slave of that number that may be opened, or NULL. */
int64_t pty_open(struct keep_process *process, int flags, struct keep_file **file);
struct keep_tty *pty_slave(int number);
/* The last description of a slave is closed. */
void pty_closed(struct keep_tty *tty);

#endif
