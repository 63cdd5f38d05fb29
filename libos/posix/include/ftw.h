/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking through a tree of files (POSIX.1-2017).
 */
#ifndef EXO_POSIX_FTW_H
#define EXO_POSIX_FTW_H

#include <sys/stat.h>

enum { FTW_F, FTW_D, FTW_DNR, FTW_NS, FTW_SL, FTW_DP, FTW_SLN };
#define FTW_PHYS	1
#define FTW_MOUNT	2
#define FTW_CHDIR	4
#define FTW_DEPTH	8

struct FTW {
	int base, level;
};

#ifdef __cplusplus
extern "C" {
#endif
int ftw(const char *path, int (*each)(const char *path, const struct stat *st, int what), int levels);
int nftw(const char *path, int (*each)(const char *path, const struct stat *st, int what, struct FTW *where),
	 int levels,
    int flags);
#ifdef __cplusplus
}
#endif

#endif
