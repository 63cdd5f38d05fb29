/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds of file systems that a program can mount: a table that is linked where files are used at all. kinds_all.c
 * names them all; kinds_weak.c takes in what the program names itself or the linker is told to (-u fs_NAME). Which of
 * the two a program gets is the choice of library, libkinds-all.a or libkinds-weak.a (exo-cc --fs).
 */
#ifndef LIBOS_UNI_KINDS_H
#define LIBOS_UNI_KINDS_H

#include "libos/disk/disk.h"
#include "libos/fs/fs.h"

struct uni_kind {
	const char *name;
	const struct fs_ops *ops;	/* NULL: it was not linked */
};

#define UNI_KINDS	3
extern const struct uni_kind uni_kinds[UNI_KINDS];
extern int (*const uni_disk_open)(const char *name, struct block_device **device);	/* disk_extent_open, or NULL */

#define UNI_KINDS_TABLE { { "memory", &fs_memory }, { "ext2", &fs_ext2 }, { "cofs", &fs_cofs } }

#endif
