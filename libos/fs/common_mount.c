/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounting, making, and the table of functions. See common.h.
 */
#include <stdlib.h>
#include "libos/fs/common_impl.h"

#define CACHE_PAGES	256

/* --- making ----------------------------------------------------------------------------------------------- */

static void make_slot(struct common_block *block, uint32_t what, unsigned type)
{
	block->slots[0].slot[0] = (struct common_slot){ .block = what, .kind = type << 24 | 1 };
}

int common_make(struct block_device *device, const char *label, uint32_t seed, struct fs_time (*now)(void))
{
	struct common_block *block = block_memory(device, 3);
	struct fs_time time = now ? now() : (struct fs_time){ 0, 0 };
	struct common_time t = { time.seconds, time.nanoseconds, 0 };
	int error;

	if (!block)
		return -ENOMEM;
	if (device->blocks < COMMON_BLOCKS_MIN || (label && strlen(label) >= COMMON_DOMAIN_NAME)) {
		block_memory_free(device, block, 3);
		return -EINVAL;
	}
	memset(block, 0, 3 * sizeof(*block));
	for (unsigned i = 0; i < 2; i++)
		block[i].top = (struct common_top){ .magic = COMMON_MAGIC, .version = COMMON_VERSION, .home = 2, .home_generation = seed | 1 };
	memcpy(block[0].top.name, label ? label : "", label ? strlen(label) : 0);
	make_slot(&block[0], 1, COMMON_TABLE);
	make_slot(&block[1], 2, COMMON_NODE);
	block[2].head = (struct common_head){ .generation = seed | 1, .kind = FS_DIRECTORY, .mode = 0755, .links = 2,
		.accessed = t, .modified = t, .changed = t };
	error = block_write(device, 0, 3, block, 0);
	if (!error)
		error = block_flush(device);
	block_memory_free(device, block, 3);
	return error;
}

/* --- domains ---------------------------------------------------------------------------------------------- */

struct volume *common_volume(struct fs *fs)
{
	return ((struct common *)fs)->volume;
}

/*
 * The slot of a domain in the root says by which name it is had, as 64 bits of a sum (FNV-1a) that only who writes the root
 * can set. Its table, and the directory in it, are its user's: what they say of its name proves nothing.
 */
static struct common_slot domain_value(const char *name, uint32_t table)
{
	uint64_t sum = 0xcbf29ce484222325;

	while (*name)
		sum = (sum ^ (uint8_t)*name++) * 0x100000001b3;
	return (struct common_slot){ table, COMMON_TABLE << 24 | 1, (uint32_t)sum, (uint32_t)(sum >> 32) };
}

/* The slot of a domain in the root; -ENOENT, and *slot is an empty one (COMMON_SLOTS: there is none). */
static int domain_slot(struct common *fs, const char *name, uint32_t *block, unsigned *slot)
{
	struct common_slot all[COMMON_SLOTS], is = domain_value(name, 0);
	struct common_view view;
	unsigned empty = COMMON_SLOTS;
	int error = common_view(fs, 0, COMMON_ROOT, &view);

	for (unsigned i = 0; i < COMMON_SLOTS && !error; i++)
		all[i] = view.bytes->slots[i / COMMON_SECTOR_SLOTS].slot[i % COMMON_SECTOR_SLOTS];
	for (*slot = 0; *slot < COMMON_SLOTS && !error; ++*slot) {
		*block = all[*slot].block;
		if (!*block) {
			empty = empty < *slot ? empty : *slot;
			continue;
		}
		if (all[*slot].kind == is.kind && all[*slot].at == is.at && all[*slot].spare == is.spare)
			return 0;
	}
	*slot = empty;
	return error ? error : -ENOENT;
}

int common_domain_find(struct common *fs, const char *name, uint32_t *table)
{
	unsigned slot;

	return domain_slot(fs, name, table, &slot);
}

