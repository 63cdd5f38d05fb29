/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that processes share: what check.c calls (fork, exec and the end of a process: keep.h).
 */
#ifndef LIBOS_KEEP_OBJECT_H
#define LIBOS_KEEP_OBJECT_H

#include "libos/keep/keep.h"

/* What is wrong with what is held here, as check.c asks; NULL: nothing. */
const char *keep_object_check(void);

#endif
