/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the verifier share: abstract values (bpf_value.c), states (bpf_state.c), the effect of an
 * instruction on a state (bpf_step.c), and the walk over the program (bpf_check.c).
 *
 * A *value* stands for a set of numbers: those of a run that agree with the known bits (bpf_value.c). An
 * address is such a number, too: its offset, modulo 2^64, from the first byte of its window, or (END) from
 * the end of the packet.
 *
 * Values lie in *cells*, which states share: a state says which cell each of its *variables* (registers 0 to 10,
 * then up to eight stack slots) is in. So a copy of a state copies cell numbers, and where two states meet only
 * cells that differ are looked at. A cell that more than one variable is in does not change: a new one is made.
 *
 * V1 every number that a register may hold at an instruction, on any way there, is in the value's set
 * V2 two variables of a state in one cell hold the same, but for UNSET and MIXED. Two addresses in the packet with
 *    the same `id`, at the same time in the same function's run, lie `delta` apart: each is delta bytes behind a
 *    point that the id names. id 0 names the packet's first byte. A name is made of the instruction where it
 *    arises (BPF_FRESH)
 * V3 an address in the packet is followed by at least `room` bytes of it, if its own offset is not negative
 * V4 bytes of the stack that `written` does not name may hold anything, and are never read
 * V5 `uses` of a cell is how many variables of states are in it (check->now counts while check->live); 0: free.
 *    Those that always are the same (BPF_CELLS_FIXED) are not counted so exactly
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
	uint64_t low, span;	/* a run of numbers: low, and as many behind it, modulo 2^64 */
	uint64_t value, unknown;	/* bits: those not in `unknown` are as in `value` */
};

struct bpf_cell {
	struct bpf_value value;
	uint32_t uses;
	uint16_t next;		/* free: the next one; else which of check->over[] holds for it, and one more; 0: none */
	bool twins;		/* more than one variable of a state may be in it */
	uint32_t join;		/* the last join in which it came together with another cell: `with`; and what it became */
	uint16_t with, became;
};
_Static_assert(sizeof(struct bpf_cell) == 64, "one line of the cache");
#define BPF_UNSET	0	/* cells that always are the same */
#define BPF_MIXED	1
#define BPF_CELLS_FIXED	2

#define BPF_SLOTS	(EXO_CODE_STACK / 8)
#define BPF_SPILLS	8
#define BPF_SPILL_NONE	0xff
#define BPF_VARS	(BPF_REGS + BPF_SPILLS)

/* What is known when control is at one instruction. */
struct bpf_state {
	uint16_t cell[BPF_VARS + 1];		/* registers; stack slots of which more is known than that they are numbers */
	uint8_t slot[BPF_SPILLS];		/* which slots; BPF_SPILL_NONE: the variable is UNSET */
	uint64_t spilled;			/* bit s: slot s is a variable */
	uint32_t packet;			/* the packet has at least so many bytes */
	uint32_t next;				/* of the free list */
	uint8_t written[BPF_SLOTS] __attribute__((aligned(8)));	/* bit b of byte s: byte b of slot s */
};

/* What is known of a place in the program, for the time of the check. Numbers of states are one more;
 * `order` numbers are of the order in which the instructions of a function are gone through, and one more. */
struct bpf_place {
	uint16_t order;		/* when it is this instruction's turn */
	uint16_t to[2];		/* where a jump leads, where control goes on; and one more (0: nowhere) */
	uint16_t turn;		/* place number n: the instruction whose turn is n */
	uint16_t slot;		/* state that waits here, or (loop head) was taken for granted; ORDER: who led here */
	uint16_t loose, mixed;	/* loop head: registers of which a first, a second guess was wrong; ORDER: ways gone */
	uint16_t until;		/* loop head: order of the last that leads back to here */
	uint16_t live;		/* registers that may be read before they are written, on ways that lead onward; before
				 * ORDER: which it reads */
	bool returns;		/* from here a loop's head can be reached again */
	uint16_t regs;		/* what it writes; once a loop head: what is written until then, by those that return */
	uint64_t slots;
	/* where a function starts */
	uint16_t end;
	uint16_t callers;	/* calls not yet accounted for */
	uint16_t next;		/* function in the order of checking */
	uint16_t entry;		/* the state at its start: what all calls have in common */
	uint8_t depth;
	bool needed;		/* its result is looked at */
};

