/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounting a cofs, and what concerns all of it. Of the two superblocks the valid one with the higher generation counts;
 * then the log is replayed, and if there was something in it, or the other superblock is behind, a commit makes both good.
 */
#include <stdlib.h>
#include "libos/fs/cofs_private.h"

static bool is_ours(const struct cofs_super *super)
{
	return super->magic == COFS_MAGIC;
}

int cofs_super_check(const struct cofs_super *super, const struct block_device *device)
{
	uint32_t chunks, indexes, fixed, log_blocks;

	if (!is_ours(super))
		return -EINVAL;
	if (cofs_sum(super, offsetof(struct cofs_super, sum)) != super->sum)
		return -FS_EDAMAGED;
	if (super->version != COFS_VERSION || super->features)
		return -EINVAL;
	if (super->blocks < COFS_BLOCKS_MIN || super->blocks > COFS_BLOCKS_MAX || super->blocks > device->blocks)
		return -FS_EDAMAGED;
	cofs_space_layout(super->blocks, &chunks, &indexes, &fixed, &log_blocks);
	if (super->log_first != fixed - log_blocks || super->log_blocks != log_blocks || super->root < fixed ||
	    super->root >= super->blocks - 1 || !super->levels || super->levels > COFS_LEVELS || !super->root_sum ||
	    !super->generation || super->group_next < 2 || super->group_next > COFS_GROUP_MAX + 1 ||
	    super->label[sizeof(super->label) - 1])
		return -FS_EDAMAGED;
	return 0;
}

/* fs->super, and whether the other one is as good. */
static int supers_read(struct cofs *fs, bool *both)
{
	struct cofs_super *super = (struct cofs_super *)fs->scratch;
	int first = block_read(fs->device, 0, 1, super), second;

	if (!first)
		first = cofs_super_check(super, fs->device);
	if (!first)
		fs->super = *super;
	second = block_read(fs->device, (first ? fs->device->blocks : fs->super.blocks) - 1, 1, super);
	if (!second)
		second = cofs_super_check(super, fs->device);
	*both = !first && !second && super->generation == fs->super.generation;
	if (!second && (first || super->generation > fs->super.generation))
		fs->super = *super;
	if (!first || !second)
		return 0;
	return first == -EINVAL && second != -EIO ? second : first;
}

static int option(struct cofs *fs, const char *word, size_t bytes)
{
	int64_t seconds = 0;

	if (!bytes)
		return 0;
	if (bytes < 8 || memcmp(word, "commit=", 7))
		return -EINVAL;
	for (size_t i = 7; i < bytes; i++) {
		if (word[i] < '0' || word[i] > '9' || seconds > 600)
			return -EINVAL;
		seconds = seconds * 10 + word[i] - '0';
	}
	if (!seconds || seconds > 600)
		return -EINVAL;
	fs->commit_seconds = seconds;
	return 0;
}

static int options(struct cofs *fs, const char *words)
{
	int error = 0;

	fs->commit_seconds = 5;
	while (words && *words && !error) {
		size_t bytes = strcspn(words, ",");

		error = option(fs, words, bytes);
		words += bytes;
		words += *words == ',';
	}
	return error;
}

static int memory(struct cofs *fs, const struct fs_mount *how)
{
	fs->scratch = block_memory(fs->device, 1);
	fs->log = block_memory(fs->device, COFS_RECORD_BLOCKS);
	fs->node_mask = 1023;
	fs->nodes = calloc(fs->node_mask + 1, sizeof(*fs->nodes));
	if (!fs->scratch || !fs->log || !fs->nodes)
		return -ENOMEM;
	return cofs_pool_make(fs, how->cache_pages ? how->cache_pages : COFS_PAGES, how->policy ? how->policy : &cache_2q);
}

void cofs_end(struct cofs *fs)
{
	(void)cofs_io_wait_all(fs);
	cofs_nodes_end(fs);
	cofs_space_end(fs);
	cofs_pool_end(fs);
	if (fs->scratch)
		block_memory_free(fs->device, fs->scratch, 1);
	if (fs->log)
		block_memory_free(fs->device, fs->log, COFS_RECORD_BLOCKS);
	free(fs);
}

static int load(struct cofs *fs, struct fs_node **root)
{
	struct cofs_node *node;
	uint32_t log_blocks;
	bool both;
	int error = supers_read(fs, &both);

	if (error)
		return error;
	cofs_space_layout(fs->super.blocks, &fs->chunks, &fs->indexes, &fs->fixed, &log_blocks);
	fs->levels = fs->super.levels;
	fs->files = fs->super.files;
	cofs_log_reset(fs);
	error = cofs_space_load(fs);
	if (error && (!fs->fs.read_only || error == -ENOMEM))
		return error;
	error = cofs_replay(fs);
	if (error)
		return error;
	(void)cofs_now(fs);
	fs->committed = fs->clock;
	if (!fs->fs.read_only && (fs->replayed || !both)) {
		fs->log_over = true;
		error = cofs_commit(fs);
		if (error)
			return error;
	}
	fs->orphans = !fs->fs.read_only;
	error = cofs_node_get(fs, COFS_ROOT, &node);
	if (error)
		return error == -ENOENT ? -FS_EDAMAGED : error;
	if (node->node.kind != FS_DIRECTORY)
		return -FS_EDAMAGED;
	*root = &node->node;
	return 0;
}

