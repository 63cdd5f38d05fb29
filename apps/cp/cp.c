/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cp: copies a file, or with -r a tree, by an ordinary loop of reads and writes.
 *
 * Usage: cp [-r] [-t] SOURCE... TARGET. TARGET may be a directory, and is one where there are several sources. -t: say for
 * each how much was copied in which time, all of it on the disk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "apps/cp/words.h"

#define BUFFER_BYTES	(64 * 1024)

static struct cp_words words;
static uint64_t total;
static char buffer[BUFFER_BYTES];

static int complain(const char *path)
{
	fprintf(stderr, "cp: %s: %s\n", path, strerror(errno));
	return 1;
}

static int copy_bytes(int from, int to, const char *source, const char *target)
{
	ssize_t got, done;

	while ((got = read(from, buffer, sizeof(buffer))) > 0)
		for (ssize_t at = 0; at < got; at += done) {
			done = write(to, buffer + at, (size_t)(got - at));
			if (done < 0)
				return complain(target);
			total += (uint64_t)done;
		}
	return got < 0 ? complain(source) : 0;
}

static int copy_file(const char *source, const char *target, mode_t mode)
{
	int from = open(source, O_RDONLY), to, status;

	if (from < 0)
		return complain(source);
	to = open(target, O_WRONLY | O_CREAT | O_TRUNC, mode & 07777);
	status = to < 0 ? complain(target) : copy_bytes(from, to, source, target);
	close(from);
	if (to >= 0 && close(to))
		status = complain(target);
	return status;
}

static int copy_link(const char *source, const char *target)
{
	char text[PATH_BYTES];
	ssize_t bytes = readlink(source, text, sizeof(text) - 1);

	if (bytes < 0)
		return complain(source);
	text[bytes] = '\0';
	return symlink(text, target) ? complain(target) : 0;
}

static int copy(const char *source, const char *target);

/* On the heap: trees are deep, and stacks are not. */
static char *below(const char *directory, const char *name)
{
	char *path = malloc(strlen(directory) + strlen(name) + 2);

	if (path)
		sprintf(path, "%s/%s", directory, name);
	return path;
}

static int copy_directory(const char *source, const char *target, mode_t mode)
{
	DIR *dir = opendir(source);
	struct dirent *entry;
	int status = 0;

	if (!dir)
		return complain(source);
	if (mkdir(target, (mode & 07777) | 0700) && errno != EEXIST) {
		closedir(dir);
		return complain(target);
	}
	while ((entry = readdir(dir))) {
		char *from, *to;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		from = below(source, entry->d_name);
		to = below(target, entry->d_name);
		status |= from && to ? copy(from, to) : complain(source);
		free(from);
		free(to);
	}
	closedir(dir);
	return status;
}

static int copy(const char *source, const char *target)
{
	struct stat st;

	if (lstat(source, &st))
		return complain(source);
	if (S_ISLNK(st.st_mode) && words.recursive)
		return copy_link(source, target);
	if (stat(source, &st))
		return complain(source);
	if (!S_ISDIR(st.st_mode))
		return copy_file(source, target, st.st_mode);
	if (words.recursive)
		return copy_directory(source, target, st.st_mode);
	errno = EISDIR;
	return complain(source);
}

/* One source, until all of it is on the disk. */
static int copy_one(void)
{
	double begin = cp_seconds(CLOCK_MONOTONIC), worked = cp_seconds(CLOCK_PROCESS_CPUTIME_ID);
	int status;

	total = 0;
	status = copy(words.source, words.target);
	sync();
	if (words.timed)
		printf("cp: %llu bytes in %.3f s, %.3f s of the processor's\n", (unsigned long long)total,
		    cp_seconds(CLOCK_MONOTONIC) - begin, cp_seconds(CLOCK_PROCESS_CPUTIME_ID) - worked);
	return status;
}

int main(int argc, char **argv)
{
	return cp_all(&words, argc, argv, copy_one);
}
