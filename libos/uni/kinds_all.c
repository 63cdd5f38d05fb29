/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All kinds of file systems there are. See kinds.h.
 */
#include "libos/uni/kinds.h"

const struct uni_kind uni_kinds[UNI_KINDS] = UNI_KINDS_TABLE;
int (*const uni_disk_open)(const char *name, struct block_device **device) = disk_extent_open;
const struct uni_volumes uni_volumes = UNI_VOLUMES;
