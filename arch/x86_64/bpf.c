/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The compiler of downloaded code: machine code by templates, one instruction at a time, in two passes. The first finds
 * where each instruction's code begins, the second writes; both can stop after any instruction. Plain C, no kernel.h:
 * also built for the host. (RFC 9669; AMD64 Architecture Programmer's Manual, volume 3.)
 *
 * r0 to r5 are the C calling convention's result and arguments, r6 to r9 registers that C functions keep, so calls of
 * bpf_call[] need one move. r12 is the run, r9 to r11 are templates' own. The program's stack ends at run->top; on the
 * native one lie only return addresses and what local calls keep, out of reach for the program.
 *
 * X1 no more than 8 bits in a row of the code are the program's choice: immediates and displacements outside int8 are
 *    XORed with the key, another for each instruction (distances of jumps and charges are what the code's length makes
 *    of them); unless the key is 0
 * X2 both passes emit the same bytes but for distances of jumps: templates do not depend on `at`
 * X3 templates change nothing but dst, r9 to r11 and flags, and no flag lives from one instruction to the next
 * X4 no template is longer than TEMPLATE_BYTES
 * X5 at an instruction's start the native stack is aligned to 16: calls of C functions are plain calls
 */
#include "arch/x86_64/bpf_code.h"

static const uint8_t native[16] = { RAX, RDI, RSI, RDX, RCX, R8, RBX, R13, R14, R15, RBP };

#define TEMPLATE_BYTES	256
#define COST_ONE	100	/* instructions of the CPU's for one of the program's and pass, at most about ... */
#define COST_BYTE	10	/* ... and for each byte of its code */

/* --- the beginning of each program ---------------------------------------------------------------------------- */

#define LE32(n)	(n) & 0xff, (n) >> 8 & 0xff, (n) >> 16 & 0xff, (n) >> 24 & 0xff

#define ENTER_BYTES	28
#define LEAVE_BYTES	11
#define STOP_FUEL	(ENTER_BYTES + LEAVE_BYTES)
#define STOP_GUARD	(STOP_FUEL + 11)
#define MAIN		(STOP_GUARD + 20)	/* where instruction 0 begins */

static const uint8_t start[] = {
	0x55, 0x53,				/* push rbp, rbx */
	0x41, 0x54, 0x41, 0x55,			/* push r12, r13 */
	0x41, 0x56, 0x41, 0x57,			/* push r14, r15 */
	0x49, 0x89, 0xd4,			/* mov r12, rdx: the run */
	0x49, 0x89, 0x64, 0x24, BPF_RUN_NATIVE_SP,	/* mov [r12 + ], rsp */
	0x49, 0x8b, 0x6c, 0x24, BPF_RUN_TOP,	/* mov rbp, [r12 + ] */
	0xe8, LE32(MAIN - ENTER_BYTES),		/* call main */
	/* ENTER_BYTES: the end */
	0x41, 0x5f, 0x41, 0x5e,			/* pop r15, r14 */
	0x41, 0x5d, 0x41, 0x5c,			/* pop r13, r12 */
	0x5b, 0x5d, 0xc3,			/* pop rbx, rbp; ret */
	/* STOP_FUEL */
	0x41, 0xc7, 0x44, 0x24, BPF_RUN_STOP, LE32(BPF_STOP_FUEL),	/* mov dword [r12 + ], */
	0xeb, 9,				/* jmp over the next */
	/* STOP_GUARD */
	0x41, 0xc7, 0x44, 0x24, BPF_RUN_STOP, LE32(BPF_STOP_GUARD),
	0x49, 0x8b, 0x64, 0x24, BPF_RUN_NATIVE_SP,	/* mov rsp, [r12 + ] */
	0x48, 0x83, 0xc8, 0xff,			/* or rax, -1: EXO_CODE_STOPPED */
	0xeb, 0x100 - (MAIN - ENTER_BYTES),	/* jmp the end */
};
_Static_assert(sizeof(start) == MAIN, "distances of `start`");

/* Instruction-set mode: registers that nobody has set are 0. */
static const uint8_t start_plain[] = {
	0x31, 0xc0, 0x31, 0xd2, 0x31, 0xc9,	/* xor eax, edx, ecx */
	0x45, 0x31, 0xc0, 0x31, 0xdb,		/* xor r8d, ebx */
	0x45, 0x31, 0xed, 0x45, 0x31, 0xf6, 0x45, 0x31, 0xff,	/* xor r13d, r14d, r15d */
};

/* --- constants ------------------------------------------------------------------------------------------------ */

/* reg = imm, sign-extended if wide. */
static void set(struct code *c, uint32_t wide, unsigned reg, int32_t imm)
{
	uint32_t key = (uint32_t)c->key;

	if (is_open(c, imm)) {
		put_rr(c, (imm < 0 ? wide : 0) | 0xc7, 0, reg);
		put_32(c, (uint32_t)imm);
		return;
	}
	put_rr(c, wide | 0xc7, 0, reg);
	put_32(c, (uint32_t)imm ^ key);
	if (!c->key)
		return;
	put_rr(c, wide | 0x81, 6, reg);
	put_32(c, key);
}

static void set_64(struct code *c, unsigned reg, uint64_t number)
{
	if ((int64_t)number == (int32_t)number) {
		set(c, WIDE, reg, (int32_t)number);
		return;
	}
	put_op(c, WIDE | 0xb8 | (reg & 7), 0, 0, reg);
	put_64(c, number ^ c->key);
	if (c->key == 0)
		return;
	put_op(c, WIDE | 0xb8 | (R10 & 7), 0, 0, R10);
	put_64(c, c->key);
	put_rr(c, WIDE | 0x31, R10, reg);
}

/* --- arithmetic ----------------------------------------------------------------------------------------------- */

/* By BPF_OP: register to register; and /n with an immediate of 8 bits. */
static const uint8_t alu_rr[16] = {
	[BPF_ADD >> 4] = 0x01, [BPF_SUB >> 4] = 0x29, [BPF_OR >> 4] = 0x09, [BPF_AND >> 4] = 0x21,
	[BPF_XOR >> 4] = 0x31,
};
static const uint8_t alu_ri[16] = {
	[BPF_ADD >> 4] = 0, [BPF_SUB >> 4] = 5, [BPF_OR >> 4] = 1, [BPF_AND >> 4] = 4, [BPF_XOR >> 4] = 6,
};
/* Shifts: /n. */
static const uint8_t shift_n[16] = {
	[BPF_LSH >> 4] = 4, [BPF_RSH >> 4] = 5, [BPF_ARSH >> 4] = 7,
};

/* The second operand in a register: its own, or `scratch` with the immediate. */
static unsigned operand(struct code *c, uint32_t wide, const struct exo_insn *insn, unsigned scratch)
{
	if (insn->code & BPF_SRC_REG)
		return native[bpf_src(insn)];
	set(c, wide, scratch, insn->imm);
	return scratch;
}

static void compile_move(struct code *c, uint32_t wide, const struct exo_insn *insn, unsigned dst)
{
	unsigned src = native[bpf_src(insn)];

	if (!(insn->code & BPF_SRC_REG))
		set(c, wide, dst, insn->imm);
	else if (insn->offset == 0)
		move(c, wide, dst, src);
	else if (insn->offset == 32)
		put_rr(c, WIDE | 0x63, dst, src);
	else
		put_rr(c, wide | BYTE | (insn->offset == 8 ? 0x0fbe : 0x0fbf), dst, src);
}

/* The count has to be in cl, which is r4. */
static void compile_shift(struct code *c, uint32_t wide, const struct exo_insn *insn, unsigned dst)
{
	unsigned n = shift_n[BPF_OP(insn->code) >> 4], src = native[bpf_src(insn)];
	unsigned shifted = dst == RCX ? R11 : dst;

	if (!(insn->code & BPF_SRC_REG)) {
		put_rr(c, wide | 0xc1, n, dst);
		put(c, (unsigned)insn->imm & (wide ? 63 : 31));
		return;
	}
	if (src == RCX) {
		put_rr(c, wide | 0xd3, n, dst);
		return;
	}
	move(c, WIDE, R11, RCX);
	move(c, WIDE, RCX, src);
	put_rr(c, wide | 0xd3, n, shifted);
	move(c, WIDE, RCX, R11);
}

static void compile_swap(struct code *c, const struct exo_insn *insn, unsigned dst)
{
	bool swap = BPF_CLASS(insn->code) == BPF_ALU64 || insn->code & BPF_SRC_REG;

	if (insn->imm == 16) {
		if (swap) {
			put_rr(c, SHORT | 0xc1, 0, dst);	/* rol dst, 8 */
			put(c, 8);
		}
		put_rr(c, 0x0fb7, dst, dst);
	} else if (swap) {
		put_op(c, (insn->imm == 64 ? WIDE : 0) | 0x0fc8 | (dst & 7), 0, 0, dst);
	} else if (insn->imm == 32) {
		move(c, 0, dst, dst);
	}
}

/*
 * The machine divides rdx:rax and traps at 0 and at an overflow, which is only the least number by -1.
 * By 0: the quotient is 0, which is what r11 holds then; the remainder is dst. By -1: 0 - dst, and 0.
 */
static void compile_divide(struct code *c, uint32_t wide, const struct exo_insn *insn, unsigned dst)
{
	bool quotient = BPF_OP(insn->code) == BPF_DIV, is_signed = insn->offset == 1;
	bool known = !(insn->code & BPF_SRC_REG);
	uint8_t *zero = NULL, *minus = NULL, *other = NULL;

	if (operand(c, wide, insn, R11) != R11)
		move(c, wide, R11, native[bpf_src(insn)]);
	if (!wide && !quotient)
		move(c, 0, dst, dst);
	if (!known || insn->imm == 0) {
		put_rr(c, wide | 0x85, R11, R11);	/* test */
		zero = skip(c, CC_E);
	}
	if (is_signed && (!known || insn->imm == -1)) {
		put_ri(c, wide, 7, R11, -1);		/* cmp */
		other = skip(c, CC_NE);
		if (quotient)
			put_rr(c, wide | 0xf7, 3, dst);	/* neg */
		else
			put_rr(c, 0x31, dst, dst);
		minus = skip_always(c);
		land(c, other);
	}
	if (dst != RAX)
		move(c, WIDE, R9, RAX);
	if (dst != RDX)
		move(c, WIDE, R10, RDX);
	move(c, WIDE, RAX, dst);
	if (is_signed)
		put_op(c, wide | 0x99, 0, 0, 0);	/* cqo, cdq */
	else
		put_rr(c, 0x31, RDX, RDX);
	put_rr(c, wide | 0xf7, is_signed ? 7 : 6, R11);
	move(c, WIDE, R11, quotient ? RAX : RDX);
	if (dst != RDX)
		move(c, WIDE, RDX, R10);
	if (dst != RAX)
		move(c, WIDE, RAX, R9);
	if (quotient)
		land(c, zero);
	move(c, WIDE, dst, R11);
	if (!quotient)
		land(c, zero);
	land(c, minus);
}

static void compile_alu(struct code *c, const struct exo_insn *insn)
{
	uint32_t wide = BPF_CLASS(insn->code) == BPF_ALU64 ? WIDE : 0;
	unsigned op = BPF_OP(insn->code), dst = native[bpf_dst(insn)];
	bool open = !(insn->code & BPF_SRC_REG) && is_open(c, insn->imm);

	switch (op) {
	case BPF_MOV:
		compile_move(c, wide, insn, dst);
		break;
	case BPF_LSH:
	case BPF_RSH:
	case BPF_ARSH:
		compile_shift(c, wide, insn, dst);
		break;
	case BPF_END:
		compile_swap(c, insn, dst);
		break;
	case BPF_NEG:
		put_rr(c, wide | 0xf7, 3, dst);
		break;
	case BPF_DIV:
	case BPF_MOD:
		compile_divide(c, wide, insn, dst);
		break;
	case BPF_MUL:
		put_rr(c, wide | 0x0faf, dst, operand(c, wide, insn, R10));
		break;
	default:
		if (open)
			put_ri(c, wide, alu_ri[op >> 4], dst, insn->imm);
		else
			put_rr(c, wide | alu_rr[op >> 4], operand(c, wide, insn, R10), dst);
	}
}

/* --- jumps and calls ------------------------------------------------------------------------------------------ */

static const uint8_t condition[16] = {
	[BPF_JEQ >> 4] = CC_E, [BPF_JNE >> 4] = CC_NE, [BPF_JSET >> 4] = CC_NE,
	[BPF_JGT >> 4] = CC_A, [BPF_JGE >> 4] = CC_AE, [BPF_JLT >> 4] = CC_B, [BPF_JLE >> 4] = CC_BE,
	[BPF_JSGT >> 4] = CC_G, [BPF_JSGE >> 4] = CC_GE, [BPF_JSLT >> 4] = CC_L, [BPF_JSLE >> 4] = CC_LE,
};

static unsigned window_base(unsigned window)
{
	return BPF_RUN_WINDOW + window * (unsigned)sizeof(struct bpf_window);
}

/* Where an instruction's code begins; what is none leads to the end of the run. */
static uint32_t target(const struct code *c, uint32_t insn)
{
	if (insn >= c->compile->program->insns)
		return STOP_GUARD;
	return c->compile->pass ? c->compile->at[insn] : 0;
}

/* Fuel for what comes after a jump or call. */
static void compile_charge(struct code *c, unsigned charge)
{
	if (charge == 0)
		return;
	put_rm(c, WIDE | 0x81, 5, in_run(BPF_RUN_FUEL));
	put_32(c, charge);
	jump_if(c, CC_S, STOP_FUEL);
}

static void compile_call(struct code *c, const struct exo_insn *insn, uint32_t number, unsigned charge)
{
	/* push rbp, rbx, r13 to r15; and back */
	static const uint8_t keep[] = { 0x55, 0x53, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57 };
	static const uint8_t kept[] = { 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x5b, 0x5d };

	if (bpf_src(insn) != BPF_CALL_LOCAL) {
		move(c, WIDE, R9, RUN);
		put_op(c, WIDE | 0xb8 | (R11 & 7), 0, 0, R11);
		put_64(c, (uintptr_t)bpf_called(c->compile->program, insn->imm));
		put_rr(c, 0xff, 2, R11);			/* call r11 */
		put_rm(c, WIDE | 0x83, 7, in_run(BPF_RUN_FUEL));	/* cmp: could it pay? */
		put(c, 0);
		jump_if(c, CC_S, STOP_FUEL);
		return;
	}
	compile_charge(c, charge);
	if (c->compile->program->use == BPF_USE_PLAIN) {	/* nobody has looked how deep calls go */
		put_rm(c, WIDE | 0x8d, R11, (struct place){ RBP, NONE, -2 * EXO_CODE_STACK });
		put_rm(c, WIDE | 0x3b, R11, in_run(window_base(EXO_WINDOW_STACK)));
		jump_if(c, CC_B, STOP_FUEL);
	}
	put_all(c, keep, sizeof(keep));
	put_rr(c, WIDE | 0x81, 5, RBP);
	put_32(c, EXO_CODE_STACK);
	put(c, 0xe8);
	put_distance(c, target(c, number + 1 + (uint32_t)insn->imm));
	put_all(c, kept, sizeof(kept));
}

static void compare(struct code *c, const struct exo_insn *insn)
{
	uint32_t wide = BPF_CLASS(insn->code) == BPF_JMP ? WIDE : 0;
	unsigned dst = native[bpf_dst(insn)];
	bool bits = BPF_OP(insn->code) == BPF_JSET;

	if (insn->code & BPF_SRC_REG || !is_open(c, insn->imm)) {
		put_rr(c, wide | (bits ? 0x85 : 0x39), operand(c, wide, insn, R10), dst);
	} else if (bits) {
		put_rr(c, wide | 0xf7, 0, dst);			/* test */
		put_32(c, (uint32_t)insn->imm);
	} else {
		put_ri(c, wide, 7, dst, insn->imm);
	}
}

static void compile_jump(struct code *c, const struct exo_insn *insn, uint32_t number, unsigned charge)
{
	bool always = BPF_OP(insn->code) == BPF_JA, far = always && BPF_CLASS(insn->code) == BPF_JMP32;
	uint32_t to = target(c, number + 1 + (uint32_t)(far ? insn->imm : insn->offset));
	unsigned holds = condition[BPF_OP(insn->code) >> 4];
	uint8_t *not = NULL;

	if (!always) {
		compare(c, insn);
		if (charge == 0) {
			jump_if(c, holds, to);
			return;
		}
		not = skip(c, holds ^ 1);
	}
	compile_charge(c, charge);
	put(c, 0xe9);
	put_distance(c, to);
	land(c, not);
}

/* --- memory --------------------------------------------------------------------------------------------------- */

/* By BPF_SIZE >> 3. */
static const uint32_t load_op[4] = { 0x8b, 0x0fb7, 0x0fb6, WIDE | 0x8b };
static const uint32_t load_signed_op[4] = { WIDE | 0x63, WIDE | 0x0fbf, WIDE | 0x0fbe, WIDE | 0x8b };
static const uint32_t store_op[4] = { 0x89, SHORT | 0x89, BYTE | 0x88, WIDE | 0x89 };

/*
 * Register r11 holds the address. Its distance from the window's start, plus the width, is at most the window's; no bytes
 * are so many as a sum that wrapped is made to be. A CPU that runs ahead past the jump has no address there: 0 or -1.
 */
static void compile_guard(struct code *c, unsigned window, unsigned width)
{
	move(c, WIDE, R10, R11);
	put_rm(c, WIDE | 0x2b, R10, in_run(window_base(window)));	/* sub */
	put_ri(c, WIDE, 0, R10, (int)width);			/* add */
	put_rr(c, WIDE | 0x19, R9, R9);				/* sbb */
	put_rr(c, WIDE | 0x09, R9, R10);			/* or */
	put_rm(c, WIDE | 0x39, R10, in_run(window_base(window) + 8));	/* cmp: the window's with it */
	jump_if(c, CC_B, STOP_GUARD);
	put_rr(c, WIDE | 0x0f42, R11, R9);			/* cmovb */
}

/* Register r11 holds the address: note in `seen` the pieces in which the first and the last byte lie. */
static void compile_observe(struct code *c, unsigned window, unsigned width)
{
	put_rm(c, WIDE | 0x8b, R9, in_run(BPF_RUN_SEEN));
	for (unsigned last = 0; ; last = width - 1) {
		put_rm(c, WIDE | 0x8d, R10, (struct place){ R11, NONE, (int32_t)last });
		put_rm(c, WIDE | 0x2b, R10, in_run(window_base(window)));
		put_rr(c, WIDE | 0xc1, 5, R10);			/* shr */
		put(c, BPF_SEEN_SHIFT);
		put_rr(c, WIDE | 0x0fab, R10, R9);			/* bts */
		if (last == width - 1)
			break;
	}
	put_rm(c, WIDE | 0x89, R9, in_run(BPF_RUN_SEEN));
}

/* Where an access goes: its base and offset, or r11 if something is to be done with the address first. */
static struct place locate(struct code *c, const struct exo_insn *insn, const struct bpf_note *note, bool whole)
{
	bool load = BPF_CLASS(insn->code) == BPF_LDX;
	struct place at = { native[load ? bpf_src(insn) : bpf_dst(insn)], NONE, insn->offset };

	if (!is_open(c, insn->offset)) {
		set(c, WIDE, R10, insn->offset);
		at.index = R10;
		at.offset = 0;
	}
	if (!whole && !(note->flags & (BPF_NOTE_GUARD | BPF_NOTE_OBSERVE)))
		return at;
	put_rm(c, WIDE | 0x8d, R11, at);				/* lea */
	if (note->flags & BPF_NOTE_GUARD)
		compile_guard(c, note->window, bpf_width(insn->code));
	if (note->flags & BPF_NOTE_OBSERVE && load)
		compile_observe(c, note->window, bpf_width(insn->code));
	return (struct place){ R11, NONE, 0 };
}

static void compile_store_imm(struct code *c, const struct exo_insn *insn, const struct bpf_note *note)
{
	unsigned size = BPF_SIZE(insn->code) >> 3;
	struct place at = locate(c, insn, note, false);

	set(c, WIDE, R9, insn->imm);
	put_rm(c, store_op[size], R9, at);
}

/* Atomic or, and, xor with what was there before: there is no such instruction. r11 holds the address. */
static void compile_fetch(struct code *c, uint32_t wide, unsigned op, unsigned src)
{
	const struct place at = { R11, NONE, 0 };
	uint8_t *again;

	move(c, WIDE, R9, RAX);
	put_rm(c, wide | 0x8b, RAX, at);
	again = c->next;
	move(c, WIDE, R10, RAX);
	put_rr(c, wide | alu_rr[op >> 4], src == RAX ? R9 : src, R10);
	put_rm(c, wide | LOCK | 0x0fb1, R10, at);			/* cmpxchg */
	put(c, 0x70 | CC_NE);
	put(c, (unsigned)(again - c->next - 1) & 0xff);
	move(c, WIDE, src, RAX);
	if (src != RAX)
		move(c, WIDE, RAX, R9);
}

static void compile_atomic(struct code *c, const struct exo_insn *insn, const struct bpf_note *note)
{
	uint32_t wide = BPF_SIZE(insn->code) == BPF_DW ? WIDE : 0;
	unsigned src = native[bpf_src(insn)], op = insn->imm & 0xf0;
	bool fetch = insn->imm & BPF_FETCH, loop = fetch && (op == BPF_OR || op == BPF_AND || op == BPF_XOR);
	struct place at = locate(c, insn, note, loop);

	if (insn->imm == BPF_CMPXCHG) {
		put_rm(c, wide | LOCK | 0x0fb1, src, at);
		if (!wide)
			move(c, 0, RAX, RAX);
	} else if (insn->imm == BPF_XCHG) {
		put_rm(c, wide | 0x87, src, at);
	} else if (loop) {
		compile_fetch(c, wide, op, src);
	} else {
		put_rm(c, wide | LOCK | (fetch ? 0x0fc1 : alu_rr[op >> 4]), src, at);
	}
}

static void compile_memory(struct code *c, const struct exo_insn *insn, const struct bpf_note *note)
{
	unsigned size = BPF_SIZE(insn->code) >> 3;

	if (BPF_CLASS(insn->code) == BPF_ST)
		compile_store_imm(c, insn, note);
	else if (BPF_MODE(insn->code) == BPF_ATOMIC)
		compile_atomic(c, insn, note);
	else if (BPF_CLASS(insn->code) == BPF_STX)
		put_rm(c, store_op[size], native[bpf_src(insn)], locate(c, insn, note, false));
	else
		put_rm(c, BPF_MODE(insn->code) == BPF_MEMSX ? load_signed_op[size] : load_op[size],
		       native[bpf_dst(insn)], locate(c, insn, note, false));
}

static void compile_lddw(struct code *c, const struct exo_insn *insn)
{
	unsigned dst = native[bpf_dst(insn)];

	if (bpf_src(insn) != BPF_LDDW_WINDOW) {
		set_64(c, dst, (uint64_t)(uint32_t)insn[1].imm << 32 | (uint32_t)insn->imm);
		return;
	}
	put_rm(c, WIDE | 0x8b, dst, in_run(window_base((unsigned)insn->imm)));
	if (insn[1].imm == 0)
		return;
	set(c, 0, R10, insn[1].imm);
	put_rr(c, WIDE | 0x01, R10, dst);
}

/* --- a program ------------------------------------------------------------------------------------------------ */

static void compile_one(struct code *c, uint32_t number)
{
	const struct exo_insn *insn = &c->compile->program->insn[number];
	const struct bpf_note *note = &c->compile->program->note[number];

	if (!(note->flags & BPF_NOTE_REACHED) && c->compile->program->use != BPF_USE_PLAIN) {
		put(c, 0xe9);
		put_distance(c, STOP_GUARD);
		return;
	}
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		compile_alu(c, insn);
		break;
	case BPF_JMP:
	case BPF_JMP32:
		if (BPF_OP(insn->code) == BPF_EXIT)
			put(c, 0xc3);
		else if (BPF_OP(insn->code) == BPF_CALL)
			compile_call(c, insn, number, note->charge);
		else
			compile_jump(c, insn, number, note->charge);
		break;
	case BPF_LD:
		compile_lddw(c, insn);
		break;
	default:
		compile_memory(c, insn, note);
	}
}

