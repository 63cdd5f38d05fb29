/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounts: what resources are charged to, and how much of each is an account's due.
 *
 * Accounts nest; what is charged to one is charged to all above it. Of each kind an account has a *limit*, which binds
 * it and all below, and a *guarantee*: what it holds up to this is never taken from it by demand. What it holds beyond
 * is optimistic: anybody whose own guarantee is not met may demand it (exo_demand), if it is frames or slices. Of the other
 * kinds what is guaranteed is kept free: nobody else gets so much that it could not be had, neither of the machine's table
 * nor within the limit of an account that both lie below. The guarantees of the accounts right below one never sum to more
 * than its own; the root's are all there is. After Nemesis' guaranteed and optimistic frames.
 *
 * An account's frame may be mapped read-only by who holds a capability for the frame: it begins with struct exo_account.
 */
#ifndef EXO_ACCOUNT_H
#define EXO_ACCOUNT_H

#include <exo/types.h>

#define EXO_ACCOUNT_VERSION	2

/* Kinds of what is counted. */
#define EXO_SHARE_FRAMES	0	/* kernel objects lie in frames, and so count here, too */
#define EXO_SHARE_SLICES	1	/* of all CPUs */
#define EXO_SHARE_ENVS		2	/* environments */
#define EXO_SHARE_FLOWS		3	/* packet filters */
#define EXO_SHARE_RINGS		4	/* frames bound for a device's use: ring slots, transmit frames */
#define EXO_SHARE_SHAPES	5	/* lists of fields that filters compare, of flows or of those only begun (exo_flow_make) */
#define EXO_SHARE_TRACES	6	/* traces that it keeps of environments */
#define EXO_SHARES		7

#define EXO_UNLIMITED		0xffffffff

#define EXO_DEMANDS_MAX		8	/* demands that an account may have pending on others */

struct exo_share {
	uint32_t guaranteed, limit;
};

/* What exo_account_share reads from the argument frame. */
struct exo_shares {
	struct exo_share share[EXO_SHARES];
	uint64_t answer_ns;	/* clock time in which the account must have answered a demand; at least a slice */
};

struct exo_account {
	uint32_t version, size;
	struct {
		uint32_t guaranteed, limit;
		uint32_t used;		/* by it and all below */
		uint32_t promised;	/* guarantees of the accounts right below */
	} share[EXO_SHARES];
	uint64_t answer_ns;
	uint32_t credit[2];		/* frames, slices given back for it that it has not taken yet */
	uint32_t demand_what;		/* pending demand: EXO_TYPE_FRAME or EXO_TYPE_SLICE; 0: none */
	uint32_t demand_count;		/* asked for ... */
	uint32_t demand_left;		/* ... and not given yet */
	uint32_t spare;
	uint64_t demand_by;		/* exo_time_t: may be taken by force from then on */
	exo_env_id_t demand_from;	/* who asked */
};

#ifndef __ASSEMBLER__
_Static_assert(sizeof(struct exo_shares) == 64, "fits the argument frame");
_Static_assert(sizeof(struct exo_account) == 168, "exposed");
#endif

#endif