enum { BPF_SCAN, BPF_ORDER, BPF_UNREACHED, BPF_BEGIN, BPF_VALUES };

/* What is used most lies where one byte reaches it. */
struct bpf_check {
	struct bpf_program *program;
	struct bpf_place *place;
	struct bpf_state *pool;
	struct bpf_cell *cell;
	uint32_t at, turn, phase, joins;
	uint32_t start, end;		/* the function */
	uint32_t spent, budget;		/* estimate of instructions of the CPU's in this step; of which so many may be */
	uint32_t cells_free, cells_used;
	bool live;
	bool again;			/* a guess was wrong */
	bool failed, exhausted;		/* an instruction was rejected; for lack of states or cells */
	bool loose;			/* the weakest guesses only */
	uint32_t free, used;		/* states: head of the free list; ever taken */
	uint32_t last;			/* function in the order */
	uint32_t functions, unordered;	/* ... and instructions that are not in the order so far */
	uint32_t pass, stuck;
	uint32_t open;			/* guesses that are not proved so far */
	struct bpf_state now;		/* of the instruction at `at`, if `live` */
	struct bpf_value over[BPF_VARS];	/* what is known, too, of cells of `now` on the way that is looked at */
	uint8_t over_var[BPF_VARS];	/* a variable in the cell; over_cell: which */
	uint16_t over_cell[BPF_VARS];
	uint32_t overs;
	uint32_t states, cells;		/* how many there are */
	uint32_t total;			/* spent in all */
	uint32_t accesses, guarded;	/* before this function */
	uint64_t loose_slots, mixed_slots;
	struct exo_code_report report;
	uint64_t slots;			/* ORDER: slots of the stack that are written at all */
	uint16_t written[BPF_FRAME + BPF_SLOTS];	/* ORDER: the first turn so far that writes each register and slot */
	uint64_t function[EXO_INSNS_MAX / 64];	/* where functions start */
};

/* What the parts of a check cost, in instructions of the CPU's, and no less (test/guest/bpf_cost). */
#define COST_SCAN	145	/* SCAN; its place in each of the other phases before VALUES */
#define COST_LOOK	20	/* to see that it has a turn */
#define COST_CLEAR	37
#define COST_ORDER	80
#define COST_LOOPS	50
#define COST_LOOP	830
#define COST_STEP	100	/* an instruction that control reaches; and for what it is: */
#define COST_ALU	335
#define COST_MEMORY	227
#define COST_BYTE	56	/* ... of the stack */
#define COST_SAVED	92	/* what is stored stays known */
#define COST_CALL	550
#define COST_ENTER	1400
#define COST_JUMP	613	/* it compares; ... two registers; of 32 bits that may be cut off */
#define COST_PAIR	452
#define COST_JUMP32	1967
#define COST_HOLD	6	/* a state is copied; let go of: each of its variables */
#define COST_DROP	9
#define COST_JOIN	120	/* to look at two; and for each cell that differs */
#define COST_CELL	217
#define COST_AGAIN	73	/* ... and before, to see whether it did so already */
#define COST_GUESSED	300
#define COST_COVERED	100
#define COST_SLOT	50
#define COST_SETTLED	190	/* something was learned of one */
#define COST_NARROW	12
#define COST_LEARN	20
#define COST_GUESS	2000

