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
 * Where ways meet, two variables stay in one cell if they were in one cell on both.
 *
 * Names (V2) survive a loop's head only if they arose before it: those that arise inside mean something else
 * each time.
 */
#include "exo/bpf_check.h"

typedef uint64_t __attribute__((may_alias)) word;

/* --- cells -------------------------------------------------------------------------------------------- */

static uint32_t cell_new(struct bpf_check *check, const struct bpf_value *value)
{
	uint32_t number = check->cells_free;

	if (number)
		check->cells_free = check->cell[number].next;
	else if (check->cells_used < check->cells)
		number = check->cells_used++;
	else
		check->exhausted = true;
	if (!number)
		return BPF_MIXED;
	check->cell[number].value = *value;
	check->cell[number].uses = check->cell[number].join = check->cell[number].next = 0;
	check->cell[number].twins = false;
	return number;
}

static void release(struct bpf_check *check, uint32_t number)
{
	struct bpf_cell *cell = &check->cell[number];

	if (--cell->uses)
		return;
	cell->next = (uint16_t)check->cells_free;
	check->cells_free = number;
}

/* The variable is in that cell, alone if it is a new one. */
static void set_cell(struct bpf_check *check, struct bpf_state *state, unsigned var, uint32_t cell)
{
	check->cell[cell].uses++;
	release(check, state->cell[var]);
	state->cell[var] = (uint16_t)cell;
}

void bpf_share(struct bpf_check *check, struct bpf_state *state, unsigned var, uint32_t cell)
{
	check->cell[cell].twins = true;
	set_cell(check, state, var, cell);
}

void bpf_put(struct bpf_check *check, struct bpf_state *state, unsigned var, const struct bpf_value *value)
{
	struct bpf_cell *cell = &check->cell[state->cell[var]];

	if (cell->uses == 1)
		cell->value = *value;
	else
		set_cell(check, state, var, cell_new(check, value));
}

/* All variables of the state in one cell with `var` have this value. */
static void narrow(struct bpf_check *check, struct bpf_state *state, unsigned var, const struct bpf_value *value)
{
	uint32_t old = state->cell[var];
	unsigned vars = state->spilled ? BPF_VARS : BPF_REGS;
	bool twins = check->cell[old].twins && check->cell[old].uses > 1;

	bpf_put(check, state, var, value);
	if (!twins)
		return;
	check->spent += COST_NARROW * vars;
	for (unsigned i = 0; i < vars; i++)
		if (state->cell[i] == old)
			bpf_share(check, state, i, state->cell[var]);
}

void bpf_narrow(struct bpf_check *check, unsigned var, const struct bpf_value *value)
{
	struct bpf_cell *cell = &check->cell[check->now.cell[var]];

	check->spent += COST_SETTLED;
	if (!cell->next) {
		check->over_var[check->overs] = (uint8_t)var;
		check->over_cell[check->overs++] = check->now.cell[var];
		cell->next = (uint16_t)check->overs;
	}
	check->over[cell->next - 1] = *value;
}

void bpf_narrowed(struct bpf_check *check, struct bpf_state *state)
{
	while (check->overs) {
		uint32_t over = --check->overs;

		check->cell[check->over_cell[over]].next = 0;
		if (state)
			narrow(check, state, check->over_var[over], &check->over[over]);
	}
}

void bpf_state_hold(struct bpf_check *check, const struct bpf_state *state)
{
	unsigned vars = state->spilled ? BPF_VARS : BPF_REGS;

	check->spent += COST_HOLD * vars;
	for (unsigned var = 0; var < vars; var++)
		check->cell[state->cell[var]].uses++;
}

void bpf_state_drop(struct bpf_check *check, const struct bpf_state *state)
{
	unsigned vars = state->spilled ? BPF_VARS : BPF_REGS;

	check->spent += COST_DROP * vars;
	for (unsigned var = 0; var < vars; var++)
		release(check, state->cell[var]);
}

/* --- values ------------------------------------------------------------------------------------------- */

static bool in_packet(const struct bpf_value *v)
{
	return v->kind == EXO_KIND_ADDRESS && v->window == EXO_WINDOW_PACKET;
}