void arch_bpf_compile_begin(struct bpf_compile *compile)
{
	compile->bytes = 0;
	compile->next = 0;
	compile->pass = 0;
}

int arch_bpf_compile_step(struct bpf_compile *compile, unsigned budget)
{
	const struct bpf_program *program = compile->program;
	uint8_t unused[TEMPLATE_BYTES];

	for (size_t spent = 0; spent <= budget; spent += COST_ONE) {
		uint32_t number = compile->next;
		struct code c = { .offset = (uint32_t)compile->bytes, .compile = compile };

		c.key = compile->key * (2 * (uint64_t)number + 1);
		c.begin = compile->pass ? compile->out + c.offset : unused;
		c.next = c.begin;
		if (number == program->insns) {
			compile->at[number] = (uint32_t)compile->bytes;
			if (compile->pass)
				return 0;
			if (compile->bytes > compile->room)
				return -1;
			compile->pass = 1;
			compile->next = 0;
			compile->bytes = 0;
			continue;
		}
		if (number == 0) {
			put_all(&c, start, sizeof(start));
			if (program->use == BPF_USE_PLAIN)
				put_all(&c, start_plain, sizeof(start_plain));
			compile->bytes = (size_t)(c.next - c.begin);
		}
		compile->at[number] = (uint32_t)compile->bytes;
		compile_one(&c, number);
		compile->bytes = c.offset + (size_t)(c.next - c.begin);
		compile->next = number + 1;
		spent += COST_BYTE * (compile->bytes - c.offset);
		if (program->insn[number].code == BPF_LDDW && number + 1 < program->insns) {
			compile->next++;
			compile->at[number + 1] = (uint32_t)compile->bytes;
		}
	}
	return 1;
}
