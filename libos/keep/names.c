/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What finds and changes names: the work is libos/fs/vfs_name.c's, with the rights of who asks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "libos/fs/posix.h"
#include "libos/keep/files.h"

#define PATH_BYTES	(VFS_PATH_MAX + 8)

/* The path at an offset of the buffer and where its walk begins: its length, or an error. */
static int64_t take(const struct keep_request *request, int64_t fd, uint32_t offset, char *path,
		    struct keep_from *from)
{
	int64_t length = keep_path(request, offset, path);
	int result;

	if (length < 0)
		return length;
	result = keep_from(request->process, *path == '/' ? AT_FDCWD : fd, from);
	return result ? result : length;
}

static __attribute__((noinline)) int64_t stat_walk(struct keep_request *request)
{
	int flags = (int)request->word[1];
	char path[PATH_BYTES];
	struct fs_attributes attributes;
	struct keep_from from;
	uint32_t number;
	int64_t result = take(request, (int64_t)request->word[0], 0, path, &from);

	if (result < 0)
		return result;
	if (flags & ~AT_SYMLINK_NOFOLLOW)
		return -EINVAL;
	result = vfs_stat(&from.place, path, !flags, &attributes, &number);
	if (result)
		return result;
	vfs_to_stat(&attributes, number, (struct stat *)request->data);
	return 0;
}

static int64_t do_stat(struct keep_request *request)
{
	const struct keep_process *process = request->process;
	const bool root = *(const volatile char *)request->data == '/' || !process->cwd;
	struct fs_attributes attributes;
	uint32_t number;

	/* A path that changes meanwhile is looked up as what was read of it: it is not there, or that is asked. */
	if ((!root && (int64_t)request->word[0] != AT_FDCWD) || request->word[1] & ~(uint64_t)AT_SYMLINK_NOFOLLOW ||
	    !vfs_stat_known(root ? vfs_root.node : process->cwd->node, process->euid, process->egid, request->data,
	    !request->word[1], &attributes, &number))
		return stat_walk(request);
	vfs_to_stat(&attributes, number, (struct stat *)request->data);
	return 0;
}

/* --- making ------------------------------------------------------------------------------------------------- */

static uint8_t kind_of(mode_t mode)
{
	for (uint8_t kind = FS_FILE; kind <= FS_BLOCK; kind++)
		if (vfs_kind_mode(kind) == (mode & S_IFMT))
			return kind;
	return mode & S_IFMT ? 0 : FS_FILE;
}

static int64_t make_file(const struct keep_from *from, const char *path, mode_t mode)
{
	struct vfs_file *file;
	int result = vfs_open(&from->place, path, VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, mode & 07777, &file);

	if (!result)
		vfs_file_put(file);
	return result;
}

static int64_t do_mknod(struct keep_request *request)
{
	mode_t mode = (mode_t)request->word[1];
	struct fs_attributes how = { .kind = kind_of(mode), .mode = mode & 07777, .device = request->word[2] };
	char path[PATH_BYTES];
	struct keep_from from;
	int64_t result = take(request, (int64_t)request->word[0], 0, path, &from);

	if (result < 0)
		return result;
	switch (how.kind) {
	case FS_FILE:
		return make_file(&from, path, mode);
	case FS_CHARACTER:
	case FS_BLOCK:
		if (request->process->euid)
			return -EPERM;
		break;
	case FS_DIRECTORY:
	case FS_FIFO:
	case FS_SOCKET:
		how.device = 0;
		break;
	default:
		return -EINVAL;
	}
	return vfs_make(&from.place, path, &how, NULL);
}

static int64_t do_symlink(struct keep_request *request)
{
	const struct fs_attributes how = { .kind = FS_SYMLINK, .mode = 0777 };
	char target[PATH_BYTES], path[PATH_BYTES];
	struct keep_from from;
	int64_t length = keep_path(request, 0, target), result;

	if (length < 0)
		return length;
	result = take(request, (int64_t)request->word[1], (uint32_t)length + 1, path, &from);
	return result < 0 ? result : vfs_make(&from.place, path, &how, target);
}

/* --- changing ------------------------------------------------------------------------------------------------ */

static int64_t do_unlink(struct keep_request *request)
{
	char path[PATH_BYTES];
	struct keep_from from;
	int64_t result = take(request, (int64_t)request->word[0], 0, path, &from);

	if (result < 0)
		return result;
	if (request->word[1] & ~(uint64_t)AT_REMOVEDIR)
		return -EINVAL;
	return vfs_unlink(&from.place, path, request->word[1] & AT_REMOVEDIR);
}

/* Two paths: the second is right behind the first. */
static int64_t take_two(const struct keep_request *request, char *path, struct keep_from *from, char *new_path,
			struct keep_from *new_from)
{
	int64_t result = take(request, (int64_t)request->word[0], 0, path, from);

	if (result >= 0)
		result = take(request, (int64_t)request->word[1], (uint32_t)result + 1, new_path, new_from);
	return result < 0 ? result : 0;
}

static int64_t do_rename(struct keep_request *request)
{
	char path[PATH_BYTES], new_path[PATH_BYTES];
	struct keep_from from, new_from;
	int64_t result = take_two(request, path, &from, new_path, &new_from);

	return result ? result : vfs_rename(&from.place, path, &new_from.place, new_path);
}

static int64_t do_link(struct keep_request *request)
{
	char path[PATH_BYTES], new_path[PATH_BYTES];
	struct keep_from from, new_from;
	int64_t result = take_two(request, path, &from, new_path, &new_from);

	if (!result && request->word[2] & ~(uint64_t)AT_SYMLINK_FOLLOW)
		result = -EINVAL;
	return result ? result :
	    vfs_link(&from.place, path, request->word[2] & AT_SYMLINK_FOLLOW, &new_from.place, new_path);
}

