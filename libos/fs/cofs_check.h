/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of cofs_check(): cofs_check.c walks the tree and looks at items, cofs_check_space.c counts who uses which
 * block, cofs_check_names.c fits names to nodes. Private to them.
 */
#ifndef LIBOS_FS_COFS_CHECK_H
#define LIBOS_FS_COFS_CHECK_H

#include "libos/fs/cofs_private.h"

struct check_node {
	uint64_t number, parent;
	uint64_t blocks, extents_end;	/* found: blocks of its extents, the page behind the last */
	struct cofs_inode inode;
	uint32_t names, children;	/* found: names that name it; directories in it */
	bool data, orphan, reached;
};

struct check {
	struct cofs *fs;
	struct cofs_report *report;
	uint32_t **users;		/* of the blocks, by chunk; NULL: nobody uses one of the chunk */
	struct check_node *node;	/* in the order of numbers */
	uint64_t nodes, nodes_max;
	uint8_t *leaf[COFS_LEVELS];	/* copies of the blocks that are walked through */
	uint8_t *data;			/* COFS_EXTENT_MAX pages */
	struct cofs_key last;		/* item */
	bool any;
};

__attribute__((format(printf, 2, 3)))
void check_fault(struct check *check, const char *format, ...);
struct check_node *check_find(struct check *check, uint64_t number);
/* 0 or -ENOMEM. */
int check_use(struct check *check, uint64_t first, uint32_t count, const char *what);
int check_space(struct check *check);
int check_names(struct check *check);

#endif
