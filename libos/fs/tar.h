/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A read-only file system view of a tar archive that lies in memory.
 *
 * The archive is read once, checked completely, and indexed into memory that the caller gives; after that a
 * lookup costs one hash probe per path component, allocates nothing, and files are used where they lie.
 * Nothing is ever read outside [base, base + size).
 *
 * Understood: ustar, old (v7) headers, GNU 'L' and 'K' records, pax 'x' records (path, linkpath, size,
 * mtime), base-256 numbers, directories, hard links to earlier members, symbolic links. A leading "/" or "./"
 * is dropped, directories that no member names are implied, a later member of the same name replaces an
 * earlier one. Devices and fifos are left out. Sparse and multi-volume members, and names with a ".."
 * component, are refused.
 *
 * Names are bytes: no character set, no case folding. They are not NUL-terminated, they point into the
 * archive.
 */
#ifndef LIBOS_FS_TAR_H
#define LIBOS_FS_TAR_H

#include <stddef.h>
#include <stdint.h>

#define TAR_COMPONENT_MAX	255	/* bytes of one name in a directory */
#define TAR_PATH_MAX		4096	/* bytes of a whole path in the archive */
#define TAR_LINKS_MAX		8	/* symbolic links followed in one lookup */

enum tar_status {
	TAR_OK,
	/* from tar_need and tar_open */
	TAR_TRUNCATED,		/* a header, a member or the end mark is missing */
	TAR_CHECKSUM,		/* a header does not add up: not a tar archive, or damaged */
	TAR_NUMBER,		/* a number field is not a number, or out of range */
	TAR_NAME,		/* an empty, too long or ".." name */
	TAR_CONFLICT,		/* the same name as a file and as a directory */
	TAR_UNSUPPORTED,	/* a sparse or multi-volume member */
	TAR_RECORD,		/* a malformed pax or GNU long-name record */
	TAR_HARDLINK,		/* a hard link to something that is not an earlier file */
	TAR_MEMORY,		/* the index memory is too small */
	/* from tar_find */
	TAR_NOENT,		/* no such name */
	TAR_NOTDIR,		/* a component before the last is not a directory */
	TAR_LOOP,		/* more than TAR_LINKS_MAX symbolic links */
};

struct tar_error {
	enum tar_status status;
	size_t offset;		/* of the header or record at fault, bytes from the archive's start */
	const char *text;	/* a sentence without the offset */
};

enum tar_kind { TAR_DIRECTORY, TAR_FILE, TAR_SYMLINK };

struct tar_node {
	const char *name;	/* last component, name_len bytes; the root's is empty */
	const void *data;	/* a file's content, or a symbolic link's target */
	uint64_t size;		/* bytes of data; 0 for a directory */
	int64_t mtime;		/* seconds since 1970; 0 for an implied directory */
	uint32_t parent, child, last_child, sibling;	/* node numbers; 0 (the root) ends a list */
	uint32_t chain;		/* next in the hash bucket, 0 ends it */
	uint16_t name_len, mode;	/* mode: permission bits */
	uint8_t kind;		/* enum tar_kind */
};

struct tar {
	struct tar_node *nodes;	/* nodes[0] is the root directory */
	uint32_t *buckets;
	uint32_t count, max, bucket_mask;
	size_t bytes;		/* of the archive, end mark included */
};

/*
 * Check the archive and say how much index memory tar_open needs for it, in bytes.
 * On error returns 0 and fills *error. Cost: one pass over the headers.
 */
size_t tar_need(const void *base, size_t size, struct tar_error *error);

/*
 * Index the archive at base into mem (any alignment), which must hold the bytes that tar_need named; both
 * must stay where they are as long as t is used. On error the index must not be used and *error is filled.
 */
enum tar_status tar_open(struct tar *t, const void *base, size_t size, void *mem, size_t mem_bytes,
			 struct tar_error *error);

/*
 * Find a path, len bytes, below the directory root (NULL: the archive's). "/" and a leading "./" mean root
 * itself, ".." stays inside root, symbolic links are followed with root as "/". A trailing slash asks for a
 * directory. Returns NULL and sets *status (TAR_NOENT, TAR_NOTDIR, TAR_LOOP) when there is none.
 */
const struct tar_node *tar_find(const struct tar *t, const struct tar_node *root, const char *path,
				size_t len, enum tar_status *status);

/* The entry of a directory with that name, links not followed; NULL: none. */
const struct tar_node *tar_lookup(const struct tar *t, const struct tar_node *directory, const char *name, size_t len);

/* First entry of a directory and the one after an entry, in the archive's order; NULL at the end. */
const struct tar_node *tar_first(const struct tar *t, const struct tar_node *directory);
const struct tar_node *tar_next(const struct tar *t, const struct tar_node *entry);

#endif
