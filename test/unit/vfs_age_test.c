/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nobody asked to be written (vfs_age): changes that are old are on the disk, once, and an error that nobody was there for is
 * told by the next fsync. On cofs and ext2, looked at as a power cut would leave them.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "libos/fs/vfs.h"
#include "test/unit/tap.h"
#include "test/unit/vfs_disks.h"

static unsigned keep_none(void *arg, const struct hostdisk_entry *entry, uint32_t number)
{
	(void)arg, (void)entry, (void)number;
	return 0;
}

/* Is the file there, whole, on what a power cut would leave now, with nothing that no flush covers? */
static bool survives(const struct hostdisk *base, const struct hostdisk *disk, const struct fs_ops *ops)
{
	struct hostdisk *left = hostdisk_state(base, disk, disk->entry_count, keep_none, NULL);
	const struct fs_mount how = { .device = &left->device, .cache_pages = 200, .now = ticks };
	struct vfs_file *file;
	char text[16] = "";
	bool there;

	if (vfs_mount("/left", ops, &how))
		exit(99);
	there = !vfs_open(NULL, "/left/file", VFS_READ, 0, &file) && vfs_read(file, text, 6) == 5 && !strcmp(text, "words");
	if (there)
		vfs_file_put(file);
	if (vfs_unmount("/left"))
		exit(99);
	hostdisk_end(left);
	return there;
}

static void test_age(const char *name, const struct fs_ops *ops, struct hostdisk *disk)
{
	struct hostdisk *base = hostdisk_copy(disk);
	const struct fs_mount how = { .device = &disk->device, .cache_pages = 200, .now = ticks };
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct vfs_file *file;
	uint32_t entries;

	vfs_make(NULL, "/aged", &directory, NULL);
	vfs_make(NULL, "/left", &directory, NULL);
	disk->log = true;
	if (vfs_mount("/aged", ops, &how) || vfs_open(NULL, "/aged/file", VFS_WRITE | VFS_CREATE, 0644, &file))
		exit(99);
	vfs_write(file, "words", 5);
	vfs_age();
	ok(!survives(base, disk, ops), "%s: what is young is not written", name);
	vfs_age();
	ok(survives(base, disk, ops), "%s: what is older is written, and nobody asked", name);
	vfs_age();
	entries = disk->entry_count;
	vfs_age();
	vfs_age();
	ok(disk->entry_count == entries, "%s: once", name);
	disk->fail_what = 1 << BLOCK_WRITE;
	disk->fail_at = disk->operations + 1;
	disk->fail_for_good = true;
	vfs_pwrite(file, "more", 4, 100);
	vfs_age();
	vfs_age();
	disk->fail_at = 0;
	disk->fail_for_good = false;
	is_int(vfs_fsync(file, false), -EIO, "an error that nobody was there for is told by the next fsync");
	is_int(vfs_fsync(file, false), 0, "once");
	vfs_mounts->by_hand = true;
	vfs_pwrite(file, "more", 4, 200);
	entries = disk->entry_count;
	for (int i = 0; i < 4; i++)
		vfs_age();
	ok(disk->entry_count == entries, "%s: nothing is written where it is left alone", name);
	vfs_file_put(file);
	is_int(vfs_unmount("/aged"), 0, "unmounted");
	hostdisk_end(base);
	hostdisk_end(disk);
}

int main(void)
{
	char top[] = "/dev/shm/exo-age-XXXXXX", tmp[] = "/tmp/exo-age-XXXXXX", *base = mkdtemp(top), command[100];
	const struct fs_mount how = { .now = ticks };
	struct hostdisk *disk;

	if (!base)
		base = mkdtemp(tmp);
	if (!base || vfs_mount("/", &fs_memory, &how))
		return 99;
	test_age("cofs", &fs_cofs, cofs_disk());
	disk = ext2_disk(base);
	if (disk)
		test_age("ext2", &fs_ext2, disk);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command) ? 99 : done();
}
