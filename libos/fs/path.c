/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounts and the walk along a path; its first part runs through the name cache (name.c), where nothing is held.
 *
 * A symbolic link is put in front of what is left of the path, in a buffer that is made for the first one.
 *
 * Whoever walks needs the right to search each directory in which a name is looked up (who.c).
 */
#include <stdlib.h>
#include <string.h>
#include "libos/fs/name.h"

const struct vfs_machine *vfs_machine;
struct vfs_place vfs_root, vfs_cwd;
struct vfs_mount *vfs_mounts;
unsigned vfs_umask = 022;
static uint32_t mount_number;

/* --- mounts --------------------------------------------------------------------------------------------- */

struct vfs_face *vfs_face(struct fs_node *node)
{
	if (!node->face) {
		node->face = calloc(1, sizeof(struct vfs_face));
		if (node->face)
			fs_hold(node);
	}
	return node->face;
}

void vfs_face_put(struct vfs_mount *mount, struct fs_node *node)
{
	struct vfs_face *face = node->face;

	if (!face || face->mounted || face->mounting || face->beside || face->flocks || face->records)
		return;
	node->face = NULL;
	free(face);
	vfs_put(mount, node);
}

static void mount_free(struct vfs_mount *mount)
{
	if (mount->lock)
		vfs_machine->lock_end(mount->lock);
	free(mount->source);
	free(mount->path);
	free(mount);
}

static struct vfs_mount *mount_new(const char *path, const struct fs_mount *how)
{
	struct vfs_mount *mount = name_start() ? calloc(1, sizeof(*mount)) : NULL;

	if (!mount)
		return NULL;
	mount->device = how->device;
	mount->by_hand = how->by_hand;
	mount->limits = how->limits;
	mount->path = strdup(path);
	mount->source = how->source ? strdup(how->source) : NULL;
	mount->lock = vfs_machine ? vfs_machine->lock_make() : NULL;
	if (mount->path && (mount->source || !how->source) && (mount->lock || !vfs_machine))
		return mount;
	mount_free(mount);
	return NULL;
}

/* From here on to mount_link() or mount_put_point() nobody else mounts there, and the directory does not go. */
static int mount_point_take(const struct vfs_place *point)
{
	struct vfs_face *face = vfs_face(point->node);

	if (!face)
		return -ENOMEM;
	face->mounting = true;
	fs_hold(point->node);
	return 0;
}

