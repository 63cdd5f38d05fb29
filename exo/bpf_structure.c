/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier's look at a program's structure: instructions by themselves, functions, jumps, the order in
 * which instructions are gone through, loops. What the phases are for: bpf_check.c.
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

/* Control does not go on behind this. */
static bool is_end(const struct exo_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_EXIT) || insn->code == (BPF_JMP | BPF_JA) ||
	    insn->code == (BPF_JMP32 | BPF_JA);
}

/* Where a jump or local call leads: as said here, in the program; what is there is looked at in its turn. */
static int leads(struct bpf_check *check, const struct exo_insn *insn, struct bpf_place *place)
{
	uint32_t i = check->at;
	bool calls = is_call(insn), far = calls || insn->code == (BPF_JMP32 | BPF_JA);
	int64_t target = (int64_t)i + 1 + (far ? insn->imm : insn->offset);

	if (!calls && (BPF_OP(insn->code) == BPF_CALL || BPF_OP(insn->code) == BPF_EXIT))
		return 0;
	if (target < 0 || target >= check->program->insns)
		return bpf_reject(check, calls ? EXO_REJECT_CALL : EXO_REJECT_JUMP, -1);
	if (calls) {
		check->functions += !check->place[target].callers++;
		check->function[target / 64] |= 1ull << target % 64;
		return 0;
	}
	place->to[0] = (uint16_t)(target + 1);
	check->program->note[target].flags |= BPF_NOTE_TARGET;
	if (target <= i)
		check->program->note[i].charge = (uint16_t)(i - (uint32_t)target + 1);
	return 0;
}

static int scan(struct bpf_check *check)
{
	struct bpf_program *program = check->program;
	const struct exo_insn *insn = &program->insn[check->at];
	struct bpf_place *place = &check->place[check->at];
	struct bpf_writes writes = { 0 };
	uint8_t class = BPF_CLASS(insn->code);

	if (program->note[check->at].flags & BPF_NOTE_SECOND)
		return 0;
	if (!bpf_exists(program, check->at))
		return bpf_reject(check, EXO_REJECT_OPCODE, -1);
	check->unordered++;
	bpf_writes(insn, &writes);
	if (bpf_dst(insn) >= BPF_REGS || bpf_src(insn) >= BPF_REGS || writes.regs >> BPF_FRAME)
		return bpf_reject(check, EXO_REJECT_REGISTER, -1);
	place->writes = writes.regs;
	for (uint64_t slots = writes.slots; slots; slots &= slots - 1)
		place->writes |= 1u << (BPF_REGS + (unsigned)__builtin_ctzll(slots) % BPF_SAVED);
	if (writes.regs & 1)
		place->writes |= BPF_RESULT;
	place->live = writes.reads | (writes.reads & 1 && insn->code != (BPF_JMP | BPF_EXIT) ? BPF_RESULT : 0);
	if (class == BPF_LD)
		program->note[check->at + 1].flags |= BPF_NOTE_SECOND;
	if (!is_end(insn))
		place->to[1] = (uint16_t)(check->at + 2 + (class == BPF_LD));
	return class == BPF_JMP || class == BPF_JMP32 ? leads(check, insn, place) : 0;
}

/* --- ORDER -------------------------------------------------------------------------------------------- */

/* Where a function that starts here ends: at the next one. */
static uint32_t end_of(const struct bpf_check *check, uint32_t start)
{
	uint32_t i = (start + 1) / 64, insns = check->program->insns;
	uint64_t starts = i < EXO_INSNS_MAX / 64 ? check->function[i] & ~0ull << (start + 1) % 64 : 0;

	while (!starts && ++i * 64 < insns)
		starts = check->function[i];
	return starts ? i * 64 + (uint32_t)__builtin_ctzll(starts) : insns;
}

/* A local call: its function comes into the order when all who call it are there. */
static int order_call(struct bpf_check *check)
{
	uint32_t function = check->at + 1 + (uint32_t)check->program->insn[check->at].imm;
	uint8_t depth = check->place[check->start].depth;
	struct bpf_place *callee = &check->place[function];

	check->program->note[check->at].charge = (uint16_t)(end_of(check, function) - function);
	if (check->program->note[function].flags & BPF_NOTE_SECOND)
		return bpf_refuse(check, EXO_REJECT_CALL, function);
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
	check->phase = BPF_ORDER;
	check->at = check->start = function;
	check->end = check->turn = end_of(check, function);
	check->place[function].end = (uint16_t)check->end;
	check->program->note[function].flags |= BPF_NOTE_FUNCTION;
	if (check->program->depth < check->place[function].depth)
		check->program->depth = check->place[function].depth;
}

