/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files by path: what a libOS with a POSIX face asks of file systems, without its names, its errno and its descriptors.
 *
 *   path.c       mounts, the walk along a path
 *   name.c       the name cache
 *   vfs.c        open files: read, write, seek, directories
 *   vfs_name.c   what changes names and attributes
 *   vfs_lock.c   flock and record locks
 *   who.c        what modes and owners allow
 *
 * Functions return a non-negative result or a negative errno. One thread at a time is in a mounted file system: each
 * has a lock, unless nothing in it can wait or change, which `vfs_machine` supplies. Modes and owners are enforced for
 * those who say who they are: in the place from which a walk begins. Others may do all, as root. Reading updates times
 * of last access where the file system wants it.
 *
 * The name cache holds the nodes that it names: a path whose directories were used lately costs no call of the file
 * system. Names that are not there are not remembered.
 */
#ifndef LIBOS_FS_VFS_H
#define LIBOS_FS_VFS_H

#include "libos/fs/fs.h"

#define VFS_PATH_MAX	4096	/* bytes of a path and its NUL, symbolic links put in */
#define VFS_LINKS_MAX	40	/* symbolic links in one walk: more are -ELOOP */

/* What the machine supplies. */
struct vfs_machine {
	void *(*lock_make)(void);
	void (*lock_end)(void *lock);
	void (*lock)(void *lock);		/* recursive */
	void (*unlock)(void *lock);		/* never switches threads */
	void (*wait)(void);			/* until somebody calls `wake`; may return early */
	void (*wake)(void);
	struct fs_time (*now)(void);
};
extern const struct vfs_machine *vfs_machine;	/* NULL: one thread, and time stands still */

/* Before a node is cut at a byte: mappings give back its pages from there on; NULL: there are none. */
extern void (*vfs_unmap)(const struct fs_node *node, uint64_t from);
/* A name of a file is gone, perhaps the last one; NULL: nobody wants to know. May wait. */
struct vfs_place;
extern void (*vfs_removed)(const struct vfs_place *place);

struct vfs_mount {
	struct fs *fs;
	struct fs_node *root;
	struct vfs_mount *next;
	struct vfs_mount *above;	/* in which it is mounted; NULL: the first */
	struct fs_node *covers;		/* held; NULL: the first */
	const char *name;		/* not NULL: it covers nothing, but is one more entry of the directory `covers` */
	struct vfs_mount *beside;	/* the next such entry */
	void *lock;			/* NULL: none is needed: it has no device and never changes */
	struct block_device *device;	/* as it was mounted */
	char *source;			/* likewise; NULL: it was not said */
	uint32_t number;		/* from 1 on: stat's st_dev */
	uint32_t users;			/* open files, and the working directory */
	int late;			/* an error of vfs_age() that nobody was told yet */
	bool unsaved;			/* it was when vfs_age() looked last */
	bool by_hand;			/* not looked at by vfs_age() */
	unsigned limits;		/* the user's own */
	uint32_t visits;		/* vfs_sync() and vfs_age() that are in it, or wait to be */
	bool going;			/* vfs_mount_end() is at it */
	char *path;			/* as it was mounted */
};

/* Who uses files; user 0 may do all. */
struct vfs_who {
	uint32_t uid, gid;
	unsigned umask;			/* left out of new modes */
	const uint32_t *group;		/* more groups that he is in */
	uint32_t groups;
};

struct vfs_place {
	struct vfs_mount *mount;
	struct fs_node *node;		/* held */
	const struct vfs_who *who;	/* only where a walk begins; NULL: nobody asks, and the bits are vfs_umask */
};

/* The root (NULL node: nothing is mounted), the working directory, and the bits that are left out of new modes. */
extern struct vfs_place vfs_root, vfs_cwd;
extern unsigned vfs_umask;
/* Places of the name cache; a power of 2. Not changed after the first mount. */
extern unsigned vfs_names_max;

/* The mounts, latest first. */
extern struct vfs_mount *vfs_mounts;

