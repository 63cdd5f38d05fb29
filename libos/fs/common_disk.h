/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a file system `common` is made of: little-endian, blocks of 4096 bytes, each of its type's shape.
 *
 * Two trees. *Who owns what* is a tree of blocks that the kernel knows: the root owns the tables of the domains; a table owns
 * nodes, and more tables; a node is a file, directory, link ..., and owns its data, the blocks of its names, and maps, which
 * own more of these. *What is called how* is in names, which own nothing but say block and generation of a node. So links and
 * moves within a domain change names alone, and who may write what is decided by domain.
 *
 * Every block but NAMES has its slots at the same place; the owner function (common_owner.c) emits them. An entry lies within
 * one sector of 512 bytes, so a torn write leaves each as it was or as it is.
 *
 * A node's own words about its name (parent, parent_generation, name) are what counts after a power cut: common_recover.c.
 */
#ifndef LIBOS_FS_COMMON_DISK_H
#define LIBOS_FS_COMMON_DISK_H

#include <stdint.h>

#define COMMON_MAGIC		0x6e6d6f63	/* "comn" */
#define COMMON_VERSION		1

#define COMMON_DATA		0
#define COMMON_ROOT		1	/* EXO_VOLUME_TYPE_ROOT */
#define COMMON_TABLE		2
#define COMMON_NODE		3
#define COMMON_MAP		4
#define COMMON_NAMES		5

#define COMMON_SECTOR		512
#define COMMON_SECTOR_SLOTS	31
#define COMMON_SLOTS		62
#define COMMON_COUNT_MAX	0xffffff	/* blocks of a slot */
#define COMMON_MAP_FIRST	50	/* slots of a node from here on are maps */
#define COMMON_TABLE_FIRST	46	/* slots of a table from here on are tables */
#define COMMON_TABLE_DEPTH	4
#define COMMON_DOMAIN_NAME	40
#define COMMON_TARGET_MAX	2048	/* bytes of a symbolic link's target */
#define COMMON_PAGES_MAX	0xffffffff

struct common_slot {
	uint32_t block;		/* 0: nothing */
	uint32_t kind;		/* type << 24 | count */
	uint32_t at;		/* the first page of the file, or directory */
	uint32_t spare;
};

struct common_slots {
	uint64_t spare[2];
	struct common_slot slot[COMMON_SECTOR_SLOTS];
};

struct common_time {
	int64_t seconds;
	uint32_t nanoseconds, spare;
};

/* Sector 0 of a node. */
struct common_head {
	uint32_t generation;	/* never 0; names that have another one are void */
	uint8_t kind, name_bytes;
	uint16_t mode;
	uint32_t links;		/* names; of a directory: 2 and the directories in it. 0: it is going */
	uint32_t uid, gid;
	uint32_t parent, parent_generation;
	uint32_t version;	/* grows when data was written back */
	uint64_t bytes, device;
	struct common_time accessed, modified, changed;
	uint64_t spare[6];
	char name[256];
	uint8_t rest[COMMON_SECTOR - 400];
};

/* Sector 0 of the root, and of a domain's first table. */
struct common_top {
	uint32_t magic, version;
	uint32_t home, home_generation;	/* the root directory; the domain's own */
	char name[COMMON_DOMAIN_NAME];	/* label; the domain's name */
	uint8_t rest[COMMON_SECTOR - 56];
};

struct common_block {
	union {
		struct common_head head;
		struct common_top top;
	};
	struct common_slots slots[2];
	char target[5 * COMMON_SECTOR];
};

/* In a block of names, each sector has entries one behind the other; the first with bytes == 0 is the end. */
struct common_entry {
	uint32_t block, generation;
	uint8_t id, kind, bytes, spare;	/* id: of the sector's, for readdir */
	char name[];
};

_Static_assert(sizeof(struct common_slots) == COMMON_SECTOR && sizeof(struct common_head) == COMMON_SECTOR &&
    sizeof(struct common_top) == COMMON_SECTOR && sizeof(struct common_block) == 4096, "sectors");

#define COMMON_ENTRY_BYTES(bytes)	((unsigned)(sizeof(struct common_entry) + (bytes) + 3) & ~3u)
#define COMMON_SLOT_AT(i)	(COMMON_SECTOR * (1 + (i) / COMMON_SECTOR_SLOTS) + 16 + 16 * ((i) % COMMON_SECTOR_SLOTS))

static inline uint32_t common_count(const struct common_slot *slot)
{
	return slot->kind & COMMON_COUNT_MAX;
}

static inline uint32_t common_type(const struct common_slot *slot)
{
	return slot->kind >> 24;
}

#endif
