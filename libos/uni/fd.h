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

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define FD_MAX	4096

struct fd;
struct flock;
struct iovec;
struct vfs_file;
struct buffer;

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
	int (*set_flags)(struct fd *fd, int flags);		/* O_APPEND of F_SETFL; NULL: it is not the kind's business */
	int (*lock)(struct fd *fd, int command, struct flock *lock);	/* F_GETLK and its like */
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
/* Close every descriptor of a kind. */
void fd_close_all(const struct fd_ops *ops);
/*
 * What a call returns. If it would have to wait and must not (EAGAIN, EALREADY), the others have their turn first, the network too:
 * a program that asks again at once, without ever sleeping, would keep what it waits for from coming.
 */
ssize_t fd_result(ssize_t result);
/* Something happened that poll() or select() may be waiting for. */
void fd_wake(void);

/*
 * Memory that is mapped from a file and not written through, as it lies in the file system's cache: up to the end of its
 * page, held until it is given back. NULL pointers: nothing was ever mapped. False: it is no such memory, or a hole.
 */
struct fd_loan {
	const void *memory;
	size_t bytes;
	struct vfs_file *file;
	struct buffer *buffer;
};
extern bool (*uni_lend)(const void *at, size_t bytes, struct fd_loan *loan);
extern void (*uni_give_back)(const struct fd_loan *loan);

/* uni.c: called when the program ends by itself; NULL: nothing. */
extern void (*uni_last)(void);

#endif
