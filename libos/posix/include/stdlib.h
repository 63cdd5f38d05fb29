/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, without the two functions that no standard knows and whose names programs use for their own; and the
 * functions of pseudo-terminals and the program's name.
 */
#ifndef EXO_POSIX_STDLIB_H
#define itoa __exo_hidden_itoa
#define utoa __exo_hidden_utoa
#include_next <stdlib.h>
#undef itoa
#undef utoa
#else
#include_next <stdlib.h>
#endif

#ifndef EXO_POSIX_STDLIB_H
#define EXO_POSIX_STDLIB_H

#if __MISC_VISIBLE || __BSD_VISIBLE
#include <sys/types.h>		/* as glibc's does */
#endif
#ifdef __cplusplus
extern "C" {
#endif
#if __XSI_VISIBLE || __MISC_VISIBLE
int grantpt(int fd);
int unlockpt(int fd);
char *ptsname(int fd);
int ptsname_r(int fd, char *name, size_t bytes);
int posix_openpt(int flags);
#endif
#if __BSD_VISIBLE || __MISC_VISIBLE
int clearenv(void);
char *canonicalize_file_name(const char *path);
char *secure_getenv(const char *name);
const char *getprogname(void);
void setprogname(const char *name);
#endif
#ifdef __cplusplus
}
#endif

#endif
