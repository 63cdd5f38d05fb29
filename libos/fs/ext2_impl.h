/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2, between its own files. Nothing here is for others.
 *
 *   ext2_super.c	superblock, groups, mounting		ext2_map.c	which blocks a file has
 *   ext2_order.c	what is written when			ext2_file.c	contents of files and links
 *   ext2_alloc.c	bitmaps: blocks and inodes		ext2_dir.c	records in directories
 *   ext2_inode.c	inodes in memory			ext2_name.c	create, link, unlink, rename
 *
 * Words: a *block* is the file system's (1, 2 or 4 KiB), a *buffer* the cache's (4 KiB); `logical` counts blocks in a
 * file, `where` on the disk. Invariants:
 *  E1  a buffer with changed metadata is pinned and has a pin; data is dirty without one
 *  E2  a block or inode that the disk may refer to is not taken again before what refers to it was written and flushed:
 *      it stays in `freed_blocks` or `freed_inodes`, and taken in the bitmap, until then
 *  E3  no record that is gone from a directory in memory only has let its inode's link count on the disk sink
 */
#ifndef LIBOS_FS_EXT2_IMPL_H
#define LIBOS_FS_EXT2_IMPL_H

#include <string.h>

#include "libos/fs/ext2.h"
#include "libos/fs/ext2_disk.h"

#define EXT2_HASH	1024
#define EXT2_RUN_MAX	64	/* blocks that are mapped at a time */
#define EXT2_RANKS	6	/* see ext2_order.c */

/* Classes of pins, in the order in which they are written. */
enum { EXT2_PIN_FIRST, EXT2_PIN_INODE, EXT2_PIN_DIR };

struct ext2_pin {
	struct buffer *buffer;
	uint8_t class;		/* EXT2_PIN_; EXT2_PIN_DIR + rank */
	bool before;		/* another one must be written after it: it is not to be raised */
	uint8_t new_parts;	/* bit i: the i-th KiB begins a directory block that no inode on the disk refers to */
};

struct ext2_extent {
	uint32_t first, count;
};

struct ext2_inode {
	struct fs_node node;		/* its first member */
	struct ext2_inode *next, **link;	/* in ext2.inodes */
	uint64_t born;			/* ext2.epoch at its creation; 0: it was read from the disk */
	uint64_t entered;		/* ext2.commits when a name of it was last entered */
	bool dirty;			/* not like its place in the inode table */
	bool reshaped;			/* dirty, and so that its data is not found without it */
	bool blank;			/* that place has another inode's remains */
	uint16_t mode;
	uint32_t links, disk_links;	/* disk_links: in the inode table's buffer */
	uint32_t uid, gid, sectors, flags, attributes, generation, deleted;
	uint32_t pointer[EXT2_POINTERS];
	uint64_t bytes;
	struct fs_time accessed, modified, changed;
	/* Blocks taken for it that it does not use yet. */
	struct ext2_extent ahead;
	/* Known piece of its map: `run_blocks` of it, from `run_logical` on, at `run_where` (0: none there). */
	uint32_t run_logical, run_where, run_blocks;
	uint32_t last_logical, last_where;	/* the block it got last; last_where 0: none */
	uint32_t dirty_from, dirty_to;	/* logical: data written since the last fsync lies in there */
	uint64_t read_next, read_window, read_until;	/* bytes: reading ahead */
	uint64_t read_lost;		/* so large a window, or twice that, drove out itself; 0: none has */
	/* A directory's. */
	uint64_t cursor, cursor_version, version;
	uint32_t room_from;		/* no room for a name in blocks before this */
};

struct ext2 {
	struct fs fs;			/* its first member */
	struct block_device *device;
	struct fs_time (*now)(void);
	struct ext2_super super;
	struct buffer *super_buffer;	/* held all the time */
	struct ext2_group *group;
	struct ext2_hint {
		uint32_t block, inode;	/* nothing free before this one */
		uint32_t super_blocks;	/* at its beginning: copies of the superblock and the descriptors */
	} *hint;
	uint8_t *gdt_changed;		/* by blocks of group descriptors */
	uint32_t groups, gdt_blocks, table_blocks;
	uint32_t block_bytes, block_shift, pointers, pointers_shift, inode_bytes, sectors;
	uint32_t first_inode;
	uint64_t bytes_max;		/* of a file */
	uint64_t free_blocks, free_inodes;
	bool filetype, super_changed, was_valid, damaged;
	bool loss_told;			/* an unmount has said that not all can be written */
	bool marked;			/* the superblock on the disk says (perhaps) that all is in good order */

	struct ext2_inode *inodes;	/* all in memory */
	struct fs_node *hash[EXT2_HASH];
	uint32_t kept;			/* of them without holds, waiting for the next commit */
	uint64_t epoch;			/* counts writings of metadata; never 0 */
	uint64_t commits;		/* complete ones; never 0 */
	uint32_t next_group;		/* where to look for a place for a directory */
	uint32_t generation;