/* A name that nothing else has: `which` is a variable, or for a guess GUESS + it, or RESULT. */
#define BPF_FRESH_GUESS		32
#define BPF_FRESH_RESULT	127
#define BPF_FRESH(insn, which)	(((insn) + 1) * 128 + (which))

/* --- bpf_value.c: numbers ----------------------------------------------------------------------------- */

extern const struct bpf_value bpf_any;
void bpf_number(struct bpf_value *value, uint64_t number);
void bpf_bounded(struct bpf_value *value, int64_t min, int64_t max);
/* Run and bits tell each other what they know; false: there is no such number. */
bool bpf_sync(struct bpf_value *value);
/* It is of another run, too; false: it cannot be. */
bool bpf_clip(struct bpf_value *value, uint64_t low, uint64_t span);
/* a becomes what is in a or in b. */
void bpf_hull(struct bpf_value *a, const struct bpf_value *b);
/* Its ends as signed numbers, the last one as an unsigned; and whether it lies between two signed ones. */
int64_t bpf_min(const struct bpf_value *value);
int64_t bpf_max(const struct bpf_value *value);
uint64_t bpf_umax(const struct bpf_value *value);
bool bpf_within(const struct bpf_value *value, int64_t min, int64_t max);
/* Does one run lie in another? */
static inline bool bpf_in_run(uint64_t low, uint64_t span, uint64_t other_low, uint64_t other_span)
{
	return !~other_span || (low - other_low <= other_span && span <= other_span - (low - other_low));
}
static inline bool bpf_is_exact(const struct bpf_value *value)
{
	return !value->span;
}
/* As a report says it. */
void bpf_known(const struct bpf_value *value, struct exo_known *known);
/* value = value op operand, as RFC 9669 says; the kind is not looked at. */
void bpf_alu(struct bpf_value *value, uint8_t code, int16_t offset, int32_t imm, const struct bpf_value *operand);
/* Keep the low `bits`, extended by their sign. */
void bpf_extend(struct bpf_value *value, unsigned bits);
/* Narrow both to what they can be if `a op b`; op a conditional jump's, or BPF_JNSET. false: it cannot be. */
bool bpf_assume(uint8_t op, bool wide, struct bpf_value *a, struct bpf_value *b);
/* Has a comparison to do with signs? */
static inline bool bpf_is_signed(uint8_t op)
{
	return op == BPF_JSGT || op == BPF_JSGE || op == BPF_JSLT || op == BPF_JSLE;
}
/* The comparison of an order with its operands the other way round. */
static inline uint8_t bpf_mirrored(uint8_t op)
{
	return op ^ (bpf_is_signed(op) ? BPF_JSGT ^ BPF_JSLT : BPF_JGT ^ BPF_JLT);
}
/* Is a comparison of 32 bits of these one of 64 bits, too? */
static inline bool bpf_is_narrow(uint8_t op, const struct bpf_value *a, const struct bpf_value *b)
{
	int64_t min = bpf_is_signed(op) ? INT32_MIN : 0, max = bpf_is_signed(op) ? INT32_MAX : UINT32_MAX;

	return bpf_within(a, min, max) && bpf_within(b, min, max);
}
/* The same, of 64 bits, if one is a number. */
bool bpf_assume_number(uint8_t op, struct bpf_value *a, uint64_t number);
/* The jump that is taken when another is not, by its op >> 4. */
extern const uint8_t bpf_negated[16];

/* --- bpf_state.c: cells, joins, loops, stack ---------------------------------------------------------- */

