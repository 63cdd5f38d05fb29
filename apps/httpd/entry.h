/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files in memory: small and middling ones that were asked for stay, with what a reply says of them, up to server.cache_bytes; those
 * not asked for the longest go first. A file that was changed is seen to be within a second.
 */
#ifndef APPS_HTTPD_ENTRY_H
#define APPS_HTTPD_ENTRY_H

#include <sys/stat.h>

#include "apps/httpd/httpd.h"
#include "apps/httpd/precond.h"

#define ENTRY_LINES	256

/* A file that is being served. What is not in the table goes with the last who holds it. */
struct entry {
	const char *data;		/* all of it */
	struct http_entity entity;
	struct http_text type;
	size_t block;			/* bytes of driver_memory in which this and data lie; 0: it is mapped */
	bool known;			/* in the table */
	unsigned holds;
	size_t lines_len;		/* of a 200: Content-Type to ETag */
	char lines[ENTRY_LINES];
	uint64_t hash;
	int64_t mtime;			/* of the file */
	int64_t checked;		/* work.time when it was last found to be as on disk */
	struct entry *next;		/* in its chain of the table */
	struct entry *newer, *older;	/* by use */
	size_t key_len;			/* key: behind the root in path, without index.html if that was not asked for */
	char path[];
};

/*
 * The file that a decoded URL path leads to, held; NULL: not in memory, or w->quick and the disk must be asked whether it is still as it
 * was (w->later). key need not be decoded: see entry.c.
 */
struct entry *entry_find(struct work *w, const char *key, size_t len);

/*
 * Take an open file up, held, as what the first key_len bytes behind the root in w->path lead to. It is remembered if it may be.
 * NULL, with errno: it cannot be read, or there is no memory.
 */
struct entry *entry_add(struct work *w, size_t key_len, int fd, const struct stat *st);

/* Held no more. */
void entry_put(struct entry *e);

#endif
