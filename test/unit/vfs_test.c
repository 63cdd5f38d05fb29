/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files by path (libos/fs/vfs.h) on the file systems in memory, cofs and ext2, beside this computer's own: the same random
 * operations on both must have the same results, errors included, and leave the same tree. What the two cannot agree on (sizes of
 * directories, times, which other processes there are) is not compared. Then what has no counterpart: mounts, locks,
 * pages, a full file system, copies. What is written in the background is in vfs_age_test.c.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include "libos/fs/vfs.h"
#include "test/unit/tap.h"
#include "test/unit/vfs_disks.h"

#define DEPTH	6	/* of the working directory: paths have at most so many ".." */
#define FILES	6
#define BYTES	20000

static uint64_t seed;
static int bad;
static char log_text[1400];

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void same(long long ours, long long theirs)
{
	if (ours != theirs && bad++ < 10)
		printf("# %s: got %lld, this computer has %lld\n", log_text, ours, theirs);
}

static long long host(long long result)
{
	return result < 0 ? -errno : result;
}

static void make_path(char *path, bool too_long)
{
	static const char *const names[] = { "a", "b", "c", "d", "long-name-that-no-cache-keeps-since-it-is-too-long-for-it" };
	uint32_t parts = 1 + draw(3);
	char *at = path;

	for (uint32_t i = 0; i < parts; i++) {
		uint32_t kind = draw(24);
		const char *name = kind == 0 ? "." : kind == 1 ? ".." : names[draw(draw(8) ? 4 : 5)];

		at += sprintf(at, "%s%s", name, i + 1 < parts ? draw(16) ? "/" : "//" : draw(12) ? "" : "/");
	}
	if (draw(400) == 0)
		*path = '\0';
	if (draw(500) == 0 && too_long) {
		memset(path, 'x', 256);
		path[256] = '\0';
	}
}

static void compare_stat(const struct fs_attributes *ours, const struct stat *theirs)
{
	static const mode_t kinds[] = { 0, S_IFREG, S_IFDIR, S_IFLNK };

	same(kinds[ours->kind] | ours->mode, theirs->st_mode);
	same(ours->links, (long long)theirs->st_nlink);
	if (ours->kind != FS_DIRECTORY)
		same((long long)ours->bytes, theirs->st_size);
}

static void stat_both(const char *path, bool follow)
{
	struct fs_attributes ours;
	struct stat theirs;
	uint32_t number;
	int result = vfs_stat(NULL, path, follow, &ours, &number);

	snprintf(log_text, sizeof(log_text), "stat %s %d", path, follow);
	same(result, host(follow ? stat(path, &theirs) : lstat(path, &theirs)));
	if (!result)
		compare_stat(&ours, &theirs);
}

/* --- open files ----------------------------------------------------------------------------------------- */

static struct { struct vfs_file *ours; int theirs; } files[FILES];

static void close_both(unsigned i)
{
	if (!files[i].ours)
		return;
	vfs_file_put(files[i].ours);
	close(files[i].theirs);
	files[i].ours = NULL;
}

static void open_both(unsigned i, const char *path)
{
	static const struct { unsigned ours; int theirs; } all[] = {
		{ VFS_CREATE, O_CREAT }, { VFS_EXCLUSIVE, O_EXCL }, { VFS_TRUNCATE, O_TRUNC }, { VFS_APPEND, O_APPEND },
		{ VFS_DIRECTORY, O_DIRECTORY }, { VFS_NOFOLLOW, O_NOFOLLOW }, { VFS_SYNC, O_SYNC },
	};
	uint32_t way = draw(3);
	unsigned ours = way == 0 ? VFS_READ : way == 1 ? VFS_WRITE : VFS_READ | VFS_WRITE;
	int theirs = way == 0 ? O_RDONLY : way == 1 ? O_WRONLY : O_RDWR, result, fd;

	close_both(i);
	for (unsigned f = 0; f < 7; f++)
		if (draw(f == 0 ? 2 : 5) == 0) {
			ours |= all[f].ours;
			theirs |= all[f].theirs;
		}
	/* Undefined by POSIX, or refused by newer kernels only. */
	if (ours & VFS_EXCLUSIVE && !(ours & VFS_CREATE))
		return;
	if (ours & VFS_CREATE && ours & VFS_DIRECTORY)
		return;
	if (ours & VFS_TRUNCATE && way == 0)
		return;
	if (ours & VFS_CREATE && *path && path[strlen(path) - 1] == '/')
		return;
	snprintf(log_text, sizeof(log_text), "open %s %x", path, ours);
	result = vfs_open(NULL, path, ours, 0755, &files[i].ours);
	fd = open(path, theirs, 0755);
	same(result, fd < 0 ? -errno : 0);
	files[i].theirs = fd;
	if (result || fd < 0) {
		if (!result)
			vfs_file_put(files[i].ours);
		if (fd >= 0)
			close(fd);
		files[i].ours = NULL;
	}
}

