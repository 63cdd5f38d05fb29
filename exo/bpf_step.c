/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier's table: what each instruction needs, and what it makes of the state.
 *
 * Offsets are numbers modulo 2^64, so arithmetic on addresses is arithmetic on numbers, and a run-time test
 * of `address - base` as an unsigned number is right whatever the offset. Only what depends on the order of
 * addresses (comparisons) asks for offsets that cannot have wrapped.
 *
 * Addresses do not leave: they are kept in registers and in whole, aligned slots of the own stack; nothing is
 * made of them but other addresses, distances within a window, and branches on comparisons within a window.
 */
#include "exo/bpf_check.h"

/* What lies where in the contexts. An access is aligned, so a row of numbers may be several fields. */
static const struct field {
	uint8_t use, offset, bytes, what;
} fields[] = {
#define PACKET_START	1
#define PACKET_END	2
#define PACKET_BYTES	3
#define BLOCK_START	4
#define BLOCK_END	5
#define PLAIN		6
	{ EXO_USE_PACKET, 0, 8, PACKET_START },	/* and BPF_USE_FILTER */
	{ EXO_USE_PACKET, 8, 8, PACKET_END },
	{ EXO_USE_PACKET, 16, 4, PACKET_BYTES },
	{ EXO_USE_PACKET, 20, 12, PLAIN },
	{ EXO_USE_WAKE, 0, 32, PLAIN },
	{ EXO_USE_OWNER, 0, 8, BLOCK_START },
	{ EXO_USE_OWNER, 8, 8, BLOCK_END },
	{ EXO_USE_OWNER, 16, 16, PLAIN },
};
_Static_assert(offsetof(struct exo_packet, bytes) == 16 && offsetof(struct exo_packet, time) == 24, "fields");
_Static_assert(sizeof(struct exo_packet) == 32 && sizeof(struct exo_wake) == 32 && sizeof(struct exo_block) == 32,
    "fields");

static const struct exo_insn *at(const struct bpf_check *check)
{
	return &check->program->insn[check->at];
}

static int needs(struct bpf_check *check, unsigned reason, int reg, unsigned window, uint64_t min, uint64_t max)
{
	check->report.needed_window = window;
	check->report.needed_min = min;
	check->report.needed_max = max;
	return bpf_reject(check, reason, reg);
}

/* The value of a register, to be used; NULL: it cannot be. */
static const struct bpf_value *read(struct bpf_check *check, unsigned reg)
{
	const struct bpf_value *v = bpf_get(check, &check->now, reg);

	if (v->kind == BPF_KIND_RESULT) {
		bpf_put(check, &check->now, reg, bpf_result(check, v));
		v = bpf_get(check, &check->now, reg);
	}
	if (v->kind == EXO_KIND_UNSET)
		bpf_reject(check, EXO_REJECT_UNSET, (int)reg);
	else if (v->kind == EXO_KIND_MIXED)
		bpf_reject(check, EXO_REJECT_MIXED, (int)reg);
	else if (v->foreign)
		bpf_reject(check, EXO_REJECT_WINDOW, (int)reg);
	else
		return v;
	return NULL;
}

static const struct bpf_value *read_number(struct bpf_check *check, unsigned reg, unsigned reason)
{
	const struct bpf_value *v = read(check, reg);

	if (v && v->kind != EXO_KIND_NUMBER) {
		bpf_reject(check, reason, (int)reg);
		return NULL;
	}
	return v;
}

/* The instruction's register becomes this. */
static int set(struct bpf_check *check, const struct bpf_value *value)
{
	bpf_put(check, &check->now, bpf_dst(at(check)), value);
	return 0;
}

/* --- arithmetic --------------------------------------------------------------------------------------- */

static int32_t room_less(int32_t room, int64_t by)
{
	int64_t rest = room - by;

	if (room == BPF_ROOM_NONE || rest < -BPF_FAR)
		return BPF_ROOM_NONE;
	return (int32_t)(rest < BPF_FAR ? rest : BPF_FAR);
}

