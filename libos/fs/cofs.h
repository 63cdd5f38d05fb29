/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cofs, Exo's own file system: one copy-on-write tree with sums, small files in it beside their inodes, and a log of
 * intents that makes fsync cheap. doc/cofs.md explains it and what lies on the disk. fs_cofs (libos/fs/fs.h) mounts it.
 *
 * What is promised after a power cut at any moment, with unflushed writes lost, torn at 512 bytes and in any order:
 * - it mounts at once; there is nothing to repair.
 * - It is as it was at one moment between the last fsync, sync or unmount that returned 0 and the cut: the operations
 *   (functions of fs_ops) before that moment are there, names and data, those behind it are not; each is there wholly or
 *   not at all, except these, of which a first part may be there: a write of more than COFS_ATOMIC bytes, a truncate or
 *   clone of a file with more than COFS_ATOMIC bytes. fsync of any node makes all that went before it stable, of all nodes.
 * - A node without names goes when nobody has it open, at the latest after the next mount.
 * No byte of data is given out unless its sum is right: else -EIO, or FS_EDAMAGED for the file system's own blocks.
 * A write that the device fails loses nothing in memory; fsync and sync report it, and can be tried again.
 */
#ifndef LIBOS_FS_COFS_H
#define LIBOS_FS_COFS_H

#include "libos/fs/fs.h"

#define COFS_ATOMIC	(16 * BLOCK_BYTES)

/*
 * Make an empty one on all of a device. `label`: at most 39 bytes, NULL: none; `id`: 16 random bytes, from which the hash
 * of names is seeded, too. `now`: the root's times; NULL: 1970. -EINVAL: too small (512 blocks) or a bad label; -EIO.
 */
int cofs_make(struct block_device *device, const char *label, const uint8_t id[16], struct fs_time (*now)(void));

/* What cofs_check() found. */
struct cofs_report {
	uint64_t files, directories, names, tree_blocks, data_blocks, shared_blocks, free_blocks, orphans;
	uint64_t generation;
	uint32_t records;	/* of the log, that go beyond the last commit */
	uint32_t faults;	/* how many were found */
	char fault[8][120];	/* the first of them, as text */
};

/*
 * Walk all of it, without writing: every sum, the order and shape of the tree, every item, names against nodes and their
 * links, every block against the free space and its number of users. 0: no fault; 1: report->faults; -EINVAL: it is no
 * cofs; -EIO, -ENOMEM. Memory: 4 bytes a block in chunks that are in use, 40 bytes a node.
 */
int cofs_check(struct block_device *device, struct cofs_report *report);

/* Options of mounting: "commit=SECONDS" (1 to 600; without it 5): how long a change stays in memory only. */

/* For statistics and tests. */
struct cofs_counts {
	uint64_t commits, log_writes, log_blocks, data_written, node_written, hits, misses, ahead, verified, damaged;
	uint32_t dirty_pages, dirty_nodes, pages;
};
void cofs_counts(const struct fs *fs, struct cofs_counts *counts);

#endif