static void file_both(unsigned i)
{
	static uint8_t ours[BYTES], theirs[BYTES];
	struct vfs_file *file = files[i].ours;
	int fd = files[i].theirs;
	uint64_t at = draw(60000);
	uint32_t bytes = draw(3) ? draw(300) : draw(BYTES), what = draw(9);
	struct fs_attributes attributes;
	struct stat st;
	long long result;

	if (!file)
		return;
	snprintf(log_text, sizeof(log_text), "file operation %u, %u bytes at %u", what, bytes, (unsigned)at);
	for (uint32_t j = 0; j < bytes && what < 2; j++)
		ours[j] = (uint8_t)(draw(256) + j);
	switch (what) {
	case 0:
		same(vfs_write(file, ours, bytes), host(write(fd, ours, bytes)));
		break;
	case 1:
		same(vfs_pwrite(file, ours, bytes, at), host(pwrite(fd, ours, bytes, (off_t)at)));
		break;
	case 2:
	case 3:
		result = what == 2 ? vfs_read(file, ours, bytes) : vfs_pread(file, ours, bytes, at);
		same(result, host(what == 2 ? read(fd, theirs, bytes) : pread(fd, theirs, bytes, (off_t)at)));
		if (result > 0)
			same(memcmp(ours, theirs, (size_t)result), 0);
		break;
	case 4:
		if (file->place.node->kind == FS_FILE) {
			int whence = (int)draw(4);
			int64_t offset = (int64_t)draw(80000) - 20000;

			if (whence == 3)
				whence = 7;
			same(vfs_seek(file, offset, whence), host(lseek(fd, offset, whence)));
		}
		break;
	case 5:
		same(vfs_truncate(file, at), host(ftruncate(fd, (off_t)at)));
		break;
	case 6:
		same(vfs_attributes(&file->place, &attributes), host(fstat(fd, &st)));
		compare_stat(&attributes, &st);
		break;
	case 7:
		same(vfs_fsync(file, draw(2)), host(fsync(fd)));
		break;
	case 8:
		if (draw(3) == 0)
			close_both(i);
	}
}

/* --- names ---------------------------------------------------------------------------------------------- */

static void chdir_both(const char *path)
{
	struct vfs_place place;
	int result = vfs_find(NULL, path, true, &place);
	char here[4096], *there;

	if (!result) {
		result = vfs_chdir(&place);
		vfs_put(place.mount, place.node);
	}
	same(result, host(chdir(path)));
	there = getcwd(NULL, 0);
	result = (int)vfs_path(&vfs_cwd, here, sizeof(here));
	/* Theirs begins with where the tree is. */
	same(result > 0, there && *there == '/');
	if (result > 0 && there)
		same(strcmp(there + strlen(there) - (size_t)result, here), 0);
	free(there);
}

static void readlink_both(const char *path)
{
	char ours[100], theirs[100];
	int bytes = 1 + (int)draw(99), result = vfs_readlink(NULL, path, ours, (size_t)bytes);

	same(result, host(readlink(path, theirs, (size_t)bytes)));
	if (result > 0)
		same(memcmp(ours, theirs, (size_t)result), 0);
}

