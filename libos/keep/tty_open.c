/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals by their names: nodes in /dev (device.c) with numbers as Linux has them, for who looks at
 * st_rdev.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "libos/keep/files.h"
#include "libos/keep/tty.h"

#define TTY_DEVICE	KEEP_DEVICE(5, 0)
#define CONSOLE_DEVICE	KEEP_DEVICE(5, 1)
#define PTMX_DEVICE	KEEP_DEVICE(5, 2)
#define PTS_DEVICE	KEEP_DEVICE(136, 0)

void tty_stat(const struct keep_tty *tty, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFCHR | 0620;
	st->st_nlink = 1;
	st->st_blksize = 1024;
	st->st_ino = (ino_t)(1000 + tty->number);
	st->st_rdev = (dev_t)(tty->number == TTY_CONSOLE ? CONSOLE_DEVICE : PTS_DEVICE + (uint64_t)tty->number - 1);
}

static int64_t open_terminal(struct keep_process *process, struct keep_tty *tty, int flags, struct keep_file **file)
{
	if (tty->hung || tty->locked)
		return -EIO;
	if (!(*file = keep_file_make(&keep_tty_kind, tty, flags & (O_ACCMODE | O_NONBLOCK))))
		return -ENOMEM;
	tty->opens++;
	tty->was_open = true;
	if (!(flags & O_NOCTTY) && process->pid == process->sid && !process->tty && !tty->sid) {
		struct keep_request request = { .process = process };
		tty_ioctl(tty, &request, TIOCSCTTY, NULL, false);
	}
	return 0;
}

int64_t keep_tty_open(struct keep_process *process, uint64_t device, int flags, struct keep_file **file)
{
	struct keep_tty *tty;

	if (device == PTMX_DEVICE)
		return pty_open(process, flags, file);
	if (device == TTY_DEVICE)
		tty = process->tty;
	else if (device == CONSOLE_DEVICE)
		tty = &keep_ttys[TTY_CONSOLE];
	else
		tty = pty_slave((int)(device - PTS_DEVICE));
	return tty ? open_terminal(process, tty, flags, file) : -ENXIO;
}

static const char *pts_name(const struct keep_tty *tty)
{
	static char name[16];

	(void)snprintf(name, sizeof(name), "pts/%d", tty->number - 1);
	return name;
}

int tty_show_slave(const struct keep_tty *tty, uid_t uid)
{
	return keep_device(pts_name(tty), 0620, PTS_DEVICE + (uint64_t)tty->number - 1, uid, keep_tty_open);
}

void tty_hide_slave(const struct keep_tty *tty)
{
	keep_device_remove(pts_name(tty), PTS_DEVICE + (uint64_t)tty->number - 1);
}

void tty_names_start(void)
{
	keep_device("tty", 0666, TTY_DEVICE, 0, keep_tty_open);
	keep_device("console", 0600, CONSOLE_DEVICE, 0, keep_tty_open);
	keep_device("ptmx", 0666, PTMX_DEVICE, 0, keep_tty_open);
}

int64_t keep_tty_give(struct keep_process *process)
{
	struct keep_file *file;
	int64_t error = open_terminal(process, &keep_ttys[TTY_CONSOLE], O_RDWR, &file);

	if (error)
		return error;
	for (int fd = 0; fd < 3; fd++) {
		struct keep_file *one = fd == 0 && keep_input_plain ? keep_input_make() : file;

		if (!one)
			error = -ENOMEM;
		else if (one == file)
			keep_file_hold(file);
		if (error >= 0)
			error = keep_fd_add(process, one, fd, false);
		if (error < 0) {
			if (one)
				keep_file_drop(one);
			break;
		}
	}
	keep_file_drop(file);
	return error < 0 ? error : 0;
}