/* The first time that a way leads to the instruction at check->at: where does it lead? */
static int order_first(struct bpf_check *check, const struct bpf_place *place)
{
	uint32_t target = place->to[0] - 1u;

	if (place->to[0] && (target < check->start || target >= check->end ||
	    check->program->note[target].flags & BPF_NOTE_SECOND))
		return bpf_reject(check, EXO_REJECT_JUMP, -1);
	if (place->to[1] > check->end)
		return bpf_reject(check, EXO_REJECT_END, -1);
	return is_call(&check->program->insn[check->at]) ? order_call(check) : 0;
}

/* What is written in a loop, from this turn on. Turns come from the last to the first, and each overwrites the one behind
 * it: what another function left there is none of the loop's. */
static void loop_found(struct bpf_check *check, struct bpf_place *head)
{
	check->spent += COST_LOOP;
	head->writes = 0;
	for (unsigned var = 0; var < BPF_VARS; var++)
		if (check->written[var] >= head->order && check->written[var] <= head->until)
			head->writes |= 1u << var;
}

/* All ways from an instruction have been gone: it comes into the order before what they lead to. One that still is being
 * gone through is a loop's head. */
static void order_last(struct bpf_check *check, struct bpf_place *place)
{
	uint32_t live = 0;

	check->unordered--;
	place->order = (uint16_t)check->turn--;
	for (unsigned way = 0; way < 2; way++) {
		struct bpf_place *on = &check->place[place->to[way] - 1];

		if (!place->to[way])
			continue;
		place->returns |= on->ways || on->returns;
		live |= on->live;
		if (on->ways && !on->until)
			on->until = place->order;
	}
	place->live |= live & ~place->writes;
	for (uint32_t writes = place->returns ? place->writes : 0; writes; writes &= writes - 1)
		check->written[__builtin_ctz(writes)] = place->order;
	if (place->until)
		loop_found(check, place);
	check->place[check->turn].turn = (uint16_t)check->at;
	check->at = place->slot;
	place->slot = place->ways = 0;
}

/* The function is in order: the next one. When there is none, but some was not ordered, that is in a circle, or called from
 * one; or some instruction has no turn. */
static int order_end(struct bpf_check *check)
{
	uint32_t function = check->place[check->start].next;

	if (function) {
		order_begin(check, function);
		return 1;
	}
	while (check->functions && !check->place[function].callers)
		function = end_of(check, function);
	if (check->functions)
		return bpf_refuse(check, EXO_REJECT_RECURSION, function);
	for (; check->unordered && check->spent < check->budget; check->spent += COST_LOOK, check->at++)	/* from 0 on */
		if (!check->place[check->at].order && !(check->program->note[check->at].flags & BPF_NOTE_SECOND))
			return bpf_refuse(check, EXO_REJECT_UNREACHED, check->at);
	if (!check->unordered)
		bpf_function(check, 0);
	return 1;
}

/* --- phases ------------------------------------------------------------------------------------------- */

int bpf_phase_scan(struct bpf_check *check)
{
	struct bpf_program *program = check->program;

	for (; check->turn < program->insns; check->turn++, check->spent += COST_CLEAR) {
		if (check->spent >= check->budget)
			return 1;
		check->place[check->turn] = (struct bpf_place){ 0 };
		program->note[check->turn] = (struct bpf_note){ 0 };
	}
	for (; check->at < program->insns; check->at++, check->spent += COST_SCAN) {
		if (check->spent >= check->budget)
			return 1;
		if (scan(check) < 0)
			return -1;
	}
	if (check->place[0].callers)
		return bpf_refuse(check, EXO_REJECT_RECURSION, 0);
	check->place[0].depth = 1;
	check->place[0].needed = true;
	order_begin(check, 0);
	if (check->end <= program->fuel)
		return 1;
	check->report.needed_min = check->end;
	return bpf_refuse(check, EXO_REJECT_FUEL, 0);
}

/* Through the function's ways, depth first, the way behind an instruction last, so that it is the next in order.
 * `slot` remembers who led here, `ways` how many ways were gone. */
int bpf_phase_order(struct bpf_check *check)
{
	struct bpf_place *first = &check->place[check->start];

	for (; !first->order && check->spent < check->budget; check->spent += COST_ORDER) {
		struct bpf_place *place = &check->place[check->at], *on;
		uint32_t to = 0;

		if (!place->ways && order_first(check, place) < 0)
			return -1;
		while (place->ways < 2 && !to) {
			to = place->to[place->ways++];
			on = &check->place[to - 1];
			to = to && !on->ways && !on->order ? to : 0;
		}
		if (!to) {
			order_last(check, place);
			continue;
		}
		on->slot = (uint16_t)check->at;
		check->at = to - 1;
	}
	return first->order ? order_end(check) : 1;
}
