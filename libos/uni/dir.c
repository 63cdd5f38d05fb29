/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories as streams. A stream is a descriptor and room for one entry; places in it are the offsets of
 * libos/fs/vfs.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/uni/file.h"

struct __exo_dir {
	int number;
	struct dirent entry;
};

DIR *fdopendir(int number)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, ENOTDIR);
	DIR *dir = NULL;

	if (!file)
		return NULL;
	if (file->place.node->kind != FS_DIRECTORY)
		errno = ENOTDIR;
	else
		dir = calloc(1, sizeof(*dir));
	if (dir)
		dir->number = number;
	fd_put(fd);
	return dir;
}

DIR *opendir(const char *path)
{
	int number = open(path, O_RDONLY | O_DIRECTORY);
	DIR *dir = number < 0 ? NULL : fdopendir(number);

	if (number >= 0 && !dir)
		close(number);
	return dir;
}

int dirfd(DIR *dir)
{
	return dir->number;
}

struct dirent *readdir(DIR *dir)
{
	static const unsigned char types[] = { DT_UNKNOWN, DT_REG, DT_DIR, DT_LNK, DT_FIFO, DT_SOCK, DT_CHR, DT_BLK };
	struct fs_entry entry;
	struct fd *fd;
	struct vfs_file *file = uni_file(dir->number, &fd, EBADF);
	int result;

	if (!file)
		return NULL;
	result = vfs_readdir(file, &entry);
	fd_put(fd);
	if (result != 1) {
		if (result < 0)
			errno = -result;
		return NULL;
	}
	dir->entry.d_ino = entry.number;
	dir->entry.d_type = types[entry.kind & 7];
	memcpy(dir->entry.d_name, entry.name, entry.bytes + 1u);
	return &dir->entry;
}

long telldir(DIR *dir)
{
	return (long)lseek(dir->number, 0, SEEK_CUR);
}

void seekdir(DIR *dir, long place)
{
	lseek(dir->number, place, SEEK_SET);
}

void rewinddir(DIR *dir)
{
	seekdir(dir, 0);
}

int closedir(DIR *dir)
{
	int result = close(dir->number);

	free(dir);
	return result;
}
