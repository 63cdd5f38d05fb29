/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of files: what POSIX calls by path, and by path from a directory's descriptor. See file.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include "libos/fs/posix.h"
#include "libos/uni/file.h"

/* --- stat ----------------------------------------------------------------------------------------------- */

static int stat_from(const struct vfs_place *from, const char *path, bool follow, struct stat *st)
{
	struct fs_attributes attributes;
	uint32_t number;
	int result = vfs_stat(from, path, follow, &attributes, &number);

	if (result)
		return (int)uni_result(result);
	vfs_to_stat(&attributes, number, st);
	return 0;
}

int stat(const char *path, struct stat *st)
{
	files_begin();
	return stat_from(NULL, path, true, st);
}

int lstat(const char *path, struct stat *st)
{
	files_begin();
	return stat_from(NULL, path, false, st);
}

/* What a function with a directory's descriptor does, in between. */
#define FROM(number, path, expression) ({						\
	const struct vfs_place *from;							\
	struct fd *from_fd;								\
	int from_result = -1;								\
	if (uni_from(number, path, &from, &from_fd)) {					\
		from_result = (expression);						\
		if (from_fd)								\
			fd_put(from_fd);						\
	}										\
	from_result;									\
})

int fstatat(int directory, const char *path, struct stat *st, int flags)
{
	return FROM(directory, path, stat_from(from, path, !(flags & AT_SYMLINK_NOFOLLOW), st));
}

/* Whoever runs may read and write everything, and execute what anybody may. */
int faccessat(int directory, const char *path, int mode, int flags)
{
	struct vfs_place place;
	struct fs_attributes attributes;
	int result = FROM(directory, path, (int)uni_result(vfs_find(from, path, !(flags & AT_SYMLINK_NOFOLLOW), &place)));

	if (result)
		return -1;
	result = vfs_attributes(&place, &attributes);
	if (!result && mode & W_OK && place.mount->fs->read_only)
		result = -EROFS;
	if (!result && mode & X_OK && attributes.kind == FS_FILE && !(attributes.mode & 0111))
		result = -EACCES;
	vfs_put(place.mount, place.node);
	return (int)uni_result(result);
}

int access(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, 0);
}

/* --- making and removing -------------------------------------------------------------------------------- */

static int make(int directory, const char *path, uint8_t kind, mode_t mode, uint64_t device, const char *target)
{
	const struct fs_attributes how = { .kind = kind, .mode = (uint16_t)(mode & 07777), .device = device };

	return FROM(directory, path, (int)uni_result(vfs_make(from, path, &how, target)));
}

int mkdirat(int directory, const char *path, mode_t mode)
{
	return make(directory, path, FS_DIRECTORY, mode, 0, NULL);
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int symlinkat(const char *target, int directory, const char *path)
{
	return make(directory, path, FS_SYMLINK, 0777, 0, target);
}

int symlink(const char *target, const char *path)
{
	return symlinkat(target, AT_FDCWD, path);
}

int unlinkat(int directory, const char *path, int flags)
{
	if (flags & ~AT_REMOVEDIR) {
		errno = EINVAL;
		return -1;
	}
	return FROM(directory, path, (int)uni_result(vfs_unlink(from, path, flags & AT_REMOVEDIR)));
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int linkat(int directory, const char *path, int new_directory, const char *new_path, int flags)
{
	const struct vfs_place *new;
	struct fd *new_fd;
	int result;

	if (flags & ~AT_SYMLINK_FOLLOW) {
		errno = EINVAL;
		return -1;
	}
	if (!uni_from(new_directory, new_path, &new, &new_fd))
		return -1;
	result = FROM(directory, path,
	    (int)uni_result(vfs_link(from, path, flags & AT_SYMLINK_FOLLOW, new, new_path)));
	if (new_fd)
		fd_put(new_fd);
	return result;
}

int link(const char *path, const char *new_path)
{
	return linkat(AT_FDCWD, path, AT_FDCWD, new_path, 0);
}

int renameat(int directory, const char *path, int new_directory, const char *new_path)
{
	const struct vfs_place *new;
	struct fd *new_fd;
	int result;

	if (!uni_from(new_directory, new_path, &new, &new_fd))
		return -1;
	result = FROM(directory, path, (int)uni_result(vfs_rename(from, path, new, new_path)));
	if (new_fd)
		fd_put(new_fd);
	return result;
}

int rename(const char *path, const char *new_path)
{
	return renameat(AT_FDCWD, path, AT_FDCWD, new_path);
}

ssize_t readlinkat(int directory, const char *restrict path, char *restrict target, size_t bytes)
{
	return FROM(directory, path, (int)uni_result(vfs_readlink(from, path, target, bytes)));
}

ssize_t readlink(const char *restrict path, char *restrict target, size_t bytes)
{
	return readlinkat(AT_FDCWD, path, target, bytes);
}

int truncate(const char *path, off_t bytes)
{
	files_begin();
	return (int)uni_result(bytes < 0 ? -EINVAL : vfs_truncate_path(NULL, path, (uint64_t)bytes));
}

/* --- attributes ----------------------------------------------------------------------------------------- */

static int set_from(const struct vfs_place *from, const char *path, bool follow, const struct fs_attributes *to,
    unsigned which)
{
	struct vfs_place place;
	int result = vfs_find(from, path, follow, &place);

	if (!result) {
		result = vfs_set(&place, to, which);
		vfs_put(place.mount, place.node);
	}
	return (int)uni_result(result);
}

static int set_open(int number, const struct fs_attributes *to, unsigned which)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, EINVAL);
	int result;

	if (!file)
		return -1;
	result = vfs_set(&file->place, to, which);
	fd_put(fd);
	return (int)uni_result(result);
}

