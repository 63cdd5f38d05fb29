/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files as descriptors: open, and what is done with open files. The work is libos/fs/vfs.c's; here are POSIX's names,
 * flags and errno. Names of files are in names.c, directories in dir.c, mappings in map.c.
 *
 * A descriptor that dup() made is the same struct fd, so it shares offset and flags. Memory that is itself mapped from a
 * file is read and written through a buffer: touching it inside a file system could need that file system again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "libos/fs/posix.h"
#include "libos/uni/file.h"

#define BOUNCE_BYTES	(64 * 1024)

int64_t uni_result(int64_t result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

struct vfs_file *uni_file(int number, struct fd **fd, int other)
{
	*fd = fd_get(number);
	if (!*fd)
		return NULL;
	if ((*fd)->ops == &file_ops)
		return (*fd)->object;
	fd_put(*fd);
	errno = other;
	return NULL;
}

bool uni_from(int number, const char *path, const struct vfs_place **from, struct fd **fd)
{
	struct vfs_file *file;

	files_begin();
	*from = NULL;
	*fd = NULL;
	if (number == AT_FDCWD || *path == '/')
		return true;
	file = uni_file(number, fd, ENOTDIR);
	if (!file)
		return false;
	*from = &file->place;
	return true;
}

/* --- open ----------------------------------------------------------------------------------------------- */

static int open_at(const struct vfs_place *from, const char *path, int flags, mode_t mode)
{
	static const unsigned ways[] = { VFS_READ, VFS_WRITE, VFS_READ | VFS_WRITE, 0 };
	unsigned how = ways[flags & O_ACCMODE];
	struct vfs_file *file;
	int result;

	if (flags & (O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_SYNC | O_DIRECTORY | O_NOFOLLOW))
		how |= (flags & O_CREAT ? VFS_CREATE : 0) | (flags & O_EXCL ? VFS_EXCLUSIVE : 0) |
		    (flags & O_TRUNC ? VFS_TRUNCATE : 0) | (flags & O_APPEND ? VFS_APPEND : 0) |
		    (flags & O_SYNC ? VFS_SYNC : 0) | (flags & O_DIRECTORY ? VFS_DIRECTORY : 0) |
		    (flags & O_NOFOLLOW ? VFS_NOFOLLOW : 0);
	result = how & (VFS_READ | VFS_WRITE) ? vfs_open(from, path, how, mode, &file) : -EINVAL;
	if (result)
		return (int)uni_result(result);
	result = fd_open(&file_ops, file, flags & (O_ACCMODE | O_APPEND | O_SYNC | O_NONBLOCK));
	if (result < 0)
		vfs_file_put(file);
	return result;
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
	files_begin();
	return open_at(NULL, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
	const struct vfs_place *from;
	struct fd *fd;
	mode_t mode = 0;
	va_list arguments;

	if (flags & O_CREAT) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	if (!uni_from(directory, path, &from, &fd))
		return -1;
	int number = open_at(from, path, flags, mode);
	if (fd)
		fd_put(fd);
	return number;
}

int creat(const char *path, mode_t mode)
{
	return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* --- read and write ------------------------------------------------------------------------------------- */

/* Through a buffer. `at` is NULL for the file's own offset. */
static int64_t bounce(struct vfs_file *file, void *memory, size_t bytes, const off_t *at, bool write)
{
	uint8_t *between = malloc(bytes < BOUNCE_BYTES ? bytes : BOUNCE_BYTES);
	int64_t total = 0, done = between ? 0 : -ENOMEM;

	while (between && (size_t)total < bytes) {
		size_t now = bytes - (size_t)total < BOUNCE_BYTES ? bytes - (size_t)total : BOUNCE_BYTES;
		uint64_t to = at ? (uint64_t)*at + (uint64_t)total : 0;

		if (write) {
			memcpy(between, (uint8_t *)memory + total, now);
			done = at ? vfs_pwrite(file, between, now, to) : vfs_write(file, between, now);
		} else {
			done = at ? vfs_pread(file, between, now, to) : vfs_read(file, between, now);
			if (done > 0)
				memcpy((uint8_t *)memory + total, between, (size_t)done);
		}
		if (done <= 0)
			break;
		total += done;
		if ((size_t)done < now)
			break;
	}
	free(between);
	return total ? total : done;
}

static ssize_t file_read(struct fd *fd, void *buffer, size_t bytes)
{
	if (__builtin_expect(uni_file_maps && uni_maps_file(buffer, bytes), 0))
		return (ssize_t)uni_result(bounce(fd->object, buffer, bytes, NULL, false));
	return (ssize_t)uni_result(vfs_read(fd->object, buffer, bytes));
}

static ssize_t file_write(struct fd *fd, const void *buffer, size_t bytes)
{
	if (__builtin_expect(uni_file_maps && uni_maps_file(buffer, bytes), 0))
		return (ssize_t)uni_result(bounce(fd->object, (void *)buffer, bytes, NULL, true));
	return (ssize_t)uni_result(vfs_write(fd->object, buffer, bytes));
}

ssize_t pread(int number, void *buffer, size_t bytes, off_t at)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, ESPIPE);
	int64_t done;

	if (!file)
		return -1;
	if (at < 0)
		done = -EINVAL;
	else if (uni_file_maps && uni_maps_file(buffer, bytes))
		done = bounce(file, buffer, bytes, &at, false);
	else
		done = vfs_pread(file, buffer, bytes, (uint64_t)at);
	fd_put(fd);
	return (ssize_t)uni_result(done);
}

ssize_t pwrite(int number, const void *buffer, size_t bytes, off_t at)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, ESPIPE);
	int64_t done;

	if (!file)
		return -1;
	if (at < 0)
		done = -EINVAL;
	else if (uni_file_maps && uni_maps_file(buffer, bytes))
		done = bounce(file, (void *)buffer, bytes, &at, true);
	else
		done = vfs_pwrite(file, buffer, bytes, (uint64_t)at);
	fd_put(fd);
	return (ssize_t)uni_result(done);
}

