/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a file system has room for (POSIX.1-2017).
 */
#ifndef EXO_LIBC_SYS_STATVFS_H
#define EXO_LIBC_SYS_STATVFS_H

#include <sys/types.h>

#define ST_RDONLY	1
#define ST_NOSUID	2

struct statvfs {
	unsigned long f_bsize, f_frsize;
	fsblkcnt_t f_blocks, f_bfree, f_bavail;		/* of f_frsize bytes */
	fsfilcnt_t f_files, f_ffree, f_favail;
	unsigned long f_fsid;
	unsigned long f_flag;
	unsigned long f_namemax;
};

#ifdef __cplusplus
extern "C" {
#endif
int statvfs(const char *path, struct statvfs *space);
int fstatvfs(int fd, struct statvfs *space);
#ifdef __cplusplus
}
#endif

#endif
