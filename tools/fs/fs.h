/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of exo-fs share: an image as a block device, and trees of files copied in and out.
 */
#ifndef TOOLS_FS_FS_H
#define TOOLS_FS_FS_H

#include "libos/fs/fs.h"

/* image.c: a file as a device, whole blocks of it; NULL: errno says why. */
struct block_device *image_open(const char *path, bool read_only);
/* 0 or -errno: what was written is in the file. */
int image_close(struct block_device *device);

/* tree.c: 0, or -1 with a line on standard error. */
int tree_put(const char *folder, struct fs *fs, struct fs_node *root);
int tree_take(struct fs *fs, struct fs_node *root, const char *folder);

/* main.c: a line on standard error; returns -1. */
int complain(const char *thing, const char *reason);

#endif
