/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the verifier share: abstract values (bpf_value.c), states and loops (bpf_state.c), the effect of an
 * instruction on a state (bpf_step.c), and the walk over the program (bpf_structure.c, bpf_check.c).
 *
 * A *value* stands for a set of numbers (bpf_value.c). An address is such a number, too: its offset, modulo 2^64, from the
 * first byte of its window, or (END) from the end of the packet. A *state* is what is known when control is at one
 * instruction: values of its *variables* (registers 0 to 10, then addresses saved in stack slots: that in slot n is 11 + n % 8).
 *
 * V1 every number that a register may hold at an instruction, on any way there, is in the value's set
 * V2 variables with the same number in `same` have the same value, in whatever states. Numbers are drawn anew (check->names),
 *    but for UNSET and MIXED
 * V3 two addresses in the packet with the same `id`, at the same time in the same function's run, lie `delta` apart: each is
 *    delta bytes behind a point that the id names. id 0 names the packet's first byte. A name is made of the instruction
 *    where it arises (BPF_FRESH)
 * V4 an address in the packet is followed by at least `room` bytes of it, if its own offset is not negative
 * V5 bytes of the stack that `written` names are of numbers; others may hold anything, and are read only as a variable
 */
#ifndef EXO_BPF_CHECK_H
#define EXO_BPF_CHECK_H

#include "exo/bpf.h"

#define BPF_PAGE_BYTES	4096	/* EXO_PAGE_SIZE */
#define BPF_PACKET_MAX	65535	/* no packet is longer */
#define BPF_NEAR	(-4096)	/* offsets that a comparison of addresses can bear without a wrap: no window begins */
#define BPF_FAR		(1 << 29)	/* in the first page, or ends in the last GiB */
#define BPF_ROOM_NONE	(-(1 << 30))
#define BPF_WINDOW_CALLER	EXO_WINDOWS	/* the stack of a caller: of no use */
#define BPF_JNSET	0x00	/* not JSET */

struct bpf_value {
	uint8_t kind;		/* EXO_KIND_* */
	uint8_t window;
	uint32_t id;
	int32_t delta;
	int32_t room;
	uint64_t low, span, gap;	/* low, and numbers behind it up to `span`, modulo 2^64, that are `gap` apart */
};

#define BPF_SLOTS	(EXO_CODE_STACK / 8)
#define BPF_SAVED	8		/* variables that stack slots can be */
#define BPF_VARS	(BPF_REGS + BPF_SAVED)
#define BPF_RESULT	(1u << BPF_VARS)
#define BPF_SAME_MIXED	1		/* 0: UNSET */

struct bpf_state {
	struct bpf_value var[BPF_VARS];
	uint32_t same[BPF_VARS + 1] __attribute__((aligned(8)));
	uint32_t packet;			/* the packet has at least so many bytes */
	uint16_t next;				/* of the free list */
	uint8_t slot[BPF_SAVED] __attribute__((aligned(8)));	/* which slots: if the variable is not UNSET */
	uint8_t written[BPF_SLOTS] __attribute__((aligned(8)));	/* bit b of byte s: byte b of slot s */
};

/* What is known of a place in the program, for the time of the check. Numbers of states are one more;
 * `order` numbers are of the order in which the instructions of a function are gone through, and one more. */
struct bpf_place {
	uint16_t order;		/* when it is this instruction's turn */
	uint16_t to[2];		/* where a jump leads, where control goes on; and one more (0: nowhere) */
	uint16_t turn;		/* place number n: the instruction whose turn is n */
	uint16_t slot;		/* state that waits here, or (loop head) was taken for granted; ORDER: who led here */
	uint16_t until;		/* loop head: order of the last that leads back to here */
	uint32_t live;		/* registers that may be read before they are written, on ways that lead onward; before
				 * ORDER: which it reads. BPF_RESULT: r0 may be, by others than an exit */
	bool returns;		/* from here a loop's head can be reached again */
	uint8_t ways;		/* ORDER: ways gone */
	uint32_t writes;	/* variables it writes; once a loop head: what is written until then, by those that return */
	uint32_t loose, mixed;	/* loop head: variables of which a first, a second guess was wrong */
	/* where a function starts */
	uint16_t end;
	uint16_t callers;	/* calls not yet accounted for */
	uint16_t next;		/* function in the order of checking */
	uint16_t entry;		/* the state at its start: what all calls have in common */
	uint8_t depth;
	bool needed;		/* its result is looked at: it has to be a number */
};