/* An address and a number. */
static void move_address(struct bpf_check *check, struct bpf_value *v, const struct bpf_value *by)
{
	bool small = bpf_within(by, -BPF_FAR, BPF_FAR);
	int64_t delta = small ? (int64_t)by->low + v->delta : 0;
	int32_t room = (int32_t)bpf_room(&check->now, v);

	bpf_alu(v, BPF_ALU64 | BPF_ADD, 0, 0, by);
	if (v->kind != EXO_KIND_ADDRESS || v->window != EXO_WINDOW_PACKET)
		return;
	v->room = small ? room_less(room, bpf_max(by)) : BPF_ROOM_NONE;
	if (small && bpf_is_exact(by) && delta >= -BPF_FAR && delta <= BPF_FAR)
		v->delta = (int32_t)delta;
	else
		bpf_rename(v, BPF_FRESH(check->at, BPF_FRESH_RESULT));
}

/* The distance between two addresses of a window. */
static void distance(struct bpf_check *check, struct bpf_value *a, const struct bpf_value *b)
{
	struct bpf_value length, from = *a;
	bool near = bpf_is_near(a) && bpf_is_near(b);
	int64_t room = near && a->kind == EXO_KIND_END ? bpf_room(&check->now, b) : BPF_ROOM_NONE;

	bpf_bounded(&length, check->now.packet, BPF_PACKET_MAX);
	bpf_alu(a, BPF_ALU64 | BPF_SUB, 0, 0, b);
	if (from.kind == EXO_KIND_ADDRESS && b->kind == EXO_KIND_END)
		bpf_alu(a, BPF_ALU64 | BPF_SUB, 0, 0, &length);
	else if (from.kind == EXO_KIND_END && b->kind == EXO_KIND_ADDRESS)
		bpf_alu(a, BPF_ALU64 | BPF_ADD, 0, 0, &length);
	a->kind = EXO_KIND_NUMBER;
	a->window = 0;
	a->room = BPF_ROOM_NONE;
	bpf_rename(a, 0);
	if (from.kind != EXO_KIND_END || b->kind != EXO_KIND_ADDRESS || !near || !bpf_is_exact(&from))
		return;
	a->left = true;
	a->id = b->id;
	a->delta = (int32_t)from.low - b->delta;
	if (room > BPF_ROOM_NONE && bpf_min(a) < (room += (int64_t)from.low))
		bpf_clip(a, (uint64_t)room, (uint64_t)INT64_MAX - (uint64_t)room);
}

/* 64-bit ADD and SUB where one operand, or both, is an address. */
static int add_address(struct bpf_check *check, uint8_t op, struct bpf_value *d, const struct bpf_value *s,
    unsigned src)
{
	unsigned dst = bpf_dst(at(check));
	struct bpf_value number = *s;

	if (!bpf_is_address(s)) {
		if (op == BPF_SUB)
			bpf_alu(&number, BPF_ALU64 | BPF_NEG, 0, 0, &number);
		move_address(check, d, &number);
	} else if (op == BPF_ADD && !bpf_is_address(d)) {
		number = *d;
		*d = *s;
		move_address(check, d, &number);
	} else if (op == BPF_SUB && bpf_is_address(d)) {
		if (d->window != s->window)
			return needs(check, EXO_REJECT_WINDOW, (int)src, d->window, 0, 0);
		distance(check, d, s);
	} else {
		return bpf_reject(check, EXO_REJECT_NUMBER, (int)(bpf_is_address(d) && op == BPF_SUB ? dst : src));
	}
	return 0;
}

