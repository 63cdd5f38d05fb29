/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a file system is to those that use files: a table of functions on nodes.
 *
 * A *node* is a file, directory or symbolic link in memory, found by its number; at most one struct fs_node for each. A
 * file system embeds it in a larger one of its own. Names are bytes, 1 to FS_NAME_MAX of them, without slash and NUL,
 * never "." or ".."; paths are the caller's business (libos/fs/path.c), and so are permissions, open modes, descriptors
 * and locks. The caller runs one function of a mounted file system at a time; functions that wait for a device block
 * the thread. Functions return a non-negative result or a negative errno, and an error has changed nothing but what
 * its page says. No number from a disk is believed: what cannot be is -EUCLEAN where there is such an error, else -EIO.
 */
#ifndef LIBOS_FS_FS_H
#define LIBOS_FS_FS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libos/fs/cache.h"

#define FS_NAME_MAX	255
#define FS_LINK_MAX	4095	/* bytes of a symbolic link's target */

enum fs_kind { FS_FILE = 1, FS_DIRECTORY, FS_SYMLINK, FS_FIFO, FS_SOCKET, FS_CHARACTER, FS_BLOCK };

struct fs_time {
	int64_t seconds;	/* since 1970 */
	uint32_t nanoseconds;
};

/* As most systems do: a time of reading is noted when it says something new, that it was after the last change. */
static inline bool fs_reading_told(const struct fs_time *accessed, const struct fs_time *changed)
{
	return accessed->seconds > changed->seconds ||
		(accessed->seconds == changed->seconds && accessed->nanoseconds > changed->nanoseconds);
}

/* What is known of a node. */
struct fs_attributes {
	uint64_t number;
	uint8_t kind;
	uint16_t mode;		/* permission bits, 07777 */
	uint32_t links;
	uint32_t uid, gid;
	uint64_t bytes, blocks;	/* blocks: of 512 bytes, that it takes on the disk */
	struct fs_time accessed, modified, changed;
	uint64_t device;	/* of FS_CHARACTER, FS_BLOCK */
};

/* Which of them fs_ops.set changes. */
#define FS_SET_MODE	0x01
#define FS_SET_UID	0x02
#define FS_SET_GID	0x04
#define FS_SET_ACCESSED	0x08
#define FS_SET_MODIFIED	0x10
#define FS_SET_USE	0x20	/* the times are of reading or writing: without FS_SET_MODIFIED, `changed` stays */

/* Is this a change of the node, of which `changed` tells? */
static inline bool fs_set_changes(unsigned which)
{
	return (which & (FS_SET_USE | FS_SET_MODIFIED)) != FS_SET_USE;
}

struct fs_node {
	struct fs *fs;
	uint64_t number;
	uint32_t holds;		/* fs_ops functions that give one out add 1; fs_put() takes it away */
	uint8_t kind;		/* enum fs_kind */
	bool known;		/* the user's own: mode, uid and gid are here. False when it is given out first */
	uint16_t mode;
	uint32_t uid, gid;
	struct fs_node *hash_next, *hash_prev;	/* the file system's */
	void *face;		/* the user's own: locks, mappings. NULL when it is given out first */
};

struct fs_entry {
	uint64_t number;
	uint8_t kind;		/* 0: not known here */
	uint16_t bytes;
	char name[FS_NAME_MAX + 1];	/* NUL-terminated */
};

struct fs_space {
	uint64_t block_bytes, blocks, blocks_free, blocks_available;
	uint64_t files, files_free;
	uint32_t name_max;
	char label[40];
};

/* How to mount. */
struct volume;
struct fs_mount {
	struct block_device *device;	/* NULL: it has none */
	const char *source;		/* what that is called, to be shown; NULL: nothing */
	uint32_t cache_pages;		/* 0: as many as the file system thinks fit */
	const struct cache_policy *policy;	/* NULL: cache_2q */
	bool read_only, by_hand;	/* by_hand, limits: as struct vfs_mount has them (libos/fs/vfs.h) */
	unsigned limits;
	const char *options;		/* words of the file system's own, parted by commas; "": none */
	struct fs_time (*now)(void);	/* the time of day */
	/* fs_memory: where its pages come from, and go; NULL: malloc. */
	void *(*pages)(uint32_t pages);
	void (*pages_free)(void *memory, uint32_t pages);
	bool (*room)(void);	/* may there be one more name? NULL: as long as malloc has memory */
	/* fs_tar: the archive, which stays where it is, and the directory of it that is the root (NULL: its own root). */
	const void *archive;
	size_t archive_bytes;
	const char *archive_root;
	/* fs_common: the device's blocks as a volume (libos/fs/volume.h), or a share of somebody's. */
	int (*volume)(struct block_device *device, bool read_only, struct volume **volume);
};


struct fs;