enum { BPF_SCAN, BPF_ORDER, BPF_VALUES };

struct bpf_check {
	struct bpf_program *program;
	struct bpf_place *place;
	struct bpf_state *pool;
	uint32_t at, turn, phase;
	uint32_t start, end;		/* the function */
	uint32_t spent, budget;		/* estimate of instructions of the CPU's in this step; of which so many may be */
	uint32_t total;			/* spent in all */
	uint32_t names;			/* drawn for `same` */
	bool live;			/* control comes to `at`: */
	struct bpf_state now;		/* what is known there */
	struct bpf_state before;	/* ... of variables in `narrowed`, and of the packet, before a comparison taught more */
	uint32_t narrowed;
	bool failed, again;		/* an instruction was rejected; a guess was wrong */
	bool loose;			/* the weakest guesses only */
	uint32_t open;			/* guesses that are not proved so far */
	uint32_t pass, stuck;
	uint64_t lost;			/* slots of the stack that loops leave without a value */
	uint32_t free, used, states;	/* states: head of the free list; ever taken; how many there are */
	uint32_t last;			/* function in the order */
	uint32_t functions, unordered;	/* ... and instructions that are not in the order so far */
	uint32_t accesses, guarded;	/* before this function */
	struct exo_code_report report;
	uint16_t written[BPF_VARS + 1];	/* ORDER: the first turn so far that writes each variable */
	uint64_t function[EXO_INSNS_MAX / 64];	/* where functions start */
};

/* What the parts of a check cost, in instructions of the CPU's, and no less (test/guest/bpf_cost). */
#define COST_SCAN	150	/* SCAN; its place in each of the other phases before VALUES */
#define COST_LOOK	20	/* to see that it has a turn */
#define COST_CLEAR	30
#define COST_ORDER	76
#define COST_LOOP	260
#define COST_TURN	110
#define COST_STEP	320	/* an instruction that control reaches; and for what it is: */
#define COST_BYTE	80	/* of the stack */
#define COST_JUMP	570	/* a comparison; of two registers */
#define COST_PAIR	100
#define COST_KEEP	200	/* a state is copied */
#define COST_JOIN	110	/* two come together; of each, values that differ */
#define COST_VALUE	305
#define COST_NARROW	81	/* something was learned of a variable; is looked for by its name */
#define COST_LEARN	180
#define COST_GUESS	3500

/* A name that nothing else has: `which` is a variable, or for a guess GUESS + it, or RESULT. */
#define BPF_FRESH_GUESS		32
#define BPF_FRESH_RESULT	127
#define BPF_FRESH(insn, which)	(((insn) + 1) * 128 + (which))

/* --- bpf_value.c: numbers ----------------------------------------------------------------------------- */

extern const struct bpf_value bpf_any;
void bpf_number(struct bpf_value *value, uint64_t number);
void bpf_bounded(struct bpf_value *value, int64_t min, int64_t max);
/* Bits below the lowest in `gaps` are known: make the run so. */
void bpf_align(struct bpf_value *value, uint64_t gaps);
/* It is of another run, too; false: it cannot be. */
bool bpf_clip(struct bpf_value *value, uint64_t low, uint64_t span);
/* a becomes what is in a or in b. */
void bpf_hull(struct bpf_value *a, const struct bpf_value *b);
/* Its ends as signed numbers, the last one as an unsigned; and whether it lies between two signed ones. */
int64_t bpf_min(const struct bpf_value *value);
int64_t bpf_max(const struct bpf_value *value);
uint64_t bpf_umax(const struct bpf_value *value);
bool bpf_within(const struct bpf_value *value, int64_t min, int64_t max);
static inline bool bpf_is_exact(const struct bpf_value *value)
{
	return !value->span;
}
/* As a report says it. */
void bpf_known(const struct bpf_value *value, struct exo_known *known);
/* value = value op operand, as RFC 9669 says; the kind is not looked at. */
void bpf_alu(struct bpf_value *value, uint8_t code, int16_t offset, int32_t imm, const struct bpf_value *operand);
/* Narrow both to what they can be if `a op b`; op a conditional jump's, or BPF_JNSET. false: it cannot be. */
bool bpf_assume(uint8_t op, bool wide, struct bpf_value *a, struct bpf_value *b);
/* Has a comparison to do with signs? */
static inline bool bpf_is_signed(uint8_t op)
{
	return (1 << (BPF_JSGT >> 4) | 1 << (BPF_JSGE >> 4) | 1 << (BPF_JSLT >> 4) | 1 << (BPF_JSLE >> 4)) >> (op >> 4) & 1;
}
/* The jump that is taken when another is not. */
uint8_t bpf_negated(uint8_t op);