static void name_both(const char *path, const char *other)
{
	struct fs_attributes how = { .kind = FS_DIRECTORY, .mode = 0700 | draw(64) };
	struct vfs_place place;
	uint32_t what = draw(12);
	bool flag = draw(2);
	uint64_t at = draw(50000);
	int result;

	snprintf(log_text, sizeof(log_text), "operation %u(%d) on \"%.60s\" \"%.60s\"", what, flag, path, other);
	switch (what) {
	case 0:
	case 1:
		same(vfs_make(NULL, path, &how, NULL), host(mkdir(path, how.mode)));
		break;
	case 2:
		same(vfs_unlink(NULL, path, true), host(rmdir(path)));
		break;
	case 3:
		same(vfs_unlink(NULL, path, false), host(unlink(path)));
		break;
	case 4:
	case 5:
		if (strlen(path) > FS_NAME_MAX && !strchr(path, '/'))
			return;		/* is looked at after the other path there */
		same(vfs_rename(NULL, path, NULL, other), host(rename(path, other)));
		break;
	case 6:
		same(vfs_link(NULL, path, flag, NULL, other),
		    host(linkat(AT_FDCWD, path, AT_FDCWD, other, flag ? AT_SYMLINK_FOLLOW : 0)));
		break;
	case 7:
		how.kind = FS_SYMLINK;
		if (*other && other[strlen(other) - 1] == '/')
			return;		/* see open_both */
		same(vfs_make(NULL, path, &how, other), host(symlink(other, path)));
		break;
	case 8:
		readlink_both(path);
		break;
	case 9:
		same(vfs_truncate_path(NULL, path, at), host(truncate(path, (off_t)at)));
		break;
	case 10:
		result = vfs_find(NULL, path, true, &place);
		if (!result) {
			result = vfs_set(&place, &how, FS_SET_MODE);
			vfs_put(place.mount, place.node);
		}
		same(result, host(chmod(path, how.mode)));
		break;
	case 11:
		if (draw(4) == 0)
			chdir_both(path);
	}
}

/* --- the whole tree ------------------------------------------------------------------------------------- */

/* Each entry of theirs is one of ours, with the same attributes, and there are as many. */
static void compare_tree(const char *path, unsigned depth)
{
	DIR *dir = opendir(path);
	struct dirent *theirs;
	struct vfs_file *file;
	struct fs_entry entry;
	int count = 0, result = vfs_open(NULL, path, VFS_READ | VFS_DIRECTORY, 0, &file);
	char below[4096];

	snprintf(log_text, sizeof(log_text), "tree at %.100s", path);
	same(result, dir ? 0 : -errno);
	if (!dir || result) {
		if (dir)
			closedir(dir);
		return;
	}
	while ((theirs = readdir(dir))) {
		count++;
		if (theirs->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, theirs->d_name);
		stat_both(below, false);
		if (theirs->d_type == DT_DIR && depth)
			compare_tree(below, depth - 1);
	}
	while (vfs_readdir(file, &entry) == 1)
		count--;
	same(count, 0);
	vfs_file_put(file);
	closedir(dir);
}

static void test_random(uint64_t seed_now, unsigned steps)
{
	char path[600], other[600], top[DEPTH * 2 + 2] = ".";

	seed = seed_now;
	bad = 0;
	for (unsigned i = 0; i < steps; i++) {
		make_path(path, true);
		make_path(other, false);
		switch (draw(8)) {
		case 0:
			stat_both(path, draw(2));
			break;
		case 1:
		case 2:
			open_both(draw(FILES), path);
			break;
		case 3:
		case 4:
			file_both(draw(FILES));
			break;
		default:
			name_both(path, other);
		}
		if (i % 1000 == 0)
			compare_tree(top, 10);
		if (i % 5000 == 0)
			vfs_forget(NULL);
	}
	for (unsigned i = 0; i < FILES; i++)
		close_both(i);
	is_int(bad, 0, "results and errors are this computer's");
}

/* --- by itself ------------------------------------------------------------------------------------------ */

static struct vfs_file *open_ours(const char *path, unsigned flags)
{
	struct vfs_file *file;

	return vfs_open(NULL, path, flags, 0644, &file) ? NULL : file;
}

