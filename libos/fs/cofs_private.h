/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cofs in memory. Private to libos/fs/cofs*.c; doc/cofs.md is the theory.
 *
 * Pages are its own and not libos/fs/cache.h's: what is written to a file has no block until it is written out, and what
 * a block of the tree becomes gets another block each time, so pages are found by (node, page of the file), and blocks
 * of the tree by (0, block). They are struct buffer nevertheless, and the policies of cache.h choose among them.
 *
 * 1. A page is pinned while it is dirty; a clean one has what the tree says, and its sum was right (`checked`).
 * 2. A dirty block of the tree has its new place already; the sum that its parent has of it is 0 until the commit.
 * 3. now[] says which blocks the state in memory uses, stable[] which ones the last commit and the log behind it use.
 *    A block is taken only if neither has it.
 * 4. free_now - deferred() blocks are there for whatever is asked for next: a commit never lacks room.
 */
#ifndef LIBOS_FS_COFS_PRIVATE_H
#define LIBOS_FS_COFS_PRIVATE_H

#include <string.h>
#include "libos/fs/cofs.h"
#include "libos/fs/cofs_disk.h"

#define COFS_REQUESTS	24
#define COFS_PAGES_MIN	256
#define COFS_PAGES	2048	/* unless the mounter says how many */
#define COFS_IDLE_MAX	1024	/* nodes that nobody holds, kept */
#define COFS_KEEP	160	/* blocks that only operations which free some may use */
#define COFS_FSYNC_MAX	64	/* pages that fsync writes out; more: a commit */

struct cofs_page {
	struct buffer buffer;		/* the first member */
	uint64_t owner, index;
	struct cofs_node *node;		/* whose page it is */
	struct cofs_page *next, *prev;	/* of the same node */
	struct cofs_io *io;		/* that reads or writes it now */
	uint64_t sum;			/* what it must have, if not `checked` */
	bool checked, temporary;
	uint16_t writers;		/* cofs_page() for writing, not put back yet */
};

struct cofs_io {
	struct block_request request;
	struct cofs_page *page[COFS_EXTENT_MAX];
	uint32_t count;
	bool used;
};

struct cofs_node {
	struct fs_node node;		/* the first member */
	struct cofs_inode inode;
	bool fresh;			/* has no item in the tree yet */
	bool dirty;			/* the item is older than this */
	bool orphan;			/* has an orphan item */
	bool listed, idle;
	struct cofs_node *dirty_next, *dirty_prev;
	struct cofs_node *idle_next, *idle_prev;
	struct cofs_page *pages;	/* all in memory */
	struct buffer *dirty_pages;
	uint32_t dirty_count;
	uint64_t next_index;		/* where reading goes on if it is sequential */
	uint64_t ahead_to;		/* what was read ahead up to */
	uint32_t window, window_lost;	/* lost: one so large, or twice, drove out itself; 0: none has */
};

struct cofs_chunk {
	uint64_t *now, *stable;		/* NULL: not loaded */
	uint64_t sum;			/* 0: never written */
	uint32_t free;			/* bits that are 0 in now */
	uint32_t available;		/* and in stable, too */
	bool place, dirty;
};

/* A part of a file. */
struct cofs_map {
	uint64_t first;			/* page of the file */
	uint32_t count, block;		/* block 0: a hole of `count` or more */
	uint64_t sum[COFS_EXTENT_MAX];
};

/* A name in a directory: its key and what it names; -ENOENT: the key that it would get. */
struct cofs_found {
	struct cofs_key key;
	uint64_t number;
	uint8_t kind;
};
/* The last name that was looked for. */
struct cofs_last {
	uint64_t names, directory;	/* good while struct cofs has as many `names` */
	struct cofs_found found;
	size_t bytes;
	int error;
	char name[FS_NAME_MAX];
};

