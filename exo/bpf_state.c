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
 * Names (V3) survive a loop's head only if they arose before it: those that arise inside mean something else
 * each time.
 */
#include "exo/bpf_check.h"

typedef uint64_t __attribute__((may_alias)) word;

/* --- variables ---------------------------------------------------------------------------------------- */

void bpf_put(struct bpf_check *check, struct bpf_state *state, unsigned var, const struct bpf_value *value)
{
	state->var[var] = *value;
	state->same[var] = ++check->names;
}

void bpf_copy(struct bpf_state *to, unsigned var, const struct bpf_state *from, unsigned other)
{
	to->var[var] = from->var[other];
	to->same[var] = from->same[other];
}

void bpf_unset(struct bpf_state *state, unsigned var, uint8_t kind)
{
	state->var[var] = (struct bpf_value){ .kind = kind };
	state->same[var] = kind == EXO_KIND_MIXED ? BPF_SAME_MIXED : 0;
}

void bpf_narrow(struct bpf_check *check, unsigned var, const struct bpf_value *value)
{
	if (!(check->narrowed >> var & 1))
		bpf_copy(&check->before, var, &check->now, var);
	check->spent += COST_NARROW;
	check->narrowed |= 1u << var;
	bpf_put(check, &check->now, var, value);
}

void bpf_widen(struct bpf_check *check)
{
	for (; check->narrowed; check->narrowed &= check->narrowed - 1) {
		unsigned i = (unsigned)__builtin_ctz(check->narrowed);

		bpf_copy(&check->now, i, &check->before, i);
	}
	check->now.packet = check->before.packet;
}

unsigned bpf_saved(const struct bpf_state *state, unsigned slot)
{
	unsigned i = slot % BPF_SAVED;

	return state->slot[i] == slot && state->var[BPF_REGS + i].kind != EXO_KIND_UNSET ? BPF_REGS + i : 0;
}

/* --- the packet's length ------------------------------------------------------------------------------ */

int64_t bpf_room(const struct bpf_state *state, const struct bpf_value *v)
{
	int64_t room = bpf_is_near(v) ? (v->kind == EXO_KIND_END ? 0 : (int64_t)state->packet) - bpf_max(v) : BPF_ROOM_NONE;

	return v->kind == EXO_KIND_END || room > v->room ? room : v->room;
}

bool bpf_learn(struct bpf_check *check, uint32_t id, int64_t bytes, int64_t least)
{
	if (least + bytes > BPF_PACKET_MAX)
		return false;
	if (least + bytes > (int64_t)check->now.packet)
		check->now.packet = (uint32_t)(least + bytes);
	if (!id || bytes < -BPF_FAR || bytes > BPF_FAR)
		return true;
	check->spent += COST_LEARN;
	for (unsigned var = 0; var < BPF_VARS; var++) {
		struct bpf_value v = check->now.var[var];
		int64_t room = bytes - v.delta;		/* the offset is the point's, and delta */
		int64_t most = BPF_PACKET_MAX - room;

		if (v.id != id || !bpf_in_packet(&v) || (room <= v.room && bpf_max(&v) <= most))
			continue;
		v.room = room > v.room ? (int32_t)room : v.room;
		if (!bpf_clip(&v, (uint64_t)INT64_MIN, (uint64_t)most - (uint64_t)INT64_MIN))
			return false;
		bpf_narrow(check, var, &v);
	}
	return true;
}

/* --- joins -------------------------------------------------------------------------------------------- */

void bpf_join_values(const struct bpf_state *x, struct bpf_value *a, const struct bpf_state *y, const struct bpf_value *b,
    uint32_t name)
{
	int64_t room_a = bpf_in_packet(a) ? bpf_room(x, a) : BPF_ROOM_NONE;
	int64_t room_b = bpf_in_packet(b) ? bpf_room(y, b) : BPF_ROOM_NONE;

	if (a->kind != b->kind || a->window != b->window) {
		a->kind = a->kind && b->kind ? EXO_KIND_MIXED : EXO_KIND_UNSET;
		return;
	}
	a->room = (int32_t)(room_a < room_b ? room_a : room_b);
	bpf_hull(a, b);
	if (a->id != b->id || a->delta != b->delta)
		bpf_rename(a, bpf_in_packet(a) ? name : 0);
}

