/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Volumes of the host's tests: fs_mount.volume.
 */
#ifndef TEST_FS_VOLUME_HOST_H
#define TEST_FS_VOLUME_HOST_H

#include "libos/fs/volume.h"

int volume_host(struct block_device *device, bool read_only, struct volume **volume);

#endif
