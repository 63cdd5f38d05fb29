/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the verifier share: abstract values (bpf_value.c), states (bpf_state.c), the effect of an
 * instruction on a state (bpf_step.c), and the walk over the program (bpf_check.c).
 *
 * A *value* stands for a set of numbers: those inside both pairs of bounds that agree with the known bits. An
 * address is such a number, too: its offset, modulo 2^64, from the first byte of its window, or (END) from
 * the end of the packet.
 *
 * V1 every number that a register may hold at an instruction, on any way there, is in the value's set
 * V2 two addresses in the packet with the same `id`, at the same time in the same function's run, lie `delta`
 *    apart: each is delta bytes behind a point that the id names. id 0 names the packet's first byte.
 *    Likewise two numbers with the same id (not 0) are equal. A name is made of the instruction where it
 *    arises (BPF_FRESH)
 * V3 an address in the packet is followed by at least `room` bytes of it, if its own offset is not negative
 * V4 bytes of the stack that `written` does not name may hold anything, and are never read
 */
#ifndef EXO_BPF_CHECK_H
#define EXO_BPF_CHECK_H

#include "exo/bpf.h"

#define BPF_PAGE_BYTES	4096	/* EXO_PAGE_SIZE */
#define BPF_PACKET_MAX	65535	/* no packet is longer */
#define BPF_NEAR	(-4096)	/* offsets that a comparison of addresses can bear without a wrap: no window begins */
#define BPF_FAR		(1 << 29)	/* in the first page, or ends in the last GiB */
#define BPF_ROOM_NONE	(-(1 << 30))
#define BPF_KIND_RESULT	5	/* r0 after a local function, not looked at so far: id says which */
#define BPF_JNSET	0xf0	/* not JSET */

struct bpf_value {
	uint8_t kind;		/* EXO_KIND_* */
	uint8_t window;
	bool left;		/* number: bytes from the point `id` to the packet's end, and `delta` more */
	bool foreign;		/* address in the stack of a caller: of no use */
	uint32_t id;
	int32_t delta;
	int32_t room;
	int64_t min, max;
	uint64_t umin, umax;
	uint64_t value, unknown;
};
_Static_assert(sizeof(struct bpf_value) == 64, "one line of the cache");

#define BPF_SLOTS	(EXO_CODE_STACK / 8)
#define BPF_SPILLS	8
#define BPF_SPILL_NONE	0xff

/* What is known when control is at one instruction. */
struct bpf_state {
	struct bpf_value reg[BPF_REGS];
	struct bpf_value spill[BPF_SPILLS];	/* values of stack slots; other slots hold numbers */
	uint64_t spilled;			/* bit s: slot s is in spill[] */
	uint8_t slot[BPF_SPILLS];		/* which slot; BPF_SPILL_NONE */
	uint32_t packet;			/* the packet has at least so many bytes */
	uint32_t next;				/* of the free list */
	uint8_t written[BPF_SLOTS] __attribute__((aligned(8)));	/* bit b of byte s: byte b of slot s */
} __attribute__((aligned(64)));

/* What is known of a place in the program, for the time of the check. Numbers of states are one more;
 * `order` numbers are of the order in which the instructions of a function are gone through, and one more. */
struct bpf_place {
	uint16_t order;		/* when it is this instruction's turn */
	uint16_t turn;		/* place number n: the instruction whose turn is n */
	uint16_t slot;		/* state that waits here, or (loop head) was taken for granted; ORDER: who led here */
	uint16_t loose, mixed;	/* loop head: registers of which a first, a second guess was wrong; ORDER: ways gone */
	uint16_t until;		/* loop head: order of the last that leads back to here */
	uint16_t live;		/* registers that may be read before they are written, on ways that lead onward */
	bool returns;		/* from here a loop's head can be reached again */
	uint16_t regs;		/* loop head: what is written until then, by those that return */
	uint64_t slots;
	/* where a function starts */
	uint16_t end;
	uint16_t callers;	/* calls not yet accounted for */
	uint16_t next;		/* function in the order of checking */
	uint16_t entry;		/* the state at its start: what all calls have in common */
	uint8_t depth;
	bool needed;		/* its result is looked at */
};

struct bpf_writes {
	uint64_t slots;		/* of the stack, by r10 */
	uint16_t regs, reads;
};

enum { BPF_SCAN, BPF_ENDS, BPF_JUMPS, BPF_ORDER, BPF_LOOPS, BPF_VALUES };

struct bpf_check {
	struct bpf_state now;		/* of the instruction at `at`, if `live` */
	struct bpf_state other;
	struct bpf_program *program;
	struct bpf_place *place;
	struct bpf_state *pool;
	uint32_t states, used, free;	/* size of the pool; states ever taken; head of the free list */
	uint32_t phase, at;
	uint32_t start, end;		/* the function */
	uint32_t turn;
	uint32_t last;			/* function in the order */
	uint32_t functions;		/* not in the order so far */
	uint32_t pass, stuck;
	bool live;
	bool looped;			/* a guess is open in this function */
	bool again;			/* a guess was wrong */
	bool failed, exhausted;		/* an instruction was rejected; for lack of states */
	bool loose;			/* the weakest guesses only */
	bool other_used, second;
	uint32_t spent, total;		/* estimates of instructions of the CPU's: in this step, in all */
	uint32_t accesses, guarded;	/* before this function */
	uint64_t loose_slots, mixed_slots;
	struct exo_code_report report;
	uint64_t slots;			/* LOOPS: slots of the stack that are written at all */
	uint16_t written[BPF_FRAME + BPF_SLOTS];	/* LOOPS: the last turn that wrote each register and slot */
	uint64_t function[EXO_INSNS_MAX / 64];	/* where functions start */
};

