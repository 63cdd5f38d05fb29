/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and directories as descriptions, and how names become such. What changes names is in names.c, what
 * changes modes, owners and times in attributes.c, locks in lock.c.
 *
 * The work is libos/fs/vfs.c's, which moves the offset and appends in one stay under the file system's lock; so the
 * offset is there, in struct vfs_file, and not in struct keep_file. A file is read to and written from the
 * buffer that the process can change meanwhile: then it gets what it has made of it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "libos/keep/files.h"

/* Linked if there are signals. */
#pragma weak keep_signal

#define OPEN_KEPT	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC)	/* of open's flags, what F_GETFL tells */

/* --- where walks begin ---------------------------------------------------------------------------------------- */

int keep_from(const struct keep_process *process, int64_t fd, struct keep_from *from)
{
	const struct keep_file *file;

	from->who = keep_who(process);
	if (fd == AT_FDCWD) {
		from->place = process->cwd ? *process->cwd : vfs_root;
	} else {
		file = keep_fd_file(process, fd);
		if (!file)
			return -EBADF;
		if (!keep_vfs(file))
			return -ENOTDIR;
		from->place = keep_vfs(file)->place;
	}
	from->place.who = &from->who;
	return 0;
}

int64_t keep_path(const struct keep_request *request, uint32_t offset, char *to)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	uint32_t end = WIRE_BUFFER - offset < VFS_PATH_MAX ? WIRE_BUFFER - offset : VFS_PATH_MAX, i;
	uint64_t word, zero;

	for (i = 0; i + sizeof(word) <= end; i += sizeof(word)) {
		memcpy(&word, request->data + offset + i, sizeof(word));
		__asm__("" : "+r"(word));	/* read once */
		memcpy(to + i, &word, sizeof(word));
		zero = (word - ones) & ~word & high;
		if (zero)
			return i + (__builtin_ctzll(zero) >> 3);
	}
	for (; i < end; i++)
		if (!(to[i] = ((const volatile char *)request->data)[offset + i]))
			return i;
	return -ENAMETOOLONG;
}

void keep_cwd_copy(struct keep_process *child, const struct keep_process *parent)
{
	child->cwd = NULL;
	if (parent && parent->cwd)
		(void)keep_cwd_set(child, parent->cwd);
}

void keep_cwd_drop(struct keep_process *process)
{
	struct vfs_place *old = process->cwd;

	if (!old)
		return;
	process->cwd = NULL;
	old->mount->users--;
	vfs_put(old->mount, old->node);
	free(old);
}

