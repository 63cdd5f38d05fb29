/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the flow resource share: the flow object and the operations on it.
 *
 * flow.c makes, binds and unbinds flows; flow_claim.c compares their claims; flow_table.c keeps them; flow_pay.c charges
 * accounts for what it keeps; flow_filter.c turns them into the program that finds the owner of a packet; flow_ring.c carries
 * packets between the device and the rings.
 * A flow is a node of a tree whose root is the device. It lies in a frame that its maker gave up (the root's in one of the
 * kernel's). All flows are named by index in tables made at boot, whose size goes by the machine's memory.
 *
 * N1 table[f->index] == f for each flow; info_flow[f->index].state is not 0; the other indices are in the list of free ones
 * N2 holds == capabilities of type FLOW to it; a flow with no holds and no children does not exist (but for roots)
 * N3 ring != NULL iff bound, iff env != NULL; then the ring's frames are in state RING with one pin for the binding, the
 *    transmit frames have one pin for it. The binding goes with a capability in env's table, so before env's frame does;
 *    env may have ended
 * N4 rx_head, tx_taken, tx_done are the kernel's own; the ring holds copies
 * N5 tx_taken - tx_done <= EXO_TX_SLOTS; bit i % 64 of tx_back is set iff descriptor i in [tx_done, tx_taken) is done
 * N6 a shared flow has no children, nor has a steered one; flows of one shape below one parent with the same values are all
 *    shared and linked by `peer`, and the first of them is in the table of values
 * N7 shape[s].flows == flows of shape s; one with flows is part of the program that runs, and of the one that is built
 * N8 a shape that has flows or is asked for is charged to an account, and those flows' are that one or below it
 */
#ifndef EXO_FLOWS_H
#define EXO_FLOWS_H

#include "exo/kernel.h"
#include "exo/bpf.h"

#define FLOW_NONE	0xffff

struct device;
struct flow_value;

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

/* A guard without relative or negated terms, as words of a frame's first bytes. */
#define WORDS_NONE	UINT8_MAX	/* no head has so many */
_Static_assert(EXO_GUARD_BYTES < WORDS_NONE, "words");

struct flow_words {
	uint8_t bytes;		/* that a frame has at least; WORDS_NONE: not made, the terms themselves are looked at */
	uint8_t count;
	uint8_t at[EXO_GUARD_BYTES / 8];	/* place of each */
	uint64_t mask[EXO_GUARD_BYTES / 8], value[EXO_GUARD_BYTES / 8];
};

/* A claim as checked and sorted. */
struct flow_claim {
	bool shared, steered, own;
	bool guard_any;		/* may send anything: roots */
	uint8_t steer;
	uint32_t guards;
	uint32_t budget;
	struct flow_terms terms;
	struct flow_terms guard[EXO_GUARDS_MAX];
	struct flow_words words[EXO_GUARDS_MAX];
	char label[16];
};

/* Flows that one capability has bound, and buckets of such lists: see flow.c. */
struct flow_bound {
	const struct exo_cap *cap;
	struct flow_bound *next, *prev;	/* of the same capability; prev NULL: the first ... */
	struct flow_bound *bucket;	/* ... which has the next one of its bucket here */
	struct flow *flow;
};

#define FLOW_BELOW_BITS	32

struct flow {
	exo_pfn_t self;		/* own frame */
	uint16_t index, parent;	/* in the table; the root's parent is FLOW_NONE */
	uint32_t holds;
	uint32_t children;	/* flows right below */
	struct device *device;
	struct exo_flow_info *info;
	exo_pfn_t account, ring_account;	/* who is charged for it / for what is bound */
	/* flow_table.c */
	struct flow_value *value;	/* own entry of the table of values */
	uint16_t shape;		/* own; root: 0; steered: FLOW_NONE */
	uint16_t next, prev;	/* others below the parent, of the same shape (or sharing its bit) */
	uint16_t peer;		/* next shared flow with the same claim */
	uint16_t steered[EXO_STEER_MAX];	/* by number: the flow below; FLOW_NONE: none */
	struct {
		uint16_t first, count;		/* flows right below, by their shape's bit */
	} below[FLOW_BELOW_BITS];
	struct flow *whole;	/* right below, the only one there, because it claims all; NULL: none, or copies of it */
	uint64_t agree[2], agreed[2];	/* roots: bits of bytes 8 to 23 that all claims right below want to be as in `agreed` */
	struct flow_claim claim;
	struct flow *meter;	/* the first that has a budget, of it and those above; NULL: none */
	exo_time_t window;	/* when its own was whole ... */
	uint64_t spent;		/* ... and what has been spent of it since */
	/* binding */
	struct env *env;
	struct exo_cap *through, *ring_cap, *tx_cap;	/* the capabilities it was bound through */
	struct flow_bound bound[2];			/* in the lists of the last two */
	struct exo_ring *ring;
	exo_pfn_t ring_pfn, tx_pfn;
	uint32_t rx_frames, tx_frames;
	uint32_t rx_slots, tx_bytes;
	uint32_t rx_head, tx_taken, tx_done;
	uint64_t tx_back;	/* descriptors done, out of order */
	bool tx_wait;		/* its env gets EVENT_SENT when descriptors come back ... */
	bool room_wait;		/* ... or the device has room: it is in that one's list */
	struct flow *room_next, **room_at;
	uint16_t received;	/* the longest frame of this batch, which EVENT_RECEIVE may be due for; 0: none */
	struct flow *received_next;	/* who got something before, in this batch */
	/* its program, while it has one and is bound */
	struct code *code;
	struct exo_cap *attach_cap, *code_cap;	/* the capabilities it was attached through */
	unsigned ran;		/* what it cost in this batch ... */
	struct flow *ran_next;	/* ... and that of this one, too */
};

_Static_assert(sizeof(struct flow) <= EXO_PAGE_SIZE, "one frame");

/* Who is told what happens to a flow; NULL: it is not bound, or its environment has ended. */
static inline struct env *flow_env(const struct flow *flow)
{
	return flow->env && env_state(flow->env) != EXO_ENV_ENDED ? flow->env : NULL;
}

/* --- flow.c */

/* [d] of all flows, rings and network devices. */
extern struct spinlock flow_lock;

/* The root flow of a device, in a frame of the kernel's. Boot only. */
exo_pfn_t flow_make_root(struct device *device);

/* --- flow_claim.c */

/* Check what an application asks for and sort it. 0 or ERR(INVAL). Cost: all terms, each a few comparisons. */
int64_t flow_claim_read(struct flow_claim *out, const struct exo_claim *in);
/* Can no packet satisfy both conjunctions, because of a field that they have in common? Bit i of `unknown`: what term i
 * of t wants its field to be is not known. */
bool flow_keys_exclude(const struct flow_key *s, uint32_t count_s, const struct flow_key *t, uint32_t count_t,
    uint32_t unknown);
/* Does the parent's guard let all pass that the claim's lets pass? */
bool flow_guards_within(const struct flow_claim *parent, const struct flow_claim *claim);
/* Is a frame with these first bytes one that the claim's guard lets pass? */
bool flow_guard(const struct flow_claim *claim, const uint8_t *head, uint32_t bytes);
/* The same of one conjunction that is made of words. */
bool flow_words_hold(const struct flow_words *words, const uint8_t *head, uint32_t bytes);

/* --- flow_table.c */

/* A stretch of the packet that is loaded at once: one field of a claim, or several that lie side by side. */
struct chunk {
	uint16_t offset, rel_offset;
	uint8_t rel_mask, rel_shift;
	uint8_t width;		/* 1, 2, 4, 8 */
	bool masked;		/* not all of its bits are looked at */
};

/* A list of terms without the values, below a flow of the shape above. [k] */
struct shape {
	uint16_t above, below, next;	/* shapes: one above; first of those below, sorted by chunks; FLOW_NONE */
	uint16_t flows;		/* of it */
	uint16_t insns;		/* of the program, at most */
	uint8_t bit;		/* flows of the shape above have this bit in `below` iff they have flows of it below */
	uint8_t asked;		/* programs that it is to be part of although no flow has it yet */
	exo_pfn_t account;	/* the lowest above all that have flows of it, or have asked; 0: it is nobody's */
	bool used, live, next_live;	/* part of the program that runs / that is being built */
	uint8_t count;		/* of key */
	uint8_t chunks, nots;	/* chunk[0..chunks) are looked up, the `nots` behind them must not be as number[8 + i] says */
	uint8_t same;		/* bit i: all flows of it have the value in key[i] */
	uint8_t chunk_of[EXO_TERMS_MAX];	/* of the i-th term */
	uint32_t hash;		/* of place and mask */
	struct flow_key key[EXO_TERMS_MAX];
	struct chunk chunk[EXO_TERMS_MAX];
	/* flow_filter.c */
	uint16_t queue;		/* next shape whose shapes below are to be emitted */
	uint16_t known;		/* bytes that a packet has, where a flow of it has been found */
	int32_t jumps;		/* instructions that lead to what is below it: see flow_filter.c */
};

/*
 * The table of values: window 0 of the program. Behind this header there are numbers for each shape, the buckets (byte
 * offsets of values, 0: none) and a struct flow_value for each flow.
 */
struct flow_values {
	uint64_t factor;	/* odd and secret: for hashing */
};

#define FLOW_AGREE_AT	8	/* a packet's byte that `agree` begins with */

/* Of a shape: masks of chunks; then what negated ones, which are never the first two, must not be, and in their place: all
 * its flows want bits FLOW_AGREE of the last chunk as they are in FLOW_AGREED. */
#define FLOW_NUMBERS	(2 * EXO_TERMS_MAX)
#define FLOW_AGREE	EXO_TERMS_MAX
#define FLOW_AGREED	(EXO_TERMS_MAX + 1)
#define FLOW_CHAIN_MAX	8	/* values in one bucket */

struct flow_value {
	uint32_t next;		/* of the bucket: byte offset; 0: none */
	uint32_t flow;		/* its index */
	uint32_t key;		/* shape << 16 | index of the parent */
	uint32_t below;		/* bits of the shapes that flows right below have */
	uint64_t value[EXO_TERMS_MAX];
};

extern struct flow **flow_table;	/* [kd] by index */
extern struct shape *shape_table;
extern uint32_t shapes_max;
extern struct flow_values *flow_values;
extern uint32_t values_bytes;		/* all of it */
extern uint32_t numbers_at, buckets_at, bucket_count, values_at;	/* byte offsets, and how many */

/* What the program does with each chunk: a bucket is chosen by the lowest bits of the last one. */
static inline uint64_t flow_hash(uint64_t hash, uint64_t chunk)
{
	return __builtin_bswap64((hash ^ chunk) * flow_values->factor);
}

/* May this claim stand below this flow? 0 and its shape's number (FLOW_NONE: steered), and the shape is charged to the
 * account or one above it; ERR(AGAIN) while a program with its shape is built, ERR(STATE), ERR(RIGHTS) for its guard,
 * ERR(OVERLAP), ERR(FULL), ERR(QUOTA). */
int64_t flow_claim_check(const struct flow *parent, const struct flow_claim *claim, exo_pfn_t account, uint16_t *number);
/* A place in the table; FLOW_NONE when it is full. */
uint16_t flow_index_free(void);
/* Enter a flow, whose index, parent, shape and claim are set and checked / take one out. Cannot fail. */
void flow_insert(struct flow *flow);
void flow_remove(struct flow *flow);
/* Shapes that are not part of the program that runs are no more. */
void flow_shapes_settle(void);
/* The n-th flow below another that its program steers; NULL: there is none. */
static inline struct flow *flow_steered(const struct flow *above, unsigned n)
{
	return n < EXO_STEER_MAX && above->steered[n] != FLOW_NONE ? flow_table[above->steered[n]] : NULL;
}

/* --- flow_pay.c */

/* An account has a flow of it, or asks for it. 0, or what account_take_kept() says. */
int64_t flow_shape_charge(struct shape *shape, exo_pfn_t account);
/* It may be needed no more. */
void flow_shape_discharge(struct shape *shape);
/* Nobody needs the account: those without flows that are charged to it are nobody's from now on. How many there were. */
int32_t flow_shapes_forget(exo_pfn_t account);
/* Would something become free, for an account or (0) at all, if a program without the shapes that no flow has were made? */
bool flow_shapes_idle(exo_pfn_t account);

/* --- flow_filter.c */

uint32_t flow_filter_insns(void);	/* that a program may have */
void flow_filter_init(void);
/* Is a program being built? */
bool flow_filter_building(void);
/* A step of building one with all shapes that have flows or are asked for: ERR(AGAIN), 0 it runs now, ERR(FULL) it cannot be. */
int64_t flow_filter_build(void);
/* --- flow_ring.c */

/* Find owners by this program from now on / which one is it? NULL: there is none yet. */
void flow_find_by(const struct bpf_program *program, bpf_native_fn *native);
const struct bpf_program *flow_finder(void);
/* The deepest flow below root that claims the frame, first of its peers. */
struct flow *flow_find(struct flow *root, const uint8_t *frame, uint32_t bytes);

/* Give one received frame, with room for 8 bytes behind it, to its owner(s), of root's device. Returns the cost in instructions, roughly. */
unsigned flow_receive(struct flow *root, uint8_t *frame, uint32_t bytes, exo_time_t now);
/* One that owns the device: it has filled this slot. */
void flow_filled(struct flow *flow, unsigned slot, uint32_t bytes, exo_time_t now);
/* The batch is over: tell those who received, and have those pay whose programs ran. */
void flow_received(void);
/* A ready program is its flow's from now on: all that is the same at each run. The run's `owner` is the flow. */
void flow_handle_by(struct flow *flow, struct code *code);
/* For a program: when the packet that it looks at came. */
exo_time_t flow_packet_time(void);
/* Descriptors [start, start + count) of a bound flow are done with. */
void flow_sent(struct flow *flow, uint32_t start, uint32_t count);
/* The device has room again: tell some of those whom it had none for, whosever frames have come back. */
void flow_room(struct device *device);
/* It waits for that no more. */
void flow_room_forget(struct flow *flow);
/* Send what is posted, EXO_KICK_MAX frames at most. */
int64_t flow_kick(struct flow *flow);

#endif
