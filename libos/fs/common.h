/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * common: a file system on a volume of the block registry, which programs that do not trust each other have in common.
 * doc/common.md explains it. fs_common (libos/fs/fs.h) mounts it.
 *
 * A volume is parted into domains, each with a directory of its own; whoever has the node of a domain's table may change what
 * the domain owns, and nothing else. Free blocks, directories and all other metadata lie in the volume's frames once, for all
 * to read; only files' data are cached by each program for itself, and others see them when fsync or sync has returned.
 *
 * What is promised after a power cut: what was stable at the last fsync or sync, and not touched since, is there. fsync makes
 * stable all that its program has changed. A rename that was not stable leaves the old name, the new one, or both.
 * Between domains there are neither links nor moves (-EXDEV). A file that is removed by one program while another has it open
 * is gone for that one, too: -ESTALE.
 */
#ifndef LIBOS_FS_COMMON_H
#define LIBOS_FS_COMMON_H

#include "libos/fs/fs.h"
#include "libos/fs/volume.h"

#define COMMON_BLOCKS_MIN	64
#define COMMON_INSNS		512
#define COMMON_FUEL		950	/* of the owner function */

/* Make an empty one on all of a device; then it can be made a volume. -EINVAL: too small, or a bad label; -EIO. */
int common_make(struct block_device *device, const char *label, uint32_t seed, struct fs_time (*now)(void));

/* Write the owner function; how many instructions, COMMON_INSNS at most. */
struct exo_insn;
unsigned common_owner(struct exo_insn *insn, struct exo_insn *end);

/* A new domain, with a directory of its name in the root directory. -EEXIST, -ENOSPC, -EACCES: the root is not one's own. */
int common_domain_make(struct fs *fs, const char *name);
/* The node of a domain's table, opened for its user: a handle; *block is its block. -ENOENT. */
int64_t common_domain(struct fs *fs, const char *name, uint32_t *block);
struct volume *common_volume(struct fs *fs);

/* What the first mount of a volume found, and mended if it may: names that lead nowhere, nodes without a name, wrong links. */
struct common_report {
	uint32_t nodes, directories, faults;
};
const struct common_report *common_report(const struct fs *fs);

#endif
