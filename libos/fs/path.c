/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounts, the walk along a path, and the name cache.
 *
 * The name cache is a table of CACHE_NAMES places, each with the last name that fell into it: directory node and name
 * lead to a node; both nodes are held. Every change of a name passes here and empties its place, so what is in the
 * table is true. Nothing that could block is between a lookup and filling the place (unlocking wakes others, and goes
 * on), so that no change gets lost; what was in the place before is let go afterwards, with no lock held.
 *
 * A symbolic link is put in front of what is left of the path, in a buffer that is made for the first one.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/fs/vfs.h"

#define CACHE_NAMES	512	/* a power of 2 */
#define CACHE_BYTES	39	/* longer names are not kept */

struct name {
	struct fs_node *directory, *node;	/* NULL: empty */
	uint32_t hash;
	uint8_t bytes;
	char name[CACHE_BYTES];
};

const struct vfs_machine *vfs_machine;
struct vfs_place vfs_root, vfs_cwd;
struct vfs_mount *vfs_mounts;
unsigned vfs_umask = 022;
static uint32_t mount_number;
static struct name *names;

/* --- the name cache ------------------------------------------------------------------------------------- */

static inline uint32_t hash_of(const struct fs_node *directory, const char *name, size_t bytes)
{
	uint32_t hash = (uint32_t)(uintptr_t)directory >> 4;

	while (bytes--)
		hash = (hash ^ (uint8_t)*name++) * 16777619u;
	return hash ^ hash >> 15;
}

static void name_put(struct fs_node *node)
{
	vfs_put(node->fs->face, node);
}

static void name_drop(struct name *name)
{
	struct fs_node *directory = name->directory, *node = name->node;

	if (!directory)
		return;
	name->directory = NULL;
	name_put(node);
	name_put(directory);
}

static inline struct fs_node *name_find(const struct fs_node *directory, const char *text, size_t bytes, uint32_t hash)
{
	const struct name *name = &names[hash % CACHE_NAMES];

	if (name->directory != directory || name->hash != hash || name->bytes != bytes)
		return NULL;
	for (size_t i = 0; i < bytes; i++)
		if (name->name[i] != text[i])
			return NULL;
	return name->node;
}

static void name_add(struct fs_node *directory, const char *text, size_t bytes, uint32_t hash, struct fs_node *node)
{
	struct name *name = &names[hash % CACHE_NAMES], old = *name;

	if (bytes > CACHE_BYTES)
		return;
	fs_hold(directory);
	fs_hold(node);
	name->directory = directory;
	name->node = node;
	name->hash = hash;
	name->bytes = (uint8_t)bytes;
	memcpy(name->name, text, bytes);
	name_drop(&old);
}

void path_forget(const struct fs_node *directory, const char *text, size_t bytes)
{
	uint32_t hash = hash_of(directory, text, bytes);

	if (name_find(directory, text, bytes, hash))
		name_drop(&names[hash % CACHE_NAMES]);
}

void vfs_forget(const struct fs *fs)
{
	for (unsigned i = 0; names && i < CACHE_NAMES; i++)
		if (names[i].directory && (!fs || names[i].directory->fs == fs))
			name_drop(&names[i]);
}

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

	if (!face || face->mounted || face->beside || face->flocks || face->records)
		return;
	node->face = NULL;
	free(face);
	vfs_put(mount, node);
}

static void mount_free(struct vfs_mount *mount)
{
	if (mount->lock)
		vfs_machine->lock_end(mount->lock);
	free(mount->path);
	free(mount);
}

/* The directory that it shall cover, or be an entry of (*name is not NULL then); nothing for the first. */
static int mount_point(const char *path, struct vfs_place *point, const char **name)
{
	struct path_end end;
	int result;

	*point = (struct vfs_place){ 0 };
	*name = NULL;
	if (!vfs_root.node)
		return strcmp(path, "/") ? -ENOENT : 0;
	result = path_walk(&vfs_root, path, PATH_FOLLOW | PATH_NEW, &end);
	if (result)
		return result;
	if (end.node)
		*point = (struct vfs_place){ end.mount, end.node };
	else
		*point = end.at;
	if (!end.node && !end.at.mount->fs->read_only)
		result = -ENOENT;
	else if (end.node && end.node->kind != FS_DIRECTORY)
		result = -ENOTDIR;
	else if (end.node && end.node == end.mount->root)
		result = -EBUSY;
	else if (!vfs_face(point->node) || (!end.node && !(*name = strndup(end.name, end.bytes))))
		result = -ENOMEM;
	if (!result)
		fs_hold(point->node);
	path_end(&end);
	return result;
}

static void mount_put_point(struct vfs_mount *mount)
{
	if (!mount->covers)
		return;
	vfs_face_put(mount->above, mount->covers);
	vfs_put(mount->above, mount->covers);
	free((char *)mount->name);
}

static void mount_link(struct vfs_mount *mount)
{
	struct vfs_face *face = mount->covers ? mount->covers->face : NULL;

	mount->number = ++mount_number;
	mount->fs->face = mount;
	mount->next = vfs_mounts;
	vfs_mounts = mount;
	if (!face) {
		vfs_root = vfs_cwd = (struct vfs_place){ mount, mount->root };
		mount->root->holds += 2;
		mount->users = 1;
	} else if (mount->name) {
		mount->beside = face->beside;
		face->beside = mount;
	} else {
		face->mounted = mount;
	}
}

