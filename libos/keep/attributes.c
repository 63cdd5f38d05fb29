/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Modes, owners, times, sizes of files, and when they are safe.
 *
 * Who may: chmod and times of one's own choice the owner; chown user 0, and the owner to his own group; times
 * of now whoever may write. Changing the owner takes set-ids away, and so does writing and cutting by who is not user 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "libos/fs/posix.h"
#include "libos/keep/files.h"

#pragma weak keep_signal	/* there may be files without processes */

#ifndef UTIME_NOW
#define UTIME_NOW	(-2L)
#define UTIME_OMIT	(-1L)
#endif

/* The path at `offset`, from a directory's descriptor; the empty one: what the descriptor itself names. Held. */
static int64_t find(struct keep_request *request, uint32_t offset, int flags, struct vfs_place *place)
{
	int64_t fd = (int64_t)request->word[0], result;
	char path[VFS_PATH_MAX + 8];
	const struct keep_file *file;
	struct keep_from from;

	result = keep_path(request, offset, path);
	if (result < 0)
		return result;
	if (flags & ~AT_SYMLINK_NOFOLLOW)
		return -EINVAL;
	if (*path || fd == AT_FDCWD) {
		result = keep_from(request->process, *path == '/' ? AT_FDCWD : fd, &from);
		return result ? result : vfs_find(&from.place, path, !flags, place);
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

static int64_t do_chmod(struct keep_request *request)
{
	const struct vfs_who who = keep_who(request->process);
	struct fs_attributes to = { .mode = (uint16_t)(request->word[1] & 07777) };
	struct vfs_place place;
	int64_t result = find(request, 0, (int)request->word[2], &place);

	if (result)
		return result;
	result = place.node->kind == FS_SYMLINK ? -EOPNOTSUPP : vfs_owns(&who, &place);
	if (!result && who.uid && place.node->kind != FS_DIRECTORY &&
	    !keep_in_group(request->process, place.node->gid))
		to.mode &= (uint16_t)~02000;
	if (!result)
		result = vfs_set(&place, &to, FS_SET_MODE);
	vfs_put(place.mount, place.node);
	return result;
}

static int64_t chown_place(const struct keep_process *process, const struct vfs_place *place, uint32_t uid,
			   uint32_t gid)
{
	const struct vfs_who own = keep_who(process), *who = &own;
	struct fs_attributes to = { .uid = uid, .gid = gid };
	unsigned which = (uid != UINT32_MAX ? FS_SET_UID : 0) | (gid != UINT32_MAX ? FS_SET_GID : 0);
	const struct fs_node *node = place->node;
	int64_t result = which ? vfs_owns(who, place) : 0;

	if (result || !which)
		return result;
	if (who->uid && ((which & FS_SET_UID && uid != node->uid) ||
	    (which & FS_SET_GID && gid != node->gid && !keep_in_group(process, gid))))
		return -EPERM;
	if (node->kind != FS_DIRECTORY && node->mode & 06000) {
		to.mode = vfs_without_ids(node->mode);
		which |= FS_SET_MODE;
	}
	return vfs_set(place, &to, which);
}

static int64_t do_chown(struct keep_request *request)
{
	struct vfs_place place;
	int64_t result = find(request, 0, (int)request->word[2], &place);

	if (result)
		return result;
	result = chown_place(request->process, &place, (uint32_t)(request->word[1] >> 32),
			     (uint32_t)request->word[1]);
	vfs_put(place.mount, place.node);
	return result;
}

/* Which times to set, and to what; *now: all of them to now. -1: they make no sense. */
static int times_of(const struct timespec times[2], struct fs_attributes *to, bool *now)
{
	const struct fs_time current = vfs_machine ? vfs_machine->now() : (struct fs_time){ 0, 0 };
	const unsigned bits[] = { FS_SET_ACCESSED, FS_SET_MODIFIED };
	struct fs_time *const out[] = { &to->accessed, &to->modified };
	unsigned which = 0;

	*now = true;
	for (int i = 0; i < 2; i++) {
		long ns = times[i].tv_nsec;

		*now = *now && ns == UTIME_NOW;
		if (ns == UTIME_OMIT)
			continue;
		if (ns != UTIME_NOW && (ns < 0 || ns >= 1000000000))
			return -1;
		*out[i] = ns == UTIME_NOW ? current : (struct fs_time){ times[i].tv_sec, (uint32_t)ns };
		which |= bits[i];
	}
	return (int)which;
}

static int64_t do_utimens(struct keep_request *request)
{
	const struct vfs_who who = keep_who(request->process);
	struct timespec times[2];
	struct fs_attributes to;
	struct vfs_place place;
	int64_t result = find(request, sizeof(times), (int)request->word[2], &place);
	bool now;
	int which;

	if (result)
		return result;
	memcpy(times, request->data, sizeof(times));
	which = times_of(times, &to, &now);
	result = which < 0 ? -EINVAL : which ? vfs_owns(&who, &place) : 0;
	if (result == -EPERM && now)
		result = vfs_may(&who, &place, VFS_MAY_WRITE);
	if (!result && which)
		result = vfs_set(&place, &to, (unsigned)which);
	vfs_put(place.mount, place.node);
	return result;
}

static int64_t cut(const struct keep_process *process, struct vfs_file *file, uint64_t bytes)
{
	const struct vfs_who who = keep_who(process);
	int result = file->flags & VFS_WRITE ? vfs_drop_ids(&who, &file->place) : 0;

	return result ? result : vfs_truncate(file, bytes);
}

static int64_t do_truncate(struct keep_request *request)
{
	int64_t fd = (int64_t)request->word[0], bytes = (int64_t)request->word[1], result;
	char path[VFS_PATH_MAX + 8];
	struct keep_file *file;
	struct keep_from from;

	if (bytes < 0)
		return -EINVAL;
	if ((uint64_t)bytes > request->process->limit[KEEP_LIMIT_SIZE][0]) {
		if (keep_signal)
			keep_signal(request->process, SIGXFSZ, NULL);
		return -EFBIG;
	}
	if (fd == -1) {
		result = keep_path(request, 0, path);
		if (result >= 0)
			result = keep_from(request->process, AT_FDCWD, &from);
		return result < 0 ? result : vfs_truncate_path(&from.place, path, (uint64_t)bytes);
	}
	file = keep_fd_file(request->process, fd);
	if (!file)
		return -EBADF;
	if (!keep_vfs(file))
		return -EINVAL;
	keep_file_hold(file);
	result = cut(request->process, keep_vfs(file), (uint64_t)bytes);
	keep_file_drop(file);
	return result;
}

static int64_t do_sync(struct keep_request *request)
{
	int64_t fd = (int64_t)request->word[0], result;
	struct keep_file *file;

	if (fd == -1)
		return vfs_sync();
	file = keep_fd_file(request->process, fd);
	if (!file)
		return -EBADF;
	if (!keep_vfs(file))
		return -EINVAL;
	keep_file_hold(file);
	result = vfs_fsync(keep_vfs(file), request->word[1] == 1);
	keep_file_drop(file);
	return result;
}

static int64_t do_umask(struct keep_request *request)
{
	struct keep_process *process = request->process;
	mode_t old = process->umask;

	process->umask = (mode_t)request->word[0] & 0777;
	process->page->umask = process->umask;
	return old;
}

void keep_attributes_start(void)
{
	keep_serve(REQUEST_CHMOD, do_chmod);
	keep_serve(REQUEST_CHOWN, do_chown);
	keep_serve(REQUEST_UTIMENS, do_utimens);
	keep_serve(REQUEST_TRUNCATE, do_truncate);
	keep_serve(REQUEST_SYNC, do_sync);
	keep_serve(REQUEST_UMASK, do_umask);
}
