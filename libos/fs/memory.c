/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system in memory alone.
 *
 * All names of the file system are in one hash by directory and name; those of a directory are also a list in order of
 * their coming, each with a number (`cookie`) that readdir's cursor remembers. Nodes that go are used again. The
 * contents of files: memory_file.c.
 *
 * Options: "size=N" with K, M or G behind it: bytes of pages at most; else until malloc has no more.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/fs/memory_fs.h"

/* --- nodes and names ------------------------------------------------------------------------------------ */

static struct mem_node *node_make(struct mem_fs *fs, const struct fs_attributes *how)
{
	struct mem_node *node = fs->free_nodes;

	if (node)
		fs->free_nodes = (struct mem_node *)node->node.hash_next;
	else if (!(node = malloc(sizeof(*node))))
		return NULL;
	memset(node, 0, sizeof(*node));
	node->node.fs = &fs->fs;
	node->node.number = ++fs->number;
	node->node.kind = how->kind;
	node->mode = how->mode;
	node->uid = how->uid;
	node->gid = how->gid;
	node->device = how->device;
	node->accessed = node->modified = node->changed = fs->now();
	fs->nodes++;
	return node;
}

static void node_end(struct mem_node *node)
{
	struct mem_fs *fs = fs_of(node);

	if (node->node.kind == FS_FILE)
		memory_cut(node, 0);
	else if (node->node.kind == FS_SYMLINK)
		free(node->target);
	fs->nodes--;
	node->node.hash_next = (struct fs_node *)fs->free_nodes;
	fs->free_nodes = node;
}

static void memory_put(struct fs_node *node)
{
	if (of(node)->links)
		return;
	fs_of(of(node))->orphans--;
	node_end(of(node));
}

static uint32_t hash_of(const struct mem_node *directory, const char *name, size_t bytes)
{
	uint32_t hash = (uint32_t)directory->node.number;

	while (bytes--)
		hash = (hash ^ (uint8_t)*name++) * 16777619u;
	return hash ^ hash >> 15;
}

static struct mem_entry *find(struct mem_node *directory, const char *name, size_t bytes, uint32_t hash)
{
	struct mem_fs *fs = fs_of(directory);
	struct mem_entry *entry = fs->hash[hash & fs->hash_mask];

	while (entry && (entry->hash != hash || entry->directory != directory || entry->bytes != bytes ||
	    memcmp(entry->name, name, bytes)))
		entry = entry->hash_next;
	return entry;
}

static struct mem_entry *find_name(struct mem_node *directory, const char *name, size_t bytes)
{
	return find(directory, name, bytes, hash_of(directory, name, bytes));
}

/* Twice as many chains; if there is no memory, longer ones do. */
static void hash_grow(struct mem_fs *fs)
{
	uint32_t size = (fs->hash_mask + 1) * 2;
	struct mem_entry **larger = calloc(size, sizeof(*larger)), *entry;

	if (!larger)
		return;
	for (uint32_t i = 0; i <= fs->hash_mask; i++)
		while ((entry = fs->hash[i])) {
			struct mem_entry **chain = &larger[entry->hash & (size - 1)];

			fs->hash[i] = entry->hash_next;
			entry->hash_next = *chain;
			*chain = entry;
		}
	free(fs->hash);
	fs->hash = larger;
	fs->hash_mask = size - 1;
}

static void touch(struct mem_node *directory)
{
	directory->modified = directory->changed = fs_of(directory)->now();
}

/* Put an entry in force; its node, directory and name are set. */
static void entry_link(struct mem_entry *entry)
{
	struct mem_node *directory = entry->directory;
	struct mem_fs *fs = fs_of(directory);
	struct mem_entry **chain;

	if (++fs->entries > fs->hash_mask)
		hash_grow(fs);
	chain = &fs->hash[entry->hash & fs->hash_mask];
	entry->hash_next = *chain;
	*chain = entry;
	entry->cookie = ++directory->dir.cookies;
	entry->next = NULL;
	entry->prev = directory->dir.last;
	*(entry->prev ? &entry->prev->next : &directory->dir.first) = entry;
	directory->dir.last = entry;
	directory->bytes += entry->bytes + 16;
	entry->node->links++;
	if (entry->node->node.kind == FS_DIRECTORY) {
		directory->links++;
		entry->node->dir.parent = directory;
	}
	touch(directory);
}

