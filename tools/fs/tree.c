/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trees of files, copied into a file system and out of it: names, contents, holes at ends, links of both kinds, modes, times.
 * Directories are reached by descriptors and no link is followed, so no name from an image leads elsewhere.
 */
#include <dirent.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/fs/fs.h"

#define CHUNK	(1 << 20)
#define DEEP	500

/* A file that has several names. */
struct linked {
	uint64_t device, number;
	struct fs_node *node;	/* put: of the file system, held */
	char *path;		/* take: below the folder */
};

static char chunk[CHUNK];
static void *known;

static int compare(const void *a, const void *b)
{
	const struct linked *one = a, *two = b;

	return one->device != two->device ? (one->device < two->device ? -1 : 1) :
		one->number != two->number ? (one->number < two->number ? -1 : 1) : 0;
}

/* The file's entry; a new one has neither node nor path. NULL: no memory. */
static struct linked *find(uint64_t device, uint64_t number)
{
	struct linked *one = calloc(1, sizeof(*one)), **found;

	if (!one)
		return NULL;
	one->device = device;
	one->number = number;
	found = tsearch(one, &known, compare);
	if (!found || *found != one)
		free(one);
	return found ? *found : NULL;
}

static int fail(const char *name, int error)
{
	return complain(name, strerror(error < 0 ? -error : error));
}

/* --- into the file system -------------------------------------------------------------------------------- */

static struct fs_attributes attributes_of(const struct stat *s)
{
	return (struct fs_attributes){
		.kind = S_ISREG(s->st_mode) ? FS_FILE : S_ISDIR(s->st_mode) ? FS_DIRECTORY : S_ISLNK(s->st_mode) ? FS_SYMLINK : 0,
		.mode = s->st_mode & 07777, .uid = s->st_uid, .gid = s->st_gid,
		.accessed = { s->st_atim.tv_sec, (uint32_t)s->st_atim.tv_nsec },
		.modified = { s->st_mtim.tv_sec, (uint32_t)s->st_mtim.tv_nsec },
	};
}

static int put_contents(int file, const char *name, struct fs_node *node, uint64_t bytes)
{
	const struct fs_ops *ops = node->fs->ops;
	uint64_t at = 0;
	ssize_t got;

	while ((got = pread(file, chunk, CHUNK, (off_t)at)) > 0) {
		for (ssize_t i = 0, part; i < got; i += part) {
			part = got - i < BLOCK_BYTES ? got - i : BLOCK_BYTES;
			if (!chunk[i] && !memcmp(chunk + i, chunk + i + 1, (size_t)part - 1))
				continue;		/* a hole */
			int64_t done = ops->write(node, at + (uint64_t)i, chunk + i, (size_t)part);
			if (done != part)
				return fail(name, done < 0 ? (int)done : ENOSPC);
		}
		at += (uint64_t)got;
	}
	if (got < 0)
		return fail(name, errno);
	int error = at == bytes || at > bytes ? ops->truncate(node, at) : ops->truncate(node, bytes);
	return error ? fail(name, error) : 0;
}

static int put_folder(int folder, const char *path, struct fs_node *directory, unsigned depth);

static int put_new(int folder, const char *name, const struct stat *s, struct fs_node *directory, unsigned depth,
    struct fs_node **node)
{
	const struct fs_ops *ops = directory->fs->ops;
	struct fs_attributes how = attributes_of(s);
	char target[FS_LINK_MAX + 1] = "";
	int result = 0, file = -1;

