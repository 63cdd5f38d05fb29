/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files.
 *
 * What two descriptors share by dup() is one struct vfs_file, counted. Its offset is read and moved in one stay under
 * the file system's lock, so that threads that write to one open file do not overwrite each other.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/fs/name.h"

#define COPY_BYTES	(64 * 1024)
#define SPARE_MAX	16	/* structures that are kept for the next open() */

static struct vfs_file *spare[SPARE_MAX];
static unsigned spare_count;
void (*vfs_unmap)(const struct fs_node *node, uint64_t from);

/* --- opening -------------------------------------------------------------------------------------------- */

static int check_rights(const struct path_end *end, unsigned flags)
{
	const struct vfs_place place = { .mount = end->mount, .node = end->node };

	return vfs_may(end->who, &place, (flags & VFS_READ ? VFS_MAY_READ : 0) |
	    (flags & (VFS_WRITE | VFS_TRUNCATE) ? VFS_MAY_WRITE : 0) | (flags & VFS_EXECUTE ? VFS_MAY_SEARCH : 0));
}

/* What is there, and what is asked for. */
static int check_there(const struct path_end *end, unsigned flags)
{
	bool directory = end->node->kind == FS_DIRECTORY, special = !directory && end->node->kind != FS_FILE;
	int result;

	if (flags & VFS_CREATE && end->slash && end->last == PATH_NAME)
		return -EISDIR;
	if (flags & VFS_CREATE && flags & VFS_EXCLUSIVE)
		return -EEXIST;
	if (end->node->kind == FS_SYMLINK)
		return flags & VFS_DIRECTORY ? -ENOTDIR : -ELOOP;
	if (flags & VFS_DIRECTORY && !directory)
		return -ENOTDIR;
	if (directory && flags & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE))
		return -EISDIR;
	result = end->who ? check_rights(end, flags) : 0;
	if (special)
		return result ? result : flags & VFS_SPECIAL ? 0 : -ENXIO;
	return result ? result : flags & (VFS_WRITE | VFS_TRUNCATE) && end->mount->fs->read_only ? -EROFS : 0;
}

static int create(struct path_end *end, unsigned mode)
{
	struct fs_attributes how = { .kind = FS_FILE, .mode = (uint16_t)(mode & 07777) };
	int result = end->slash ? -EISDIR : path_may_change(end);

	if (!result)
		result = path_new(end, &how);
	if (result)
		return result;
	end->mount = end->at.mount;
	vfs_enter(end->mount);
	result = end->mount->fs->ops->create(end->at.node, end->name, end->bytes, &how, NULL, &end->node);
	vfs_leave(end->mount);
	return result;
}

int vfs_cut(const struct vfs_place *place, uint64_t bytes)
{
	int result;

	if (vfs_unmap)
		vfs_unmap(place->node, bytes);
	vfs_enter(place->mount);
	result = place->mount->fs->ops->truncate(place->node, bytes);
	vfs_leave(place->mount);
	return result;
}

static int empty(const struct path_end *end)
{
	const struct vfs_place place = { .mount = end->mount, .node = end->node };
	int result = vfs_drop_ids(end->who, &place);

	return result ? result : vfs_cut(&place, 0);
}

/* A path that is known all the way: the walk's end without its directory; false: it has to be walked. */
static bool find_known(const struct vfs_place *from, const char *path, bool follow, struct path_end *end)
{
	struct fs_node *node = name_known(from, path, NAME_LAST | (follow ? 0 : NAME_LINK));

	if (!node)
		return false;
	*end = (struct path_end){ .node = node, .mount = node->fs->face, .who = from ? from->who : NULL };
	fs_hold(node);
	return true;
}

/* The node that is to be open, held. */
static int find_or_create(const struct vfs_place *from, const char *path, unsigned flags, unsigned mode,
    struct vfs_place *place)
{
	bool follow = !(flags & VFS_NOFOLLOW) && (flags & (VFS_CREATE | VFS_EXCLUSIVE)) != (VFS_CREATE | VFS_EXCLUSIVE);
	struct path_end end;
	int result;

