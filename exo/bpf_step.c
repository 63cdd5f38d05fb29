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

/* A context is numbers; but for EXO_USE_WAKE, the first two fields are where packet or block start and end. */
#define CONTEXT_BYTES	32
_Static_assert(offsetof(struct exo_packet, end) == 8 && offsetof(struct exo_block, end) == 8, "fields");
_Static_assert(sizeof(struct exo_packet) == CONTEXT_BYTES && sizeof(struct exo_wake) == CONTEXT_BYTES &&
    sizeof(struct exo_block) == CONTEXT_BYTES, "fields");

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
	const struct bpf_value *v = &check->now.var[reg];

	if (v->kind == EXO_KIND_UNSET)
		bpf_reject(check, EXO_REJECT_UNSET, (int)reg);
	else if (v->kind == EXO_KIND_MIXED)
		bpf_reject(check, EXO_REJECT_MIXED, (int)reg);
	else if (v->window == BPF_WINDOW_CALLER)
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

static void set(struct bpf_check *check, unsigned reg, const struct bpf_value *value)
{
	bpf_put(check, &check->now, reg, value);
}

/* The instruction's second operand: a register, or its constant (in *imm). NULL: it cannot be used. */
static const struct bpf_value *operand(struct bpf_check *check, const struct exo_insn *insn, struct bpf_value *imm)
{
	if (insn->code & BPF_SRC_REG)
		return read(check, bpf_src(insn));
	bpf_number(imm, (uint64_t)(int64_t)insn->imm);
	return imm;
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
static void move(struct bpf_check *check, struct bpf_value *v, const struct bpf_value *by)
{
	bool small = bpf_within(by, -BPF_FAR, BPF_FAR), packet = bpf_in_packet(v);
	int64_t delta = small ? (int64_t)by->low + v->delta : 0;
	int32_t room = (int32_t)bpf_room(&check->now, v);

	bpf_alu(v, BPF_ALU64 | BPF_ADD, 0, 0, by);
	if (packet)
		v->room = small ? room_less(room, bpf_max(by)) : BPF_ROOM_NONE;
	if (packet && small && bpf_is_exact(by) && delta >= -BPF_FAR && delta <= BPF_FAR)
		v->delta = (int32_t)delta;
	else
		bpf_rename(v, packet ? BPF_FRESH(check->at, BPF_FRESH_RESULT) : 0);
}

/* The distance between two addresses of a window. */
static void distance(struct bpf_value *a, const struct bpf_value *b)
{
	struct bpf_value from = *a;

	*a = bpf_any;
	if (from.kind != b->kind)
		return;
	a->low = from.low;
	a->span = from.span;
	a->gap = from.gap;
	bpf_alu(a, BPF_ALU64 | BPF_SUB, 0, 0, b);
}

/* 64-bit ADD and SUB where an operand is an address. */
static int add(struct bpf_check *check, uint8_t op, struct bpf_value *d, const struct bpf_value *s)
{
	unsigned src = bpf_src(at(check));
	struct bpf_value number = *s;

	if (!bpf_is_address(s)) {
		if (op == BPF_SUB)
			bpf_alu(&number, BPF_ALU64 | BPF_NEG, 0, 0, &number);
		move(check, d, &number);
	} else if (op == BPF_ADD && !bpf_is_address(d)) {
		number = *d;
		*d = *s;
		move(check, d, &number);
	} else if (op == BPF_SUB && bpf_is_address(d)) {
		if (d->window != s->window)
			return needs(check, EXO_REJECT_WINDOW, (int)src, d->window, 0, 0);
		distance(d, s);
	} else {
		return bpf_reject(check, EXO_REJECT_NUMBER, (int)src);
	}
	return 0;
}

static int arithmetic(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64, by_reg = insn->code & BPF_SRC_REG && BPF_OP(insn->code) != BPF_END;
	unsigned dst = bpf_dst(insn), src = bpf_src(insn);
	uint8_t op = BPF_OP(insn->code);
	struct bpf_value imm, d = bpf_any;
	const struct bpf_value *s = op == BPF_END ? &bpf_any : operand(check, insn, &imm), *v = &d;

	if (!s || (op != BPF_MOV && !(v = read(check, dst))))
		return -1;
	if (op == BPF_MOV && !insn->offset && by_reg &&
	    (wide || (s->kind == EXO_KIND_NUMBER && bpf_umax(s) <= UINT32_MAX))) {
		bpf_copy(&check->now, dst, &check->now, src);
		return 0;
	}
	d = *v;
	if (wide && (op == BPF_ADD || op == BPF_SUB) && (bpf_is_address(&d) || bpf_is_address(s))) {
		if (add(check, op, &d, s) < 0)
			return -1;
	} else if (bpf_is_address(&d) || bpf_is_address(s)) {
		return bpf_reject(check, EXO_REJECT_NUMBER, (int)(bpf_is_address(s) ? src : dst));
	} else {
		bpf_alu(&d, insn->code, insn->offset, insn->imm, s);
		bpf_rename(&d, 0);
	}
	set(check, dst, &d);
	return 0;
}

/* --- memory ------------------------------------------------------------------------------------------- */

struct access {
	unsigned reg, width;
	int32_t offset;
	bool loads, stores, sign;
	unsigned var;			/* the register that is stored, or becomes what is loaded */
	struct bpf_value value;		/* what is stored; what is loaded */
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

static void loaded(struct access *a)
{
	uint64_t half = 1ull << (a->width * 8 - 1);

	bpf_bounded(&a->value, a->sign ? (int64_t)-half : 0, (int64_t)((a->sign ? half : 2 * half) - 1));
}

static int in_context(struct bpf_check *check, const struct bpf_value *v, struct access *a)
{
	int64_t offset = bpf_is_exact(v) && bpf_is_near(v) ? (int64_t)v->low + a->offset : -1;
	bool block = check->program->use == EXO_USE_OWNER;

	if (offset < 0 || offset + a->width > CONTEXT_BYTES || offset % a->width)
		return needs(check, EXO_REJECT_RANGE, (int)a->reg, v->window, 0, CONTEXT_BYTES - a->width);
	loaded(a);
	if (check->program->use == EXO_USE_WAKE || offset >= 16)
		return 0;
	if (a->width != 8)
		return bpf_reject(check, EXO_REJECT_ESCAPE, (int)a->reg);
	bpf_number(&a->value, block && offset ? BPF_PAGE_BYTES : 0);
	a->value.kind = offset && !block ? EXO_KIND_END : EXO_KIND_ADDRESS;
	a->value.window = block ? EXO_WINDOW_BLOCK : EXO_WINDOW_PACKET;
	return 0;
}

static int stack_store(struct bpf_check *check, const struct access *a, int first, int last, bool exact)
{
	struct bpf_state *now = &check->now;
	bool address = bpf_is_address(&a->value);
	unsigned slot = (unsigned)first / 8, var = BPF_REGS + slot % BPF_SAVED;

	if (address && !(exact && a->width == 8 && first % 8 == 0))
		return needs(check, EXO_REJECT_ALIGN, (int)a->reg, EXO_WINDOW_STACK, 8, 8);
	for (unsigned s = slot; s <= (unsigned)last / 8; s++)
		if (bpf_saved(now, s))
			bpf_unset(now, bpf_saved(now, s), EXO_KIND_UNSET);
	for (int byte = first; exact && byte <= last; byte++)
		now->written[byte / 8] |= (uint8_t)(1u << byte % 8);
	if (!address)
		return 0;
	if (bpf_is_address(&now->var[var]))
		return bpf_reject(check, EXO_REJECT_STACK, (int)a->reg);
	bpf_copy(now, var, now, a->var);
	now->written[slot] = 0;
	now->slot[slot % BPF_SAVED] = (uint8_t)slot;
	return 0;
}

/* 1: the register already is what was loaded. */
static int stack_load(struct bpf_check *check, struct access *a, int first, int last, bool exact)
{
	struct bpf_state *now = &check->now;
	unsigned var = bpf_saved(now, (unsigned)first / 8);

	if (var && exact && first % 8 == 0 && a->width == 8 && !a->stores) {
		bpf_copy(now, a->var, now, var);
		return 1;
	}
	for (int byte = first; byte <= last; byte++) {
		if (bpf_saved(now, (unsigned)byte / 8))
			return bpf_reject(check, EXO_REJECT_ESCAPE, (int)a->reg);
		if (!(now->written[byte / 8] >> byte % 8 & 1))
			return needs(check, EXO_REJECT_STACK, (int)a->reg, EXO_WINDOW_STACK,
			    (uint64_t)(byte - EXO_CODE_STACK), 0);
	}
	loaded(a);
	return 0;
}

static int in_stack(struct bpf_check *check, const struct bpf_value *v, struct access *a)
{
	bool exact = bpf_is_exact(v), near = bpf_is_near(v);
	int64_t first = near ? (int64_t)v->low + a->offset + EXO_CODE_STACK : -1;
	int64_t last = near ? first + (int64_t)v->span + a->width - 1 : -1;
	int result = 0;

	if (first < 0 || last >= EXO_CODE_STACK)
		return needs(check, EXO_REJECT_STACK, (int)a->reg, EXO_WINDOW_STACK, (uint64_t)-EXO_CODE_STACK,
		    (uint64_t)-(int64_t)a->width);
	check->spent += COST_BYTE * (uint32_t)(last - first + 1);
	if (a->loads)
		result = stack_load(check, a, (int)first, (int)last, exact);
	return result || !a->stores ? result : stack_store(check, a, (int)first, (int)last, exact);
}

static bool may_write(const struct bpf_program *program, const struct bpf_value *v)
{
	return v->window < EXO_WINDOWS_OWN && program->window_write >> v->window & 1;
}

/* As stack_load. */
static int access(struct bpf_check *check, struct access *a)
{
	struct bpf_program *program = check->program;
	const struct bpf_value *v = read(check, a->reg);

	if (!v)
		return -1;
	if (!bpf_is_address(v))
		return bpf_reject(check, EXO_REJECT_ADDRESS, (int)a->reg);
	program->note[check->at].window = v->window;
	program->accesses++;
	if (v->window == EXO_WINDOW_STACK)
		return in_stack(check, v, a);
	if (a->stores && !may_write(program, v))
		return bpf_reject(check, EXO_REJECT_WINDOW, (int)a->reg);
	if (v->window == EXO_WINDOW_CONTEXT)
		return in_context(check, v, a);
	if (a->stores && a->value.kind != EXO_KIND_NUMBER)
		return needs(check, EXO_REJECT_ESCAPE, (int)a->var, EXO_WINDOW_STACK, 0, 0);
	if (in_window(check, v, a) < 0)
		return -1;
	program->guarded += program->note[check->at].flags & BPF_NOTE_GUARD ? 1 : 0;
	if (a->loads)
		loaded(a);
	return 0;
}

/* Of numbers, and aligned. */
static int atomic(struct bpf_check *check, const struct access *a)
{
	bool compares = at(check)->imm == BPF_CMPXCHG;
	const struct bpf_value *v;

	if (!read_number(check, a->var, EXO_REJECT_NUMBER) ||
	    (compares && !read_number(check, 0, EXO_REJECT_NUMBER)) || !(v = read(check, a->reg)))
		return -1;
	if (bpf_is_address(v) && ((v->low + (uint64_t)(int64_t)a->offset) | v->gap) & (a->width - 1))
		return needs(check, EXO_REJECT_ALIGN, (int)a->reg, v->window, a->width, a->width);
	return 0;
}

static int memory(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	bool load = BPF_CLASS(insn->code) == BPF_LDX, by_reg = BPF_CLASS(insn->code) == BPF_STX;
	bool both = by_reg && BPF_MODE(insn->code) == BPF_ATOMIC;
	struct access a = {
		.reg = load ? bpf_src(insn) : bpf_dst(insn), .var = load ? bpf_dst(insn) : bpf_src(insn),
		.width = bpf_width(insn->code), .offset = insn->offset, .loads = load || both, .stores = !load,
		.sign = BPF_MODE(insn->code) == BPF_MEMSX,
	};
	int result;

	if ((both && atomic(check, &a) < 0) || (by_reg && !read(check, a.var)))
		return -1;
	bpf_number(&a.value, (uint64_t)(int64_t)insn->imm);
	if (by_reg)
		a.value = check->now.var[a.var];
	result = access(check, &a);
	if (!result && (load || (both && insn->imm & BPF_FETCH)))
		set(check, both && insn->imm == BPF_CMPXCHG ? 0 : a.var, &a.value);
	return result < 0 ? -1 : 0;
}

static int constant(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	struct bpf_program *program = check->program;
	struct bpf_value d;
	uint32_t window = (uint32_t)insn->imm, offset = (uint32_t)insn[1].imm, bytes;

	bpf_number(&d, (uint64_t)offset << 32 | (uint32_t)insn->imm);
	if (bpf_src(insn) == BPF_LDDW_WINDOW) {
		bytes = window == EXO_WINDOW_DATA ? program->data_bytes :
		    window < EXO_WINDOWS_OWN && program->use != EXO_USE_OWNER ? program->window_bytes[window] : 0;
		if (!bytes || (program->use == BPF_USE_FILTER && window > 0 && window != EXO_WINDOW_DATA))
			return needs(check, EXO_REJECT_WINDOW, -1, window, 0, 0);
		if (offset > bytes)
			return needs(check, EXO_REJECT_RANGE, -1, window, 0, bytes);
		bpf_number(&d, offset);
		d.kind = EXO_KIND_ADDRESS;
		d.window = (uint8_t)window;
	}
	set(check, bpf_dst(insn), &d);
	return 0;
}

/* --- calls -------------------------------------------------------------------------------------------- */

/* Does anybody look at r0 after this call? An exit does only if somebody looks at this function's result. */
static bool is_result_read(const struct bpf_check *check)
{
	uint32_t live = check->place[check->place[check->at].to[1] - 1].live;

	return live & BPF_RESULT || (live & 1 && check->place[check->start].needed);
}

static int call(struct bpf_check *check)
{
	uint32_t number = (uint32_t)at(check)->imm, function = check->at + 1 + number;
	const struct bpf_call_spec *spec = &bpf_call_spec[number < EXO_CODE_CALL_COUNT ? number : 0];
	char use = " PWO "[check->program->use];

	if (bpf_src(at(check)) == BPF_CALL_LOCAL)
		return bpf_enter(check, function);
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
		    (writes && !may_write(check->program, v))))
			return bpf_reject(check, EXO_REJECT_WINDOW, (int)i + 1);
	}
	return 0;
}

