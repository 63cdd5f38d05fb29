/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories of a cofs: names are items with the directory's number, in the order of their hashes, so that a name is
 * found in one search however many there are, and a cursor stays good while names come and go. Names with equal hashes
 * are told apart by 8 bits more. A new file's number follows its directory's, and so lies its inode, and its data if it
 * is small, beside its siblings' in the tree.
 */
#include "libos/fs/cofs_private.h"

int cofs_entry_read(const struct cofs_item *item, struct cofs_found *found, const char **name, size_t *bytes)
{
	if (item->bytes <= COFS_NAME_HEAD || item->bytes > COFS_NAME_HEAD + FS_NAME_MAX)
		return -FS_EDAMAGED;
	found->key = item->key;
	memcpy(&found->number, item->data, sizeof(found->number));
	found->kind = item->data[8];
	*name = (const char *)item->data + COFS_NAME_HEAD;
	*bytes = item->bytes - COFS_NAME_HEAD;
	if (!found->number || found->number > COFS_OFFSET_MAX || found->kind < FS_FILE || found->kind > FS_BLOCK ||
	    memchr(*name, 0, *bytes) || memchr(*name, '/', *bytes) || (*bytes == 1 && **name == '.') ||
	    (*bytes == 2 && (*name)[0] == '.' && (*name)[1] == '.'))
		return -FS_EDAMAGED;
	return 0;
}

static int search(struct cofs *fs, struct cofs_node *directory, const char *name, size_t bytes,
    struct cofs_found *found)
{
	uint64_t hash = cofs_name_hash(fs->super.seed, name, bytes) << 8, unused = hash;
	struct cofs_key key = cofs_key(directory->node.number, COFS_NAME, hash);

	for (;;) {
		struct cofs_item item;
		const char *other;
		size_t other_bytes;
		int error = cofs_tree_next(fs, key, &item);

		if (error && error != -ENOENT)
			return error;
		if (error || item.key.object != key.object || item.key.word >> 8 != key.word >> 8)
			break;
		error = cofs_entry_read(&item, found, &other, &other_bytes);
		if (error)
			return error;
		if (other_bytes == bytes && !memcmp(other, name, bytes))
			return 0;
		if (cofs_key_offset(item.key) == unused)
			unused++;
		if ((item.key.word & 255) == 255)
			break;
		key.word = item.key.word + 1;
	}
	found->key = cofs_key(directory->node.number, COFS_NAME, unused);
	return unused >> 8 == hash >> 8 ? -ENOENT : -ENOSPC;
}

/* A name is looked for twice in a row, mostly: by who resolves a path, and by the operation then. */
int cofs_name_find(struct cofs *fs, struct cofs_node *directory, const char *name, size_t bytes,
    struct cofs_found *found)
{
	struct cofs_last *last = &fs->last;

	if (last->names != fs->names || last->directory != directory->node.number || last->bytes != bytes ||
	    memcmp(last->name, name, bytes)) {
		last->error = search(fs, directory, name, bytes, &last->found);
		if (last->error && last->error != -ENOENT) {
			last->directory = 0;
			return last->error;
		}
		last->names = fs->names;
		last->directory = directory->node.number;
		last->bytes = bytes;
		memcpy(last->name, name, bytes);
	}
	*found = last->found;
	return last->error;
}

/* The same, when there need be no room for it. */
static int name_there(struct cofs *fs, struct cofs_node *directory, const char *name, size_t bytes,
    struct cofs_found *found)
{
	int error = cofs_name_find(fs, directory, name, bytes, found);

	return error == -ENOSPC ? -ENOENT : error;
}

int cofs_name_put(struct cofs *fs, struct cofs_key key, const char *name, size_t bytes, uint64_t number, uint8_t kind)
{
	uint8_t item[COFS_NAME_HEAD + FS_NAME_MAX];

	memcpy(item, &number, 8);
	item[8] = kind;
	memcpy(item + COFS_NAME_HEAD, name, bytes);
	return cofs_tree_put(fs, key, item, (uint32_t)(COFS_NAME_HEAD + bytes));
}

int cofs_name_empty(struct cofs *fs, uint64_t number)
{
	struct cofs_item item;
	int error = cofs_tree_next(fs, cofs_key(number, COFS_NAME, 0), &item);

	if (error)
		return error == -ENOENT ? 1 : error;
	return item.key.object != number || cofs_key_kind(item.key) != COFS_NAME;
}