	do {
		result = !(flags & VFS_CREATE) && find_known(from, path, follow, &end) ? 0 :
		    path_walk(from, path, (follow ? PATH_FOLLOW : 0) | (flags & VFS_CREATE ? PATH_NEW : 0), &end);
		if (result)
			return result == -ENOTDIR && flags & VFS_CREATE && end.slash ? -EISDIR : result;
		if (!end.node) {
			result = create(&end, mode);
		} else {
			result = check_there(&end, flags);
			if (!result && flags & VFS_TRUNCATE && end.node->kind == FS_FILE)
				result = empty(&end);
			if (result == -EEXIST)
				flags |= VFS_EXCLUSIVE;
		}
		if (!result) {
			*place = (struct vfs_place){ .mount = end.mount, .node = end.node };
			end.node = NULL;
		}
		path_end(&end);
		/* Another thread was faster. */
	} while (result == -EEXIST && !(flags & VFS_EXCLUSIVE));
	return result;
}

static void file_free(struct vfs_file *file)
{
	if (spare_count < SPARE_MAX)
		spare[spare_count++] = file;
	else
		free(file);
}

int vfs_open(const struct vfs_place *from, const char *path, unsigned flags, unsigned mode, struct vfs_file **file)
{
	struct vfs_file *made = spare_count ? spare[--spare_count] : malloc(sizeof(*made));
	int result;

	if (!made)
		return -ENOMEM;
	result = find_or_create(from, path, flags, mode, &made->place);
	if (result) {
		file_free(made);
		return result;
	}
	made->offset = 0;
	made->flags = flags;
	made->holds = 1;
	made->locked = false;
	made->place.mount->users++;
	*file = made;
	return 0;
}

struct vfs_file *vfs_open_node(struct fs_node *node, unsigned flags)
{
	struct vfs_file *made = spare_count ? spare[--spare_count] : malloc(sizeof(*made));

	if (!made)
		return NULL;
	fs_hold(node);
	*made = (struct vfs_file){ .place = { .mount = node->fs->face, .node = node }, .flags = flags, .holds = 1 };
	made->place.mount->users++;
	return made;
}

void vfs_file_put(struct vfs_file *file)
{
	if (--file->holds)
		return;
	if (file->locked)
		vfs_flock_close(file);
	file->place.mount->users--;
	vfs_put(file->place.mount, file->place.node);
	file_free(file);
}

/* --- reading and writing -------------------------------------------------------------------------------- */

static int check(const struct vfs_file *file, unsigned way, size_t bytes)
{
	if (!(file->flags & way))
		return -EBADF;
	if (file->place.node->kind != FS_FILE)
		return file->place.node->kind == FS_DIRECTORY ? -EISDIR : -EINVAL;
	return bytes > INT64_MAX ? -EINVAL : 0;
}

static int64_t do_read(struct vfs_file *file, void *memory, size_t bytes, uint64_t at)
{
	return file->place.mount->fs->ops->read(file->place.node, at, memory, bytes);
}

/* *at is where it goes; it is moved to the end for those who append. */
static int64_t do_write(struct vfs_file *file, const void *memory, size_t bytes, uint64_t *at)
{
	const struct fs_ops *ops = file->place.mount->fs->ops;
	struct fs_node *node = file->place.node;
	struct fs_attributes attributes;
	int64_t done;
	int result = 0;

	if (file->flags & VFS_APPEND) {
		result = ops->attributes(node, &attributes);
		*at = attributes.bytes;
	}
	done = result ? result : *at > INT64_MAX ? -EFBIG : ops->write(node, *at, memory, bytes);
	if (done > 0 && file->flags & (VFS_SYNC | VFS_DSYNC))
		result = ops->fsync(node, !(file->flags & VFS_SYNC));
	return result ? result : done;
}

