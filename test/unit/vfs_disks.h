/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks with a file system each, for tests of libos/fs/vfs.h, and a clock that goes by steps. */
#ifndef TEST_UNIT_VFS_DISKS_H
#define TEST_UNIT_VFS_DISKS_H

#include <stdio.h>
#include <stdlib.h>
#include "libos/fs/cofs.h"
#include "test/lib/hostdisk.h"
#include "test/unit/tap.h"

static inline struct fs_time ticks(void)
{
	static int64_t count;

	return (struct fs_time){ ++count / 1000, (uint32_t)(count % 1000) };
}

static inline struct hostdisk *cofs_disk(void)
{
	struct hostdisk *disk = hostdisk_make(20000);
	const uint8_t id[16] = { 1 };

	is_int(cofs_make(&disk->device, "test", id, ticks), 0, "a disk with cofs");
	return disk;
}

/* NULL: this computer cannot make one. */
static inline struct hostdisk *ext2_disk(const char *base)
{
	char command[200], path[100];

	snprintf(path, sizeof(path), "%s/image", base);
	snprintf(command, sizeof(command), "PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F -t ext2 -b 4096 %s 80M >/dev/null 2>&1",
	    path);
	return system(command) ? NULL : hostdisk_load(path);
}

#endif
