/* SPDX-License-Identifier: BSD-2-Clause */
/* The limit of a file's size, in blocks of 512 bytes; getrlimit says more. */
#ifndef EXO_POSIX_ULIMIT_H
#define EXO_POSIX_ULIMIT_H

#define UL_GETFSIZE	1
#define UL_SETFSIZE	2

#ifdef __cplusplus
extern "C" {
#endif
long ulimit(int, ...);
#ifdef __cplusplus
}
#endif

#endif