int64_t vfs_read(struct vfs_file *file, void *memory, size_t bytes)
{
	int64_t done = check(file, VFS_READ, bytes);

	if (done)
		return done;
	vfs_enter(file->place.mount);
	done = do_read(file, memory, bytes, file->offset);
	if (done > 0)
		file->offset += (uint64_t)done;
	vfs_leave(file->place.mount);
	return done;
}

int64_t vfs_pread(struct vfs_file *file, void *memory, size_t bytes, uint64_t at)
{
	int64_t done = check(file, VFS_READ, bytes);

	if (done)
		return done;
	vfs_enter(file->place.mount);
	done = do_read(file, memory, bytes, at);
	vfs_leave(file->place.mount);
	return done;
}

int64_t vfs_write(struct vfs_file *file, const void *memory, size_t bytes)
{
	int64_t done = check(file, VFS_WRITE, bytes);
	uint64_t at;

	if (done || !bytes)
		return done;
	vfs_enter(file->place.mount);
	at = file->offset;
	done = do_write(file, memory, bytes, &at);
	if (done > 0)
		file->offset = at + (uint64_t)done;
	vfs_leave(file->place.mount);
	return done;
}

int64_t vfs_pwrite(struct vfs_file *file, const void *memory, size_t bytes, uint64_t at)
{
	int64_t done = check(file, VFS_WRITE, bytes);

	if (done || !bytes)
		return done;
	vfs_enter(file->place.mount);
	done = do_write(file, memory, bytes, &at);
	vfs_leave(file->place.mount);
	return done;
}

int64_t vfs_seek(struct vfs_file *file, int64_t offset, int whence)
{
	struct fs_attributes attributes;
	int64_t from = whence == 1 ? (int64_t)file->offset : 0;
	int result;

	if (whence == 2) {
		result = vfs_attributes(&file->place, &attributes);
		if (result)
			return result;
		from = (int64_t)attributes.bytes;
	}
	if (whence < 0 || whence > 2 || offset < -from)
		return -EINVAL;
	if (offset > INT64_MAX - from)
		return -EOVERFLOW;
	return (int64_t)(file->offset = (uint64_t)(from + offset));
}

int vfs_truncate(struct vfs_file *file, uint64_t bytes)
{
	if (!(file->flags & VFS_WRITE) || file->place.node->kind != FS_FILE || bytes > INT64_MAX)
		return -EINVAL;
	return vfs_cut(&file->place, bytes);
}

int vfs_fsync(struct vfs_file *file, bool data_only)
{
	int result;

	vfs_enter(file->place.mount);
	result = vfs_late(file->place.mount, file->place.mount->fs->ops->fsync(file->place.node, data_only));
	vfs_leave(file->place.mount);
	return result;
}

int vfs_attributes(const struct vfs_place *place, struct fs_attributes *attributes)
{
	int result;

	vfs_enter(place->mount);
	result = place->mount->fs->ops->attributes(place->node, attributes);
	vfs_leave(place->mount);
	return result;
}

int vfs_set(const struct vfs_place *place, const struct fs_attributes *attributes, unsigned which)
{
	int result;

	if (place->mount->fs->read_only)
		return -EROFS;
	vfs_enter(place->mount);
	result = place->mount->fs->ops->set(place->node, attributes, which);
	if (which & (FS_SET_MODE | FS_SET_UID | FS_SET_GID)) {
		place->node->known = false;
		name_forget_paths();
	}
	vfs_leave(place->mount);
	return result;
}

int vfs_space(const struct vfs_place *place, struct fs_space *space)
{
	int result;

	vfs_enter(place->mount);
	result = place->mount->fs->ops->space(place->mount->fs, space);
	vfs_leave(place->mount);
	return result;
}

/* --- directories ---------------------------------------------------------------------------------------- */