/* Bytes of the packet that are known to follow an address there. */
int64_t bpf_room(const struct bpf_state *state, const struct bpf_value *v)
{
	int64_t room = BPF_ROOM_NONE;

	if (v->kind == EXO_KIND_END)
		return bpf_is_near(v) ? -bpf_max(v) : BPF_ROOM_NONE;
	if (bpf_is_near(v))
		room = (int64_t)state->packet - bpf_max(v);
	return room > v->room ? room : v->room;
}

const struct bpf_value *bpf_result(struct bpf_check *check, const struct bpf_value *v)
{
	if (v->kind != BPF_KIND_RESULT)
		return v;
	check->place[v->id].needed = true;
	return &bpf_any;
}

/* --- stack -------------------------------------------------------------------------------------------- */

void bpf_state_clear(struct bpf_state *state)
{
	*state = (struct bpf_state){ 0 };
	for (unsigned i = 0; i < BPF_SPILLS; i++)
		state->slot[i] = BPF_SPILL_NONE;
}

unsigned bpf_spill_find(const struct bpf_state *state, unsigned slot)
{
	if (slot < BPF_SLOTS && !(state->spilled >> slot & 1))
		return 0;
	for (unsigned i = 0; i < BPF_SPILLS; i++)
		if (state->slot[i] == slot)
			return BPF_REGS + i;
	return 0;
}

void bpf_spill_forget(struct bpf_check *check, struct bpf_state *state, unsigned slot)
{
	unsigned var = bpf_spill_find(state, slot);

	if (!var)
		return;
	state->spilled &= ~(1ull << slot);
	state->slot[var - BPF_REGS] = BPF_SPILL_NONE;
	bpf_share(check, state, var, BPF_UNSET);
}

/* Nothing in the slot may be read any more. */
static void slot_lost(struct bpf_check *check, struct bpf_state *state, unsigned slot)
{
	bpf_spill_forget(check, state, slot);
	state->written[slot] = 0;
}

/* --- joins -------------------------------------------------------------------------------------------- */

static bool readable(const struct bpf_value *v)
{
	return v->kind != EXO_KIND_UNSET && v->kind != EXO_KIND_MIXED;
}

/* `a` becomes what it has in common with b, or its kind UNSET or MIXED; they come from states x and y. */
static void join(struct bpf_check *check, struct bpf_value *a, const struct bpf_value *b, const struct bpf_state *x,
    const struct bpf_state *y, uint32_t name)
{
	int64_t room_a, room_b;

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
	if (a->kind == BPF_KIND_RESULT)
		*a = *bpf_result(check, a);
	b = bpf_result(check, b);
	if (a->kind != b->kind || (bpf_is_address(a) && (a->window != b->window || a->foreign != b->foreign))) {
		a->kind = EXO_KIND_MIXED;
		return;
	}
	room_a = in_packet(a) ? bpf_room(x, a) : BPF_ROOM_NONE;
	room_b = in_packet(b) ? bpf_room(y, b) : BPF_ROOM_NONE;
	a->room = (int32_t)(room_a < room_b ? room_a : room_b);
	bpf_hull(a, b);
	if (a->left != b->left || a->id != b->id || a->delta != b->delta)
		bpf_rename(a, in_packet(a) ? name : 0);
}

/* A variable of `into` comes together with cell `with` of `from`: like another that has met the same. */
static void join_cells(struct bpf_check *check, struct bpf_state *into, unsigned var, const struct bpf_state *from,
    uint32_t with, uint32_t at)
{
	struct bpf_cell *cell = &check->cell[into->cell[var]];
	struct bpf_value copy, *v = &cell->value;
	bool shared = cell->uses > 1;

	if (into->cell[var] == with)
		return;
	check->spent += COST_AGAIN;
	if (cell->join == check->joins && cell->with == with) {
		bpf_share(check, into, var, cell->became);
		return;
	}
	check->spent += COST_CELL;
	if (shared) {
		copy = cell->value;
		v = &copy;
	}
	join(check, v, bpf_seen(check, with), into, from, BPF_FRESH(at, var));
	if (!readable(v)) {
		bpf_share(check, into, var, v->kind == EXO_KIND_UNSET ? BPF_UNSET : BPF_MIXED);
		if (var >= BPF_REGS)
			slot_lost(check, into, into->slot[var - BPF_REGS]);
		return;
	}
	if (!shared)
		return;
	bpf_put(check, into, var, v);
	cell->join = check->joins;
	cell->with = (uint16_t)with;
	cell->became = into->cell[var];
}

