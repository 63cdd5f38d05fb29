/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and files, for those parts of the keeper that use them.
 */
#ifndef LIBOS_KEEP_FILES_H
#define LIBOS_KEEP_FILES_H

#include "libos/fs/vfs.h"
#include "libos/keep/keep.h"

/* Where a process's walk begins, and who walks. Lies in the handler's own memory. */
struct keep_from {
	struct vfs_place place;
	struct vfs_who who;
};

static inline struct vfs_who keep_who(const struct keep_process *process)
{
	return (struct vfs_who){ process->euid, process->egid, process->umask, process->group, process->groups };
}

/* The lowest free descriptor from one on, or -EMFILE. */
int64_t keep_fd_lowest(struct keep_process *process, int lowest);
/* As keep_fd_add, to that one if it is still free. */
int64_t keep_fd_place(struct keep_process *process, struct keep_file *file, int64_t fd, bool cloexec);
/* From a directory's descriptor or AT_FDCWD. 0, -EBADF, -ENOTDIR. */
int keep_from(const struct keep_process *process, int64_t fd, struct keep_from *from);
/* The path at an offset of the buffer, copied to VFS_PATH_MAX + 8 bytes. Its length, or -ENAMETOOLONG. */
int64_t keep_path(const struct keep_request *request, uint32_t offset, char *to);

/*
 * open() of a name without a descriptor for it yet. *file has one reference. WIRE_WAIT: a FIFO's other end is awaited
 * (keep_forget, if the process does not want to any more). May block.
 */
int64_t keep_open(struct keep_process *process, const struct keep_from *from, const char *path, int flags,
		  mode_t mode,
		  struct keep_file **file);
/* What a process has stopped waiting for, or it is gone. */
void keep_forget(struct keep_process *process);

/* chdir: 0, -ENOTDIR, -EACCES, -ENOMEM. Takes a hold of its own. */
int64_t keep_cwd_set(struct keep_process *process, const struct vfs_place *place);

/*
 * Names for sockets. Make one: mode is S_IFSOCK with permissions, before the umask. / Find one that the
 * process may use so (VFS_MAY_WRITE). *held is to be dropped. May block.
 */
int64_t keep_name_make(struct keep_process *process, const char *path, mode_t mode, struct vfs_place *held);
int64_t keep_name_find(struct keep_process *process, const char *path, unsigned access, struct vfs_place *held);
void keep_name_drop(struct vfs_place *held);

/* For struct fs_mount: pages.c. NULL: what is left is not for files. */
void *keep_pages(uint32_t pages);
void keep_pages_free(void *memory, uint32_t pages);
bool keep_room(void);			/* the same for names: struct fs_mount's `room` */

/* --- devices: device.c ---------------------------------------------------------------------------------------- */

/* Gives *file with one reference, or an error; WIRE_WAIT as keep_open. `device` is the node's number. */
typedef int64_t (*keep_device_open)(struct keep_process *process, uint64_t device, int flags,
				    struct keep_file **file);

#define KEEP_DEVICE(major, minor)	((uint64_t)(major) << 8 | (minor))

/*
 * A name below /dev ("null", "pts/3"; folders are made) with a mode and a number of its own. 0, or an error.
 * May block only while /dev is no memory file system. / It goes; what is open stays so.
 */
int keep_device(const char *name, mode_t mode, uint64_t device, uid_t uid, keep_device_open open);
void keep_device_remove(const char *name, uint64_t device);
/* device.c, pipe.c, lock.c, for keep_open and open.c: */
int64_t keep_device_file(struct keep_process *process, uint64_t device, int flags, struct keep_file **file);
int64_t keep_fifo_file(struct keep_process *process, struct vfs_file *named, int flags, struct keep_file **file);
void keep_fifo_forget(struct keep_process *process);
int64_t keep_lock(struct keep_request *request, struct vfs_file *file, int flags);	/* F_GETLK ... */
int64_t keep_flock(struct keep_request *request, struct vfs_file *file);
void keep_lock_forget(struct keep_process *process);
void keep_lock_close(struct vfs_file *file, struct keep_process *process);	/* a descriptor of it goes */
void keep_lock_end(void);		/* a flock may have gone */

/* files.c's, for names.c, attributes.c and lock.c. */
extern const struct keep_kind keep_file_kind;
static inline struct vfs_file *keep_vfs(const struct keep_file *file)
{
	return file->kind == &keep_file_kind ? file->object : NULL;
}

/* mount.c: what is mounted, as lines of /etc/mtab: source, where, kind, options, 0, 0. How many bytes; what does not fit is
 * left out. */
#define KEEP_MOUNTS	16384
size_t keep_mounts(char *text, size_t size);
/* loop.c: a regular file as a device, from where a walk begins. -ENOTBLK: it is none; -EBUSY: it is mounted;
 * -ELOOP: it lies too deep in other images; or what open says. */
int keep_loop(const struct keep_from *from, const char *path, bool read_only, struct block_device **device);
void keep_mount_start(void);
/* image.c: programs of a mount that is gone: now, or with their last process. */
void image_forget(uint64_t mount);
void keep_names_start(void);
void keep_attributes_start(void);
void keep_device_start(void);

#endif