struct cofs {
	struct fs fs;			/* the first member */
	struct block_device *device;
	struct fs_time (*time)(void);
	struct cofs_super super;	/* what the next commit writes */
	struct cofs_super unsure;	/* what may be on the disk, and must be before anything else is written */
	bool super_unsure;
	unsigned levels;		/* of the tree */
	uint64_t files;
	bool wrecked;			/* memory is half-changed: nothing is written any more */
	bool loss_told;			/* unmount has said so; the next one ends it */
	bool replaying;
	bool log_over;			/* what changed is more than the log holds: the next fsync is a commit */
	bool space_there;
	/* Pages. */
	const struct cache_policy *policy;
	void *policy_state;
	struct cofs_page **hash, *unused;
	uint32_t hash_shift, page_max, page_count, unused_count;
	struct cofs_memory { struct cofs_memory *next; void *memory; struct cofs_page *pages; uint32_t count; } *memory;
	struct cofs_io io[COFS_REQUESTS];
	uint32_t io_next;
	int write_error;		/* the first since it was asked for */
	struct buffer *dirty_tree;
	uint32_t dirty_tree_count, dirty_page_count;
	/* Nodes. */
	struct cofs_node **nodes, *dirty_nodes, *dirty_last, *idle_first, *idle_last, *node_unused;
	uint32_t node_mask, idle_count, dirty_node_count, node_count;
	bool orphans;			/* there are some to reclaim */
	/* Free space. */
	struct cofs_chunk *chunk;
	uint32_t chunks, indexes, fixed;	/* fixed: blocks in front that are never free */
	bool *index_dirty, *index_place;
	uint64_t free_now, free_total;
	uint32_t node_hint, data_hint, fake;
	/* Log. */
	uint8_t *log;			/* COFS_RECORD_BLOCKS pages: the record that is being made */
	uint32_t log_used, log_at, log_number, replayed;
	/* Commits. */
	int64_t clock, committed, commit_seconds;	/* seconds */
	struct cofs_map map;		/* the last one looked up */
	uint64_t map_number;		/* of this node; 0: none */
	uint8_t *scratch;		/* a page */
	uint64_t names;			/* changes of names, ever */
	struct cofs_last last;
	struct cofs_page **list;	/* room for list_max pages */
	uint32_t list_max;
	struct cofs_counts counts;
};

struct cofs_item {
	struct cofs_key key;
	const uint8_t *data;		/* good until the next function that may load a block */
	uint32_t bytes;
};

static inline struct cofs *cofs_of(const struct fs *fs) { return (struct cofs *)fs; }
static inline struct cofs_node *cofs_node_of(struct fs_node *node) { return (struct cofs_node *)node; }
static inline struct cofs *cofs_owner(const struct cofs_node *node) { return (struct cofs *)node->node.fs; }
static inline struct cofs_page *cofs_page_of(struct buffer *buffer) { return (struct cofs_page *)buffer; }

static inline struct cofs_key cofs_key(uint64_t object, enum cofs_kind kind, uint64_t offset)
{
	return (struct cofs_key){ object, (uint64_t)kind << 56 | offset };
}
static inline enum cofs_kind cofs_key_kind(struct cofs_key key) { return (enum cofs_kind)(key.word >> 56); }
static inline uint64_t cofs_key_offset(struct cofs_key key) { return key.word & COFS_OFFSET_MAX; }
static inline bool cofs_key_less(struct cofs_key a, struct cofs_key b)
{
	return a.object < b.object || (a.object == b.object && a.word < b.word);
}

/* cofs_sum.c */
uint64_t cofs_sum(const void *memory, size_t bytes);	/* bytes: a multiple of 8; never 0 */
uint64_t cofs_sum_copy(void *memory, const void *page);	/* of a whole page, which is copied */
uint64_t cofs_sum_plain(const void *memory, size_t bytes);	/* the same, as any processor can */
uint64_t cofs_sum_copy_plain(void *memory, const void *page);
uint64_t cofs_name_hash(uint64_t seed, const char *name, size_t bytes);	/* 48 bits */