/* r0 is the result, r1 to r5 are lost. */
static int called(struct bpf_check *check)
{
	uint32_t function = bpf_src(at(check)) == BPF_CALL_LOCAL ? check->at + 1 + (uint32_t)at(check)->imm : 0;
	bool result = !function || is_result_read(check);

	if (call(check) < 0)
		return -1;
	check->place[function].needed |= result;
	set(check, 0, &bpf_any);
	for (unsigned reg = result; reg <= 5; reg++)
		bpf_unset(&check->now, reg, EXO_KIND_UNSET);
	return 0;
}

static int leave(struct bpf_check *check)
{
	if (check->place[check->start].needed && !read_number(check, 0, EXO_REJECT_ESCAPE))
		return -1;
	check->live = false;
	return 0;
}

/* --- jumps -------------------------------------------------------------------------------------------- */

/* A register was compared. */
static void settle(struct bpf_check *check, unsigned reg, const struct bpf_value *v)
{
	if (check->now.var[reg].span != v->span || check->now.var[reg].low != v->low)
		bpf_narrow(check, reg, v);
}

/* A register, and s: another one's, or (src < 0) a constant. */
static bool compare(struct bpf_check *check, uint8_t op, bool wide, unsigned dst, int src,
    const struct bpf_value *s)
{
	struct bpf_value a = check->now.var[dst], b = *s;

	if (!bpf_assume(op, wide, &a, &b))
		return false;
	settle(check, dst, &a);
	if (src >= 0)
		settle(check, (unsigned)src, &b);
	return true;
}