/* A variable comes together with another state's. */
static void join(struct bpf_check *check, struct bpf_state *into, unsigned var, const struct bpf_state *from, uint32_t at)
{
	struct bpf_value v = into->var[var];

	check->spent += COST_VALUE;
	bpf_join_values(into, &v, from, &from->var[var], BPF_FRESH(at, var));
	if (bpf_is_readable(&v))
		bpf_put(check, into, var, &v);
	else
		bpf_unset(into, var, v.kind);
}

/* Variables that may differ, two at a time. */
static uint32_t differ(const struct bpf_state *x, const struct bpf_state *y)
{
	uint32_t vars = *(const word *)x->slot == *(const word *)y->slot ? 0 : ~0u << BPF_REGS;

	for (unsigned two = 0; two < (BPF_VARS + 1) / 2; two++)
		if (((const word *)x->same)[two] != ((const word *)y->same)[two])
			vars |= 3u << 2 * two;
	return vars & ~(~0u << BPF_VARS);
}

void bpf_join(struct bpf_check *check, struct bpf_state *into, const struct bpf_state *from, uint32_t at)
{
	check->spent += COST_JOIN;
	for (uint32_t vars = differ(into, from); vars; vars &= vars - 1) {
		unsigned var = (unsigned)__builtin_ctz(vars), i = var - BPF_REGS;
		bool one = var < BPF_REGS || (into->slot[i] == from->slot[i] && into->same[var] && from->same[var]);

		if (one && into->same[var] == from->same[var])
			continue;
		if (one)
			join(check, into, var, from, at);
		if (var >= BPF_REGS && !(one && bpf_is_readable(&into->var[var])))
			bpf_unset(into, var, EXO_KIND_UNSET);
	}
	for (unsigned i = 0; i < BPF_SLOTS / 8; i++)
		((word *)into->written)[i] &= ((const word *)from->written)[i];
	into->packet = into->packet < from->packet ? into->packet : from->packet;
}

/* --- loops: guesses ----------------------------------------------------------------------------------- */

/* How a register goes through a loop, as far as the few instructions before it goes back tell: it is stepped by a constant
 * (0: no telling), then compared with what the loop does not change, and is what `on` says if the loop goes on. */
static int64_t course(struct bpf_check *check, const struct bpf_state *state, unsigned reg, const struct bpf_place *head,
    struct bpf_value *on)
{
	uint32_t last = check->place[head->until - 1].turn, i = last > check->start + 5 ? last - 5 : check->start;
	int64_t step = 0;

	for (; i <= last; i++) {
		const struct exo_insn *insn = &check->program->insn[i];
		const struct bpf_place *place = &check->place[i], *target = &check->place[place->to[0] - 1];
		unsigned other = insn->code & BPF_SRC_REG ? bpf_src(insn) : reg;
		struct bpf_value with = state->var[other];
		uint8_t op = BPF_OP(insn->code);

		if (other == reg)
			bpf_number(&with, (uint64_t)(int64_t)insn->imm);
		if (bpf_dst(insn) != reg || (other != reg && (head->writes >> other & 1 || with.window != state->var[reg].window)))
			continue;
		if ((insn->code & ~(BPF_ALU ^ BPF_ALU64)) == (BPF_ALU | BPF_ADD))
			step = insn->imm;
		else if (step && place->to[0] && place->to[1])
			bpf_assume(target->order < head->order || target->order > head->until ? bpf_negated(op) : op, true, on,
			    &with);
	}
	return step;
}

/* A guess for what a loop writes: any number, any offset; an address in the context is of use at a known one only. A register
 * that has a course: between where it begins and where the loop ends. An address goes up. */
static void guess(struct bpf_check *check, const struct bpf_state *state, unsigned var, uint32_t head, bool any,
    struct bpf_value *v)
{
	struct bpf_value entry = *v, on = bpf_any;
	bool address = v->kind == EXO_KIND_ADDRESS;
	int64_t step = any ? 0 : course(check, state, var, &check->place[head], &on);
	bool ends = step && bpf_is_near(&entry) && !bpf_is_exact(&on) && on.span < UINT64_MAX;
	uint64_t gaps = entry.gap | (uint64_t)step;

