/* SPDX-License-Identifier: BSD-2-Clause */
/* The checker of the kernel's invariants. */
#ifndef TEST_LIB_INVARIANTS_H
#define TEST_LIB_INVARIANTS_H

#include "exo/kernel.h"

#define INVARIANTS_ACCOUNTS	1000

/* What the kernel should have counted for a frame. */
struct counts {
	uint32_t holds, maps;
	uint32_t users;		/* of a space */
	uint32_t links;		/* of a table below a root; of an account: its place among the account_counts */
};

/* For an account. */
struct account_counts {
	uint32_t used[EXO_SHARES], promised[EXO_SHARES], due[ACCOUNT_ASKED], kept[ACCOUNT_KEPT], users, holds;
};

/* Where it counts: so many bytes for a machine of `frames` frames. */
struct invariants_room {
	uint32_t owned[ENVS_MAX];	/* frames of an environment */
	uint16_t slices[EXO_CPUS_MAX][EXO_SLICES];	/* capabilities */
	struct account_counts accounts[INVARIANTS_ACCOUNTS + 1];
	struct counts counts[];
};
size_t invariants_bytes(uint32_t frames);
/* Every invariant of frames, accounts, capabilities, spaces and slices. NULL: all hold; else what is broken. The kernel
 * lock is held, or nobody else runs. */
const char *invariants_broken(struct invariants_room *room);
/* Of these, those of downloaded programs. invariants_code.c */
const char *invariants_code(void);
/* And those of disks. invariants_disk.c */
const char *invariants_disks(void);

#endif
