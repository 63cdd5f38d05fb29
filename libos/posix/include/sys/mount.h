/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mount() and umount(), as Linux has them; doc/posix.md says what a source is. Other flags than these are refused: EINVAL.
 */
#ifndef EXO_POSIX_SYS_MOUNT_H
#define EXO_POSIX_SYS_MOUNT_H

#define MS_RDONLY	1	/* nothing is written */
#define MS_NOSUID	2	/* set-user-id and set-group-id count for nothing */
#define MS_NODEV	4	/* devices are not opened: EACCES */
#define MS_NOEXEC	8	/* programs are not run: EACCES */

#define UMOUNT_NOFOLLOW	8	/* the path's last name is not followed, if it is a symbolic link */

#ifdef __cplusplus
extern "C" {
#endif
/*
 * Mount on a directory. `kind` is "ext2", "cofs", "common" or "tmpfs"; `source` "extent:NAME", a regular file with an image
 * in it, or, for tmpfs, anything; `data` options of the kind, parted by commas, or NULL. EPERM: not the superuser; ENOTDIR;
 * EBUSY: something is mounted there, or about to be, or the extent or file is mounted already; ENODEV: no such kind;
 * ENOTBLK: no such source; ENOENT: no such extent, file or directory; EINVAL: no file system of this kind is there, an option
 * or a flag is unknown; EROFS: it may only be read; EIO: it is damaged, or the disk fails; ENOMEM; EMFILE: too many extents
 * are open; ENOSPC: too much is mounted; ELOOP: too many symbolic links, or an image in five others.
 */
int mount(const char *source, const char *target, const char *kind, unsigned long flags, const void *data);
/*
 * What is mounted there goes, when all of it is written. EPERM; EINVAL: nothing is mounted there; EBUSY: a file of it is
 * open or mapped, a process's working directory is in it, or something is mounted in it; EIO: not all could be written, and
 * it stays; asked again it goes, and that is lost.
 */
int umount(const char *target);
int umount2(const char *target, int flags);
#ifdef __cplusplus
}
#endif

#endif