static void join_slots(struct bpf_check *check, struct bpf_state *into, const struct bpf_state *from, uint32_t at)
{
	for (uint64_t either = into->spilled | from->spilled; either; either &= either - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(either);
		unsigned a = bpf_spill_find(into, slot), b = bpf_spill_find(from, slot);

		check->spent += COST_SLOT;
		if (a && b)
			join_cells(check, into, a, from, from->cell[b], at);
		else if ((a ? bpf_get(check, into, a) : bpf_get(check, from, b))->kind == EXO_KIND_NUMBER)
			bpf_spill_forget(check, into, slot);
		else
			slot_lost(check, into, slot);
	}
}

void bpf_state_join(struct bpf_check *check, struct bpf_state *into, const struct bpf_state *from, uint32_t at)
{
	bool alike = *(const word *)into->slot == *(const word *)from->slot;

	check->spent += COST_JOIN;
	check->joins++;
	for (unsigned four = 0; four <= BPF_VARS / 4; four++)
		for (uint64_t differ = ((word *)into->cell)[four] ^ ((const word *)from->cell)[four]; differ; ) {
			unsigned shift = (unsigned)__builtin_ctzll(differ) & ~15u, var = four * 4 + shift / 16;

			differ &= ~(0xffffull << shift);
			if (into->cell[var] >= BPF_CELLS_FIXED && (alike || var < BPF_REGS))
				join_cells(check, into, var, from, from->cell[var], at);
		}
	if (!alike)
		join_slots(check, into, from, at);
	for (unsigned i = 0; i < BPF_SLOTS / 8; i++)
		((word *)into->written)[i] &= ((const word *)from->written)[i];
	into->packet = into->packet < from->packet ? into->packet : from->packet;
}

/* --- the packet's length ------------------------------------------------------------------------------ */

bool bpf_learn(struct bpf_check *check, uint32_t id, int64_t bytes)
{
	unsigned vars = check->now.spilled ? BPF_VARS : BPF_REGS;

	check->spent += COST_LEARN * vars;
	for (unsigned var = 0; var < vars; var++) {
		const struct bpf_value *seen = bpf_seen(check, check->now.cell[var]);
		int64_t room = bytes - seen->delta;		/* the offset is the point's, and delta */
		int64_t most = BPF_PACKET_MAX - room;
		struct bpf_value v;

		if (seen->id != id || !in_packet(seen) || (room <= seen->room && bpf_max(seen) <= most))
			continue;
		check->spent += COST_CELL + COST_AGAIN;
		v = *seen;
		v.room = room > v.room ? (int32_t)room : v.room;
		if (!bpf_clip(&v, (uint64_t)INT64_MIN, (uint64_t)most - (uint64_t)INT64_MIN))
			return false;
		bpf_narrow(check, var, &v);
	}
	return true;
}

/* --- loops -------------------------------------------------------------------------------------------- */

/* How a register goes through a loop, as far as the few instructions before it goes back tell: it is stepped by a constant,
 * and goes on while it is `op with`; BPF_JA: no telling. */
struct course {
	int64_t step, with;
	uint8_t op;
};