/* low <= high, or <: what follows, for addresses of one window. */
static bool ordered(struct bpf_check *check, unsigned low, unsigned high, bool strict)
{
	const struct bpf_value *a = &check->now.var[low], *b = &check->now.var[high];

	if (a->kind == b->kind)
		return compare(check, strict ? BPF_JSLT : BPF_JSLE, true, low, (int)high, b);
	if (a->kind == EXO_KIND_END)
		return bpf_room(&check->now, b) + bpf_min(a) + strict <= 0;
	return !bpf_is_exact(b) || bpf_learn(check, a->id, a->delta + strict - (int64_t)b->low, bpf_min(a) - a->delta);
}

/* On this way the jump's `a op b` holds, where b is s. false: it cannot. */
static bool assume(struct bpf_check *check, const struct exo_insn *insn, uint8_t op, const struct bpf_value *s)
{
	unsigned dst = bpf_dst(insn), src = bpf_src(insn);
	const struct bpf_value *d = &check->now.var[dst];

	if (bpf_is_address(d) != bpf_is_address(s) || (bpf_is_address(d) && !(bpf_is_near(d) && bpf_is_near(s))))
		return true;	/* an address with 0, or not known */
	if (!bpf_is_address(d) || (op == BPF_JNE && d->kind == s->kind && dst != src))
		return compare(check, op, BPF_CLASS(insn->code) == BPF_JMP, dst, insn->code & BPF_SRC_REG ? (int)src : -1, s);
	if (dst == src)
		return op != BPF_JNE && op != BPF_JLT && op != BPF_JGT;
	return op == BPF_JNE || ((op == BPF_JLT || op == BPF_JLE || ordered(check, src, dst, op == BPF_JGT)) &&
	    (op == BPF_JGT || op == BPF_JGE || ordered(check, dst, src, op == BPF_JLT)));
}

