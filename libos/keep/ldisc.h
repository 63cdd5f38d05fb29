/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline of a terminal: what lies between the bytes that are typed and those that are read.
 *
 * It is a machine without a device: bytes typed go in by ldisc_type, programs read by ldisc_read and write by
 * ldisc_write, and what is to be shown collects in a ring that the device takes from. It knows no processes:
 * signals and wakeups are told by the hooks. Nothing waits in here and nothing is allocated.
 *
 * D1 in[] from `head` to `ready` may be read, from `ready` to `tail` is the line that is being edited
 *    (canonical mode)
 * D2 without ICANON `ready` == `tail`
 * D3 a delimiter (newline, EOL, end of file) ends each line below `ready`
 * After POSIX.1-2017, chapter 11.
 */
#ifndef LIBOS_KEEP_LDISC_H
#define LIBOS_KEEP_LDISC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>
#include <sys/ioctl.h>

#define LDISC_IN	4096	/* a power of 2 each */
#define LDISC_OUT	8192
#define LDISC_DELIMITER	0x100	/* in[]: ends a line ... */
#define LDISC_EOF	0x200	/* ... and is no byte: end of file */
#define LDISC_QUOTED	0x400	/* typed behind LNEXT */

struct ldisc;

struct ldisc_hooks {
	void (*signal)(struct ldisc *ldisc, int number);	/* to the foreground group */
	void (*input)(struct ldisc *ldisc);	/* there is something to read */
	void (*output)(struct ldisc *ldisc);	/* out[] has grown, or may flow again */
	void (*room)(struct ldisc *ldisc);	/* out[] has room again */
};

struct ldisc {
	const struct ldisc_hooks *hooks;
	struct termios termios;
	struct winsize size;
	uint16_t in[LDISC_IN];
	uint32_t head, ready, tail;	/* count upwards for ever */
	uint32_t lines;			/* delimiters between head and ready */
	uint8_t out[LDISC_OUT];
	uint32_t out_head, out_tail;
	uint32_t column;		/* of the cursor, as far as known */
	uint32_t line_column;		/* ... where the line being edited began */
	bool stopped;			/* IXON: by STOP, or tcflow */
	bool literal;			/* LNEXT was typed */
};

/* The settings that a terminal begins with. */
void ldisc_start(struct ldisc *ldisc, const struct ldisc_hooks *hooks);
/* A byte was typed; false: there was no room, it is lost. */
bool ldisc_type(struct ldisc *ldisc, uint8_t byte);
/* Would a byte that is typed now be kept? */
bool ldisc_room(const struct ldisc *ldisc);
/* Bytes that a read gets now. */
size_t ldisc_readable(const struct ldisc *ldisc);
/* Is there a line (canonical), or a byte? An end of file counts. */
bool ldisc_ready(const struct ldisc *ldisc);
/* Read; 0 with ldisc_ready before: the end of file. */
size_t ldisc_read(struct ldisc *ldisc, char *to, size_t bytes);
/* Write; returns how many of the bytes went in. */
size_t ldisc_write(struct ldisc *ldisc, const char *from, size_t bytes);
/* The device takes what is to be shown; 0 also while it is stopped. */
size_t ldisc_take(struct ldisc *ldisc, char *to, size_t bytes);
/* Bytes that ldisc_take would give. */
size_t ldisc_shown(const struct ldisc *ldisc);
/* New settings. */
void ldisc_set(struct ldisc *ldisc, const struct termios *termios);
/* Throw away: TCIFLUSH, TCOFLUSH or TCIOFLUSH. */
void ldisc_flush(struct ldisc *ldisc, int queue);
/* Stop and go on with the output. */
void ldisc_stop(struct ldisc *ldisc, bool stop);

#endif
