/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file system in memory, between its two files: memory.c has names, memory_file.c the contents of files.
 */
#ifndef LIBOS_FS_MEMORY_FS_H
#define LIBOS_FS_MEMORY_FS_H

#include "libos/fs/fs.h"

#define MEMORY_CHUNK		32		/* pages that are taken at once */
#define MEMORY_DIRECT		8		/* pages that hang in the node */
#define MEMORY_PAGES_MAX	((uint64_t)1 << 31)	/* of a file: 8 TiB */

struct mem_entry {
	struct mem_entry *hash_next;
	struct mem_entry *next, *prev;	/* of the directory */
	struct mem_node *directory, *node;
	uint64_t cookie;
	uint32_t hash;
	uint8_t bytes;
	char name[];
};

struct mem_node {
	struct fs_node node;	/* first */
	uint16_t mode;
	uint32_t uid, gid, links;
	uint64_t bytes, pages;
	struct fs_time accessed, modified, changed;
	uint64_t device;
	union {
		struct {
			uint8_t *direct[MEMORY_DIRECT];
			uint8_t ***leaf;
			uint32_t leaves;
			struct buffer *out;	/* by hash_next */
		} file;
		struct {
			struct mem_node *parent;	/* NULL: removed */
			struct mem_entry *first, *last, *hint;	/* hint: readdir was there */
			uint64_t cookies;
		} dir;
		char *target;
	};
};

struct mem_fs {
	struct fs fs;		/* first */
	struct mem_node *root, *free_nodes;	/* by node.hash_next */
	struct mem_entry **hash;
	uint32_t hash_mask, entries;
	uint64_t number, nodes, orphans, pages_used, pages_max;	/* orphans: held, without a name */
	void *free_pages;	/* each begins with a pointer to the next */
	void **chunks;
	uint32_t chunk_count;
	void *(*pages)(uint32_t pages);		/* as struct fs_mount */
	void (*pages_free)(void *memory, uint32_t pages);
	bool (*room)(void);
	struct fs_time (*now)(void);
};

static inline struct mem_fs *fs_of(const struct mem_node *node)
{
	return (struct mem_fs *)node->node.fs;
}

static inline struct mem_node *of(struct fs_node *node)
{
	return (struct mem_node *)node;
}

/* Pages from `index` on go. */
void memory_cut(struct mem_node *node, uint64_t index);
/* It has been read; `changed` is never before `modified`. */
static inline void memory_was_read(struct mem_node *node)
{
	if (!fs_reading_told(&node->accessed, &node->changed))
		node->accessed = ((struct mem_fs *)node->node.fs)->now();
}

int64_t memory_read(struct fs_node *node, uint64_t at, void *memory, size_t bytes);
int64_t memory_write(struct fs_node *node, uint64_t at, const void *memory, size_t bytes);
int memory_truncate(struct fs_node *node, uint64_t bytes);
int memory_page(struct fs_node *node, uint64_t at, bool write, struct buffer **page);
void memory_page_put(struct fs_node *node, struct buffer *page, bool changed);

#endif
