/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: the superblock, the groups, mounting and unmounting.
 *
 * Everything that other files compute with is checked here once: sizes are powers in their ranges, the file system lies
 * on the device, and each group's bitmaps and inode table lie inside the group, apart from each other and from the
 * copies of the superblock. So "is this metadata" is asked of one group only, ext2_blocks_fit().
 *
 * Numbers of free blocks and inodes are kept in the descriptors in memory; those on the disk are right after a sync, and
 * the superblock's state says so until metadata is written again: a program need not unmount to leave things in good
 * order. What was not in good order is counted anew when it is mounted, and stays so: only e2fsck calls it good again.
 */
#include <stdlib.h>

#include "libos/fs/ext2_impl.h"

#define SUPPORTED_INCOMPAT	EXT2_INCOMPAT_FILETYPE
#define SUPPORTED_RO		(EXT2_RO_SPARSE | EXT2_RO_LARGE_FILE)
#define CACHE_DEFAULT		2048
#define CACHE_LEAST		64

const char *ext2_reason = "nothing was refused";

const char *ext2_why(void)
{
	return ext2_reason;
}

static int refuse(int error, const char *why)
{
	ext2_reason = why;
	return error;
}

struct fs_time ext2_now(const struct ext2 *e)
{
	return e->now ? e->now() : (struct fs_time){ .seconds = 1 };
}

int ext2_damaged(struct ext2 *e)
{
	if (!e->damaged && !e->fs.read_only)
		e->super_changed = true;
	e->damaged = true;
	e->super.state |= EXT2_ERRORS;
	return -FS_EDAMAGED;
}

/* Is it a power of base? */
static bool power_of(uint32_t n, uint32_t base)
{
	while (n > 1 && n % base == 0)
		n /= base;
	return n == 1;
}

bool ext2_group_has_super(const struct ext2 *e, uint32_t group)
{
	if (group == 0)
		return true;
	if (e->super.compat & EXT2_COMPAT_SPARSE2)
		return group == e->super.backup_groups[0] || group == e->super.backup_groups[1];
	if (!(e->super.ro_compat & EXT2_RO_SPARSE))
		return true;
	return power_of(group, 3) || power_of(group, 5) || power_of(group, 7);
}

static uint32_t group_begin(const struct ext2 *e, uint32_t group)
{
	return e->super.first_block + group * e->super.blocks_per_group;
}

/* The blocks at a group's beginning that copies of the superblock and the descriptors take. */
static uint32_t super_blocks(const struct ext2 *e, uint32_t group)
{
	return ext2_group_has_super(e, group) ? 1 + e->gdt_blocks + e->super.reserved_gdt : 0;
}

uint32_t ext2_blocks_fit(const struct ext2 *e, uint32_t where)
{
	const struct ext2_group *g;
	uint32_t group, begin, end;

	if (where < e->super.first_block || where >= e->super.blocks)
		return 0;
	group = (where - e->super.first_block) / e->super.blocks_per_group;
	begin = group_begin(e, group);
	end = e->super.blocks - begin < e->super.blocks_per_group ? e->super.blocks : begin + e->super.blocks_per_group;
	g = &e->group[group];
	if (where - begin < e->hint[group].super_blocks || where == g->block_bitmap || where == g->inode_bitmap ||
	    where - g->inode_table < e->table_blocks)
		return 0;
	if (g->block_bitmap > where && g->block_bitmap < end)
		end = g->block_bitmap;
	if (g->inode_bitmap > where && g->inode_bitmap < end)
		end = g->inode_bitmap;
	if (g->inode_table > where && g->inode_table < end)
		end = g->inode_table;
	return end - where;
}

static int check_features(const struct ext2_super *s, bool read_only)
{
	if (s->magic != EXT2_MAGIC)
		return refuse(-EINVAL, "there is no ext2 file system: the superblock has another magic number");
	if (s->revision == 0)
		return 0;
	if (s->revision != 1)
		return refuse(-EINVAL, "an ext2 revision that is not known");
	if ((s->compat & EXT2_COMPAT_JOURNAL) || (s->incompat & EXT2_INCOMPAT_RECOVER))
		return refuse(-EINVAL, "the file system has a journal: it is ext3 or ext4");
	if (s->incompat & EXT2_INCOMPAT_EXTENTS)
		return refuse(-EINVAL, "the file system has extents: it is ext4");
	if (s->incompat & EXT2_INCOMPAT_64BIT)
		return refuse(-EINVAL, "the file system has 64-bit block numbers: it is ext4");
	if (s->incompat & ~SUPPORTED_INCOMPAT)
		return refuse(-EINVAL, "the file system has an incompatible feature that is not known here");
	if ((s->ro_compat & ~SUPPORTED_RO) && !read_only)
		return refuse(-EROFS, "the file system has a feature with which it can only be read here");
	return 0;
}

