/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors and open file descriptions.
 *
 * A descriptor is a place in its process's table; what it names is a struct keep_file, counted: by
 * descriptors, of one or of several processes (dup, fork), and by handlers that may wait while they use it.
 * The last one to let go ends it: its kind's `close`, then the name that it was opened by.
 *
 * Descriptions that went are kept for the next ones, a few of them. There are at most FILES_MOST, what is on its way in
 * messages included.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "libos/fs/posix.h"
#include "libos/keep/files.h"

#define SPARE_MAX	64
#define FILES_MOST	30720
#define NAMES		2048				/* places of the name cache */
#define FLAGS_SET	(O_APPEND | O_NONBLOCK)		/* what F_SETFL changes */

static struct keep_file *spare[SPARE_MAX];
static unsigned spare_count;
uint32_t keep_files_open;

/* --- descriptions --------------------------------------------------------------------------------------------- */

struct keep_file *keep_file_make(const struct keep_kind *kind, void *object, int flags)
{
	struct keep_file *file = NULL;

	if (keep_files_open < FILES_MOST)
		file = spare_count ? spare[--spare_count] : malloc(sizeof(*file));
	if (file) {
		*file = (struct keep_file){ .kind = kind, .object = object, .flags = flags, .refs = 1 };
		keep_files_open++;
	}
	return file;
}

void keep_file_hold(struct keep_file *file)
{
	file->refs++;
}

void keep_file_drop(struct keep_file *file)
{
	struct vfs_file *named;

	if (--file->refs)
		return;
	keep_files_open--;
	if (file->watched)
		epoll_unwatch(file);
	named = file->named;
	if (file->kind->close)
		file->kind->close(file);
	if (named)
		vfs_file_put(named);
	if (spare_count < SPARE_MAX)
		spare[spare_count++] = file;
	else
		free(file);
}

/* --- descriptors ---------------------------------------------------------------------------------------------- */

static bool lives(const struct keep_process *process)
{
	return process->state != KEEP_FREE && process->state != KEEP_ZOMBIE;
}

static inline int fds_max(const struct keep_process *process)
{
	uint64_t most = process->limit[KEEP_LIMIT_FILES][0];

	return most < WIRE_FDS ? (int)most : WIRE_FDS;
}

int64_t keep_fd_lowest(struct keep_process *process, int lowest)
{
	int end = fds_max(process), fd = lowest;

	while (fd < (int)process->fds && process->fd[fd].file)
		fd++;
	if (fd >= end)
		return -EMFILE;
	return fd < (int)process->fds_room || keep_process_room(process, (uint32_t)fd + 1) ? fd : -EMFILE;
}

static void keep_fd_set(struct keep_process *process, int64_t fd, struct keep_file *file, bool cloexec)
{
	process->fd[fd] = (struct keep_fd){ file, cloexec };
	if (process->fds <= fd)
		process->fds = (uint32_t)fd + 1;
}

int64_t keep_fd_place(struct keep_process *process, struct keep_file *file, int64_t fd, bool cloexec)
{
	if (!lives(process) || process->fd[fd].file)
		return keep_fd_add(process, file, 0, cloexec);
	keep_fd_set(process, fd, file, cloexec);
	return fd;
}

int64_t keep_fd_add(struct keep_process *process, struct keep_file *file, int lowest, bool cloexec)
{
	int64_t fd = lives(process) ? keep_fd_lowest(process, lowest) : -ESRCH;

	if (fd >= 0)
		keep_fd_set(process, fd, file, cloexec);
	return fd;
}

struct keep_file *keep_fd_file(const struct keep_process *process, int64_t fd)
{
	return (uint64_t)fd < process->fds ? process->fd[fd].file : NULL;
}

int64_t keep_fd_close(struct keep_process *process, int64_t fd)
{
	struct keep_file *file = keep_fd_file(process, fd);

	if (!file)
		return -EBADF;
	process->fd[fd].file = NULL;
	if (file->kind->closed_by)
		file->kind->closed_by(file, process);
	keep_file_drop(file);
	return 0;
}