	if (v->window == EXO_WINDOW_CONTEXT)
		return;
	*v = bpf_any;
	if (ends && step > 0) {
		v->low = entry.low;
		v->span = on.low + on.span - v->low;
	} else if (ends) {
		v->low = on.low + ((entry.low - on.low) & ((gaps & -gaps) - 1));
		v->span = entry.low + entry.span - v->low;
	} else if (!any && address && (!step || bpf_in_packet(&entry))) {
		bpf_bounded(v, bpf_min(&entry), BPF_FAR / 2);
		gaps |= !step;
	}
	if (ends && v->span > INT64_MAX)	/* it is behind the end from the first */
		*v = entry;
	v->kind = entry.kind;
	v->window = entry.window;
	if (v->span < UINT64_MAX) {
		bpf_align(v, gaps);
		bpf_hull(v, &entry);
	}
	bpf_rename(v, bpf_in_packet(v) ? BPF_FRESH(head, BPF_FRESH_GUESS + var) : 0);
}

void bpf_loop_guess(struct bpf_check *check, struct bpf_state *state, uint32_t head)
{
	const struct bpf_place *place = &check->place[head];
	uint32_t dead = check->loose ? 0 : ~(place->live | ~0u << BPF_REGS);

	check->spent += COST_GUESS;
	for (unsigned var = 0; var < BPF_VARS; var++) {
		struct bpf_value v = state->var[var];

		if (!bpf_is_readable(&v) || !((place->writes | place->loose | place->mixed) >> var & 1))
			continue;
		check->spent += COST_VALUE;
		if (!((place->mixed | dead) >> var & 1)) {
			guess(check, state, var, head, var >= BPF_REGS || check->loose || place->loose >> var & 1, &v);
			bpf_put(check, state, var, &v);
		} else {
			bpf_unset(state, var, var < BPF_REGS ? EXO_KIND_MIXED : EXO_KIND_UNSET);
		}
	}
	for (uint64_t lost = check->lost; lost; lost &= lost - 1)
		state->written[__builtin_ctzll(lost)] = 0;
}

/* --- loops: proofs ------------------------------------------------------------------------------------ */

/* Is all that a variable may be in the state `back` also what it may be in `then`, at the head, so that the one adds nothing
 * to the other? */
static bool covers(struct bpf_check *check, const struct bpf_state *then, const struct bpf_state *back, unsigned var,
    uint32_t head)
{
	const struct bpf_value *was = &then->var[var];
	struct bpf_value both = *was, is = back->var[var];

	if (!bpf_is_readable(was))
		return true;
	if (var >= BPF_REGS && then->slot[var - BPF_REGS] != back->slot[var - BPF_REGS])
		return false;
	if (then->same[var] == back->same[var])
		return true;
	check->spent += COST_VALUE;
	if (bpf_in_packet(&both) && both.id / 128 == head + 1) {	/* a name that is given each time round */
		is.id = both.id;
		is.delta = both.delta;
	}
	bpf_join_values(then, &both, back, &is, 0);
	both.room = both.room >= was->room ? was->room : both.room;
	return !__builtin_memcmp(&both, was, sizeof(both));
}

bool bpf_loop_covers(struct bpf_check *check, uint32_t head, const struct bpf_state *back)
{
	struct bpf_place *place = &check->place[head];
	const struct bpf_state *then = &check->pool[place->slot - 1];
	bool all = then->packet <= back->packet;

	check->spent += COST_GUESS;
	for (unsigned slot = 0; slot < BPF_SLOTS; slot++) {
		if (!(then->written[slot] & ~back->written[slot]))
			continue;
		check->lost |= 1ull << slot;
		all = false;
	}
	for (unsigned var = 0; var < BPF_VARS; var++) {
		const struct bpf_value *was = &then->var[var], *is = &back->var[var];

		if (covers(check, then, back, var, head))
			continue;
		all = false;
		*(is->kind == was->kind && is->window == was->window && !(place->loose >> var & 1) ? &place->loose :
		    &place->mixed) |= 1u << var;
	}
	return all;
}
