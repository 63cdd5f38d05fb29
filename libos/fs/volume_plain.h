/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume on a block device that a program of the host has for itself: fs_mount.volume of exo-fs.
 */
#ifndef LIBOS_FS_VOLUME_PLAIN_H
#define LIBOS_FS_VOLUME_PLAIN_H

#include "libos/fs/volume.h"

int volume_plain(struct block_device *device, bool read_only, struct volume **volume);

#endif