int cofs_mount(struct cofs **mounted, struct fs_node **root, const struct fs_mount *how)
{
	struct cofs *fs;
	int error;

	if (!how->device || how->device->blocks < COFS_BLOCKS_MIN)
		return -EINVAL;
	if (how->device->flags & BLOCK_READ_ONLY && !how->read_only)
		return -EROFS;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->fs.ops = &fs_cofs;
	fs->fs.read_only = how->read_only;
	fs->device = how->device;
	fs->time = how->now;
	error = options(fs, how->options);
	if (!error)
		error = memory(fs, how);
	if (!error)
		error = load(fs, root);
	if (error)
		cofs_end(fs);
	else
		*mounted = fs;
	return error;
}

static int mount(struct fs **mounted, struct fs_node **root, const struct fs_mount *how)
{
	struct cofs *fs;
	int error = cofs_mount(&fs, root, how);

	if (!error)
		*mounted = &fs->fs;
	return error;
}

static int unmount(struct fs *mounted)
{
	struct cofs *fs = cofs_of(mounted);
	bool told = fs->loss_told;
	int error = told && fs->wrecked ? 0 : cofs_commit(fs);

	if (error && !told) {
		fs->loss_told = fs->wrecked || error == -FS_EDAMAGED || error == -EIO;
		return error;
	}
	cofs_end(fs);
	return 0;
}

static int sync(struct fs *fs)
{
	return cofs_commit(cofs_of(fs));
}

static bool unsaved(struct fs *fs)
{
	return !fs->read_only && !cofs_of(fs)->wrecked && cofs_changed(cofs_of(fs));
}

static int fsync(struct fs_node *node, bool data_only)
{
	(void)data_only;
	return cofs_stable(cofs_owner(cofs_node_of(node)));
}

static int space(struct fs *mounted, struct fs_space *space)
{
	struct cofs *fs = cofs_of(mounted);
	uint64_t keep = COFS_KEEP + 64 + fs->dirty_page_count;

	memset(space, 0, sizeof(*space));
	space->block_bytes = BLOCK_BYTES;
	space->blocks = fs->super.blocks - fs->fixed - 1;
	space->blocks_free = fs->free_total;
	space->blocks_available = fs->free_total > keep ? fs->free_total - keep : 0;
	space->files = space->blocks * 16;
	space->files_free = space->blocks_available * 16;
	space->name_max = FS_NAME_MAX;
	memcpy(space->label, fs->super.label, sizeof(space->label));
	return 0;
}

static int attributes(struct fs_node *fs_node, struct fs_attributes *attributes)
{
	const struct cofs_node *node = cofs_node_of(fs_node);
	const struct cofs_inode *inode = &node->inode;
	bool device = inode->kind == FS_CHARACTER || inode->kind == FS_BLOCK;

	*attributes = (struct fs_attributes){
		.number = fs_node->number, .kind = inode->kind, .mode = inode->mode, .links = inode->links,
		.uid = inode->uid, .gid = inode->gid, .bytes = inode->bytes,
		.blocks = (inode->blocks + node->dirty_count) * (BLOCK_BYTES / 512),
		.accessed = { inode->accessed, inode->accessed_ns }, .modified = { inode->modified, inode->modified_ns },
		.changed = { inode->changed, inode->changed_ns }, .device = device ? inode->device_or_parent : 0,
	};
	return 0;
}

static int set(struct fs_node *fs_node, const struct fs_attributes *new, unsigned which)
{
	struct cofs_node *node = cofs_node_of(fs_node);
	struct cofs_inode *inode = &node->inode;
	struct cofs *fs = cofs_owner(node);
	int error;

	if ((which & FS_SET_ACCESSED && new->accessed.nanoseconds > 999999999) ||
	    (which & FS_SET_MODIFIED && new->modified.nanoseconds > 999999999))
		return -EINVAL;
	error = cofs_begin(fs, 2, 0, true);
	if (error)
		return error;
	if (fs_set_changes(which))
		cofs_touch(fs, node, false);
	else
		cofs_node_changed(fs, node);
	if (which & FS_SET_MODE)
		inode->mode = new->mode & 07777;
	if (which & FS_SET_UID)
		inode->uid = new->uid;
	if (which & FS_SET_GID)
		inode->gid = new->gid;
	if (which & FS_SET_ACCESSED) {
		inode->accessed = new->accessed.seconds;
		inode->accessed_ns = new->accessed.nanoseconds;
	}
	if (which & FS_SET_MODIFIED) {
		inode->modified = new->modified.seconds;
		inode->modified_ns = new->modified.nanoseconds;
	}
	return 0;
}

void cofs_counts(const struct fs *mounted, struct cofs_counts *counts)
{
	const struct cofs *fs = (const struct cofs *)mounted;

	*counts = fs->counts;
	counts->dirty_pages = fs->dirty_page_count;
	counts->dirty_nodes = fs->dirty_tree_count;
	counts->pages = fs->page_count;
}

const struct fs_ops fs_cofs = {
	.name = "cofs", .mount = mount, .unmount = unmount, .busy = cofs_busy, .sync = sync, .unsaved = unsaved, .space = space,
	.put = cofs_node_put, .attributes = attributes, .set = set, .lookup = cofs_lookup, .create = cofs_create, .link = cofs_link,
	.unlink = cofs_unlink, .rename = cofs_rename, .readdir = cofs_readdir, .parent = cofs_parent,
	.readlink = cofs_readlink, .read = cofs_read, .write = cofs_write, .truncate = cofs_truncate, .fsync = fsync,
	.page = cofs_page, .page_put = cofs_page_put, .ahead = cofs_ahead, .clone = cofs_clone,
};
