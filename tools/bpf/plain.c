/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction-set mode: what makes a row of 8 bytes an instruction (RFC 9669, sections 3 to 5), without asking what it
 * reaches. Fields that the RFC says are 0 must be 0. A loop costs one unit of fuel each time round.
 */
#include "tools/bpf/host.h"

/* Which operations there are, by code >> 4: in ALU and ALU64; in JMP and JMP32. */
#define ALU_OPS		0x3fff
#define JUMP_OPS	0x3dff	/* without EXIT */

static const char *check_alu(const struct exo_insn *insn)
{
	unsigned op = BPF_OP(insn->code), wide = BPF_CLASS(insn->code) == BPF_ALU64;
	bool from_reg = insn->code & BPF_SRC_REG;
	int16_t offset = insn->offset;

	if (!(ALU_OPS >> (op >> 4) & 1))
		return "there is no such instruction";
	if (op == BPF_END) {
		if ((wide && from_reg) || (insn->imm != 16 && insn->imm != 32 && insn->imm != 64))
			return "there is no such byte swap";
		return offset || bpf_src(insn) ? "a field that must be 0 is not" : NULL;
	}
	if (op == BPF_NEG)
		return from_reg || offset || insn->imm || bpf_src(insn) ? "a field that must be 0 is not" : NULL;
	if (from_reg ? insn->imm != 0 : bpf_src(insn) != 0)
		return "a field that must be 0 is not";
	if (op == BPF_DIV || op == BPF_MOD)
		return offset & ~1 ? "there is no such division" : NULL;
	if (op == BPF_MOV && from_reg && (offset == 8 || offset == 16 || (offset == 32 && wide)))
		return NULL;
	return offset ? "a field that must be 0 is not" : NULL;
}

static const char *check_jump(const struct exo_insn *insn)
{
	unsigned op = BPF_OP(insn->code);
	bool wide = BPF_CLASS(insn->code) == BPF_JMP, from_reg = insn->code & BPF_SRC_REG;

	if (op == BPF_EXIT || op == BPF_CALL) {
		if (!wide || from_reg || insn->offset || bpf_dst(insn))
			return "there is no such instruction";
		if (op == BPF_EXIT)
			return bpf_src(insn) || insn->imm ? "a field that must be 0 is not" : NULL;
		return bpf_src(insn) == BPF_CALL_LOCAL ? NULL : "unknown function";
	}
	if (!(JUMP_OPS >> (op >> 4) & 1))
		return "there is no such instruction";
	if (op == BPF_JA)
		return from_reg || insn->regs || (wide ? insn->imm : insn->offset) ? "a field that must be 0 is not" :
		    NULL;
	return (from_reg ? insn->imm != 0 : bpf_src(insn) != 0) ? "a field that must be 0 is not" : NULL;
}

static const char *check_atomic(const struct exo_insn *insn)
{
	if (BPF_SIZE(insn->code) != BPF_W && BPF_SIZE(insn->code) != BPF_DW)
		return "there is no such atomic operation";
	switch (insn->imm) {
	case BPF_ADD:
	case BPF_OR:
	case BPF_AND:
	case BPF_XOR:
	case BPF_ADD | BPF_FETCH:
	case BPF_OR | BPF_FETCH:
	case BPF_AND | BPF_FETCH:
	case BPF_XOR | BPF_FETCH:
	case BPF_XCHG:
	case BPF_CMPXCHG:
		return NULL;
	default:
		return "there is no such atomic operation";
	}
}

static const char *check_memory(const struct exo_insn *insn)
{
	unsigned class = BPF_CLASS(insn->code), mode = BPF_MODE(insn->code);

	if (class == BPF_STX && mode == BPF_ATOMIC)
		return check_atomic(insn);
	if (class == BPF_LDX && mode == BPF_MEMSX && BPF_SIZE(insn->code) != BPF_DW)
		return insn->imm ? "a field that must be 0 is not" : NULL;
	if (mode != BPF_MEM)
		return "there is no such instruction";
	return (class == BPF_ST ? bpf_src(insn) : (unsigned)insn->imm) ? "a field that must be 0 is not" : NULL;
}

static const char *check_lddw(const struct bpf_program *program, uint32_t at)
{
	const struct exo_insn *insn = &program->insn[at];

	if (insn->code != BPF_LDDW)
		return "there is no such instruction";
	if (at + 1 == program->insns || insn[1].code || insn[1].regs || insn[1].offset || insn->offset)
		return "half of an lddw";
	return bpf_src(insn) ? "there is no such lddw here" : NULL;
}

/* Does it write its destination register? */
static bool writes(const struct exo_insn *insn)
{
	unsigned class = BPF_CLASS(insn->code);

	return class == BPF_ALU || class == BPF_ALU64 || class == BPF_LDX || class == BPF_LD;
}

static const char *check_one(const struct bpf_program *program, uint32_t at)
{
	const struct exo_insn *insn = &program->insn[at];
	bool fetch = BPF_CLASS(insn->code) == BPF_STX && BPF_MODE(insn->code) == BPF_ATOMIC && insn->imm & BPF_FETCH;

	if (bpf_dst(insn) >= BPF_REGS || (BPF_CLASS(insn->code) != BPF_LD && bpf_src(insn) >= BPF_REGS))
		return "there is no such register";
	if ((writes(insn) && bpf_dst(insn) == BPF_FRAME) ||
	    (fetch && insn->imm != BPF_CMPXCHG && bpf_src(insn) == BPF_FRAME))
		return "r10 is written";
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return check_alu(insn);
	case BPF_JMP:
	case BPF_JMP32:
		return check_jump(insn);
	case BPF_LD:
		return check_lddw(program, at);
	default:
		return check_memory(insn);
	}
}

/* Where it may go besides to the next: true and *to. */
static bool leads(const struct exo_insn *insn, uint32_t at, int64_t *to)
{
	unsigned op = BPF_OP(insn->code);
	bool far = insn->code == (BPF_JMP32 | BPF_JA) || op == BPF_CALL;

	*to = (int64_t)at + 1 + (far ? insn->imm : insn->offset);
	return (BPF_CLASS(insn->code) == BPF_JMP || BPF_CLASS(insn->code) == BPF_JMP32) && op != BPF_EXIT;
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
