/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening files, and what is asked of open ones: fcntl, locks, room ahead.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "libos/posix/io.h"

#define FALLOCATE_STEP	512	/* no file system has smaller blocks */

/* What waits for another process, and has to be told to have stopped. */
static int64_t sleep_or_forget(void)
{
	int result = posix_sleep(EXO_NEVER, POSIX_RESTARTS);

	if (result)
		(void)posix_ask(REQUEST_CLOSE, (uint64_t)WIRE_FORGET, 0, 0, NULL);
	return result;
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
	uint64_t more[2];
	int64_t result;

	cancel_point();
	do {
		posix_lock();
		result = posix_put_path(path, 0);
		if (result > 0)
			result = posix_request(REQUEST_OPEN, (uint64_t)directory, (uint64_t)flags, mode, more);
		posix_unlock();
	} while (result == WIRE_WAIT && !(result = sleep_or_forget()));
	return (int)posix_result(result);
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	if (flags & O_CREAT) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	if (flags & O_CREAT) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	return open_at(directory, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
	return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* --- fcntl ---------------------------------------------------------------------------------------------------- */

static int64_t lock(int fd, int command, struct flock *lock)
{
	int64_t result;

	if (command == F_SETLKW)
		cancel_point();
	do {
		posix_lock();
		lock->l_pid = command == F_GETLK ? 0 : lock->l_pid;	/* the answer has its lower half only */
		memcpy(posix_buffer, lock, sizeof(*lock));
		result = posix_ask(REQUEST_FCNTL, (uint64_t)fd, (uint64_t)command, 0, NULL);
		if (!result && command == F_GETLK)
			memcpy(lock, posix_buffer, sizeof(*lock));
		posix_unlock();
	} while (result == WIRE_WAIT && !(result = sleep_or_forget()));
	return result;
}

int fcntl(int fd, int command, ...)
{
	va_list arguments;
	uint64_t more[2];
	int64_t result;
	long argument;

	va_start(arguments, command);
	argument = command == F_GETFD || command == F_GETFL || command == F_GETOWN ? 0 : va_arg(arguments, long);
	va_end(arguments);
	if (command == F_GETLK || command == F_SETLK || command == F_SETLKW)
		result = lock(fd, command, (struct flock *)argument);
	else
		result = posix_ask(REQUEST_FCNTL, (uint64_t)fd, (uint64_t)command, (uint64_t)(int)argument, more);
	if (!result && command == F_GETOWN)
		return (int)more[0];		/* a group is negative */
	return (int)posix_result(result);
}

int flock(int fd, int operation)
{
	int64_t result;

	do {
		result = posix_ask(REQUEST_FCNTL, (uint64_t)fd, WIRE_F_FLOCK, (uint64_t)operation, NULL);
	} while (result == WIRE_WAIT && !(result = posix_sleep(EXO_NEVER, POSIX_RESTARTS)));
	return (int)posix_result(result);
}

int lockf(int fd, int command, off_t bytes)
{
	struct flock one = { .l_type = command == F_ULOCK ? F_UNLCK : F_WRLCK, .l_whence = SEEK_CUR, .l_len = bytes };
	int64_t result;

	switch (command) {
	case F_ULOCK:
	case F_TLOCK:
		return (int)posix_result(lock(fd, F_SETLK, &one));
	case F_LOCK:
		return (int)posix_result(lock(fd, F_SETLKW, &one));
	case F_TEST:
		result = lock(fd, F_GETLK, &one);
		return (int)posix_result(result < 0 ? result : one.l_type == F_UNLCK ? 0 : -EACCES);
	default:
		return (int)posix_result(-EINVAL);
	}
}

/* --- room ahead, and what need not be done -------------------------------------------------------------------- */

/* One byte of each block is written as it was, so that there is a block. */
static int64_t fill(int fd, off_t at, off_t end, off_t size)
{
	int64_t result;
	char byte;

	for (; at < end; at = (at / FALLOCATE_STEP + 1) * FALLOCATE_STEP) {
		byte = 0;
		result = at < size ? io_read(fd, &byte, 1, at, true) : 0;
		if (result >= 0)
			result = io_write(fd, &byte, 1, at, true);
		if (result < 0)
			return result;
	}
	return 0;
}

int posix_fallocate(int fd, off_t offset, off_t bytes)
{
	struct stat st;
	int64_t result;
	off_t end;

	if (offset < 0 || bytes <= 0)
		return EINVAL;
	if (__builtin_add_overflow(offset, bytes, &end))
		return EFBIG;
	result = io_ask_out(REQUEST_FSTAT, (uint64_t)fd, 0, 0, &st, sizeof(st));
	if (result < 0)
		return (int)-result;
	if (!S_ISREG(st.st_mode))
		return S_ISFIFO(st.st_mode) ? ESPIPE : ENODEV;
	result = fill(fd, offset, end, st.st_size);
	if (!result && end > st.st_size)
		result = posix_ask(REQUEST_TRUNCATE, (uint64_t)fd, (uint64_t)end, 0, NULL);
	return result < 0 ? (int)-result : 0;
}

/* Advice changes nothing that a program could see. */
int posix_fadvise(int fd, off_t offset, off_t bytes, int advice)
{
	struct stat st;
	int64_t result = io_ask_out(REQUEST_FSTAT, (uint64_t)fd, 0, 0, &st, sizeof(st));

	(void)offset;
	if (result < 0)
		return (int)-result;
	if (S_ISFIFO(st.st_mode))
		return ESPIPE;
	return bytes < 0 || advice < 0 || advice > 5 ? EINVAL : 0;
}

static int stable(int fd, uint64_t data_only)
{
	cancel_point();
	return (int)posix_result(fd < 0 ? -EBADF : posix_ask(REQUEST_SYNC, (uint64_t)fd, data_only, 0, NULL));
}

int fsync(int fd)
{
	return stable(fd, 0);
}

int fdatasync(int fd)
{
	return stable(fd, 1);
}

void sync(void)
{
	(void)posix_ask(REQUEST_SYNC, (uint64_t)-1, 0, 0, NULL);
}

int ftruncate(int fd, off_t bytes)
{
	return (int)posix_result(fd < 0 ? -EBADF : posix_ask(REQUEST_TRUNCATE, (uint64_t)fd, (uint64_t)bytes,
							     0, NULL));
}

int truncate(const char *path, off_t bytes)
{
	return (int)posix_result(posix_ask_path(REQUEST_TRUNCATE, path, (uint64_t)-1, (uint64_t)bytes, 0, NULL));
}
