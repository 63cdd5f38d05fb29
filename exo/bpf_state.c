/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * States of the verifier: what is known of registers, stack and packet at one instruction; what is left of
 * that where ways meet; and loops.
 *
 * The head of a loop is entered with a *guess*: a state meant to hold each time round. Each jump back proves
 * it: the state there has to be covered by the head's (bpf_loop_covers), or else what was wrong is marked,
 * and the function gone through once more with a weaker guess there. So nothing depends on how good a guess
 * is, only on that proof; what a guess is made of are the registers and stack slots that the loop's text
 * writes, and the comparison that ends it.
 *
 * Names (V2) survive a loop's head only if they arose before it: those that arise inside mean something else
 * each time.
 */
#include "exo/bpf_check.h"

typedef uint64_t __attribute__((may_alias)) word;

#define COST_COPY	300
#define COST_VALUE	60

static bool same(const struct bpf_value *a, const struct bpf_value *b)
{
	const word *x = (const word *)a, *y = (const word *)b;

	for (unsigned i = 0; i < sizeof(*a) / 8; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

static bool in_packet(const struct bpf_value *v)
{
	return v->kind == EXO_KIND_ADDRESS && v->window == EXO_WINDOW_PACKET;
}

/* Bytes of the packet that are known to follow an address there. */
int64_t bpf_room(const struct bpf_state *state, const struct bpf_value *v)
{
	int64_t room = BPF_ROOM_NONE;

	if (v->kind == EXO_KIND_END)
		return bpf_is_near(v) ? -v->max : BPF_ROOM_NONE;
	if (bpf_is_near(v))
		room = (int64_t)state->packet - v->max;
	return room > v->room ? room : v->room;
}

void bpf_result(struct bpf_check *check, struct bpf_value *v)
{
	if (v->kind != BPF_KIND_RESULT)
		return;
	check->place[v->id].needed = true;
	*v = bpf_any;
}

/* --- stack -------------------------------------------------------------------------------------------- */

void bpf_state_clear(struct bpf_state *state)
{
	*state = (struct bpf_state){ 0 };
	for (unsigned i = 0; i < BPF_SPILLS; i++)
		state->slot[i] = BPF_SPILL_NONE;
}

struct bpf_value *bpf_spill_find(struct bpf_state *state, unsigned slot)
{
	if (slot < BPF_SLOTS && !(state->spilled >> slot & 1))
		return NULL;
	for (unsigned i = 0; i < BPF_SPILLS; i++)
		if (state->slot[i] == slot)
			return &state->spill[i];
	return NULL;
}

void bpf_spill_forget(struct bpf_state *state, unsigned slot)
{
	if (!(state->spilled >> slot & 1))
		return;
	state->spilled &= ~(1ull << slot);
	for (unsigned i = 0; i < BPF_SPILLS; i++)
		if (state->slot[i] == slot)
			state->slot[i] = BPF_SPILL_NONE;
}

/* Nothing in the slot may be read any more. */
static void slot_lost(struct bpf_state *state, unsigned slot)
{
	bpf_spill_forget(state, slot);
	state->written[slot] = 0;
}

/* --- joins -------------------------------------------------------------------------------------------- */

static bool readable(const struct bpf_value *v)
{
	return v->kind != EXO_KIND_UNSET && v->kind != EXO_KIND_MIXED;
}

/* Bounds and bits that hold for both. */
static void hull(struct bpf_value *a, const struct bpf_value *b)
{
	a->min = a->min < b->min ? a->min : b->min;
	a->max = a->max > b->max ? a->max : b->max;
	a->umin = a->umin < b->umin ? a->umin : b->umin;
	a->umax = a->umax > b->umax ? a->umax : b->umax;
	a->unknown |= b->unknown | (a->value ^ b->value);
	a->value &= ~a->unknown;
}

/* `a` becomes what it has in common with b; they come from states x and y. */
static void join(struct bpf_check *check, struct bpf_value *a, struct bpf_value *b, const struct bpf_state *x,
    const struct bpf_state *y, uint32_t name)
{
	int64_t room_a, room_b;

	if (same(a, b))
		return;
	check->spent += COST_VALUE;
	if (a->kind == EXO_KIND_UNSET || b->kind == EXO_KIND_UNSET) {
		a->kind = EXO_KIND_UNSET;
		return;
	}
	if (a->kind == BPF_KIND_RESULT && (b->kind == EXO_KIND_NUMBER || (b->kind == a->kind && b->id == a->id)))
		return;
	if (a->kind == EXO_KIND_NUMBER && b->kind == BPF_KIND_RESULT) {
		*a = *b;
		return;
	}
	bpf_result(check, a);
	bpf_result(check, b);
	if (a->kind != b->kind || (bpf_is_address(a) && (a->window != b->window || a->foreign != b->foreign))) {
		a->kind = EXO_KIND_MIXED;
		return;
	}
	room_a = in_packet(a) ? bpf_room(x, a) : BPF_ROOM_NONE;
	room_b = in_packet(b) ? bpf_room(y, b) : BPF_ROOM_NONE;
	a->room = (int32_t)(room_a < room_b ? room_a : room_b);
	hull(a, b);
	if (a->left != b->left || a->id != b->id || a->delta != b->delta) {
		a->left = false;
		a->id = in_packet(a) ? name : 0;
		a->delta = 0;
	}
}

static void join_slots(struct bpf_check *check, struct bpf_state *into, struct bpf_state *from, uint32_t at)
{
	uint64_t either = into->spilled | from->spilled;

	for (unsigned i = 0; i < BPF_SLOTS / 8; i++)
		((word *)into->written)[i] &= ((word *)from->written)[i];
	while (either) {
		unsigned slot = (unsigned)__builtin_ctzll(either);
		struct bpf_value *a = bpf_spill_find(into, slot), *b = bpf_spill_find(from, slot);

		either &= either - 1;
		check->spent += COST_VALUE / 2;
		if (a && b) {
			join(check, a, b, into, from, BPF_FRESH(at, BPF_FRESH_SLOT + slot));
			if (a->kind == EXO_KIND_MIXED)
				slot_lost(into, slot);
		} else if ((a ? a : b)->kind == EXO_KIND_NUMBER) {
			bpf_spill_forget(into, slot);
		} else {
			slot_lost(into, slot);
		}
	}
}

void bpf_state_join(struct bpf_check *check, struct bpf_state *into, struct bpf_state *from, uint32_t at)
{
	check->spent += COST_COPY;
	for (unsigned reg = 0; reg < BPF_FRAME; reg++)
		join(check, &into->reg[reg], &from->reg[reg], into, from, BPF_FRESH(at, reg));
	join_slots(check, into, from, at);
	into->packet = into->packet < from->packet ? into->packet : from->packet;
}

/* --- the packet's length ------------------------------------------------------------------------------ */

static bool learn(struct bpf_value *v, uint32_t id, int64_t bytes)
{
	int64_t most = BPF_PACKET_MAX - bytes + v->delta;	/* the offset is the point's, and delta */

	if (!in_packet(v) || v->id != id)
		return true;
	if (bytes - v->delta > v->room)
		v->room = (int32_t)(bytes - v->delta);
	if (v->max > most)
		v->max = most;
	return v->min <= v->max && bpf_sync(v);
}

bool bpf_learn(struct bpf_state *state, uint32_t id, int64_t bytes, int64_t least)
{
	if (least + bytes > BPF_PACKET_MAX)
		return false;
	if (least + bytes > (int64_t)state->packet)
		state->packet = (uint32_t)(least + bytes);
	if (!id || bytes < -BPF_FAR || bytes > BPF_FAR)
		return true;
	for (unsigned reg = 0; reg < BPF_FRAME; reg++)
		if (!learn(&state->reg[reg], id, bytes))
			return false;
	for (unsigned i = 0; i < BPF_SPILLS; i++)
		if (state->slot[i] != BPF_SPILL_NONE && !learn(&state->spill[i], id, bytes))
			return false;
	return true;
}

/* --- loops -------------------------------------------------------------------------------------------- */

void bpf_writes(const struct exo_insn *insn, struct bpf_writes *writes)
{
	uint16_t dst = (uint16_t)(1u << bpf_dst(insn)), src = (uint16_t)(1u << bpf_src(insn));
	int first = insn->offset + EXO_CODE_STACK, last = first + (int)bpf_width(insn->code) - 1;
	uint8_t op = BPF_OP(insn->code);

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		writes->regs |= dst;
		break;
	case BPF_LDX:
		writes->regs |= dst;
		writes->reads |= src;
		break;
	case BPF_STX:
		writes->reads |= src;
		if (BPF_MODE(insn->code) == BPF_ATOMIC && insn->imm & BPF_FETCH) {
			writes->regs |= insn->imm == BPF_CMPXCHG ? 1 : src;
			writes->reads |= insn->imm == BPF_CMPXCHG;
		}
		/* fallthrough */
	case BPF_ST:
		writes->reads |= dst;
		if (bpf_dst(insn) == BPF_FRAME && first >= 0 && last < EXO_CODE_STACK)
			writes->slots |= 1ull << first / 8 | 1ull << last / 8;
		break;
	case BPF_JMP:
	case BPF_JMP32:
		if (op == BPF_CALL) {
			writes->regs |= 0x3f;
			for (unsigned i = 1; i <= 5; i++)
				if (bpf_src(insn) == BPF_CALL_LOCAL || ((uint32_t)insn->imm < EXO_CODE_CALL_COUNT &&
				    bpf_call_spec[insn->imm].args[i - 1]))
					writes->reads |= (uint16_t)(1u << i);
				else
					break;
			break;
		}
		if (op != BPF_JA)
			writes->reads |= (uint16_t)(dst | (insn->code & BPF_SRC_REG ? src : 0));
		break;
	default:
		writes->regs |= dst;
		writes->reads |= (uint16_t)((op == BPF_MOV ? 0 : dst) |
		    (insn->code & BPF_SRC_REG && op != BPF_END ? src : 0));
		break;
	}
}

/* How a register goes through a loop: it is stepped by a constant, and goes on while `op with`; BPF_JA: no
 * telling. */
struct course {
	int64_t step, with;
	uint8_t op;
};

/* Does the instruction at `i`, a conditional jump, say when the loop goes on? */
static bool compared(struct bpf_check *check, struct bpf_state *state, uint32_t i, unsigned reg, uint32_t head,
    struct course *course)
{
	const struct exo_insn *insn = &check->program->insn[i];
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	unsigned other = bpf_src(insn);
	int64_t target = (int64_t)i + 1 + insn->offset;
	struct bpf_value *v = &state->reg[reg], imm, *with = &imm;
	uint32_t written = check->place[head].regs;

	if ((class != BPF_JMP && class != BPF_JMP32) || op == BPF_JA || op == BPF_CALL || op == BPF_EXIT)
		return false;
	bpf_number(&imm, (uint64_t)(int64_t)insn->imm);
	if (insn->code & BPF_SRC_REG) {
		if (other == reg) {
			other = bpf_dst(insn);
			op = bpf_mirrored(op);
		}
		with = &state->reg[other];
	}
	if ((bpf_dst(insn) != reg && with == &imm) || other == reg || (with != &imm && written >> other & 1) ||
	    with->kind != v->kind || with->window != v->window)
		return false;
	if (check->place[target].order < check->place[head].order ||
	    check->place[target].order > check->place[head].until)
		op = bpf_negated(op);
	course->op = op;
	course->with = op == BPF_JGE || op == BPF_JGT || op == BPF_JSGE || op == BPF_JSGT ? with->min : with->max;
	return true;
}

/* How registers go through a loop, as far as the few instructions at its head, and before it goes back,
 * tell. */
static void find_courses(struct bpf_check *check, struct bpf_state *state, uint32_t from, uint32_t head,
    struct course *courses)
{
	const struct exo_insn *insn = check->program->insn;

	for (uint32_t i = from; i < from + 6 && i + 1 < check->end; i++) {
		unsigned reg = bpf_dst(&insn[i]);

		if ((insn[i].code != (BPF_ALU64 | BPF_ADD) && insn[i].code != (BPF_ALU | BPF_ADD)) ||
		    reg >= BPF_FRAME || courses[reg].op != BPF_JA ||
		    (i > check->start && bpf_dst(&insn[i - 1]) == reg))
			continue;
		courses[reg].step = insn[i].imm;
		for (uint32_t j = i + 1; j < check->end && j < i + 4; j++)
			if (compared(check, state, j, reg, head, &courses[reg]))
				break;
	}
}

/* The weakest guess; an address in the context is of use at a known offset only. */
static void any_offset(struct bpf_value *v)
{
	uint8_t kind = v->kind, window = v->window;

	if (bpf_is_address(v) && window == EXO_WINDOW_CONTEXT)
		return;
	*v = bpf_any;
	v->kind = kind;
	v->window = window;
}

/* A guess for a register that a loop writes: between where it begins and where the loop ends. */
static void guess(struct bpf_value *v, const struct course *course)
{
	struct bpf_value entry = *v;
	int64_t min = INT64_MIN, max = INT64_MAX, step = course->step, with = course->with;
	uint8_t op = course->op;
	uint64_t low = step ? (1ull << __builtin_ctzll((uint64_t)step)) - 1 : 0;	/* bits that stay */
	int64_t last = op == BPF_JNE ? (int64_t)low + 1 : op == BPF_JLE || op == BPF_JSLE || op == BPF_JGE ||
	    op == BPF_JSGE ? 0 : 1;

	if (op == BPF_JA && (step || v->kind != EXO_KIND_ADDRESS) && !(step && in_packet(v))) {
		any_offset(v);
		return;
	}
	if (v->kind == EXO_KIND_ADDRESS) {
		min = v->min;
		max = BPF_FAR / 2;
	}
	if (op != BPF_JA && with > -BPF_FAR && with < BPF_FAR && bpf_is_near(v) &&
	    !(op == BPF_JNE && low & (entry.unknown | (entry.value ^ (uint64_t)with)))) {
		if (step > 0 && v->max <= with - last) {
			min = v->min;
			max = with - last;
		} else if (step < 0 && v->min >= with + last) {
			min = with + last;
			max = v->max;
		}
	}
	bpf_bounded(v, min, max);
	v->kind = entry.kind;
	v->window = entry.window;
	low &= ~entry.unknown;
	v->value = (v->value & ~low) | (entry.value & low);
	v->unknown &= ~low;
	if (low)
		bpf_sync(v);
	hull(v, &entry);
}

void bpf_loop_guess(struct bpf_check *check, struct bpf_state *state, uint32_t head)
{
	const struct bpf_place *place = &check->place[head];
	struct course courses[BPF_FRAME];
	uint32_t loose = place->loose | (check->loose ? place->regs : 0);
	uint64_t slots = place->slots | check->loose_slots;

	check->spent += COST_COPY;
	uint32_t last = check->place[place->until - 1].turn;

	for (unsigned reg = 0; reg < BPF_FRAME; reg++)
		courses[reg] = (struct course){ 0, 0, BPF_JA };
	find_courses(check, state, head, head, courses);
	find_courses(check, state, last > check->start + 5 ? last - 5 : check->start, head, courses);

	for (unsigned reg = 0; reg < BPF_FRAME; reg++) {
		struct bpf_value *v = &state->reg[reg];

		if (!readable(v) || !((place->regs | loose | place->mixed) >> reg & 1))
			continue;
		check->spent += 2 * COST_VALUE;
		if (place->mixed >> reg & 1 ||
		    (!check->loose && (v->kind == BPF_KIND_RESULT || !(place->live >> reg & 1)))) {
			v->kind = EXO_KIND_MIXED;
			continue;
		}
		bpf_result(check, v);
		if (v->foreign || (bpf_is_address(v) && v->window == EXO_WINDOW_CONTEXT))
			continue;
		else if (loose >> reg & 1)
			any_offset(v);
		else
			guess(v, &courses[reg]);
		v->id = in_packet(v) ? BPF_FRESH(head, reg) : 0;
	}
	for (slots = (slots & state->spilled) | check->mixed_slots; slots; slots &= slots - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(slots);
		struct bpf_value *v = bpf_spill_find(state, slot);

		check->spent += COST_VALUE;
		if (check->mixed_slots >> slot & 1) {
			slot_lost(state, slot);
		} else if (v->kind == EXO_KIND_NUMBER) {
			bpf_spill_forget(state, slot);
		} else if (v) {
			any_offset(v);
			v->id = in_packet(v) ? BPF_FRESH(head, BPF_FRESH_SLOT + slot) : 0;
		}
	}
}

/* Is all that `now` may be, in the state `back`, also what `then` may be? */
static bool covers(struct bpf_check *check, const struct bpf_value *then, struct bpf_value *now,
    const struct bpf_state *back, uint32_t head)
{
	if (!readable(then) || same(then, now))
		return true;
	check->spent += COST_VALUE / 2;
	bpf_result(check, now);
	if (then->kind == BPF_KIND_RESULT)
		return now->kind == EXO_KIND_NUMBER;
	if (now->kind != then->kind)
		return false;
	if (bpf_is_address(then) && (now->window != then->window || now->foreign != then->foreign))
		return false;
	if (then->left && !now->left)
		return false;
	if ((then->left || then->id) && then->id / 128 != head + 1 &&
	    (now->id != then->id || now->delta != then->delta))
		return false;
	return now->min >= then->min && now->max <= then->max &&
	    now->umin >= then->umin && now->umax <= then->umax &&
	    !(now->unknown & ~then->unknown) && !((now->value ^ then->value) & ~then->unknown) &&
	    (!in_packet(then) || bpf_room(back, now) >= then->room);
}

static bool slots_cover(struct bpf_check *check, uint32_t head, struct bpf_state *then, struct bpf_state *back)
{
	bool all = true;

	for (unsigned slot = 0; slot < BPF_SLOTS; slot++) {
		struct bpf_value *was, *is;

		if (!then->written[slot])
			continue;
		was = bpf_spill_find(then, slot);
		is = bpf_spill_find(back, slot);
		if (!(then->written[slot] & ~back->written[slot]) &&
		    (was ? is && covers(check, was, is, back, head) : !is || is->kind == EXO_KIND_NUMBER))
			continue;
		if (was && (is ? is->kind == was->kind : was->kind == EXO_KIND_NUMBER) &&
		    !(check->loose_slots >> slot & 1))
			check->loose_slots |= 1ull << slot;
		else
			check->mixed_slots |= 1ull << slot;
		all = false;
	}
	return all;
}

bool bpf_loop_covers(struct bpf_check *check, uint32_t head, struct bpf_state *back)
{
	struct bpf_place *place = &check->place[head];
	struct bpf_state *then = &check->pool[place->slot - 1];
	bool all = slots_cover(check, head, then, back) && then->packet <= back->packet;

	check->spent += COST_COPY;
	for (unsigned reg = 0; reg < BPF_FRAME; reg++) {
		const struct bpf_value *was = &then->reg[reg];
		struct bpf_value *is = &back->reg[reg];

		if (covers(check, was, is, back, head))
			continue;
		all = false;
		if (is->kind == was->kind && is->window == was->window && !(place->loose >> reg & 1))
			place->loose |= (uint16_t)(1u << reg);
		else
			place->mixed |= (uint16_t)(1u << reg);
	}
	return all;
}
