/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ext2 looks like on a disk. All numbers are little-endian, as are the machines that this is built for.
 *
 * Source: "The Second Extended File System, Internal Layout" (D. Poirier), and the layout pages of the ext4 manual for
 * what came later. Field names are our own.
 */
#ifndef LIBOS_FS_EXT2_DISK_H
#define LIBOS_FS_EXT2_DISK_H

#include <stddef.h>
#include <stdint.h>

#define EXT2_SUPER_AT		1024	/* bytes from the beginning */
#define EXT2_MAGIC		0xef53

#define EXT2_VALID		1	/* state: unmounted in good order */
#define EXT2_ERRORS		2	/* errors were seen: to be checked */

#define EXT2_COMPAT_JOURNAL	0x004
#define EXT2_COMPAT_SPARSE2	0x200
#define EXT2_INCOMPAT_FILETYPE	0x002
#define EXT2_INCOMPAT_RECOVER	0x004
#define EXT2_INCOMPAT_EXTENTS	0x040
#define EXT2_INCOMPAT_64BIT	0x080
#define EXT2_RO_SPARSE		0x001
#define EXT2_RO_LARGE_FILE	0x002

#define EXT2_ROOT		2
#define EXT2_FIRST_OLD		11	/* the first inode that is not reserved, in revision 0 */
#define EXT2_LINK_MAX		32000
#define EXT2_DIRECT		12
#define EXT2_POINTERS		15
#define EXT2_FAST_MAX		60	/* a symbolic link shorter than this lies in its inode */

/* Of an inode. */
#define EXT2_FLAG_INDEX		0x00001000	/* a directory with a tree of hashes */
#define EXT2_FLAGS_FOREIGN	0x10080804	/* compressed, encrypted, extents, inline data */

struct ext2_super {
	uint32_t inodes, blocks, reserved, free_blocks, free_inodes, first_block, log_block, log_fragment;
	uint32_t blocks_per_group, fragments_per_group, inodes_per_group, mounted_at, written_at;
	uint16_t mounts, mounts_max, magic, state, errors, minor;
	uint32_t checked_at, check_every, creator, revision;
	uint16_t reserved_uid, reserved_gid;
	uint32_t first_inode;
	uint16_t inode_bytes, this_group;
	uint32_t compat, incompat, ro_compat;
	uint8_t uuid[16];
	char label[16], last_mounted[64];
	uint32_t compression;
	uint8_t prealloc, prealloc_directory;
	uint16_t reserved_gdt;			/* blocks kept behind the group descriptors, for growth */
	uint8_t journal_uuid[16];
	uint32_t journal_inode, journal_device, last_orphan, hash_seed[4];
	uint8_t hash_version, journal_backup;
	uint16_t group_bytes;
	uint32_t mount_options, first_meta_group, made_at, journal_blocks[17], high[3];
	uint16_t min_extra, want_extra;
	uint8_t rest[0x24c - 0x160];
	uint32_t backup_groups[2];		/* sparse_super2: besides group 0 */
	uint8_t rest2[1024 - 0x254];
};
_Static_assert(offsetof(struct ext2_super, first_inode) == 0x54, "revision 1");
_Static_assert(offsetof(struct ext2_super, min_extra) == 0x15c, "extra fields");
_Static_assert(sizeof(struct ext2_super) == 1024, "a superblock");

struct ext2_group {
	uint32_t block_bitmap, inode_bitmap, inode_table;
	uint16_t free_blocks, free_inodes, directories, flags;
	uint32_t rest[3];
};
_Static_assert(sizeof(struct ext2_group) == 32, "a group descriptor");

struct ext2_disk_inode {
	uint16_t mode, uid;
	uint32_t size, accessed, changed, modified, deleted;
	uint16_t gid, links;
	uint32_t sectors, flags, version, pointer[EXT2_POINTERS], generation, attributes, size_high, fragment;
	uint16_t sectors_high, attributes_high, uid_high, gid_high, checksum, spare;
	/* In inodes of more than 128 bytes, as far as `extra` says. */
	uint16_t extra, checksum_high;
	uint32_t changed_extra, modified_extra, accessed_extra, created, created_extra, version_high, project;
};
#define EXT2_INODE_OLD	128
#define EXT2_EXTRA_TIMES	24	/* `extra` that covers created_extra */
_Static_assert(offsetof(struct ext2_disk_inode, extra) == EXT2_INODE_OLD, "the old inode");
_Static_assert(offsetof(struct ext2_disk_inode, version_high) == EXT2_INODE_OLD + EXT2_EXTRA_TIMES, "times");
_Static_assert(sizeof(struct ext2_disk_inode) == 160, "an inode");

struct ext2_record {
	uint32_t inode;		/* 0: none */
	uint16_t bytes;		/* to the next one */
	uint8_t name_bytes, type;
	char name[];
};
#define EXT2_RECORD_BYTES(name_bytes)	(8u + (((unsigned)(name_bytes) + 3) & ~3u))

struct ext2_attributes_block {
	uint32_t magic, references;
};
#define EXT2_ATTRIBUTES_MAGIC	0xea020000

#endif
