/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs that are sensible most of the time: registers and stack slots are used for what was put there, lengths
 * are tested before packets are read, loops count, functions are called with what they take; and then, now and then, a bit
 * is wrong. emit_program() leaves one in text[], insns, use; all decisions come from pick().
 */
#ifndef TEST_UNIT_BPF_GENERATE_H
#define TEST_UNIT_BPF_GENERATE_H

#include <string.h>
#include "exo/bpf.h"

#define INSNS_MAX	512

static uint64_t seed;
static const uint8_t *pick_from, *pick_end;	/* bytes that decide first, if there are any */

static inline uint32_t pick(uint32_t below)
{
	if (pick_from < pick_end) {
		uint32_t byte = *pick_from++;

		return (below > 256 && pick_from < pick_end ? byte << 8 | *pick_from++ : byte) % below;
	}
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 33) % below;
}

static inline bool chance(unsigned percent)
{
	return pick(100) < percent;
}

/* --- the generator: sensible most of the time ---------------------------------------------------------------------------- */

static struct exo_insn text[INSNS_MAX + 8];
static uint32_t insns;
static uint32_t use;
static enum kind { NOTHING, A_NUMBER, CONTEXT, PACKET, PACKET_LAST, MEMORY, STACK, BLOCK } kind[BPF_REGS], kept[64];

static void emit(uint8_t code, unsigned dst, unsigned src, int offset, int32_t imm)
{
	text[insns++] = (struct exo_insn){ code, (uint8_t)(dst | src << 4), (int16_t)offset, imm };
}

static int reg_of(enum kind wanted)
{
	unsigned from = pick(10);

	for (unsigned i = 0; i < 10; i++)
		if (kind[(from + i) % 10] == wanted)
			return (int)((from + i) % 10);
	return -1;
}

static int32_t some_imm(void)
{
	static const int32_t imm[] = { 0, 1, 2, 3, 4, 7, 8, 14, 15, 16, 20, 31, 32, 60, 63, 64, 255, 4095, 65535, -1, -8,
		0x7fffffff, INT32_MIN };

	return chance(80) ? imm[pick(sizeof(imm) / sizeof(*imm))] : (int32_t)(pick(1u << 31) * 2 + pick(2)) >> pick(32);
}

static const uint8_t alu_ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_NEG, BPF_MOD,
	BPF_XOR, BPF_MOV, BPF_ARSH, BPF_END, BPF_AND, BPF_AND, BPF_ADD, BPF_MOV };
static const uint8_t jump_ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE,
	BPF_JSLT, BPF_JSLE };
static const uint8_t sizes[] = { BPF_W, BPF_H, BPF_B, BPF_DW };

static void emit_number(unsigned dst)
{
	if (chance(50))
		emit(BPF_ALU64 | BPF_MOV, dst, 0, 0, some_imm());
	else if (chance(70))
		emit(BPF_ALU | BPF_MOV, dst, 0, 0, some_imm());
	else {
		emit(BPF_LDDW, dst, 0, 0, some_imm());
		emit(0, 0, 0, 0, some_imm());
	}
	kind[dst] = A_NUMBER;
}

static void emit_alu(void)
{
	int dst = reg_of(A_NUMBER), src = reg_of(A_NUMBER);
	uint8_t op = alu_ops[pick(sizeof(alu_ops))], class = chance(60) ? BPF_ALU64 : BPF_ALU;

	if (dst < 0) {
		emit_number(pick(10));
	} else if (op == BPF_END) {
		emit((uint8_t)(class | op | (class == BPF_ALU && chance(60) ? BPF_SRC_REG : 0)), (unsigned)dst, 0, 0,
		    16 << pick(3));
	} else if (op == BPF_NEG) {
		emit((uint8_t)(class | op), (unsigned)dst, 0, 0, 0);
	} else if (chance(50)) {
		emit((uint8_t)(class | op), (unsigned)dst, 0, (op == BPF_DIV || op == BPF_MOD) && chance(40), some_imm());
	} else {
		int offset = (op == BPF_DIV || op == BPF_MOD) && chance(40) ? 1 :
		    op == BPF_MOV && chance(40) ? 8 << pick(class == BPF_ALU ? 2 : 3) : 0;

		if (op == BPF_MOV)
			dst = (int)pick(10);
		emit((uint8_t)(class | op | BPF_SRC_REG), (unsigned)dst, (unsigned)src, offset, 0);
		kind[dst] = A_NUMBER;
	}
}