/* May these be compared? */
static int comparable(struct bpf_check *check, const struct exo_insn *insn, const struct bpf_value *d, const struct bpf_value *s)
{
	int dst = (int)bpf_dst(insn), src = (int)bpf_src(insn), which = bpf_is_address(d) ? dst : src;
	uint8_t op = BPF_OP(insn->code);
	bool equal = op == BPF_JEQ || op == BPF_JNE;

	if (!bpf_is_address(d) && !bpf_is_address(s))
		return 0;
	if (BPF_CLASS(insn->code) != BPF_JMP || op == BPF_JSET || bpf_is_signed(op))
		return bpf_reject(check, EXO_REJECT_NUMBER, which);
	if (!bpf_is_address(d) || !bpf_is_address(s))
		return equal && !bpf_umax(bpf_is_address(d) ? s : d) ? 0 : bpf_reject(check, EXO_REJECT_NUMBER, which);
	if (d->window != s->window)
		return needs(check, EXO_REJECT_WINDOW, src, d->window, 0, 0);
	if (equal || (bpf_is_near(d) && bpf_is_near(s)))
		return 0;
	return needs(check, EXO_REJECT_RANGE, bpf_is_near(d) ? src : dst, d->window, (uint64_t)BPF_NEAR, BPF_FAR);
}