/* cofs_pool.c: pages. find: NULL if it is not there; new: not there yet, *page is zeroed only by the caller */
int cofs_pool_make(struct cofs *fs, uint32_t pages, const struct cache_policy *policy);
void cofs_pool_end(struct cofs *fs);
struct cofs_page *cofs_pool_find(struct cofs *fs, uint64_t owner, uint64_t index);
static inline uint32_t cofs_bucket(const struct cofs *fs, uint64_t owner, uint64_t index)
{
	return (uint32_t)((owner * 0xc2b2ae3d27d4eb4full + index) * 0x9e3779b97f4a7c15ull >> fs->hash_shift);
}
/* The same, and the policy does not hear of it. */
static inline struct cofs_page *cofs_pool_look(const struct cofs *fs, uint64_t owner, uint64_t index)
{
	struct cofs_page *page = fs->hash[cofs_bucket(fs, owner, index)];

	while (page && (page->index != index || page->owner != owner))
		page = cofs_page_of(page->buffer.hash_next);
	return page;
}
int cofs_pool_new(struct cofs *fs, uint64_t owner, uint64_t index, struct cofs_node *node, struct cofs_page **page);
int cofs_pool_temporary(struct cofs *fs, struct cofs_page **page);
int cofs_pool_ready(struct cofs *fs, uint32_t count);	/* so many pages can be had without fail */
void cofs_pool_drop(struct cofs *fs, struct cofs_page *page);
void cofs_pool_move(struct cofs *fs, struct cofs_page *page, uint64_t index);
int cofs_pool_list(struct cofs *fs, uint32_t count);	/* fs->list has room for so many */
void cofs_page_dirty(struct cofs *fs, struct cofs_page *page);
void cofs_page_clean(struct cofs *fs, struct cofs_page *page);
void cofs_pages_sort(struct cofs_page **list, uint32_t count);	/* by index */

/* cofs_io.c: requests for pages whose blocks follow one another; at most COFS_EXTENT_MAX of them. They begin only. */
void cofs_io_read(struct cofs *fs, struct cofs_page **pages, uint32_t count, uint32_t block);
void cofs_io_write(struct cofs *fs, struct cofs_page **pages, uint32_t count, uint32_t block);
void cofs_io_wait(struct cofs *fs, struct cofs_page *page);
void cofs_io_poll(struct cofs *fs);
int cofs_io_wait_all(struct cofs *fs);			/* the first error of a write since the last call */

/* cofs_tree.c, cofs_tree_change.c */
int cofs_tree_find(struct cofs *fs, struct cofs_key key, struct cofs_item *item);	/* -ENOENT */
int cofs_tree_next(struct cofs *fs, struct cofs_key key, struct cofs_item *item);	/* the first not before key */
int cofs_tree_before(struct cofs *fs, struct cofs_key key, struct cofs_item *item);	/* the last not behind key */
int cofs_tree_put(struct cofs *fs, struct cofs_key key, const void *data, uint32_t bytes);
int cofs_tree_delete(struct cofs *fs, struct cofs_key key);
int cofs_tree_write(struct cofs *fs);			/* sums, and begin to write all that is dirty */
void cofs_tree_written(struct cofs *fs);		/* it is stable */
struct cofs_path {
	struct cofs_page *page[COFS_LEVELS];
	uint16_t slot[COFS_LEVELS];
};
int cofs_tree_load(struct cofs *fs, uint32_t block, uint64_t sum, unsigned level, struct cofs_page **page);
unsigned cofs_leaf_slot(const struct cofs_head *head, struct cofs_key key);	/* the first not before key */
unsigned cofs_branch_slot(const struct cofs_head *head, struct cofs_key key);
static inline struct cofs_head *cofs_head(const struct cofs_page *page) { return (struct cofs_head *)page->buffer.data; }
static inline struct cofs_slot *cofs_slots(const struct cofs_head *head) { return (struct cofs_slot *)(head + 1); }
static inline struct cofs_branch *cofs_branches(const struct cofs_head *head)
{
	return (struct cofs_branch *)(head + 1);
}

