/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories as streams: a descriptor, and entries that were read ahead. What telldir gives is the keeper's
 * place behind the entry that was returned last.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>
#include "libos/posix/io.h"

#define AHEAD	4096	/* bytes */

struct __exo_dir {
	int fd;
	size_t at, bytes;	/* of `ahead` */
	long place;		/* behind what was returned last */
	struct dirent entry;
	_Alignas(8) char ahead[AHEAD];
};

DIR *fdopendir(int fd)
{
	struct stat st;
	int64_t result = io_ask_out(REQUEST_FSTAT, (uint64_t)fd, 0, 0, &st, sizeof(st));
	DIR *dir = NULL;

	if (result >= 0 && !S_ISDIR(st.st_mode))
		result = -ENOTDIR;
	if (result >= 0 && !(dir = calloc(1, sizeof(*dir))))
		result = -ENOMEM;
	if (posix_result(result) < 0)
		return NULL;
	(void)posix_ask(REQUEST_FCNTL, (uint64_t)fd, F_SETFD, FD_CLOEXEC, NULL);
	dir->fd = fd;
	dir->place = (long)posix_ask(REQUEST_SEEK, (uint64_t)fd, 0, SEEK_CUR, NULL);
	return dir;
}

DIR *opendir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

int dirfd(DIR *dir)
{
	return dir->fd;
}

struct dirent *readdir(DIR *dir)
{
	const struct wire_dirent *next;
	int64_t result;

	if (dir->at >= dir->bytes) {
		posix_lock();
		result = posix_ask(REQUEST_GETDENTS, (uint64_t)dir->fd, AHEAD, 0, NULL);
		if (result > 0)
			memcpy(dir->ahead, posix_buffer, (size_t)result);
		posix_unlock();
		if (posix_result(result) <= 0)
			return NULL;
		dir->at = 0;
		dir->bytes = (size_t)result;
	}
	next = (const struct wire_dirent *)(dir->ahead + dir->at);
	dir->at += next->size;
	dir->place = (long)next->next;
	dir->entry.d_ino = next->number;
	dir->entry.d_type = next->type;
	strcpy(dir->entry.d_name, next->name);
	return &dir->entry;
}

int readdir_r(DIR *dir, struct dirent *entry, struct dirent **result)
{
	int saved = errno, error;

	errno = 0;
	*result = readdir(dir);
	error = errno;
	errno = saved;
	if (*result) {
		*entry = **result;
		*result = entry;
	}
	return *result ? 0 : error;
}

long telldir(DIR *dir)
{
	return dir->place;
}

void seekdir(DIR *dir, long place)
{
	dir->place = (long)posix_ask(REQUEST_SEEK, (uint64_t)dir->fd, (uint64_t)place, SEEK_SET, NULL);
	dir->at = dir->bytes = 0;
}

void rewinddir(DIR *dir)
{
	seekdir(dir, 0);
}

int closedir(DIR *dir)
{
	int fd = dir->fd;

	free(dir);
	return close(fd);
}
