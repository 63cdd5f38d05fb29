/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What exec and posix_spawn have in common: the strings of a new image, and looking for a program along $PATH.
 */
#ifndef LIBOS_POSIX_EXEC_H
#define LIBOS_POSIX_EXEC_H

#include "libos/posix/call.h"

/*
 * Ask for a new image (REQUEST_EXEC, w3 = fd, or REQUEST_SPAWN, w3 = bytes of `tail`, which comes last):
 * -errno, or a pid.
 */
int64_t posix_image(enum wire_request request, const char *path, char *const argv[], char *const envp[], int fd,
		    const void *tail, size_t tail_bytes);
/*
 * Do something with each path that a name without a slash may mean, until it is not -ENOENT, -ENOTDIR or
 * -EACCES. The last
 * -errno but ENOENT, if there is any.
 */
int64_t posix_search(const char *name, int64_t (*try)(const char *path, void *arg), void *arg);

#endif