/* Copy the sizes out of the superblock, checked. */
static int check_sizes(struct ext2 *e)
{
	struct ext2_super *s = &e->super;
	uint64_t groups, most, meta;

	if (s->log_block > 2)
		return refuse(-EINVAL, "blocks of more than 4096 bytes");
	e->block_shift = 10 + s->log_block;
	e->block_bytes = 1u << e->block_shift;
	e->sectors = e->block_bytes / 512;
	e->pointers_shift = e->block_shift - 2;
	e->pointers = 1u << e->pointers_shift;
	e->inode_bytes = s->revision ? s->inode_bytes : EXT2_INODE_OLD;
	e->first_inode = s->revision ? s->first_inode : EXT2_FIRST_OLD;
	if (s->revision == 0)
		s->compat = s->incompat = s->ro_compat = s->reserved_gdt = 0;
	e->filetype = s->incompat & EXT2_INCOMPAT_FILETYPE;
	if (e->inode_bytes < EXT2_INODE_OLD || e->inode_bytes > e->block_bytes || (e->inode_bytes & (e->inode_bytes - 1)))
		return refuse(-FS_EDAMAGED, "the superblock's size of inodes cannot be");
	if (s->first_block != (e->block_bytes == 1024) || s->blocks <= s->first_block + 1)
		return refuse(-FS_EDAMAGED, "the superblock's number of blocks cannot be");
	if ((uint64_t)s->blocks << e->block_shift > (uint64_t)e->device->blocks * BLOCK_BYTES)
		return refuse(-FS_EDAMAGED, "the file system is larger than its device");
	if (s->blocks_per_group < 8 || s->blocks_per_group > 8 * e->block_bytes || s->blocks_per_group % 8)
		return refuse(-FS_EDAMAGED, "the superblock's blocks per group cannot be");
	if (s->inodes_per_group == 0 || s->inodes_per_group > 8 * e->block_bytes)
		return refuse(-FS_EDAMAGED, "the superblock's inodes per group cannot be");
	groups = ((uint64_t)s->blocks - s->first_block + s->blocks_per_group - 1) / s->blocks_per_group;
	if (groups * s->inodes_per_group != s->inodes)
		return refuse(-FS_EDAMAGED, "the superblock's number of inodes cannot be");
	if (e->first_inode < EXT2_FIRST_OLD || e->first_inode > s->inodes_per_group || s->reserved_gdt > e->pointers)
		return refuse(-FS_EDAMAGED, "the superblock's reserved inodes or blocks cannot be");
	e->groups = (uint32_t)groups;
	e->gdt_blocks = (uint32_t)((groups * sizeof(struct ext2_group) + e->block_bytes - 1) >> e->block_shift);
	e->table_blocks = (s->inodes_per_group * e->inode_bytes + e->block_bytes - 1) >> e->block_shift;
	most = 0xffffffffu / e->sectors;
	meta = most / e->pointers + most / e->pointers / e->pointers + 4;
	e->bytes_max = EXT2_DIRECT + (uint64_t)e->pointers + ((uint64_t)e->pointers << e->pointers_shift) +
	    ((uint64_t)e->pointers << 2 * e->pointers_shift);
	if (e->bytes_max > most - meta)
		e->bytes_max = most - meta;
	e->bytes_max <<= e->block_shift;
	if (s->revision == 0)
		e->bytes_max = INT32_MAX;
	return 0;
}

static int check_group(const struct ext2 *e, uint32_t group)
{
	const struct ext2_group *g = &e->group[group];
	uint32_t begin = group_begin(e, group), count = e->super.blocks - begin, first = super_blocks(e, group);

	if (count > e->super.blocks_per_group)
		count = e->super.blocks_per_group;
	if (g->block_bitmap - begin >= count || g->inode_bitmap - begin >= count || g->inode_table - begin >= count ||
	    e->table_blocks > count - (g->inode_table - begin))
		return refuse(-FS_EDAMAGED, "a group's bitmaps or inodes lie outside of it");
	if (g->block_bitmap - begin < first || g->inode_bitmap - begin < first || g->inode_table - begin < first ||
	    g->block_bitmap == g->inode_bitmap || g->block_bitmap - g->inode_table < e->table_blocks ||
	    g->inode_bitmap - g->inode_table < e->table_blocks)
		return refuse(-FS_EDAMAGED, "a group's bitmaps or inodes lie on each other or on copies of the superblock");
	if (g->free_blocks > count || g->free_inodes > e->super.inodes_per_group ||
	    g->directories > e->super.inodes_per_group)
		return refuse(-FS_EDAMAGED, "a group's count of free blocks or inodes cannot be");
	return 0;
}

