/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glob: names that match a pattern. A part of the pattern without a special character is not looked for, only
 * whether the whole is there; each other part is one pass over a directory. Results are collected in one
 * vector, which is sorted from where this call began.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct walk {
	glob_t *out;
	int flags;
	int (*failed)(const char *path, int error);
	char path[PATH_MAX];
};

static int look(struct walk *walk, size_t length, const char *pattern);

static int add(struct walk *walk, const char *path, bool directory)
{
	glob_t *out = walk->out;
	size_t at = out->gl_offs + out->gl_pathc, length = strlen(path);
	char **vector = realloc(out->gl_pathv, (at + 2) * sizeof(*vector));

	if (!vector)
		return GLOB_NOSPACE;
	out->gl_pathv = vector;
	vector[at] = malloc(length + 2);
	if (!vector[at])
		return GLOB_NOSPACE;
	memcpy(vector[at], path, length + 1);
	if (directory && length && path[length - 1] != '/')
		strcpy(vector[at] + length, "/");
	vector[at + 1] = NULL;
	out->gl_pathc++;
	out->gl_matchc++;
	return 0;
}

static bool special(const char *part, size_t length, bool quotes)
{
	for (size_t i = 0; i < length; i++) {
		if (part[i] == '*' || part[i] == '?' || part[i] == '[')
			return true;
		if (part[i] == '\\' && quotes)
			i++;
	}
	return false;
}

/* The end of the pattern: is there such a file? */
static int found(struct walk *walk)
{
	struct stat st;

	if (lstat(walk->path, &st) < 0)
		return 0;
	if (S_ISLNK(st.st_mode) && stat(walk->path, &st) < 0)
		st.st_mode = 0;
	return add(walk, walk->path, S_ISDIR(st.st_mode) && walk->flags & GLOB_MARK);
}

static int failure(struct walk *walk, const char *path, int error)
{
	return (walk->failed && walk->failed(path, error)) || walk->flags & GLOB_ERR ? GLOB_ABORTED : 0;
}

/* Every name of the directory so far that matches the first `bytes` of the pattern. */
static int each(struct walk *walk, size_t length, const char *pattern, size_t bytes)
{
	char part[NAME_MAX + 1];
	const char *path = length ? walk->path : ".";
	struct dirent *entry;
	int result = 0;
	DIR *dir;

	if (bytes > NAME_MAX)
		return 0;
	memcpy(part, pattern, bytes);
	part[bytes] = '\0';
	walk->path[length] = '\0';
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : failure(walk, path, errno);
	while (!result && (errno = 0, entry = readdir(dir))) {
		size_t name = strlen(entry->d_name);
		if (fnmatch(part, entry->d_name, FNM_PERIOD | (walk->flags & GLOB_NOESCAPE ? FNM_NOESCAPE : 0)) ||
		    length + name >= sizeof(walk->path))
			continue;
		memcpy(walk->path + length, entry->d_name, name + 1);
		result = look(walk, length + name, pattern + bytes);
		walk->path[length] = '\0';
	}
	if (!result && errno)
		result = failure(walk, path, errno);
	closedir(dir);
	return result;
}

/* `pattern` begins with what follows the path so far: slashes, or a name. */
static int look(struct walk *walk, size_t length, const char *pattern)
{
	bool quotes = !(walk->flags & GLOB_NOESCAPE);

	while (*pattern) {
		size_t bytes = strcspn(pattern, "/");
		if (special(pattern, bytes, quotes))
			return each(walk, length, pattern, bytes);
		if (!bytes)
			bytes = 1;		/* the slash itself */
		for (size_t i = 0; i < bytes; i++) {
			if (quotes && pattern[i] == '\\' && i + 1 < bytes)
				i++;
			if (length + 1 >= sizeof(walk->path))
				return 0;
			walk->path[length++] = pattern[i];
		}
		walk->path[length] = '\0';
		pattern += bytes;
	}
	return found(walk);
}

static int compare(const void *a, const void *b)
{
	return strcoll(*(char *const *)a, *(char *const *)b);
}

int glob(const char *restrict pattern, int flags, int (*failed)(const char *, int), glob_t *restrict out)
{
	struct walk *walk = malloc(sizeof(*walk));
	size_t before;
	int result;

	if (!(flags & GLOB_DOOFFS))
		out->gl_offs = 0;
	if (!(flags & GLOB_APPEND)) {
		out->gl_pathc = 0;
		out->gl_pathv = calloc(out->gl_offs + 1, sizeof(char *));
	}
	if (!walk || !out->gl_pathv) {
		free(walk);
		return GLOB_NOSPACE;
	}
	before = out->gl_pathc;
	out->gl_matchc = 0;
	out->gl_flags = flags;
	*walk = (struct walk){ .out = out, .flags = flags, .failed = failed };
	result = *pattern ? look(walk, 0, pattern) : 0;
	if (!result && out->gl_pathc == before)
		result = flags & GLOB_NOCHECK ? add(walk, pattern, false) : GLOB_NOMATCH;
	if (!(flags & GLOB_NOSORT))
		qsort(out->gl_pathv + out->gl_offs + before, out->gl_pathc - before, sizeof(char *), compare);
	free(walk);
	return result;
}

void globfree(glob_t *out)
{
	for (size_t i = 0; out->gl_pathv && i < out->gl_pathc; i++)
		free(out->gl_pathv[out->gl_offs + i]);
	free(out->gl_pathv);
	out->gl_pathv = NULL;
	out->gl_pathc = 0;
}