/* Does the instruction at `i` say when the loop goes on? */
static void compared(struct bpf_check *check, const struct bpf_state *state, uint32_t i, unsigned reg,
    const struct bpf_place *head, struct course *course)
{
	const struct exo_insn *insn = &check->program->insn[i];
	const struct bpf_place *target = &check->place[check->place[i].to[0] - 1];
	bool by_reg = insn->code & BPF_SRC_REG, turned = by_reg && bpf_src(insn) == reg;
	unsigned other = turned ? bpf_dst(insn) : bpf_src(insn);
	struct bpf_value with;

	if (!check->place[i].to[0] || !check->place[i].to[1] || (!turned && bpf_dst(insn) != reg) ||
	    (by_reg && (other == reg || head->regs >> other & 1)))
		return;
	bpf_number(&with, (uint64_t)(int64_t)insn->imm);
	if (by_reg)
		with = *bpf_get(check, state, other);
	if (with.kind != bpf_get(check, state, reg)->kind || with.window != bpf_get(check, state, reg)->window)
		return;
	course->op = BPF_OP(insn->code);
	if (turned && course->op != BPF_JEQ && course->op != BPF_JNE && course->op != BPF_JSET)
		course->op = bpf_mirrored(course->op);
	if (target->order < head->order || target->order > head->until)
		course->op = bpf_negated[course->op >> 4];
	course->with = course->op & BPF_JGT && course->op < BPF_CALL ? bpf_min(&with) : bpf_max(&with);
}

