/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapping files and memory. A file of the boot archive that is mapped to be read is not page-aligned: it is the
 * archive's own copy.
 */
#ifndef EXO_LIBC_SYS_MMAN_H
#define EXO_LIBC_SYS_MMAN_H

#include <sys/types.h>

#define PROT_NONE	0
#define PROT_READ	1
#define PROT_WRITE	2
#define PROT_EXEC	4

#define MAP_SHARED	0x01
#define MAP_PRIVATE	0x02
#define MAP_FIXED	0x10
#define MAP_ANONYMOUS	0x20
#define MAP_ANON	MAP_ANONYMOUS
#define MAP_FAILED	((void *)-1)

#define MS_ASYNC	1
#define MS_INVALIDATE	2
#define MS_SYNC		4

#ifdef __cplusplus
extern "C" {
#endif
void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int munmap(void *address, size_t bytes);
int msync(void *address, size_t bytes, int flags);
#ifdef __cplusplus
}
#endif

#endif