/* "." and ".."; the root's parent is the root. */
static int readdir_dot(struct vfs_file *file, struct fs_entry *entry)
{
	struct vfs_place parent = { 0 };
	bool up = file->offset == 1;
	int result = up ? vfs_find(&file->place, "..", true, &parent) : 0;

	entry->number = parent.node && !result ? parent.node->number : file->place.node->number;
	entry->kind = FS_DIRECTORY;
	entry->bytes = up ? 2 : 1;
	strcpy(entry->name, up ? ".." : ".");
	if (parent.node && !result)
		vfs_put(parent.mount, parent.node);
	file->offset++;
	return 1;
}

/* What is mounted there besides what the file system has. */
static int readdir_beside(struct vfs_file *file, struct fs_entry *entry)
{
	const struct vfs_face *face = file->place.node->face;
	const struct vfs_mount *mount = face ? face->beside : NULL;
	uint64_t skip = file->offset < VFS_BESIDE ? 0 : file->offset - VFS_BESIDE;

	while (mount && skip--)
		mount = mount->beside;
	if (!mount)
		return 0;
	file->offset = file->offset < VFS_BESIDE ? VFS_BESIDE + 1 : file->offset + 1;
	entry->number = mount->root->number;
	entry->kind = FS_DIRECTORY;
	entry->bytes = (uint16_t)strlen(mount->name);
	strcpy(entry->name, mount->name);
	return 1;
}

int vfs_readdir(struct vfs_file *file, struct fs_entry *entry)
{
	uint64_t cursor = file->offset - 2;
	int result = 0;

	if (file->place.node->kind != FS_DIRECTORY)
		return -ENOTDIR;
	if (file->offset < 2)
		return readdir_dot(file, entry);
	if (file->offset < VFS_BESIDE) {
		vfs_enter(file->place.mount);
		result = file->place.mount->fs->ops->readdir(file->place.node, &cursor, entry);
		vfs_leave(file->place.mount);
	}
	if (result == 1)
		file->offset = cursor + 2;
	return result ? result : readdir_beside(file, entry);
}

/* --- copying -------------------------------------------------------------------------------------------- */

/* A whole file into an empty one of the same file system. -EOPNOTSUPP: not offered. */
static int64_t try_clone(struct vfs_file *from, uint64_t at, struct vfs_file *to, uint64_t to_at, uint64_t bytes)
{
	const struct fs_ops *ops = from->place.mount->fs->ops;
	struct fs_attributes source, target;
	int result;

	if (at || to_at || from->place.mount != to->place.mount || !ops->clone || to->flags & VFS_APPEND)
		return -EOPNOTSUPP;
	vfs_enter(from->place.mount);
	result = ops->attributes(from->place.node, &source);
	if (!result)
		result = ops->attributes(to->place.node, &target);
	if (!result)
		result = target.bytes || bytes < source.bytes ? -EOPNOTSUPP : ops->clone(from->place.node, to->place.node);
	vfs_leave(from->place.mount);
	return result ? result : (int64_t)source.bytes;
}

int64_t vfs_copy(struct vfs_file *from, uint64_t at, struct vfs_file *to, uint64_t to_at, uint64_t bytes)
{
	int64_t result = check(from, VFS_READ, bytes), total = 0, done = 0;
	uint8_t *memory;

	if (!result)
		result = check(to, VFS_WRITE, bytes);
	if (!result && from->place.node == to->place.node && at < to_at + bytes && to_at < at + bytes)
		result = -EINVAL;
	if (result || !bytes)
		return result;
	result = try_clone(from, at, to, to_at, bytes);
	if (result != -EOPNOTSUPP)
		return result;
	memory = malloc(COPY_BYTES);
	if (!memory)
		return -ENOMEM;
	while (bytes) {
		done = vfs_pread(from, memory, bytes < COPY_BYTES ? (size_t)bytes : COPY_BYTES, at + (uint64_t)total);
		if (done > 0)
			done = vfs_pwrite(to, memory, (size_t)done, to_at + (uint64_t)total);
		if (done <= 0)
			break;
		total += done;
		bytes -= (uint64_t)done;
	}
	free(memory);
	return total ? total : done;
}