/* --- bpf_state.c: states, loops ----------------------------------------------------------------------- */

static inline bool bpf_is_address(const struct bpf_value *value)
{
	return value->kind == EXO_KIND_ADDRESS || value->kind == EXO_KIND_END;
}
static inline bool bpf_in_packet(const struct bpf_value *value)
{
	return value->kind == EXO_KIND_ADDRESS && value->window == EXO_WINDOW_PACKET;
}
static inline bool bpf_is_readable(const struct bpf_value *value)
{
	return value->kind != EXO_KIND_UNSET && value->kind != EXO_KIND_MIXED;
}
static inline bool bpf_is_near(const struct bpf_value *value)
{
	return bpf_within(value, BPF_NEAR, BPF_FAR);
}
/* Nothing is known of it in relation to others but by that name; 0: by none. */
static inline void bpf_rename(struct bpf_value *value, uint32_t id)
{
	value->id = id;
	value->delta = 0;
}
/* The variable has that value; what another one has, of a state; has no value (EXO_KIND_UNSET) or may not be used. */
void bpf_put(struct bpf_check *check, struct bpf_state *state, unsigned var, const struct bpf_value *value);
void bpf_copy(struct bpf_state *to, unsigned var, const struct bpf_state *from, unsigned other);
void bpf_unset(struct bpf_state *state, unsigned var, uint8_t kind);
/* In check->now, the variable has this value, for a while; and: those have theirs again that were narrowed. */
void bpf_narrow(struct bpf_check *check, unsigned var, const struct bpf_value *value);
void bpf_widen(struct bpf_check *check);
/* Bytes of the packet that are known to follow an address there. */
int64_t bpf_room(const struct bpf_state *state, const struct bpf_value *value);
/* In check->now, the packet has `bytes` bytes from point `id` on, which lies at offset `least` or behind. false: it cannot. */
bool bpf_learn(struct bpf_check *check, uint32_t id, int64_t bytes, int64_t least);
/* The variable that a slot is; 0: it is none. */
unsigned bpf_saved(const struct bpf_state *state, unsigned slot);
/* `a`, of state x, becomes what it and b, of y, have in common; as an address in the packet that has no other name: `name`. */
void bpf_join_values(const struct bpf_state *x, struct bpf_value *a, const struct bpf_state *y, const struct bpf_value *b,
    uint32_t name);
/* `into` becomes what it and `from` have in common, at instruction `at`. */
void bpf_join(struct bpf_check *check, struct bpf_state *into, const struct bpf_state *from, uint32_t at);

/* Make of the state at a loop's head one that may hold each time round; and: does it? Marks what does not. */
void bpf_loop_guess(struct bpf_check *check, struct bpf_state *state, uint32_t head);
bool bpf_loop_covers(struct bpf_check *check, uint32_t head, const struct bpf_state *back);

/* --- bpf_check.c -------------------------------------------------------------------------------------- */

/* Fill the report; -1. `reg` < 0: it is about none. */
int bpf_reject(struct bpf_check *check, unsigned reason, int reg);
int bpf_refuse(struct bpf_check *check, unsigned reason, uint32_t insn);
/* Control goes to `target`, too, with what is known now. 0, or -1: it cannot, and the report says so. */
int bpf_way(struct bpf_check *check, uint32_t target);
/* What a call passes. 0, or -1. */
int bpf_enter(struct bpf_check *check, uint32_t function);
/* Go to the start of a function, for the first time. */
void bpf_function(struct bpf_check *check, uint32_t start);

/* --- bpf_structure.c: phases, as far as the budget goes: 1, or -1: rejected --------------------------- */

int bpf_phase_scan(struct bpf_check *check);
int bpf_phase_order(struct bpf_check *check);

/* --- bpf_step.c: the instruction at check->at changes check->now. 0, or -1: rejected ------------------ */
int bpf_step(struct bpf_check *check);

#endif