/* A name that nothing else has: `which` is a register, 11 + slot, or BPF_FRESH_RESULT. */
#define BPF_FRESH_SLOT		BPF_REGS
#define BPF_FRESH_RESULT	127
#define BPF_FRESH(insn, which)	(((insn) + 1) * 128 + (which))

/* --- bpf_value.c: numbers ----------------------------------------------------------------------------- */

extern const struct bpf_value bpf_any;
void bpf_number(struct bpf_value *value, uint64_t number);
void bpf_bounded(struct bpf_value *value, int64_t min, int64_t max);
/* Bounds and bits tell each other what they know; false: there is no such number. */
bool bpf_sync(struct bpf_value *value);
static inline bool bpf_is_exact(const struct bpf_value *value)
{
	return value->umin == value->umax;
}
/* value = value op operand, as RFC 9669 says; the kind is not looked at. */
void bpf_alu(struct bpf_value *value, uint8_t code, int16_t offset, int32_t imm, const struct bpf_value *operand);
/* Keep the low `bits`, extended by their sign. */
void bpf_extend(struct bpf_value *value, unsigned bits);
/* Narrow both to what they can be if `a op b`; op a conditional jump's, or BPF_JNSET. false: it cannot be. */
bool bpf_assume(uint8_t op, bool wide, struct bpf_value *a, struct bpf_value *b);
uint8_t bpf_negated(uint8_t op);
uint8_t bpf_mirrored(uint8_t op);

/* --- bpf_state.c: joins, loops, stack ----------------------------------------------------------------- */

static inline bool bpf_is_address(const struct bpf_value *value)
{
	return value->kind == EXO_KIND_ADDRESS || value->kind == EXO_KIND_END;
}
static inline bool bpf_is_near(const struct bpf_value *value)
{
	return value->min >= BPF_NEAR && value->max <= BPF_FAR;
}
int64_t bpf_room(const struct bpf_state *state, const struct bpf_value *value);
/* Something else becomes of a function's result than to be forgotten: it has to be a number. */
void bpf_result(struct bpf_check *check, struct bpf_value *value);
void bpf_state_clear(struct bpf_state *state);
struct bpf_value *bpf_spill_find(struct bpf_state *state, unsigned slot);
void bpf_spill_forget(struct bpf_state *state, unsigned slot);
/* `into` becomes what it and `from` have in common, at instruction `at`. */
void bpf_state_join(struct bpf_check *check, struct bpf_state *into, struct bpf_state *from, uint32_t at);
/* The packet has `bytes` bytes from point `id` on, which lies at offset `least` or behind. false: it
 * cannot. */
bool bpf_learn(struct bpf_state *state, uint32_t id, int64_t bytes, int64_t least);
/* Make of the state at a loop's head one that may hold each time round; and: does it? Marks what does not. */
void bpf_loop_guess(struct bpf_check *check, struct bpf_state *state, uint32_t head);
bool bpf_loop_covers(struct bpf_check *check, uint32_t head, struct bpf_state *back);
/* What an instruction writes and reads, added to *writes. */
void bpf_writes(const struct exo_insn *insn, struct bpf_writes *writes);

/* --- bpf_check.c -------------------------------------------------------------------------------------- */

/* Fill the report; -1. `reg` < 0: it is about none. */
int bpf_reject(struct bpf_check *check, unsigned reason, int reg);
int bpf_refuse(struct bpf_check *check, unsigned reason, uint32_t insn);
/* A copy of check->now for a way to `target`; NULL: there is no room, and the report says so. Then end the
 * way: it is `open` or cannot be gone. */
struct bpf_state *bpf_way(struct bpf_check *check, uint32_t target);
void bpf_way_end(struct bpf_check *check, uint32_t target, struct bpf_state *way, bool open);
/* What a call passes. 0, or -1. */
int bpf_enter(struct bpf_check *check, uint32_t function);

/* --- bpf_structure.c: phases, a step of each: 1, or -1: rejected -------------------------------------- */

int bpf_phase_scan(struct bpf_check *check);
int bpf_phase_ends(struct bpf_check *check);
int bpf_phase_jumps(struct bpf_check *check);
int bpf_phase_order(struct bpf_check *check);
int bpf_phase_loops(struct bpf_check *check);
/* Where a jump at `i` leads, and where control goes on behind `i`; -1: nowhere. */
int64_t bpf_jump_target(const struct bpf_check *check, uint32_t i);
int64_t bpf_behind(const struct bpf_check *check, uint32_t i);

/* --- bpf_step.c: the instruction at check->at changes check->now. 0, or -1: rejected ------------------ */
int bpf_step(struct bpf_check *check);

#endif