static int arithmetic(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
	bool by_reg = insn->code & BPF_SRC_REG && BPF_OP(insn->code) != BPF_END;
	unsigned dst = bpf_dst(insn), src = bpf_src(insn);
	uint8_t op = BPF_OP(insn->code);
	struct bpf_value operand, d = bpf_any;
	const struct bpf_value *v;

	check->spent += COST_ALU;
	if (by_reg) {
		if (!(v = read(check, src)))
			return -1;
		operand = *v;
	} else {
		bpf_number(&operand, (uint64_t)(int64_t)insn->imm);
	}
	if (op == BPF_MOV && !insn->offset &&
	    (wide || (operand.kind == EXO_KIND_NUMBER && bpf_umax(&operand) <= UINT32_MAX))) {
		if (!by_reg)
			return set(check, &operand);
		bpf_share(check, &check->now, dst, check->now.cell[src]);
		return 0;
	}
	if (op != BPF_MOV) {
		if (!(v = read(check, dst)))
			return -1;
		d = *v;
	}
	if (wide && (op == BPF_ADD || op == BPF_SUB) && (bpf_is_address(&d) || bpf_is_address(&operand))) {
		if (add_address(check, op, &d, &operand, src) < 0)
			return -1;
		return set(check, &d);
	}
	if (bpf_is_address(&d) || bpf_is_address(&operand))
		return bpf_reject(check, EXO_REJECT_NUMBER, (int)(bpf_is_address(&operand) ? src : dst));

	int64_t delta = d.delta + (op == BPF_ADD ? (int64_t)insn->imm : -(int64_t)insn->imm);
	bool left = d.left && wide && !by_reg && (op == BPF_ADD || op == BPF_SUB) &&
	    delta >= -BPF_FAR && delta <= BPF_FAR && bpf_within(&d, -BPF_FAR, BPF_FAR);

	bpf_alu(&d, insn->code, insn->offset, insn->imm, &operand);
	if (left)
		d.delta = (int32_t)delta;
	else
		bpf_rename(&d, 0);
	return set(check, &d);
}

/* --- memory ------------------------------------------------------------------------------------------- */

struct access {
	unsigned reg, width;
	int32_t offset;
	bool sign;
	int var;			/* the register that is stored, or becomes what is loaded; -1: none */
	const struct bpf_value *stored;	/* NULL: it is a load; of */
	struct bpf_value *value;
};

/* The access lies in the window, may lie there, or never does. */
static int in_window(struct bpf_check *check, const struct bpf_value *v, const struct access *a)
{
	const int64_t limit = 1ll << 60;
	struct bpf_note *note = &check->program->note[check->at];
	int64_t low = bpf_min(v), high = bpf_max(v), width = a->width, least, most;
	bool inside, never;

	low = (low < -limit ? -limit : low > limit ? limit : low) + a->offset;
	high = (high < -limit ? -limit : high > limit ? limit : high) + a->offset;
	switch (v->window) {
	case EXO_WINDOW_PACKET: least = check->now.packet; most = BPF_PACKET_MAX; break;
	case EXO_WINDOW_BLOCK: least = most = BPF_PAGE_BYTES; break;
	case EXO_WINDOW_DATA: least = most = check->program->data_bytes; break;
	default: least = most = check->program->window_bytes[v->window]; break;
	}
	if (v->kind == EXO_KIND_END) {
		inside = low + least >= 0 && high + width <= 0;
		never = high + most < 0 || low + width > 0;
	} else {
		inside = low >= 0 && (high + width <= least ||
		    (v->window == EXO_WINDOW_PACKET && v->room >= a->offset + width));
		never = high < 0 || low + width > most;
	}
	if (never)
		return needs(check, EXO_REJECT_RANGE, (int)a->reg, v->window, 0,
		    most > width ? (uint64_t)(most - width) : 0);
	if (!inside)
		note->flags |= BPF_NOTE_GUARD;
	if (v->window == EXO_WINDOW_BLOCK)
		note->flags |= BPF_NOTE_OBSERVE;
	return 0;
}

