/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cofs on the disk; doc/cofs.md explains it. All numbers are little-endian, all sums are cofs_sum().
 */
#ifndef LIBOS_FS_COFS_DISK_H
#define LIBOS_FS_COFS_DISK_H

#include <stddef.h>
#include <stdint.h>
#include "libos/fs/device.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the structures lie on the disk as they are");

#define COFS_MAGIC		0x31736678652d6f63ull	/* "co-exfs1" */
#define COFS_VERSION		1
#define COFS_BLOCKS_MIN		512
#define COFS_BLOCKS_MAX		0xffff0000u
#define COFS_EXTENT_MAX		64	/* blocks of one extent item */
#define COFS_INLINE_MAX		2000	/* bytes of a file that lies in the tree */
#define COFS_BYTES_MAX		((uint64_t)1 << 58)	/* of a file */
#define COFS_LEVELS		12	/* of the tree, at most */

/* Free space: a bit for each block (1: in use), in chunks of one block of bits. A chunk lies in one of two places, in turn;
 * the index says in which, and its sum. An index block does so, too, and the superblock knows of it. */
#define COFS_CHUNK_BLOCKS	(BLOCK_BYTES * 8)
#define COFS_INDEX_CHUNKS	341	/* chunks of an index block */
#define COFS_INDEX_MAX		385	/* index blocks at most: enough for COFS_BLOCKS_MAX */

struct cofs_index_entry {
	uint32_t sum_low, sum_high;	/* both 0: never written, all blocks are free */
	uint32_t free;			/* bits 0..30: free blocks; bit 31: which place */
};
struct cofs_index {
	struct cofs_index_entry entry[COFS_INDEX_CHUNKS];
	uint32_t spare;
};
_Static_assert(sizeof(struct cofs_index) == BLOCK_BYTES, "one block");

struct cofs_super {
	uint64_t magic;
	uint32_t version;
	uint32_t features;		/* what must be understood to mount it: none yet, 0 */
	uint8_t id[16];
	char label[40];			/* NUL-terminated */
	uint64_t generation;
	uint64_t seed;			/* of the hash of names */
	uint64_t group_next;		/* the first group of node numbers that was never used */
	uint64_t files;
	uint64_t root_sum;
	uint32_t root;			/* the tree's */
	uint32_t blocks;		/* of the device, when it was made */
	uint32_t log_first, log_blocks;	/* log_blocks is even: two halves with the same contents */
	uint32_t levels;		/* of the tree */
	uint32_t spare2;
	uint8_t index_place[56];/* a bit for each index block: which place */
	uint64_t index_sum[COFS_INDEX_MAX];	/* 0: never written, all entries are 0 */
	uint8_t spare[BLOCK_BYTES - 3280];
	uint64_t sum;			/* of all before */
};
_Static_assert(sizeof(struct cofs_super) == BLOCK_BYTES, "one block");

/* A key of the tree. */
struct cofs_key {
	uint64_t object;		/* a node's number; 0: the whole file system's */
	uint64_t word;			/* the kind of item in the upper byte, what it says in the others */
};

enum cofs_kind {
	COFS_INODE = 1,			/* struct cofs_inode */
	COFS_NAME,			/* see COFS_NAME_HEAD; the key: 48 bits of the name's hash, 8 bits to tell equal ones apart */
	COFS_DATA,			/* all that is in a small file */
	COFS_EXTENT,			/* struct cofs_extent; the key: the block of the file */
	COFS_SHARED,			/* object 0: struct cofs_shared; the key: the block */
	COFS_ORPHAN,			/* object 0: nothing; the key: number of a node that goes when nobody has it open */
};

#define COFS_OFFSET_MAX		(((uint64_t)1 << 56) - 1)

/* A block of the tree. Leaves (level 0): slots in the order of their keys behind the head, what they name at the end. */
struct cofs_head {
	uint32_t magic;
	uint8_t level, spare;
	uint16_t count;
	uint16_t heap;			/* leaves: the first byte that an item has */
	uint16_t used;			/* leaves: bytes of all items */
	uint32_t block;			/* where it lies */
	uint64_t generation, spare2;
};
_Static_assert(sizeof(struct cofs_head) == 32, "head");
#define COFS_HEAD_MAGIC		0x65657274u	/* "tree" */

struct cofs_slot {
	struct cofs_key key;
	uint16_t at, bytes;
	uint32_t spare;
};
#define COFS_LEAF_ROOM		(BLOCK_BYTES - sizeof(struct cofs_head))
#define COFS_ITEM_MAX		(COFS_LEAF_ROOM / 2 - sizeof(struct cofs_slot))

struct cofs_branch {
	struct cofs_key key;		/* of nothing below it is the key smaller; the first one's does not matter */
	uint64_t sum;			/* in memory 0: the child is dirty */
	uint32_t block, spare;
};
#define COFS_BRANCHES		(COFS_LEAF_ROOM / sizeof(struct cofs_branch))

/* Items. */
struct cofs_inode {
	uint16_t mode;			/* permission bits */
	uint8_t kind;			/* enum fs_kind */
	uint8_t flags;
	uint32_t links;
	uint32_t uid, gid;
	uint64_t bytes;
	uint64_t blocks;		/* that its extents have */
	int64_t accessed, modified, changed;
	uint32_t accessed_ns, modified_ns, changed_ns;
	uint32_t number_next;		/* directories: what the next node made in it has in the lower 20 bits */
	uint64_t group;			/* directories: and in the others */
	uint64_t device_or_parent;	/* directories: the parent */
	uint64_t spare[3];
};
_Static_assert(sizeof(struct cofs_inode) == 112, "inode");
#define COFS_INODE_INLINE	0x01	/* its data is a COFS_DATA item */

#define COFS_GROUP_SHIFT	20
#define COFS_GROUP_MAX		(((uint64_t)1 << 36) - 1)
#define COFS_ROOT		((uint64_t)1 << COFS_GROUP_SHIFT)

/* A name: 8 bytes with the number of the node, 1 byte with its kind, and the rest of the item is the name. */
#define COFS_NAME_HEAD		9

struct cofs_extent {
	uint32_t block;
	uint16_t count, spare;
	uint64_t sum[COFS_EXTENT_MAX];	/* only `count` of them */
};

/* Blocks that more than one extent has. */
struct cofs_shared {
	uint32_t count;
	uint32_t users;			/* at least 2 */
};

/* A record of the log: changes of items and of the free space, in order, all or none. */
#define COFS_LOG_MAGIC		0x676f6c65u	/* "elog" */
#define COFS_RECORD_BLOCKS	16	/* at most */
struct cofs_record {
	uint32_t magic;
	uint32_t bytes;			/* all, with this head */
	uint64_t generation;		/* of the superblock that it goes on from */
	uint32_t number;		/* from 0 in each generation */
	uint32_t at;			/* block of the log's half */
	uint64_t id;			/* the first half of the file system's */
	uint64_t sum;			/* of all, this field 0 */
};
enum cofs_change { COFS_PUT = 1, COFS_DELETE, COFS_TAKE, COFS_GIVE };
struct cofs_log_entry {
	uint8_t change, spare;
	uint16_t bytes;			/* PUT: of the item; they follow, up to a multiple of 8 */
	uint32_t count;			/* TAKE, GIVE */
	struct cofs_key key;		/* PUT, DELETE; TAKE, GIVE: the first block in `object` */
};
_Static_assert(sizeof(struct cofs_log_entry) == 24, "entry");

#endif