	if (how.kind == FS_SYMLINK) {
		ssize_t bytes = readlinkat(folder, name, target, sizeof(target) - 1);
		if (bytes < 0)
			return fail(name, errno);
		target[bytes] = '\0';
	} else {
		file = openat(folder, name, O_RDONLY | O_NOFOLLOW | (how.kind == FS_DIRECTORY ? O_DIRECTORY : 0));
		if (file < 0)
			return fail(name, errno);
	}
	int error = ops->create(directory, name, strlen(name), &how, how.kind == FS_SYMLINK ? target : NULL, node);
	if (error) {
		if (file >= 0)
			close(file);
		return fail(name, error);
	}
	if (how.kind == FS_FILE)
		result = put_contents(file, name, *node, (uint64_t)s->st_size);
	else if (how.kind == FS_DIRECTORY)
		result = put_folder(file, name, *node, depth + 1);	/* closes it */
	if (how.kind == FS_FILE)
		close(file);
	if (!result && how.kind != FS_SYMLINK)
		result = ops->set(*node, &how, FS_SET_MODE | FS_SET_MODIFIED | FS_SET_ACCESSED) ? fail(name, EIO) : 0;
	return result;
}

static int put_one(int folder, const char *name, struct fs_node *directory, unsigned depth)
{
	struct fs_node *node = NULL;
	struct linked *linked = NULL;
	struct stat s;

	if (fstatat(folder, name, &s, AT_SYMLINK_NOFOLLOW))
		return fail(name, errno);
	if (!attributes_of(&s).kind) {
		fprintf(stderr, "exo-fs: %s: is left out: it is neither file, directory nor symbolic link\n", name);
		return 0;
	}
	if (S_ISREG(s.st_mode) && s.st_nlink > 1) {
		linked = find(s.st_dev, s.st_ino);
		if (!linked)
			return fail(name, ENOMEM);
		if (linked->node) {
			int error = directory->fs->ops->link(directory, name, strlen(name), linked->node);
			return error ? fail(name, error) : 0;
		}
	}
	int result = put_new(folder, name, &s, directory, depth, &node);
	if (linked)
		linked->node = node;	/* stays held to the end */
	else if (node)
		fs_put(node);
	return result;
}

static int put_folder(int folder, const char *path, struct fs_node *directory, unsigned depth)
{
	DIR *listing = depth < DEEP ? fdopendir(folder) : NULL;
	struct dirent *entry;
	int result = 0;

	if (!listing) {
		close(folder);
		return fail(path, depth < DEEP ? errno : ELOOP);
	}
	while (!result && (entry = readdir(listing)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			result = put_one(dirfd(listing), entry->d_name, directory, depth);
	closedir(listing);
	return result;
}

static void forget(void *one)
{
	struct linked *linked = one;

	if (linked->node)
		fs_put(linked->node);
	free(linked->path);
	free(linked);
}

int tree_put(const char *path, struct fs *fs, struct fs_node *root)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY);
	int result = folder < 0 ? fail(path, errno) : put_folder(folder, path, root, 0);

	(void)fs;
	tdestroy(known, forget);
	known = NULL;
	return result;
}

/* A hole costs time, not blocks: no file of a sound image is a thousand times as large as all of it. */
static bool is_too_large(struct fs *fs, const struct fs_attributes *a)
{
	struct fs_space space;

	return a->kind == FS_FILE && a->bytes >> 34 && !fs->ops->space(fs, &space) &&
	    a->bytes / 1024 / space.block_bytes > space.blocks;
}

/* --- out of it ------------------------------------------------------------------------------------------- */

static int take_contents(struct fs_node *node, const char *name, int file, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes;) {
		size_t most = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;
		int64_t got = node->fs->ops->read(node, at, chunk, most);
		if (got <= 0)
			return fail(name, got < 0 ? (int)got : EIO);
		for (int64_t i = 0, part; i < got; i += part) {
			part = got - i < BLOCK_BYTES ? got - i : BLOCK_BYTES;
			if ((chunk[i] || memcmp(chunk + i, chunk + i + 1, (size_t)part - 1)) &&
			    pwrite(file, chunk + i, (size_t)part, (off_t)(at + (uint64_t)i)) != part)
				return fail(name, errno);
		}
		at += (uint64_t)got;
	}
	return ftruncate(file, (off_t)bytes) ? fail(name, errno) : 0;
}