/* Somebody holds a node, as one who waits in the middle of a walk does. */
static void test_held(const char *mount)
{
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct vfs_place place;
	char path[40];

	snprintf(path, sizeof(path), "%s/held", mount);
	vfs_find(NULL, mount, true, &place);
	is_int(vfs_unmount(mount), -EBUSY, "the root is held");
	vfs_put(place.mount, place.node);
	vfs_make(NULL, path, &directory, NULL);
	vfs_find(NULL, path, true, &place);
	is_int(vfs_unmount(mount), -EBUSY, "a directory is held");
	is_int(vfs_unlink(NULL, path, true), 0, "and is removed");
	is_int(vfs_unmount(mount), -EBUSY, "but held still");
	vfs_put(place.mount, place.node);
}

static void test_mount_on(void)
{
	const struct fs_mount how = { .options = "", .source = "nothing", .limits = 5, .by_hand = true };
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct vfs_place place, file;

	vfs_make(NULL, "/on", &directory, NULL);
	vfs_make(NULL, "/on/it", &directory, NULL);
	vfs_file_put(open_ours("/on/f", VFS_CREATE | VFS_WRITE));
	vfs_find(NULL, "/on/../on/it", true, &place);
	vfs_find(NULL, "/on/f", true, &file);
	is_int(vfs_mount_on(&file, &fs_memory, &how), -ENOTDIR, "a mount on a file");
	is_int(vfs_mount_on(&vfs_root, &fs_memory, &how), -EBUSY, "a mount on a root");
	is_int(vfs_mount_on(&place, &fs_memory, &how), 0, "a mount on a directory");
	is_int(vfs_mount_on(&place, &fs_memory, &how), -EBUSY, "once only");
	is_string(vfs_mounts->path, "/on/it", "its path");
	ok(!strcmp(vfs_mounts->source, "nothing") && vfs_mounts->limits == 5 && vfs_mounts->by_hand, "what was said of it");
	test_held("/on/it");
	is_int(vfs_mount_end(vfs_mounts), 0, "it goes");
	is_int(vfs_mount_end(vfs_root.mount), -EBUSY, "the first stays");
	is_int(vfs_unlink(NULL, "/on/it", true), 0, "the directory goes");
	is_int(vfs_mount_on(&place, &fs_memory, &how), -ENOENT, "and is no place for a mount any more");
	vfs_put(place.mount, place.node);
	vfs_put(file.mount, file.node);
	vfs_unlink(NULL, "/on/f", false);
	is_int(vfs_unlink(NULL, "/on", true), 0, "nothing is left");
}

static void test_mounts(void)
{
	const struct fs_mount how = { .options = "size=40K" }, wrong = { .options = "size=x" };
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct fs_attributes attributes;
	static uint8_t bytes[60000];
	struct vfs_file *file;
	struct fs_space space;
	uint32_t root_number, number;
	char path[100];

	vfs_make(NULL, "/m", &directory, NULL);
	is_int(vfs_mount("/m/none", &fs_memory, &how), -ENOENT, "a mount point that is not there");
	is_int(vfs_mount("/m", &fs_memory, &wrong), -EINVAL, "an option that is wrong");
	is_int(vfs_mount("/m", &fs_memory, &how), 0, "a mount");
	is_int(vfs_mount("/m", &fs_memory, &how), -EBUSY, "once only");
	vfs_stat(NULL, "/", true, &attributes, &root_number);
	vfs_stat(NULL, "/m", true, &attributes, &number);
	ok(number != root_number, "another number");
	is_int(vfs_unlink(NULL, "/m", true), -EBUSY, "a mount point does not go");
	is_int(vfs_rename(NULL, "/m", NULL, "/n"), -EBUSY, "nor move");
	file = open_ours("/m/f", VFS_CREATE | VFS_READ | VFS_WRITE);
	is_int(vfs_link(NULL, "/m/f", true, NULL, "/f"), -EXDEV, "no link between file systems");
	is_int(vfs_rename(NULL, "/m/f", NULL, "/f"), -EXDEV, "no renaming either");
	is_int(vfs_write(file, bytes, sizeof(bytes)), 40960, "a write that does not fit is short");
	is_int(vfs_write(file, bytes, 1), -ENOSPC, "and then there is no space");
	vfs_space(&file->place, &space);
	ok(space.blocks == 10 && space.blocks_free == 0, "as statvfs says");
	is_int(vfs_unmount("/m"), -EBUSY, "a mount with an open file");
	vfs_file_put(file);
	vfs_make(NULL, "/m/d", &directory, NULL);
	vfs_make(NULL, "/m/d/e", &directory, NULL);
	struct vfs_place place;
	vfs_find(NULL, "/m/d/e", true, &place);
	vfs_chdir(&place);
	vfs_put(place.mount, place.node);
	is_int(vfs_path(&vfs_cwd, path, sizeof(path)), 6, "a path through a mount");
	is_string(path, "/m/d/e", "is right");
	is_int(vfs_stat(NULL, "../../../m/d/../../m/f", true, &attributes, &number), 0, "in and out with ..");
	is_int(vfs_unmount("/m"), -EBUSY, "a mount with the working directory");
	vfs_chdir(&vfs_root);
	is_int(vfs_unmount("/m/d"), -EINVAL, "no mount point");
	is_int(vfs_unmount("/m"), 0, "unmounted");
	is_int(vfs_stat(NULL, "/m/f", true, &attributes, &number), -ENOENT, "its files are gone");
	is_int(vfs_unmount("/"), -EBUSY, "the root stays");
	is_int(vfs_unlink(NULL, "/m", true), 0, "the mount point can go");
}

