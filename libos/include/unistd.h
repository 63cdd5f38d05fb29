/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, and what it lacks.
 */
#ifndef EXO_LIBC_UNISTD_H
#define EXO_LIBC_UNISTD_H

#include_next <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif
/* As Linux has it; offsets may be NULL. A whole file of one file system is cloned if that can do it. */
ssize_t copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t bytes, unsigned flags);
void sync(void);
#ifdef __cplusplus
}
#endif

#endif