static int take_folder(struct fs_node *directory, int top, int folder, const char *path, unsigned depth);

static int take_node(struct fs_node *node, const struct fs_attributes *a, int top, int folder, const char *name, const char *path,
    unsigned depth)
{
	struct timespec times[2] = { { a->accessed.seconds, a->accessed.nanoseconds }, { a->modified.seconds, a->modified.nanoseconds } };
	char target[FS_LINK_MAX + 1];
	int made, result;

	if (a->kind == FS_SYMLINK) {
		int bytes = node->fs->ops->readlink(node, target, FS_LINK_MAX);
		if (bytes < 0)
			return fail(path, bytes);
		target[bytes] = '\0';
		return symlinkat(target, folder, name) ? fail(path, errno) : 0;
	}
	if (a->kind == FS_DIRECTORY && mkdirat(folder, name, 0700))
		return fail(path, errno);
	made = openat(folder, name, a->kind == FS_DIRECTORY ? O_RDONLY | O_DIRECTORY | O_NOFOLLOW :
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (made < 0)
		return fail(path, errno);
	result = a->kind == FS_DIRECTORY ? take_folder(node, top, made, path, depth + 1) : take_contents(node, path, made, a->bytes);
	if (!result && (fchmod(made, a->mode & 0777) || futimens(made, times)))
		result = fail(path, errno);
	close(made);
	return result;
}

static int take_one(struct fs_node *directory, const struct fs_entry *entry, int top, int folder, const char *path, unsigned depth)
{
	const struct fs_ops *ops = directory->fs->ops;
	struct fs_attributes a;
	struct fs_node *node;
	int result = ops->lookup(directory, entry->name, entry->bytes, &node);

	if (result)
		return fail(path, result);
	if (strchr(entry->name, '/') || !strcmp(entry->name, ".") || !strcmp(entry->name, "..") || !entry->bytes)
		result = complain(path, "is no file's name");
	else if ((result = ops->attributes(node, &a)))
		result = fail(path, result);
	else if (is_too_large(directory->fs, &a))
		fprintf(stderr, "exo-fs: %s: is left out: %lu bytes are more than there can be\n", path, (unsigned long)a.bytes);
	else if (a.kind != FS_FILE && a.kind != FS_DIRECTORY && a.kind != FS_SYMLINK)
		fprintf(stderr, "exo-fs: %s: is left out: it is neither file, directory nor symbolic link\n", path);
	else {
		struct linked *linked = a.kind == FS_FILE && a.links > 1 ? find(0, a.number) : NULL;
		if (linked && linked->path)
			result = linkat(top, linked->path, folder, entry->name, 0) ? fail(path, errno) : 0;
		else
			result = take_node(node, &a, top, folder, entry->name, path, depth);
		if (linked && !linked->path)
			linked->path = strdup(path);
	}
	fs_put(node);
	return result;
}

static int take_folder(struct fs_node *directory, int top, int folder, const char *path, unsigned depth)
{
	struct fs_entry entry;
	uint64_t cursor = 0;
	int more, result = depth < DEEP ? 0 : fail(path, ELOOP);

	while (!result && (more = directory->fs->ops->readdir(directory, &cursor, &entry))) {
		char *below;
		if (more < 0)
			return fail(path, more);
		if (asprintf(&below, "%s%s%s", path, *path ? "/" : "", entry.name) < 0)
			return fail(path, ENOMEM);
		result = take_one(directory, &entry, top, folder, below, depth);
		free(below);
	}
	return result;
}

int tree_take(struct fs *fs, struct fs_node *root, const char *path)
{
	int top, result;

	(void)fs;
	if (mkdir(path, 0777) && errno != EEXIST)
		return fail(path, errno);
	top = open(path, O_RDONLY | O_DIRECTORY);
	if (top < 0)
		return fail(path, errno);
	result = take_folder(root, top, top, "", 0);
	close(top);
	tdestroy(known, forget);
	known = NULL;
	return result;
}
