/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trees into and out of ext2 images, by libos/fs on this computer. For test/e2e/ext2.py.
 *
 *	ext2-host out IMAGE DIRECTORY	copy everything there is in the image into a directory
 *	ext2-host in IMAGE DIRECTORY	copy a directory's contents into the image's root
 *	ext2-host clear IMAGE		remove everything but lost+found
 *	ext2-host many IMAGE NUMBER	a directory with so many files: their names are their contents
 *	ext2-host try IMAGE		mount and unmount
 *
 * -r before the word: read-only. Holes stay holes. Hard links stay links. Status 1, and a line: it failed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libos/fs/ext2.h"
#include "test/lib/hostdisk.h"

#define CHUNK	(1 << 20)
#define LINKS	20000

static struct fs *fs;
static struct fs_node *root;
static uint8_t bytes[CHUNK];

/* What has several names: the number here and there. */
static struct {
	uint64_t number;
	char path[4096];
	struct fs_node *node;
} *links;
static unsigned link_count;

__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

static int64_t good(int64_t result, const char *what, const char *path)
{
	if (result < 0)
		die("%s of %s: %s", what, path, strerror((int)-result));
	return result;
}

static int host(int result, const char *what, const char *path)
{
	if (result < 0)
		die("this computer's %s of %s: %m", what, path);
	return result;
}

static struct fs_time now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct fs_time){ t.tv_sec, (uint32_t)t.tv_nsec };
}

static unsigned link_of(uint64_t number)
{
	unsigned i = 0;

	while (i < link_count && links[i].number != number)
		i++;
	return i;
}

static bool zero(const uint8_t *at, size_t count)
{
	return count == 0 || (!at[0] && !memcmp(at, at + 1, count - 1));
}

/* --- out ------------------------------------------------------------------------------------------------- */

static void file_out(struct fs_node *node, const char *path, uint64_t size)
{
	int file = host(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600), "open", path);
	uint64_t at = 0;

	while (at < size) {
		int64_t n = good(fs->ops->read(node, at, bytes, CHUNK), "read", path);

		if (n == 0)
			die("%s ends at %llu", path, (unsigned long long)at);
		if (!zero(bytes, (size_t)n) && pwrite(file, bytes, (size_t)n, (off_t)at) != n)
			die("%s: %m", path);
		at += (uint64_t)n;
	}
	if (fs->ops->read(node, size, bytes, 1) != 0)
		die("%s has no end", path);
	host(ftruncate(file, (off_t)size), "ftruncate", path);
	close(file);
}

static void tree_out(struct fs_node *directory, const char *path);

static void node_out(struct fs_node *node, const char *path)
{
	struct fs_attributes is;
	char target[FS_LINK_MAX + 1];
	struct timespec times[2];
	unsigned i;

	good(fs->ops->attributes(node, &is), "attributes", path);
	i = link_of(is.number);
	if (i < link_count) {
		host(link(links[i].path, path), "link", path);
		return;
	}
	if (is.links > 1 && is.kind != FS_DIRECTORY && link_count < LINKS) {
		links[link_count].number = is.number;
		snprintf(links[link_count++].path, sizeof(links->path), "%s", path);
	}
	switch (is.kind) {
	case FS_FILE:
		file_out(node, path, is.bytes);
		break;
	case FS_DIRECTORY:
		host(mkdir(path, 0700), "mkdir", path);
		tree_out(node, path);
		break;
	case FS_SYMLINK:
		target[good(fs->ops->readlink(node, target, FS_LINK_MAX), "readlink", path)] = 0;
		host(symlink(target, path), "symlink", path);
		break;
	case FS_FIFO:
		host(mkfifo(path, 0600), "mkfifo", path);
		break;
	default:
		die("%s is of kind %u", path, is.kind);
	}
	if (is.kind != FS_SYMLINK)
		host(chmod(path, is.mode), "chmod", path);
	times[0] = times[1] = (struct timespec){ is.modified.seconds, is.modified.nanoseconds };
	host(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), "utimensat", path);
}

static void tree_out(struct fs_node *directory, const char *path)
{
	struct fs_entry entry;
	struct fs_node *node;
	uint64_t cursor = 0;
	char below[4096];

	while (good(fs->ops->readdir(directory, &cursor, &entry), "readdir", path)) {
		if (directory == root && !strcmp(entry.name, "lost+found"))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry.name);
		good(fs->ops->lookup(directory, entry.name, entry.bytes, &node), "lookup", below);
		if (entry.kind && entry.kind != node->kind)
			die("%s has two kinds", below);
		node_out(node, below);
		fs_put(node);
	}
}

/* --- in -------------------------------------------------------------------------------------------------- */

static void file_in(struct fs_node *node, const char *path, uint64_t size)
{
	int file = host(open(path, O_RDONLY), "open", path);
	off_t at = 0, end;

	while ((at = lseek(file, at, SEEK_DATA)) >= 0) {
		end = lseek(file, at, SEEK_HOLE);
		while (at < end) {
			ssize_t n = pread(file, bytes, (size_t)(end - at < CHUNK ? end - at : CHUNK), at);

			if (n <= 0)
				die("%s: %m", path);
			for (ssize_t done = 0; done < n;)
				done += good(fs->ops->write(node, (uint64_t)(at + done), bytes + done, (size_t)(n - done)),
				    "write", path);
			at += n;
		}
	}
	good(fs->ops->truncate(node, size), "truncate", path);
	close(file);
}

