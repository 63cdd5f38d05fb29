/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disk layout as a policy: at which block each part of a file lies.
 *
 * There are directories of equally many small files. Part 0 of a file is its inode, which several files may
 * have in one block; parts 1 to 3 are its data, a block each, which nobody else has. Files come into being
 * in turn: the first of each directory, then the second of each, and so on.
 */
#ifndef LAB_LAYOUT_H
#define LAB_LAYOUT_H

#include <stdint.h>

#define LAYOUT_DIRS	20
#define LAYOUT_FILES	20	/* of each directory */
#define LAYOUT_PARTS	4	/* inode and data of a file at most */
#define LAYOUT_INODES	16	/* that a block has room for */

struct fs_ops;

struct layout {
	const char *name;
	/* The block, below `blocks`, of this part of a file of this directory; parts are 0 to 3. */
	uint32_t (*place)(uint32_t dir, uint32_t file, uint32_t part, uint32_t blocks);
	/* Or else: a real file system, which decides for itself. */
	const struct fs_ops *fs;
};

#endif
