/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the flow resource share: the flow object and the operations on it.
 *
 * flow.c makes, binds and unbinds flows; flow_match.c keeps their claims and finds the owner of a packet; flow_ring.c
 * carries packets between the device and the rings. A flow is a node of a tree whose root is the device. It lies in a
 * frame that its maker gave up (the root's in one of the kernel's); a small fixed table names all flows by index.
 *
 * N1 table[f->index] == f for each flow; info_flow[f->index].state is not 0
 * N2 holds == capabilities of type FLOW to it; a flow with no holds and no children does not exist (but for roots)
 * N3 ring != NULL iff bound; then the ring's frames are in state RING with one pin for the binding, the transmit frames
 *    have one pin for it; env != NULL iff bound and its environment lives; then the flow is in env's list
 * N4 rx_head, tx_taken, tx_done are the kernel's own; the ring holds copies
 * N5 tx_taken - tx_done <= EXO_TX_SLOTS; bit i % 64 of tx_back is set iff descriptor i in [tx_done, tx_taken) is done
 * N6 a shared flow has no children; flows of one shape with the same values are all shared and linked by `peer`
 */
#ifndef EXO_FLOWS_H
#define EXO_FLOWS_H

#include "exo/kernel.h"

#define FLOW_NONE	0xffff

struct device;

/* A term for comparing: all that says where its field lies, as one number, with `flags` lowest; then as in the term. */
struct flow_key {
	uint64_t place;
	uint32_t mask, value;
};

/* A conjunction: terms sorted by place, each field once. */
struct flow_terms {
	uint32_t count;
	uint32_t shape;		/* two of one shape have the same number here */
	struct exo_term term[EXO_TERMS_MAX];
	struct flow_key key[EXO_TERMS_MAX];
};
_Static_assert(EXO_GUARD_TERMS_MAX <= EXO_TERMS_MAX, "one type for both");

/* A claim as checked and sorted. */
struct flow_claim {
	bool shared;
	bool guard_any;		/* may send anything: roots */
	uint32_t guards;
	struct flow_terms terms;
	struct flow_terms guard[EXO_GUARDS_MAX];
	char label[16];
};

struct flow {
	exo_pfn_t self;		/* own frame */
	uint16_t index, parent;	/* in the table; the root's parent is FLOW_NONE */
	uint32_t holds;
	uint32_t children;	/* flows right below ... */
	uint32_t terms_below;	/* ... and how many terms these have */
	struct device *device;
	struct exo_flow_info *info;
	exo_pfn_t account, ring_account;	/* who is charged for it / for what is bound */
	/* flow_match.c */
	uint16_t shapes;	/* first shape of the flows below; FLOW_NONE: none */
	uint16_t shape;		/* own; FLOW_NONE: root */
	uint16_t hash;		/* bucket that it is in */
	uint16_t hash_next;
	uint16_t peer;		/* next shared flow with the same claim */
	struct flow_claim claim;
	/* binding */
	struct env *env;
	exo_pfn_t env_next;	/* next in env->flows; 0: none */
	struct exo_cap *through, *ring_cap, *tx_cap;	/* the capabilities it was bound through */
	struct exo_ring *ring;
	exo_pfn_t ring_pfn, tx_pfn;
	uint32_t rx_frames, tx_frames;
	uint32_t rx_slots, tx_bytes;
	uint32_t rx_head, tx_taken, tx_done;
	uint64_t tx_back;	/* descriptors done, out of order */
	bool tx_wait;		/* its env gets EVENT_SENT when descriptors come back */
	bool received;		/* EVENT_RECEIVE is due at the end of this batch */
};
_Static_assert(sizeof(struct flow) <= EXO_PAGE_SIZE, "one frame");

/* --- flow.c */

/* [d] of all flows, rings and network devices. */
extern struct spinlock flow_lock;

/* The root flow of a device, in a frame of the kernel's. Boot only. */
exo_pfn_t flow_make_root(struct device *device);

/* --- flow_match.c */

extern struct flow *flow_table[EXO_FLOWS_MAX];

/* Check what an application asks for and sort it. 0 or ERR(INVAL). Cost: all terms, each a few comparisons. */
int64_t flow_claim_read(struct flow_claim *out, const struct exo_claim *in);
/* May this claim stand below this flow? 0, ERR(INVAL), ERR(RIGHTS) for its guard, ERR(OVERLAP), ERR(FULL). */
int64_t flow_claim_check(const struct flow *parent, const struct flow_claim *claim);
/* A place in the table; FLOW_NONE when it is full. */
uint16_t flow_index_free(void);
/* Enter a flow, whose index, parent and claim are set and checked / take one out. Cannot fail. */
void flow_insert(struct flow *flow);
void flow_remove(struct flow *flow);
/* The deepest flow below root that claims the frame, first of its peers. *tried grows by the shapes tried. */
struct flow *flow_find(struct flow *root, const uint8_t *frame, uint32_t bytes, unsigned *tried);
/* Is a frame with these first bytes one that the claim's guard lets pass? */
bool flow_guard(const struct flow_claim *claim, const uint8_t *head, uint32_t bytes);

/* --- flow_ring.c */

/* Give one received frame, with room for 8 bytes behind it, to its owner(s), of root's device. Returns the cost in instructions, roughly. */
unsigned flow_receive(struct flow *root, uint8_t *frame, uint32_t bytes, exo_time_t now);
/* The batch is over: tell those who received. */
void flow_received(void);
/* Descriptors [start, start + count) of a bound flow are done with. */
void flow_sent(struct flow *flow, uint32_t start, uint32_t count);
/* Send what is posted, EXO_KICK_MAX frames at most. */
int64_t flow_kick(struct flow *flow);

#endif