int64_t keep_cwd_set(struct keep_process *process, const struct vfs_place *place)
{
	struct vfs_place *cwd;

	if (place->node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	cwd = malloc(sizeof(*cwd));
	if (!cwd)
		return -ENOMEM;
	*cwd = (struct vfs_place){ .mount = place->mount, .node = place->node };
	fs_hold(cwd->node);
	cwd->mount->users++;
	keep_cwd_drop(process);
	process->cwd = cwd;
	return 0;
}

/* --- the kind ------------------------------------------------------------------------------------------------- */

static int64_t file_read(struct keep_file *file, struct keep_request *request, char *to, uint64_t bytes,
			 int64_t offset)
{
	(void)request;
	return offset < 0 ? vfs_read(file->object, to, bytes) : vfs_pread(file->object, to, bytes, (uint64_t)offset);
}

/* How much of a write the process's RLIMIT_FSIZE lets through; -EFBIG and a signal: nothing. */
static int64_t within_limit(struct keep_process *process, struct vfs_file *vfs, uint64_t bytes, int64_t offset)
{
	uint64_t most = process->limit[KEEP_LIMIT_SIZE][0], at = offset < 0 ? vfs->offset : (uint64_t)offset;
	struct fs_attributes attributes;

	if (vfs->flags & VFS_APPEND && !vfs_attributes(&vfs->place, &attributes))
		at = attributes.bytes;
	if (at < most || !bytes)
		return (int64_t)(bytes < most - at ? bytes : most - at);
	if (keep_signal)
		keep_signal(process, SIGXFSZ, NULL);
	return -EFBIG;
}

static int64_t file_write(struct keep_file *file, struct keep_request *request, const char *from, uint64_t bytes,
			  int64_t offset)
{
	struct vfs_file *vfs = file->object;
	const struct fs_node *node = vfs->place.node;
	int64_t allowed;

	if (__builtin_expect(request->process->limit[KEEP_LIMIT_SIZE][0] != UINT64_MAX, 0)) {
		allowed = within_limit(request->process, vfs, bytes, offset);
		if (allowed < 0)
			return allowed;
		bytes = (uint64_t)allowed;
	}
	/* Who writes to a program does not make it one of its owner's. */
	if (request->process->euid && (!node->known || node->mode & 06000)) {
		const struct vfs_who who = keep_who(request->process);

		(void)vfs_drop_ids(&who, &vfs->place);
	}
	return offset < 0 ? vfs_write(vfs, from, bytes) : vfs_pwrite(vfs, from, bytes, (uint64_t)offset);
}

enum { WHENCE_DATA = 3, WHENCE_HOLE = 4 };	/* SEEK_DATA, SEEK_HOLE, which not every <unistd.h> shows */

/* A file is data up to its end: where it has holes nobody is told. */
static int64_t file_seek(struct keep_file *file, int64_t offset, int whence)
{
	struct vfs_file *vfs = file->object;
	struct fs_attributes attributes;
	int result;

	if (whence != WHENCE_DATA && whence != WHENCE_HOLE)
		return vfs_seek(vfs, offset, whence);
	result = vfs->place.node->kind == FS_FILE ? vfs_attributes(&vfs->place, &attributes) : -EINVAL;
	if (result)
		return result;
	if (offset < 0 || (uint64_t)offset >= attributes.bytes)
		return -ENXIO;
	return vfs_seek(vfs, whence == WHENCE_DATA ? offset : (int64_t)attributes.bytes, 0);
}

static void file_closed_by(struct keep_file *file, struct keep_process *process)
{
	keep_lock_close(file->object, process);
}

static void file_close(struct keep_file *file)
{
	struct vfs_file *vfs = file->object;

	if (vfs->locked) {
		(void)vfs_flock(vfs, VFS_UNLOCK, false);
		keep_lock_end();
	}
}

const struct keep_kind keep_file_kind = {
	.read = file_read, .write = file_write, .seek = file_seek, .closed_by = file_closed_by, .close = file_close,
};

/* --- opening -------------------------------------------------------------------------------------------------- */

static unsigned vfs_flags(int flags)
{
	static const unsigned ways[] = { VFS_READ, VFS_WRITE, VFS_READ | VFS_WRITE, 0 };
	unsigned how = ways[flags & O_ACCMODE] | VFS_SPECIAL;

	if (flags & (O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_SYNC | O_DIRECTORY | O_NOFOLLOW))
		how |= (flags & O_CREAT ? VFS_CREATE : 0) | (flags & O_EXCL ? VFS_EXCLUSIVE : 0) |
		    (flags & O_TRUNC ? VFS_TRUNCATE : 0) | (flags & O_APPEND ? VFS_APPEND : 0) |
		    (flags & O_SYNC ? VFS_SYNC : 0) | (flags & O_DIRECTORY ? VFS_DIRECTORY : 0) |
		    (flags & O_NOFOLLOW ? VFS_NOFOLLOW : 0);
#ifdef O_SEARCH
	if (flags & O_SEARCH)	/* O_EXEC, too */
		how = (how & ~(unsigned)VFS_READ) | VFS_EXECUTE;
#endif
	return how;
}

static int64_t file_of(struct keep_process *process, struct vfs_file *vfs, int flags, struct keep_file **file)
{
	struct fs_attributes attributes;
	int result;

	switch (vfs->place.node->kind) {
	case FS_FILE:
	case FS_DIRECTORY:
		*file = keep_file_make(&keep_file_kind, vfs, flags & OPEN_KEPT);
		return *file ? 0 : -ENOMEM;
	case FS_FIFO:
		return keep_fifo_file(process, vfs, flags & OPEN_KEPT, file);
	case FS_CHARACTER:
		result = vfs->place.mount->limits & WIRE_MOUNT_NODEV ? -EACCES : vfs_attributes(&vfs->place, &attributes);
		return result ? result : keep_device_file(process, attributes.device, flags & ~O_CLOEXEC, file);
	default:
		return -ENXIO;
	}
}

int64_t keep_open(struct keep_process *process, const struct keep_from *from, const char *path, int flags,
		  mode_t mode,
		  struct keep_file **file)
{
	struct vfs_file *vfs;
	int64_t result;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	result = vfs_open(&from->place, path, vfs_flags(flags), mode & 07777, &vfs);
	if (result)
		return result;
	result = file_of(process, vfs, flags, file);
	if (!result && !(*file)->named)
		(*file)->named = vfs;
	else
		vfs_file_put(vfs);
	return result;
}

static __attribute__((noinline)) int64_t open_walk(struct keep_request *request, int64_t fd)
{
	struct keep_process *process = request->process;
	int flags = (int)request->word[1];
	char path[VFS_PATH_MAX + 8];
	struct keep_from from;
	struct keep_file *file;
	int64_t result = keep_path(request, 0, path);

	if (result >= 0 && (flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		result = -EINVAL;
	if (result < 0)
		return result;
	result = keep_from(process, *path == '/' ? AT_FDCWD : (int64_t)request->word[0], &from);
	if (!result && fd < 0)
		result = fd;
	if (!result)
		result = keep_open(process, &from, path, flags, (mode_t)request->word[2], &file);
	if (result)
		return result == WIRE_WAIT && flags & O_NONBLOCK ? -EAGAIN : result;
	fd = keep_fd_place(process, file, fd, flags & O_CLOEXEC);
	if (fd < 0)
		keep_file_drop(file);
	return fd;
}

/* A file that is there, by a path that is known (it is read once): NULL: any difficulty. */
static struct fs_node *known(const struct keep_request *request, int flags)
{
	const struct keep_process *process = request->process;
	const bool root = *(const volatile char *)request->data == '/' || !process->cwd;
	unsigned shift, want = (flags & O_ACCMODE) == O_RDONLY ? VFS_MAY_READ : (flags & O_ACCMODE) == O_WRONLY ?
	    VFS_MAY_WRITE : VFS_MAY_READ | VFS_MAY_WRITE;
	struct fs_node *node;

	if (flags & ~(O_RDWR | O_WRONLY | O_CLOEXEC | O_NONBLOCK) || (flags & O_ACCMODE) == O_ACCMODE ||
	    (!root && (int64_t)request->word[0] != AT_FDCWD))
		return NULL;
	node = vfs_known(root ? vfs_root.node : process->cwd->node, process->euid, process->egid,
			 request->data, true);
	if (!node || node->kind != FS_FILE || !node->known || (want & VFS_MAY_WRITE && node->fs->read_only))
		return NULL;
	shift = process->euid == node->uid ? 6 : keep_in_group(process, node->gid) ? 3 : 0;
	return !process->euid || (node->mode >> shift & want) == want ? node : NULL;
}

static int64_t do_open(struct keep_request *request)
{
	static const unsigned ways[] = { VFS_READ, VFS_WRITE, VFS_READ | VFS_WRITE, 0 };
	struct keep_process *process = request->process;
	int64_t fd = keep_fd_lowest(process, 0);
	int flags = (int)request->word[1];
	struct fs_node *node = fd < 0 ? NULL : known(request, flags);
	struct keep_file *file;
	struct vfs_file *vfs;

	if (!node)
		return open_walk(request, fd);
	vfs = vfs_open_node(node, ways[flags & O_ACCMODE]);
	if (!vfs)
		return -ENOMEM;
	file = keep_file_make(&keep_file_kind, vfs, flags & OPEN_KEPT);
	if (!file) {
		vfs_file_put(vfs);
		return -ENOMEM;
	}
	file->named = vfs;
	return keep_fd_place(process, file, fd, flags & O_CLOEXEC);
}

int keep_open_exec(struct keep_process *process, const char *path, struct vfs_file **file,
		   struct fs_attributes *attributes)
{
	struct keep_from from;
	int result = keep_from(process, AT_FDCWD, &from);

	if (!result)
		result = vfs_open(&from.place, path, VFS_EXECUTE, 0, file);
	if (result)
		return result;
	(*file)->flags = VFS_READ;
	if ((*file)->place.node->kind != FS_FILE)
		result = -EACCES;
	else
		result = vfs_attributes(&(*file)->place, attributes);
	if (result)
		vfs_file_put(*file);
	return result;
}

struct vfs_file *keep_fd_vfs(const struct keep_process *process, int64_t fd)
{
	const struct keep_file *file = keep_fd_file(process, fd);
	struct vfs_file *vfs = file ? keep_vfs(file) : NULL;

	return vfs && vfs->place.node->kind == FS_FILE ? vfs : NULL;
}

void keep_forget(struct keep_process *process)
{
	keep_fifo_forget(process);
	keep_lock_forget(process);
}

/* --- directories ---------------------------------------------------------------------------------------------- */

/* One more entry in [to, to + room): its size; 0: it does not fit. */
static uint16_t put_entry(const struct fs_entry *entry, int64_t next, char *to, uint64_t room)
{
	static const uint8_t types[] = { DT_UNKNOWN, DT_REG, DT_DIR, DT_LNK, DT_FIFO, DT_SOCK, DT_CHR, DT_BLK };
	struct wire_dirent head = { .number = entry->number, .next = next, .type = types[entry->kind & 7] };

	head.size = (uint16_t)((offsetof(struct wire_dirent, name) + entry->bytes + 1u + 7) & ~7u);
	if (head.size > room)
		return 0;
	memcpy(to, &head, offsetof(struct wire_dirent, name));
	memcpy(to + offsetof(struct wire_dirent, name), entry->name, entry->bytes + 1u);
	return head.size;
}

static int64_t get_entries(struct vfs_file *vfs, char *to, uint64_t room)
{
	struct fs_entry entry;
	uint64_t bytes = 0, before;
	uint16_t size;
	int result;

	for (;; bytes += size) {
		before = vfs->offset;
		result = vfs_readdir(vfs, &entry);
		if (result <= 0)
			return bytes ? (int64_t)bytes : result;
		size = put_entry(&entry, (int64_t)vfs->offset, to + bytes, room - bytes);
		if (!size) {
			vfs->offset = before;
			return bytes ? (int64_t)bytes : -EINVAL;
		}
	}
}

static int64_t do_getdents(struct keep_request *request)
{
	struct keep_file *file = keep_fd_file(request->process, (int64_t)request->word[0]);
	uint64_t room = request->word[1] < WIRE_BUFFER ? request->word[1] : WIRE_BUFFER;
	struct vfs_file *vfs = file ? keep_vfs(file) : NULL;
	int64_t result;

	if (!file || (vfs && !(vfs->flags & VFS_READ)))
		return -EBADF;
	if (!vfs)
		return -ENOTDIR;
	keep_file_hold(file);
	result = get_entries(vfs, request->data, room);
	keep_file_drop(file);
	return result;
}

void keep_files_start(void)
{
	keep_serve(REQUEST_OPEN, do_open);
	keep_serve(REQUEST_GETDENTS, do_getdents);
	keep_names_start();
	keep_attributes_start();
	keep_device_start();
	keep_mount_start();
}
