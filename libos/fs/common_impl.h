/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file system on a volume, between its files: common_meta.c reaches metadata and writes it back, common_space.c finds
 * blocks and keeps slots, common_device.c is the device that the cache of data has, common_name.c names, common_node.c nodes,
 * common_file.c contents, common_share.c what domains may have, common_recover.c what a power cut left, common_mount.c the rest.
 *
 * Other environments change all that is read here at any time, and take clean buffers for other blocks. So a view is read,
 * and then looked at again (common_still); a change names the old bytes, and is tried again when they are others.
 */
#ifndef LIBOS_FS_COMMON_IMPL_H
#define LIBOS_FS_COMMON_IMPL_H

#include <string.h>
#include "libos/fs/common.h"
#include "libos/fs/common_disk.h"

#define COMMON_CAPS		128
#define COMMON_HASH		256
#define COMMON_EXTENTS		(COMMON_MAP_FIRST + (COMMON_SLOTS - COMMON_MAP_FIRST) * COMMON_SLOTS)
#define COMMON_TRIES		2000
#define COMMON_SHARES		(EXO_VOLUME_SHARES - 1)

struct common_node {
	struct fs_node node;	/* first */
	uint32_t block, generation, birth;
	uint32_t seen;		/* the block's `changed` when the cache had nothing old of it */
	bool dirty;		/* data of it may not be written yet */
};

/* A block of metadata as it lay in its buffer. */
struct common_view {
	const struct common_block *bytes;
	uint32_t block, buffer, changed, birth;
};

/* A slot of a node or of one of its maps. */
struct common_extent {
	uint32_t meta;
	uint32_t slot;
	struct common_slot value;
};

struct common {
	struct fs fs;		/* first */
	struct block_device data;	/* common_device.c */
	struct volume *volume;
	struct common_node *hash[COMMON_HASH];
	struct { uint32_t block, birth; uint64_t cap; } cap[COMMON_CAPS];
	struct exo_node_change change;
	struct common_extent extent[COMMON_EXTENTS];
	uint32_t extents, extents_of, extents_clock;
	uint32_t used[EXO_VOLUME_BUFFERS_MAX], tick;
	uint32_t hint;		/* where free blocks are looked for next */
	uint32_t home, home_generation;
	uint32_t seed;
	void *page;		/* for requests of metadata: what lies there does not matter */
	struct split *splits;
	struct fs_time (*now)(void);
	bool no_slot;		/* there was no place for a capability */
	bool filling;		/* fill_fresh() is at it */
	bool telling;		/* tell_written() is at it: it may have to write, to make room */
	struct common_report report;
	struct { char name[COMMON_DOMAIN_NAME]; uint32_t blocks; } share[COMMON_SHARES];	/* blocks 0: an equal part */
	uint32_t shares;
	bool changed;		/* since the last sync, by this one */
	bool loss_told;		/* an unmount has said that not all can be written */
};

static inline struct common *common_of(const struct fs_node *node)
{
	return (struct common *)node->fs;
}

static inline struct common_node *common_node(struct fs_node *node)
{
	return (struct common_node *)node;
}

static inline const volatile struct exo_volume_block *common_entry_of(const struct common *fs, uint32_t block)
{
	return volume_entry(fs->volume, block);
}

/* --- common_meta.c ---- */
/* The capability that may change a block; 0: none. */
uint64_t common_cap(struct common *fs, uint32_t block);
/* One that may read its data. */
uint64_t common_cap_read(struct common *fs, uint32_t block);
void common_caps_drop(struct common *fs);
/* Metadata of that type in its buffer. 0; FS_EDAMAGED: it is none; -EIO. Other views are void then. */
int common_view(struct common *fs, uint32_t block, unsigned type, struct common_view *view);
bool common_still(const struct common *fs, const struct common_view *view);
/* A change is made of what a view shows: *new is what shall stand there. NULL: it is no more so; -EAGAIN then. */
void *common_begin(struct common *fs, const struct common_view *view, unsigned at, unsigned bytes);
void common_gain(struct common *fs, uint32_t block, unsigned type);
void common_lose(struct common *fs, uint32_t block, unsigned type);
/* 0; -EAGAIN: somebody was faster, look again; -EBUSY: a block is not to be had (yet); -EACCES, -EIO, -FS_EDAMAGED. */
int common_commit(struct common *fs, uint32_t block);
int common_sync(struct common *fs);
bool common_unsaved(struct common *fs);

/* --- common_share.c --- */
int common_shares_parse(struct common *fs, const char *options);
/* Before anything of them is loaded. */
int common_shares_give(struct common *fs);
/* A new domain's. */
int common_share_give(struct common *fs, const char *name, uint32_t table);
unsigned common_share_of(const struct common *fs, uint32_t block);
/* Blocks that one can still gain. */
int32_t common_share_left(const struct common *fs, unsigned share);
void common_share_buffers(const struct common *fs, unsigned share, uint32_t *first, uint32_t *end);

