/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions by themselves: which there are (RFC 9669, sections 3 to 5; fields that it says are 0 must be 0), and what
 * each reads and writes. For the verifier and for the host's instruction-set mode.
 */
#include "exo/bpf.h"

const struct bpf_call_spec bpf_call_spec[EXO_CODE_CALL_COUNT] = {
#define SPEC(number, name, uses, args, meaning)	[number] = { uses, args },
	EXO_CODE_CALLS(SPEC)
#undef SPEC
};

static bool arithmetic_exists(const struct exo_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64, by_reg = insn->code & BPF_SRC_REG;
	unsigned op = BPF_OP(insn->code), offset = (uint16_t)insn->offset;
	uint64_t offsets = op == BPF_MOV && by_reg ? 1 | 1 << 8 | 1 << 16 | (uint64_t)wide << 32 :	/* bit n: n is one */
	    op == BPF_DIV || op == BPF_MOD ? 3 : op <= BPF_END;

	if (offset > 63 || !(offsets >> offset & 1))
		return false;
	if (op == BPF_END)
		return !(wide && by_reg) && !bpf_src(insn) && (insn->imm == 16 || insn->imm == 32 || insn->imm == 64);
	return (op != BPF_NEG || (!by_reg && !insn->imm)) && (by_reg ? !insn->imm : !bpf_src(insn));
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
	int op = insn->imm & ~BPF_FETCH;

	return (BPF_SIZE(insn->code) == BPF_W || BPF_SIZE(insn->code) == BPF_DW) && (op == BPF_ADD || op == BPF_OR ||
	    op == BPF_AND || op == BPF_XOR || insn->imm == BPF_XCHG || insn->imm == BPF_CMPXCHG);
}

bool bpf_exists(const struct bpf_program *program, uint32_t i)
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
