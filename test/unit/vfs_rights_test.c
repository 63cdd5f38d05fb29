/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What changing a file does to its mode and times, and who may move a directory: set-ids that go when somebody else writes or
 * cuts (vfs_drop_ids), ".." as something that is written to, times of use that leave `changed` (FS_SET_USE), links that are
 * read. On the file system in memory, cofs and ext2.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "libos/fs/vfs.h"
#include "test/unit/tap.h"
#include "test/unit/vfs_disks.h"

#define STRANGER	5
#define OWNER		7

static const struct vfs_who root, stranger = { .uid = STRANGER, .gid = STRANGER }, owner = { .uid = OWNER, .gid = OWNER };

static struct vfs_place find(const char *path)
{
	struct vfs_place place;

	if (vfs_find(NULL, path, false, &place))
		exit(99);
	return place;
}

static struct fs_attributes state(const char *path)
{
	struct vfs_place place = find(path);
	struct fs_attributes attributes;

	if (vfs_attributes(&place, &attributes))
		exit(99);
	vfs_put(place.mount, place.node);
	return attributes;
}

static void give(const char *path, unsigned mode, uint32_t uid)
{
	const struct fs_attributes to = { .mode = (uint16_t)mode, .uid = uid, .gid = uid };
	struct vfs_place place = find(path);

	if (vfs_set(&place, &to, FS_SET_MODE | FS_SET_UID | FS_SET_GID))
		exit(99);
	vfs_put(place.mount, place.node);
}

static struct vfs_place as(const struct vfs_who *who)
{
	return (struct vfs_place){ .mount = vfs_root.mount, .node = vfs_root.node, .who = who };
}

static void test_ids(const char *path)
{
	const struct vfs_place others = as(&stranger), all = as(&root);
	struct vfs_place place;
	struct vfs_file *file;

	if (vfs_open(NULL, path, VFS_WRITE | VFS_CREATE, 0644, &file))
		exit(99);
	vfs_file_put(file);
	give(path, 06777, OWNER);
	is_int(vfs_truncate_path(&all, path, 0), 0, "user 0 cuts it");
	is_int(state(path).mode, 06777, "and it keeps its set-ids");
	is_int(vfs_truncate_path(&others, path, 0), 0, "another does");
	is_int(state(path).mode, 0777, "and they are gone");
	give(path, 06766, OWNER);
	is_int(vfs_open(&others, path, VFS_WRITE | VFS_TRUNCATE, 0, &file), 0, "he empties it as he opens it");
	vfs_file_put(file);
	is_int(state(path).mode, 02766, "and the set-group-id stays that makes nobody of the group");
	give(path, 04711, OWNER);
	is_int(vfs_open(&others, path, VFS_WRITE | VFS_TRUNCATE, 0, &file), -EACCES, "one that he may not write to");
	is_int(vfs_truncate_path(&others, path, 0), -EACCES, "nor cut");
	is_int(state(path).mode, 04711, "stays what it is");
	place = find(path);
	is_int(vfs_drop_ids(NULL, &place) || vfs_drop_ids(&root, &place), 0, "nobody, and user 0");
	is_int(state(path).mode, 04711, "change nothing");
	is_int(vfs_drop_ids(&stranger, &place), 0, "he is going to write to it");
	is_int(state(path).mode, 0711, "and it is the owner's no more");
	vfs_put(place.mount, place.node);
	is_int(vfs_unlink(NULL, path, false), 0, "gone");
}

