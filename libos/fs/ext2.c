/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: the table of its operations.
 */
#include "libos/fs/ext2_impl.h"

const struct fs_ops fs_ext2 = {
	.name = "ext2",
	.mount = ext2_mount,
	.unmount = ext2_unmount,
	.busy = ext2_busy,
	.sync = ext2_sync,
	.unsaved = ext2_unsaved,
	.space = ext2_space,
	.put = ext2_put,
	.attributes = ext2_attributes,
	.set = ext2_set,
	.lookup = ext2_lookup,
	.create = ext2_create,
	.link = ext2_link,
	.unlink = ext2_unlink,
	.rename = ext2_rename,
	.readdir = ext2_readdir,
	.parent = ext2_parent,
	.readlink = ext2_readlink,
	.read = ext2_read,
	.write = ext2_write,
	.truncate = ext2_truncate,
	.fsync = ext2_fsync,
	.page = ext2_page,
	.page_put = ext2_page_put,
	.ahead = ext2_ahead,
	.map = ext2_where,
	.adopt = ext2_adopt,
};
