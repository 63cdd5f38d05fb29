/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What cp and xcp have in common: their words, and the time that they tell.
 */
#ifndef APPS_CP_WORDS_H
#define APPS_CP_WORDS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#define PATH_BYTES	4096

struct cp_words {
	bool recursive, timed;			/* -r, -t */
	int count;				/* of sources that are left */
	char **sources;
	const char *last;			/* the last word */
	bool into;				/* which is a directory that is there */
	const char *source, *target;		/* of this copy */
	char inside[PATH_BYTES];
};

/* false: they are no such words; that was said. */
static inline bool cp_words(struct cp_words *words, int argc, char **argv)
{
	struct stat st;
	int option;

	while ((option = getopt(argc, argv, "rt")) == 'r' || option == 't') {
		words->recursive |= option == 'r';
		words->timed |= option == 't';
	}
	if (option != -1 || argc - optind < 2) {
		fprintf(stderr, "usage: %s [-r] [-t] SOURCE... TARGET\n", argv[0]);
		return false;
	}
	words->sources = argv + optind;
	words->count = argc - optind - 1;
	words->last = argv[argc - 1];
	words->into = !stat(words->last, &st) && S_ISDIR(st.st_mode);
	if (words->count > 1 && !words->into) {
		fprintf(stderr, "%s: %s: several files can only be copied into a directory that is there\n", argv[0], words->last);
		return false;
	}
	return true;
}

/* The next copy that the words ask for; false: there is none. */
static inline bool cp_next(struct cp_words *words)
{
	const char *name;

	if (!words->count)
		return false;
	words->count--;
	words->source = *words->sources++;
	words->target = words->last;
	if (words->into) {
		name = strrchr(words->source, '/');
		snprintf(words->inside, sizeof(words->inside), "%s/%s", words->last, name ? name + 1 : words->source);
		words->target = words->inside;
	}
	return true;
}

/* All that main() does: each copy in its turn, by `copy`, which returns 0 or 1. Exit status: 2 for wrong words. */
static inline int cp_all(struct cp_words *words, int argc, char **argv, int (*copy)(void))
{
	int status = 0;

	if (!cp_words(words, argc, argv))
		return 2;
	while (cp_next(words))
		status |= copy();
	return status;
}

static inline double cp_seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
