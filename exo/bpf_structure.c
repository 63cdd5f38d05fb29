/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier's look at a program's structure: instructions by themselves, functions, jumps, the order in
 * which instructions are gone through, loops. What the phases are for: bpf_check.c. Each call is one step:
 * one instruction, or one way between two.
 *
 * S1 a jump leads to the first half of an instruction of its function; the last instruction of a function is
 *    an end
 * S2 in a function's order, an instruction's turn comes after that of one that leads there, unless it is a
 *    loop's head
 */
#include "exo/bpf_check.h"

#define SCAN_AT_ONCE	8	/* instructions of which each takes no more than looking at it */

/* --- SCAN: instructions by themselves ----------------------------------------------------------------- */

static bool arithmetic_exists(const struct exo_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64, by_reg = insn->code & BPF_SRC_REG;
	int offset = insn->offset, imm = insn->imm;

	switch (BPF_OP(insn->code)) {
	case BPF_NEG:
		return !by_reg && !bpf_src(insn) && !imm && !offset;
	case BPF_END:
		return !(wide && by_reg) && !bpf_src(insn) && !offset && (imm == 16 || imm == 32 || imm == 64);
	case BPF_MOV:
		if (offset && !(by_reg && (offset == 8 || offset == 16 || (wide && offset == 32))))
			return false;
		break;
	case BPF_DIV:
	case BPF_MOD:
		if (offset != 0 && offset != 1)
			return false;
		break;
	case BPF_OP(0xe0):
	case BPF_OP(0xf0):
		return false;
	default:
		if (offset)
			return false;
		break;
	}
	return by_reg ? !imm : !bpf_src(insn);
}

static bool jump_exists(const struct exo_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_JMP, by_reg = insn->code & BPF_SRC_REG;

	switch (BPF_OP(insn->code)) {
	case BPF_JA:
		return !by_reg && !insn->regs && !(wide ? insn->imm : insn->offset);
	case BPF_CALL:
		return wide && !by_reg && !bpf_dst(insn) && bpf_src(insn) <= BPF_CALL_LOCAL && !insn->offset;
	case BPF_EXIT:
		return wide && !by_reg && !insn->regs && !insn->offset && !insn->imm;
	case BPF_OP(0xe0):
	case BPF_OP(0xf0):
		return false;
	default:
		return by_reg ? !insn->imm : !bpf_src(insn);
	}
}

static bool atomic_exists(const struct exo_insn *insn)
{
	if (BPF_SIZE(insn->code) != BPF_W && BPF_SIZE(insn->code) != BPF_DW)
		return false;
	switch (insn->imm) {
	case BPF_ADD: case BPF_ADD | BPF_FETCH:
	case BPF_OR: case BPF_OR | BPF_FETCH:
	case BPF_AND: case BPF_AND | BPF_FETCH:
	case BPF_XOR: case BPF_XOR | BPF_FETCH:
	case BPF_XCHG:
	case BPF_CMPXCHG:
		return true;
	default:
		return false;
	}
}

static bool exists(const struct bpf_program *program, uint32_t i)
{
	const struct exo_insn *insn = &program->insn[i];

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		return insn->code == BPF_LDDW && !insn->offset && i + 1 < program->insns &&
		    !insn[1].code && !insn[1].regs && !insn[1].offset &&
		    (!bpf_src(insn) || bpf_src(insn) == BPF_LDDW_WINDOW);
	case BPF_LDX:
		return !insn->imm && (BPF_MODE(insn->code) == BPF_MEM ||
		    (BPF_MODE(insn->code) == BPF_MEMSX && BPF_SIZE(insn->code) != BPF_DW));
	case BPF_ST:
		return BPF_MODE(insn->code) == BPF_MEM && !bpf_src(insn);
	case BPF_STX:
		return (BPF_MODE(insn->code) == BPF_MEM && !insn->imm) ||
		    (BPF_MODE(insn->code) == BPF_ATOMIC && atomic_exists(insn));
	case BPF_ALU:
	case BPF_ALU64:
		return arithmetic_exists(insn);
	default:
		return jump_exists(insn);
	}
}

static bool is_call(const struct exo_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && bpf_src(insn) == BPF_CALL_LOCAL;
}

