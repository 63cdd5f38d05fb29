/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, with the list of a user's groups. */
#ifndef EXO_POSIX_GRP_H
#define EXO_POSIX_GRP_H

#include_next <grp.h>

#if __MISC_VISIBLE || __BSD_VISIBLE
#ifdef __cplusplus
extern "C" {
#endif
int getgrouplist(const char *, gid_t, gid_t *, int *);
#ifdef __cplusplus
}
#endif
#endif

#endif
