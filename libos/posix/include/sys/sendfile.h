/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying from a file to any descriptor, as Linux has it.
 */
#ifndef EXO_POSIX_SYS_SENDFILE_H
#define EXO_POSIX_SYS_SENDFILE_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
ssize_t sendfile(int to, int from, off_t *offset, size_t bytes);
#ifdef __cplusplus
}
#endif

#endif
