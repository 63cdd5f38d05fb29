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
	const char *source, *target;		/* a file in it, where the last word is a directory */
	char inside[PATH_BYTES];
};

/* false: they are no such words; that was said. */
static inline bool cp_words(struct cp_words *words, int argc, char **argv)
{
	const char *name;
	struct stat st;
	int option;

	while ((option = getopt(argc, argv, "rt")) == 'r' || option == 't') {
		words->recursive |= option == 'r';
		words->timed |= option == 't';
	}
	if (option != -1 || argc - optind != 2) {
		fprintf(stderr, "usage: %s [-r] [-t] SOURCE TARGET\n", argv[0]);
		return false;
	}
	words->source = argv[optind];
	words->target = argv[optind + 1];
	if (!stat(words->target, &st) && S_ISDIR(st.st_mode)) {
		name = strrchr(words->source, '/');
		snprintf(words->inside, sizeof(words->inside), "%s/%s", words->target, name ? name + 1 : words->source);
		words->target = words->inside;
	}
	return true;
}

static inline double cp_seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
