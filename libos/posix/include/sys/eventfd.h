/* SPDX-License-Identifier: BSD-2-Clause */
/* A counter that is a descriptor, as on Linux: a read takes all of it, or 1 of it, and waits for more than 0. */
#ifndef EXO_POSIX_SYS_EVENTFD_H
#define EXO_POSIX_SYS_EVENTFD_H

#include <fcntl.h>
#include <stdint.h>

#define EFD_SEMAPHORE	1
#define EFD_CLOEXEC	O_CLOEXEC
#define EFD_NONBLOCK	O_NONBLOCK

typedef uint64_t eventfd_t;

#ifdef __cplusplus
extern "C" {
#endif
int eventfd(unsigned, int);
int eventfd_read(int, eventfd_t *);
int eventfd_write(int, eventfd_t);
#ifdef __cplusplus
}
#endif

#endif
