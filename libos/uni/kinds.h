/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds of file systems that a program can mount: a table that is linked where files are used at all. kinds_all.c
 * names them all; kinds_weak.c takes in what the program names itself or the linker is told to (-u fs_NAME). Which of
 * the two a program gets is the choice of library, libkinds-all.a or libkinds-weak.a (exo-cc --fs).
 */
#ifndef LIBOS_UNI_KINDS_H
#define LIBOS_UNI_KINDS_H

#include "libos/disk/disk.h"
#include "libos/disk/disk_volume.h"
#include "libos/fs/fs.h"

struct uni_kind {
	const char *name;
	const struct fs_ops *ops;	/* NULL: it was not linked */
};

#define UNI_KINDS	4
extern const struct uni_kind uni_kinds[UNI_KINDS];
extern int (*const uni_disk_open)(const char *name, struct block_device **device);	/* disk_extent_open, or NULL */

/* Volumes of the block registry, for `common`; NULL, or disk_volume_make and so on. */
struct uni_volumes {
	int (*make)(struct block_device *device, bool read_only, struct volume **volume);
	int (*take)(const char *label, struct volume **volume);
	int (*offer)(struct fs *fs, const char *domain);
};
extern const struct uni_volumes uni_volumes;

#define UNI_VOLUMES	{ disk_volume_make, disk_volume_take, disk_volume_offer }
#define UNI_KINDS_TABLE { { "memory", &fs_memory }, { "ext2", &fs_ext2 }, { "cofs", &fs_cofs }, { "common", &fs_common } }

#endif