	struct ext2_pin *pin;
	uint32_t pins, pins_most, pages;	/* pins_most: more of them call for a commit */
	struct buffer **list;		/* `pages` of them, to write */
	struct ext2_extent *freed_blocks;
	uint32_t freed, freed_max;
	uint64_t freed_total;
	uint32_t *freed_inodes;
	uint32_t freed_inode, freed_inode_max;
};

static inline struct ext2 *ext2_of(const struct fs_node *node)
{
	return (struct ext2 *)node->fs;
}

static inline uint32_t ext2_buffer_of(const struct ext2 *e, uint32_t where)
{
	return where >> (12 - e->block_shift);
}

static inline uint8_t *ext2_part(const struct ext2 *e, struct buffer *buffer, uint32_t where)
{
	return buffer->data + ((where << e->block_shift) & (BLOCK_BYTES - 1));
}

/* The buffer of a block, held; NULL on error. */
static inline int ext2_get(struct ext2 *e, uint32_t where, struct buffer **buffer)
{
	int r = cache_get(e->fs.cache, ext2_buffer_of(e, where), buffer);

	if (r < 0)
		*buffer = NULL;
	return r;
}

/* ext2_super.c */
extern const char *ext2_reason;
int ext2_mount(struct fs **fs, struct fs_node **root, const struct fs_mount *how);
int ext2_unmount(struct fs *fs);
bool ext2_busy(struct fs *fs, const struct fs_node *root);
int ext2_space(struct fs *fs, struct fs_space *space);
struct fs_time ext2_now(const struct ext2 *e);
/* Something on the disk cannot be: remembered in the superblock. Returns -FS_EDAMAGED. */
int ext2_damaged(struct ext2 *e);
bool ext2_group_has_super(const struct ext2 *e, uint32_t group);
/* How many blocks from this one on are such as files may have: there, and no metadata of the file system itself. May be
 * less than there are, but is 0 only if this one is not. */
uint32_t ext2_blocks_fit(const struct ext2 *e, uint32_t where);
static inline bool ext2_block_fits(const struct ext2 *e, uint32_t where)
{
	return ext2_blocks_fit(e, where);
}
/* The superblock and changed group descriptors into their buffers, and those into the list. 0 or negative. */
int ext2_super_store(struct ext2 *e);
/* Write the superblock, and in it whether all is in good order; stable. 0 or negative. */
int ext2_mark(struct ext2 *e, bool valid);

/* ext2_order.c */
/* A held buffer with metadata was changed. Cannot fail. */
void ext2_changed(struct ext2 *e, struct buffer *buffer, unsigned class);
/* The same for a block of pointers: goes with the inodes, unless it goes before them because it is new. */
void ext2_changed_pointers(struct ext2 *e, struct buffer *buffer);
/* The same for a directory block that was just taken. */
void ext2_changed_new(struct ext2 *e, struct buffer *buffer, uint32_t where);
/* Is there changed metadata in a buffer? */
static inline bool ext2_pinned(const struct buffer *buffer)
{
	return buffer->owner;
}
/* Two changed buffers of directories: `first` is to be written before `then`. False: a commit is needed before. */
bool ext2_ordered(struct ext2 *e, struct buffer *first, struct buffer *then);
/* A block is not in use any more: what was to be written of it is not needed. */
void ext2_forget(struct ext2 *e, uint32_t where, uint32_t count);
/* Before an operation that changes something: is there room for its changes? Commits if not. */
int ext2_room(struct ext2 *e);
int ext2_commit(struct ext2 *e);
/* An operation failed before it changed anything: is it worth a second try? Commits if that may yield what was missing. */
bool ext2_again(struct ext2 *e, int error);
int ext2_sync(struct fs *fs);
bool ext2_unsaved(struct fs *fs);
int ext2_fsync(struct fs_node *node, bool data_only);

/* ext2_alloc.c */
/* Up to `want` neighbouring blocks, at `goal` or else near it. -ENOSPC, -EIO, FS_EDAMAGED. */
int ext2_take_blocks(struct ext2 *e, uint32_t goal, uint32_t want, struct ext2_extent *got);
/* The same for a file, with blocks taken ahead if `more`. */
int ext2_take(struct ext2_inode *inode, uint32_t goal, uint32_t want, bool more, struct ext2_extent *got);
/* Give back what was taken ahead. */
void ext2_take_end(struct ext2_inode *inode);
/* Give back. now: nothing on the disk refers to them. Errors are remembered as damage. */
void ext2_give_blocks(struct ext2 *e, uint32_t first, uint32_t count, bool now);
int ext2_take_inode(struct ext2 *e, uint32_t parent, bool directory, uint32_t *number);
void ext2_give_inode(struct ext2 *e, uint32_t number, bool directory, bool now);
/* What waited for a flush can be used again. */
void ext2_give_waiting(struct ext2 *e);
/* Are those blocks of a buffer that do not belong to `own` free, so that what the disk has of them is of no use? */
bool ext2_alone(const struct ext2_inode *inode, uint32_t buffer, struct ext2_extent own);
/* Count what is free from the bitmaps, for a disk that was not unmounted in good order. */
int ext2_recount(struct ext2 *e);

