/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: what a small number stands for. Each kind of object is a table of functions; what a kind does
 * not offer is NULL and fails with a fitting errno. Functions return -1 with errno set, as POSIX has it.
 *
 * A descriptor that is closed while a thread is inside one of its functions stays in memory until that
 * returns.
 */
#ifndef LIBOS_UNI_FD_H
#define LIBOS_UNI_FD_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define FD_MAX	4096

struct fd;
struct iovec;

struct fd_ops {
	ssize_t (*read)(struct fd *fd, void *buffer, size_t bytes);
	ssize_t (*write)(struct fd *fd, const void *buffer, size_t bytes);
	ssize_t (*writev)(struct fd *fd, const struct iovec *pieces, int count); /* NULL: piece by piece */
	off_t (*lseek)(struct fd *fd, off_t offset, int whence);
	int (*stat)(struct fd *fd, struct stat *st);
	int (*close)(struct fd *fd);		/* the object's last descriptor goes */
	/* Which of POLLIN, POLLOUT hold now; also POLLHUP, POLLERR. */
	short (*poll)(struct fd *fd, short events);
	int (*option)(struct fd *fd, int request, void *value);	/* ioctl */
};

struct fd {
	const struct fd_ops *ops;
	void *object;
	off_t offset;
	int flags;		/* O_NONBLOCK and others of open() and fcntl() */
	uint32_t users;		/* threads inside, and 1 for the table */
};

/* A new descriptor, the lowest number that is free; -1 and errno (EMFILE, ENOMEM). */
int fd_open(const struct fd_ops *ops, void *object, int flags);
/* What a number stands for, held until fd_put; NULL and EBADF. */
struct fd *fd_get(int number);
void fd_put(struct fd *fd);
/* Something happened that poll() or select() may be waiting for. */
void fd_wake(void);

/* file.c, for others here: demand-zero memory by whole pages; NULL and ENOMEM. */
void *uni_pages(size_t bytes);

#endif
