/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and directories with names that nobody else has.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "libos/core/core.h"

#define TRIES	1000
#define MARKS	6	/* X's */

/* Fill in other X's until `make` has made it. */
static int unique(char *name, int suffix, int (*make)(const char *path, int flags), int flags)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t length = strlen(name);
	char *marks = name + length - MARKS - suffix;
	uint8_t random[MARKS];
	int result;

	if (suffix < 0 || length < MARKS + (size_t)suffix || strncmp(marks, "XXXXXX", MARKS)) {
		errno = EINVAL;
		return -1;
	}
	for (int i = 0; i < TRIES; i++) {
		(void)getentropy(random, sizeof(random));
		for (int m = 0; m < MARKS; m++)
			marks[m] = letters[random[m] % (sizeof(letters) - 1)];
		result = make(name, flags);
		if (result >= 0 || errno != EEXIST)
			return result;
	}
	return -1;
}

static int make_file(const char *path, int flags)
{
	return open(path, O_RDWR | O_CREAT | O_EXCL | (flags & ~O_ACCMODE), 0600);
}

static int make_directory(const char *path, int flags)
{
	(void)flags;
	return mkdir(path, 0700);
}

int mkostemps(char *name, int suffix, int flags)
{
	return unique(name, suffix, make_file, flags);
}

int mkstemps(char *name, int suffix)
{
	return mkostemps(name, suffix, 0);
}

int mkostemp(char *name, int flags)
{
	return mkostemps(name, 0, flags);
}

int mkstemp(char *name)
{
	return mkostemps(name, 0, 0);
}

char *mkdtemp(char *name)
{
	return unique(name, 0, make_directory, 0) < 0 ? NULL : name;
}

static int look(const char *path, int flags)
{
	struct stat st;

	(void)flags;
	if (!lstat(path, &st))
		errno = EEXIST;
	return errno == ENOENT ? 0 : -1;
}

char *mktemp(char *name)
{
	int before = errno;

	if (unique(name, 0, look, 0) < 0)
		name[0] = 0;
	else
		errno = before;
	return name;
}

/* A name that nobody has: in $TMPDIR, in `directory`, in /tmp, whichever can be written first. The caller frees it. */
char *tempnam(const char *directory, const char *prefix)
{
	const char *const places[] = { getenv("TMPDIR"), directory, P_tmpdir };
	char *made = NULL;

	for (int i = 0; i < 3; i++) {
		if (!places[i] || access(places[i], W_OK | X_OK) < 0)
			continue;
		if (asprintf(&made, "%s/%.5sXXXXXX", places[i], prefix ? prefix : "") < 0)
			return NULL;
		if (unique(made, 0, look, 0) >= 0)
			return made;
		free(made);
		made = NULL;
	}
	return NULL;
}

/* A name that nobody has, in /tmp: at `to`, of L_tmpnam bytes, or where the next call leaves another one. */
char *tmpnam(char *to)
{
	static char own[L_tmpnam];
	char *name = to ? to : own;

	_Static_assert(sizeof(P_tmpdir "/tXXXXXX") <= L_tmpnam, "fits");
	strcpy(name, P_tmpdir "/tXXXXXX");
	return unique(name, 0, look, 0) < 0 ? NULL : name;
}
