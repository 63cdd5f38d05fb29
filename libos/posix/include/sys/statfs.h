/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * statfs(), which older programs call where POSIX has statvfs(). f_type is 0: there are no numbers of file
 * systems here.
 */
#ifndef EXO_POSIX_SYS_STATFS_H
#define EXO_POSIX_SYS_STATFS_H

#include <sys/types.h>

typedef struct {
	int val[2];
} fsid_t;

struct statfs {
	long f_type, f_bsize;
	fsblkcnt_t f_blocks, f_bfree, f_bavail;		/* of f_bsize bytes */
	fsfilcnt_t f_files, f_ffree;
	fsid_t f_fsid;
	long f_namelen, f_frsize, f_flags;
};

#ifdef __cplusplus
extern "C" {
#endif
int statfs(const char *path, struct statfs *space);
int fstatfs(int fd, struct statfs *space);
#ifdef __cplusplus
}
#endif

#endif