/* A file system that cannot be written, and another at a name that it does not have. */
static void test_beside(void)
{
	const struct fs_mount only = { .read_only = true }, how = { 0 };
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct fs_attributes attributes;
	struct vfs_place place;
	struct fs_entry entry;
	struct vfs_file *file;
	uint32_t number;
	char path[40] = "";
	int count = 0;

	vfs_make(NULL, "/ro", &directory, NULL);
	is_int(vfs_mount("/ro", &fs_memory, &only), 0, "one that cannot be written");
	is_int(vfs_make(NULL, "/ro/x", &directory, NULL), -EROFS, "nothing can be made there");
	is_int(vfs_mount("/ro/no/data", &fs_memory, &how), -ENOENT, "no directory for a mount point");
	is_int(vfs_mount("/ro/data", &fs_memory, &how), 0, "a mount point of its own");
	is_int(vfs_mount("/ro/data", &fs_memory, &how), -EBUSY, "once only");
	is_int(vfs_mount("/ro/more", &fs_memory, &how), 0, "and another");
	is_int(vfs_make(NULL, "/ro/data/x", &directory, NULL), 0, "there, something can be made");
	is_int(vfs_stat(NULL, "/ro/data/../more/../data/x", true, &attributes, &number), 0, "and found");
	is_int(vfs_stat(NULL, "/ro/dat", true, &attributes, &number), -ENOENT, "not by half its name");
	vfs_find(NULL, "/ro/data/x", true, &place);
	vfs_path(&place, path, sizeof(path));
	vfs_put(place.mount, place.node);
	is_string(path, "/ro/data/x", "its path");
	file = open_ours("/ro", VFS_READ | VFS_DIRECTORY);
	while (vfs_readdir(file, &entry) == 1)
		count++;
	is_int(count, 4, "they are listed");
	vfs_file_put(file);
	is_int(vfs_unmount("/ro"), -EBUSY, "something is mounted in there");
	is_int(vfs_unmount("/ro/data") || vfs_unmount("/ro/more") || vfs_unmount("/ro"), 0, "all go again");
	vfs_unlink(NULL, "/ro", true);
}

static void test_flocks(void)
{
	struct vfs_file *one = open_ours("/lock", VFS_CREATE | VFS_READ), *other = open_ours("/lock", VFS_READ);

	is_int(vfs_flock(one, VFS_SHARED, false), 0, "shared");
	is_int(vfs_flock(other, VFS_SHARED, false), 0, "shared by another");
	is_int(vfs_flock(one, VFS_ALONE, false), -EWOULDBLOCK, "not alone now");
	is_int(vfs_flock(other, VFS_ALONE, false), 0, "the first lost its lock by that");
	is_int(vfs_flock(one, VFS_SHARED, true), -EWOULDBLOCK, "nobody to wait for without threads");
	vfs_file_put(other);
	is_int(vfs_flock(one, VFS_ALONE, false), 0, "closing drops it");
	is_int(vfs_flock(one, VFS_UNLOCK, false), 0, "unlock");
	ok(!one->place.node->face, "nothing is left");
	vfs_file_put(one);
}

