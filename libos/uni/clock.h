/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What clock.c asks of the variant that it is linked into.
 */
#ifndef LIBOS_UNI_CLOCK_H
#define LIBOS_UNI_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds of CPU time that the environment has used, if it may know; else since boot. */
uint64_t clock_cpu_ns(void);
/* Is it a clock that the variant has beside? Then what it says, if ns is not NULL. */
bool clock_more(clockid_t clock, uint64_t *ns) __attribute__((weak));

#endif