void keep_fds_copy(struct keep_process *child, const struct keep_process *parent)
{
	child->fds = parent->fds;
	for (unsigned fd = 0; fd < parent->fds; fd++) {
		child->fd[fd] = parent->fd[fd];
		if (child->fd[fd].file)
			keep_file_hold(child->fd[fd].file);
	}
}

void keep_fds_exec(struct keep_process *process)
{
	keep_forget(process);
	for (unsigned fd = 0; fd < process->fds; fd++)
		if (process->fd[fd].file && process->fd[fd].cloexec)
			(void)keep_fd_close(process, fd);
}

void keep_fds_close(struct keep_process *process)
{
	keep_forget(process);
	for (unsigned fd = 0; fd < process->fds; fd++)
		if (process->fd[fd].file)
			(void)keep_fd_close(process, fd);
	process->fds = 0;
}

/* --- requests ------------------------------------------------------------------------------------------------- */

static int64_t do_close(struct keep_request *request)
{
	int64_t fd = (int64_t)request->word[0];

	if (fd != WIRE_FORGET)
		return keep_fd_close(request->process, fd);
	keep_forget(request->process);
	return 0;
}

/* So that many are closed without asking for each number whether it is open. */
static int64_t do_next(struct keep_request *request)
{
	const struct keep_process *process = request->process;

	for (uint64_t fd = request->word[0]; fd < process->fds; fd++) {
		if (process->fd[fd].file)
			return (int64_t)fd;
	}
	return -EBADF;
}

/* Who must not wait is told so. */
static inline int64_t waited(const struct keep_file *file, int64_t result)
{
	return result == WIRE_WAIT && file->flags & O_NONBLOCK ? -EAGAIN : result;
}

static inline uint64_t at_most_buffer(uint64_t bytes)
{
	return bytes < WIRE_BUFFER ? bytes : WIRE_BUFFER;
}