static void loaded(struct bpf_value *to, unsigned width, bool sign)
{
	uint64_t half = 1ull << (width * 8 - 1);

	bpf_bounded(to, sign ? (int64_t)-half : 0, (int64_t)((sign ? half : 2 * half) - 1));
}

static int in_context(struct bpf_check *check, const struct bpf_value *v, const struct access *a)
{
	unsigned use = check->program->use == BPF_USE_FILTER ? EXO_USE_PACKET : check->program->use;
	int64_t offset = bpf_is_exact(v) && bpf_is_near(v) ? (int64_t)v->low + a->offset : -1;
	const struct field *f;

	for (f = fields; f < fields + sizeof(fields) / sizeof(fields[0]); f++)
		if (f->use == use && offset >= f->offset && offset + a->width <= f->offset + f->bytes)
			break;
	if (f == fields + sizeof(fields) / sizeof(fields[0]) || offset % a->width)
		return needs(check, EXO_REJECT_RANGE, (int)a->reg, v->window, 0, 32 - a->width);
	loaded(a->value, a->width, a->sign);
	if (f->what == PACKET_BYTES && a->width == 4 && !a->sign) {
		bpf_bounded(a->value, check->now.packet, BPF_PACKET_MAX);
		a->value->left = true;
	}
	if (f->what == PACKET_BYTES || f->what == PLAIN)
		return 0;
	if (a->width != 8)
		return bpf_reject(check, EXO_REJECT_ESCAPE, (int)a->reg);
	bpf_number(a->value, f->what == BLOCK_END ? BPF_PAGE_BYTES : 0);
	a->value->kind = f->what == PACKET_END ? EXO_KIND_END : EXO_KIND_ADDRESS;
	a->value->window = use == EXO_USE_OWNER ? EXO_WINDOW_BLOCK : EXO_WINDOW_PACKET;
	return 0;
}

static int stack_store(struct bpf_check *check, const struct access *a, int first, int last, bool exact)
{
	struct bpf_state *now = &check->now;
	bool whole = exact && a->width == 8 && first % 8 == 0, address = bpf_is_address(a->stored);
	unsigned var;

	if (address && !whole)
		return needs(check, EXO_REJECT_ALIGN, (int)a->reg, EXO_WINDOW_STACK, 8, 8);
	for (int slot = first / 8; slot <= last / 8; slot++) {
		if ((var = bpf_spill_find(now, (unsigned)slot)) && bpf_get(check, now, var)->kind != EXO_KIND_NUMBER)
			now->written[slot] = 0;		/* what is left of an address */
		bpf_spill_forget(check, now, (unsigned)slot);
	}
	for (int byte = first; exact && byte <= last; byte++)
		now->written[byte / 8] |= (uint8_t)(1u << byte % 8);
	if (!whole)
		return 0;
	var = bpf_spill_find(now, BPF_SPILL_NONE);
	for (unsigned i = BPF_REGS; !var && address && i < BPF_VARS; i++)
		if (bpf_get(check, now, i)->kind == EXO_KIND_NUMBER) {
			bpf_spill_forget(check, now, now->slot[i - BPF_REGS]);
			var = i;
		}
	if (!var)
		return address ? bpf_reject(check, EXO_REJECT_STACK, (int)a->reg) : 0;
	check->spent += COST_SAVED;
	if (a->var < 0)
		bpf_put(check, now, var, a->stored);
	else
		bpf_share(check, now, var, now->cell[a->var]);
	now->slot[var - BPF_REGS] = (uint8_t)(first / 8);
	now->spilled |= 1ull << first / 8;
	return 0;
}