/*
 * Mount at a directory that is there, or at a new name in a directory that cannot be written (the boot archive); the
 * first at "/". `how` need not stay, but for what it points to. -ENOENT, -ENOTDIR, -EBUSY: it is a mount point already; what the file system says.
 */
int vfs_mount(const char *path, const struct fs_ops *ops, const struct fs_mount *how);
/* The same on a directory. -ENOENT: it was removed; -EBUSY also: somebody else is mounting there. */
int vfs_mount_on(const struct vfs_place *point, const struct fs_ops *ops, const struct fs_mount *how);
/*
 * The file system at this path goes, when all that was written is on its device. -EINVAL: none begins there; -EBUSY: it is
 * the first, a file of it is open, a working directory is in it, something is mounted there, or another thread is at a path
 * of it; what its unmount says: it stays, but asked again it goes. / The same of a mount. Its device is not closed.
 */
int vfs_unmount(const char *path);
int vfs_mount_end(struct vfs_mount *mount);
/* Every file system's data is stable; the first error. */
int vfs_sync(void);
/* To be called now and then: file systems that had something unsaved at the last call and have now are synced. What fails is
 * told by the next vfs_sync() or vfs_fsync() on that file system. */
void vfs_age(void);
/* What vfs_age() met with there, once; or `result`. */
static inline int vfs_late(struct vfs_mount *mount, int result)
{
	if (result || __builtin_expect(!mount->late, 1))
		return result;
	result = mount->late;
	mount->late = 0;
	return result;
}
/* Drop what the name cache holds of a file system (NULL: of all). */
void vfs_forget(const struct fs *fs);

static inline void vfs_enter(struct vfs_mount *mount)
{
	if (mount->lock)
		vfs_machine->lock(mount->lock);
}

static inline void vfs_leave(struct vfs_mount *mount)
{
	if (mount->lock)
		vfs_machine->unlock(mount->lock);
}

static inline void vfs_put(struct vfs_mount *mount, struct fs_node *node)
{
	if (node->holds > 1) {
		node->holds--;
		return;
	}
	vfs_enter(mount);
	fs_put(node);
	vfs_leave(mount);
}

/* --- the walk ------------------------------------------------------------------------------------------- */

#define PATH_FOLLOW	1	/* a symbolic link that the path ends with */
#define PATH_NEW	2	/* the last name need not be there: node is NULL then, and 0 is returned */
#define PATH_LAST	4	/* slashes at the end do not follow a link, and do not ask for a directory */

enum path_last { PATH_NAME, PATH_DOT, PATH_DOTDOT, PATH_ROOT };

struct path_end {
	struct vfs_place at;		/* the directory of the last name */
	struct fs_node *node;		/* what the path names, held; NULL: it is not there */
	struct vfs_mount *mount;	/* the node's */
	const char *name;		/* the last name, when `last` is PATH_NAME */
	uint32_t bytes;
	enum path_last last;
	bool slash;			/* slashes behind it: it must be a directory */
	char *buffer;			/* where symbolic links were put in */
	const struct vfs_who *who;	/* walks */
};

/*
 * Walk from `from` (NULL: the working directory). -ENOENT also for the empty path, -ENOTDIR, -ELOOP, -ENAMETOOLONG for a
 * name or the whole, and what file systems say. After 0 path_end() is owed.
 */
int path_walk(const struct vfs_place *from, const char *path, unsigned flags, struct path_end *end);
void path_end(struct path_end *end);
/* The name is not what it was. */
void path_forget(const struct fs_node *directory, const char *name, size_t bytes);
/* What is in the way of changing this name: -EBUSY a mount point, -EROFS, else 0. */
int path_may_change(const struct path_end *end);
/* ... and of who walks. To make a name: mode and owners of the new node are completed. -EACCES. */
int path_new(const struct path_end *end, struct fs_attributes *how);
/* To take this one away: -EACCES, -EPERM: the directory is sticky, and he owns neither. */
int path_may_remove(const struct path_end *end);

