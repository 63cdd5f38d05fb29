/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file system of test/fs/toy.c.
 */
#ifndef TEST_FS_TOY_H
#define TEST_FS_TOY_H

#include "libos/fs/fs.h"

extern struct fs_ops fs_toy;

/* Before anything else. */
void toy_begin(void);

#endif