/* 1: the register already is what was loaded. */
static int stack_load(struct bpf_check *check, const struct access *a, int first, int last, bool exact)
{
	struct bpf_state *now = &check->now;
	unsigned var = bpf_spill_find(now, (unsigned)first / 8);

	if (var && exact && first % 8 == 0 && a->width == 8) {
		*a->value = *bpf_get(check, now, var);
		if (a->var >= 0)
			bpf_share(check, now, (unsigned)a->var, now->cell[var]);
		return 1;
	}
	for (int byte = first; byte <= last; byte++) {
		if (!(now->written[byte / 8] >> byte % 8 & 1))
			return needs(check, EXO_REJECT_STACK, (int)a->reg, EXO_WINDOW_STACK,
			    (uint64_t)(byte - EXO_CODE_STACK), 0);
		var = bpf_spill_find(now, (unsigned)byte / 8);
		if (var && bpf_get(check, now, var)->kind != EXO_KIND_NUMBER)
			return bpf_reject(check, EXO_REJECT_ESCAPE, (int)a->reg);
	}
	loaded(a->value, a->width, a->sign);
	return 0;
}

static int in_stack(struct bpf_check *check, const struct bpf_value *v, const struct access *a)
{
	bool exact = bpf_is_exact(v), near = bpf_is_near(v);
	int64_t first = near ? (int64_t)v->low + a->offset + EXO_CODE_STACK : -1;
	int64_t last = near ? first + (int64_t)v->span + a->width - 1 : -1;

	if (first < 0 || last >= EXO_CODE_STACK)
		return needs(check, EXO_REJECT_STACK, (int)a->reg, EXO_WINDOW_STACK, (uint64_t)-EXO_CODE_STACK,
		    (uint64_t)-(int64_t)a->width);
	check->spent += COST_BYTE * (uint32_t)(last - first + 1);
	return a->stored ? stack_store(check, a, (int)first, (int)last, exact) :
	    stack_load(check, a, (int)first, (int)last, exact);
}

static int memory(struct bpf_check *check, const struct access *a)
{
	struct bpf_program *program = check->program;
	const struct bpf_value *v = read(check, a->reg);
	struct bpf_value base;
	bool own;

	check->spent += COST_MEMORY;
	if (!v)
		return -1;
	if (!bpf_is_address(v))
		return bpf_reject(check, EXO_REJECT_ADDRESS, (int)a->reg);
	base = *v;
	own = base.window < EXO_WINDOWS_OWN;
	program->note[check->at].window = base.window;
	program->accesses++;
	if (a->stored && base.window != EXO_WINDOW_STACK && !(own && program->window_write >> base.window & 1))
		return bpf_reject(check, EXO_REJECT_WINDOW, (int)a->reg);
	if (base.window == EXO_WINDOW_STACK)
		return in_stack(check, &base, a);
	if (base.window == EXO_WINDOW_CONTEXT)
		return in_context(check, &base, a);
	if (a->stored && a->stored->kind != EXO_KIND_NUMBER)
		return needs(check, EXO_REJECT_ESCAPE, (int)bpf_src(at(check)), EXO_WINDOW_STACK, 0, 0);
	if (in_window(check, &base, a) < 0)
		return -1;
	program->guarded += program->note[check->at].flags & BPF_NOTE_GUARD ? 1 : 0;
	if (!a->stored)
		loaded(a->value, a->width, a->sign);
	return 0;
}

static int load(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);

	struct bpf_value value;
	int result = memory(check, &(struct access){
		.reg = bpf_src(insn), .width = bpf_width(insn->code), .offset = insn->offset,
		.var = (int)bpf_dst(insn), .value = &value, .sign = BPF_MODE(insn->code) == BPF_MEMSX,
	});

	if (!result)
		return set(check, &value);
	return result < 0 ? result : 0;
}

static int store(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	bool by_reg = BPF_CLASS(insn->code) == BPF_STX;
	struct bpf_value imm;
	const struct bpf_value *stored = by_reg ? read(check, bpf_src(insn)) : &imm;

	if (!stored)
		return -1;
	bpf_number(&imm, (uint64_t)(int64_t)insn->imm);
	return memory(check, &(struct access){
		.reg = bpf_dst(insn), .width = bpf_width(insn->code), .offset = insn->offset,
		.var = by_reg ? (int)bpf_src(insn) : -1, .stored = stored,
	});
}

