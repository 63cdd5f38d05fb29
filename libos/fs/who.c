/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may do what with a node, by its mode and owners.
 *
 * Mode and owners are asked for once and kept in the node until vfs_set(). User 0 may do all but execute a file that
 * nobody may execute. Nothing is asked for those who do not say who they are.
 */
#include "libos/fs/vfs.h"

static int learn(const struct vfs_place *place)
{
	struct fs_attributes attributes;
	struct fs_node *node = place->node;
	int result = vfs_attributes(place, &attributes);

	if (result)
		return result;
	node->mode = attributes.mode;
	node->uid = attributes.uid;
	node->gid = attributes.gid;
	node->known = true;
	return 0;
}

static bool in_group(const struct vfs_who *who, uint32_t gid)
{
	if (who->gid == gid)
		return true;
	for (uint32_t i = 0; i < who->groups; i++)
		if (who->group[i] == gid)
			return true;
	return false;
}

int vfs_may(const struct vfs_who *who, const struct vfs_place *place, unsigned how)
{
	struct fs_node *node = place->node;
	int result = !who || node->known ? 0 : learn(place);

	if (!who || result)
		return result;
	if (!who->uid)
		return how & VFS_MAY_SEARCH && node->kind != FS_DIRECTORY && !(node->mode & 0111) ? -EACCES : 0;
	return (node->mode >> (who->uid == node->uid ? 6 : in_group(who, node->gid) ? 3 : 0) & how) == how ? 0 : -EACCES;
}

int vfs_owns(const struct vfs_who *who, const struct vfs_place *place)
{
	int result = !who || place->node->known ? 0 : learn(place);

	return result ? result : !who || !who->uid || who->uid == place->node->uid ? 0 : -EPERM;
}

int vfs_drop_ids(const struct vfs_who *who, const struct vfs_place *place)
{
	const struct fs_node *node = place->node;
	struct fs_attributes to;
	int result;

	if (!who || !who->uid || node->kind != FS_FILE)
		return 0;
	result = node->known ? 0 : learn(place);
	to.mode = vfs_without_ids(node->mode);
	return result || to.mode == node->mode ? result : vfs_set(place, &to, FS_SET_MODE);
}

int path_new(const struct path_end *end, struct fs_attributes *how)
{
	const struct vfs_who *who = end->who;
	int result = vfs_may(who, &end->at, VFS_MAY_WRITE | VFS_MAY_SEARCH);

	how->mode &= (uint16_t)~(who ? who->umask : vfs_umask);
	if (result || !who)
		return result;
	how->uid = who->uid;
	how->gid = who->gid;
	if (end->at.node->mode & 02000) {	/* new names are of the directory's group */
		how->gid = end->at.node->gid;
		if (who->uid && how->kind == FS_FILE && !in_group(who, how->gid))
			how->mode &= (uint16_t)~02000;
		how->mode |= how->kind == FS_DIRECTORY ? 02000 : 0;
	}
	return 0;
}

/* In a sticky directory names are changed by the owners of the directory and of what they name. */
int path_may_remove(const struct path_end *end)
{
	const struct vfs_place place = { .mount = end->mount, .node = end->node };
	int result = vfs_may(end->who, &end->at, VFS_MAY_WRITE | VFS_MAY_SEARCH);

	if (result || !end->who || !end->who->uid || !(end->at.node->mode & 01000))
		return result;
	return vfs_owns(end->who, &end->at) ? vfs_owns(end->who, &place) : 0;
}
