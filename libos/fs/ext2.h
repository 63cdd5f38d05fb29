/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second extended file system, as mke2fs -t ext2 makes it: fs_ext2 of libos/fs/fs.h.
 *
 * Read and written: revisions 0 and 1; blocks of 1024, 2048 and 4096 bytes; inodes of 128 bytes and more; the features
 * filetype, sparse_super, sparse_super2, large_file, resize_inode, dir_index (an index is ignored, and given up when a
 * name comes into its directory) and ext_attr (kept, not interpreted). Journals, extents, 64-bit block numbers and every
 * other incompatible feature are refused; one that is incompatible for writers only needs fs_mount.read_only.
 *
 * What a crash leaves. Changes are made in memory and written together, in an order (ext2_order.c): at every moment
 * the disk holds at worst blocks and inodes that are taken but not used, link counts that are too high, and a file under
 * both its old and its new name; with blocks of 1 or 2 KiB, where one write may hold several kinds of metadata, also a new
 * name whose file is not there. e2fsck repairs this without losing anything that sync or fsync had made stable.
 *
 * Options of fs_mount: none. Permissions, the reserved blocks' owner and immutable flags are the caller's business.
 */
#ifndef LIBOS_FS_EXT2_H
#define LIBOS_FS_EXT2_H

#include "libos/fs/fs.h"

/* Why the last fs_ext2.mount() that failed did so: a sentence without full stop; never NULL. */
const char *ext2_why(void);

#endif
