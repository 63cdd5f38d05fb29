/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, and the types of threads. */
#ifndef EXO_POSIX_SYS_TYPES_H
#define EXO_POSIX_SYS_TYPES_H

#include_next <sys/types.h>
#include <sys/_pthreadtypes.h>

#endif