static int64_t do_readlink(struct keep_request *request)
{
	char path[PATH_BYTES], target[FS_LINK_MAX];
	struct keep_from from;
	int64_t result = take(request, (int64_t)request->word[0], 0, path, &from);

	if (result >= 0)
		result = vfs_readlink(&from.place, path, target, sizeof(target));
	if (result > 0)
		memcpy(request->data, target, (size_t)result);
	return result;
}

/* --- where a process is --------------------------------------------------------------------------------------- */

/* What a descriptor names, or, if it is -1, the path in the buffer; held. */
static int64_t find(struct keep_request *request, struct vfs_place *place)
{
	int64_t fd = (int64_t)request->word[0], result;
	const struct keep_file *file;
	char path[PATH_BYTES];
	struct keep_from from;

	if (fd == -1) {
		result = take(request, AT_FDCWD, 0, path, &from);
		return result < 0 ? result : vfs_find(&from.place, path, true, place);
	}
	file = keep_fd_file(request->process, fd);
	if (!file)
		return -EBADF;
	if (!file->named)
		return -EINVAL;
	*place = file->named->place;
	fs_hold(place->node);
	return 0;
}

static int64_t do_chdir(struct keep_request *request)
{
	struct keep_process *process = request->process;
	const struct vfs_who who = keep_who(process);
	struct vfs_place place;
	int64_t result = find(request, &place);

	if (result)
		return result == -EINVAL ? -ENOTDIR : result;
	result = place.node->kind != FS_DIRECTORY ? -ENOTDIR : vfs_may(&who, &place, VFS_MAY_SEARCH);
	if (!result)
		result = keep_cwd_set(process, &place);
	vfs_put(place.mount, place.node);
	return result;
}

static int64_t do_getcwd(struct keep_request *request)
{
	const struct keep_process *process = request->process;
	char path[VFS_PATH_MAX];
	int64_t result = vfs_path(process->cwd ? process->cwd : &vfs_root, path, sizeof(path));

	if (result >= 0)
		memcpy(request->data, path, (size_t)result + 1);
	return result;
}

static int64_t do_statvfs(struct keep_request *request)
{
	struct vfs_place place;
	struct fs_space space;
	struct statvfs out;
	int64_t result = find(request, &place);

	if (result)
		return result;
	result = vfs_space(&place, &space);
	if (!result)
		vfs_to_statvfs(&space, place.mount, &out);
	vfs_put(place.mount, place.node);
	if (!result)
		memcpy(request->data, &out, sizeof(out));
	return result;
}

static int64_t do_access(struct keep_request *request)
{
	const struct keep_process *process = request->process;
	unsigned mode = (unsigned)request->word[1], flags = (unsigned)request->word[2];
	char path[PATH_BYTES];
	struct keep_from from;
	struct vfs_place place;
	int64_t result = take(request, (int64_t)request->word[0], 0, path, &from);

	if (result < 0)
		return result;
	if (mode & ~7u || flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	if (!(flags & AT_EACCESS)) {
		from.who.uid = process->uid;
		from.who.gid = process->gid;
	}
	result = vfs_find(&from.place, path, !(flags & AT_SYMLINK_NOFOLLOW), &place);
	if (result)
		return result;
	if (mode & W_OK && place.mount->fs->read_only && place.node->kind <= FS_SYMLINK)
		result = -EROFS;
	else if (mode)
		result = vfs_may(&from.who, &place, mode);
	vfs_put(place.mount, place.node);
	return result;
}

/* --- names of sockets ----------------------------------------------------------------------------------------- */

int64_t keep_name_find(struct keep_process *process, const char *path, unsigned access, struct vfs_place *held)
{
	struct keep_from from;
	int64_t result = keep_from(process, AT_FDCWD, &from);

	if (!result)
		result = vfs_find(&from.place, path, true, held);
	if (result)
		return result;
	result = vfs_may(&from.who, held, access);
	if (result)
		vfs_put(held->mount, held->node);
	else
		held->mount->users++;
	return result;
}

int64_t keep_name_make(struct keep_process *process, const char *path, mode_t mode, struct vfs_place *held)
{
	const struct fs_attributes how = { .kind = kind_of(mode), .mode = mode & 07777 };
	struct keep_from from;
	int64_t result = keep_from(process, AT_FDCWD, &from);

	if (!result)
		result = vfs_make(&from.place, path, &how, NULL);
	return result ? result : keep_name_find(process, path, 0, held);
}

void keep_name_drop(struct vfs_place *held)
{
	held->mount->users--;
	vfs_put(held->mount, held->node);
	held->node = NULL;
}

void keep_names_start(void)
{
	keep_serve(REQUEST_STAT, do_stat);
	keep_serve(REQUEST_MKNOD, do_mknod);
	keep_serve(REQUEST_SYMLINK, do_symlink);
	keep_serve(REQUEST_UNLINK, do_unlink);
	keep_serve(REQUEST_RENAME, do_rename);
	keep_serve(REQUEST_LINK, do_link);
	keep_serve(REQUEST_READLINK, do_readlink);
	keep_serve(REQUEST_CHDIR, do_chdir);
	keep_serve(REQUEST_GETCWD, do_getcwd);
	keep_serve(REQUEST_STATVFS, do_statvfs);
	keep_serve(REQUEST_ACCESS, do_access);
}