static void entry_unlink(struct mem_entry *entry)
{
	struct mem_node *directory = entry->directory, *node = entry->node;
	struct mem_fs *fs = fs_of(directory);
	struct mem_entry **chain = &fs->hash[entry->hash & fs->hash_mask];

	while (*chain != entry)
		chain = &(*chain)->hash_next;
	*chain = entry->hash_next;
	if (directory->dir.hint == entry)
		directory->dir.hint = entry->prev;
	*(entry->prev ? &entry->prev->next : &directory->dir.first) = entry->next;
	*(entry->next ? &entry->next->prev : &directory->dir.last) = entry->prev;
	fs->entries--;
	directory->bytes -= entry->bytes + 16u;
	node->links--;
	if (node->node.kind == FS_DIRECTORY)
		directory->links--;
	touch(directory);
	node->changed = directory->changed;
}

/* The last name of a node may have gone. */
static void node_maybe_end(struct mem_node *node)
{
	if (node->node.kind == FS_DIRECTORY && node->links == 1) {
		node->links = 0;
		node->dir.parent = NULL;
	}
	if (node->links)
		return;
	if (node->node.holds)
		fs_of(node)->orphans++;
	else
		node_end(node);
}

static struct mem_entry *entry_make(struct mem_node *directory, const char *name, size_t bytes, struct mem_node *node)
{
	struct mem_entry *entry = malloc(sizeof(*entry) + bytes);

	if (!entry)
		return NULL;
	entry->directory = directory;
	entry->node = node;
	entry->hash = hash_of(directory, name, bytes);
	entry->bytes = (uint8_t)bytes;
	memcpy(entry->name, name, bytes);
	return entry;
}

/* --- operations on names -------------------------------------------------------------------------------- */

static int memory_lookup(struct fs_node *directory, const char *name, size_t bytes, struct fs_node **node)
{
	struct mem_entry *entry;

	if (directory->kind != FS_DIRECTORY)
		return -ENOTDIR;
	entry = find_name(of(directory), name, bytes);
	if (!entry)
		return bytes > FS_NAME_MAX ? -ENAMETOOLONG : -ENOENT;
	*node = &entry->node->node;
	fs_hold(*node);
	return 0;
}

