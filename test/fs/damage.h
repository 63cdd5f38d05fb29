/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks that were damaged: what a file system makes of them.
 */
#ifndef TEST_FS_DAMAGE_H
#define TEST_FS_DAMAGE_H

#include "test/fs/real.h"

/* An image with something of everything on it, and the blocks that are not files' contents. */
struct damage_base {
	const struct kind *kind;
	struct hostdisk *disk;
	struct model *model, *before;	/* what is on it; what was at the sync before */
	uint32_t *blocks, block_count;
};
/* 0, or why not. */
int damage_begin(struct damage_base *base, const struct kind *kind, char *why, size_t bytes);
void damage_end(struct damage_base *base);

/*
 * Mount a damaged copy, read all of it, change it with a few random operations, unmount, and mount it again. The disk is
 * ended. Errors are what is expected. 0: good; -1: what was read without an error is not what had been written, and the
 * file system has sums (`why`).
 */
int damage_try(const struct damage_base *base, struct hostdisk *disk, uint64_t seed, char *why, size_t bytes);

/* Damage of some kind, by number; says what in `what`. */
void damage_do(const struct damage_base *base, struct hostdisk *disk, struct op_random *random, char *what, size_t bytes);

#endif
