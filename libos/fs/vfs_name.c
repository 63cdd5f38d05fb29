/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What finds and changes names.
 *
 * Errors come in the order in which Linux gives them where that is one a program could see: what is there before what
 * the file system may do.
 */
#include <string.h>
#include "libos/fs/name.h"

#define DEPTH_MAX	65536	/* of directories in each other */

int vfs_find(const struct vfs_place *from, const char *path, bool follow, struct vfs_place *place)
{
	struct path_end end;
	int result = path_walk(from, path, follow ? PATH_FOLLOW : 0, &end);

	if (result)
		return result;
	*place = (struct vfs_place){ .mount = end.mount, .node = end.node };
	end.node = NULL;
	path_end(&end);
	return 0;
}

int vfs_stat(const struct vfs_place *from, const char *path, bool follow, struct fs_attributes *attributes,
    uint32_t *mount_number)
{
	struct vfs_place at = { .node = name_known(from, path, NAME_LAST | (follow ? 0 : NAME_LINK)) };
	int result;

	if (at.node) {
		at.mount = at.node->fs->face;
		fs_hold(at.node);
	} else if ((result = vfs_find(from, path, follow, &at))) {
		return result;
	}
	vfs_enter(at.mount);
	result = at.mount->fs->ops->attributes(at.node, attributes);
	vfs_leave(at.mount);
	*mount_number = at.mount->number;
	vfs_put(at.mount, at.node);
	return result;
}

int vfs_make(const struct vfs_place *from, const char *path, const struct fs_attributes *how, const char *target)
{
	struct fs_attributes attributes = *how;
	struct path_end end;
	struct fs_node *node;
	int result = !target || *target ? 0 : -ENOENT;

	if (target && strlen(target) > FS_LINK_MAX)
		result = -ENAMETOOLONG;
	if (!result)
		result = path_walk(from, path, PATH_NEW | PATH_LAST, &end);
	if (result)
		return result;
	if (end.node)
		result = -EEXIST;
	else if (end.slash && how->kind != FS_DIRECTORY)
		result = -ENOENT;
	else
		result = path_may_change(&end);
	if (!result)
		result = path_new(&end, &attributes);
	if (target)
		attributes.mode = 0777;
	if (!result) {
		vfs_enter(end.at.mount);
		result = end.at.mount->fs->ops->create(end.at.node, end.name, end.bytes, &attributes, target, &node);
		vfs_leave(end.at.mount);
		if (!result)
			vfs_put(end.at.mount, node);
	}
	path_end(&end);
	return result;
}

int vfs_link(const struct vfs_place *from, const char *path, bool follow, const struct vfs_place *new_from,
    const char *new_path)
{
	struct vfs_place old;
	struct path_end end;
	int result = vfs_find(from, path, follow, &old);

	if (result)
		return result;
	result = path_walk(new_from, new_path, PATH_NEW | PATH_LAST, &end);
	if (!result) {
		if (end.node)
			result = -EEXIST;
		else if (end.slash)
			result = -ENOENT;
		else if (old.mount != end.at.mount)
			result = -EXDEV;
		else if (old.node->kind == FS_DIRECTORY)
			result = -EPERM;
		else
			result = path_may_change(&end);
		if (!result)
			result = vfs_may(end.who, &end.at, VFS_MAY_WRITE | VFS_MAY_SEARCH);
		if (!result) {
			vfs_enter(old.mount);
			result = old.mount->fs->ops->link(end.at.node, end.name, end.bytes, old.node);
			vfs_leave(old.mount);
		}
		path_end(&end);
	}
	vfs_put(old.mount, old.node);
	return result;
}

/* "." and the like cannot go. */
static int last_error(const struct path_end *end, bool directory)
{
	switch (end->last) {
	case PATH_NAME:
		return 0;
	case PATH_DOT:
		return directory ? -EINVAL : -EISDIR;
	case PATH_DOTDOT:
		return directory ? -ENOTEMPTY : -EISDIR;
	default:
		return directory ? -EBUSY : -EISDIR;
	}
}

void (*vfs_removed)(const struct vfs_place *place);

static void removed(const struct path_end *end)
{
	const struct vfs_place place = { .mount = end->mount, .node = end->node };

	if (vfs_removed && place.node && place.node->kind == FS_FILE)
		vfs_removed(&place);
}

int vfs_unlink(const struct vfs_place *from, const char *path, bool directory)
{
	struct path_end end;
	int result = path_walk(from, path, PATH_LAST, &end);

	if (result)
		return result;
	result = last_error(&end, directory);
	if (!result && directory && end.node->kind != FS_DIRECTORY)
		result = -ENOTDIR;
	if (!result)
		result = path_may_change(&end);
	if (!result)
		result = path_may_remove(&end);
	if (!result && !directory && end.node->kind == FS_DIRECTORY)
		result = -EISDIR;
	if (!result && !directory && end.slash)
		result = -ENOTDIR;
	if (!result) {
		vfs_enter(end.mount);
		result = vfs_covered(end.node) ? -EBUSY :	/* meanwhile */
		    end.mount->fs->ops->unlink(end.at.node, end.name, end.bytes, directory);
		if (!result)
			path_forget(end.at.node, end.name, end.bytes);
		vfs_leave(end.mount);
		if (!result)
			removed(&end);
	}
	path_end(&end);
	return result;
}