/* May a name be made there? */
static int new_name(struct mem_node *directory, const char *name, size_t bytes)
{
	if (directory->node.kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (bytes > FS_NAME_MAX)
		return -ENAMETOOLONG;
	if (!directory->links)
		return -ENOENT;
	return find_name(directory, name, bytes) ? -EEXIST : 0;
}

static bool has_room(const struct mem_fs *fs)
{
	return !fs->room || fs->room();
}

static int memory_create(struct fs_node *directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct fs_node **out)
{
	int result = new_name(of(directory), name, bytes);
	bool room = result || has_room(fs_of(of(directory)));
	struct mem_node *node = result || !room ? NULL : node_make(fs_of(of(directory)), how);
	struct mem_entry *entry = node ? entry_make(of(directory), name, bytes, node) : NULL;

	if (result)
		return result;
	if (entry && how->kind == FS_SYMLINK) {
		node->bytes = strlen(target);
		node->target = strdup(target);
	}
	if (!entry || (how->kind == FS_SYMLINK && !node->target)) {
		free(entry);
		if (node)
			node_end(node);
		return -ENOSPC;
	}
	if (how->kind == FS_DIRECTORY)
		node->links = 1;	/* its "." */
	entry_link(entry);
	node->node.holds = 1;
	*out = &node->node;
	return 0;
}

static int memory_link(struct fs_node *directory, const char *name, size_t bytes, struct fs_node *node)
{
	int result = new_name(of(directory), name, bytes);
	struct mem_entry *entry;

	if (result)
		return result;
	if (node->kind == FS_DIRECTORY)
		return -EPERM;
	if (!of(node)->links)
		return -ENOENT;
	entry = has_room(fs_of(of(directory))) ? entry_make(of(directory), name, bytes, of(node)) : NULL;
	if (!entry)
		return -ENOSPC;
	entry_link(entry);
	of(node)->changed = fs_of(of(node))->now();
	return 0;
}

static int memory_unlink(struct fs_node *directory, const char *name, size_t bytes, bool directory_too)
{
	struct mem_entry *entry;
	struct mem_node *node;

	if (directory->kind != FS_DIRECTORY)
		return -ENOTDIR;
	entry = find_name(of(directory), name, bytes);
	if (!entry)
		return bytes > FS_NAME_MAX ? -ENAMETOOLONG : -ENOENT;
	node = entry->node;
	if (node->node.kind == FS_DIRECTORY && !directory_too)
		return -EISDIR;
	if (node->node.kind != FS_DIRECTORY && directory_too)
		return -ENOTDIR;
	if (directory_too && node->dir.first)
		return -ENOTEMPTY;
	entry_unlink(entry);
	free(entry);
	node_maybe_end(node);
	return 0;
}

static int memory_rename(struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to, const char *name,
    size_t bytes)
{
	struct mem_entry *entry, *victim, *fresh;
	int result = from->kind == FS_DIRECTORY ? new_name(of(to), name, bytes) : -ENOTDIR;
	struct mem_node *node, *gone;

	entry = result == -ENOTDIR ? NULL : find_name(of(from), old, old_bytes);
	if (result == -ENOTDIR)
		return result;
	if (!entry)
		return old_bytes > FS_NAME_MAX ? -ENAMETOOLONG : -ENOENT;
	if (result && result != -EEXIST)
		return result;
	victim = result ? find_name(of(to), name, bytes) : NULL;
	node = entry->node;
	gone = victim ? victim->node : NULL;
	if (gone == node)
		return 0;
	if (gone && gone->node.kind == FS_DIRECTORY && node->node.kind != FS_DIRECTORY)
		return -EISDIR;
	if (gone && gone->node.kind != FS_DIRECTORY && node->node.kind == FS_DIRECTORY)
		return -ENOTDIR;
	if (gone && gone->node.kind == FS_DIRECTORY && gone->dir.first)
		return -ENOTEMPTY;
	fresh = entry_make(of(to), name, bytes, node);
	if (!fresh)
		return -ENOSPC;
	if (victim) {
		entry_unlink(victim);
		free(victim);
		node_maybe_end(gone);
	}
	entry_unlink(entry);
	free(entry);
	entry_link(fresh);
	return 0;
}

static int memory_readdir(struct fs_node *directory, uint64_t *cursor, struct fs_entry *out)
{
	struct mem_node *node = of(directory);
	struct mem_entry *entry = node->dir.hint;

	if (directory->kind != FS_DIRECTORY)
		return -ENOTDIR;
	memory_was_read(node);
	if (!entry || entry->cookie > *cursor)
		entry = node->dir.first;
	while (entry && entry->cookie <= *cursor)
		entry = entry->next;
	if (!entry)
		return 0;
	node->dir.hint = entry;
	*cursor = entry->cookie;
	out->number = entry->node->node.number;
	out->kind = entry->node->node.kind;
	out->bytes = entry->bytes;
	memcpy(out->name, entry->name, entry->bytes);
	out->name[entry->bytes] = '\0';
	return 1;
}

static int memory_parent(struct fs_node *directory, struct fs_node **parent)
{
	struct mem_node *above = of(directory)->dir.parent;

	if (!above)
		return -ENOENT;
	*parent = &above->node;
	fs_hold(*parent);
	return 0;
}

static int memory_readlink(struct fs_node *node, char *target, size_t bytes)
{
	size_t length = (size_t)of(node)->bytes;

	if (node->kind != FS_SYMLINK)
		return -EINVAL;
	if (length > bytes)
		length = bytes;
	memcpy(target, of(node)->target, length);
	memory_was_read(of(node));
	return (int)length;
}

/* --- operations on files -------------------------------------------------------------------------------- */

static int memory_attributes(struct fs_node *node, struct fs_attributes *out)
{
	const struct mem_node *mem = of(node);

	*out = (struct fs_attributes){ .number = node->number, .kind = node->kind, .mode = mem->mode, .links = mem->links,
		.uid = mem->uid, .gid = mem->gid, .bytes = mem->bytes, .blocks = mem->pages * (BLOCK_BYTES / 512),
		.accessed = mem->accessed, .modified = mem->modified, .changed = mem->changed, .device = mem->device };
	return 0;
}

static int memory_set(struct fs_node *node, const struct fs_attributes *to, unsigned which)
{
	struct mem_node *mem = of(node);

	if (which & FS_SET_MODE)
		mem->mode = to->mode;
	if (which & FS_SET_UID)
		mem->uid = to->uid;
	if (which & FS_SET_GID)
		mem->gid = to->gid;
	if (which & FS_SET_ACCESSED)
		mem->accessed = to->accessed;
	if (which & FS_SET_MODIFIED)
		mem->modified = to->modified;
	if (fs_set_changes(which))
		mem->changed = fs_of(mem)->now();
	return 0;
}

static int memory_fsync(struct fs_node *node, bool data_only)
{
	(void)node;
	(void)data_only;
	return 0;
}

/* --- the file system ------------------------------------------------------------------------------------ */

static bool parse_size(const char *option, uint64_t *bytes)
{
	char *end;

	if (strncmp(option, "size=", 5) || option[5] < '0' || option[5] > '9')
		return false;
	*bytes = strtoull(option + 5, &end, 10);
	if (*end == 'K' || *end == 'M' || *end == 'G')
		*bytes <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 30;
	else if (*end)
		return false;
	return !*end || !end[1];
}

static struct fs_time no_time(void)
{
	return (struct fs_time){ 0, 0 };
}

static void *own_pages(uint32_t pages)
{
	return aligned_alloc(BLOCK_BYTES, (size_t)pages * BLOCK_BYTES);
}

static void own_pages_free(void *memory, uint32_t pages)
{
	(void)pages;
	free(memory);
}

static int memory_mount(struct fs **out, struct fs_node **root, const struct fs_mount *how)
{
	struct fs_attributes attributes = { .kind = FS_DIRECTORY, .mode = 0755 };
	uint64_t bytes = UINT64_MAX;
	struct mem_fs *fs;

	if (how->options && *how->options && !parse_size(how->options, &bytes))
		return -EINVAL;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->fs = (struct fs){ .ops = &fs_memory, .read_only = how->read_only };
	fs->now = how->now ? how->now : no_time;
	fs->pages = how->pages ? how->pages : own_pages;
	fs->pages_free = how->pages ? how->pages_free : own_pages_free;
	fs->room = how->room;
	fs->pages_max = bytes / BLOCK_BYTES;
	fs->hash_mask = 63;
	fs->hash = calloc(fs->hash_mask + 1, sizeof(*fs->hash));
	fs->root = fs->hash ? node_make(fs, &attributes) : NULL;
	if (!fs->root) {
		free(fs->hash);
		free(fs);
		return -ENOMEM;
	}
	fs->root->links = 2;
	fs->root->dir.parent = fs->root;
	fs->root->node.holds = 1;
	*out = &fs->fs;
	*root = &fs->root->node;
	return 0;
}

static int memory_unmount(struct fs *base)
{
	struct mem_fs *fs = (struct mem_fs *)base;
	struct mem_node *node;

	for (uint32_t i = 0; i <= fs->hash_mask; i++) {
		struct mem_entry *entry, *next;

		for (entry = fs->hash[i]; entry; entry = next) {
			next = entry->hash_next;
			if (entry->node->node.kind == FS_DIRECTORY || !--entry->node->links)
				node_end(entry->node);
			free(entry);
		}
	}
	node_end(fs->root);
	while ((node = fs->free_nodes)) {
		fs->free_nodes = (struct mem_node *)node->node.hash_next;
		free(node);
	}
	for (uint32_t i = 0; i < fs->chunk_count; i++)
		fs->pages_free(fs->chunks[i], MEMORY_CHUNK);
	free(fs->chunks);
	free(fs->hash);
	free(fs);
	return 0;
}

static bool memory_busy(struct fs *base, const struct fs_node *root)
{
	const struct mem_fs *fs = (const struct mem_fs *)base;

	for (uint32_t i = 0; i <= fs->hash_mask; i++)
		for (const struct mem_entry *entry = fs->hash[i]; entry; entry = entry->hash_next)
			if (entry->node->node.holds)
				return true;
	return fs->orphans || root->holds > 1;
}

static int memory_sync(struct fs *fs)
{
	(void)fs;
	return 0;
}

static int memory_space(struct fs *base, struct fs_space *space)
{
	const struct mem_fs *fs = (struct mem_fs *)base;
	uint64_t blocks = fs->pages_max < MEMORY_PAGES_MAX ? fs->pages_max : MEMORY_PAGES_MAX;

	*space = (struct fs_space){ .block_bytes = BLOCK_BYTES, .blocks = blocks, .blocks_free = blocks - fs->pages_used,
		.blocks_available = blocks - fs->pages_used, .files = fs->nodes, .files_free = UINT32_MAX,
		.name_max = FS_NAME_MAX };
	return 0;
}

const struct fs_ops fs_memory = {
	.name = "memory", .mount = memory_mount, .unmount = memory_unmount, .busy = memory_busy, .sync = memory_sync, .space = memory_space,
	.put = memory_put, .attributes = memory_attributes, .set = memory_set, .lookup = memory_lookup,
	.create = memory_create, .link = memory_link, .unlink = memory_unlink, .rename = memory_rename,
	.readdir = memory_readdir, .parent = memory_parent, .readlink = memory_readlink, .read = memory_read,
	.write = memory_write, .truncate = memory_truncate, .fsync = memory_fsync, .page = memory_page,
	.page_put = memory_page_put,
};
