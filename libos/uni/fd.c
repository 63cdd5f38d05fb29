/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of descriptors and the calls that work on any of them. Numbers 0 to 2 are the console.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include "libos/core/thread.h"
#include "libos/uni/fd.h"

#define CONSOLE_FDS	3
#define FD_GROW		32
#define SPARE_MAX	16

static ssize_t console_read(struct fd *fd, void *buffer, size_t bytes);
static ssize_t console_write(struct fd *fd, const void *buffer, size_t bytes);
static int console_stat(struct fd *fd, struct stat *st);
static short console_poll(struct fd *fd, short events);

static const struct fd_ops console_ops = {
	.read = console_read, .write = console_write, .stat = console_stat, .poll = console_poll,
};
static struct fd console[CONSOLE_FDS] = {
	{ .ops = &console_ops, .flags = O_RDONLY, .users = 1 },
	{ .ops = &console_ops, .flags = O_WRONLY, .users = 1 },
	{ .ops = &console_ops, .flags = O_WRONLY, .users = 1 },
};
static struct fd *first_table[CONSOLE_FDS] = { &console[0], &console[1], &console[2] };
static struct fd **table = first_table;
static int table_size = CONSOLE_FDS;

/* --- console -------------------------------------------------------------------------------------------- */

static struct thread_queue readers;
static bool watched;

/* Events have come: is there input that somebody waits for? */
static exo_time_t console_watch(void *arg)
{
	(void)arg;
	if (watched && core_input() != 0) {
		watched = false;
		thread_wake_all(&readers);
		fd_wake();
	}
	return EXO_NEVER;
}

/* As core_input, and without any somebody will be woken when there is. */
static int64_t console_input(void)
{
	static struct thread_poller poller;
	int64_t state = core_input();

	if (state == 0) {
		if (!poller.poll) {
			poller.poll = console_watch;
			thread_add_poller(&poller);
		}
		watched = true;
	}
	return state;
}

/* A program that may not read finds the end, as if nobody typed. */
static ssize_t console_read(struct fd *fd, void *buffer, size_t bytes)
{
	int64_t state;

	while ((state = console_input()) == 0) {
		if (fd->flags & O_NONBLOCK) {
			errno = EAGAIN;
			return -1;
		}
		thread_wait(&readers, EXO_NEVER);
	}
	if (state == -EXO_EBUSY) {
		errno = EBUSY;
		return -1;
	}
	return state < 0 ? 0 : (ssize_t)core_read(buffer, bytes);
}

static short console_poll(struct fd *fd, short events)
{
	if ((fd->flags & O_ACCMODE) == O_WRONLY)
		return POLLOUT;
	return (events & POLLIN) && console_input() != 0 ? POLLIN | POLLOUT : POLLOUT;
}

static ssize_t console_write(struct fd *fd, const void *buffer, size_t bytes)
{
	(void)fd;
	core_write(buffer, bytes);
	return (ssize_t)bytes;
}

static int console_stat(struct fd *fd, struct stat *st)
{
	(void)fd;
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFCHR | 0620;
	st->st_blksize = EXO_CONSOLE_MAX;
	return 0;
}

/* --- table ---------------------------------------------------------------------------------------------- */

static int grow(void)
{
	int size = table_size * 2 < FD_GROW ? FD_GROW : table_size * 2;
	struct fd **larger;

	if (table_size >= FD_MAX) {
		errno = EMFILE;
		return -1;
	}
	if (size > FD_MAX)
		size = FD_MAX;
	larger = calloc((size_t)size, sizeof(*larger));
	if (!larger)
		return -1;
	memcpy(larger, table, (size_t)table_size * sizeof(*table));
	if (table != first_table)
		free(table);
	table = larger;
	table_size = size;
	return 0;
}

static int place(struct fd *fd, int from)
{
	for (int number = from;; number++) {
		while (number >= table_size)
			if (grow())
				return -1;
		if (!table[number]) {
			table[number] = fd;
			return number;
		}
	}
}

/* A few are kept for the next one. */
static struct fd *spare[SPARE_MAX];
static unsigned spare_count;

static void fd_free(struct fd *fd)
{
	if (spare_count < SPARE_MAX)
		spare[spare_count++] = fd;
	else
		free(fd);
}

int fd_open(const struct fd_ops *ops, void *object, int flags)
{
	struct fd *fd = spare_count ? spare[--spare_count] : malloc(sizeof(*fd));

	if (!fd)
		return -1;
	*fd = (struct fd){ .ops = ops, .object = object, .flags = flags, .users = 1 };
	int number = place(fd, 0);
	if (number < 0)
		fd_free(fd);
	return number;
}

struct fd *fd_get(int number)
{
	if (number < 0 || number >= table_size || !table[number]) {
		errno = EBADF;
		return NULL;
	}
	table[number]->users++;
	return table[number];
}

void fd_put(struct fd *fd)
{
	if (--fd->users)
		return;
	if (fd->ops->close)
		fd->ops->close(fd);
	if (fd < console || fd >= console + CONSOLE_FDS)
		fd_free(fd);
}

int close(int number)
{
	struct fd *fd = fd_get(number);

	if (!fd)
		return -1;
	table[number] = NULL;
	fd->users--;
	fd_put(fd);
	fd_wake();
	return 0;
}