static int atomic(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	unsigned width = bpf_width(insn->code), reg = bpf_dst(insn);
	struct bpf_value offset, old;
	struct access a = { .reg = reg, .width = width, .offset = insn->offset, .var = -1, .value = &old };
	const struct bpf_value *v;

	if (!read_number(check, bpf_src(insn), EXO_REJECT_NUMBER) ||
	    (insn->imm == BPF_CMPXCHG && !read_number(check, 0, EXO_REJECT_NUMBER)) || !(v = read(check, reg)))
		return -1;
	bpf_number(&offset, (uint64_t)(int64_t)insn->offset);
	bpf_alu(&offset, BPF_ALU64 | BPF_ADD, 0, 0, v);
	if (bpf_is_address(v) && (offset.value | offset.unknown) & (width - 1))
		return needs(check, EXO_REJECT_ALIGN, (int)reg, v->window, width, width);
	if (v->kind == EXO_KIND_ADDRESS && v->window == EXO_WINDOW_STACK) {
		if (memory(check, &a) < 0)
			return -1;
		if (old.kind != EXO_KIND_NUMBER)
			return bpf_reject(check, EXO_REJECT_ESCAPE, (int)reg);
		check->program->accesses--;
	}
	a.stored = &bpf_any;
	if (memory(check, &a) < 0)
		return -1;
	if (insn->imm & BPF_FETCH) {
		loaded(&old, width, false);
		bpf_put(check, &check->now, insn->imm == BPF_CMPXCHG ? 0 : bpf_src(insn), &old);
	}
	return 0;
}

static int constant(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	struct bpf_program *program = check->program;
	struct bpf_value d;
	uint32_t window = (uint32_t)insn->imm, offset = (uint32_t)insn[1].imm, bytes;

	if (bpf_src(insn) != BPF_LDDW_WINDOW) {
		bpf_number(&d, (uint64_t)offset << 32 | (uint32_t)insn->imm);
		return set(check, &d);
	}
	bytes = window == EXO_WINDOW_DATA ? program->data_bytes :
	    window < EXO_WINDOWS_OWN && program->use != EXO_USE_OWNER ? program->window_bytes[window] : 0;
	if (!bytes || (program->use == BPF_USE_FILTER && window > 0 && window != EXO_WINDOW_DATA))
		return needs(check, EXO_REJECT_WINDOW, -1, window, 0, 0);
	if (offset > bytes)
		return needs(check, EXO_REJECT_RANGE, -1, window, 0, bytes);
	bpf_number(&d, offset);
	d.kind = EXO_KIND_ADDRESS;
	d.window = (uint8_t)window;
	return set(check, &d);
}

/* --- calls -------------------------------------------------------------------------------------------- */

static void called(struct bpf_check *check, const struct bpf_value *result)
{
	bpf_put(check, &check->now, 0, result);
	for (unsigned reg = 1; reg <= 5; reg++)
		bpf_share(check, &check->now, reg, BPF_UNSET);
}

static int call(struct bpf_check *check)
{
	uint32_t number = (uint32_t)at(check)->imm;
	const struct bpf_call_spec *spec = &bpf_call_spec[number < EXO_CODE_CALL_COUNT ? number : 0];
	char use = " PWO "[check->program->use];

	check->spent += COST_CALL;
	if (use == ' ' || (spec->uses[0] != use && spec->uses[1] != use))
		return bpf_reject(check, EXO_REJECT_CALL, -1);
	for (unsigned i = 0; spec->args[i]; i++) {
		const struct bpf_value *v = read(check, i + 1);
		bool writes = spec->args[i] == 'w', wants = writes || spec->args[i] == 'r';

		if (!v)
			return -1;
		if (wants != bpf_is_address(v))
			return bpf_reject(check, wants ? EXO_REJECT_ADDRESS : EXO_REJECT_NUMBER, (int)i + 1);
		if (wants && (v->window == EXO_WINDOW_STACK || v->window == EXO_WINDOW_CONTEXT ||
		    (writes && (v->window >= EXO_WINDOWS_OWN || !(check->program->window_write >> v->window & 1)))))
			return bpf_reject(check, EXO_REJECT_WINDOW, (int)i + 1);
	}
	called(check, &bpf_any);
	return 0;
}