int fchmodat(int directory, const char *path, mode_t mode, int flags)
{
	const struct fs_attributes to = { .mode = (uint16_t)(mode & 07777) };

	return FROM(directory, path, set_from(from, path, !(flags & AT_SYMLINK_NOFOLLOW), &to, FS_SET_MODE));
}

int chmod(const char *path, mode_t mode)
{
	return fchmodat(AT_FDCWD, path, mode, 0);
}

int fchmod(int number, mode_t mode)
{
	const struct fs_attributes to = { .mode = (uint16_t)(mode & 07777) };

	return set_open(number, &to, FS_SET_MODE);
}

static unsigned owners(uid_t uid, gid_t gid, struct fs_attributes *to)
{
	*to = (struct fs_attributes){ .uid = uid, .gid = gid };
	return (uid != (uid_t)-1 ? FS_SET_UID : 0) | (gid != (gid_t)-1 ? FS_SET_GID : 0);
}

int fchownat(int directory, const char *path, uid_t uid, gid_t gid, int flags)
{
	struct fs_attributes to;
	unsigned which = owners(uid, gid, &to);

	return FROM(directory, path, set_from(from, path, !(flags & AT_SYMLINK_NOFOLLOW), &to, which));
}

int chown(const char *path, uid_t uid, gid_t gid)
{
	return fchownat(AT_FDCWD, path, uid, gid, 0);
}

int lchown(const char *path, uid_t uid, gid_t gid)
{
	return fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int fchown(int number, uid_t uid, gid_t gid)
{
	struct fs_attributes to;
	unsigned which = owners(uid, gid, &to);

	return set_open(number, &to, which);
}

/* Which times to set, and to what; -1: they make no sense. */
static int times_of(const struct timespec times[2], struct fs_attributes *to)
{
	const unsigned bits[] = { FS_SET_ACCESSED, FS_SET_MODIFIED };
	struct fs_time *const out[] = { &to->accessed, &to->modified };
	unsigned which = 0;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (int i = 0; i < 2; i++) {
		struct timespec time = times ? times[i] : now;

		if (times && time.tv_nsec == UTIME_OMIT)
			continue;
		if (times && time.tv_nsec == UTIME_NOW)
			time = now;
		if (time.tv_nsec < 0 || time.tv_nsec >= 1000000000)
			return -1;
		*out[i] = (struct fs_time){ time.tv_sec, (uint32_t)time.tv_nsec };
		which |= bits[i];
	}
	return (int)which;
}

int utimensat(int directory, const char *path, const struct timespec times[2], int flags)
{
	struct fs_attributes to;
	int which = times_of(times, &to);

	if (which < 0) {
		errno = EINVAL;
		return -1;
	}
	return FROM(directory, path, set_from(from, path, !(flags & AT_SYMLINK_NOFOLLOW), &to, (unsigned)which));
}

int futimens(int number, const struct timespec times[2])
{
	struct fs_attributes to;
	int which = times_of(times, &to);

	if (which < 0) {
		errno = EINVAL;
		return -1;
	}
	return set_open(number, &to, (unsigned)which);
}

mode_t umask(mode_t mask)
{
	mode_t old = vfs_umask;

	vfs_umask = mask & 0777;
	return old;
}

/* --- the working directory ------------------------------------------------------------------------------ */

int chdir(const char *path)
{
	struct vfs_place place;
	int result;

	files_begin();
	result = vfs_find(NULL, path, true, &place);
	if (!result) {
		result = vfs_chdir(&place);
		vfs_put(place.mount, place.node);
	}
	return (int)uni_result(result);
}

int fchdir(int number)
{
	struct fd *fd;
	struct vfs_file *file = uni_file(number, &fd, ENOTDIR);
	int result;

	if (!file)
		return -1;
	result = vfs_chdir(&file->place);
	fd_put(fd);
	return (int)uni_result(result);
}

char *getcwd(char *buffer, size_t bytes)
{
	int64_t result;

	files_begin();
	result = !buffer || !bytes ? -EINVAL : vfs_path(&vfs_cwd, buffer, bytes);
	return uni_result(result) < 0 ? NULL : buffer;
}