/* A byte map of who holds what. */
static void test_records(void)
{
	struct vfs_file *file = open_ours("/lock", VFS_CREATE | VFS_READ);
	static uint8_t model[3][64];
	int wrong = 0;

	seed = 5;
	for (int i = 0; i < 20000; i++) {
		struct vfs_range range = { draw(3), 1 + draw(2), draw(60), 0 };
		bool free_there = true;

		range.end = range.start + 1 + draw(64 - (uint32_t)range.start);
		for (uint64_t b = range.start; b < range.end; b++) {
			uint8_t theirs = model[3 - range.owner][b];

			if (range.lock != VFS_UNLOCK && theirs && (theirs == VFS_ALONE || range.lock == VFS_ALONE))
				free_there = false;
		}
		wrong += (vfs_record_test(file, &range).lock == VFS_UNLOCK) != free_there && range.lock != VFS_UNLOCK;
		wrong += vfs_record(file, &range, false) != (free_there ? 0 : -EAGAIN);
		for (uint64_t b = range.start; b < range.end && free_there; b++)
			model[range.owner][b] = (uint8_t)range.lock;
		if (draw(500) == 0) {
			vfs_record_close(file, range.owner);
			memset(model[range.owner], 0, 64);
		}
	}
	is_int(wrong, 0, "record locks are as in a map of bytes");
	vfs_record_close(file, 1);
	vfs_record_close(file, 2);
	ok(!file->place.node->face, "nothing is left");
	vfs_file_put(file);
}

static void test_pages(void)
{
	struct vfs_file *file = open_ours("/pages", VFS_CREATE | VFS_READ | VFS_WRITE);
	struct fs_node *node = file->place.node;
	struct buffer *page, *again;
	char byte = 0;

	vfs_truncate(file, 100000);
	is_int(fs_memory.page(node, 8192, false, &page), 0, "a hole's page");
	ok(!page, "is none");
	is_int(fs_memory.page(node, 8192, true, &page), 0, "to be written, it is one");
	is_int(fs_memory.page(node, 8192, false, &again), 0, "and again");
	ok(page && page == again && page->holds == 2, "the same");
	page->data[5] = 'x';
	fs_memory.page_put(node, page, true);
	vfs_pread(file, &byte, 1, 8197);
	ok(byte == 'x', "what was written there is in the file");
	vfs_truncate(file, 100);
	vfs_truncate(file, 100000);
	again->data[5] = 'y';
	vfs_pread(file, &byte, 1, 8197);
	ok(byte == 0, "a page that was cut off is the file's no more");
	fs_memory.page_put(node, again, false);
	is_int(fs_memory.page(node, 1 << 20, false, &page), -EINVAL, "beyond the end");
	is_int(vfs_pwrite(file, "z", 1, (uint64_t)1 << 44), -EFBIG, "too far out");
	is_int(vfs_pwrite(file, "z", 1, (uint64_t)5 << 32), 1, "far out");
	vfs_file_put(file);
	vfs_unlink(NULL, "/pages", false);
}

static void test_copy(void)
{
	struct vfs_file *from = open_ours("/from", VFS_CREATE | VFS_READ | VFS_WRITE);
	struct vfs_file *to = open_ours("/to", VFS_CREATE | VFS_READ | VFS_WRITE);
	static uint8_t bytes[200000], copy[200000];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)draw(256);
	vfs_write(from, bytes, sizeof(bytes));
	is_int(vfs_copy(from, 1000, to, 500, UINT32_MAX), sizeof(bytes) - 1000, "a copy up to the end");
	is_int(vfs_pread(to, copy, sizeof(copy), 500), sizeof(bytes) - 1000, "is as long");
	ok(!memcmp(copy, bytes + 1000, sizeof(bytes) - 1000), "and the same");
	is_int(vfs_copy(from, 0, from, 100, 200), -EINVAL, "onto itself");
	vfs_file_put(from);
	vfs_file_put(to);
	vfs_unlink(NULL, "/from", false);
	vfs_unlink(NULL, "/to", false);
}