static int call_local(struct bpf_check *check)
{
	uint32_t function = check->at + 1 + (uint32_t)at(check)->imm;

	check->spent += COST_ENTER;
	if (bpf_enter(check, function) < 0)
		return -1;
	called(check, &(struct bpf_value){ .kind = BPF_KIND_RESULT, .id = function });
	return 0;
}

static int leave(struct bpf_check *check)
{
	if ((!check->start || check->place[check->start].needed) && !read_number(check, 0, EXO_REJECT_ESCAPE))
		return -1;
	bpf_way_lost(check);
	return 0;
}

/* --- jumps -------------------------------------------------------------------------------------------- */

/* What is known of a register on the way that is looked at. */
static const struct bpf_value *seen(const struct bpf_check *check, unsigned reg)
{
	return bpf_seen(check, check->now.cell[reg]);
}

/* The packet has `bytes` bytes from point `id` on, which lies at offset `least` or behind. false: it cannot. */
static bool learn(struct bpf_check *check, uint32_t id, int64_t bytes, int64_t least)
{
	if (least + bytes > BPF_PACKET_MAX)
		return false;
	if (least + bytes > (int64_t)check->now.packet)
		check->now.packet = (uint32_t)(least + bytes);
	return !id || bytes < -BPF_FAR || bytes > BPF_FAR || bpf_learn(check, id, bytes);
}

/* A register, and what is known to equal it, was compared. */
static bool settle(struct bpf_check *check, unsigned reg, const struct bpf_value *v)
{
	const struct bpf_value *old = seen(check, reg);

	if (old->span != v->span || old->low != v->low || old->unknown != v->unknown)
		bpf_narrow(check, reg, v);
	return !v->left || !bpf_within(v, 1 - BPF_FAR, BPF_FAR - 1) ||
	    learn(check, v->id, (int64_t)v->low - v->delta, v->id ? INT32_MIN : 0);
}

/* low <= high, or <: what follows, for addresses of one window. */
static bool ordered(struct bpf_check *check, unsigned low, unsigned high, bool strict)
{
	struct bpf_value a = *seen(check, low), b = *seen(check, high);

	if (a.kind == b.kind)
		return bpf_assume(strict ? BPF_JSLT : BPF_JSLE, true, &a, &b) && settle(check, low, &a) &&
		    settle(check, high, &b);
	if (a.kind == EXO_KIND_END)
		return bpf_room(&check->now, &b) + bpf_min(&a) + strict <= 0;
	return !bpf_is_exact(&b) || learn(check, a.id, a.delta + strict - (int64_t)b.low, bpf_min(&a) - a.delta);
}

/* On this way the jump's `a op b` holds; of 64 bits, or as if. false: there is no such way. */
static bool assume(struct bpf_check *check, uint8_t op, bool wide)
{
	const struct exo_insn *insn = at(check);
	unsigned dst = bpf_dst(insn), src = bpf_src(insn);
	uint64_t number = (uint64_t)(int64_t)insn->imm;
	struct bpf_value a = *seen(check, dst), b;
	bool by_reg = insn->code & BPF_SRC_REG, address = bpf_is_address(&a);

	if (!by_reg && (address || wide))	/* an address with 0 */
		return address || (bpf_assume_number(op, &a, number) && settle(check, dst, &a));
	if (by_reg)
		b = *seen(check, src);
	else
		bpf_number(&b, number);
	if (address != bpf_is_address(&b))
		return true;
	if (address && dst == src)
		return op != BPF_JNE && op != BPF_JLT && op != BPF_JGT;
	if (address && op == BPF_JNE && a.kind == b.kind)
		return bpf_assume(op, true, &a, &b) && settle(check, dst, &a) && settle(check, src, &b);
	if (address)
		return op == BPF_JNE ||
		    ((op == BPF_JLT || op == BPF_JLE || ordered(check, src, dst, op == BPF_JGT)) &&
		    (op == BPF_JGT || op == BPF_JGE || ordered(check, dst, src, op == BPF_JLT)));
	return bpf_assume(op, wide, &a, &b) && settle(check, dst, &a) && (!by_reg || settle(check, src, &b));
}

