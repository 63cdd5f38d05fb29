/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction-set mode: rows of instructions (exo/bpf_insn.c), without asking what they reach. A loop costs one unit of
 * fuel each time round. Which functions have numbers is a platform's choice; here each number has one that gives back
 * its first argument.
 */
#include "tools/bpf/host.h"

static const char *check_one(const struct bpf_program *program, uint32_t at)
{
	const struct exo_insn *insn = &program->insn[at];
	struct bpf_writes writes = { 0 };
	bool lddw = BPF_CLASS(insn->code) == BPF_LD;

	if (bpf_dst(insn) >= BPF_REGS || (!lddw && bpf_src(insn) >= BPF_REGS))
		return "there is no such register";
	if (!bpf_exists(program, at))
		return insn->code == BPF_LDDW ? "half of an lddw, or none that there is" :
		    "there is no such instruction, or a field that must be 0 is not";
	bpf_writes(insn, &writes);
	if (writes.regs >> BPF_FRAME)
		return "r10 is written";
	if (lddw && bpf_src(insn))
		return "there is no such lddw here";
	if (insn->code == (BPF_JMP | BPF_CALL) && bpf_src(insn) != BPF_CALL_LOCAL && !bpf_call[0])
		return "unknown function";
	return NULL;
}

/* Where it may go besides to the next: true and *to. */
static bool leads(const struct exo_insn *insn, uint32_t at, int64_t *to)
{
	unsigned op = BPF_OP(insn->code);
	bool far = insn->code == (BPF_JMP32 | BPF_JA) || op == BPF_CALL;

	*to = (int64_t)at + 1 + (far ? insn->imm : insn->offset);
	return (BPF_CLASS(insn->code) == BPF_JMP || BPF_CLASS(insn->code) == BPF_JMP32) && op != BPF_EXIT &&
	    (op != BPF_CALL || bpf_src(insn) == BPF_CALL_LOCAL);
}

/* Neither out of the program nor into an lddw, and loops are paid for. The last instruction has no next one. */
static const char *check_way(struct bpf_program *program, uint32_t at)
{
	const struct exo_insn *insn = &program->insn[at];
	bool last = at + (insn->code == BPF_LDDW ? 2u : 1u) == program->insns;
	bool ends = insn->code == (BPF_JMP | BPF_EXIT) || insn->code == (BPF_JMP | BPF_JA) ||
	    insn->code == (BPF_JMP32 | BPF_JA);
	int64_t to;

	if (last && !ends)
		return "control can run past the end";
	if (!leads(insn, at, &to))
		return NULL;
	if (to < 0 || to >= program->insns || program->note[to].flags & BPF_NOTE_SECOND)
		return "the jump leads nowhere";
	if (to <= at || BPF_OP(insn->code) == BPF_CALL)
		program->note[at].charge = 1;
	return NULL;
}

uint64_t plain_call(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, struct bpf_run *run)
{
	(void)r2, (void)r3, (void)r4, (void)r5, (void)run;
	return r1;
}

const char *plain_prepare(struct bpf_program *program, uint32_t *where)
{
	const char *wrong = NULL;
	uint32_t at;

	program->use = BPF_USE_PLAIN;
	program->fuel = PLAIN_FUEL;
	for (*where = at = 0; at < program->insns; at++)
		program->note[at] = (struct bpf_note){ .flags = 0 };
	if (program->insns == 0)
		return "the program is empty";
	for (at = 0; at < program->insns && !wrong; at++) {
		*where = at;
		wrong = check_one(program, at);
		if (!wrong && program->insn[at].code == BPF_LDDW)
			program->note[++at].flags = BPF_NOTE_SECOND;
	}
	for (at = 0; at < program->insns && !wrong; at++) {
		*where = at;
		if (!(program->note[at].flags & BPF_NOTE_SECOND))
			wrong = check_way(program, at);
	}
	return wrong;
}
