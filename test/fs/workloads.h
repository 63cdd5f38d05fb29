/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workloads for power cuts and faults: the written ones, and random ones.
 */
#ifndef TEST_FS_WORKLOADS_H
#define TEST_FS_WORKLOADS_H

#include "test/fs/real.h"

#define SCRIPT_OPS	400

/* Operations as text (test/fs/op.h); those in front of '|' are done, and a sync, before it is of interest what is logged. */
struct workload {
	const char *name, *text;
};
extern const struct workload workloads[];
extern const unsigned workload_count;

struct script {
	struct op ops[SCRIPT_OPS];
	unsigned count, first;	/* the first behind '|' */
};

/* false: the text is wrong. / 40 operations, with a promise at every tenth, or so. */
bool script_written(struct script *script, const char *text, const struct kind *kind);
void script_random(struct script *script, uint64_t seed, const struct kind *kind);

#endif
