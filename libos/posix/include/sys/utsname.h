/* SPDX-License-Identifier: BSD-2-Clause */
/* The system's name. */
#ifndef EXO_POSIX_SYS_UTSNAME_H
#define EXO_POSIX_SYS_UTSNAME_H

struct utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65];
};

#ifdef __cplusplus
extern "C" {
#endif
int uname(struct utsname *);
#ifdef __cplusplus
}
#endif

#endif
