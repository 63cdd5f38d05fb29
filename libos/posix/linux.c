/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux has beyond POSIX and programs commonly ask for, made of what is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "libos/posix/thread.h"

#define NAME_MOST	249		/* of a memfd's name, as Linux has it */
#define PID_BITS	15

/* The first thread's is the process's; no other thread's is anybody's pid. */
pid_t gettid(void)
{
	return posix_page->pid | (pid_t)(posix_self()->number - 1) << PID_BITS;
}

int close_range(unsigned first, unsigned last, int flags)
{
	int64_t fd = first;

	if (first > last || flags & ~CLOSE_RANGE_CLOEXEC)
		return (int)posix_result(-EINVAL);
	for (; (fd = posix_ask(REQUEST_NEXT_FD, (uint64_t)fd, 0, 0, NULL)) >= 0 && fd <= last; fd++) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			posix_ask(REQUEST_FCNTL, (uint64_t)fd, F_SETFD, FD_CLOEXEC, NULL);
		else
			close((int)fd);
	}
	return 0;
}

void closefrom(int lowest)
{
	int error = errno;

	close_range(lowest < 0 ? 0 : (unsigned)lowest, UINT_MAX, 0);
	errno = error;
}

/* A file of the file system of shared memory that has lost its name. */
int memfd_create(const char *name, unsigned flags)
{
	static unsigned count;
	char path[64];
	int fd;

	if (flags & ~MFD_CLOEXEC || strlen(name) > NAME_MOST)
		return (int)posix_result(-EINVAL);
	do {
		snprintf(path, sizeof(path), "/dev/shm/.memfd-%d-%u", (int)posix_page->pid,
			 __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED));
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | (flags & MFD_CLOEXEC ? O_CLOEXEC : 0), 0600);
	} while (fd < 0 && errno == EEXIST);
	if (fd >= 0)
		unlink(path);
	return fd;
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	return (int)posix_result(mode ? -EOPNOTSUPP : -posix_fallocate(fd, offset, bytes));
}

char *canonicalize_file_name(const char *path)
{
	return realpath(path, NULL);
}

/* One cannot be written back alone: all are. */
int syncfs(int fd)
{
	if (fcntl(fd, F_GETFD) < 0)
		return -1;
	return (int)posix_result(posix_ask(REQUEST_SYNC, (uint64_t)-1, 0, 0, NULL));
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout)
{
	exo_time_t end = timeout ? core_now() + (uint64_t)timeout->tv_sec * CORE_SECOND + (uint64_t)timeout->tv_nsec : EXO_NEVER;
	unsigned int got;

	if (timeout && (timeout->tv_sec < 0 || (uint64_t)timeout->tv_nsec >= CORE_SECOND))
		return (int)posix_result(-EINVAL);
	for (got = 0; got < count && (!got || core_now() < end); got++) {
		ssize_t bytes = recvmsg(fd, &messages[got].msg_hdr, flags & ~MSG_WAITFORONE);

		if (bytes < 0)
			return got ? (int)got : -1;
		messages[got].msg_len = (unsigned int)bytes;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	}
	return (int)got;
}