static int64_t do_read(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	int64_t result, offset = (int64_t)request->word[2];

	if (!file || (file->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (offset < -1 || !file->kind->read)
		return -EINVAL;
	file->refs++;
	result = file->kind->read(file, request, request->data, at_most_buffer(request->word[1]), offset);
	result = waited(file, result);
	keep_file_drop(file);
	return result;
}

static int64_t do_write(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	int64_t result, offset = (int64_t)request->word[2];

	if (!file || (file->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (offset < -1 || !file->kind->write)
		return -EINVAL;
	file->refs++;
	result = file->kind->write(file, request, request->data, at_most_buffer(request->word[1]), offset);
	result = waited(file, result);
	keep_file_drop(file);
	return result;
}

static int64_t do_seek(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	int64_t result;

	if (!file)
		return -EBADF;
	if (!file->kind->seek)
		return -ESPIPE;
	if (request->word[2] > 4)
		return -EINVAL;
	file->refs++;
	result = file->kind->seek(file, (int64_t)request->word[1], (int)request->word[2]);
	keep_file_drop(file);
	return result;
}

static int64_t do_fstat(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	struct fs_attributes attributes;
	struct stat st;
	int64_t result = -EINVAL;

	if (!file)
		return -EBADF;
	file->refs++;
	if (file->kind->stat) {
		memset(&st, 0, sizeof(st));
		result = file->kind->stat(file, &st);
	} else if (file->named) {
		result = vfs_attributes(&file->named->place, &attributes);
		memset(&st, 0, sizeof(st));
		if (!result)
			vfs_to_stat(&attributes, file->named->place.mount->number, &st);
	}
	if (!result)
		memcpy(request->data, &st, sizeof(st));
	keep_file_drop(file);
	return result;
}

static int64_t dup_to(struct keep_process *process, struct keep_file *file, int64_t fd, bool cloexec)
{
	if (fd < 0 || fd >= fds_max(process))
		return -EBADF;
	if (!keep_process_room(process, (uint32_t)fd + 1))
		return -EMFILE;
	if (process->fd[fd].file)
		(void)keep_fd_close(process, fd);
	keep_fd_set(process, fd, file, cloexec);
	return fd;
}

static int64_t dup_of(struct keep_process *process, int64_t number, int64_t lowest, unsigned how)
{
	struct keep_file *file = keep_fd_file(process, number);
	int64_t result;

	if (!file)
		return -EBADF;
	if (how & WIRE_DUP_EXACT && number == lowest)
		return lowest;
	file->refs++;
	if (how & WIRE_DUP_EXACT)
		result = dup_to(process, file, lowest, how & WIRE_DUP_CLOEXEC);
	else if (lowest < 0 || lowest >= fds_max(process))
		result = -EINVAL;
	else
		result = keep_fd_add(process, file, (int)lowest, how & WIRE_DUP_CLOEXEC);
	if (result < 0)
		keep_file_drop(file);
	return result;
}

static int64_t do_dup(struct keep_request *request)
{
	return dup_of(request->process, (int64_t)request->word[0], (int64_t)request->word[1],
		      (unsigned)request->word[2]);
}

static int64_t set_flags(struct keep_file *file, int flags)
{
	int settable = FLAGS_SET | (file->kind->async ? O_ASYNC : 0);

	file->flags = (file->flags & ~settable) | (flags & settable);
	if (keep_vfs(file)) {
		struct vfs_file *vfs = keep_vfs(file);

		vfs->flags = (vfs->flags & ~(unsigned)VFS_APPEND) | (flags & O_APPEND ? VFS_APPEND : 0);
	}
	if (file->kind->flags_set)
		file->kind->flags_set(file);
	return 0;
}

static int64_t do_fcntl(struct keep_request *request)
{
	struct keep_process *process = request->process;
	int64_t number = (int64_t)request->word[0], argument = (int64_t)request->word[2], result = -EINVAL;
	struct keep_file *file = keep_fd_file(process, number);

	if (!file)
		return -EBADF;
	switch ((int)request->word[1]) {
	case F_DUPFD:
		return dup_of(process, number, argument, 0);
	case F_DUPFD_CLOEXEC:
		return dup_of(process, number, argument, WIRE_DUP_CLOEXEC);
	case F_GETFD:
		return process->fd[number].cloexec ? FD_CLOEXEC : 0;
	case F_SETFD:
		process->fd[number].cloexec = argument & FD_CLOEXEC;
		return 0;
	case F_GETFL:
		return file->flags;
	case F_SETFL:
		return set_flags(file, (int)argument);
	case F_GETOWN:
		request->more[0] = (uint64_t)(int64_t)file->owner;
		return 0;
	case F_SETOWN:
		return keep_owner_set ? keep_owner_set(file, process, (int)argument) : -EINVAL;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case WIRE_F_FLOCK:
		if (!keep_vfs(file))
			return -EINVAL;
		file->refs++;
		result = (int)request->word[1] == WIRE_F_FLOCK ? keep_flock(request, keep_vfs(file)) :
		    keep_lock(request, keep_vfs(file), file->flags);
		keep_file_drop(file);
		return result;
	default:
		return -EINVAL;
	}
}

static int64_t do_ioctl(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	int64_t result = -ENOTTY;
	int on;

	if (!file)
		return -EBADF;
	if (request->word[1] == FIONBIO || (request->word[1] == FIOASYNC && file->kind->async)) {
		int flag = request->word[1] == FIONBIO ? O_NONBLOCK : O_ASYNC;

		memcpy(&on, request->data, sizeof(on));
		return set_flags(file, on ? file->flags | flag : file->flags & ~flag);
	}
	file->refs++;
	if (file->kind->ioctl)
		result = waited(file, file->kind->ioctl(file, request, request->word[1], request->data));
	keep_file_drop(file);
	return result;
}

void keep_open_start(void)
{
	if (!vfs_root.node)
		vfs_names_max = NAMES;
	keep_serve(REQUEST_CLOSE, do_close);
	keep_serve(REQUEST_NEXT_FD, do_next);
	keep_serve(REQUEST_READ, do_read);
	keep_serve(REQUEST_WRITE, do_write);
	keep_serve(REQUEST_SEEK, do_seek);
	keep_serve(REQUEST_FSTAT, do_fstat);
	keep_serve(REQUEST_DUP, do_dup);
	keep_serve(REQUEST_FCNTL, do_fcntl);
	keep_serve(REQUEST_IOCTL, do_ioctl);
}