static int read_groups(struct ext2 *e)
{
	uint32_t per_block = e->block_bytes / sizeof(struct ext2_group);
	struct buffer *buffer;
	int r;

	e->group = calloc(e->gdt_blocks, e->block_bytes);
	e->hint = calloc(e->groups, sizeof(*e->hint));
	e->gdt_changed = calloc(e->gdt_blocks, 1);
	if (!e->group || !e->hint || !e->gdt_changed)
		return refuse(-ENOMEM, "no memory");
	for (uint32_t i = 0; i < e->gdt_blocks; i++) {
		uint32_t where = e->super.first_block + 1 + i;

		if (where >= e->super.blocks)
			return refuse(-FS_EDAMAGED, "no room for the group descriptors");
		r = ext2_get(e, where, &buffer);
		if (r < 0)
			return refuse(r, "the group descriptors cannot be read");
		memcpy(e->group + (size_t)i * per_block, ext2_part(e, buffer, where), e->block_bytes);
		cache_put(e->fs.cache, buffer);
	}
	for (uint32_t i = 0; i < e->groups; i++) {
		e->hint[i].super_blocks = super_blocks(e, i);
		r = check_group(e, i);
		if (r < 0)
			return r;
		e->free_blocks += e->group[i].free_blocks;
		e->free_inodes += e->group[i].free_inodes;
	}
	return 0;
}

static int read_super(struct ext2 *e, bool read_only)
{
	int r = ext2_get(e, 0, &e->super_buffer);

	if (r < 0)
		return refuse(r, "the superblock cannot be read");
	memcpy(&e->super, e->super_buffer->data + EXT2_SUPER_AT, sizeof(e->super));
	r = check_features(&e->super, read_only);
	if (r == 0)
		r = check_sizes(e);
	return r;
}

static int store_gdt(struct ext2 *e, uint32_t i)
{
	uint32_t where = e->super.first_block + 1 + i, per_block = e->block_bytes / sizeof(struct ext2_group);
	struct buffer *buffer;
	int r = ext2_get(e, where, &buffer);

	if (r < 0)
		return r;
	memcpy(ext2_part(e, buffer, where), e->group + (size_t)i * per_block, e->block_bytes);
	ext2_changed(e, buffer, EXT2_PIN_FIRST);
	cache_put(e->fs.cache, buffer);
	e->gdt_changed[i] = 0;
	return 0;
}

int ext2_super_store(struct ext2 *e)
{
	int r;

	for (uint32_t i = 0; i < e->gdt_blocks; i++) {
		if (!e->gdt_changed[i])
			continue;
		e->super_changed = true;
		r = store_gdt(e, i);
		if (r < 0)
			return r;
	}
	if (!e->super_changed)
		return 0;
	e->super.free_blocks = (uint32_t)e->free_blocks;
	e->super.free_inodes = (uint32_t)e->free_inodes;
	e->super.written_at = (uint32_t)ext2_now(e).seconds;
	memcpy(e->super_buffer->data + EXT2_SUPER_AT, &e->super, sizeof(e->super));
	ext2_changed(e, e->super_buffer, EXT2_PIN_FIRST);
	e->super_changed = false;
	return 0;
}

int ext2_mark(struct ext2 *e, bool valid)
{
	int r;

	e->super.state = (uint16_t)((e->super.state & ~EXT2_VALID) | (valid ? EXT2_VALID : 0));
	memcpy(e->super_buffer->data + EXT2_SUPER_AT, &e->super, sizeof(e->super));
	cache_dirty(e->fs.cache, e->super_buffer);
	r = cache_write(e->fs.cache, e->super_buffer);
	if (r == 0)
		r = block_flush(e->device);
	e->marked = valid || r < 0;
	return r;
}

/* From now on it may change. */
static int begin_writing(struct ext2 *e)
{
	int r = 0;

	e->was_valid = (e->super.state & EXT2_VALID) && !(e->super.state & EXT2_ERRORS);
	if (!e->was_valid)
		r = ext2_recount(e);
	if (r < 0)
		return refuse(r, "the bitmaps cannot be read");
	e->super.mounts++;
	e->super.mounted_at = (uint32_t)ext2_now(e).seconds;
	r = ext2_mark(e, e->was_valid);
	return r < 0 ? refuse(r, "the superblock cannot be written") : 0;
}