/* A directory in which a name may be looked for, and put if `put`. */
static int directory_check(const struct cofs_node *directory, size_t bytes, bool put)
{
	if (directory->node.kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (bytes > FS_NAME_MAX)
		return -ENAMETOOLONG;
	return !bytes || (put && !directory->inode.links) ? -ENOENT : 0;
}

int cofs_lookup(struct fs_node *fs_directory, const char *name, size_t bytes, struct fs_node **node)
{
	struct cofs_node *directory = cofs_node_of(fs_directory), *got;
	struct cofs *fs = cofs_owner(directory);
	struct cofs_found found;
	int error = directory_check(directory, bytes, false);

	if (!error)
		error = name_there(fs, directory, name, bytes, &found);
	if (error)
		return error;
	error = cofs_node_get(fs, found.number, &got);
	if (error)
		return error == -ENOENT ? -FS_EDAMAGED : error;
	*node = &got->node;
	return 0;
}

/* A number beside the directory's; a new directory begins a group of numbers. */
static int number_new(struct cofs *fs, struct cofs_node *directory, bool group, uint64_t *number)
{
	struct cofs_inode *inode = &directory->inode;

	if (group || !inode->group || inode->number_next >> COFS_GROUP_SHIFT) {
		if (fs->super.group_next > COFS_GROUP_MAX)
			return -ENOSPC;
		uint64_t new = fs->super.group_next++;

		if (group) {
			*number = new << COFS_GROUP_SHIFT;
			return 0;
		}
		inode->group = new;
		inode->number_next = 0;
	}
	*number = inode->group << COFS_GROUP_SHIFT | inode->number_next++;
	return 0;
}

static int target_put(struct cofs *fs, struct cofs_node *node, const char *target)
{
	struct cofs_page *page;
	size_t bytes = strlen(target);
	int error = cofs_pool_new(fs, node->node.number, 0, node, &page);

	if (error)
		return error;
	memcpy(page->buffer.data, target, bytes);
	memset(page->buffer.data + bytes, 0, BLOCK_BYTES - bytes);
	page->buffer.valid = true;
	node->inode.bytes = bytes;
	cofs_page_dirty(fs, page);
	return 0;
}

static void inode_fill(struct cofs_node *node, const struct cofs_node *directory, const struct fs_attributes *how,
    struct fs_time now)
{
	struct cofs_inode *inode = &node->inode;

	node->fresh = true;
	node->node.kind = inode->kind = how->kind;
	inode->mode = how->mode & 07777;
	inode->uid = how->uid;
	inode->gid = how->gid;
	inode->links = how->kind == FS_DIRECTORY ? 2 : 1;
	inode->accessed = inode->modified = inode->changed = now.seconds;
	inode->accessed_ns = inode->modified_ns = inode->changed_ns = now.nanoseconds;
	if (how->kind == FS_DIRECTORY) {
		inode->group = node->node.number >> COFS_GROUP_SHIFT;
		inode->number_next = 1;
		inode->device_or_parent = directory->node.number;
	} else if (how->kind == FS_CHARACTER || how->kind == FS_BLOCK) {
		inode->device_or_parent = how->device;
	}
}

static void directory_touch(struct cofs *fs, struct cofs_node *directory, struct fs_time now)
{
	directory->inode.modified = directory->inode.changed = now.seconds;
	directory->inode.modified_ns = directory->inode.changed_ns = now.nanoseconds;
	cofs_node_changed(fs, directory);
}

/* Begin to make a name: -ENOENT is what is hoped for, 0: there is one, even if there is no room for another. */
static int begin_put(struct cofs *fs, struct cofs_node *directory, const char *name, size_t bytes, unsigned pages,
    struct cofs_found *found)
{
	int error = cofs_begin(fs, 5, pages, false), there;

	if (error && error != -ENOSPC)
		return error;
	there = cofs_name_find(fs, directory, name, bytes, found);
	return error && there == -ENOENT ? error : there;
}

int cofs_create(struct fs_node *fs_directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct fs_node **created)
{
	struct cofs_node *directory = cofs_node_of(fs_directory), *node;
	struct cofs *fs = cofs_owner(directory);
	struct cofs_found found;
	uint64_t number;
	int error = directory_check(directory, bytes, true);

	if (error)
		return error;
	if (how->kind < FS_FILE || how->kind > FS_BLOCK || (how->kind == FS_SYMLINK) != (target != NULL))
		return -EINVAL;
	if (target && (!*target || strlen(target) > FS_LINK_MAX))
		return *target ? -ENAMETOOLONG : -ENOENT;
	error = begin_put(fs, directory, name, bytes, target != NULL, &found);
	if (error != -ENOENT)
		return error ? error : -EEXIST;
	error = number_new(fs, directory, how->kind == FS_DIRECTORY, &number);
	if (!error)
		error = cofs_node_new(fs, number, &node);
	if (error)
		return error;
	struct fs_time now = cofs_now(fs);

	inode_fill(node, directory, how, now);
	error = target ? target_put(fs, node, target) : 0;
	if (!error)
		error = cofs_name_put(fs, found.key, name, bytes, number, how->kind);
	if (error) {
		cofs_pages_forget(fs, node, 0);
		node->inode.links = 0;
		fs_put(&node->node);
		return error;
	}
	cofs_node_changed(fs, node);
	directory->inode.links += how->kind == FS_DIRECTORY;
	directory_touch(fs, directory, now);
	*created = &node->node;
	return 0;
}

int cofs_link(struct fs_node *fs_directory, const char *name, size_t bytes, struct fs_node *fs_node)
{
	struct cofs_node *directory = cofs_node_of(fs_directory), *node = cofs_node_of(fs_node);
	struct cofs *fs = cofs_owner(directory);
	struct cofs_found found;
	int error = directory_check(directory, bytes, true);

	if (error)
		return error;
	if (node->node.kind == FS_DIRECTORY)
		return -EPERM;
	if (node->inode.links == UINT32_MAX)
		return -EMLINK;
	error = begin_put(fs, directory, name, bytes, 0, &found);
	if (error != -ENOENT || !node->inode.links)
		return error ? error : -EEXIST;
	error = cofs_name_put(fs, found.key, name, bytes, node->node.number, node->node.kind);
	if (error)
		return error;
	node->inode.links++;
	cofs_touch(fs, node, false);
	cofs_touch(fs, directory, true);
	return 0;
}

/* The node behind a name, held; it may go if it is a directory as `directory_too` says. */
static int victim(struct cofs *fs, const struct cofs_found *found, struct cofs_node **node)
{
	int error = cofs_node_get(fs, found->number, node);

	if (error) {
		*node = NULL;
		return error == -ENOENT ? -FS_EDAMAGED : error;
	}
	if ((*node)->node.kind == found->kind && (*node)->inode.links)
		return 0;
	fs_put(&(*node)->node);
	*node = NULL;
	return -FS_EDAMAGED;
}

/* A name of it has gone. */
static void link_lost(struct cofs *fs, struct cofs_node *directory, struct cofs_node *node, struct fs_time now)
{
	node->inode.changed = now.seconds;
	node->inode.changed_ns = now.nanoseconds;
	cofs_node_changed(fs, node);
	if (node->node.kind == FS_DIRECTORY) {
		node->inode.links = 0;
		directory->inode.links -= directory->inode.links > 2;
	} else {
		node->inode.links--;
	}
}

int cofs_unlink(struct fs_node *fs_directory, const char *name, size_t bytes, bool directory_too)
{
	struct cofs_node *directory = cofs_node_of(fs_directory), *node;
	struct cofs *fs = cofs_owner(directory);
	struct cofs_found found;
	int error = directory_check(directory, bytes, false);

	if (error)
		return error;
	error = cofs_begin(fs, 8, 0, true);
	if (!error)
		error = name_there(fs, directory, name, bytes, &found);
	if (error)
		return error;
	error = victim(fs, &found, &node);
	if (error)
		return error;
	if (node->node.kind == FS_DIRECTORY && !directory_too)
		error = -EISDIR;
	else if (node->node.kind != FS_DIRECTORY && directory_too)
		error = -ENOTDIR;
	else if (directory_too && (error = cofs_name_empty(fs, found.number)) >= 0)
		error = error ? 0 : -ENOTEMPTY;
	if (!error)
		error = cofs_tree_delete(fs, found.key);
	if (!error) {
		struct fs_time now = cofs_now(fs);

		directory_touch(fs, directory, now);
		link_lost(fs, directory, node, now);
	}
	fs_put(&node->node);
	return error;
}

/* May `node` take the place of `there`? */
static int may_replace(struct cofs *fs, const struct cofs_node *node, const struct cofs_node *there)
{
	int empty;

	if (there->node.kind != FS_DIRECTORY)
		return node->node.kind == FS_DIRECTORY ? -ENOTDIR : 0;
	if (node->node.kind != FS_DIRECTORY)
		return -EISDIR;
	empty = cofs_name_empty(fs, there->node.number);
	return empty < 0 ? empty : empty ? 0 : -ENOTEMPTY;
}

/* All is checked: three changes of the tree at most. */
static int rename_do(struct cofs *fs, struct cofs_node *from, const struct cofs_found *old, struct cofs_node *to,
    const struct cofs_found *new, const char *name, size_t bytes, struct cofs_node *node, struct cofs_node *there)
{
	int error = cofs_name_put(fs, new->key, name, bytes, node->node.number, node->node.kind);

	if (error)
		return error;
	error = cofs_tree_delete(fs, old->key);
	if (error)
		return cofs_wreck(fs, error);
	if (node->node.kind == FS_DIRECTORY && from != to) {
		from->inode.links -= from->inode.links > 2;
		to->inode.links++;
		node->inode.device_or_parent = to->node.number;
	}
	struct fs_time now = cofs_now(fs);

	cofs_touch(fs, node, false);
	directory_touch(fs, from, now);
	directory_touch(fs, to, now);
	if (there)
		link_lost(fs, to, there, now);
	return 0;
}

/* What a rename concerns, held; 0, or why it cannot be. *there: NULL if nothing is replaced. */
static int rename_find(struct cofs *fs, struct cofs_node *to, const char *name, size_t bytes,
    const struct cofs_found *source, struct cofs_found *target, struct cofs_node **node, struct cofs_node **there)
{
	int error = cofs_name_find(fs, to, name, bytes, target);
	bool replaces = !error;

	if (error && error != -ENOENT)
		return error;
	error = victim(fs, source, node);
	if (error || !replaces)
		return error;
	error = victim(fs, target, there);
	if (!error && *there != *node)
		error = may_replace(fs, *node, *there);
	return error;
}

int cofs_rename(struct fs_node *fs_from, const char *old, size_t old_bytes, struct fs_node *fs_to, const char *name,
    size_t bytes)
{
	struct cofs_node *from = cofs_node_of(fs_from), *to = cofs_node_of(fs_to), *node = NULL, *there = NULL;
	struct cofs *fs = cofs_owner(from);
	struct cofs_found source, target;
	int error = directory_check(from, 1, false);

	if (!error)
		error = directory_check(to, bytes, true);
	if (!error)
		error = directory_check(from, old_bytes, false);
	if (!error && fs->fs.read_only)
		error = -EROFS;
	if (!error)
		error = name_there(fs, from, old, old_bytes, &source);
	if (!error)
		error = rename_find(fs, to, name, bytes, &source, &target, &node, &there);
	if (!error && node != there) {
		error = cofs_begin(fs, 14, 0, there || bytes <= old_bytes);
		/* Once more, so that nothing need be loaded any more. */
		if (!error)
			error = name_there(fs, from, old, old_bytes, &source);
		if (!error)
			error = cofs_name_find(fs, to, name, bytes, &target);
		if (error == -ENOENT)
			error = 0;
		if (!error)
			error = rename_do(fs, from, &source, to, &target, name, bytes, node, there);
	}
	if (there)
		fs_put(&there->node);
	if (node)
		fs_put(&node->node);
	return error;
}

int cofs_readdir(struct fs_node *fs_directory, uint64_t *cursor, struct fs_entry *entry)
{
	struct cofs_node *directory = cofs_node_of(fs_directory);
	struct cofs_found found;
	struct cofs_item item;
	const char *name;
	size_t bytes;
	int error;

	if (directory->node.kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (*cursor > COFS_OFFSET_MAX)
		return 0;
	error = cofs_tree_next(cofs_owner(directory), cofs_key(directory->node.number, COFS_NAME, *cursor), &item);
	if (error)
		return error == -ENOENT ? 0 : error;
	if (item.key.object != directory->node.number || cofs_key_kind(item.key) != COFS_NAME)
		return 0;
	error = cofs_entry_read(&item, &found, &name, &bytes);
	if (error)
		return error;
	entry->number = found.number;
	entry->kind = found.kind;
	entry->bytes = (uint16_t)bytes;
	memcpy(entry->name, name, bytes);
	entry->name[bytes] = 0;
	*cursor = cofs_key_offset(item.key) + 1;
	return 1;
}

int cofs_parent(struct fs_node *fs_directory, struct fs_node **parent)
{
	struct cofs_node *directory = cofs_node_of(fs_directory), *node;
	uint64_t number = directory->inode.device_or_parent;
	int error;

	if (directory->node.kind != FS_DIRECTORY)
		return -ENOTDIR;
	error = cofs_node_get(cofs_owner(directory), directory->node.number == COFS_ROOT ? COFS_ROOT : number, &node);
	if (error)
		return error == -ENOENT && directory->inode.links ? -FS_EDAMAGED : error;
	if (node->node.kind != FS_DIRECTORY) {
		fs_put(&node->node);
		return -FS_EDAMAGED;
	}
	*parent = &node->node;
	return 0;
}

int cofs_readlink(struct fs_node *fs_node, char *target, size_t bytes)
{
	if (fs_node->kind != FS_SYMLINK)
		return -EINVAL;
	return (int)cofs_read(fs_node, 0, target, bytes);
}
