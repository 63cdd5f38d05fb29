/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What clock.c asks of the variant that it is linked into.
 */
#ifndef LIBOS_UNI_CLOCK_H
#define LIBOS_UNI_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CPU time that the environment has used, if it may know; else since boot. */
uint64_t clock_cpu_ns(void);

#endif