static int make_cache(struct ext2 *e, const struct fs_mount *how)
{
	uint32_t pages = how->cache_pages ? how->cache_pages : CACHE_DEFAULT;

	if (pages < CACHE_LEAST)
		pages = CACHE_LEAST;
	e->fs.cache = cache_make(e->device, pages, how->policy ? how->policy : &cache_2q);
	e->pages = pages;
	e->pins_most = pages / 4;
	e->pin = malloc(pages * sizeof(*e->pin));
	e->list = malloc(pages * sizeof(*e->list));
	return e->fs.cache && e->pin && e->list ? 0 : refuse(-ENOMEM, "no memory");
}

static void release(struct ext2 *e)
{
	while (e->inodes)
		ext2_inode_forget(e->inodes);
	if (e->super_buffer)
		cache_put(e->fs.cache, e->super_buffer);
	if (e->fs.cache)
		cache_end(e->fs.cache);
	free(e->pin);
	free(e->list);
	free(e->group);
	free(e->hint);
	free(e->gdt_changed);
	free(e->freed_blocks);
	free(e->freed_inodes);
	free(e);
}

static int mount_root(struct ext2 *e, struct fs_node **root)
{
	struct ext2_inode *inode;
	int r = ext2_inode_get(e, EXT2_ROOT, &inode);

	if (r < 0)
		return refuse(r, "the root directory's inode is damaged");
	*root = &inode->node;
	if (inode->node.kind != FS_DIRECTORY)
		return refuse(-FS_EDAMAGED, "the root is no directory");
	return e->fs.read_only ? 0 : begin_writing(e);
}

int ext2_mount(struct fs **fs, struct fs_node **root, const struct fs_mount *how)
{
	struct ext2 *e;
	int r;

	if (!how->device)
		return refuse(-EINVAL, "there is no device");
	if (how->options && how->options[0])
		return refuse(-EINVAL, "an option that is not known");
	if (!how->read_only && (how->device->flags & BLOCK_READ_ONLY))
		return refuse(-EROFS, "the device can only be read");
	e = calloc(1, sizeof(*e));
	if (!e)
		return refuse(-ENOMEM, "no memory");
	e->fs.ops = &fs_ext2;
	e->fs.read_only = how->read_only;
	e->device = how->device;
	e->now = how->now;
	e->epoch = e->commits = 1;
	e->generation = (uint32_t)ext2_now(e).seconds;
	r = make_cache(e, how);
	if (r == 0)
		r = read_super(e, how->read_only);
	if (r == 0)
		r = read_groups(e);
	if (r == 0)
		r = mount_root(e, root);
	if (r < 0) {
		release(e);
		return r;
	}
	*fs = &e->fs;
	return 0;
}

bool ext2_busy(struct fs *fs, const struct fs_node *root)
{
	for (const struct ext2_inode *i = ((struct ext2 *)fs)->inodes; i; i = i->next)
		if (i->node.holds > (&i->node == root))
			return true;
	return false;
}

int ext2_unmount(struct fs *fs)
{
	struct ext2 *e = (struct ext2 *)fs;
	int r = ext2_sync(fs);

	if (r < 0 && !e->loss_told) {
		e->loss_told = true;
		return r;
	}
	release(e);
	return 0;
}

int ext2_space(struct fs *fs, struct fs_space *space)
{
	struct ext2 *e = (struct ext2 *)fs;
	uint64_t overhead = e->super.first_block, free_blocks = e->free_blocks + e->freed_total;

	for (uint32_t i = 0; i < e->groups; i++)
		overhead += 2 + e->table_blocks + (ext2_group_has_super(e, i) ? 1 + e->gdt_blocks : 0);
	space->files_free = e->free_inodes + e->freed_inode;
	for (struct ext2_inode *i = e->inodes; i; i = i->next) {
		free_blocks += i->ahead.count;
		if (i->node.holds == 0 && i->links == 0) {
			free_blocks += i->sectors / e->sectors;
			space->files_free++;
		}
	}
	space->block_bytes = e->block_bytes;
	space->blocks = e->super.blocks > overhead ? e->super.blocks - overhead : 0;
	space->blocks_free = free_blocks;
	space->blocks_available = free_blocks > e->super.reserved ? free_blocks - e->super.reserved : 0;
	space->files = e->super.inodes;
	space->name_max = FS_NAME_MAX;
	memset(space->label, 0, sizeof(space->label));
	memcpy(space->label, e->super.label, sizeof(e->super.label));
	return 0;
}
