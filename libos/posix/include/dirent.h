/* SPDX-License-Identifier: BSD-2-Clause */
/* What posix has more of it. */
#ifndef EXO_POSIX_DIRENT_H
#define EXO_POSIX_DIRENT_H

#include_next <dirent.h>

#ifdef __cplusplus
extern "C" {
#endif
int readdir_r(DIR *__restrict, struct dirent *__restrict, struct dirent **__restrict);
#ifdef __cplusplus
}
#endif

#endif
