/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2 without lost+found, which e2fsck wants to be there, and the model does not know.
 */
#include <string.h>

#include "test/fs/real.h"

struct fs_ops ext2_plain;

static int readdir_plain(struct fs_node *directory, uint64_t *cursor, struct fs_entry *entry)
{
	int more;

	do {
		more = fs_ext2.readdir(directory, cursor, entry);
	} while (more > 0 && directory->number == 2 && !strcmp(entry->name, "lost+found"));
	return more;
}

void ext2_plain_begin(void)
{
	ext2_plain = fs_ext2;
	ext2_plain.readdir = readdir_plain;
}