int64_t common_domain(struct fs *base, const char *name, uint32_t *block)
{
	struct common *fs = (struct common *)base;
	unsigned slot;
	int error = domain_slot(fs, name, block, &slot);
	uint64_t cap = error ? 0 : common_cap(fs, *block);

	return error ? error : cap ? (int64_t)cap : -EACCES;
}

/* Bytes of sector 0 of a table, or of the domain's directory. */
static int set_top(struct common *fs, uint32_t block, const struct common_top *top)
{
	struct common_view view;
	int error = common_view(fs, block, COMMON_TABLE, &view);
	void *to = error ? NULL : common_begin(fs, &view, 0, sizeof(*top));

	if (!to)
		return error ? error : -EIO;
	memcpy(to, top, sizeof(*top));
	return common_commit(fs, block);
}

int common_domain_make(struct fs *base, const char *name)
{
	struct common *fs = (struct common *)base;
	struct fs_attributes how = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct common_node home = { .block = fs->home, .generation = fs->home_generation };
	struct common_top top = { .magic = COMMON_MAGIC, .version = COMMON_VERSION };
	struct common_found found;
	struct common_slot value;
	uint32_t table, count;
	unsigned slot;
	size_t bytes = strlen(name);
	int error = bytes && bytes < COMMON_DOMAIN_NAME ? domain_slot(fs, name, &table, &slot) : -EINVAL;

	if (error != -ENOENT)
		return error ? error : -EEXIST;
	if (common_name_find(fs, fs->home, name, bytes, &found) != -ENOENT)
		return -EEXIST;
	error = slot == COMMON_SLOTS ? -ENOSPC : common_free_block(fs, 0, 0, 1, &table, &count);
	value = domain_value(name, table);
	if (!error)
		error = common_slot_set(fs, 0, COMMON_ROOT, slot, &value, table, 1, 0, 0, 1);
	if (!error)
		error = common_share_give(fs, name, table);
	if (error)
		return error;
	memcpy(top.name, name, bytes);
	error = common_new_in(fs, table, &home, name, bytes, &how, NULL, &top.home, &top.home_generation);
	if (!error)
		error = set_top(fs, table, &top);
	if (!error)
		error = common_name_add(fs, fs->home, name, bytes, top.home, top.home_generation, FS_DIRECTORY);
	if (!error)
		(void)common_links(fs, fs->home, 1);
	return error ? error : common_sync(fs);
}

/* --- mounting --------------------------------------------------------------------------------------------- */

static void end(struct common *fs)
{
	for (unsigned i = 0; i < COMMON_HASH; i++)
		while (fs->hash[i])
			common_node_end(fs, fs->hash[i]);
	common_caps_drop(fs);
	if (fs->fs.cache)
		cache_end(fs->fs.cache);
	if (fs->page)
		block_memory_free(fs->volume->device, fs->page, 1);
	fs->volume->ops->close(fs->volume);
	free(fs);
}

/* The root directory, of the volume or of the domain that this program has. */
static int find_home(struct common *fs)
{
	uint32_t block = fs->volume->own ? fs->volume->own_block : 0;
	struct common_view view;
	int error;

	if (fs->volume->made)	/* its frames are cleared by the first calls */
		(void)fs->volume->ops->load(fs->volume, fs->volume->see, 0, 0);
	error = common_view(fs, block, block ? COMMON_TABLE : COMMON_ROOT, &view);

	if (error)
		return error;
	if (view.bytes->top.magic != COMMON_MAGIC)
		return -EINVAL;
	if (view.bytes->top.version != COMMON_VERSION)
		return -EROFS;
	fs->home = view.bytes->top.home;
	fs->home_generation = view.bytes->top.home_generation;
	return 0;
}