static off_t file_lseek(struct fd *fd, off_t offset, int whence)
{
	return (off_t)uni_result(vfs_seek(fd->object, offset, whence));
}

static int file_stat(struct fd *fd, struct stat *st)
{
	struct vfs_file *file = fd->object;
	struct fs_attributes attributes;
	int result = vfs_attributes(&file->place, &attributes);

	if (!result)
		vfs_to_stat(&attributes, file->place.mount->number, st);
	return (int)uni_result(result);
}

static int file_close(struct fd *fd)
{
	vfs_file_put(fd->object);
	return 0;
}

static int file_flags(struct fd *fd, int flags)
{
	struct vfs_file *file = fd->object;

	file->flags = (file->flags & ~(unsigned)VFS_APPEND) | (flags & O_APPEND ? VFS_APPEND : 0);
	return 0;
}

/*
 * Record locks belong to the program, and it is alone: they never stand in its way. What is wrong with a request is
 * told all the same.
 */
static int file_lock(struct fd *fd, int command, struct flock *lock)
{
	struct vfs_file *file = fd->object;
	int64_t from = 0;

	if (lock->l_whence == SEEK_CUR)
		from = (int64_t)file->offset;
	else if (lock->l_whence == SEEK_END)
		from = vfs_seek(file, 0, SEEK_CUR) < 0 ? -1 : 0;
	if (lock->l_whence < SEEK_SET || lock->l_whence > SEEK_END ||
	    (lock->l_type != F_RDLCK && lock->l_type != F_WRLCK && lock->l_type != F_UNLCK) ||
	    (lock->l_whence != SEEK_END && (from + lock->l_start < 0 || from + lock->l_start + lock->l_len < 0))) {
		errno = EINVAL;
		return -1;
	}
	if (command == F_GETLK) {
		lock->l_type = F_UNLCK;
	} else if ((lock->l_type == F_RDLCK && !(file->flags & VFS_READ)) ||
	    (lock->l_type == F_WRLCK && !(file->flags & VFS_WRITE))) {
		errno = EBADF;
		return -1;
	}
	return 0;
}

const struct fd_ops file_ops = {
	.read = file_read, .write = file_write, .lseek = file_lseek, .stat = file_stat, .close = file_close,
	.set_flags = file_flags, .lock = file_lock,
};

/* --- what needs no more --------------------------------------------------------------------------------- */

int flock(int number, int operation)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, EINVAL);
	int what = operation & ~LOCK_NB, result = -EINVAL;

	if (!file)
		return -1;
	if (what == LOCK_SH || what == LOCK_EX || what == LOCK_UN)
		result = vfs_flock(file, what == LOCK_SH ? VFS_SHARED : what == LOCK_EX ? VFS_ALONE : VFS_UNLOCK,
		    !(operation & LOCK_NB));
	fd_put(fd);
	return (int)uni_result(result);
}

int ftruncate(int number, off_t bytes)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, EINVAL);
	int result;

	if (!file)
		return -1;
	result = bytes < 0 ? -EINVAL : vfs_truncate(file, (uint64_t)bytes);
	fd_put(fd);
	return (int)uni_result(result);
}

static int stable(int number, bool data_only)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, EINVAL);
	int result;

	if (!file)
		return -1;
	result = vfs_fsync(file, data_only);
	fd_put(fd);
	return (int)uni_result(result);
}

int fsync(int number)
{
	return stable(number, false);
}

int fdatasync(int number)
{
	return stable(number, true);
}

void sync(void)
{
	files_begin();
	(void)vfs_sync();
}

int fstatvfs(int number, struct statvfs *out)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, EINVAL);
	struct fs_space space;
	int result;

	if (!file)
		return -1;
	result = vfs_space(&file->place, &space);
	if (!result)
		vfs_to_statvfs(&space, file->place.mount, out);
	fd_put(fd);
	return (int)uni_result(result);
}

int statvfs(const char *path, struct statvfs *out)
{
	int number = open(path, O_RDONLY), result;

	if (number < 0)
		return -1;
	result = fstatvfs(number, out);
	close(number);
	return result;
}

static int64_t copy(struct vfs_file *from, off_t *from_offset, struct vfs_file *to, off_t *to_offset, size_t bytes)
{
	uint64_t at = from_offset ? (uint64_t)*from_offset : from->offset;
	uint64_t to_at = to_offset ? (uint64_t)*to_offset : to->offset;
	int64_t done;

	if ((from_offset && *from_offset < 0) || (to_offset && *to_offset < 0) || bytes > INT64_MAX)
		return -EINVAL;
	if (to->flags & VFS_APPEND)
		return -EBADF;
	done = vfs_copy(from, at, to, to_at, bytes);
	if (done <= 0)
		return done;
	*(from_offset ? (uint64_t *)from_offset : &from->offset) = at + (uint64_t)done;
	*(to_offset ? (uint64_t *)to_offset : &to->offset) = to_at + (uint64_t)done;
	return done;
}

ssize_t copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t bytes, unsigned flags)
{
	struct fd *fd, *to_fd;
	struct vfs_file *file = uni_file(from, &fd, EINVAL), *to_file;
	int64_t done;

	if (!file)
		return -1;
	to_file = uni_file(to, &to_fd, EINVAL);
	if (!to_file) {
		fd_put(fd);
		return -1;
	}
	done = flags ? -EINVAL : copy(file, from_offset, to_file, to_offset, bytes);
	fd_put(to_fd);
	fd_put(fd);
	return (ssize_t)uni_result(done);
}
