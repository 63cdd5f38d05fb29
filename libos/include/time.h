/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's time.h hides the monotonic and the CPU-time clock behind a macro of the system; this system has
 * both.
 */
#ifndef _POSIX_MONOTONIC_CLOCK
#define _POSIX_MONOTONIC_CLOCK	200112L
#endif
#ifndef _POSIX_CPUTIME
#define _POSIX_CPUTIME		200112L
#endif
#include <sys/types.h>
#include_next <time.h>
