/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that processes share: what check.c and xsi_shm.c call (fork, exec and the end of a process: keep.h).
 */
#ifndef LIBOS_KEEP_OBJECT_H
#define LIBOS_KEEP_OBJECT_H

#include "libos/keep/keep.h"

/* What is wrong with what is held here, as check.c asks; NULL: nothing. */
const char *keep_object_check(void);

struct fs_node;

/* A file of so many pages that has no name, held. 0 or -errno. May block. */
int keep_object_nameless(uint64_t pages, struct vfs_file **file);
/* It is mapped, shared, in the process, whatever was there. 0, -EINVAL, -ENOMEM. May block. */
int64_t keep_object_attach(struct keep_process *process, struct vfs_file *file, exo_vaddr_t va, uint64_t pages,
			   bool write);
/* How many maps are of it, of all processes. */
uint32_t keep_object_maps(const struct fs_node *node);
/* Pages of the process's map that begins there, and of which file; 0: none does. */
uint64_t keep_object_at(const struct keep_process *process, exo_vaddr_t va, const struct fs_node **node);
/* A map of it has gone, of that process. Must not block. */
extern void (*keep_object_unmapped)(const struct fs_node *node, const struct keep_process *process);

#endif
