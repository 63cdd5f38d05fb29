/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walking through a tree of files. One directory is open at each level, so that the depth is bounded by
 * descriptors: below
 * `levels` of them, or where no more are left, the names of a level are read into memory first and the
 * directory closed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct walk {
	int (*each)(const char *path, const struct stat *st, int what, struct FTW *where);
	int (*each_simple)(const char *path, const struct stat *st, int what);
	int flags;
	dev_t device;
	char path[PATH_MAX];
	struct above {
		const struct above *up;
		dev_t device;
		ino_t number;
	} const *above;
};

static int call(struct walk *walk, const struct stat *st, int what, struct FTW where)
{
	if (walk->each)
		return walk->each(walk->path, st, what, &where);
	return walk->each_simple(walk->path, st, what == FTW_SLN || what == FTW_SL ? FTW_F : what);
}

static int visit(struct walk *walk, struct FTW where, int levels);

static bool circle(const struct walk *walk, const struct stat *st)
{
	for (const struct above *at = walk->above; at; at = at->up)
		if (at->device == st->st_dev && at->number == st->st_ino)
			return true;
	return false;
}

static int visit_name(struct walk *walk, size_t length, const char *name, int level, int levels)
{
	size_t bytes = strlen(name);
	int result;

	if (length + bytes + 2 > PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	walk->path[length] = '/';
	memcpy(walk->path + length + 1, name, bytes + 1);
	result = visit(walk, (struct FTW){ .base = (int)length + 1, .level = level }, levels);
	walk->path[length] = '\0';
	return result;
}

/* The names of a directory, one behind the other with their NULs, and an empty one. */
static char *names_of(DIR *dir)
{
	size_t size = 1024, at = 0, bytes;
	char *names = malloc(size), *larger;
	struct dirent *entry;

	while (names && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		bytes = strlen(entry->d_name) + 1;
		if (at + bytes + 1 > size) {
			size = size * 2 + bytes;
			larger = realloc(names, size);
			if (!larger)
				free(names);
			names = larger;
			if (!names)
				break;
		}
		memcpy(names + at, entry->d_name, bytes);
		at += bytes;
	}
	if (names)
		names[at] = '\0';
	return names;
}

static int inside(struct walk *walk, DIR *dir, const struct stat *st, int level, int levels)
{
	const struct above here = { walk->above, st->st_dev, st->st_ino };
	size_t length = strlen(walk->path);
	char *names = names_of(dir);
	int result = names ? 0 : -1;

	closedir(dir);
	if (length && walk->path[length - 1] == '/')
		length--;
	walk->above = &here;
	if (!result && walk->flags & FTW_CHDIR)
		result = chdir(walk->path);
	for (const char *name = names; !result && name && *name; name += strlen(name) + 1)
		result = visit_name(walk, length, name, level + 1, levels - 1);
	walk->above = here.up;
	free(names);
	return result;
}

static int visit(struct walk *walk, struct FTW where, int levels)
{
	bool physical = walk->flags & FTW_PHYS;
	struct stat st = { 0 };
	int what, result;
	DIR *dir = NULL;

	if (physical ? lstat(walk->path, &st) : stat(walk->path, &st)) {
		if (errno != ENOENT && errno != EACCES && errno != ELOOP)
			return -1;
		what = !physical && !lstat(walk->path, &st) && S_ISLNK(st.st_mode) ? FTW_SLN : FTW_NS;
		return what == FTW_NS && errno != EACCES ? -1 : call(walk, &st, what, where);
	}
	if (where.level && walk->flags & FTW_MOUNT && st.st_dev != walk->device)
		return 0;
	if (!where.level)
		walk->device = st.st_dev;
	if (!S_ISDIR(st.st_mode))
		return call(walk, &st, S_ISLNK(st.st_mode) ? FTW_SL : FTW_F, where);
	if (!physical && circle(walk, &st))
		return 0;
	dir = opendir(walk->path);
	if (!dir && errno != EACCES)
		return -1;
	what = !dir ? FTW_DNR : walk->flags & FTW_DEPTH ? FTW_DP : FTW_D;
	result = !dir || !(walk->flags & FTW_DEPTH) ? call(walk, &st, what, where) : 0;
	if (!dir)
		return result;
	if (result)
		closedir(dir);
	else
		result = inside(walk, dir, &st, where.level, levels);
	return result || !(walk->flags & FTW_DEPTH) ? result : call(walk, &st, FTW_DP, where);
}

static int begin(struct walk *walk, const char *path, int levels)
{
	int here = -1, result, saved;
	const char *slash;

	if (strlen(path) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (walk->flags & FTW_CHDIR && (here = open(".", O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	strcpy(walk->path, path);
	slash = strrchr(path, '/');
	result = visit(walk, (struct FTW){ .base = slash && slash[1] ? (int)(slash - path) + 1 : 0 }, levels);
	saved = errno;
	if (here >= 0) {
		(void)fchdir(here);
		close(here);
	}
	errno = saved;
	return result;
}

int nftw(const char *path, int (*each)(const char *path, const struct stat *st, int what, struct FTW *where),
	 int levels,
    int flags)
{
	struct walk walk = { .each = each, .flags = flags };

	return begin(&walk, path, levels);
}

int ftw(const char *path, int (*each)(const char *path, const struct stat *st, int what), int levels)
{
	struct walk walk = { .each_simple = each };

	return begin(&walk, path, levels);
}
