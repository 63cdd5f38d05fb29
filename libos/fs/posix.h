/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What files are, in the words of <sys/stat.h> and <sys/statvfs.h>: for libOSes that offer these.
 */
#ifndef LIBOS_FS_POSIX_H
#define LIBOS_FS_POSIX_H

#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "libos/fs/vfs.h"

static inline mode_t vfs_kind_mode(unsigned kind)
{
	static const mode_t modes[] = { 0, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };

	return modes[kind & 7];
}

/* All that POSIX names; what else there is stays as it was. */
static inline void vfs_to_stat(const struct fs_attributes *attributes, uint32_t mount_number, struct stat *st)
{
	st->st_dev = mount_number;
	st->st_ino = attributes->number;
	st->st_mode = attributes->mode | vfs_kind_mode(attributes->kind);
	st->st_nlink = attributes->links > UINT16_MAX ? UINT16_MAX : (nlink_t)attributes->links;
	st->st_uid = attributes->uid;
	st->st_gid = attributes->gid;
	st->st_rdev = attributes->device;
	st->st_size = (off_t)attributes->bytes;
	st->st_blksize = BLOCK_BYTES;
	st->st_blocks = (blkcnt_t)attributes->blocks;
	st->st_atim.tv_sec = attributes->accessed.seconds;
	st->st_atim.tv_nsec = (long)attributes->accessed.nanoseconds;
	st->st_mtim.tv_sec = attributes->modified.seconds;
	st->st_mtim.tv_nsec = (long)attributes->modified.nanoseconds;
	st->st_ctim.tv_sec = attributes->changed.seconds;
	st->st_ctim.tv_nsec = (long)attributes->changed.nanoseconds;
}

static inline void vfs_to_statvfs(const struct fs_space *space, const struct vfs_mount *mount, struct statvfs *out)
{
	memset(out, 0, sizeof(*out));
	out->f_bsize = out->f_frsize = space->block_bytes;
	out->f_blocks = space->blocks;
	out->f_bfree = space->blocks_free;
	out->f_bavail = space->blocks_available;
	out->f_files = space->files;
	out->f_ffree = out->f_favail = space->files_free;
	out->f_fsid = mount->number;
	out->f_namemax = space->name_max;
	out->f_flag = mount->fs->read_only ? ST_RDONLY : 0;
}

#endif
