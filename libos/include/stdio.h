/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, and what it lacks.
 */
#ifndef EXO_LIBC_STDIO_H
#define EXO_LIBC_STDIO_H

#include_next <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif
int renameat(int directory, const char *path, int new_directory, const char *new_path);
#ifdef __cplusplus
}
#endif

#endif