static void emit_address(void)
{
	unsigned dst = pick(10);
	int from = reg_of((enum kind)(CONTEXT + (int)pick(6))), n = reg_of(A_NUMBER);

	if (chance(30)) {
		emit(BPF_LDDW, dst, BPF_LDDW_WINDOW, 0, use == EXO_USE_OWNER || chance(5) ? EXO_WINDOW_DATA : (int32_t)(chance(90) ? 0 : pick(5)));
		emit(0, 0, 0, 0, (int32_t)pick(8) * 8);
		kind[dst] = MEMORY;
		return;
	}
	if (chance(25)) {
		emit(BPF_ALU64 | BPF_MOV | BPF_SRC_REG, dst, BPF_FRAME, 0, 0);
		emit(BPF_ALU64 | BPF_ADD, dst, 0, 0, -(int32_t)pick(520));
		kind[dst] = STACK;
		return;
	}
	if (from < 0)
		return;
	if (chance(50) && (unsigned)from != dst) {
		emit(BPF_ALU64 | BPF_MOV | BPF_SRC_REG, dst, (unsigned)from, 0, 0);
		kind[dst] = kind[from];
		from = (int)dst;
	}
	if (chance(60)) {
		emit((uint8_t)(BPF_ALU64 | (chance(80) ? BPF_ADD : BPF_SUB)), (unsigned)from, 0, 0,
		    chance(90) ? (int32_t)pick(64) : some_imm());
	} else if (n >= 0) {
		if (chance(80))
			emit(chance(50) ? BPF_ALU64 | BPF_AND : BPF_ALU | BPF_AND, (unsigned)n, 0, 0, (1 << pick(8)) - 1);
		emit((uint8_t)(BPF_ALU64 | BPF_SRC_REG | (chance(80) ? BPF_ADD : BPF_SUB)), (unsigned)from, (unsigned)n, 0, 0);
	}
	n = reg_of(PACKET_LAST);
	if (n >= 0 && chance(15)) {
		from = reg_of(PACKET);
		if (from >= 0) {
			emit(BPF_ALU64 | BPF_SUB | BPF_SRC_REG, (unsigned)n, (unsigned)from, 0, 0);
			kind[n] = A_NUMBER;
		}
	}
}

static void emit_load(void)
{
	unsigned dst = pick(10);
	int from = reg_of((enum kind)(CONTEXT + (int)pick(6)));
	uint8_t size = sizes[pick(4)], mode = size != BPF_DW && chance(20) ? BPF_MEMSX : BPF_MEM;

	if (from < 0)
		return;
	if (kind[from] == CONTEXT) {
		unsigned at = chance(70) ? pick(2) * 8 : pick(4) * 8;

		if (chance(20)) {
			emit(BPF_LDX | BPF_MEM | BPF_W, dst, (unsigned)from, 16, 0);
			kind[dst] = A_NUMBER;
			return;
		}
		emit(BPF_LDX | BPF_MEM | BPF_DW, dst, (unsigned)from, (int)at, 0);
		kind[dst] = use == EXO_USE_WAKE || at >= 16 ? A_NUMBER : use == EXO_USE_OWNER ? BLOCK : at ? PACKET_LAST : PACKET;
		return;
	}
	emit(BPF_LDX | size | mode, dst, (unsigned)from, kind[from] == PACKET_LAST || kind[from] == STACK ?
	    -8 * (int)pick(4) : (int)pick(40) - 4 * chance(10), 0);
	kind[dst] = A_NUMBER;
}

static void emit_stack(void)
{
	unsigned slot = chance(80) ? pick(6) : pick(64), reg = pick(10), bytes;
	uint8_t size = chance(75) ? BPF_DW : sizes[pick(4)];
	int offset = -8 * (int)slot - 8;

	if (size != BPF_DW && chance(50))
		offset += (int)pick(8);
	bytes = bpf_width(size);
	if (offset + (int)bytes > 0)
		offset = -(int)bytes;
	if (chance(55) && kind[reg] != NOTHING) {
		emit(BPF_STX | BPF_MEM | size, BPF_FRAME, reg, offset, 0);
		kept[slot] = kind[reg];
	} else if (chance(20)) {
		emit(BPF_ST | BPF_MEM | size, BPF_FRAME, 0, offset, some_imm());
		kept[slot] = A_NUMBER;
	} else if (kept[slot] != NOTHING) {
		emit(BPF_LDX | BPF_MEM | size, reg, BPF_FRAME, offset, 0);
		kind[reg] = kept[slot];
	}
}