static int scan(struct bpf_check *check)
{
	struct bpf_program *program = check->program;
	const struct exo_insn *insn = &program->insn[check->at];
	struct bpf_place *place = &check->place[check->at];
	struct bpf_writes writes = { 0 };
	int64_t target;

	*place = (struct bpf_place){ 0 };
	program->note[check->at] = (struct bpf_note){ check->second ? BPF_NOTE_SECOND : 0, 0, 0 };
	if (check->second) {
		check->second = false;
		return 0;
	}
	if (!exists(program, check->at))
		return bpf_reject(check, EXO_REJECT_OPCODE, -1);
	bpf_writes(insn, &writes);
	if (bpf_dst(insn) >= BPF_REGS || bpf_src(insn) >= BPF_REGS || writes.regs >> BPF_FRAME)
		return bpf_reject(check, EXO_REJECT_REGISTER, -1);
	place->regs = writes.regs;
	place->slots = writes.slots;
	place->live = writes.reads;
	check->second = BPF_CLASS(insn->code) == BPF_LD;
	if (!is_call(insn))
		return 0;
	target = (int64_t)check->at + 1 + insn->imm;
	if (target < 0 || target >= program->insns)
		return bpf_reject(check, EXO_REJECT_CALL, -1);
	check->function[target / 64] |= 1ull << target % 64;
	return 0;
}

/* --- ENDS, JUMPS -------------------------------------------------------------------------------------- */

static void ends(struct bpf_check *check)
{
	struct bpf_note *note = &check->program->note[check->at];

	if (check->at && !(check->function[check->at / 64] >> check->at % 64 & 1))
		return;
	note->flags |= BPF_NOTE_FUNCTION;
	check->functions += check->at != 0;
	check->place[check->at].end = (uint16_t)check->end;
	check->end = check->at;
}

/* Control does not go on behind this. */
static bool is_end(const struct exo_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_EXIT) || insn->code == (BPF_JMP | BPF_JA) ||
	    insn->code == (BPF_JMP32 | BPF_JA);
}

/* Where control goes from here, and whether it may. */
static int jumps(struct bpf_check *check)
{
	uint32_t i = check->at;
	struct bpf_place *place = &check->place[i];
	struct bpf_note *note = check->program->note;
	const struct exo_insn *insn = &check->program->insn[i];
	bool second = note[i].flags & BPF_NOTE_SECOND, end = is_end(insn);
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	int64_t target;

	if (note[i].flags & BPF_NOTE_FUNCTION) {
		if (second)
			return bpf_reject(check, EXO_REJECT_CALL, -1);
		check->start = i;
		check->end = place->end;
	}
	if (i + 1 == check->end && (!end || second))
		return bpf_reject(check, EXO_REJECT_END, -1);
	if (second)
		return 0;
	place->to[1] = (uint16_t)(end ? 0 : i + 2 + (class == BPF_LD));
	if (class != BPF_JMP && class != BPF_JMP32)
		return 0;
	if (is_call(insn)) {
		uint32_t function = i + 1 + (uint32_t)insn->imm;

		note[i].charge = (uint16_t)(check->place[function].end - function);
		check->place[function].callers++;
	}
	if (op == BPF_CALL || op == BPF_EXIT)
		return 0;
	target = (int64_t)i + 1 + (op == BPF_JA && class == BPF_JMP32 ? insn->imm : insn->offset);
	if (target < check->start || target >= check->end || note[target].flags & BPF_NOTE_SECOND)
		return bpf_reject(check, EXO_REJECT_JUMP, -1);
	place->to[0] = (uint16_t)(target + 1);
	note[target].flags |= BPF_NOTE_TARGET;
	if (target <= i) {
		note[i].charge = (uint16_t)(i - (uint32_t)target + 1);
	}
	return 0;
}

/* --- ORDER, LOOPS ------------------------------------------------------------------------------------- */

/* A local call: its function comes into the order when all who call it are there. */
static int order_call(struct bpf_check *check)
{
	uint32_t function = check->at + 1 + (uint32_t)check->program->insn[check->at].imm;
	uint8_t depth = check->place[check->start].depth;
	struct bpf_place *callee = &check->place[function];

	if (depth == EXO_CODE_DEPTH)
		return bpf_reject(check, EXO_REJECT_RECURSION, -1);
	if (callee->depth <= depth)
		callee->depth = depth + 1;
	if (!--callee->callers) {
		check->place[check->last].next = (uint16_t)function;
		check->last = function;
		check->functions--;
	}
	return 0;
}

static void order_begin(struct bpf_check *check, uint32_t function)
{
	check->at = check->start = function;
	check->end = check->turn = check->place[function].end;
	if (check->program->depth < check->place[function].depth)
		check->program->depth = check->place[function].depth;
}

/* One step through the function's ways, depth first, the way behind an instruction last, so that it is the
 * next in order. `slot` remembers who led here, `loose` which ways were gone. */
static int order(struct bpf_check *check)
{
	uint32_t i = check->at;
	struct bpf_place *place = &check->place[i];
	uint16_t live = 0;
	uint32_t to;

	if (!place->loose && is_call(&check->program->insn[i]) && order_call(check) < 0)
		return -1;
	for (; place->loose < 2; ) {
		to = place->to[place->loose++];
		if (to && !check->place[to - 1].loose && !check->place[to - 1].order) {
			check->at = to - 1;
			check->place[check->at].slot = (uint16_t)i;
			return 1;
		}
	}
	for (unsigned way = 0; way < 2; way++) {
		const struct bpf_place *on = &check->place[place->to[way] - 1];

		if (!place->to[way])
			continue;
		place->returns |= on->loose || on->returns;
		live |= on->live;
	}
	place->live |= (uint16_t)(live & ~place->regs);
	place->order = (uint16_t)check->turn--;
	check->place[check->turn].turn = (uint16_t)i;
	check->at = place->slot;
	place->slot = place->loose = 0;
	return i != check->start;
}