static int common_mount(struct fs **out, struct fs_node **root, const struct fs_mount *how)
{
	struct common *fs = how->volume ? calloc(1, sizeof(*fs)) : NULL;
	int error;

	if (!fs)
		return how->volume ? -ENOMEM : -EINVAL;
	error = common_shares_parse(fs, how->options);
	if (!error)
		error = how->volume(how->device, how->read_only, &fs->volume);
	if (error) {
		free(fs);
		return error;
	}
	fs->fs.ops = &fs_common;
	fs->fs.read_only = how->read_only || !fs->volume->own;
	fs->now = how->now;
	fs->hint = 1;
	fs->seed = fs->volume->page->clock + (how->now ? (uint32_t)how->now().seconds : 0);
	common_device_begin(fs);
	fs->page = block_memory(fs->volume->device, 1);
	fs->fs.cache = fs->page ? cache_make(&fs->data, how->cache_pages ? how->cache_pages : CACHE_PAGES,
	    how->policy ? how->policy : &cache_2q) : NULL;
	error = fs->fs.cache ? find_home(fs) : -ENOMEM;
	if (!error && fs->shares)
		error = fs->volume->made ? common_shares_give(fs) : -EINVAL;
	if (!error && fs->volume->made)
		error = common_recover(fs);
	if (!error)
		error = common_get(fs, fs->home, fs->home_generation, root);
	if (!error && (*root)->kind != FS_DIRECTORY)
		error = -FS_EDAMAGED;
	if (error) {
		end(fs);
		return error;
	}
	*out = &fs->fs;
	return 0;
}

static int common_unmount(struct fs *base)
{
	struct common *fs = (struct common *)base;
	int error = common_sync(fs);

	if (error && !fs->loss_told) {
		fs->loss_told = true;
		return error;
	}
	end(fs);
	return 0;
}

static bool busy(struct fs *base, const struct fs_node *root)
{
	const struct common *fs = (const struct common *)base;

	for (unsigned i = 0; i < COMMON_HASH; i++)
		if (fs_held((const struct fs_node *)fs->hash[i], root))
			return true;
	return false;
}

static int sync_fs(struct fs *fs)
{
	return common_sync((struct common *)fs);
}

static bool unsaved_fs(struct fs *fs)
{
	return common_unsaved((struct common *)fs);
}

static int common_fsync(struct fs_node *node, bool data_only)
{
	(void)data_only;
	return common_sync(common_of(node));
}

static int common_space(struct fs *base, struct fs_space *space)
{
	struct common *fs = (struct common *)base;
	uint32_t blocks = fs->volume->blocks, free = 0, own = 0, left;
	unsigned share = common_share_of(fs, fs->volume->own_block);
	struct common_view view;

	for (uint32_t i = 0; i < blocks; i++) {
		bool is_free = !volume_is_owned(common_entry_of(fs, i));

		free += is_free;
		own += is_free && common_share_of(fs, i) == share;
	}
	left = common_share_left(fs, share) > 0 ? (uint32_t)common_share_left(fs, share) + own : own;
	*space = (struct fs_space){ .block_bytes = BLOCK_BYTES, .blocks = blocks, .blocks_free = free, .blocks_available = left < free ? left : free,
		.files = blocks, .files_free = left < free ? left : free, .name_max = FS_NAME_MAX };
	if (!common_view(fs, 0, COMMON_ROOT, &view))
		memcpy(space->label, view.bytes->top.name, sizeof(space->label) - 1);
	return 0;
}

const struct common_report *common_report(const struct fs *fs)
{
	return &((const struct common *)fs)->report;
}

const struct fs_ops fs_common = {
	.name = "common", .mount = common_mount, .unmount = common_unmount, .busy = busy, .sync = sync_fs, .unsaved = unsaved_fs,
	.space = common_space, .put = common_put, .attributes = common_attributes, .set = common_set, .lookup = common_lookup,
	.create = common_create, .link = common_link, .unlink = common_unlink, .rename = common_rename,
	.readdir = common_readdir, .parent = common_parent, .readlink = common_readlink, .read = common_read,
	.write = common_write, .truncate = common_truncate, .fsync = common_fsync, .page = common_page,
	.page_put = common_page_put,
};
