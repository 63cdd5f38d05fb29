/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a file system ought to be: a naive one of lists, that operations (test/fs/op.h) are done in, too.
 *
 * Nodes and their pages are shared between copies of a model and copied when one changes, so the history of a workload
 * is a model for each step. Nodes are numbered as they are made and numbers are not used again: a node keeps its number
 * in all copies. Number 0 is the root directory.
 */
#ifndef TEST_FS_MODEL_H
#define TEST_FS_MODEL_H

#include "libos/fs/fs.h"
#include "test/fs/op.h"

struct model_page {
	uint32_t users;
	uint8_t bytes[BLOCK_BYTES];
};

struct model_entry {
	char *name;
	uint32_t node;
};

struct model_node {
	uint32_t users;
	uint8_t kind;
	uint16_t mode;
	uint32_t uid, gid;
	uint32_t links;		/* of a directory: 1 or 0 */
	uint32_t holds;
	uint32_t parent;	/* of a directory */
	uint32_t dirs;		/* directories in it */
	int64_t modified;	/* -1: not known */
	uint64_t real;		/* its number in the file system; 0: not known */
	uint64_t size;
	char *target;
	struct { uint64_t index; struct model_page *page; } *pages;	/* sorted */
	uint32_t page_count, page_max;
	struct model_entry *entries;
	uint32_t entry_count, entry_max;
};

struct model {
	struct model_node **nodes;	/* NULL: gone */
	uint32_t node_count, node_max;
	int64_t slot[OP_SLOTS];		/* what they hold; -1 */
	int64_t now;			/* seconds: model and file system have one clock */
};

/* What an operation says beside its result: bytes that must be the same for model and file system. */
struct answer {
	uint8_t *bytes;
	size_t count, max;
	uint64_t real;		/* the node's number, of OP_STAT and what makes nodes */
	int64_t node;		/* the same, the model's; -1 */
};
void answer_add(struct answer *answer, const void *bytes, size_t count);
__attribute__((format(printf, 2, 3)))
void answer_say(struct answer *answer, const char *format, ...);

struct model *model_make(void);
struct model *model_copy(const struct model *model);
void model_end(struct model *model);

/*
 * Do an operation; a result as fs_ops has it, or MODEL_SKIP: it is not to be done at all (the caller's business). With
 * `dry` nothing changes.
 */
#define MODEL_SKIP	(-100000)
int64_t model_do(struct model *model, const struct op *op, struct answer *answer, bool dry);

/* A path's node, or a negative errno. / Its directory and last name. */
int64_t model_find(const struct model *model, const char *path);
int64_t model_find_parent(const struct model *model, const char *path, char name[260], size_t *bytes);
const struct model_entry *model_entry(const struct model_node *directory, const char *name);
/* Bytes of a file: zeroes where it has none. */
void model_bytes(const struct model_node *node, uint64_t at, void *bytes, size_t count);
const struct model_page *model_page(const struct model_node *node, uint64_t index);

#endif