static void mount_unlink(struct vfs_mount *mount)
{
	struct vfs_face *face = mount->covers->face;
	struct vfs_mount **link;

	for (link = &vfs_mounts; *link != mount; link = &(*link)->next)
		;
	*link = mount->next;
	if (!mount->name) {
		face->mounted = NULL;
		return;
	}
	for (link = &face->beside; *link != mount; link = &(*link)->beside)
		;
	*link = mount->beside;
}

int vfs_mount(const char *path, const struct fs_ops *ops, const struct fs_mount *how)
{
	struct vfs_mount *mount = calloc(1, sizeof(*mount));
	struct vfs_place point;
	int result;

	if (!names)
		names = calloc(CACHE_NAMES, sizeof(*names));
	if (!mount)
		return -ENOMEM;
	mount->path = strdup(path);
	if (vfs_machine)
		mount->lock = vfs_machine->lock_make();
	result = !names || !mount->path || (vfs_machine && !mount->lock) ? -ENOMEM :
	    mount_point(path, &point, &mount->name);
	if (!result) {
		mount->above = point.mount;
		mount->covers = point.node;
		result = ops->mount(&mount->fs, &mount->root, how);
		if (result)
			mount_put_point(mount);
	}
	if (result) {
		mount_free(mount);
		return result;
	}
	if (mount->lock && !how->device && mount->fs->read_only) {
		vfs_machine->lock_end(mount->lock);
		mount->lock = NULL;
	}
	mount_link(mount);
	return 0;
}

static bool mount_in_use(const struct vfs_mount *mount)
{
	for (const struct vfs_mount *other = vfs_mounts; other; other = other->next)
		if (other->above == mount)
			return true;
	return mount->users != 0;
}

int vfs_unmount(const char *path)
{
	struct vfs_place place;
	struct vfs_mount *mount;
	int result = vfs_find(&vfs_root, path, true, &place);

	if (result)
		return result;
	mount = place.mount;
	result = place.node != mount->root ? -EINVAL : !mount->above ? -EBUSY : 0;
	vfs_put(place.mount, place.node);
	if (result)
		return result;
	vfs_forget(mount->fs);
	if (mount_in_use(mount))
		return -EBUSY;
	vfs_enter(mount);
	result = mount->fs->ops->unmount(mount->fs);
	vfs_leave(mount);
	if (result)
		return result;
	mount_unlink(mount);
	mount_put_point(mount);
	mount_free(mount);
	return 0;
}

int vfs_sync(void)
{
	int first_error = 0;

	for (struct vfs_mount *mount = vfs_mounts; mount; mount = mount->next) {
		vfs_enter(mount);
		int result = mount->fs->ops->sync(mount->fs);
		vfs_leave(mount);
		if (!first_error)
			first_error = result;
	}
	return first_error;
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
		*place = (struct vfs_place){ mounted, mounted->root };
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
		*place = (struct vfs_place){ mount->above, mount->covers };
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
	*to = (struct vfs_place){ mount, mount->root };
	return true;
}

static int child(const struct vfs_place *at, const char *name, size_t bytes, uint32_t hash, struct vfs_place *to)
{
	struct fs_node *node = name_find(at->node, name, bytes, hash);
	int result;

	to->mount = at->mount;
	if (at->node->face && beside(at, name, bytes, to))
		return 0;
	if (node) {
		fs_hold(node);
	} else {
		vfs_enter(at->mount);
		result = at->mount->fs->ops->lookup(at->node, name, bytes, &node);
		vfs_leave(at->mount);
		if (result)
			return result;
		name_add(at->node, name, bytes, hash, node);
	}
	to->node = node;
	cross(to);
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

/* One name: [path, path + bytes) is not empty. What the walk comes to is `to`; the end has the last name. */
static int step(struct path_end *end, const char *path, size_t bytes, uint32_t hash, struct vfs_place *to)
{
	struct vfs_place *at = &end->at;

	if (at->node->kind != FS_DIRECTORY)
		return -ENOTDIR;
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
		return child(at, path, bytes, hash, to);
	*to = *at;
	fs_hold(to->node);
	return end->last == PATH_DOTDOT ? up(to) : 0;
}

static void begin(struct path_end *end, const struct vfs_place *from)
{
	if (end->at.node)
		vfs_put(end->at.mount, end->at.node);
	end->at = *from;
	fs_hold(end->at.node);
}

int path_walk(const struct vfs_place *from, const char *path, unsigned flags, struct path_end *end)
{
	const char *start = path;
	struct vfs_place to;
	unsigned links = 0;
	int result = 0;

	*end = (struct path_end){ .last = PATH_ROOT };
	if (!*path || !vfs_root.node)
		return -ENOENT;
	begin(end, *path == '/' ? &vfs_root : from ? from : &vfs_cwd);
	for (;;) {
		uint32_t hash = (uint32_t)(uintptr_t)end->at.node >> 4;
		const char *name, *next;

		while (*path == '/')
			path++;
		for (name = path; *path && *path != '/'; path++)
			hash = (hash ^ (uint8_t)*path) * 16777619u;
		hash ^= hash >> 15;
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
		to.node = end->at.node->face ? NULL : name_find(end->at.node, name, (size_t)(path - name), hash);
		if (to.node && !to.node->face) {
			to.mount = end->at.mount;
			fs_hold(to.node);
			end->last = PATH_NAME;
			end->name = name;
			end->bytes = (uint32_t)(path - name);
			result = 0;
		} else {
			result = step(end, name, (size_t)(path - name), hash, &to);
		}
		if (result == -ENOENT && !*next && flags & PATH_NEW && end->last == PATH_NAME)
			return 0;
		if (result)
			break;
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
	if (end->node && end->mount != end->at.mount)
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
