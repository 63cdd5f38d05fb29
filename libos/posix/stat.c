/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What files are: their attributes, and changing those.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include "libos/posix/io.h"

static inline __attribute__((always_inline)) int64_t state(int directory, const char *path, struct stat *st, int flags)
{
	uint64_t more[2];
	int64_t result;

	posix_lock();
	result = posix_put_path(path, 0);
	if (result > 0)
		result = posix_request(REQUEST_STAT, (uint64_t)directory, (uint64_t)flags, 0, more);
	if (!result)
		*st = *(const struct stat *)posix_buffer;
	posix_unlock();
	return result;
}

int fstatat(int directory, const char *restrict path, struct stat *restrict st, int flags)
{
	if (flags & AT_EMPTY_PATH) {
		flags &= ~AT_EMPTY_PATH;
		if (!*path && directory != AT_FDCWD)
			return flags & ~AT_SYMLINK_NOFOLLOW ? (int)posix_result(-EINVAL) : fstat(directory, st);
		path = *path ? path : ".";
	}
	return (int)posix_result(state(directory, path, st, flags));
}

int stat(const char *restrict path, struct stat *restrict st)
{
	return (int)posix_result(state(AT_FDCWD, path, st, 0));
}

int lstat(const char *restrict path, struct stat *restrict st)
{
	return (int)posix_result(state(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW));
}

int fstat(int fd, struct stat *st)
{
	return (int)posix_result(io_ask_out(REQUEST_FSTAT, (uint64_t)fd, 0, 0, st, sizeof(*st)));
}

int statvfs(const char *restrict path, struct statvfs *restrict out)
{
	return (int)posix_result(io_path_out(REQUEST_STATVFS, path, (uint64_t)-1, 0, 0, out, sizeof(*out)));
}

int fstatvfs(int fd, struct statvfs *out)
{
	return (int)posix_result(fd < 0 ? -EBADF : io_ask_out(REQUEST_STATVFS, (uint64_t)fd, 0, 0, out,
							      sizeof(*out)));
}

/* --- modes and owners ----------------------------------------------------------------------------------------- */

/*
 * As posix_put_path a path that may be empty with AT_EMPTY_PATH only: then it is the descriptor itself, or the working
 * directory. -ENOENT: it is, and may not.
 */
static int64_t put_named(int fd, const char *path, uint32_t offset, int *flags)
{
	int64_t bytes = posix_put_path(path, offset);
	bool may = *flags & AT_EMPTY_PATH;

	*flags &= ~AT_EMPTY_PATH;
	if (bytes != 1)
		return bytes;
	return !may ? -ENOENT : fd == AT_FDCWD ? posix_put_path(".", offset) : bytes;
}

static int64_t ask_named(enum wire_request number, const char *path, int fd, uint64_t to, int flags)
{
	uint64_t more[2];
	int64_t result;

	posix_lock();
	result = put_named(fd, path, 0, &flags);
	if (result > 0)
		result = posix_request(number, (uint64_t)fd, to, (uint64_t)flags, more);
	posix_unlock();
	return result;
}

int fchmodat(int directory, const char *path, mode_t mode, int flags)
{
	return (int)posix_result(ask_named(REQUEST_CHMOD, path, directory, mode, flags));
}

int chmod(const char *path, mode_t mode)
{
	return fchmodat(AT_FDCWD, path, mode, 0);
}

int fchmod(int fd, mode_t mode)
{
	return (int)posix_result(fd < 0 ? -EBADF : posix_ask_path(REQUEST_CHMOD, "", (uint64_t)fd, mode, 0, NULL));
}

static uint64_t owners(uid_t uid, gid_t gid)
{
	return (uint64_t)(uint32_t)uid << 32 | (uint32_t)gid;
}

int fchownat(int directory, const char *path, uid_t uid, gid_t gid, int flags)
{
	return (int)posix_result(ask_named(REQUEST_CHOWN, path, directory, owners(uid, gid), flags));
}

int chown(const char *path, uid_t uid, gid_t gid)
{
	return fchownat(AT_FDCWD, path, uid, gid, 0);
}

int lchown(const char *path, uid_t uid, gid_t gid)
{
	return fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int fchown(int fd, uid_t uid, gid_t gid)
{
	return (int)posix_result(fd < 0 ? -EBADF : posix_ask_path(REQUEST_CHOWN, "", (uint64_t)fd,
								  owners(uid, gid), 0, NULL));
}

mode_t umask(mode_t mask)
{
	return (mode_t)posix_ask(REQUEST_UMASK, mask, 0, 0, NULL);
}

/* --- times ---------------------------------------------------------------------------------------------------- */

static int64_t set_times(int fd, const char *path, const struct timespec times[2], int flags)
{
	static const struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	uint64_t more[2];
	int64_t result;

	posix_lock();
	memcpy(posix_buffer, times ? times : now, sizeof(now));
	result = put_named(fd, path, sizeof(now), &flags);
	if (result > 0)
		result = posix_request(REQUEST_UTIMENS, (uint64_t)fd, 0, (uint64_t)flags, more);
	posix_unlock();
	return result;
}

int utimensat(int directory, const char *path, const struct timespec times[2], int flags)
{
	return (int)posix_result(set_times(directory, path, times, flags));
}

int futimens(int fd, const struct timespec times[2])
{
	return (int)posix_result(fd < 0 ? -EBADF : set_times(fd, "", times, AT_EMPTY_PATH));
}

/* The same from microseconds; false: they make no sense. */
static bool from_microseconds(const struct timeval times[2], struct timespec out[2])
{
	for (int i = 0; times && i < 2; i++) {
		if (times[i].tv_usec < 0 || times[i].tv_usec >= 1000000)
			return false;
		out[i] = (struct timespec){ times[i].tv_sec, times[i].tv_usec * 1000 };
	}
	return true;
}

int futimesat(int directory, const char *path, const struct timeval times[2])
{
	struct timespec out[2];

	if (!from_microseconds(times, out))
		return (int)posix_result(-EINVAL);
	return utimensat(directory, path, times ? out : NULL, 0);
}

int utimes(const char *path, const struct timeval times[2])
{
	return futimesat(AT_FDCWD, path, times);
}

int lutimes(const char *path, const struct timeval times[2])
{
	struct timespec out[2];

	if (!from_microseconds(times, out))
		return (int)posix_result(-EINVAL);
	return utimensat(AT_FDCWD, path, times ? out : NULL, AT_SYMLINK_NOFOLLOW);
}

int futimes(int fd, const struct timeval times[2])
{
	struct timespec out[2];

	if (!from_microseconds(times, out))
		return (int)posix_result(-EINVAL);
	return futimens(fd, times ? out : NULL);
}

int utime(const char *path, const struct utimbuf *times)
{
	const struct timespec out[2] = { { times ? times->actime : 0, 0 }, { times ? times->modtime : 0, 0 } };

	return utimensat(AT_FDCWD, path, times ? out : NULL, 0);
}