/* ext2_inode.c */
/* One by its number, held; on error *inode is as it was. */
int ext2_inode_get(struct ext2 *e, uint32_t number, struct ext2_inode **inode);
/* A new one below a directory, held, without links. */
int ext2_inode_new(struct ext2_inode *parent, const struct fs_attributes *how, struct ext2_inode **inode);
/* Write it into the inode table's buffer; its links as they are, or not less than there. */
int ext2_inode_store(struct ext2_inode *inode, bool sink);
/* For good: blocks and number are given back, it is forgotten. No holds. */
void ext2_inode_delete(struct ext2_inode *inode);
void ext2_inode_forget(struct ext2_inode *inode);
static inline bool ext2_fresh(const struct ext2_inode *inode)
{
	return inode->born == ext2_of(&inode->node)->epoch;
}
void ext2_put(struct fs_node *node);
int ext2_attributes(struct fs_node *node, struct fs_attributes *attributes);
int ext2_set(struct fs_node *node, const struct fs_attributes *attributes, unsigned which);
void ext2_touch(struct ext2_inode *inode, bool modified);

/* ext2_map.c */
/* Where a block lies (0: nowhere), and how many from it on lie behind each other (or nowhere: up to `want` are counted). */
int ext2_map(struct ext2_inode *inode, uint32_t logical, uint32_t want, uint32_t *where, uint32_t *blocks);
/* The same for a block that lies nowhere: it, and up to `want` - 1 behind it, get blocks, with contents unknown. */
int ext2_map_new(struct ext2_inode *inode, uint32_t logical, uint32_t want, uint32_t *where, uint32_t *blocks);
/* Take the blocks from `logical` on away. */
int ext2_map_cut(struct ext2_inode *inode, uint32_t logical);
/* Take back what ext2_map_new gave. */
void ext2_map_undo(struct ext2_inode *inode, uint32_t logical, uint32_t blocks);

/* ext2_file.c */
int64_t ext2_read(struct fs_node *node, uint64_t at, void *memory, size_t bytes);
int64_t ext2_write(struct fs_node *node, uint64_t at, const void *memory, size_t bytes);
/* Without a check of the kind. */
int64_t ext2_write_inode(struct ext2_inode *inode, uint64_t at, const void *memory, size_t bytes);
int ext2_truncate(struct fs_node *node, uint64_t bytes);
int ext2_page(struct fs_node *node, uint64_t at, bool write, struct buffer **page);
void ext2_page_put(struct fs_node *node, struct buffer *page, bool changed);
void ext2_ahead(struct fs_node *node, uint64_t at, uint64_t bytes);
int ext2_where(struct fs_node *node, uint64_t at, uint32_t *block, uint32_t *count);
int ext2_adopt(struct fs_node *node, uint64_t at, struct buffer **pages, uint32_t count);
int ext2_readlink(struct fs_node *node, char *target, size_t bytes);
bool ext2_symlink_fast(const struct ext2_inode *inode);

/* ext2_dir.c */
/* A record, in a buffer that is held while `buffer` is not NULL. */
struct ext2_slot {
	struct buffer *buffer;
	uint32_t where, offset;		/* its block, and its place there */
	uint32_t inode;
};
/* -ENOENT, FS_EDAMAGED, -EIO. */
int ext2_find(struct ext2_inode *directory, const char *name, size_t bytes, struct ext2_slot *slot);
/* Room for a name that is not there; the directory grows if it must. */
int ext2_make_room(struct ext2_inode *directory, size_t bytes, struct ext2_slot *slot);
/* Write a record into room / another inode into a record (which leaves the directory's times) / remove it. Cannot fail. */
void ext2_enter(struct ext2_inode *directory, struct ext2_slot *slot, const char *name, size_t bytes,
    const struct ext2_inode *inode);
void ext2_redirect(struct ext2_inode *directory, struct ext2_slot *slot, const struct ext2_inode *inode);
void ext2_remove(struct ext2_inode *directory, struct ext2_slot *slot);
void ext2_slot_put(struct ext2 *e, struct ext2_slot *slot);
/* The first block of a new directory. */
int ext2_dir_begin(struct ext2_inode *directory, const struct ext2_inode *parent);
/* The record "..". */
int ext2_find_parent(struct ext2_inode *directory, struct ext2_slot *slot);
/* 1, 0 or negative. */
int ext2_dir_empty(struct ext2_inode *directory);
/* Make a directory block's part of a buffer what it was when it was new. */
void ext2_dir_bare(const struct ext2 *e, uint8_t *part);
int ext2_readdir(struct fs_node *directory, uint64_t *cursor, struct fs_entry *entry);
int ext2_parent(struct fs_node *directory, struct fs_node **parent);

/* ext2_name.c */
int ext2_lookup(struct fs_node *directory, const char *name, size_t bytes, struct fs_node **node);
int ext2_create(struct fs_node *directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct fs_node **node);
int ext2_link(struct fs_node *directory, const char *name, size_t bytes, struct fs_node *node);
int ext2_unlink(struct fs_node *directory, const char *name, size_t bytes, bool directory_too);
int ext2_rename(struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to, const char *name,
    size_t bytes);

#endif
