/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks on files between processes: fcntl's records, owned by processes, and flock's, owned by open files.
 *
 * They hang on the nodes (libos/fs/vfs_lock.c); here is who waits. All who wait for any lock are in one queue and ask
 * again whenever one may have been given up. What a process waits for is kept, so that a circle of waiting is found
 * before it is closed (EDEADLK); it goes when the process has what it wanted, asks for another, or says that it has
 * stopped (keep_forget).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "libos/keep/files.h"

static struct keep_queue waiters;
static struct {
	struct vfs_file *file;		/* held; NULL: it waits for none */
	struct vfs_range range;
} wants[WIRE_PROCESSES];

static void wake(void)
{
	if (!keep_queue_empty(&waiters))
		keep_wake(&waiters);
}

void keep_lock_forget(struct keep_process *process)
{
	struct vfs_file *file = wants[process->index].file;

	wants[process->index].file = NULL;
	if (file)
		vfs_file_put(file);
}

/* Would waiting close a circle? Who is in the way of this one, who of them, and so on. */
static bool circle(const struct keep_process *process, struct vfs_file *file, const struct vfs_range *range)
{
	bool seen[WIRE_PROCESSES] = { false };
	uint32_t next[WIRE_PROCESSES], count = 0;

	for (uint32_t done = 0;; done++) {
		for (uint32_t i = 0; i < keep_used; i++) {
			if (seen[i] || keep_process[i].state == KEEP_FREE ||
			    !vfs_record_stops(file, range, (uint64_t)keep_process[i].pid))
				continue;
			if (i == process->index)
				return true;
			seen[i] = true;
			if (wants[i].file)
				next[count++] = i;
		}
		if (done == count)
			return false;
		file = wants[next[done]].file;
		range = &wants[next[done]].range;
	}
}

static int64_t wait_for(struct keep_process *process, struct vfs_file *file, const struct vfs_range *range)
{
	keep_lock_forget(process);
	if (circle(process, file, range))
		return -EDEADLK;
	vfs_file_hold(file);
	wants[process->index].file = file;
	wants[process->index].range = *range;
	keep_wait(&waiters, process);
	return WIRE_WAIT;
}

/* The bytes that a request names. -EINVAL, -EOVERFLOW, or what the file system says of the end. */
static int64_t range_of(struct vfs_file *file, const struct flock *lock, struct vfs_range *range)
{
	struct fs_attributes attributes;
	int64_t base = 0, start, end;
	int result;

	if (lock->l_whence == SEEK_CUR) {
		base = (int64_t)file->offset;
	} else if (lock->l_whence == SEEK_END) {
		result = vfs_attributes(&file->place, &attributes);
		if (result)
			return result;
		base = (int64_t)attributes.bytes;
	} else if (lock->l_whence != SEEK_SET) {
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, (int64_t)lock->l_start, &start) ||
	    __builtin_add_overflow(start, (int64_t)lock->l_len, &end))
		return lock->l_start < 0 || lock->l_len < 0 ? -EINVAL : -EOVERFLOW;
	range->start = (uint64_t)(lock->l_len < 0 ? end : start);
	range->end = lock->l_len == 0 ? UINT64_MAX : (uint64_t)(lock->l_len < 0 ? start : end);
	return start < 0 || end < 0 ? -EINVAL : 0;
}

static void tell(const struct vfs_range *range, struct flock *lock)
{
	if (range->lock == VFS_UNLOCK) {
		lock->l_type = F_UNLCK;
		return;
	}
	lock->l_type = range->lock == VFS_SHARED ? F_RDLCK : F_WRLCK;
	lock->l_whence = SEEK_SET;
	lock->l_start = (off_t)range->start;
	lock->l_len = range->end == UINT64_MAX ? 0 : (off_t)(range->end - range->start);
	lock->l_pid = (__typeof__(lock->l_pid))range->owner;
}

int64_t keep_lock(struct keep_request *request, struct vfs_file *file, int flags)
{
	struct keep_process *process = request->process;
	int command = (int)request->word[1];
	struct vfs_range range = { .owner = (uint64_t)process->pid };
	struct flock lock;
	int64_t result;

	memcpy(&lock, request->data, sizeof(lock));
	range.lock = lock.l_type == F_RDLCK ? VFS_SHARED : lock.l_type == F_WRLCK ? VFS_ALONE : VFS_UNLOCK;
	result = range_of(file, &lock, &range);
	if (range.lock == VFS_UNLOCK && (lock.l_type != F_UNLCK || command == F_GETLK))
		result = -EINVAL;
	if (result)
		return result;
	if (command == F_GETLK) {
		range = vfs_record_test(file, &range);
		tell(&range, &lock);
		memcpy(request->data, &lock, sizeof(lock));
		return 0;
	}
	if ((range.lock == VFS_SHARED && (flags & O_ACCMODE) == O_WRONLY) ||
	    (range.lock == VFS_ALONE && (flags & O_ACCMODE) == O_RDONLY))
		return -EBADF;
	result = vfs_record(file, &range, false);
	if (result == -EAGAIN && command == F_SETLKW)
		return wait_for(process, file, &range);
	keep_lock_forget(process);
	if (!result)
		wake();
	return result;
}

int64_t keep_flock(struct keep_request *request, struct vfs_file *file)
{
	int operation = (int)request->word[2], what = operation & ~LOCK_NB;
	int64_t result;

	if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
		return -EINVAL;
	result = vfs_flock(file, what == LOCK_SH ? VFS_SHARED : what == LOCK_EX ? VFS_ALONE : VFS_UNLOCK, false);
	/* What it had may have gone even if it did not get what it wants. */
	wake();
	if (result != -EWOULDBLOCK || operation & LOCK_NB)
		return result;
	keep_wait(&waiters, request->process);
	return WIRE_WAIT;
}

void keep_lock_close(struct vfs_file *file, struct keep_process *process)
{
	if (!file->place.node->face)
		return;
	vfs_record_close(file, (uint64_t)process->pid);
	wake();
}

void keep_lock_end(void)
{
	wake();
}