static void tree_in(struct fs_node *directory, const char *path);

static void node_in(struct fs_node *directory, const char *name, const char *path)
{
	struct fs_attributes how = { .mode = 0600 };
	char target[FS_LINK_MAX + 1] = "";
	struct fs_node *node;
	struct stat is;
	unsigned i;

	host(lstat(path, &is), "lstat", path);
	i = link_of(is.st_ino);
	if (i < link_count) {
		good(fs->ops->link(directory, name, strlen(name), links[i].node), "link", path);
		return;
	}
	how.kind = S_ISDIR(is.st_mode) ? FS_DIRECTORY : S_ISLNK(is.st_mode) ? FS_SYMLINK : S_ISFIFO(is.st_mode) ? FS_FIFO : FS_FILE;
	how.mode = is.st_mode & 07777;
	if (how.kind == FS_SYMLINK)
		target[host((int)readlink(path, target, FS_LINK_MAX), "readlink", path)] = 0;
	good(fs->ops->create(directory, name, strlen(name), &how, target, &node), "create", path);
	if (is.st_nlink > 1 && how.kind != FS_DIRECTORY && link_count < LINKS) {
		fs_hold(node);
		links[link_count].number = is.st_ino;
		links[link_count++].node = node;
	}
	if (how.kind == FS_FILE)
		file_in(node, path, (uint64_t)is.st_size);
	else if (how.kind == FS_DIRECTORY)
		tree_in(node, path);
	how.modified = (struct fs_time){ is.st_mtim.tv_sec, (uint32_t)is.st_mtim.tv_nsec };
	good(fs->ops->set(node, &how, FS_SET_MODIFIED), "set", path);
	fs_put(node);
}

static void tree_in(struct fs_node *directory, const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	char below[4096];

	if (!folder)
		die("%s: %m", path);
	while ((entry = readdir(folder))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !strcmp(entry->d_name, "lost+found"))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		node_in(directory, entry->d_name, below);
	}
	closedir(folder);
}

/* --- the others ------------------------------------------------------------------------------------------ */

static void clear(struct fs_node *directory)
{
	struct fs_entry entry;
	struct fs_node *node;
	uint64_t cursor = 0;

	while (good(fs->ops->readdir(directory, &cursor, &entry), "readdir", "a directory")) {
		if (directory == root && !strcmp(entry.name, "lost+found"))
			continue;
		good(fs->ops->lookup(directory, entry.name, entry.bytes, &node), "lookup", entry.name);
		if (node->kind == FS_DIRECTORY)
			clear(node);
		good(fs->ops->unlink(directory, entry.name, entry.bytes, node->kind == FS_DIRECTORY), "unlink", entry.name);
		fs_put(node);
	}
}

static void many(unsigned number)
{
	struct fs_attributes how = { .kind = FS_DIRECTORY, .mode = 0755 };
	struct fs_node *directory, *node;
	char name[32];

	good(fs->ops->create(root, "many", 4, &how, NULL, &directory), "create", "many");
	how = (struct fs_attributes){ .kind = FS_FILE, .mode = 0644 };
	for (unsigned i = 0; i < number; i++) {
		size_t length = (size_t)snprintf(name, sizeof(name), "name-%u", i);

		good(fs->ops->create(directory, name, length, &how, NULL, &node), "create", name);
		good(fs->ops->write(node, 0, name, length), "write", name);
		fs_put(node);
	}
	fs_put(directory);
}

int main(int count, char **words)
{
	struct fs_mount how = { .now = now, .options = "" };
	struct hostdisk *disk;
	const char *word;
	int error;

	if (count > 1 && !strcmp(words[1], "-r")) {
		how.read_only = true;
		words++;
		count--;
	}
	if (count < 3)
		die("what to do?");
	word = words[1];
	disk = hostdisk_load(words[2]);
	links = calloc(LINKS, sizeof(*links));
	if (!disk || !links)
		die("%s: %m", words[2]);
	disk->lazy = true;
	how.device = &disk->device;
	error = fs_ext2.mount(&fs, &root, &how);
	if (error)
		die("mount: %s: %s", strerror(-error), ext2_why());
	if (!strcmp(word, "out") && count == 4)
		tree_out(root, words[3]);
	else if (!strcmp(word, "in") && count == 4)
		tree_in(root, words[3]);
	else if (!strcmp(word, "many") && count == 4)
		many((unsigned)atoi(words[3]));
	else if (!strcmp(word, "clear"))
		clear(root);
	for (unsigned i = 0; i < link_count; i++)
		if (links[i].node)
			fs_put(links[i].node);
	good(fs->ops->unmount(fs), "unmount", words[2]);
	if (!how.read_only && !hostdisk_save(disk, words[2]))
		die("%s: %m", words[2]);
	if (disk->unstable || disk->memory_pages)
		die("%llu writes changed under way, %llu pages lost", (unsigned long long)disk->unstable,
		    (unsigned long long)disk->memory_pages);
	hostdisk_end(disk);
	free(links);
	return 0;
}