/* Is `node` the directory or above it? 1, 0 or an error. */
static int is_above(const struct fs_node *node, const struct vfs_place *directory)
{
	const struct fs_ops *ops = directory->mount->fs->ops;
	struct fs_node *at = directory->node, *parent;
	int result = 0;

	fs_hold(at);
	/* What others can write may say that it is above itself. */
	for (unsigned depth = 0; at != node && at != directory->mount->root; depth++) {
		result = depth < DEPTH_MAX ? ops->parent(at, &parent) : -ELOOP;
		if (result)
			break;
		fs_put(at);
		at = parent;
	}
	if (!result)
		result = at == node;
	fs_put(at);
	return result;
}

static int rename_error(const struct path_end *old, const struct path_end *new)
{
	int result;

	if (old->at.mount != new->at.mount)
		return -EXDEV;
	if (old->last != PATH_NAME || new->last != PATH_NAME)
		return -EBUSY;
	if (!old->node)
		return -ENOENT;
	if (old->node->kind != FS_DIRECTORY && (old->slash || new->slash))
		return -ENOTDIR;
	result = path_may_change(old);
	if (!result)
		result = path_may_change(new);
	if (!result)
		result = path_may_remove(old);
	if (result)
		return result;
	result = new->node ? path_may_remove(new) : vfs_may(new->who, &new->at, VFS_MAY_WRITE | VFS_MAY_SEARCH);
	/* A directory that moves is written to: its ".." is another. */
	if (!result && old->node->kind == FS_DIRECTORY && old->at.node != new->at.node)
		result = vfs_may(old->who, &(struct vfs_place){ .mount = old->mount, .node = old->node }, VFS_MAY_WRITE);
	return result;
}

/* With the lock held: whatever is above cannot change meanwhile. */
static int rename_locked(struct path_end *old, struct path_end *new)
{
	bool apart = old->at.node != new->at.node;
	int result = apart && old->node->kind == FS_DIRECTORY ? is_above(old->node, &new->at) : 0;

	if (result)
		return result > 0 ? -EINVAL : result;
	if (apart && new->node && new->node->kind == FS_DIRECTORY)
		result = is_above(new->node, &old->at);
	if (result)
		return result > 0 ? -ENOTEMPTY : result;
	if (vfs_covered(old->node) || (new->node && vfs_covered(new->node)))
		return -EBUSY;		/* meanwhile */
	result = old->mount->fs->ops->rename(old->at.node, old->name, old->bytes, new->at.node, new->name, new->bytes);
	if (result)
		return result;
	path_forget(old->at.node, old->name, old->bytes);
	path_forget(new->at.node, new->name, new->bytes);
	return 0;
}

int vfs_rename(const struct vfs_place *from, const char *path, const struct vfs_place *new_from, const char *new_path)
{
	struct path_end old, new;
	int result = path_walk(from, path, PATH_NEW | PATH_LAST, &old);

	if (result)
		return result;
	result = path_walk(new_from, new_path, PATH_NEW | PATH_LAST, &new);
	if (!result) {
		result = rename_error(&old, &new);
		if (!result) {
			vfs_enter(old.mount);
			result = rename_locked(&old, &new);
			vfs_leave(old.mount);
			if (!result)
				removed(&new);
		}
		path_end(&new);
	}
	path_end(&old);
	return result;
}

int vfs_readlink(const struct vfs_place *from, const char *path, char *target, size_t bytes)
{
	struct vfs_place place;
	int result = vfs_find(from, path, false, &place);

	if (result)
		return result;
	vfs_enter(place.mount);
	result = place.node->kind != FS_SYMLINK ? -EINVAL : place.mount->fs->ops->readlink(place.node, target, bytes);
	vfs_leave(place.mount);
	vfs_put(place.mount, place.node);
	return result;
}

int vfs_truncate_path(const struct vfs_place *from, const char *path, uint64_t bytes)
{
	struct vfs_place place;
	int result = bytes > INT64_MAX ? -EINVAL : vfs_find(from, path, true, &place);

	if (result)
		return result;
	if (place.node->kind != FS_FILE)
		result = place.node->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	else if (place.mount->fs->read_only)
		result = -EROFS;
	if (!result)
		result = vfs_may(from ? from->who : NULL, &place, VFS_MAY_WRITE);
	if (!result)
		result = vfs_drop_ids(from ? from->who : NULL, &place);
	if (!result)
		result = vfs_cut(&place, bytes);
	vfs_put(place.mount, place.node);
	return result;
}

int vfs_chdir(const struct vfs_place *place)
{
	struct vfs_place old = vfs_cwd;

	if (place->node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	fs_hold(place->node);
	place->mount->users++;
	vfs_cwd = *place;
	if (old.node) {
		old.mount->users--;
		vfs_put(old.mount, old.node);
	}
	return 0;
}