static inline bool bpf_is_address(const struct bpf_value *value)
{
	return value->kind == EXO_KIND_ADDRESS || value->kind == EXO_KIND_END;
}
/* Nothing is known of it in relation to others but by that name; 0: by none. */
static inline void bpf_rename(struct bpf_value *value, uint32_t id)
{
	value->left = false;
	value->id = id;
	value->delta = 0;
}
static inline bool bpf_is_near(const struct bpf_value *value)
{
	return bpf_within(value, BPF_NEAR, BPF_FAR);
}
static inline const struct bpf_value *bpf_get(const struct bpf_check *check, const struct bpf_state *state, unsigned var)
{
	return &check->cell[state->cell[var]].value;
}
/* The variable has that value; is in that cell. If there is no cell any more, check->exhausted, and it is MIXED. */
void bpf_put(struct bpf_check *check, struct bpf_state *state, unsigned var, const struct bpf_value *value);
void bpf_share(struct bpf_check *check, struct bpf_state *state, unsigned var, uint32_t cell);
/* What is known of a cell on the way from check->now that is looked at: what it holds, or what was learned on the way. */
static inline const struct bpf_value *bpf_seen(const struct bpf_check *check, uint32_t cell)
{
	uint32_t over = check->cell[cell].next;

	return over ? &check->over[over - 1] : &check->cell[cell].value;
}
/* On that way, all variables in one cell with `var` have this value. Then that becomes so in a copy of check->now, or in
 * itself; or (NULL) is forgotten. */
void bpf_narrow(struct bpf_check *check, unsigned var, const struct bpf_value *value);
void bpf_narrowed(struct bpf_check *check, struct bpf_state *state);
/* A copy was made of a state; a state is not needed any more. */
void bpf_state_hold(struct bpf_check *check, const struct bpf_state *state);
void bpf_state_drop(struct bpf_check *check, const struct bpf_state *state);
int64_t bpf_room(const struct bpf_state *state, const struct bpf_value *value);
/* Something else becomes of a function's result than to be forgotten: it has to be a number. */
const struct bpf_value *bpf_result(struct bpf_check *check, const struct bpf_value *value);
void bpf_state_clear(struct bpf_state *state);
/* The variable that a slot is; 0: it is none. BPF_SPILL_NONE: one that is free. */
unsigned bpf_spill_find(const struct bpf_state *state, unsigned slot);
void bpf_spill_forget(struct bpf_check *check, struct bpf_state *state, unsigned slot);
/* `into` becomes what it and `from` have in common, at instruction `at`. */
void bpf_state_join(struct bpf_check *check, struct bpf_state *into, const struct bpf_state *from, uint32_t at);
/* On the way that is looked at, the packet has `bytes` bytes from point `id` on. false: it cannot. */
bool bpf_learn(struct bpf_check *check, uint32_t id, int64_t bytes);
/* Make of the state at a loop's head one that may hold each time round; and: does it? Marks what does not. */
void bpf_loop_guess(struct bpf_check *check, struct bpf_state *state, uint32_t head);
bool bpf_loop_covers(struct bpf_check *check, uint32_t head, const struct bpf_state *back);

/* --- bpf_check.c -------------------------------------------------------------------------------------- */

/* Fill the report; -1. `reg` < 0: it is about none. */
int bpf_reject(struct bpf_check *check, unsigned reason, int reg);
int bpf_refuse(struct bpf_check *check, unsigned reason, uint32_t insn);
/* What is known on the way that is looked at goes to `target`, too, and what was learned on it is forgotten; or check->now
 * itself goes there, or nowhere. 0, or -1: it cannot, and the report says so. */
int bpf_way(struct bpf_check *check, uint32_t target);
int bpf_go(struct bpf_check *check, uint32_t target);
void bpf_way_lost(struct bpf_check *check);
/* What a call passes. 0, or -1. */
int bpf_enter(struct bpf_check *check, uint32_t function);

/* --- bpf_structure.c: phases, as far as the budget goes: 1, or -1: rejected --------------------------- */

int bpf_phase_scan(struct bpf_check *check);
int bpf_phase_order(struct bpf_check *check);
int bpf_phase_unreached(struct bpf_check *check);

/* --- bpf_step.c: the instruction at check->at changes check->now. 0, or -1: rejected ------------------ */
int bpf_step(struct bpf_check *check);

#endif
