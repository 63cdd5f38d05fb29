/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system under test: mounted on a disk of the host, driven by the operations of test/fs/op.h, held against a model.
 */
#ifndef TEST_FS_REAL_H
#define TEST_FS_REAL_H

#include "test/fs/model.h"
#include "test/lib/hostdisk.h"

/* What a power cut leaves, beside that the file system mounts. */
enum oracle {
	ORACLE_NONE,		/* nothing lives that long */
	ORACLE_PREFIX,		/* the operations up to one behind all that was promised, and none else; or what OBJECTS says of
				 * files that fsync made stable ahead of the others */
	ORACLE_OBJECTS,		/* each file, and each entry, as it was at some time since it was promised */
	ORACLE_SYNCED,		/* after a repair from outside: what was stable and not touched since */
};

struct kind {
	const char *name;
	const struct fs_ops *ops;
	const char *options;
	enum oracle oracle;
	uint32_t blocks;	/* of a usual disk; 0: needs none */
	uint32_t blocks_least;	/* of one that is soon full */
	uint32_t link_max;	/* bytes of a symbolic link's target; 0: FS_LINK_MAX */
	bool far;		/* holes and offsets beyond 4 GiB */
	bool fifo;
	bool clone;
	bool renumbers;		/* nodes get other numbers when it is mounted again */
	bool times;		/* times of modification are exact, by seconds */
	bool slow;		/* fewer random operations are done with it */
	bool variant;		/* of the kind before: less is done with it */
	bool stable_all;	/* fsync of one node makes all of it stable */
	bool keeps_names;	/* moves never leave a file without a name */
	bool toy;		/* there to try the rigs with */
	bool planted;		/* it does not keep what it promises: power cuts must show that */
	uint32_t atomic_bytes;	/* of a write, from its beginning, that a power cut leaves all of or nothing */
	/* An empty file system / 0: nothing is wrong, else `why` says what. May be NULL. */
	int (*make)(struct block_device *device);
	int (*volume)(struct block_device *device, bool read_only, struct volume **volume);	/* fs_mount.volume */
	int (*check)(struct block_device *device, char *why, size_t bytes);
	/* The same by another program, which is slow / that program repairs what a power cut left. */
	int (*judge)(struct hostdisk *disk, char *why, size_t bytes);
	int (*repair)(struct hostdisk **disk, char *why, size_t bytes);
};
extern const struct kind kinds[];
extern const unsigned kind_count;
const struct kind *kind_named(const char *name);

/* plain.c: call begin first. */
extern struct fs_ops ext2_plain;
void ext2_plain_begin(void);

struct real {
	const struct kind *kind;
	struct hostdisk *disk;
	struct fs *fs;		/* NULL: not mounted */
	struct fs_node *root;
	struct fs_node *slot[OP_SLOTS];
	uint32_t cache_pages;
	unsigned policy;	/* 0: the file system's choice, 1: LRU, 2: 2Q */
	bool read_only;
	bool faults;		/* reads and writes may be short */
	bool reads_fail;	/* ... and what both_compare() cannot read of a file may be told so */
};

extern int64_t real_now;	/* the file system's time of day, seconds */

/* 0 or a negative errno. */
int real_mount(struct real *real);
int real_unmount(struct real *real);

int64_t real_do(struct real *real, const struct op *op, struct answer *answer);
int64_t real_find(struct real *real, const char *path, struct fs_node **node);

/*
 * Do an operation on both, and compare. 0, or a sentence in `why`. Errors that a full disk explains are accepted, and
 * nothing is done in the model then. `result` (may be NULL) is what the file system said; MODEL_SKIP: nothing was done.
 */
int both_do(struct real *real, struct model *model, const struct op *op, char *why, size_t bytes, int64_t *result);
/* Is it done at all with this kind of file system? */
bool both_offered(const struct kind *kind, const struct op *op);
/* The whole tree with all contents against the model's. */
int both_compare(struct real *real, struct model *model, char *why, size_t bytes);

#endif
