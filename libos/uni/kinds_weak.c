/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds of file systems that something else has brought along. See kinds.h.
 */
#include "libos/uni/kinds.h"

#pragma weak fs_memory
#pragma weak fs_ext2
#pragma weak fs_cofs
#pragma weak fs_common
#pragma weak disk_extent_open
#pragma weak disk_volume_make
#pragma weak disk_volume_take
#pragma weak disk_volume_offer

const struct uni_kind uni_kinds[UNI_KINDS] = UNI_KINDS_TABLE;
int (*const uni_disk_open)(const char *name, struct block_device **device) = disk_extent_open;
const struct uni_volumes uni_volumes = UNI_VOLUMES;