static void test_move(const char *top)
{
	const struct fs_attributes how = { .kind = FS_DIRECTORY, .mode = 0777 };
	const struct vfs_place others = as(&stranger), owns = as(&owner);
	char from[40], to[40], inner[40], other[40], moved[40];

	snprintf(from, sizeof(from), "%s/from", top);
	snprintf(to, sizeof(to), "%s/to", top);
	snprintf(inner, sizeof(inner), "%s/from/d", top);
	snprintf(other, sizeof(other), "%s/from/e", top);
	snprintf(moved, sizeof(moved), "%s/to/d", top);
	if (vfs_make(NULL, from, &how, NULL) || vfs_make(NULL, to, &how, NULL) || vfs_make(NULL, inner, &how, NULL))
		exit(99);
	give(from, 0777, 0);
	give(to, 0777, 0);
	give(inner, 0755, OWNER);
	is_int(vfs_rename(&others, inner, &others, moved), -EACCES, "a directory that he may not write to does not move");
	is_int(vfs_rename(&others, inner, &others, other), 0, "but gets another name where it is");
	is_int(vfs_rename(&others, other, &others, inner), 0, "and the first one again");
	is_int(vfs_rename(&owns, inner, &owns, moved), 0, "its owner moves it");
	is_int(vfs_rename(NULL, moved, NULL, inner), 0, "and who does not say who he is");
	give(inner, 0577, OWNER);
	is_int(vfs_rename(&owns, inner, &owns, moved), -EACCES, "the owner does not, if he may not write to it");
	is_int(vfs_rename(&others, inner, &others, moved), 0, "others do, if they may");
	is_int(vfs_unlink(NULL, moved, true) || vfs_unlink(NULL, from, true) || vfs_unlink(NULL, to, true), 0, "gone");
}

static bool is(struct fs_time a, struct fs_time b)
{
	return a.seconds == b.seconds && a.nanoseconds == b.nanoseconds;
}

static void test_times(const char *name, const char *path)
{
	const struct fs_attributes fifo = { .kind = FS_FIFO, .mode = 0600 }, link = { .kind = FS_SYMLINK };
	struct fs_attributes to = { .accessed = { 2000000, 5 }, .modified = { 3000000, 6 } }, was, now;
	struct vfs_place place;
	char target[8];

	if (vfs_make(NULL, path, &fifo, NULL))
		exit(99);
	place = find(path);
	was = state(path);
	is_int(vfs_set(&place, &to, FS_SET_ACCESSED | FS_SET_USE), 0, "it was read");
	now = state(path);
	ok(is(now.accessed, to.accessed) && is(now.modified, was.modified) && is(now.changed, was.changed),
	    "%s: which changes nothing", name);
	is_int(vfs_set(&place, &to, FS_SET_MODIFIED | FS_SET_USE), 0, "it was written");
	now = state(path);
	ok(is(now.modified, to.modified) && !is(now.changed, was.changed), "%s: which does", name);
	was = now;
	is_int(vfs_set(&place, &to, FS_SET_ACCESSED), 0, "somebody says that it was read");
	ok(!is(state(path).changed, was.changed), "%s: which is a change", name);
	vfs_put(place.mount, place.node);
	is_int(vfs_unlink(NULL, path, false), 0, "gone");
	if (vfs_make(NULL, path, &link, "target"))
		exit(99);
	was = state(path);
	is_int(vfs_readlink(NULL, path, target, sizeof(target)), 6, "a link is read");
	now = state(path);
	ok(!is(now.accessed, was.accessed) && is(now.changed, was.changed), "%s: and tells when", name);
	is_int(vfs_unlink(NULL, path, false), 0, "gone");
}

static void test_on(const char *name, const struct fs_ops *ops, struct hostdisk *disk)
{
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	const struct fs_mount how = { .device = disk ? &disk->device : NULL, .cache_pages = disk ? 200 : 0, .now = ticks };

	vfs_make(NULL, "/on", &directory, NULL);
	is_int(vfs_mount("/on", ops, &how), 0, name);
	give("/on", 0777, 0);
	test_ids("/on/file");
	test_move("/on");
	test_times(name, "/on/node");
	is_int(vfs_unmount("/on"), 0, "unmounted");
	if (disk)
		hostdisk_end(disk);
}

int main(void)
{
	char top[] = "/dev/shm/exo-rights-XXXXXX", tmp[] = "/tmp/exo-rights-XXXXXX", *base = mkdtemp(top), command[100];
	const struct fs_mount how = { .now = ticks };
	struct hostdisk *disk;

	if (!base)
		base = mkdtemp(tmp);
	if (!base || vfs_mount("/", &fs_memory, &how))
		return 99;
	test_on("memory", &fs_memory, NULL);
	test_on("cofs", &fs_cofs, cofs_disk());
	disk = ext2_disk(base);
	if (disk)
		test_on("ext2", &fs_ext2, disk);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command) ? 99 : done();
}
