/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An operation of a file system test: what a random generator makes, a workload's text says, and model and file system do.
 *
 * As text it is one line: a verb, one or two paths, numbers. A path is "/a/b", or "#3" and "#3/b" for what slot 3 holds.
 * A name that begins with L stands for one of 255 bytes, with M for one of 256: the shortest that is too long.
 */
#ifndef TEST_FS_OP_H
#define TEST_FS_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OP_PATH		80
#define OP_SLOTS	6
#define OP_BYTES_MAX	(1 << 20)	/* of one read or write */

/* verb, paths, numbers */
#define OPS(X) \
	X(CREATE, create, 1, 1)		/* path mode */ \
	X(MKDIR, mkdir, 1, 1) \
	X(SYMLINK, symlink, 1, 2)	/* path value bytes: the target is made of them */ \
	X(FIFO, fifo, 1, 1) \
	X(LINK, link, 2, 0)		/* old new */ \
	X(UNLINK, unlink, 1, 0) \
	X(RMDIR, rmdir, 1, 0) \
	X(RENAME, rename, 2, 0) \
	X(STAT, stat, 1, 0) \
	X(LIST, list, 1, 0) \
	X(LIST_CHANGE, listchange, 1, 1)	/* path value: entries come and go in the middle */ \
	X(READLINK, readlink, 1, 0) \
	X(CHMOD, chmod, 1, 1) \
	X(CHOWN, chown, 1, 2) \
	X(TOUCH, touch, 1, 1)		/* path seconds */ \
	X(READ, read, 1, 2)		/* path at bytes */ \
	X(WRITE, write, 1, 3)		/* path at bytes value */ \
	X(TRUNCATE, truncate, 1, 1) \
	X(PAGE_READ, pageread, 1, 1)	/* path at */ \
	X(PAGE_WRITE, pagewrite, 1, 3)	/* path at bytes value: within one page and the file */ \
	X(CLONE, clone, 2, 0)		/* old new */ \
	X(AHEAD, ahead, 1, 2) \
	X(FSYNC, fsync, 1, 0) \
	X(FDATASYNC, fdatasync, 1, 0) \
	X(SYNC, sync, 0, 0) \
	X(HOLD, hold, 1, 1)		/* path slot */ \
	X(PUT, put, 0, 1)		/* slot */ \
	X(SPACE, space, 0, 0) \
	X(REMOUNT, remount, 0, 0)

enum op_kind {
#define X(name, verb, paths, numbers) OP_##name,
	OPS(X)
#undef X
	OP_COUNT
};

struct op {
	enum op_kind kind;
	char a[OP_PATH], b[OP_PATH];
	uint64_t n[3];
};

/* A name as it is in the file system: at most 256 bytes and a NUL in `full`; returns its length. */
size_t op_name(const char *name, size_t bytes, char *full);

void op_print(FILE *file, const struct op *op);
/* One line or, until ';', a part of it; *text moves behind it. 1; 0: nothing more; -1: not an operation. */
int op_parse(const char **text, struct op *op);

/* The byte at `at` of what a write of `value` writes, for n bytes. */
void op_fill(uint8_t *bytes, uint64_t value, uint64_t at, size_t count);
/* A symbolic link's target, NUL-terminated. */
void op_target(char *target, uint64_t value, uint64_t bytes);

/* Random numbers, and operations. */
struct op_random {
	uint64_t state;
	unsigned tree;		/* of 100 operations, how many are on the tree; the others on contents */
	unsigned names;		/* 1..26 names in each directory */
	bool far;		/* offsets beyond 4 GiB */
	bool remount, syncs, clone, fifo, slots;
	uint64_t bytes_max;	/* where files end, but for `far` */
	uint64_t value;		/* of the last write */
};
uint64_t op_number(struct op_random *random);
uint64_t op_pick(struct op_random *random, uint64_t below);
void op_any(struct op_random *random, struct op *op);
/* One operation of a file "/f" (and its clones). */
void op_file(struct op_random *random, struct op *op);

#endif