/* A directory that something can be mounted on? */
static int mount_point_error(const struct vfs_mount *mount, const struct fs_node *node)
{
	if (node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	return node == mount->root || vfs_covered(node) ? -EBUSY : 0;
}

/* The directory that it shall cover, or be an entry of (*name is not NULL then); nothing for the first. */
static int mount_point(const char *path, struct vfs_place *point, const char **name)
{
	struct path_end end;
	int result;

	*point = (struct vfs_place){ .node = NULL };
	*name = NULL;
	if (!vfs_root.node)
		return strcmp(path, "/") ? -ENOENT : 0;
	result = path_walk(&vfs_root, path, PATH_FOLLOW | PATH_NEW, &end);
	if (result)
		return result;
	if (end.node)
		*point = (struct vfs_place){ .mount = end.mount, .node = end.node };
	else
		*point = end.at;
	if (end.node)
		result = mount_point_error(end.mount, end.node);
	else if (!end.at.mount->fs->read_only)
		result = -ENOENT;
	else if (!(*name = strndup(end.name, end.bytes)))
		result = -ENOMEM;
	if (!result)
		result = mount_point_take(point);
	path_end(&end);
	return result;
}

static void mount_put_point(struct vfs_mount *mount)
{
	if (!mount->covers)
		return;
	((struct vfs_face *)mount->covers->face)->mounting = false;
	vfs_face_put(mount->above, mount->covers);
	vfs_put(mount->above, mount->covers);
	free((char *)mount->name);
}

static void mount_link(struct vfs_mount *mount)
{
	struct vfs_face *face = mount->covers ? mount->covers->face : NULL;

	mount->next = vfs_mounts;
	vfs_mounts = mount;
	if (!face) {
		vfs_root = vfs_cwd = (struct vfs_place){ .mount = mount, .node = mount->root };
		mount->root->holds += 2;
		mount->users = 1;
		return;
	}
	face->mounting = false;
	if (mount->name) {
		mount->beside = face->beside;
		face->beside = mount;
	} else {
		face->mounted = mount;
	}
}

/* What it covers stays taken. */
static void mount_unlink(struct vfs_mount *mount)
{
	struct vfs_face *face = mount->covers->face;
	struct vfs_mount **link;

	for (link = &vfs_mounts; *link != mount; link = &(*link)->next)
		;
	*link = mount->next;
	face->mounting = true;
	if (!mount->name) {
		face->mounted = NULL;
		return;
	}
	for (link = &face->beside; *link != mount; link = &(*link)->beside)
		;
	*link = mount->beside;
}

/* The point is taken. */
static int mount_begin(struct vfs_mount *mount, const struct fs_ops *ops, const struct fs_mount *how)
{
	int result = ops->mount(&mount->fs, &mount->root, how);

	if (result) {
		mount_put_point(mount);
		mount_free(mount);
		return result;
	}
	if (mount->lock && !how->device && mount->fs->read_only) {
		vfs_machine->lock_end(mount->lock);
		mount->lock = NULL;
	}
	mount->number = ++mount_number;
	mount->fs->face = mount;
	mount_link(mount);
	vfs_forget(NULL);	/* what it covers is known by names */
	return 0;
}

int vfs_mount(const char *path, const struct fs_ops *ops, const struct fs_mount *how)
{
	struct vfs_mount *mount = mount_new(path, how);
	struct vfs_place point;
	int result;

	if (!mount)
		return -ENOMEM;
	result = mount_point(path, &point, &mount->name);
	if (result) {
		free((char *)mount->name);
		mount_free(mount);
		return result;
	}
	mount->above = point.mount;
	mount->covers = point.node;
	return mount_begin(mount, ops, how);
}

int vfs_mount_on(const struct vfs_place *point, const struct fs_ops *ops, const struct fs_mount *how)
{
	struct vfs_mount *mount = mount_new("", how);
	char *path = malloc(VFS_PATH_MAX);
	int64_t result = !mount || !path ? -ENOMEM : mount_point_error(point->mount, point->node);

	if (!result)
		result = mount_point_take(point);
	if (result) {
		free(path);
		if (mount)
			mount_free(mount);
		return (int)result;
	}
	mount->above = point->mount;
	mount->covers = point->node;
	result = vfs_path(point, path, VFS_PATH_MAX);	/* only now it is certain that the directory is and stays there */
	free(mount->path);
	mount->path = path;
	if (result >= 0)
		return mount_begin(mount, ops, how);
	mount_put_point(mount);
	mount_free(mount);
	return result == -ERANGE ? -ENAMETOOLONG : (int)result;
}

static bool mount_in_use(const struct vfs_mount *mount)
{
	for (const struct vfs_mount *other = vfs_mounts; other; other = other->next)
		if (other->above == mount)
			return true;
	return mount->users != 0;
}

/* With its lock. Nothing waits between the second vfs_forget() and mount_unlink(), so nobody comes in unseen. */
static int mount_finish(struct vfs_mount *mount)
{
	const struct fs_ops *ops = mount->fs->ops;
	int result;

	vfs_forget(mount->fs);
	(void)ops->sync(mount->fs);	/* unmount tells */
	vfs_forget(mount->fs);
	if (mount_in_use(mount) || ops->busy(mount->fs, mount->root))
		return -EBUSY;
	mount_unlink(mount);
	result = ops->unmount(mount->fs);
	if (result)
		mount_link(mount);
	return result;
}

int vfs_mount_end(struct vfs_mount *mount)
{
	int result;

	if (!mount->above || mount->going || mount_in_use(mount))
		return -EBUSY;
	mount->going = true;
	while (mount->visits)		/* others may open something meanwhile */
		vfs_machine->wait();
	vfs_enter(mount);
	result = mount_finish(mount);
	mount->going = false;
	vfs_leave(mount);
	if (vfs_machine)
		vfs_machine->wake();
	if (result)
		return result;
	mount_put_point(mount);
	mount_free(mount);
	return 0;
}

int vfs_unmount(const char *path)
{
	struct vfs_place place;
	int result = vfs_find(&vfs_root, path, true, &place);

	if (result)
		return result;
	result = place.node != place.mount->root ? -EINVAL : 0;
	vfs_put(place.mount, place.node);
	return result ? result : vfs_mount_end(place.mount);
}

/* --- what is written ------------------------------------------------------------------------------------ */

/* The mount does not go while one is in there. */
static void visit(struct vfs_mount *mount)
{
	mount->visits++;
	vfs_enter(mount);
}

static void visit_end(struct vfs_mount *mount)
{
	vfs_leave(mount);
	mount->visits--;
	if (mount->going)
		vfs_machine->wake();
}

/* The latest mount that is older than this number. */
static struct vfs_mount *mount_before(uint32_t number)
{
	struct vfs_mount *mount = vfs_mounts, *best = NULL;

	for (; mount; mount = mount->next)
		if (mount->number < number && (!best || mount->number > best->number))
			best = mount;
	return best;
}

int vfs_sync(void)
{
	uint32_t number = UINT32_MAX;
	struct vfs_mount *mount;
	int first_error = 0;

	while ((mount = mount_before(number))) {
		if (mount->going) {
			vfs_machine->wait();
			continue;
		}
		visit(mount);
		int result = vfs_late(mount, mount->fs->ops->sync(mount->fs));
		visit_end(mount);
		if (!first_error)
			first_error = result;
		number = mount->number;
	}
	return first_error;
}

static void age(struct vfs_mount *mount)
{
	const struct fs_ops *ops = mount->fs->ops;
	bool old = mount->unsaved;
	int result;

	mount->unsaved = ops->unsaved(mount->fs);
	if (!old || !mount->unsaved)
		return;
	mount->unsaved = false;
	result = ops->sync(mount->fs);
	if (result && !mount->late)
		mount->late = result;
}

void vfs_age(void)
{
	for (struct vfs_mount *mount = vfs_mounts; mount; mount = mount->next) {
		if (!mount->fs->ops->unsaved || mount->by_hand || mount->going)
			continue;
		visit(mount);
		age(mount);
		visit_end(mount);	/* nobody else runs from here to the next one */
	}
}

/* --- the walk ------------------------------------------------------------------------------------------- */

/* What is mounted on a held node is taken instead. */
static inline void cross(struct vfs_place *place)
{
	while (__builtin_expect(place->node->face != NULL, 0)) {
		struct vfs_mount *mounted = ((struct vfs_face *)place->node->face)->mounted;

		if (!mounted)
			break;
		fs_hold(mounted->root);
		vfs_put(place->mount, place->node);
		*place = (struct vfs_place){ .mount = mounted, .node = mounted->root };
	}
}

/* From a mount's root to what it covers. The mount's name, if that is the directory it is in already. */
static const char *out_of_mount(struct vfs_place *place)
{
	const char *name = NULL;

	while (!name && place->node == place->mount->root && place->mount->above) {
		struct vfs_mount *mount = place->mount;

		fs_hold(mount->covers);
		vfs_put(mount, place->node);
		*place = (struct vfs_place){ .mount = mount->above, .node = mount->covers };
		name = mount->name;
	}
	return name;
}

static int up(struct vfs_place *place)
{
	struct fs_node *parent;
	int result;

	if (place->node == vfs_root.node || out_of_mount(place))
		return 0;
	vfs_enter(place->mount);
	result = place->mount->fs->ops->parent(place->node, &parent);
	vfs_leave(place->mount);
	if (result)
		return result;
	vfs_put(place->mount, place->node);
	place->node = parent;
	return 0;
}

/* What is mounted at a name that the directory does not have itself. */
static bool beside(const struct vfs_place *at, const char *name, size_t bytes, struct vfs_place *to)
{
	struct vfs_mount *mount = ((struct vfs_face *)at->node->face)->beside;

	while (mount && (*mount->name != *name || strncmp(mount->name, name, bytes) || mount->name[bytes]))
		mount = mount->beside;
	if (!mount)
		return false;
	fs_hold(mount->root);
	*to = (struct vfs_place){ .mount = mount, .node = mount->root };
	return true;
}

static int child(const struct vfs_place *at, const char *name, size_t bytes, struct vfs_place *to)
{
	struct fs_node *node = name_find(at->node, name, bytes);
	int result;

	if (node) {
		fs_hold(node);
		to->mount = node->fs->face;
		to->node = node;
		return 0;
	}
	to->mount = at->mount;
	if (!at->node->face || !beside(at, name, bytes, to)) {
		vfs_enter(at->mount);
		result = at->mount->fs->ops->lookup(at->node, name, bytes, &node);
		vfs_leave(at->mount);
		if (result)
			return result;
		to->node = node;
		cross(to);
	}
	name_add(at->node, name, bytes, to->node);
	return 0;
}

/* Put a link's target in front of the rest of the path; where that begins. */
static int expand(struct path_end *end, const struct vfs_place *link, const char *rest, const char **path)
{
	size_t left = strlen(rest);
	char *buffer;
	int bytes;

	if (left >= VFS_PATH_MAX)
		return -ENAMETOOLONG;
	buffer = malloc(VFS_PATH_MAX);
	if (!buffer)
		return -ENOMEM;
	vfs_enter(link->mount);
	bytes = link->mount->fs->ops->readlink(link->node, buffer, VFS_PATH_MAX - 1);
	vfs_leave(link->mount);
	if (bytes > 0 && (size_t)bytes + left < VFS_PATH_MAX) {
		memcpy(buffer + bytes, rest, left + 1);
		free(end->buffer);
		end->buffer = buffer;
		*path = buffer;
		return 0;
	}
	free(buffer);
	return bytes < 0 ? bytes : bytes ? -ENAMETOOLONG : -ENOENT;
}

static inline int search(const struct path_end *end)
{
	return !end->who || !end->who->uid ? 0 : vfs_may(end->who, &end->at, VFS_MAY_SEARCH);
}

/* One name: [path, path + bytes) is not empty. What the walk comes to is `to`; the end has the last name. */
static int step(struct path_end *end, const char *path, size_t bytes, struct vfs_place *to)
{
	struct vfs_place *at = &end->at;
	int result;

	if (at->node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	result = search(end);
	if (result)
		return result;
	end->last = PATH_NAME;
	if (path[0] == '.' && bytes == 1)
		end->last = PATH_DOT;
	else if (path[0] == '.' && path[1] == '.' && bytes == 2)
		end->last = PATH_DOTDOT;
	else if (bytes > FS_NAME_MAX)
		return -ENAMETOOLONG;
	end->name = path;
	end->bytes = (uint32_t)bytes;
	if (end->last == PATH_NAME)
		return child(at, path, bytes, to);
	*to = *at;
	fs_hold(to->node);
	return end->last == PATH_DOTDOT ? up(to) : 0;
}

static void begin(struct path_end *end, const struct vfs_place *from)
{
	if (end->at.node)
		vfs_put(end->at.mount, end->at.node);
	end->at.mount = from->mount;
	end->at.node = from->node;
	fs_hold(end->at.node);
}

int path_walk(const struct vfs_place *from, const char *path, unsigned flags, struct path_end *end)
{
	const char *start = path;
	struct vfs_place to;
	unsigned links = 0;
	int result = 0;

	*end = (struct path_end){ .last = PATH_ROOT, .who = from ? from->who : NULL };
	if (!*path || !vfs_root.node)
		return -ENOENT;
	end->at = *path == '/' ? vfs_root : from ? *from : vfs_cwd;
	path = name_walk(end->who, &end->at, path, 0);
	fs_hold(end->at.node);
	for (;;) {
		const char *name, *next;

		while (*path == '/')
			path++;
		for (name = path; *path && *path != '/'; path++)
			;
		for (next = path; *next == '/'; next++)
			;
		if (next - start >= VFS_PATH_MAX) {
			result = -ENAMETOOLONG;
			break;
		}
		if (path == name) {	/* nothing but slashes: the root */
			end->mount = end->at.mount;
			end->node = end->at.node;
			end->slash = true;
			fs_hold(end->node);
			return 0;
		}
		end->slash = next != path && !*next;
		to.node = NULL;
		result = step(end, name, (size_t)(path - name), &to);
		if (result == -ENOENT && !*next && flags & PATH_NEW && end->last == PATH_NAME)
			return 0;
		if (result) {
			if (to.node)
				vfs_put(to.mount, to.node);
			break;
		}
		if (to.node->kind == FS_SYMLINK && (*next || (!(flags & PATH_LAST) && (end->slash || flags & PATH_FOLLOW)))) {
			result = ++links > VFS_LINKS_MAX ? -ELOOP : expand(end, &to, path, &path);
			vfs_put(to.mount, to.node);
			if (result)
				break;
			start = path;
			if (*path == '/')
				begin(end, &vfs_root);
			continue;
		}
		if (!*next) {
			end->mount = to.mount;
			end->node = to.node;
			if (!end->slash || flags & PATH_LAST || to.node->kind == FS_DIRECTORY)
				return 0;
			result = -ENOTDIR;
			break;
		}
		vfs_put(end->at.mount, end->at.node);
		end->at = to;
		path = next;
	}
	path_end(end);
	return result;
}

void path_end(struct path_end *end)
{
	if (end->node)
		vfs_put(end->mount, end->node);
	if (end->at.node)
		vfs_put(end->at.mount, end->at.node);
	free(end->buffer);
	end->node = end->at.node = NULL;
	end->buffer = NULL;
}

int path_may_change(const struct path_end *end)
{
	if (end->node && (end->mount != end->at.mount || vfs_covered(end->node)))
		return -EBUSY;
	return end->at.mount->fs->read_only ? -EROFS : 0;
}

/* --- and back ------------------------------------------------------------------------------------------- */

/* The name of a child in its parent. */
static int name_of(const struct vfs_place *parent, uint64_t number, struct fs_entry *entry)
{
	uint64_t cursor = 0;
	int result;

	vfs_enter(parent->mount);
	while ((result = parent->mount->fs->ops->readdir(parent->node, &cursor, entry)) == 1)
		if (entry->number == number)
			break;
	vfs_leave(parent->mount);
	return result == 1 ? 0 : result ? result : -ENOENT;
}

int64_t vfs_path(const struct vfs_place *place, char *path, size_t bytes)
{
	struct vfs_place at = *place;
	struct fs_entry entry;
	size_t from = bytes;
	int result = bytes < 2 ? -ERANGE : 0;

	fs_hold(at.node);
	if (!result)
		path[--from] = '\0';
	while (!result && at.node != vfs_root.node) {
		const char *name = out_of_mount(&at);
		uint64_t number = at.node->number;

		if (name) {
			entry.bytes = (uint16_t)strlen(name);
			memcpy(entry.name, name, entry.bytes);
		} else {
			result = up(&at);
			if (!result)
				result = name_of(&at, number, &entry);
		}
		if (!result && (size_t)entry.bytes + 1 > from)
			result = -ERANGE;
		if (result)
			break;
		from -= entry.bytes;
		memcpy(path + from, entry.name, entry.bytes);
		path[--from] = '/';
	}
	vfs_put(at.mount, at.node);
	if (result)
		return result;
	if (from == bytes - 1)
		path[--from] = '/';
	memmove(path, path + from, bytes - from);
	return (int64_t)(bytes - from - 1);
}
