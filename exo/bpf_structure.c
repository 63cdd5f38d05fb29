/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier's look at a program's structure: instructions by themselves, functions, jumps, the order in
 * which instructions are gone through, loops. What the phases are for: bpf_check.c. Each goes on as long as
 * there is budget, an instruction, or a way between two, at a time.
 *
 * S1 a jump leads to the first half of an instruction of its function; the last instruction of a function is
 *    an end
 * S2 in a function's order, an instruction's turn comes after that of one that leads there, unless it is a
 *    loop's head
 */
#include "exo/bpf_check.h"

/* --- SCAN: instructions by themselves ----------------------------------------------------------------- */

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
	if (!bpf_exists(program, check->at))
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

/* --- JUMPS -------------------------------------------------------------------------------------------- */

/* Where a function that starts here ends: at the next one. */
static uint32_t end_of(const struct bpf_check *check, uint32_t start)
{
	uint32_t i = (start + 1) / 64, insns = check->program->insns;
	uint64_t starts = i < EXO_INSNS_MAX / 64 ? check->function[i] & ~0ull << (start + 1) % 64 : 0;

	while (!starts && ++i * 64 < insns)
		starts = check->function[i];
	return starts ? i * 64 + (uint32_t)__builtin_ctzll(starts) : insns;
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

	if (i == check->end) {
		if (second)
			return bpf_reject(check, EXO_REJECT_CALL, -1);
		note[i].flags |= BPF_NOTE_FUNCTION;
		check->functions++;
		check->start = i;
		check->end = end_of(check, i);
		place->end = (uint16_t)check->end;
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

		note[i].charge = (uint16_t)(end_of(check, function) - function);
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

/* No way leads to the first instruction that has no turn, from check->at on. */
static int order_end(struct bpf_check *check)
{
	for (; check->at < check->end && check->spent < check->budget; check->at++, check->spent += COST_LOOK)
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
	for (; check->at < check->program->insns; check->at++, check->spent += COST_SCAN) {
		if (check->spent >= check->budget)
			return 1;
		if (scan(check) < 0)
			return -1;
	}
	check->at = check->end = 0;
	check->phase = BPF_JUMPS;
	return 1;
}

int bpf_phase_jumps(struct bpf_check *check)
{
	for (; check->at < check->program->insns; check->at++, check->spent += COST_JUMPS) {
		if (check->spent >= check->budget)
			return 1;
		if (jumps(check) < 0)
			return -1;
	}
	if (check->place[0].end > check->program->fuel) {
		check->report.needed_min = check->place[0].end;
		return bpf_refuse(check, EXO_REJECT_FUEL, 0);
	}
	if (check->place[0].callers)
		return bpf_refuse(check, EXO_REJECT_RECURSION, 0);
	check->functions--;
	check->place[0].depth = 1;
	order_begin(check, 0);
	check->phase = BPF_ORDER;
	return 1;
}

int bpf_phase_order(struct bpf_check *check)
{
	int more = 1;

	if (check->place[check->start].order)
		return order_end(check);
	for (; more > 0 && check->spent < check->budget; check->spent += COST_ORDER)
		more = order(check);
	if (!more)
		check->at = check->start;
	return more < 0 ? more : 1;
}

int bpf_phase_loops(struct bpf_check *check)
{
	for (; check->turn < check->end; check->turn++, check->spent += COST_LOOPS) {
		if (check->spent >= check->budget)
			return 1;
		loops(check);
	}
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