/* cofs_space.c, cofs_space_disk.c, cofs_share.c: free space. take gives 1..want blocks that follow one another. */
int cofs_space_load(struct cofs *fs);
void cofs_space_end(struct cofs *fs);
int cofs_space_take(struct cofs *fs, uint32_t hint, uint32_t want, uint32_t *first, uint32_t *count);
int cofs_space_node(struct cofs *fs, uint32_t *block);
int cofs_space_give(struct cofs *fs, uint32_t first, uint32_t count);	/* FS_EDAMAGED: one was free */
int cofs_space_mark(struct cofs *fs, uint32_t first, uint32_t count);	/* in use from now on; likewise */
int cofs_space_hold(struct cofs *fs, uint32_t first, uint32_t count);	/* and not to be taken before the next commit */
int cofs_space_write(struct cofs *fs);
void cofs_space_written(struct cofs *fs, bool sure);
int cofs_chunk_load(struct cofs *fs, uint32_t number);
void cofs_space_layout(uint32_t blocks, uint32_t *chunks, uint32_t *indexes, uint32_t *fixed, uint32_t *log_blocks);
uint32_t cofs_index_block(const struct cofs *fs, uint32_t number, bool place);
uint32_t cofs_chunk_block(const struct cofs *fs, uint32_t number, bool place);
int cofs_share(struct cofs *fs, uint32_t first, uint32_t count);	/* one more user */
int cofs_release(struct cofs *fs, uint32_t first, uint32_t count);	/* one less; the last gives them back */

/* cofs_log.c, cofs_replay.c */
void cofs_log_item(struct cofs *fs, enum cofs_change change, struct cofs_key key, const void *data, uint32_t bytes);
void cofs_log_blocks(struct cofs *fs, enum cofs_change change, uint32_t first, uint32_t count);
void cofs_log_reset(struct cofs *fs);
int cofs_log_write(struct cofs *fs);			/* -ENOSPC: a commit is needed */
int cofs_replay(struct cofs *fs);

/* cofs_commit.c */
int cofs_begin(struct cofs *fs, unsigned puts, unsigned pages, bool frees);	/* an operation that changes */
bool cofs_room(struct cofs *fs, unsigned puts, unsigned pages, bool frees);
int cofs_commit(struct cofs *fs);
bool cofs_changed(const struct cofs *fs);	/* since the last commit */
int cofs_stable(struct cofs *fs);			/* fsync */
int cofs_wreck(struct cofs *fs, int error);		/* half of an operation is done; gives -EIO */
int cofs_super_write(struct block_device *device, const struct cofs_super *super, bool second, void *page, bool fua);
struct fs_time cofs_now(struct cofs *fs);

/* cofs_node.c */
int cofs_node_get(struct cofs *fs, uint64_t number, struct cofs_node **node);	/* held; -ENOENT */
int cofs_node_new(struct cofs *fs, uint64_t number, struct cofs_node **node);	/* held, all else zero */
void cofs_node_put(struct fs_node *node);
void cofs_node_changed(struct cofs *fs, struct cofs_node *node);
int cofs_node_store(struct cofs *fs, struct cofs_node *node);	/* into the tree */
void cofs_node_stored(struct cofs *fs, struct cofs_node *node);	/* off the list of dirty ones, if it is not any more */
void cofs_node_list(struct cofs *fs, struct cofs_node *node);
void cofs_nodes_end(struct cofs *fs);
bool cofs_busy(struct fs *mounted, const struct fs_node *root);
int cofs_node_going(struct cofs *fs, struct cofs_node *node);
int cofs_reclaim(struct cofs *fs, unsigned extents);	/* orphans that nobody holds, a part of them */