static void emit_store(void)
{
	int to = reg_of(chance(70) ? MEMORY : STACK), value = reg_of(A_NUMBER);
	static const uint8_t ops[] = { BPF_ADD, BPF_OR, BPF_AND, BPF_XOR, BPF_ADD | BPF_FETCH, BPF_XOR | BPF_FETCH, BPF_XCHG,
		BPF_CMPXCHG };

	if (to < 0 || value < 0)
		return;
	if (chance(25))
		emit((uint8_t)(BPF_STX | BPF_ATOMIC | (chance(50) ? BPF_W : BPF_DW)), (unsigned)to, (unsigned)value,
		    8 * (int)pick(4), ops[pick(8)]);
	else if (chance(30))
		emit(BPF_ST | BPF_MEM | sizes[pick(4)], (unsigned)to, 0, (int)pick(32), some_imm());
	else
		emit(BPF_STX | BPF_MEM | sizes[pick(4)], (unsigned)to, (unsigned)value, (int)pick(32), 0);
}

/* A jump whose target is set later (offset 0x7fff), or some instructions on. */
static void emit_jump(void)
{
	int a = reg_of(A_NUMBER), b = reg_of(A_NUMBER), p = reg_of(PACKET), e = reg_of(PACKET_LAST);
	uint8_t op = jump_ops[pick(sizeof(jump_ops))];
	int offset = chance(60) ? 0x7fff : 1 + (int)pick(12);

	if (p >= 0 && e >= 0 && chance(60)) {
		unsigned dst = pick(10);

		if (chance(70) && (int)dst != e) {
			emit(BPF_ALU64 | BPF_MOV | BPF_SRC_REG, dst, (unsigned)p, 0, 0);
			emit(BPF_ALU64 | BPF_ADD, dst, 0, 0, (int32_t)pick(60));
			kind[dst] = PACKET;
			p = (int)dst;
		}
		if (chance(30)) {
			int swap = p;

			p = e;
			e = swap;
		}
		emit((uint8_t)(BPF_JMP | BPF_SRC_REG | op), (unsigned)p, (unsigned)e, offset, 0);
	} else if (a >= 0 && chance(50)) {
		emit((uint8_t)((chance(60) ? BPF_JMP : BPF_JMP32) | op), (unsigned)a, 0, offset, some_imm());
	} else if (a >= 0) {
		emit((uint8_t)((chance(60) ? BPF_JMP : BPF_JMP32) | op | BPF_SRC_REG), (unsigned)a, (unsigned)b, offset, 0);
	}
}

static void emit_any(void);

static void emit_loop(uint32_t end)
{
	unsigned counter = 6 + pick(4), times = 1 + pick(8);
	int step = chance(80) ? 1 : 1 << pick(4);
	uint32_t head;
	uint8_t class = chance(60) ? BPF_ALU64 : BPF_ALU, jump = class == BPF_ALU64 ? BPF_JMP : BPF_JMP32;

	emit(class | BPF_MOV, counter, 0, 0, 0);
	kind[counter] = A_NUMBER;
	head = insns;
	for (unsigned i = 2 + pick(8); i && insns < end; i--)
		emit_any();
	if (chance(90))
		emit(class | BPF_ADD, counter, 0, 0, step);
	emit((uint8_t)(jump | (chance(50) ? BPF_JNE : BPF_JLT)), counter, 0, (int)head - (int)insns - 1, (int32_t)times * step);
}

static void emit_call(uint32_t end)
{
	unsigned n = 1 + pick(EXO_CODE_CALL_COUNT - 1);

	(void)end;
	if (chance(50)) {
		emit(BPF_JMP | BPF_CALL, 0, BPF_CALL_LOCAL, 0, 0x7fffff);
	} else {
		const char *args = bpf_call_spec[n].args;

		for (unsigned i = 0; args[i]; i++) {
			int from = reg_of(args[i] == 'n' ? A_NUMBER : MEMORY);

			if (from >= 0)
				emit(BPF_ALU64 | BPF_MOV | BPF_SRC_REG, i + 1, (unsigned)from, 0, 0);
		}
		emit(BPF_JMP | BPF_CALL, 0, 0, 0, (int32_t)n);
	}
	for (unsigned i = 1; i <= 5; i++)
		kind[i] = NOTHING;
	kind[0] = A_NUMBER;
}

static unsigned nesting;

