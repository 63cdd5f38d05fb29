/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tar archive in memory as a file system: read-only, and files stay where they lie.
 *
 * The archive is checked and indexed when it is mounted (tar.h). A node is made when it is looked up and goes with its
 * last hold; its number is that of the index and 1.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/fs/fs.h"
#include "libos/fs/tar.h"

struct tar_fs {
	struct fs fs;		/* first */
	struct tar tar;
	const struct tar_node *root;
	struct fs_node **nodes;	/* by index number; NULL: not in use */
	void *index;
};

static struct tar_fs *fs_of(const struct fs_node *node)
{
	return (struct tar_fs *)node->fs;
}

static const struct tar_node *of(const struct fs_node *node)
{
	return &fs_of(node)->tar.nodes[node->number - 1];
}

static uint8_t kind_of(const struct tar_node *node)
{
	return node->kind == TAR_DIRECTORY ? FS_DIRECTORY : node->kind == TAR_FILE ? FS_FILE : FS_SYMLINK;
}

static int get(struct tar_fs *fs, const struct tar_node *node, struct fs_node **out)
{
	struct fs_node **at = &fs->nodes[node - fs->tar.nodes];

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return -ENOMEM;
		**at = (struct fs_node){ .fs = &fs->fs, .number = (uint64_t)(node - fs->tar.nodes) + 1,
			.kind = kind_of(node) };
	}
	fs_hold(*at);
	*out = *at;
	return 0;
}

static void tar_fs_put(struct fs_node *node)
{
	fs_of(node)->nodes[node->number - 1] = NULL;
	free(node);
}

static void end(struct tar_fs *fs)
{
	free(fs->nodes);
	free(fs->index);
	free(fs);
}

static int tar_fs_mount(struct fs **out, struct fs_node **root, const struct fs_mount *how)
{
	struct tar_error wrong;
	size_t need = how->archive ? tar_need(how->archive, how->archive_bytes, &wrong) : 0;
	struct tar_fs *fs;
	enum tar_status status;
	int result = -ENOMEM;

	if (!need || (how->options && *how->options))
		return -EINVAL;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->fs = (struct fs){ .ops = &fs_tar, .read_only = true };
	fs->index = malloc(need);
	if (fs->index && tar_open(&fs->tar, how->archive, how->archive_bytes, fs->index, need, &wrong) == TAR_OK) {
		fs->nodes = calloc(fs->tar.count, sizeof(*fs->nodes));
		fs->root = how->archive_root ?
		    tar_find(&fs->tar, NULL, how->archive_root, strlen(how->archive_root), &status) : fs->tar.nodes;
		result = !fs->nodes ? -ENOMEM : !fs->root ? -ENOENT : fs->root->kind != TAR_DIRECTORY ? -ENOTDIR :
		    get(fs, fs->root, root);
	}
	if (result)
		end(fs);
	else
		*out = &fs->fs;
	return result;
}

static int tar_fs_unmount(struct fs *base)
{
	struct tar_fs *fs = (struct tar_fs *)base;

	free(fs->nodes[fs->root - fs->tar.nodes]);
	end(fs);
	return 0;
}

static bool tar_fs_busy(struct fs *base, const struct fs_node *root)
{
	const struct tar_fs *fs = (const struct tar_fs *)base;

	for (uint32_t i = 0; i < fs->tar.count; i++)
		if (fs->nodes[i] && fs->nodes[i]->holds > (fs->nodes[i] == root))
			return true;
	return false;
}

static int tar_fs_sync(struct fs *fs)
{
	(void)fs;
	return 0;
}

static int tar_fs_space(struct fs *base, struct fs_space *space)
{
	const struct tar_fs *fs = (struct tar_fs *)base;

	*space = (struct fs_space){ .block_bytes = 512, .blocks = fs->tar.bytes / 512, .files = fs->tar.count,
		.name_max = TAR_COMPONENT_MAX };
	return 0;
}

static int tar_fs_attributes(struct fs_node *base, struct fs_attributes *out)
{
	const struct tar_node *node = of(base);
	const struct fs_time time = { .seconds = node->mtime };

	*out = (struct fs_attributes){ .number = base->number, .kind = base->kind, .mode = node->mode & 07777, .links = 1,
		.bytes = node->size, .blocks = (node->size + 511) / 512, .accessed = time, .modified = time,
		.changed = time };
	return 0;
}

static int tar_fs_set(struct fs_node *node, const struct fs_attributes *attributes, unsigned which)
{
	(void)node;
	(void)attributes;
	(void)which;
	return -EROFS;
}

static int tar_fs_lookup(struct fs_node *directory, const char *name, size_t bytes, struct fs_node **out)
{
	const struct tar_node *node;

	if (directory->kind != FS_DIRECTORY)
		return -ENOTDIR;
	node = tar_lookup(&fs_of(directory)->tar, of(directory), name, bytes);
	return node ? get(fs_of(directory), node, out) : bytes > FS_NAME_MAX ? -ENAMETOOLONG : -ENOENT;
}