/* What modes and owners allow somebody (NULL: everything). -EACCES / -EPERM: neither the owner nor user 0. */
#define VFS_MAY_READ	4
#define VFS_MAY_WRITE	2
#define VFS_MAY_SEARCH	1	/* of a file: to execute */
int vfs_may(const struct vfs_who *who, const struct vfs_place *place, unsigned how);
int vfs_owns(const struct vfs_who *who, const struct vfs_place *place);
/* What a mode is when the file gets another owner or other contents: not set-user-id, and, if its group may execute it, not
 * set-group-id. */
static inline uint16_t vfs_without_ids(uint16_t mode)
{
	return mode & (mode & 010 ? 01777 : 03777);
}
/* Somebody is about to change a file's contents: if he is not user 0, its mode becomes vfs_without_ids(). */
int vfs_drop_ids(const struct vfs_who *who, const struct vfs_place *place);
/* The path of a directory from the root on, NUL-terminated. -ERANGE, -ENOENT: it was removed. Its length. */
int64_t vfs_path(const struct vfs_place *place, char *path, size_t bytes);

/* --- open files ----------------------------------------------------------------------------------------- */

#define VFS_READ	0x001
#define VFS_WRITE	0x002
#define VFS_APPEND	0x004
#define VFS_SYNC	0x008
#define VFS_DSYNC	0x010
#define VFS_CREATE	0x020
#define VFS_EXCLUSIVE	0x040
#define VFS_TRUNCATE	0x080
#define VFS_DIRECTORY	0x100	/* -ENOTDIR for anything else */
#define VFS_NOFOLLOW	0x200	/* -ELOOP for a symbolic link */
#define VFS_SPECIAL	0x400	/* FIFOs, sockets, devices: what they are for is the caller's; else -ENXIO */
#define VFS_EXECUTE	0x800	/* to search or execute: that right is asked for */

#define VFS_BESIDE	((uint64_t)1 << 62)

struct vfs_file {
	struct vfs_place place;
	uint64_t offset;	/* directories: 0 ".", 1 "..", VFS_BESIDE + n what is mounted there, else the cursor + 2 */
	unsigned flags;
	uint32_t holds;		/* descriptors, mappings */
	bool locked;		/* there is a lock to drop at the end */
};

int vfs_open(const struct vfs_place *from, const char *path, unsigned flags, unsigned mode, struct vfs_file **file);
/* A node, by whoever has made sure that he may. NULL: no memory. */
struct vfs_file *vfs_open_node(struct fs_node *node, unsigned flags);
static inline void vfs_file_hold(struct vfs_file *file)
{
	file->holds++;
}
/* The last hold closes it. */
void vfs_file_put(struct vfs_file *file);

/* -EBADF: not open for it, -EISDIR, -EINVAL: too much at once. */
int64_t vfs_read(struct vfs_file *file, void *memory, size_t bytes);
int64_t vfs_write(struct vfs_file *file, const void *memory, size_t bytes);
int64_t vfs_pread(struct vfs_file *file, void *memory, size_t bytes, uint64_t at);
int64_t vfs_pwrite(struct vfs_file *file, const void *memory, size_t bytes, uint64_t at);	/* appends if VFS_APPEND */
/* whence: 0 the beginning, 1 the offset, 2 the end. */
int64_t vfs_seek(struct vfs_file *file, int64_t offset, int whence);
int vfs_truncate(struct vfs_file *file, uint64_t bytes);	/* -EINVAL: not open for writing */
int vfs_cut(const struct vfs_place *place, uint64_t bytes);	/* the same, whoever asks */
int vfs_fsync(struct vfs_file *file, bool data_only);
/* 1, or 0 at the end; with "." and "..". */
int vfs_readdir(struct vfs_file *file, struct fs_entry *entry);
int vfs_attributes(const struct vfs_place *place, struct fs_attributes *attributes);
int vfs_set(const struct vfs_place *place, const struct fs_attributes *attributes, unsigned which);
int vfs_space(const struct vfs_place *place, struct fs_space *space);
/*
 * Copy within or between files, without the caller's memory; how much. A whole file is cloned where that is offered.
 * -EBADF, -EINVAL: they are the same and overlap.
 */
