/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What gpt.c, which moves tables, and gpt_extent.c, which knows what entries mean, share.
 */
#ifndef LIBOS_DISK_GPT_PARTS_H
#define LIBOS_DISK_GPT_PARTS_H

#include "libos/disk/gpt.h"

#define GPT_ENTRY_BYTES	128

/* A sentence on what cannot be among the entries (T1); NULL: nothing. */
const char *gpt_contradiction(const struct gpt *gpt);

#endif
