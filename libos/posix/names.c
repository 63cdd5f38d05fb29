/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of files: what POSIX calls by path, and by path from a directory's descriptor.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>
#include "libos/posix/io.h"

#define LINKS_MAX	40		/* as the keeper has it */
#define WIRE_PATH	4096
#define FILE_LINKS	32767

/* --- access --------------------------------------------------------------------------------------------------- */

int faccessat(int directory, const char *path, int mode, int flags)
{
	return (int)posix_result(posix_ask_path(REQUEST_ACCESS, path, (uint64_t)directory, (uint64_t)mode,
	    (uint64_t)flags, NULL));
}

int access(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, 0);
}

int eaccess(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

int euidaccess(const char *path, int mode)
{
	return eaccess(path, mode);
}

/* --- making and removing -------------------------------------------------------------------------------------- */

static int make_node(int directory, const char *path, mode_t mode, dev_t device)
{
	return (int)posix_result(posix_ask_path(REQUEST_MKNOD, path, (uint64_t)directory, mode,
						(uint64_t)device, NULL));
}

int mknodat(int directory, const char *path, mode_t mode, dev_t device)
{
	/* Directories are mkdir's to make. */
	return S_ISDIR(mode) ? (int)posix_result(-EPERM) : make_node(directory, path, mode, device);
}

int mknod(const char *path, mode_t mode, dev_t device)
{
	return mknodat(AT_FDCWD, path, mode, device);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
	return make_node(directory, path, (mode & 07777) | S_IFDIR, 0);
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int mkfifoat(int directory, const char *path, mode_t mode)
{
	return mknodat(directory, path, (mode & 07777) | S_IFIFO, 0);
}

int mkfifo(const char *path, mode_t mode)
{
	return mkfifoat(AT_FDCWD, path, mode);
}

int symlinkat(const char *target, int directory, const char *path)
{
	return (int)posix_result(io_two_paths(REQUEST_SYMLINK, target, path, 0, (uint64_t)directory, 0));
}

int symlink(const char *target, const char *path)
{
	return symlinkat(target, AT_FDCWD, path);
}

int unlinkat(int directory, const char *path, int flags)
{
	return (int)posix_result(posix_ask_path(REQUEST_UNLINK, path, (uint64_t)directory, (uint64_t)flags, 0, NULL));
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
	int64_t result = posix_ask_path(REQUEST_UNLINK, path, (uint64_t)AT_FDCWD, 0, 0, NULL);

	if (result == -EISDIR)
		return rmdir(path);
	return (int)posix_result(result);
}

int linkat(int directory, const char *path, int new_directory, const char *new_path, int flags)
{
	return (int)posix_result(io_two_paths(REQUEST_LINK, path, new_path, (uint64_t)directory,
					      (uint64_t)new_directory,
	    (uint64_t)flags));
}

int link(const char *path, const char *new_path)
{
	return linkat(AT_FDCWD, path, AT_FDCWD, new_path, 0);
}

int renameat(int directory, const char *path, int new_directory, const char *new_path)
{
	return (int)posix_result(io_two_paths(REQUEST_RENAME, path, new_path, (uint64_t)directory,
					      (uint64_t)new_directory,
	    0));
}

int rename(const char *path, const char *new_path)
{
	return renameat(AT_FDCWD, path, AT_FDCWD, new_path);
}

static int64_t read_link(int directory, const char *path, char *target, size_t bytes)
{
	int64_t result;

	posix_lock();
	result = posix_ask_path(REQUEST_READLINK, path, (uint64_t)directory, 0, 0, NULL);
	if (result > 0 && (size_t)result > bytes)
		result = (int64_t)bytes;
	if (result > 0)
		memcpy(target, posix_buffer, (size_t)result);
	posix_unlock();
	return result;
}

ssize_t readlinkat(int directory, const char *restrict path, char *restrict target, size_t bytes)
{
	return posix_result(bytes ? read_link(directory, path, target, bytes) : -EINVAL);
}

ssize_t readlink(const char *restrict path, char *restrict target, size_t bytes)
{
	return readlinkat(AT_FDCWD, path, target, bytes);
}

/* --- the working directory ------------------------------------------------------------------------------------ */

int chdir(const char *path)
{
	return (int)posix_result(posix_ask_path(REQUEST_CHDIR, path, (uint64_t)-1, 0, 0, NULL));
}

int fchdir(int fd)
{
	return (int)posix_result(fd < 0 ? -EBADF : posix_ask(REQUEST_CHDIR, (uint64_t)fd, 0, 0, NULL));
}

/* Without a buffer: one that malloc made. */
char *getcwd(char *path, size_t bytes)
{
	char between[WIRE_PATH];
	int64_t result;

	if (path && !bytes)
		result = -EINVAL;
	else
		result = io_ask_out(REQUEST_GETCWD, 0, 0, 0, between, sizeof(between));
	if (result >= 0 && (path || bytes) && (size_t)result + 1 > bytes)
		result = -ERANGE;
	if (result >= 0 && !path && !(path = malloc(bytes ? bytes : (size_t)result + 1)))
		result = -ENOMEM;
	if (posix_result(result) < 0)
		return NULL;
	return memcpy(path, between, (size_t)result + 1);
}

char *get_current_dir_name(void)
{
	return getcwd(NULL, 0);
}

/* --- realpath ------------------------------------------------------------------------------------------------- */

/* Take the last name off an absolute path. */
static void up(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path] = '\0';
}

/*
 * Put `name` behind `path`, and look: 0, 1 if it is a link whose target has been put in front of `rest`, or
 * an error.
 */
static int64_t step(char *path, const char *name, size_t bytes, char *rest, unsigned *links)
{
	size_t length = strlen(path), left = strlen(rest);
	char target[PATH_MAX];
	struct stat st;
	int64_t result;

	if (length + bytes + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	if (length > 1)
		path[length++] = '/';
	memcpy(path + length, name, bytes);
	path[length + bytes] = '\0';
	result = io_path_out(REQUEST_STAT, path, (uint64_t)AT_FDCWD, AT_SYMLINK_NOFOLLOW, 0, &st, sizeof(st));
	if (result < 0)
		return result;
	if (!S_ISLNK(st.st_mode))
		return *rest && !S_ISDIR(st.st_mode) ? -ENOTDIR : 0;
	result = ++*links > LINKS_MAX ? -ELOOP : read_link(AT_FDCWD, path, target, sizeof(target));
	if (result < 0)
		return result;
	if ((size_t)result + left + 1 > PATH_MAX)
		return -ENAMETOOLONG;
	memmove(rest + result, rest, left + 1);
	memcpy(rest, target, (size_t)result);
	up(path);
	if (*rest == '/')
		strcpy(path, "/");
	return 1;
}

static int64_t resolve(const char *from, char *path)
{
	char rest[PATH_MAX], name[NAME_MAX + 1];
	unsigned links = 0;
	int64_t result;

	if (!*from || strnlen(from, PATH_MAX) == PATH_MAX)
		return *from ? -ENAMETOOLONG : -ENOENT;
	strcpy(rest, from);
	strcpy(path, "/");
	result = *from == '/' ? 0 : io_ask_out(REQUEST_GETCWD, 0, 0, 0, path, PATH_MAX);
	while (result >= 0) {
		size_t skip = strspn(rest, "/"), bytes = strcspn(rest + skip, "/");

		if (!bytes)
			return 0;
		if (bytes > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, rest + skip, bytes);
		name[bytes] = '\0';
		memmove(rest, rest + skip + bytes, strlen(rest + skip + bytes) + 1);
		if (!strcmp(name, ".."))
			up(path);
		else if (strcmp(name, "."))
			result = step(path, name, bytes, rest, &links);
	}
	return result;
}

char *realpath(const char *restrict from, char *restrict to)
{
	char path[PATH_MAX];
	int64_t result = from ? resolve(from, path) : -EINVAL;

	if (result >= 0 && !to && !(to = malloc(strlen(path) + 1)))
		result = -ENOMEM;
	return posix_result(result) < 0 ? NULL : strcpy(to, path);
}

/* --- limits --------------------------------------------------------------------------------------------------- */

static long limit(int name)
{
	switch (name) {
	case _PC_LINK_MAX:
		return FILE_LINKS;
	case _PC_MAX_CANON:
		return MAX_CANON;
	case _PC_MAX_INPUT:
		return MAX_INPUT;
	case _PC_NAME_MAX:
		return NAME_MAX;
	case _PC_PATH_MAX:
		return PATH_MAX;
	case _PC_PIPE_BUF:
		return PIPE_BUF;
	case _PC_CHOWN_RESTRICTED:
	case _PC_NO_TRUNC:
	case _PC_2_SYMLINKS:
		return 1;
	case _PC_VDISABLE:
		return 0;
	case _PC_FILESIZEBITS:
		return 64;
	case _PC_SYMLINK_MAX:
		return 4095;
	case _PC_TIMESTAMP_RESOLUTION:
		return 1;
	case _PC_ALLOC_SIZE_MIN:
	case _PC_REC_MIN_XFER_SIZE:
	case _PC_REC_XFER_ALIGN:
		return 4096;
	case _PC_ASYNC_IO:
	case _PC_PRIO_IO:
	case _PC_SYNC_IO:
	case _PC_REC_INCR_XFER_SIZE:
	case _PC_REC_MAX_XFER_SIZE:
		return -1;
	default:
		errno = EINVAL;
		return -1;
	}
}

long pathconf(const char *path, int name)
{
	struct stat st;

	return stat(path, &st) ? -1 : limit(name);
}

long fpathconf(int fd, int name)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : limit(name);
}