static void test_readdir(void)
{
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct vfs_file *dir;
	struct fs_entry entry;
	bool seen[400] = { false };
	int twice = 0, missed = 0;
	char path[40];

	vfs_make(NULL, "/dir", &directory, NULL);
	for (int i = 0; i < 200; i++) {
		sprintf(path, "/dir/%d", i);
		vfs_file_put(open_ours(path, VFS_CREATE | VFS_WRITE));
	}
	dir = open_ours("/dir", VFS_READ | VFS_DIRECTORY);
	seed = 9;
	for (int i = 0; vfs_readdir(dir, &entry) == 1; i++) {
		int number = atoi(entry.name);

		if (entry.name[0] == '.')
			continue;
		twice += seen[number];
		seen[number] = true;
		sprintf(path, "/dir/%d", (int)draw(100) * 2);	/* even ones go, new ones come */
		vfs_unlink(NULL, path, false);
		sprintf(path, "/dir/%d", 200 + (int)draw(200));
		if (i < 300)
			vfs_rename(NULL, "/lock", NULL, path);
		vfs_file_put(open_ours("/lock", VFS_CREATE | VFS_READ));
	}
	for (int i = 1; i < 200; i += 2)
		missed += !seen[i];
	ok(!missed && twice <= 200, "readdir while names come and go");
	vfs_file_put(dir);
}

/* --- where it runs -------------------------------------------------------------------------------------- */

/* Both working directories are DEPTH directories below what they are now. */
static bool descend(void)
{
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct vfs_place place;

	for (int i = 0; i < DEPTH; i++) {
		vfs_make(NULL, "r", &directory, NULL);
		if (vfs_find(NULL, "r", true, &place))
			return false;
		vfs_chdir(&place);
		vfs_put(place.mount, place.node);
		if (mkdir("r", 0755) || chdir("r"))
			return false;
	}
	return true;
}

/* The same operations on a file system with a disk, mounted at /NAME. */
static void test_disk(const char *name, const struct fs_ops *ops, struct hostdisk *disk, const char *base)
{
	const struct fs_mount how = { .device = &disk->device, .cache_pages = 200, .now = ticks };
	const struct fs_attributes directory = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct vfs_place place;
	char path[20];

	snprintf(path, sizeof(path), "/%s", name);
	vfs_chdir(&vfs_root);
	vfs_make(NULL, path, &directory, NULL);
	is_int(vfs_mount(path, ops, &how), 0, name);
	if (vfs_find(NULL, path, true, &place) || chdir(base) || mkdir(name, 0755) || chdir(name))
		exit(99);
	vfs_chdir(&place);
	vfs_put(place.mount, place.node);
	if (!descend())
		exit(99);
	for (uint64_t i = 1; i <= 2; i++)
		test_random(i, 20000);
	vfs_chdir(&vfs_root);
	test_held(path);
	is_int(vfs_unmount(path), 0, "nothing of it is in use at the end");
	is_int(vfs_mount(path, ops, &how), 0, "and it can be mounted again");
	is_int(vfs_unmount(path), 0, "and unmounted");
	is_int((long long)disk->memory_pages, 0, "its cache is gone");
	hostdisk_end(disk);
}

int main(void)
{
	char top[] = "/dev/shm/exo-vfs-XXXXXX", tmp[] = "/tmp/exo-vfs-XXXXXX", *base = mkdtemp(top), command[100];
	const struct fs_mount how = { .now = ticks };
	struct hostdisk *disk;

	if (!base)
		base = mkdtemp(tmp);
	umask(022);
	if (!base || chdir(base) || vfs_mount("/", &fs_memory, &how) || !descend())
		return 99;
	for (uint64_t i = 1; i <= 4; i++)
		test_random(i, 40000);
	vfs_chdir(&vfs_root);
	test_mounts();
	test_mount_on();
	test_beside();
	test_flocks();
	test_records();
	test_pages();
	test_copy();
	test_readdir();
	test_disk("cofs", &fs_cofs, cofs_disk(), base);
	disk = ext2_disk(base);
	if (disk)
		test_disk("ext2", &fs_ext2, disk, base);
	vfs_forget(NULL);
	ok(vfs_root.mount->users == 1, "no file is open at the end");
	snprintf(command, sizeof(command), "rm -rf %s", base);
	if (chdir("/") || system(command))
		return 99;
	return done();
}
