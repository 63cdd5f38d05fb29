/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scandir: all entries of a directory that are wanted, in order. Also libos/posix's.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int alphasort(const struct dirent **one, const struct dirent **other)
{
	return strcmp((*one)->d_name, (*other)->d_name);
}

/* One more at the end of a list; false: no memory. */
static bool append(struct dirent ***list, int count, const struct dirent *entry)
{
	size_t bytes = offsetof(struct dirent, d_name) + strlen(entry->d_name) + 1;
	struct dirent **larger = realloc(*list, ((size_t)count + 1) * sizeof(*larger));

	if (!larger)
		return false;
	*list = larger;
	larger[count] = malloc(bytes);
	if (larger[count])
		memcpy(larger[count], entry, bytes);
	return larger[count];
}

int scandir(const char *path, struct dirent ***list, int (*want)(const struct dirent *entry),
    int (*compare)(const struct dirent **one, const struct dirent **other))
{
	DIR *dir = opendir(path);
	struct dirent **found = NULL, *entry;
	int count = 0;
	bool good = true;

	if (!dir)
		return -1;
	while (good && (entry = readdir(dir)))
		if ((!want || want(entry)) && (good = append(&found, count, entry)))
			count++;
	closedir(dir);
	if (!good) {
		while (count)
			free(found[--count]);
		free(found);
		errno = ENOMEM;
		return -1;
	}
	if (compare && count)
		qsort(found, (size_t)count, sizeof(*found), (int (*)(const void *, const void *))compare);
	*list = found;
	return count;
}