/* --- common_space.c --- */
/* Up to `most` free blocks in a row for `owner`: of its share, if that is bounded. */
int common_free_block(struct common *fs, uint32_t owner, uint32_t near, uint32_t most, uint32_t *block, uint32_t *count);
int common_extents(struct common *fs, uint32_t node);
/* What a page is: *block 0: a hole; *run pages from it on are next to each other, or holes. */
int common_find(struct common *fs, uint32_t node, uint32_t page, uint32_t *block, uint32_t *run);
/* Gain up to `count` blocks for pages that have none; *got of them are there in a row. */
int common_add(struct common *fs, uint32_t node, uint32_t page, uint32_t count, unsigned type, uint32_t *block, uint32_t *got);
/* Pages from `page` on go. */
int common_cut(struct common *fs, uint32_t node, uint32_t page);
int common_slot_set(struct common *fs, uint32_t meta, unsigned type, unsigned slot, const struct common_slot *value,
    uint32_t gain, uint32_t gains, uint32_t lose, uint32_t losses, unsigned what);
/* A new node owned by the domain that `beside` is of. */
int common_table_add(struct common *fs, uint32_t beside, uint32_t *block);
int common_domain_find(struct common *fs, const char *name, uint32_t *table);
int common_table_drop(struct common *fs, uint32_t block);
uint32_t common_domain_of(struct common *fs, uint32_t block);

/* --- common_device.c -- */
void common_device_begin(struct common *fs);
/* Nothing goes by a capability any more. */
void common_device_settle(struct common *fs, uint64_t cap);

/* --- common_node.c ---- */
int common_get(struct common *fs, uint32_t block, uint32_t generation, struct fs_node **node);
int common_head(struct common *fs, const struct common_node *node, struct common_head *head);
/* Change the head: `change` is called with it, again if somebody was faster; an error of its is returned. */
int common_head_change(struct common *fs, uint32_t block, int (*change)(struct common_head *head, const void *arg),
    const void *arg);
/* Its times of change; and its size is set, or is `bytes` at least. */
enum common_size { COMMON_KEEP, COMMON_SET, COMMON_GROW };
int common_touch(struct common *fs, uint32_t block, uint64_t bytes, enum common_size how);
int common_links(struct common *fs, uint32_t block, int difference);
int common_new_in(struct common *fs, uint32_t beside, const struct common_node *directory, const char *name, size_t bytes,
    const struct fs_attributes *how, const char *target, uint32_t *block, uint32_t *generation);
int common_free(struct common *fs, uint32_t block);
void common_put(struct fs_node *node);
void common_node_end(struct common *fs, struct common_node *node);
int common_attributes(struct fs_node *node, struct fs_attributes *attributes);
int common_set(struct fs_node *node, const struct fs_attributes *attributes, unsigned which);
int common_readlink(struct fs_node *node, char *target, size_t bytes);
void common_refresh(struct common *fs, struct common_node *node);
struct common_time common_now(const struct common *fs);

/* --- common_name.c ---- */
struct common_found {
	uint32_t names, sector, offset;		/* where */
	uint32_t block, generation;
	uint8_t kind;
};
int common_name_find(struct common *fs, uint32_t directory, const char *name, size_t bytes, struct common_found *found);
int common_name_add(struct common *fs, uint32_t directory, const char *name, size_t bytes, uint32_t block,
    uint32_t generation, uint8_t kind);
/* That of its names that leads to `block`. */
int common_name_drop(struct common *fs, uint32_t directory, const char *name, size_t bytes, uint32_t block);
/* What was just found goes, whatever it leads to. */
int common_name_void(struct common *fs, const struct common_found *found);
/* The next entry from (page, sector, id) on; 1, or 0. */
int common_name_next(struct common *fs, uint32_t directory, uint64_t *cursor, struct common_found *found, struct fs_entry *entry);
/* A node says another name from now on. */
int common_name_again(struct common *fs, uint32_t block, const struct common_node *directory, const char *name, size_t bytes);
/* 1, 0, or an error: it cannot be read now. */
int common_is_live(struct common *fs, uint32_t block, uint32_t generation);
/*
 * Does a name that stands in a directory count? What anybody can write into his own is no reason to follow it: a directory
 * counts where it says itself that it is, so that they are a tree whatever stands in them; anything else counts in its own
 * domain, so that nobody is led to change what is his by a name that is another's. The kind is the node's then.
 * 1, 0, or an error: that cannot be said now.
 */
int common_is_named(struct common *fs, uint32_t directory, const char *name, size_t bytes, struct common_found *found);
int common_lookup(struct fs_node *directory, const char *name, size_t bytes, struct fs_node **node);
int common_create(struct fs_node *directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct fs_node **node);
int common_link(struct fs_node *directory, const char *name, size_t bytes, struct fs_node *node);
int common_unlink(struct fs_node *directory, const char *name, size_t bytes, bool directory_too);
int common_rename(struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to, const char *name, size_t bytes);
int common_readdir(struct fs_node *directory, uint64_t *cursor, struct fs_entry *entry);
int common_parent(struct fs_node *directory, struct fs_node **parent);

/* --- common_file.c ---- */
int64_t common_read(struct fs_node *node, uint64_t at, void *memory, size_t bytes);
int64_t common_write(struct fs_node *node, uint64_t at, const void *memory, size_t bytes);
int common_truncate(struct fs_node *node, uint64_t bytes);
int common_page(struct fs_node *node, uint64_t at, bool write, struct buffer **page);
void common_page_put(struct fs_node *node, struct buffer *page, bool changed);

/* --- common_recover.c - */
int common_recover(struct common *fs);

#endif