/* No way leads to the first instruction that has no turn. A part of them at a time, from check->at on. */
static int order_end(struct bpf_check *check)
{
	check->spent += COST_SCAN;
	for (unsigned i = 0; i < SCAN_AT_ONCE && check->at < check->end; i++, check->at++)
		if (!check->place[check->at].order && !(check->program->note[check->at].flags & BPF_NOTE_SECOND))
			return bpf_refuse(check, EXO_REJECT_UNREACHED, check->at);
	if (check->at < check->end)
		return 1;
	for (unsigned i = 0; i < BPF_FRAME + BPF_SLOTS; i++)
		check->written[i] = 0;
	check->slots = 0;
	check->phase = BPF_LOOPS;
	return 1;
}

/* A way from the instruction of this turn: if it leads back to a head, what was written since? */
static void loop_found(struct bpf_check *check, uint32_t to)
{
	struct bpf_place *place = &check->place[to - 1];

	if (!to || place->order > check->turn + 1)
		return;
	check->spent += COST_LOOP;
	place->until = (uint16_t)(check->turn + 1);
	place->regs = 0;
	place->slots = 0;
	for (unsigned reg = 0; reg < BPF_FRAME; reg++)
		place->regs |= (uint16_t)((check->written[reg] >= place->order) << reg);
	for (uint64_t slots = check->slots; slots; slots &= slots - 1)
		if (check->written[BPF_FRAME + __builtin_ctzll(slots)] >= place->order)
			place->slots |= slots & -slots;
}

static void loops(struct bpf_check *check)
{
	const struct bpf_place *place = &check->place[check->place[check->turn].turn];

	if (!place->returns)
		return;
	for (uint32_t regs = place->regs; regs; regs &= regs - 1)
		check->written[__builtin_ctz(regs)] = (uint16_t)(check->turn + 1);
	check->slots |= place->slots;
	for (uint64_t slots = place->slots; slots; slots &= slots - 1)
		check->written[BPF_FRAME + __builtin_ctzll(slots)] = (uint16_t)(check->turn + 1);
	loop_found(check, place->to[0]);
	loop_found(check, place->to[1]);
}

/* Some function was not ordered: it is in a circle, or called from one. */
static int functions_end(struct bpf_check *check)
{
	uint32_t function = 0;

	if (!check->functions)
		return 0;
	while (!check->place[function].callers)
		function = check->place[function].end;
	return bpf_refuse(check, EXO_REJECT_RECURSION, function);
}

/* --- phases ------------------------------------------------------------------------------------------- */

int bpf_phase_scan(struct bpf_check *check)
{
	check->spent += COST_SCAN;
	if (check->at == check->program->insns) {
		check->end = check->at;
		check->phase = BPF_ENDS;
		return 1;
	}
	if (scan(check) < 0)
		return -1;
	check->at++;
	return 1;
}

int bpf_phase_ends(struct bpf_check *check)
{
	check->spent += COST_ENDS;
	check->at--;
	ends(check);
	if (!check->at)
		check->phase = BPF_JUMPS;
	return 1;
}

int bpf_phase_jumps(struct bpf_check *check)
{
	check->spent += COST_JUMPS;
	if (jumps(check) < 0)
		return -1;
	if (++check->at < check->program->insns)
		return 1;
	if (check->place[0].end > check->program->fuel) {
		check->report.needed_min = check->place[0].end;
		return bpf_refuse(check, EXO_REJECT_FUEL, 0);
	}
	if (check->place[0].callers)
		return bpf_refuse(check, EXO_REJECT_RECURSION, 0);
	check->place[0].depth = 1;
	order_begin(check, 0);
	check->phase = BPF_ORDER;
	return 1;
}

int bpf_phase_order(struct bpf_check *check)
{
	int more;

	if (check->place[check->start].order)
		return order_end(check);
	more = order(check);
	check->spent += COST_ORDER;
	if (!more)
		check->at = check->start;
	return more < 0 ? more : 1;
}

int bpf_phase_loops(struct bpf_check *check)
{
	check->spent += COST_LOOPS;
	loops(check);
	if (++check->turn < check->end)
		return 1;
	check->phase = BPF_ORDER;
	if (check->place[check->start].next) {
		order_begin(check, check->place[check->start].next);
		return 1;
	}
	if (functions_end(check) < 0)
		return -1;
	check->phase = BPF_BEGIN;
	return 1;
}