/* May these be compared? */
static int comparable(struct bpf_check *check, uint8_t op, int dst, const struct bpf_value *d, int src,
    const struct bpf_value *s)
{
	if (!bpf_is_address(d) && !bpf_is_address(s))
		return 0;
	if (BPF_CLASS(at(check)->code) != BPF_JMP || op == BPF_JSET || bpf_is_signed(op))
		return bpf_reject(check, EXO_REJECT_NUMBER, bpf_is_address(d) ? dst : src);
	if (bpf_is_address(d) && !bpf_is_near(d))
		return needs(check, EXO_REJECT_RANGE, dst, d->window, (uint64_t)BPF_NEAR, BPF_FAR);
	if (bpf_is_address(s) && !bpf_is_near(s))
		return needs(check, EXO_REJECT_RANGE, src, s->window, (uint64_t)BPF_NEAR, BPF_FAR);
	if (bpf_is_address(d) && bpf_is_address(s))
		return d->window == s->window ? 0 : needs(check, EXO_REJECT_WINDOW, src, d->window, 0, 0);
	if ((op == BPF_JEQ || op == BPF_JNE) && !bpf_umax(bpf_is_address(d) ? s : d))
		return 0;
	return bpf_reject(check, EXO_REJECT_NUMBER, bpf_is_address(d) ? dst : src);
}

static int jump(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	uint8_t op = BPF_OP(insn->code);
	bool by_reg = insn->code & BPF_SRC_REG, wide, open;
	uint32_t target = check->place[check->at].to[0] - 1u, packet = check->now.packet;
	const struct bpf_value *d, *s;
	struct bpf_value imm;

	if (op == BPF_JA)
		return bpf_go(check, target);
	check->spent += COST_JUMP;
	s = &imm;
	if (by_reg)
		check->spent += COST_PAIR;
	else
		bpf_number(&imm, (uint64_t)(int64_t)insn->imm);
	if (!(d = read(check, bpf_dst(insn))) || (by_reg && !(s = read(check, bpf_src(insn)))) ||
	    comparable(check, op, bpf_dst(insn), d, bpf_src(insn), s) < 0)
		return -1;
	wide = BPF_CLASS(insn->code) == BPF_JMP || bpf_is_narrow(op, d, s);
	check->spent += wide ? 0 : COST_JUMP32;
	if (assume(check, op, wide) && bpf_way(check, target) < 0)
		return -1;
	bpf_narrowed(check, NULL);
	check->now.packet = packet;
	open = assume(check, bpf_negated[op >> 4], wide);
	bpf_narrowed(check, open ? &check->now : NULL);
	if (!open)
		bpf_way_lost(check);
	return 0;
}

int bpf_step(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	switch (class) {
	case BPF_LD:	return constant(check);
	case BPF_LDX:	return load(check);
	case BPF_ST:	return store(check);
	case BPF_STX:	return BPF_MODE(insn->code) == BPF_ATOMIC ? atomic(check) : store(check);
	case BPF_ALU:
	case BPF_ALU64:	return arithmetic(check);
	}
	if (class == BPF_JMP && op == BPF_CALL)
		return bpf_src(insn) == BPF_CALL_LOCAL ? call_local(check) : call(check);
	return class == BPF_JMP && op == BPF_EXIT ? leave(check) : jump(check);
}