static int branch(struct bpf_check *check)
{
	const struct exo_insn *insn = at(check);
	uint8_t op = BPF_OP(insn->code);
	struct bpf_value imm;
	const struct bpf_value *d = read(check, bpf_dst(insn)), *s = d ? operand(check, insn, &imm) : NULL;

	check->spent += insn->code & BPF_SRC_REG ? COST_JUMP + COST_PAIR : COST_JUMP;
	if (!s || comparable(check, insn, d, s) < 0)
		return -1;
	check->narrowed = 0;
	check->before.packet = check->now.packet;
	if (assume(check, insn, op, s) && bpf_way(check, check->place[check->at].to[0] - 1u) < 0)
		return -1;
	bpf_widen(check);
	check->narrowed = ~0u;		/* for good */
	check->live = assume(check, insn, bpf_negated(op), s);
	return 0;
}

static int jump(struct bpf_check *check)
{
	switch (BPF_OP(at(check)->code)) {
	case BPF_CALL:	return called(check);
	case BPF_EXIT:	return leave(check);
	case BPF_JA:
		check->live = false;
		return bpf_way(check, check->place[check->at].to[0] - 1u);
	}
	return branch(check);
}

int bpf_step(struct bpf_check *check)
{
	static int (*const step[])(struct bpf_check *) = {
		[BPF_LD] = constant,	[BPF_LDX] = memory,	[BPF_ST] = memory,	[BPF_STX] = memory,
		[BPF_ALU] = arithmetic,	[BPF_ALU64] = arithmetic,	[BPF_JMP] = jump,	[BPF_JMP32] = jump,
	};

	return step[BPF_CLASS(at(check)->code)](check);
}