int64_t vfs_copy(struct vfs_file *from, uint64_t at, struct vfs_file *to, uint64_t to_at, uint64_t bytes);

/* --- names ---------------------------------------------------------------------------------------------- */

/* The place that a path names; vfs_put it. */
int vfs_find(const struct vfs_place *from, const char *path, bool follow, struct vfs_place *place);
int vfs_stat(const struct vfs_place *from, const char *path, bool follow, struct fs_attributes *attributes,
    uint32_t *mount_number);
/*
 * The node of a path that this user has walked lately from `from` (the root's node, if it begins with a slash), not held.
 * The path is read once, so it may lie in memory that others write to; 72 bytes of it must be there. NULL: not known.
 */
struct fs_node *vfs_known(const struct fs_node *from, uint32_t uid, uint32_t gid, const char *path, bool follow);
/* vfs_stat of such a path in a file system without a device; false: ask vfs_stat. */
bool vfs_stat_known(const struct fs_node *from, uint32_t uid, uint32_t gid, const char *path, bool follow,
    struct fs_attributes *attributes, uint32_t *mount_number);
/* A directory, symbolic link, fifo ...; `how` gives kind, mode (before vfs_umask), device. */
int vfs_make(const struct vfs_place *from, const char *path, const struct fs_attributes *how, const char *target);
int vfs_link(const struct vfs_place *from, const char *path, bool follow, const struct vfs_place *new_from,
    const char *new_path);
int vfs_unlink(const struct vfs_place *from, const char *path, bool directory);
int vfs_rename(const struct vfs_place *from, const char *path, const struct vfs_place *new_from, const char *new_path);
int vfs_readlink(const struct vfs_place *from, const char *path, char *target, size_t bytes);
int vfs_truncate_path(const struct vfs_place *from, const char *path, uint64_t bytes);
int vfs_chdir(const struct vfs_place *place);	/* takes a hold of its own; -ENOTDIR */

/* --- locks ---------------------------------------------------------------------------------------------- */

enum vfs_lock { VFS_UNLOCK, VFS_SHARED, VFS_ALONE };

/* flock(): of the open file. -EWOULDBLOCK: another has one that does not go with it, and not `wait`. */
int vfs_flock(struct vfs_file *file, enum vfs_lock lock, bool wait);

struct vfs_range {
	enum vfs_lock lock;
	uint64_t owner;
	uint64_t start, end;	/* end exclusive; UINT64_MAX: whatever comes */
};
/* Record locks: set or undo `range`. -EAGAIN, -ENOLCK: no memory. / Another's range that is in the way; VFS_UNLOCK: none. */
int vfs_record(struct vfs_file *file, const struct vfs_range *range, bool wait);
struct vfs_range vfs_record_test(struct vfs_file *file, const struct vfs_range *range);
/* Is something of this owner's in the way? */
bool vfs_record_stops(struct vfs_file *file, const struct vfs_range *range, uint64_t owner);
/* All of an owner's on this file go: it has closed a descriptor of it. */
void vfs_record_close(struct vfs_file *file, uint64_t owner);

/* --- what hangs on nodes: private to libos/fs ------------------------------------------------------------ */

struct vfs_face {
	struct vfs_mount *mounted;	/* what is mounted here */
	bool mounting;			/* something is about to be, or to go */
	struct vfs_mount *beside;	/* what is mounted at names in here that the file system does not have */
	struct vfs_flock *flocks;
	struct vfs_record *records;
};
/* Is it the place of a mount, so that its name must stay? */
static inline bool vfs_covered(const struct fs_node *node)
{
	const struct vfs_face *face = node->face;

	return __builtin_expect(face != NULL, 0) && (face->mounted || face->mounting);
}
/* node->face, made if there is none (it holds the node); NULL: no memory. / It goes if nothing is in it. */
struct vfs_face *vfs_face(struct fs_node *node);
void vfs_face_put(struct vfs_mount *mount, struct fs_node *node);
void vfs_flock_close(struct vfs_file *file);

#endif