static void emit_any(void)
{
	switch (pick(16)) {
	case 0:			emit_number(pick(10)); break;
	case 1: case 2: case 3:	emit_alu(); break;
	case 4: case 5:		emit_address(); break;
	case 6: case 7: case 8:	emit_load(); break;
	case 9:	case 10:	emit_stack(); break;
	case 11:		emit_store(); break;
	case 12: case 13:	emit_jump(); break;
	case 14:
		if (nesting < 2 && chance(50)) {
			nesting++;
			emit_loop(INSNS_MAX - 40);
			nesting--;
		}
		break;
	default:
		if (chance(30))
			emit_call(0);
		break;
	}
}

static void emit_function(uint32_t end, bool first)
{
	uint32_t start = insns, leave;

	memset(kind, 0, sizeof(kind));
	memset(kept, 0, sizeof(kept));
	for (unsigned i = 1; i < (first ? 2 : 6); i++)
		kind[i] = first ? CONTEXT : A_NUMBER;
	if (first && use != EXO_USE_OWNER && chance(50)) {
		unsigned window = pick(5);

		emit(BPF_LDDW, 9, BPF_LDDW_WINDOW, 0, (int32_t)(window < 2 ? window : 0));
		emit(0, 0, 0, 0, 0);
		kind[9] = MEMORY;
	}
	if (first && chance(85)) {
		emit(BPF_ALU64 | BPF_MOV | BPF_SRC_REG, 6, 1, 0, 0);
		kind[6] = CONTEXT;
		if (use != EXO_USE_WAKE && chance(80)) {
			emit(BPF_LDX | BPF_MEM | BPF_DW, 7, 1, 0, 0);
			emit(BPF_LDX | BPF_MEM | BPF_DW, 8, 1, 8, 0);
			kind[7] = use == EXO_USE_OWNER ? BLOCK : PACKET;
			kind[8] = use == EXO_USE_OWNER ? BLOCK : PACKET_LAST;
		}
	}
	if (chance(70))
		emit_number(0);
	while (insns < end)
		emit_any();
	if (chance(60) || kind[0] != A_NUMBER)
		emit(BPF_ALU64 | BPF_MOV, 0, 0, 0, some_imm());
	leave = insns;
	emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (uint32_t i = start; i < insns; i++) {
		uint8_t class = BPF_CLASS(text[i].code);

		if (class != BPF_JMP && class != BPF_JMP32)
			continue;
		if (BPF_OP(text[i].code) == BPF_CALL || BPF_OP(text[i].code) == BPF_EXIT)
			continue;
		if (text[i].offset == 0x7fff && chance(70))
			text[i].offset = (int16_t)(leave - i - 1 - (leave > i + 1 && chance(50)));
		else if (text[i].offset >= 0)
			text[i].offset = (int16_t)(leave > i + 1 ? pick(leave - i - 1) : 0);
		text[i].offset = (int16_t)(text[i].offset + (text[i + 1 + text[i].offset].code == 0));
	}
}

static void emit_program(void)
{
	uint32_t start[3], functions = chance(30) ? 1 + pick(2) : 0;

	insns = 0;
	nesting = 0;
	use = 1 + pick(4);
	emit_function(5 + pick(chance(10) ? 200 : 50), true);
	for (uint32_t i = 0; i < functions; i++) {
		start[i] = insns;
		emit_function(insns + 3 + pick(15), false);
	}
	for (uint32_t i = 0, to = 0; i < insns; i++)
		if (text[i].code == (BPF_JMP | BPF_CALL) && text[i].imm == 0x7fffff) {
			if (functions && (i < start[0] || (functions > 1 && i < start[1] && chance(80))))
				text[i].imm = (int32_t)(start[i >= start[0] ? 1 : to++ % functions] - i - 1);
			else
				text[i] = (struct exo_insn){ BPF_ALU64 | BPF_MOV, 0, 0, 7 };
		}
	for (uint32_t i = 0; functions && insns > start[0]; i++) {	/* leave out functions that nobody calls */
		if (i == start[0])
			insns = start[0];
		else if (text[i].code == (BPF_JMP | BPF_CALL) && bpf_src(&text[i]))
			break;
	}
	if (chance(10)) {
		struct exo_insn *insn = &text[pick(insns)];

		switch (pick(4)) {
		case 0: insn->code ^= (uint8_t)(1u << pick(8)); break;
		case 1: insn->regs ^= (uint8_t)(1u << pick(8)); break;
		case 2: insn->offset ^= (int16_t)(1u << pick(12)); break;
		default: insn->imm ^= 1 << pick(31); break;
		}
	}
}

#endif
