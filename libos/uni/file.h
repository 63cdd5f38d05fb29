/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the files of libos/uni that put POSIX names on libos/fs/vfs.h.
 */
#ifndef LIBOS_UNI_FILE_H
#define LIBOS_UNI_FILE_H

#include "libos/fs/vfs.h"
#include "libos/uni/fd.h"

extern const struct fd_ops file_ops;

/* mount.c: the mounts stand, from the first call on. */
extern bool uni_mounted;
void uni_mount(void);
static inline void files_begin(void)
{
	if (__builtin_expect(!uni_mounted, 0))
		uni_mount();
}

/*
 * Mount on a directory, as a line of EXO_MOUNTS would; the options are changed. The device, if there is one, is what the source
 * is the name of, and is closed with the mount, or if there is none. -ENODEV: there is no such kind here; -ENOTBLK: no such
 * source; -ENOENT: no such extent; -EBUSY: the extent is mounted; else as vfs_mount_on(). / A mount of any kind goes, and its
 * device; as vfs_mount_end(). Both may wait.
 */
struct uni_mount {
	const char *kind, *source;
	char *options;
	bool read_only;
	unsigned limits;
	struct block_device *device;
};
int uni_mount_on(const struct vfs_place *at, const struct uni_mount *what);
int uni_mount_end(const struct vfs_mount *which);

/* -1 and errno for a negative result. */
int64_t uni_result(int64_t result);

/* The open file of a descriptor, which is held until fd_put; NULL and errno (EBADF, and `other` if it is no file). */
struct vfs_file *uni_file(int number, struct fd **fd, int other);
/*
 * Where a path begins that is given with a directory's descriptor. *from is NULL for the working directory; *fd is to be
 * put if it is not NULL. False: errno says why.
 */
bool uni_from(int number, const char *path, const struct vfs_place **from, struct fd **fd);

/* map.c: is any of it mapped from a file, so that touching it may call a file system? */
bool uni_maps_file(const void *memory, size_t bytes);
extern unsigned uni_file_maps;	/* how many such mappings there are */
/* The program ends: give back what they have written; NULL: there never were any. */
extern void (*uni_maps_end)(void);

#endif