static int tar_fs_create(struct fs_node *directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct fs_node **node)
{
	(void)directory;
	(void)name;
	(void)bytes;
	(void)how;
	(void)target;
	(void)node;
	return -EROFS;
}

static int tar_fs_link(struct fs_node *directory, const char *name, size_t bytes, struct fs_node *node)
{
	(void)directory;
	(void)name;
	(void)bytes;
	(void)node;
	return -EROFS;
}

static int tar_fs_unlink(struct fs_node *directory, const char *name, size_t bytes, bool directory_too)
{
	(void)directory;
	(void)name;
	(void)bytes;
	(void)directory_too;
	return -EROFS;
}

static int tar_fs_rename(struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to, const char *name,
    size_t bytes)
{
	(void)from;
	(void)old;
	(void)old_bytes;
	(void)to;
	(void)name;
	(void)bytes;
	return -EROFS;
}

/* The cursor is the number in the index of the last entry given. */
static int tar_fs_readdir(struct fs_node *directory, uint64_t *cursor, struct fs_entry *entry)
{
	const struct tar_fs *fs = fs_of(directory);
	const struct tar_node *node;

	if (directory->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (*cursor >= fs->tar.count)
		return -EINVAL;
	node = *cursor ? tar_next(&fs->tar, &fs->tar.nodes[*cursor]) : tar_first(&fs->tar, of(directory));
	if (!node)
		return 0;
	*cursor = (uint64_t)(node - fs->tar.nodes);
	entry->number = *cursor + 1;
	entry->kind = kind_of(node);
	entry->bytes = node->name_len;
	memcpy(entry->name, node->name, node->name_len);
	entry->name[node->name_len] = '\0';
	return 1;
}

static int tar_fs_parent(struct fs_node *directory, struct fs_node **parent)
{
	struct tar_fs *fs = fs_of(directory);
	const struct tar_node *node = of(directory);

	return get(fs, node == fs->root ? node : &fs->tar.nodes[node->parent], parent);
}

static int64_t tar_fs_read(struct fs_node *base, uint64_t at, void *memory, size_t bytes)
{
	const struct tar_node *node = of(base);

	if (base->kind != FS_FILE)
		return base->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	if (at >= node->size)
		return 0;
	if (bytes > node->size - at)
		bytes = (size_t)(node->size - at);
	memcpy(memory, (const char *)node->data + at, bytes);
	return (int64_t)bytes;
}

static int tar_fs_readlink(struct fs_node *base, char *target, size_t bytes)
{
	const struct tar_node *node = of(base);

	if (base->kind != FS_SYMLINK)
		return -EINVAL;
	if (bytes > node->size)
		bytes = (size_t)node->size;
	memcpy(target, node->data, bytes);
	return (int)bytes;
}

static int64_t tar_fs_write(struct fs_node *node, uint64_t at, const void *memory, size_t bytes)
{
	(void)node;
	(void)at;
	(void)memory;
	(void)bytes;
	return -EROFS;
}

static int tar_fs_truncate(struct fs_node *node, uint64_t bytes)
{
	(void)node;
	(void)bytes;
	return -EROFS;
}

static int tar_fs_fsync(struct fs_node *node, bool data_only)
{
	(void)node;
	(void)data_only;
	return 0;
}

/* Files do not lie at pages: see tar_fs_direct. */
static int tar_fs_page(struct fs_node *node, uint64_t at, bool write, struct buffer **page)
{
	(void)node;
	(void)at;
	(void)write;
	(void)page;
	return -ENODEV;
}

static void tar_fs_page_put(struct fs_node *node, struct buffer *page, bool changed)
{
	(void)node;
	(void)page;
	(void)changed;
}

static const void *tar_fs_direct(struct fs_node *base, uint64_t *bytes)
{
	const struct tar_node *node = of(base);

	if (base->kind != FS_FILE)
		return NULL;
	*bytes = node->size;
	return node->data;
}

const struct fs_ops fs_tar = {
	.name = "tar", .mount = tar_fs_mount, .unmount = tar_fs_unmount, .busy = tar_fs_busy, .sync = tar_fs_sync, .space = tar_fs_space,
	.put = tar_fs_put, .attributes = tar_fs_attributes, .set = tar_fs_set, .lookup = tar_fs_lookup,
	.create = tar_fs_create, .link = tar_fs_link, .unlink = tar_fs_unlink, .rename = tar_fs_rename,
	.readdir = tar_fs_readdir, .parent = tar_fs_parent, .readlink = tar_fs_readlink, .read = tar_fs_read,
	.write = tar_fs_write, .truncate = tar_fs_truncate, .fsync = tar_fs_fsync, .page = tar_fs_page,
	.page_put = tar_fs_page_put, .direct = tar_fs_direct,
};
