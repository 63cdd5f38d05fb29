/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members of a tar archive one after another, as tar.c indexes them. Private to libos/fs.
 */
#ifndef LIBOS_FS_TAR_READ_H
#define LIBOS_FS_TAR_READ_H

#include "libos/fs/tar.h"

/* A path in up to two pieces (ustar's prefix and name), joined by a slash. The pieces lie in the archive. */
struct tar_name {
	const char *piece[2];
	size_t len[2];
};

/* Runs over a name's components, leaving out empty ones and ".". */
struct tar_walk {
	struct tar_name rest;
	const char *component;
	size_t len;
};

enum tar_member_kind { TAR_MEMBER_FILE, TAR_MEMBER_DIRECTORY, TAR_MEMBER_HARDLINK, TAR_MEMBER_SYMLINK };

struct tar_member {
	enum tar_member_kind what;
	size_t offset;		/* of its header */
	struct tar_name path;	/* checked: no "..", no component or whole too long */
	struct tar_name link;	/* hard link: checked likewise; symbolic: any bytes, in the first piece */
	const void *data;
	uint64_t size;
	int64_t mtime;
	uint16_t mode;
};

struct tar_reader {
	const unsigned char *base;
	size_t size, at;
	struct tar_error *error;
};

struct tar_reader tar_reader(const void *base, size_t size, struct tar_error *error);

/* Read the next member. Returns 0 at the end mark and on error; error->status tells which. */
int tar_read(struct tar_reader *r, struct tar_member *m);

/* Record an error, with its standard text. Returns status. */
enum tar_status tar_fail(struct tar_reader *r, enum tar_status status, size_t offset);

struct tar_walk tar_walk(const struct tar_name *name);

/* Step to the next component; 0 when there is none. */
int tar_walk_next(struct tar_walk *w);

#endif