struct fs_ops {
	const char *name;
	/* Mount; *root is held. -EINVAL: it is no file system of this kind, or an option is unknown; FS_EDAMAGED; -EIO; -ENOMEM;
	 * -EROFS: it cannot be written by this (a feature that is unknown), and read_only is not set. */
	int (*mount)(struct fs **fs, struct fs_node **root, const struct fs_mount *how);
	/* Everything written and stable; no node held but the root, which is put. An error leaves it mounted; if it
	 * is one for good, the next call lets go of what cannot be written. */
	int (*unmount)(struct fs *fs);
	/* Does anybody hold a node of it, but for the one hold on the root that mount gave? */
	bool (*busy)(struct fs *fs, const struct fs_node *root);
	int (*sync)(struct fs *fs);
	/* Would a sync write anything? It costs little, and waits for nothing. NULL: never. */
	bool (*unsaved)(struct fs *fs);
	int (*space)(struct fs *fs, struct fs_space *space);
	/* The last hold goes: a node without links goes with it. */
	void (*put)(struct fs_node *node);
	int (*attributes)(struct fs_node *node, struct fs_attributes *attributes);
	int (*set)(struct fs_node *node, const struct fs_attributes *attributes, unsigned which);
	/* In a directory; *node is held. -ENOENT, -ENOTDIR. */
	int (*lookup)(struct fs_node *directory, const char *name, size_t bytes, struct fs_node **node);
	/* `how` gives kind, mode, uid, gid (and device). -EEXIST, -ENOSPC, -ENAMETOOLONG; `target` only for FS_SYMLINK. */
	int (*create)(struct fs_node *directory, const char *name, size_t bytes, const struct fs_attributes *how,
	    const char *target, struct fs_node **node);
	int (*link)(struct fs_node *directory, const char *name, size_t bytes, struct fs_node *node);
	/* `directory_too` false: -EISDIR for a directory; true: an empty directory only, -ENOTDIR, -ENOTEMPTY. */
	int (*unlink)(struct fs_node *directory, const char *name, size_t bytes, bool directory_too);
	/* Atomic, as rename() of POSIX has it; what `to` names goes. The caller has made sure that no directory gets below
	 * itself. -ENOENT, -EEXIST and -ENOTEMPTY, -EISDIR, -ENOTDIR. */
	int (*rename)(struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to, const char *name,
	    size_t bytes);
	/* The entry behind *cursor (0: the first), without "." and ".."; *cursor moves on, and stays good while entries come
	 * and go: none that was there all the time is left out or given twice. 1, or 0 at the end. */
	int (*readdir)(struct fs_node *directory, uint64_t *cursor, struct fs_entry *entry);
	/* A directory's parent, held; the root's is the root. */
	int (*parent)(struct fs_node *directory, struct fs_node **parent);
	int (*readlink)(struct fs_node *node, char *target, size_t bytes);	/* how many bytes; not NUL-terminated */
	/* As pread and pwrite. A short count: the end, or an error after that much. -EFBIG, -ENOSPC. */
	int64_t (*read)(struct fs_node *node, uint64_t at, void *memory, size_t bytes);
	int64_t (*write)(struct fs_node *node, uint64_t at, const void *memory, size_t bytes);
	int (*truncate)(struct fs_node *node, uint64_t bytes);
	/* All that the file is (data_only: what is needed to read its data) is stable. */
	int (*fsync)(struct fs_node *node, bool data_only);
	/* The page at `at` (a multiple of BLOCK_BYTES) as it lies in the cache, held until page_put: for mappings and for
	 * sending without a copy. write: it is going to be changed; blocks are there for it, and page_put marks it changed.
	 * A hole, read: *page is NULL. -ENODEV: not offered. */
	int (*page)(struct fs_node *node, uint64_t at, bool write, struct buffer **page);
	void (*page_put)(struct fs_node *node, struct buffer *page, bool changed);
	/* Begin to read what will be wanted. May do nothing; may be NULL. */
	void (*ahead)(struct fs_node *node, uint64_t at, uint64_t bytes);
	/* Make an empty file an equal of another, sharing its blocks. NULL: not offered. */
	int (*clone)(struct fs_node *from, struct fs_node *to);
	/* Where the page at `at` lies on the device, and how many pages of the file lie there one after another: *block, *count.
	 * A hole: *block is 0. *count is 0: the end. For those who read in the disk's order. NULL: not offered. */
	int (*map)(struct fs_node *node, uint64_t at, uint32_t *block, uint32_t *count);
	/* Buffers of this file system's cache become the pages from `at` on, without a copy: blocks are found for them, they move
	 * there (cache_move) and are dirty. Each is held by the caller, who puts it afterwards, and by nobody else, and is clean;
	 * the block that it held keeps what it has on the device. The size of the file stays. How many of the first pages were
	 * taken, at least 1, or an error. NULL: not offered. */
	int (*adopt)(struct fs_node *node, uint64_t at, struct buffer **pages, uint32_t count);
	/* A file's whole contents as they lie in memory, all in one place, for as long as it is mounted. NULL: not offered. */
	const void *(*direct)(struct fs_node *node, uint64_t *bytes);
};

struct fs {
	const struct fs_ops *ops;
	bool read_only;
	struct cache *cache;	/* NULL: it has none */
	void *face;		/* the user's own */
};

static inline void fs_hold(struct fs_node *node)
{
	node->holds++;
}

/* ... one of a list by hash_next? For `busy`. */
static inline bool fs_held(const struct fs_node *node, const struct fs_node *root)
{
	while (node && node->holds <= (node == root))
		node = node->hash_next;
	return node != NULL;
}

static inline void fs_put(struct fs_node *node)
{
	if (--node->holds == 0)
		node->fs->ops->put(node);
}

/* The kinds there are; a program links those that it names. */
extern const struct fs_ops fs_memory;	/* libos/fs/memory.c: nothing but memory */
extern const struct fs_ops fs_tar;	/* libos/fs/tar_fs.c: an archive in memory, read-only; options: none */
extern const struct fs_ops fs_ext2;	/* libos/fs/ext2.h */
extern const struct fs_ops fs_common;	/* libos/fs/common.h: one that programs have in common */
extern const struct fs_ops fs_cofs;	/* libos/fs/cofs.h: our own */

#endif