void fd_close_all(const struct fd_ops *ops)
{
	for (int number = 0; number < table_size; number++)
		if (table[number] && table[number]->ops == ops)
			close(number);
}

int dup(int number)
{
	struct fd *fd = fd_get(number);	/* the hold is the new number's */

	if (!fd)
		return -1;
	int copy = place(fd, 0);
	if (copy < 0)
		fd_put(fd);
	return copy;
}

int dup2(int number, int copy)
{
	struct fd *fd = fd_get(number);	/* the hold is the new number's */

	if (!fd)
		return -1;
	if (copy < 0 || copy >= FD_MAX) {
		fd_put(fd);
		errno = EBADF;
		return -1;
	}
	if (copy == number) {
		fd_put(fd);
		return copy;
	}
	while (copy >= table_size)
		if (grow()) {
			fd_put(fd);
			return -1;
		}
	if (table[copy])
		close(copy);
	table[copy] = fd;
	return copy;
}

/* --- calls ---------------------------------------------------------------------------------------------- */

ssize_t fd_result(ssize_t result)
{
	int error = errno;

	if (result < 0 && (error == EAGAIN || error == EALREADY)) {
		thread_yield();
		errno = error;
	}
	return result;
}

ssize_t read(int number, void *buffer, size_t bytes)
{
	struct fd *fd = fd_get(number);
	ssize_t done = -1;

	if (!fd)
		return -1;
	if ((fd->flags & O_ACCMODE) == O_WRONLY || !fd->ops->read)
		errno = EBADF;
	else
		done = fd->ops->read(fd, buffer, bytes);
	fd_put(fd);
	return fd_result(done);
}

ssize_t write(int number, const void *buffer, size_t bytes)
{
	struct fd *fd = fd_get(number);
	ssize_t done = -1;

	if (!fd)
		return -1;
	if ((fd->flags & O_ACCMODE) == O_RDONLY || !fd->ops->write)
		errno = EBADF;
	else
		done = fd->ops->write(fd, buffer, bytes);
	fd_put(fd);
	return fd_result(done);
}

off_t lseek(int number, off_t offset, int whence)
{
	struct fd *fd = fd_get(number);
	off_t at = -1;

	if (!fd)
		return -1;
	if (!fd->ops->lseek)
		errno = ESPIPE;
	else
		at = fd->ops->lseek(fd, offset, whence);
	fd_put(fd);
	return at;
}

int fstat(int number, struct stat *st)
{
	struct fd *fd = fd_get(number);
	int result = -1;

	if (!fd)
		return -1;
	if (!fd->ops->stat)
		errno = EINVAL;
	else
		result = fd->ops->stat(fd, st);
	fd_put(fd);
	return result;
}

int isatty(int number)
{
	struct fd *fd = fd_get(number);

	if (!fd)
		return 0;
	int terminal = fd->ops == &console_ops;
	if (!terminal)
		errno = ENOTTY;
	fd_put(fd);
	return terminal;
}

static int set_flags(struct fd *fd, int flags)
{
	const int own = fd->ops->set_flags ? O_NONBLOCK | O_APPEND : O_NONBLOCK;

	if (fd->ops->set_flags && fd->ops->set_flags(fd, flags))
		return -1;
	fd->flags = (fd->flags & ~own) | (flags & own);
	return 0;
}

static int record_lock(struct fd *fd, int command, struct flock *lock)
{
	if (fd->ops->lock)
		return fd->ops->lock(fd, command, lock);
	errno = EINVAL;
	return -1;
}

static int copy_from(struct fd *fd, int from)
{
	int copy;

	if (from < 0 || from >= FD_MAX) {
		errno = EINVAL;
		return -1;
	}
	copy = place(fd, from);
	if (copy >= 0)
		fd->users++;
	return copy;
}

int fcntl(int number, int command, ...)
{
	struct fd *fd = fd_get(number);
	int result = 0;
	va_list arguments;

	if (!fd)
		return -1;
	va_start(arguments, command);
	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		result = copy_from(fd, va_arg(arguments, int));
		break;
	case F_GETFL:
		result = fd->flags;
		break;
	case F_SETFL:
		result = set_flags(fd, va_arg(arguments, int));
		break;
	case F_GETFD:
	case F_SETFD:
		break;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
		result = record_lock(fd, command, va_arg(arguments, struct flock *));
		break;
	default:
		errno = EINVAL;
		result = -1;
	}
	va_end(arguments);
	fd_put(fd);
	return result;
}

int ioctl(int number, unsigned long request, ...)
{
	struct fd *fd = fd_get(number);
	int result = -1;
	va_list arguments;

	if (!fd)
		return -1;
	va_start(arguments, request);
	void *value = va_arg(arguments, void *);
	va_end(arguments);
	if (request == FIONBIO) {
		fd->flags = *(int *)value ? fd->flags | O_NONBLOCK : fd->flags & ~O_NONBLOCK;
		result = 0;
	} else if (fd->ops->option) {
		result = fd->ops->option(fd, (int)request, value);
	} else {
		errno = ENOTTY;
	}
	fd_put(fd);
	return result;
}