static struct course find_course(struct bpf_check *check, const struct bpf_state *state, unsigned reg,
    const struct bpf_place *head)
{
	struct course course = { 0, 0, BPF_JA };
	uint32_t last = check->place[head->until - 1].turn, first = last > check->start + 5 ? last - 5 : check->start;

	for (uint32_t i = last; i > first && course.op == BPF_JA && !course.step; i--) {
		const struct exo_insn *insn = &check->program->insn[i - 1];

		if ((insn->code & ~(BPF_ALU ^ BPF_ALU64)) != (BPF_ALU | BPF_ADD) || bpf_dst(insn) != reg)
			continue;
		course.step = insn->imm;
		for (uint32_t j = i; j <= last && course.op == BPF_JA; j++)
			compared(check, state, j, reg, head, &course);
	}
	return course;
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
static void guess(struct bpf_check *check, const struct bpf_state *state, unsigned reg, uint32_t head,
    struct bpf_value *v)
{
	struct course course = find_course(check, state, reg, &check->place[head]);
	struct bpf_value entry = *v;
	int64_t min = INT64_MIN, max = INT64_MAX, step = course.step, with = course.with;
	uint8_t op = course.op;
	uint64_t low = step ? (1ull << __builtin_ctzll((uint64_t)step)) - 1 : 0;	/* bits that stay */
	int64_t last = op == BPF_JNE ? (int64_t)low + 1 : op == BPF_JLE || op == BPF_JSLE || op == BPF_JGE ||
	    op == BPF_JSGE ? 0 : 1;

	if (op == BPF_JA && (step || v->kind != EXO_KIND_ADDRESS) && !(step && in_packet(v))) {
		any_offset(v);
		return;
	}
	if (v->kind == EXO_KIND_ADDRESS) {
		min = bpf_min(v);
		max = BPF_FAR / 2;
	}
	if (op != BPF_JA && with > -BPF_FAR && with < BPF_FAR && bpf_is_near(v) &&
	    !(op == BPF_JNE && low & (entry.unknown | (entry.value ^ (uint64_t)with)))) {
		if (step > 0 && (bpf_max(v) <= with - last || (op >= BPF_JLT && op != BPF_JNSET))) {
			min = bpf_min(v);
			max = with - last > min ? with - last : min;
		} else if (step < 0 && (bpf_min(v) >= with + last || (op < BPF_CALL && op & BPF_JGT))) {
			max = bpf_max(v);
			min = with + last < max ? with + last : max;
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
	bpf_hull(v, &entry);
}

void bpf_loop_guess(struct bpf_check *check, struct bpf_state *state, uint32_t head)
{
	const struct bpf_place *place = &check->place[head];
	uint64_t slots = place->slots | check->loose_slots;

	check->spent += COST_GUESS;
	for (unsigned var = 0; var < BPF_VARS; var++) {
		struct bpf_value v = *bpf_get(check, state, var);
		unsigned bit = var < BPF_REGS ? var : state->slot[var - BPF_REGS];
		uint64_t written = var < BPF_REGS ? place->regs | place->loose | place->mixed : slots;

		if (!readable(&v) || !(written >> bit & 1))
			continue;
		check->spent += COST_GUESSED;
		if (var < BPF_REGS && (place->mixed >> bit & 1 ||
		    (!check->loose && (v.kind == BPF_KIND_RESULT || !(place->live >> bit & 1))))) {
			bpf_share(check, state, var, BPF_MIXED);
			continue;
		}
		v = *bpf_result(check, &v);
		if (!v.foreign && !(bpf_is_address(&v) && v.window == EXO_WINDOW_CONTEXT)) {
			if (var >= BPF_REGS || check->loose || place->loose >> bit & 1)
				any_offset(&v);
			else
				guess(check, state, var, head, &v);
			v.id = in_packet(&v) ? BPF_FRESH(head, BPF_FRESH_GUESS + var) : 0;
		}
		bpf_put(check, state, var, &v);
	}
	for (slots = check->mixed_slots; slots; slots &= slots - 1)
		slot_lost(check, state, (unsigned)__builtin_ctzll(slots));
}

/* Is all that a variable may be in the state `back` also what it may be in `then`'s cell at the head, so that the one adds
 * nothing to the other? Those that shared a cell then have to do so. */
static bool covers(struct bpf_check *check, const struct bpf_state *then, uint32_t then_cell, const struct bpf_state *back,
    uint32_t now_cell, uint32_t head)
{
	struct bpf_cell *cell = &check->cell[then_cell];
	struct bpf_value both = cell->value, now;

	if (!readable(&both))
		return true;
	if (cell->join == check->joins && cell->with != now_cell)
		return false;
	cell->join = check->joins;
	cell->with = (uint16_t)now_cell;
	if (then_cell == now_cell)
		return true;
	check->spent += COST_COVERED;
	now = *bpf_seen(check, now_cell);
	if (both.kind != BPF_KIND_RESULT)
		now = *bpf_result(check, &now);
	if (in_packet(&both) && both.id / 128 == head + 1) {	/* a name that is given each time round */
		now.id = both.id;
		now.delta = both.delta;
	}
	join(check, &both, &now, then, back, 0);
	if (both.room >= cell->value.room)
		both.room = cell->value.room;
	return !__builtin_memcmp(&both, &cell->value, sizeof(both));
}

static bool slots_cover(struct bpf_check *check, uint32_t head, const struct bpf_state *then,
    const struct bpf_state *back)
{
	bool all = true;

	for (unsigned slot = 0; slot < BPF_SLOTS; slot++) {
		unsigned a = bpf_spill_find(then, slot), b = bpf_spill_find(back, slot);
		uint8_t was = bpf_get(check, then, a)->kind, is = bpf_get(check, back, b)->kind;

		if (!then->written[slot] || (!(then->written[slot] & ~back->written[slot]) &&
		    (a ? b && covers(check, then, then->cell[a], back, back->cell[b], head) : !b || is == EXO_KIND_NUMBER)))
			continue;
		a = a && (b ? is == was : was == EXO_KIND_NUMBER) && !(check->loose_slots >> slot & 1);
		*(a ? &check->loose_slots : &check->mixed_slots) |= 1ull << slot;
		all = false;
	}
	return all;
}

bool bpf_loop_covers(struct bpf_check *check, uint32_t head, const struct bpf_state *back)
{
	struct bpf_place *place = &check->place[head];
	const struct bpf_state *then = &check->pool[place->slot - 1];
	bool all;

	check->spent += COST_GUESS;
	check->joins++;
	all = slots_cover(check, head, then, back) && then->packet <= back->packet;
	for (unsigned reg = 0; reg < BPF_FRAME; reg++) {
		const struct bpf_value *was = bpf_get(check, then, reg), *is = bpf_get(check, back, reg);

		if (covers(check, then, then->cell[reg], back, back->cell[reg], head))
			continue;
		all = false;
		*(is->kind == was->kind && is->window == was->window && !(place->loose >> reg & 1) ? &place->loose :
		    &place->mixed) |= (uint16_t)(1u << reg);
	}
	return all;
}
