/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The name cache: which node a name in a directory leads to, what is mounted there included. Private to libos/fs.
 */
#ifndef LIBOS_FS_NAME_H
#define LIBOS_FS_NAME_H

#include "libos/fs/vfs.h"

/* Before anything is mounted; false: no memory. */
bool name_start(void);
/* Not held; NULL: it is not known. */
struct fs_node *name_find(const struct fs_node *directory, const char *text, size_t bytes);
/* The name leads there. May let other nodes go. */
void name_add(struct fs_node *directory, const char *text, size_t bytes, struct fs_node *node);

/*
 * Walk along names that are known through directories that `who` may search. `at` moves on; nothing is held, so the caller
 * must hold what he keeps before anybody else can run. What is left of the path. The last name, and slashes behind it, are
 * always left, but with NAME_LAST it is taken, too, unless it is a symbolic link (NAME_LINK: even then) or has slashes behind
 * it: then nothing is left.
 */
#define NAME_LAST	1
#define NAME_LINK	2
const char *name_walk(const struct vfs_who *who, struct vfs_place *at, const char *path, unsigned how);

/*
 * The node that a whole path leads to, by names that are known; not held. NULL: it has to be walked. Paths that were found
 * so are kept as a whole, until any name goes or any right changes: name_forget_paths().
 */
struct fs_node *name_known(const struct vfs_place *from, const char *text, unsigned how);
void name_forget_paths(void);

#endif
