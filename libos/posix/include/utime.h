/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, with the types that it uses. */
#include <sys/types.h>
#include_next <utime.h>