/* cofs_map.c */
int cofs_map_get(struct cofs *fs, struct cofs_node *node, uint64_t index, struct cofs_map *map);
int cofs_map_put(struct cofs *fs, struct cofs_node *node, uint64_t index, uint32_t block, uint32_t count,
    const uint64_t *sums);
int cofs_map_remove(struct cofs *fs, struct cofs_node *node, uint64_t from, uint64_t to, unsigned *extents);
int cofs_write_out(struct cofs *fs, struct cofs_node *node);

/* cofs_file.c, cofs_page.c, cofs_name.c, cofs_rename.c */
int cofs_page_get(struct cofs *fs, struct cofs_node *node, uint64_t index, bool make, struct cofs_page **page);
int cofs_page_copy(struct cofs *fs, struct cofs_node *node, uint64_t index, void *memory);
void cofs_page_ahead(struct cofs *fs, struct cofs_node *node, uint64_t from, uint64_t to);
static inline uint64_t cofs_pages_at_once(const struct cofs *fs)
{
	return fs->page_max / 16 < COFS_EXTENT_MAX ? fs->page_max / 16 : COFS_EXTENT_MAX;
}
void cofs_page_wanted(struct cofs *fs, struct cofs_node *node, uint64_t index, uint64_t end);
void cofs_pages_forget(struct cofs *fs, struct cofs_node *node, uint64_t from);
int64_t cofs_read(struct fs_node *node, uint64_t at, void *memory, size_t bytes);
int64_t cofs_write(struct fs_node *node, uint64_t at, const void *memory, size_t bytes);
int cofs_truncate(struct fs_node *node, uint64_t bytes);
int cofs_page(struct fs_node *node, uint64_t at, bool write, struct buffer **page);
void cofs_page_put(struct fs_node *node, struct buffer *page, bool changed);
void cofs_ahead(struct fs_node *node, uint64_t at, uint64_t bytes);
int cofs_clone(struct fs_node *from, struct fs_node *to);
int cofs_lookup(struct fs_node *directory, const char *name, size_t bytes, struct fs_node **node);
int cofs_create(struct fs_node *directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct fs_node **node);
int cofs_link(struct fs_node *directory, const char *name, size_t bytes, struct fs_node *node);
int cofs_unlink(struct fs_node *directory, const char *name, size_t bytes, bool directory_too);
int cofs_rename(struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to, const char *name,
    size_t bytes);
int cofs_readdir(struct fs_node *directory, uint64_t *cursor, struct fs_entry *entry);
int cofs_parent(struct fs_node *directory, struct fs_node **parent);
int cofs_readlink(struct fs_node *node, char *target, size_t bytes);
int cofs_name_find(struct cofs *fs, struct cofs_node *directory, const char *name, size_t bytes,
    struct cofs_found *found);
int cofs_name_put(struct cofs *fs, struct cofs_key key, const char *name, size_t bytes, uint64_t number, uint8_t kind);
int cofs_name_empty(struct cofs *fs, uint64_t number);	/* 1: yes */
void cofs_touch(struct cofs *fs, struct cofs_node *node, bool data);	/* times, and dirty */
/* An item, checked; -FS_EDAMAGED. */
int cofs_entry_read(const struct cofs_item *item, struct cofs_found *found, const char **name, size_t *bytes);
int cofs_inode_check(const struct cofs_inode *inode, uint64_t number);
int cofs_extent_check(const struct cofs *fs, const struct cofs_item *item);

/* cofs_mount.c; `memory_only`: whatever is changed stays there, and the log is applied in memory, too */
int cofs_mount(struct cofs **fs, struct fs_node **root, const struct fs_mount *how);
void cofs_end(struct cofs *fs);
int cofs_super_check(const struct cofs_super *super, const struct block_device *device);

#endif
