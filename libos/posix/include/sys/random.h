/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes: the kernel seeds each process's generator, which never has to wait for them. */
#ifndef EXO_POSIX_SYS_RANDOM_H
#define EXO_POSIX_SYS_RANDOM_H

#include <sys/types.h>

#define GRND_NONBLOCK	1
#define GRND_RANDOM	2

#ifdef __cplusplus
extern "C" {
#endif
int getentropy(void *, size_t);
ssize_t getrandom(void *, size_t, unsigned);
#ifdef __cplusplus
}
#endif

#endif
