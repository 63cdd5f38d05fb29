/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ext2: names come and go: lookup, create, link, unlink, rename.
 *
 * Each operation first finds and takes all that it needs, undoing it if something is missing; what changes the directory
 * then cannot fail. If blocks or inodes are missing and a commit can free some, it is done and the operation tried again.
 */
#include "libos/fs/ext2_impl.h"

#define RETRIES	4

static int check(const struct fs_node *directory, size_t bytes)
{
	if (directory->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (bytes > FS_NAME_MAX)
		return -ENAMETOOLONG;
	return bytes ? 0 : -ENOENT;
}

/* The same for one that is going to be changed. */
static int check_change(struct fs_node *directory, size_t bytes)
{
	int r = check(directory, bytes);

	if (r == 0)
		r = ext2_room(ext2_of(directory));
	return r;
}

int ext2_lookup(struct fs_node *directory, const char *name, size_t bytes, struct fs_node **node)
{
	struct ext2_inode *inode;
	struct ext2_slot slot;
	int r = check(directory, bytes);

	if (r == 0)
		r = ext2_find((struct ext2_inode *)directory, name, bytes, &slot);
	if (r < 0)
		return r;
	ext2_slot_put(ext2_of(directory), &slot);
	r = ext2_inode_get(ext2_of(directory), slot.inode, &inode);
	if (r == 0)
		*node = &inode->node;
	return r;
}

/* Is there room for a name that is not there yet? */
static int room_for_new(struct ext2_inode *directory, const char *name, size_t bytes, struct ext2_slot *slot)
{
	struct ext2 *e = ext2_of(&directory->node);
	int r;

	if (directory->links == 0)
		return -ENOENT;
	r = ext2_find(directory, name, bytes, slot);
	if (r == 0) {
		ext2_slot_put(e, slot);
		return -EEXIST;
	}
	return r == -ENOENT ? ext2_make_room(directory, bytes, slot) : r;
}

static void entered(struct ext2 *e, struct ext2_inode *inode)
{
	inode->entered = e->commits;
	ext2_touch(inode, false);
}

/* The contents that a new inode has from the beginning. */
static int fill(struct ext2_inode *directory, struct ext2_inode *inode, const char *target)
{
	size_t bytes = target ? strlen(target) : 0;
	int64_t n = 0;

	if (inode->node.kind == FS_DIRECTORY)
		return ext2_dir_begin(inode, directory);
	if (inode->node.kind != FS_SYMLINK)
		return 0;
	if (bytes < EXT2_FAST_MAX) {
		memcpy(inode->pointer, target, bytes);
		inode->bytes = bytes;
		return 0;
	}
	if (bytes >= ext2_of(&inode->node)->block_bytes)
		return -ENAMETOOLONG;
	n = ext2_write_inode(inode, 0, target, bytes);
	if (n < 0)
		return (int)n;
	return (size_t)n == bytes ? 0 : -ENOSPC;
}

static int create(struct ext2_inode *directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct ext2_inode **inode)
{
	struct ext2 *e = ext2_of(&directory->node);
	struct ext2_slot slot;
	int r = room_for_new(directory, name, bytes, &slot);

	if (r < 0)
		return r;
	r = ext2_inode_new(directory, how, inode);
	if (r == 0) {
		r = fill(directory, *inode, target);
		if (r < 0)
			fs_put(&(*inode)->node);
	}
	if (r == 0) {
		(*inode)->links = how->kind == FS_DIRECTORY ? 2 : 1;
		ext2_enter(directory, &slot, name, bytes, *inode);
		directory->links += how->kind == FS_DIRECTORY;
		(*inode)->entered = e->commits;
	}
	ext2_slot_put(e, &slot);
	return r;
}

int ext2_create(struct fs_node *directory, const char *name, size_t bytes, const struct fs_attributes *how,
    const char *target, struct fs_node **node)
{
	struct ext2 *e = ext2_of(directory);
	struct ext2_inode *inode;
	int r = check_change(directory, bytes);

	if (r < 0)
		return r;
	if (how->kind < FS_FILE || how->kind > FS_BLOCK)
		return -EINVAL;
	if (how->kind == FS_SYMLINK && (!target || !target[0]))
		return -ENOENT;
	if (how->kind == FS_DIRECTORY && ((struct ext2_inode *)directory)->links >= EXT2_LINK_MAX)
		return -EMLINK;
	for (unsigned i = 0; i < RETRIES; i++) {
		r = create((struct ext2_inode *)directory, name, bytes, how, target, &inode);
		if (r == 0)
			*node = &inode->node;
		if (r == 0 || !ext2_again(e, r))
			break;
	}
	return r;
}

int ext2_link(struct fs_node *directory, const char *name, size_t bytes, struct fs_node *node)
{
	struct ext2_inode *inode = (struct ext2_inode *)node;
	struct ext2 *e = ext2_of(directory);
	struct ext2_slot slot;
	int r = check_change(directory, bytes);

	if (r < 0)
		return r;
	if (node->kind == FS_DIRECTORY)
		return -EPERM;
	if (inode->links >= EXT2_LINK_MAX)
		return -EMLINK;
	do {
		r = room_for_new((struct ext2_inode *)directory, name, bytes, &slot);
	} while (r < 0 && ext2_again(e, r));
	if (r == 0 && inode->links == 0) {
		ext2_slot_put(e, &slot);
		r = -ENOENT;
	}
	if (r < 0)
		return r;
	inode->links++;
	entered(e, inode);
	ext2_enter((struct ext2_inode *)directory, &slot, name, bytes, inode);
	ext2_slot_put(e, &slot);
	return 0;
}

/* May what is called this go, and take its name with it? */
static int check_gone(struct ext2_inode *inode, bool directory_too, bool directory_only)
{
	int r;

	if (inode->node.kind != FS_DIRECTORY)
		return directory_only ? -ENOTDIR : 0;
	if (!directory_too)
		return -EISDIR;
	if (inode->node.number == EXT2_ROOT)
		return -EBUSY;
	r = ext2_dir_empty(inode);
	if (r < 0)
		return r;
	return r ? 0 : -ENOTEMPTY;
}

/* A name of it is gone from a directory. */
static void gone(struct ext2_inode *directory, struct ext2_inode *inode)
{
	if (inode->node.kind == FS_DIRECTORY) {
		inode->links = 0;
		directory->links -= directory->links > 0;
	} else {
		inode->links -= inode->links > 0;
	}
	ext2_touch(inode, false);
}

static int take_name(struct ext2_inode *parent, const char *name, size_t bytes, bool directory_too)
{
	struct ext2 *e = ext2_of(&parent->node);
	struct ext2_inode *inode;
	struct ext2_slot slot;
	int r = ext2_find(parent, name, bytes, &slot);

	if (r < 0)
		return r;
	r = ext2_inode_get(e, slot.inode, &inode);
	if (r == 0) {
		r = check_gone(inode, directory_too, directory_too);
		if (r == 0) {
			ext2_remove(parent, &slot);
			gone(parent, inode);
		}
		ext2_slot_put(e, &slot);
		fs_put(&inode->node);
	}
	ext2_slot_put(e, &slot);
	return r;
}

int ext2_unlink(struct fs_node *directory, const char *name, size_t bytes, bool directory_too)
{
	int r = check_change(directory, bytes);

	if (r < 0)
		return r;
	do {
		r = take_name((struct ext2_inode *)directory, name, bytes, directory_too);
	} while (r < 0 && ext2_again(ext2_of(directory), r));
	return r;
}

/* What a rename works on. */
struct move {
	struct ext2_inode *from, *to, *inode, *target;	/* target: NULL: none */
	struct ext2_slot old, new, up;			/* up: ".." of a directory that gets another parent */
	const char *name;
	size_t bytes;
};

static void move_end(struct move *m)
{
	struct ext2 *e = ext2_of(&m->from->node);

	ext2_slot_put(e, &m->old);
	ext2_slot_put(e, &m->new);
	ext2_slot_put(e, &m->up);
	if (m->target)
		fs_put(&m->target->node);
	if (m->inode)
		fs_put(&m->inode->node);
	m->target = m->inode = NULL;
}

/* Find everything. 1: both names are the same file's. */
static int move_begin(struct move *m, const char *old, size_t old_bytes)
{
	struct ext2 *e = ext2_of(&m->from->node);
	bool directory;
	int r = ext2_find(m->from, old, old_bytes, &m->old);

	if (r == 0)
		r = ext2_inode_get(e, m->old.inode, &m->inode);
	if (r < 0)
		return r;
	directory = m->inode->node.kind == FS_DIRECTORY;
	r = m->to->links ? ext2_find(m->to, m->name, m->bytes, &m->new) : -ENOENT;
	if (r == 0) {
		r = ext2_inode_get(e, m->new.inode, &m->target);
		if (r < 0)
			return r;
		if (m->target == m->inode)
			return 1;
		r = check_gone(m->target, directory, directory);
	} else if (r == -ENOENT && m->to->links) {
		r = directory && m->from != m->to && m->to->links >= EXT2_LINK_MAX ? -EMLINK :
		    ext2_make_room(m->to, m->bytes, &m->new);
	}
	if (r == 0 && directory && m->from != m->to)
		r = ext2_find_parent(m->inode, &m->up);
	return r;
}

static void move_do(struct move *m)
{
	bool directory = m->inode->node.kind == FS_DIRECTORY;

	m->inode->links += !directory;		/* for the moment it has both names */
	entered(ext2_of(&m->from->node), m->inode);
	if (m->target) {
		ext2_redirect(m->to, &m->new, m->inode);
		ext2_touch(m->to, true);
		gone(m->to, m->target);
	} else {
		ext2_enter(m->to, &m->new, m->name, m->bytes, m->inode);
	}
	ext2_remove(m->from, &m->old);
	m->inode->links -= !directory;
	if (directory && m->from != m->to) {
		ext2_redirect(m->inode, &m->up, m->to);
		m->from->links -= m->from->links > 0;
		m->to->links++;
	}
}

int ext2_rename(struct fs_node *from, const char *old, size_t old_bytes, struct fs_node *to, const char *name,
    size_t bytes)
{
	struct move m = { .from = (struct ext2_inode *)from, .to = (struct ext2_inode *)to, .name = name, .bytes = bytes };
	struct ext2 *e = ext2_of(from);
	int r = to->kind == FS_DIRECTORY ? check(from, old_bytes) : -ENOTDIR;

	if (r == 0)
		r = check_change(to, bytes);
	for (unsigned i = 0; r == 0 && i < RETRIES; i++) {
		r = move_begin(&m, old, old_bytes);
		if (r == 0) {
			ext2_changed(e, m.new.buffer, EXT2_PIN_DIR);
			ext2_changed(e, m.old.buffer, EXT2_PIN_DIR);
			if (ext2_ordered(e, m.new.buffer, m.old.buffer)) {
				move_do(&m);
				move_end(&m);
				return 0;
			}
		}
		move_end(&m);
		if (r == 0)
			r = ext2_commit(e);
		else if (ext2_again(e, r))
			r = 0;
		else if (r == 1)
			return 0;
	}
	return r ? r : -EIO;
}
