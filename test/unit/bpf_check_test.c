/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier, case by case: each reason for which it rejects, with instruction and register; each class of
 * instructions; loops, calls, stack, lengths of packets, ways that meet; that it can stop anywhere, and fails for lack
 * of memory only in the way it says; and what a person reads of it.
 */
#include <stdlib.h>

#include "exo/bpf.h"
#include "libos/core/code_report.h"
#include "test/unit/tap.h"

#define I(code, dst, src, offset, imm)	((struct exo_insn){ (code), (uint8_t)((dst) | (src) << 4), (offset), (int32_t)(imm) })
#define MOV(dst, imm)		I(BPF_ALU64 | BPF_MOV, dst, 0, 0, imm)
#define MOVX(dst, src)		I(BPF_ALU64 | BPF_MOV | BPF_SRC_REG, dst, src, 0, 0)
#define K(op, dst, imm)		I(BPF_ALU64 | BPF_##op, dst, 0, 0, imm)
#define X(op, dst, src)		I(BPF_ALU64 | BPF_##op | BPF_SRC_REG, dst, src, 0, 0)
#define K32(op, dst, imm)	I(BPF_ALU | BPF_##op, dst, 0, 0, imm)
#define X32(op, dst, src)	I(BPF_ALU | BPF_##op | BPF_SRC_REG, dst, src, 0, 0)
#define LDDW(dst, low, high)	I(BPF_LDDW, dst, 0, 0, low), I(0, 0, 0, 0, high)
#define WINDOW(dst, w, offset)	I(BPF_LDDW, dst, BPF_LDDW_WINDOW, 0, w), I(0, 0, 0, 0, offset)
#define LD(size, dst, src, o)	I(BPF_LDX | BPF_MEM | BPF_##size, dst, src, o, 0)
#define ST(size, dst, src, o)	I(BPF_STX | BPF_MEM | BPF_##size, dst, src, o, 0)
#define STI(size, dst, o, imm)	I(BPF_ST | BPF_MEM | BPF_##size, dst, 0, o, imm)
#define ATOMIC(size, dst, src, o, op)	I(BPF_STX | BPF_ATOMIC | BPF_##size, dst, src, o, op)
#define J(op, dst, imm, to)	I(BPF_JMP | BPF_##op, dst, 0, to, imm)
#define JX(op, dst, src, to)	I(BPF_JMP | BPF_##op | BPF_SRC_REG, dst, src, to, 0)
#define J32(op, dst, imm, to)	I(BPF_JMP32 | BPF_##op, dst, 0, to, imm)
#define CALL(function)		I(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define LOCAL(distance)		I(BPF_JMP | BPF_CALL, 0, 1, 0, distance)
#define EXIT			I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define RET(n)			MOV(0, n), EXIT

#define PACKET	EXO_USE_PACKET
#define WAKE	EXO_USE_WAKE
#define OWNER	EXO_USE_OWNER
#define FILTER	BPF_USE_FILTER

static struct bpf_note note[EXO_INSNS_MAX];
static struct exo_code_report report;
static struct bpf_program program;
static uint32_t fuel = 4096;
static size_t work_bytes;
static unsigned budget = 1000000;

/* Windows 0 (writable) and 1 (not) of a page. */
static int check(uint32_t use, const struct exo_insn *insn, uint32_t insns)
{
	size_t bytes = work_bytes ? work_bytes : bpf_check_bytes(insns);
	void *work = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	struct bpf_check *state;
	int result;

	memset(note, 0xff, sizeof(note));
	program = (struct bpf_program){
		.insn = insn, .insns = insns, .use = use, .note = note, .data_bytes = 40, .fuel = fuel,
		.window_bytes = { 4096, 4096 }, .window_write = 1,
	};
	state = bpf_check_begin(&program, work, bytes);
	do
		result = state ? bpf_check_step(state, budget, &report) : -2;
	while (result > 0);
	free(work);
	return result;
}

static void rejected(const char *name, uint32_t use, const struct exo_insn *insn, uint32_t insns, uint32_t reject, uint32_t at,
    uint32_t reg)
{
	char text[1000];
	int result = check(use, insn, insns);

	if (!ok(result == -1 && report.reject == reject && report.insn == at && report.reg == reg, "rejected: %s", name)) {
		code_report(text, sizeof(text), &report, insn, insns);
		printf("# result %d, reason %u at %u r%u; %s", result, report.reject, report.insn, report.reg, text);
	}
}

static void accepted(const char *name, uint32_t use, const struct exo_insn *insn, uint32_t insns, uint32_t guarded)
{
	char text[1000];
	int result = check(use, insn, insns);

	if (!ok(result == 0 && report.guarded == guarded, "%s%s", name, guarded ? " (guarded)" : "")) {
		code_report(text, sizeof(text), &report, insn, insns);
		printf("# result %d; %s", result, text);
	}
}

#define TEXT(...)	(const struct exo_insn[]){ __VA_ARGS__ }, sizeof((struct exo_insn[]){ __VA_ARGS__ }) / sizeof(struct exo_insn)
#define REJECT(name, use, reason, at, reg, ...)	rejected(name, use, TEXT(__VA_ARGS__), EXO_REJECT_##reason, at, reg)
#define ACCEPT(name, use, ...)			accepted(name, use, TEXT(__VA_ARGS__), 0)
#define GUARDED(name, use, n, ...)		accepted(name, use, TEXT(__VA_ARGS__), n)

/* r2 = first byte, r3 = end of the packet */
#define LENGTHS	LD(DW, 2, 1, 0), LD(DW, 3, 1, 8)

static void structure(void)
{
	REJECT("no such use", 9, HEADER, 0, 0, RET(0));
	REJECT("code 0", PACKET, OPCODE, 0, 0, I(0, 0, 0, 0, 0), RET(0));
	REJECT("legacy packet load", PACKET, OPCODE, 0, 0, I(0x20, 0, 0, 0, 0), RET(0));
	REJECT("lddw of an unknown kind", PACKET, OPCODE, 0, 0, I(BPF_LDDW, 0, 1, 0, 0), I(0, 0, 0, 0, 0), RET(0));
	REJECT("half of lddw", PACKET, OPCODE, 0, 0, I(BPF_LDDW, 0, 0, 0, 0));
	REJECT("lddw with a wrong second half", PACKET, OPCODE, 0, 0, I(BPF_LDDW, 0, 0, 0, 0), RET(0));
	REJECT("imm of mov by register", PACKET, OPCODE, 0, 0, I(BPF_ALU64 | BPF_MOV | BPF_SRC_REG, 0, 1, 0, 1), RET(0));
	REJECT("source of mov by imm", PACKET, OPCODE, 0, 0, I(BPF_ALU64 | BPF_MOV, 0, 1, 0, 1), RET(0));
	REJECT("offset of add", PACKET, OPCODE, 1, 0, MOV(0, 0), I(BPF_ALU64 | BPF_ADD, 0, 0, 1, 1), RET(0));
	REJECT("mov with sign from imm", PACKET, OPCODE, 0, 0, I(BPF_ALU64 | BPF_MOV, 0, 0, 8, 1), RET(0));
	REJECT("32-bit mov with sign from 32", PACKET, OPCODE, 0, 0, I(BPF_ALU | BPF_MOV | BPF_SRC_REG, 0, 1, 32, 0), RET(0));
	REJECT("div with offset 2", PACKET, OPCODE, 0, 0, I(BPF_ALU | BPF_DIV, 0, 0, 2, 1), RET(0));
	REJECT("swap of 8 bits", PACKET, OPCODE, 0, 0, I(BPF_ALU | BPF_END, 0, 0, 0, 8), RET(0));
	REJECT("64-bit swap by register", PACKET, OPCODE, 0, 0, I(BPF_ALU64 | BPF_END | BPF_SRC_REG, 0, 0, 0, 64), RET(0));
	REJECT("neg by register", PACKET, OPCODE, 0, 0, I(BPF_ALU | BPF_NEG | BPF_SRC_REG, 0, 0, 0, 0), RET(0));
	REJECT("operation 0xe0", PACKET, OPCODE, 0, 0, I(BPF_ALU | 0xe0, 0, 0, 0, 0), RET(0));
	REJECT("64-bit load with sign", PACKET, OPCODE, 0, 0, I(BPF_LDX | BPF_MEMSX | BPF_DW, 0, 1, 0, 0), RET(0));
	REJECT("imm of a load", PACKET, OPCODE, 0, 0, I(BPF_LDX | BPF_MEM | BPF_DW, 0, 1, 16, 1), RET(0));
	REJECT("source of a store by imm", PACKET, OPCODE, 0, 0, I(BPF_ST | BPF_MEM | BPF_DW, 10, 1, -8, 1), RET(0));
	REJECT("atomic of 16 bits", PACKET, OPCODE, 0, 0, ATOMIC(H, 10, 1, -8, BPF_ADD), RET(0));
	REJECT("atomic operation 0x10", PACKET, OPCODE, 0, 0, ATOMIC(W, 10, 1, -8, 0x10), RET(0));
	REJECT("exchange without fetch", PACKET, OPCODE, 0, 0, ATOMIC(W, 10, 1, -8, 0xe0), RET(0));
	REJECT("call by register", PACKET, OPCODE, 0, 0, I(BPF_JMP | BPF_CALL | BPF_SRC_REG, 0, 0, 0, 1), RET(0));
	REJECT("call of kind 2", PACKET, OPCODE, 0, 0, I(BPF_JMP | BPF_CALL, 0, 2, 0, 1), RET(0));
	REJECT("32-bit exit", PACKET, OPCODE, 1, 0, MOV(0, 0), I(BPF_JMP32 | BPF_EXIT, 0, 0, 0, 0));
	REJECT("exit with imm", PACKET, OPCODE, 1, 0, MOV(0, 0), I(BPF_JMP | BPF_EXIT, 0, 0, 0, 1));
	REJECT("jump by imm", PACKET, OPCODE, 0, 0, I(BPF_JMP | BPF_JA, 0, 0, 0, 1), RET(0));
	REJECT("32-bit jump by offset", PACKET, OPCODE, 0, 0, I(BPF_JMP32 | BPF_JA, 0, 0, 1, 0), RET(0));
	REJECT("source of a jump by imm", PACKET, OPCODE, 0, 0, I(BPF_JMP | BPF_JEQ, 1, 1, 0, 0), RET(0));
	REJECT("register 11", PACKET, REGISTER, 0, 0, MOV(11, 0), RET(0));
	REJECT("source register 12", PACKET, REGISTER, 0, 0, MOVX(0, 12), RET(0));
	REJECT("r10 is written", PACKET, REGISTER, 0, 0, K(ADD, 10, 8), RET(0));
	REJECT("r10 is fetched into", PACKET, REGISTER, 0, 0, ATOMIC(DW, 1, 10, 0, BPF_XCHG), RET(0));
	REJECT("r10 is loaded", PACKET, REGISTER, 0, 0, LD(DW, 10, 1, 16), RET(0));
	REJECT("jump before the program", PACKET, JUMP, 0, 0, J(JA, 0, 0, -2), RET(0));
	REJECT("jump behind the program", PACKET, JUMP, 0, 0, J(JEQ, 1, 0, 2), RET(0));
	REJECT("far jump behind the program", PACKET, JUMP, 0, 0, I(BPF_JMP32 | BPF_JA, 0, 0, 0, 0x7fffffff), RET(0));
	REJECT("jump into lddw", PACKET, JUMP, 0, 0, J(JEQ, 1, 0, 1), LDDW(0, 1, 0), EXIT);
	REJECT("jump into another function", PACKET, JUMP, 1, 0, LOCAL(2), J(JEQ, 0, 0, 2), EXIT, MOV(0, 1), EXIT);
	REJECT("call into lddw", PACKET, CALL, 4, 0, LOCAL(3), RET(0), LDDW(0, 1, 0), EXIT);
	REJECT("call behind the program", PACKET, CALL, 0, 0, LOCAL(9), RET(0));
	REJECT("call far before the program", PACKET, CALL, 0, 0, LOCAL(INT32_MIN), RET(0));
	REJECT("the end is no end", PACKET, END, 0, 0, MOV(0, 0));
	REJECT("lddw at the end", PACKET, END, 0, 0, LDDW(0, 0x95, 0x95));
	REJECT("a function runs into the next", PACKET, END, 1, 0, LOCAL(1), MOV(0, 0), RET(0));
	REJECT("behind exit", PACKET, UNREACHED, 2, 0, RET(0), RET(1));
	REJECT("a function that is not called", PACKET, UNREACHED, 3, 0, J(JA, 0, 0, 0), RET(0), RET(1));
	REJECT("main calls itself", PACKET, RECURSION, 0, 0, LOCAL(-1), RET(0));
	REJECT("two functions call each other", PACKET, RECURSION, 3, 0, LOCAL(2), RET(0), LOCAL(1), EXIT, LOCAL(-3), EXIT);
	REJECT("nine functions deep", PACKET, RECURSION, 14, 0, LOCAL(1), EXIT, LOCAL(1), EXIT, LOCAL(1), EXIT, LOCAL(1), EXIT,
	    LOCAL(1), EXIT, LOCAL(1), EXIT, LOCAL(1), EXIT, LOCAL(1), EXIT, RET(0));
	ACCEPT("eight functions deep", PACKET, LOCAL(1), EXIT, LOCAL(1), EXIT, LOCAL(1), EXIT, LOCAL(1), EXIT,
	    LOCAL(1), EXIT, LOCAL(1), EXIT, LOCAL(1), EXIT, RET(0));
	is_int(report.depth, 8, "its depth");
	fuel = 1;
	REJECT("more instructions than fuel", PACKET, FUEL, 0, 0, RET(0));
	fuel = 4096;
}

static void registers(void)
{
	REJECT("r0 is not set", PACKET, UNSET, 0, 0, EXIT);
	REJECT("r2 is not set at the start", PACKET, UNSET, 0, 2, MOVX(0, 2), EXIT);
	REJECT("set on one way only", PACKET, UNSET, 3, 0, LD(W, 2, 1, 16), J(JEQ, 2, 5, 1), MOV(0, 1), EXIT);
	REJECT("r1 after a call", PACKET, UNSET, 1, 1, CALL(EXO_CODE_CALL_time), MOVX(0, 1), EXIT);
	REJECT("r1 after a local call", PACKET, UNSET, 1, 1, LOCAL(2), MOVX(0, 1), EXIT, RET(1));
	REJECT("r6 of the caller", PACKET, UNSET, 3, 6, MOV(6, 1), LOCAL(1), EXIT, MOVX(0, 6), EXIT);
	REJECT("result that is not set", PACKET, UNSET, 2, 0, LOCAL(1), EXIT, EXIT);
	ACCEPT("no result, and none looked at", PACKET, LOCAL(2), RET(0), EXIT);
	REJECT("a result that is the caller's", PACKET, UNSET, 4, 0, LOCAL(1), EXIT, LOCAL(1), EXIT, EXIT);
	ACCEPT("one that nobody looks at, nor at the caller's", PACKET, LOCAL(2), RET(0), LOCAL(1), EXIT, EXIT);
	REJECT("one that is looked at on one way", PACKET, UNSET, 7, 0, MOVX(6, 1), LOCAL(5), LD(W, 2, 6, 16), J(JEQ, 2, 0, 1), EXIT,
	    RET(0), EXIT);
	ACCEPT("an address left in r0 that nobody looks at", PACKET, LOCAL(2), RET(0), MOVX(0, 10), EXIT);
	REJECT("an address is returned", PACKET, ESCAPE, 1, 0, MOVX(0, 1), EXIT);
	REJECT("an address is returned by a function", PACKET, ESCAPE, 3, 0, LOCAL(1), EXIT, MOVX(0, 10), EXIT);
	REJECT("32-bit mov of an address", PACKET, NUMBER, 0, 1, X32(MOV, 0, 1), EXIT);
	REJECT("address * 2", PACKET, NUMBER, 0, 1, K(MUL, 1, 2), RET(0));
	REJECT("address & -8", PACKET, NUMBER, 0, 1, K(AND, 1, -8), RET(0));
	REJECT("32-bit add to an address", PACKET, NUMBER, 0, 1, K32(ADD, 1, 2), RET(0));
	REJECT("address + address", PACKET, NUMBER, 0, 10, X(ADD, 1, 10), RET(0));
	REJECT("number - address", PACKET, NUMBER, 1, 1, MOV(2, 9), X(SUB, 2, 1), RET(0));
	REJECT("-address", PACKET, NUMBER, 0, 1, K(NEG, 1, 0), RET(0));
	REJECT("swapped address", PACKET, NUMBER, 0, 1, I(BPF_ALU | BPF_END, 1, 0, 0, 64), RET(0));
	REJECT("distance between windows", PACKET, WINDOW, 0, 10, X(SUB, 1, 10), RET(0));
	REJECT("comparison between windows", PACKET, WINDOW, 0, 10, JX(JGT, 1, 10, 0), RET(0));
	REJECT("32-bit comparison of an address", PACKET, NUMBER, 0, 1, J32(JEQ, 1, 0, 0), RET(0));
	REJECT("signed comparison of addresses", PACKET, NUMBER, 1, 2, LD(DW, 2, 1, 0), JX(JSGT, 2, 2, 0), RET(0));
	REJECT("address compared with 5", PACKET, NUMBER, 0, 1, J(JEQ, 1, 5, 0), RET(0));
	REJECT("address & 1 as a condition", PACKET, NUMBER, 0, 1, J(JSET, 1, 1, 0), RET(0));
	ACCEPT("address compared with 0", PACKET, J(JEQ, 1, 0, 0), RET(0));
	REJECT("order of addresses that may have wrapped", PACKET, RANGE, 4, 2, LENGTHS, LD(DW, 4, 1, 24), X(ADD, 2, 4),
	    JX(JGT, 2, 3, 0), RET(0));
	ACCEPT("a distance is a number", PACKET, LENGTHS, MOVX(0, 3), X(SUB, 0, 2), EXIT);
	REJECT("number or address", PACKET, MIXED, 4, 1, LD(W, 2, 1, 16), J(JEQ, 2, 5, 1), MOV(1, 3), MOV(0, 0), LD(W, 0, 1, 16), EXIT);
	REJECT("a number as an address", PACKET, ADDRESS, 1, 2, MOV(2, 4096), LD(DW, 0, 2, 0), EXIT);
}

static void windows(void)
{
	ACCEPT("own memory", PACKET, WINDOW(2, 0, 4088), STI(DW, 2, 0, 1), LD(DW, 0, 2, 0), EXIT);
	REJECT("behind own memory", PACKET, RANGE, 2, 2, WINDOW(2, 0, 4088), STI(DW, 2, 1, 1), RET(0));
	REJECT("before own memory", PACKET, RANGE, 2, 2, WINDOW(2, 0, 0), LD(B, 0, 2, -1), EXIT);
	REJECT("own memory that is only read", PACKET, WINDOW, 2, 2, WINDOW(2, 1, 0), STI(DW, 2, 0, 1), RET(0));
	REJECT("a window that is not there", PACKET, WINDOW, 0, 0, WINDOW(2, 2, 0), RET(0));
	REJECT("window 5 by name", PACKET, WINDOW, 0, 0, WINDOW(2, 5, 0), RET(0));
	REJECT("window -1", PACKET, WINDOW, 0, 0, WINDOW(2, -1, 0), RET(0));
	REJECT("own memory of an owner function", OWNER, WINDOW, 0, 0, WINDOW(2, 0, 0), RET(0));
	REJECT("window 1 of a filter", FILTER, WINDOW, 0, 0, WINDOW(2, 1, 0), RET(0));
	ACCEPT("window 0 of a filter", FILTER, WINDOW(2, 0, 8), LD(W, 0, 2, 0), EXIT);
	REJECT("behind own memory, nearly where numbers wrap", PACKET, RANGE, 5, 2, WINDOW(2, 0, 0), LDDW(3, 0xfffffff0, 0x7fffffff),
	    X(ADD, 2, 3), LD(DW, 0, 2, 32), RET(0));
	REJECT("address beyond the window", PACKET, RANGE, 0, 0, WINDOW(2, 0, 4097), RET(0));
	ACCEPT("constants", PACKET, WINDOW(2, EXO_WINDOW_DATA, 0), LD(DW, 0, 2, 32), EXIT);
	REJECT("behind the constants", PACKET, RANGE, 2, 2, WINDOW(2, EXO_WINDOW_DATA, 0), LD(DW, 0, 2, 33), EXIT);
	REJECT("constants are written", PACKET, WINDOW, 2, 2, WINDOW(2, EXO_WINDOW_DATA, 0), STI(DW, 2, 0, 1), RET(0));
	REJECT("the context is written", PACKET, WINDOW, 0, 1, STI(DW, 1, 16, 1), RET(0));
	REJECT("the packet is written", PACKET, WINDOW, 1, 2, LD(DW, 2, 1, 0), STI(B, 2, 0, 1), RET(0));
	REJECT("the block is written", OWNER, WINDOW, 1, 2, LD(DW, 2, 1, 0), STI(B, 2, 0, 1), RET(0));
	REJECT("half of an address in the context", PACKET, ESCAPE, 0, 1, LD(W, 0, 1, 0), EXIT);
	REJECT("a number and an address of the context at once", OWNER, ESCAPE, 0, 1, LD(W, 0, 1, 12), EXIT);
	ACCEPT("two numbers of the context at once", PACKET, LD(DW, 0, 1, 16), EXIT);
	REJECT("behind the context", WAKE, RANGE, 0, 1, LD(DW, 0, 1, 32), EXIT);
	REJECT("the context at an offset that is not known", WAKE, RANGE, 3, 1, LD(DW, 2, 1, 0), K(AND, 2, 8), X(ADD, 1, 2),
	    LD(DW, 0, 1, 0), EXIT);
	ACCEPT("fields and parts of fields", WAKE, LD(DW, 0, 1, 0), LD(W, 2, 1, 12), LD(H, 3, 1, 18), LD(B, 4, 1, 31), EXIT);
	REJECT("a field askew", WAKE, RANGE, 0, 1, LD(H, 0, 1, 1), EXIT);
	ACCEPT("an offset that is masked", PACKET, WINDOW(2, 0, 0), LD(DW, 3, 1, 24), K(AND, 3, 4088), X(ADD, 2, 3), STI(DW, 2, 0, 1),
	    RET(0));
	GUARDED("an offset that is not", PACKET, 1, WINDOW(2, 0, 0), LD(DW, 3, 1, 24), X(ADD, 2, 3), STI(DW, 2, 0, 1), RET(0));
	ok(note[5 - 1].flags & BPF_NOTE_GUARD && note[4].window == 0, "its note");
	GUARDED("an offset that is masked too little", PACKET, 1, WINDOW(2, 0, 0), LD(DW, 3, 1, 24), K(AND, 3, 4095), X(ADD, 2, 3),
	    STI(DW, 2, 0, 1), RET(0));
	ACCEPT("an offset that was compared", PACKET, WINDOW(2, 0, 0), LD(DW, 3, 1, 24), J(JGT, 3, 4088, 2), X(ADD, 2, 3),
	    STI(DW, 2, 0, 1), RET(0));
	ACCEPT("the block", OWNER, LD(DW, 2, 1, 0), LD(DW, 0, 2, 4088), EXIT);
	ok(note[1].flags & BPF_NOTE_OBSERVE && note[1].window == EXO_WINDOW_BLOCK, "is observed");
	REJECT("behind the block", OWNER, RANGE, 1, 2, LD(DW, 2, 1, 0), LD(DW, 0, 2, 4089), EXIT);
	ACCEPT("the block's end is known", OWNER, LD(DW, 2, 1, 8), LD(DW, 0, 2, -8), EXIT);
	REJECT("an address in own memory", PACKET, ESCAPE, 2, 1, WINDOW(2, 0, 0), ST(DW, 2, 1, 0), RET(0));
}

static void atomics(void)
{
	static const int32_t ops[] = { BPF_ADD, BPF_OR, BPF_AND, BPF_XOR, BPF_ADD | 1, BPF_OR | 1, BPF_AND | 1, BPF_XOR | 1,
		BPF_XCHG, BPF_CMPXCHG };

	for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		ACCEPT("atomic, 64 bits", PACKET, WINDOW(2, 0, 8), MOV(0, 0), MOV(3, 1), ATOMIC(DW, 2, 3, 8, ops[i]), RET(0));
		ACCEPT("atomic, 32 bits", PACKET, WINDOW(2, 0, 4), MOV(0, 0), MOV(3, 1), ATOMIC(W, 2, 3, 8, ops[i]), RET(0));
	}
	REJECT("not aligned", PACKET, ALIGN, 3, 2, WINDOW(2, 0, 4), MOV(3, 1), ATOMIC(DW, 2, 3, 8, BPF_ADD), RET(0));
	REJECT("perhaps not aligned", PACKET, ALIGN, 6, 2, WINDOW(2, 0, 0), LD(DW, 3, 1, 24), K(AND, 3, 255), X(ADD, 2, 3), MOV(3, 1),
	    ATOMIC(W, 2, 3, 0, BPF_ADD), RET(0));
	GUARDED("aligned by shifting", PACKET, 1, WINDOW(2, 0, 0), LD(DW, 3, 1, 24), K(LSH, 3, 3), X(ADD, 2, 3), MOV(3, 1),
	    ATOMIC(DW, 2, 3, 0, BPF_ADD), RET(0));
	REJECT("of the packet", PACKET, WINDOW, 2, 2, LD(DW, 2, 1, 0), MOV(3, 1), ATOMIC(W, 2, 3, 0, BPF_ADD), RET(0));
	REJECT("with an address", PACKET, NUMBER, 2, 1, WINDOW(2, 0, 0), ATOMIC(DW, 2, 1, 0, BPF_ADD), RET(0));
	REJECT("r0 of compare-exchange", PACKET, UNSET, 3, 0, WINDOW(2, 0, 0), MOV(3, 1), ATOMIC(DW, 2, 3, 0, BPF_CMPXCHG), RET(0));
	ACCEPT("on the stack", PACKET, STI(DW, 10, -8, 1), MOV(3, 1), ATOMIC(DW, 10, 3, -8, BPF_ADD | 1), MOVX(0, 3), EXIT);
	REJECT("on the stack, not written", PACKET, STACK, 1, 10, MOV(3, 1), ATOMIC(DW, 10, 3, -8, BPF_ADD), RET(0));
	REJECT("on an address on the stack", PACKET, ESCAPE, 2, 10, ST(DW, 10, 1, -8), MOV(3, 1), ATOMIC(DW, 10, 3, -8, BPF_ADD), RET(0));
}

static void stack(void)
{
	ACCEPT("an address comes back", PACKET, ST(DW, 10, 1, -8), LD(DW, 2, 10, -8), LD(W, 0, 2, 16), EXIT);
	REJECT("what is known of a number is not saved", PACKET, RANGE, 4, 1, MOV(3, 16), ST(DW, 10, 3, -512), LD(DW, 4, 10, -512),
	    X(ADD, 1, 4), LD(W, 0, 1, 0), EXIT);
	REJECT("not written", PACKET, STACK, 0, 10, LD(DW, 0, 10, -8), EXIT);
	REJECT("written in part", PACKET, STACK, 1, 10, STI(W, 10, -8, 0), LD(DW, 0, 10, -8), EXIT);
	REJECT("written on one way", PACKET, STACK, 3, 10, LD(W, 2, 1, 16), J(JEQ, 2, 0, 1), STI(DW, 10, -8, 0), LD(DW, 0, 10, -8), EXIT);
	ACCEPT("written in pieces", PACKET, STI(W, 10, -8, 0), STI(H, 10, -4, 0), STI(B, 10, -2, 0), STI(B, 10, -1, 0), LD(DW, 0, 10, -8),
	    EXIT);
	REJECT("above the stack", PACKET, STACK, 0, 10, STI(DW, 10, -7, 0), RET(0));
	REJECT("below the stack", PACKET, STACK, 0, 10, STI(DW, 10, -520, 0), RET(0));
	REJECT("an address not aligned", PACKET, ALIGN, 0, 10, ST(DW, 10, 1, -12), RET(0));
	REJECT("half an address is stored", PACKET, ALIGN, 0, 10, ST(W, 10, 1, -8), RET(0));
	REJECT("part of an address is read", PACKET, ESCAPE, 1, 10, ST(DW, 10, 1, -8), LD(W, 0, 10, -8), EXIT);
	REJECT("part of an address, askew", PACKET, ESCAPE, 2, 10, ST(DW, 10, 1, -8), STI(DW, 10, -16, 0), LD(DW, 0, 10, -12), EXIT);
	REJECT("what is left of an address", PACKET, STACK, 2, 10, ST(DW, 10, 1, -8), STI(B, 10, -8, 0), LD(B, 0, 10, -7), EXIT);
	ACCEPT("what was written over one", PACKET, ST(DW, 10, 1, -8), STI(B, 10, -8, 0), LD(B, 0, 10, -8), EXIT);
	ACCEPT("eight addresses in a row", PACKET, ST(DW, 10, 1, -72), ST(DW, 10, 1, -80), ST(DW, 10, 1, -88), ST(DW, 10, 1, -96),
	    ST(DW, 10, 1, -104), ST(DW, 10, 1, -112), ST(DW, 10, 1, -120), ST(DW, 10, 1, -128), LD(DW, 2, 10, -128), LD(W, 0, 2, 16),
	    LD(DW, 2, 10, -72), LD(W, 0, 2, 16), EXIT);
	REJECT("two addresses eight slots apart", PACKET, STACK, 1, 10, ST(DW, 10, 1, -8), ST(DW, 10, 1, -72), RET(0));
	ACCEPT("the first no longer one", PACKET, ST(DW, 10, 1, -8), STI(DW, 10, -8, 3), ST(DW, 10, 1, -72), LD(DW, 2, 10, -72),
	    LD(W, 0, 2, 16), LD(DW, 0, 10, -8), EXIT);
	ACCEPT("a number eight slots from an address", PACKET, ST(DW, 10, 1, -8), STI(DW, 10, -72, 3), LD(DW, 0, 10, -72),
	    LD(DW, 2, 10, -8), LD(W, 0, 2, 16), EXIT);
	REJECT("the address that came in its place, as a number", PACKET, ESCAPE, 3, 10, STI(DW, 10, -8, 3), ST(DW, 10, 1, -72),
	    LD(DW, 0, 10, -8), LD(W, 0, 10, -72), EXIT);
	REJECT("one of them on each way", PACKET, STACK, 5, 10, LD(W, 2, 1, 16), J(JEQ, 2, 0, 2), ST(DW, 10, 1, -8), J(JA, 0, 0, 1),
	    ST(DW, 10, 1, -72), LD(DW, 2, 10, -72), RET(0));
	ACCEPT("an array by index", PACKET, STI(DW, 10, -16, 0), STI(DW, 10, -8, 0), LD(W, 2, 1, 16), K(AND, 2, 15), MOVX(3, 10),
	    K(ADD, 3, -16), X(ADD, 3, 2), STI(B, 3, 0, 7), LD(B, 0, 3, 0), EXIT);
	REJECT("an array by an index that is too large", PACKET, STACK, 7, 3, STI(DW, 10, -16, 0), STI(DW, 10, -8, 0), LD(W, 2, 1, 16),
	    K(AND, 2, 31), MOVX(3, 10), K(ADD, 3, -16), X(ADD, 3, 2), STI(B, 3, 0, 7), RET(0));
	REJECT("an address that an index may have hit", PACKET, STACK, 8, 10, ST(DW, 10, 1, -8), STI(DW, 10, -16, 0), LD(W, 2, 1, 16),
	    K(AND, 2, 15), MOVX(3, 10), K(ADD, 3, -16), X(ADD, 3, 2), STI(B, 3, 0, 7), LD(DW, 4, 10, -8), RET(0));
	REJECT("an address stored by index", PACKET, ALIGN, 5, 3, LD(W, 2, 1, 16), K(AND, 2, 8), MOVX(3, 10), K(ADD, 3, -16), X(ADD, 3, 2),
	    ST(DW, 3, 1, 0), RET(0));
	REJECT("number or address in a slot", PACKET, STACK, 5, 10, LD(W, 2, 1, 16), ST(DW, 10, 1, -8), J(JEQ, 2, 0, 1), STI(DW, 10, -8, 3),
	    MOV(0, 0), LD(DW, 3, 10, -8), EXIT);
	REJECT("the caller's stack", PACKET, WINDOW, 4, 1, MOVX(1, 10), STI(DW, 10, -8, 0), LOCAL(1), EXIT, LD(DW, 0, 1, -8), EXIT);
	REJECT("what another function left there", PACKET, STACK, 3, 10, LOCAL(4), MOV(0, 0), LOCAL(4), LD(DW, 0, 10, -8), EXIT,
	    STI(DW, 10, -8, 1), EXIT, STI(DW, 10, -8, 1), EXIT);
}

static void packets(void)
{
	GUARDED("not compared", PACKET, 1, LENGTHS, LD(B, 0, 2, 0), EXIT);
	ACCEPT("data + 14 > end", PACKET, LENGTHS, MOVX(4, 2), K(ADD, 4, 14), MOV(0, 0), JX(JGT, 4, 3, 1), LD(H, 0, 2, 12), EXIT);
	ACCEPT("the same for a filter", FILTER, LENGTHS, MOVX(4, 2), K(ADD, 4, 14), MOV(0, 0), JX(JGT, 4, 3, 1), LD(H, 0, 2, 12), EXIT);
	ACCEPT("end < data + 14", PACKET, LENGTHS, MOVX(4, 2), K(ADD, 4, 14), MOV(0, 0), JX(JLT, 3, 4, 1), LD(H, 0, 2, 12), EXIT);
	ACCEPT("end >= data + 14, else", PACKET, LENGTHS, MOVX(4, 2), K(ADD, 4, 14), MOV(0, 0), JX(JGE, 3, 4, 1), EXIT, LD(H, 0, 2, 12),
	    EXIT);
	ACCEPT("data + 13 >= end", PACKET, LENGTHS, MOVX(4, 2), K(ADD, 4, 13), MOV(0, 0), JX(JGE, 4, 3, 1), LD(H, 0, 2, 12), EXIT);
	ACCEPT("data == end - 14", PACKET, LENGTHS, K(ADD, 3, -14), MOV(0, 0), JX(JNE, 2, 3, 1), LD(H, 0, 2, 12), EXIT);
	ACCEPT("data > end - 14", PACKET, LENGTHS, K(SUB, 3, 14), MOV(0, 0), JX(JGT, 2, 3, 1), LD(H, 0, 2, 12), EXIT);
	GUARDED("end - data < 14", PACKET, 1, LENGTHS, X(SUB, 3, 2), MOV(0, 0), J(JLT, 3, 14, 1), LD(H, 0, 2, 12), EXIT);
	GUARDED("bytes < 14, 32 bits", PACKET, 1, LD(DW, 2, 1, 0), LD(W, 3, 1, 16), MOV(0, 0), J32(JLT, 3, 14, 1), LD(H, 0, 2, 12), EXIT);
	GUARDED("bytes - 6 < 8, signed", PACKET, 1, LD(DW, 2, 1, 0), LD(W, 3, 1, 16), K(ADD, 3, -6), MOV(0, 0), J(JSLT, 3, 8, 1),
	    LD(H, 0, 2, 12), EXIT);
	GUARDED("one byte less", PACKET, 1, LENGTHS, MOVX(4, 2), K(ADD, 4, 13), MOV(0, 0), JX(JGT, 4, 3, 1), LD(H, 0, 2, 12), EXIT);
	GUARDED("on the other way", PACKET, 1, LENGTHS, MOVX(4, 2), K(ADD, 4, 14), MOV(0, 0), JX(JGT, 4, 3, 1), EXIT, LD(H, 0, 2, 12), EXIT);
	ACCEPT("from the end", PACKET, LENGTHS, MOVX(4, 2), K(ADD, 4, 14), MOV(0, 0), JX(JGT, 4, 3, 1), LD(H, 0, 3, -14), EXIT);
	REJECT("behind the end", PACKET, RANGE, 2, 3, LENGTHS, LD(B, 0, 3, 0), EXIT);
	REJECT("a packet of 70000 bytes", PACKET, RANGE, 4, 2, LD(DW, 2, 1, 0), LDDW(3, 70000, 0), X(ADD, 2, 3), LD(B, 0, 2, 0), EXIT);
	/* r5 = data + 4 * (first byte & 15); r5 + 8 > end */
#define VARIABLE	LENGTHS, MOV(0, 0), LD(B, 4, 2, 0), K(AND, 4, 15), K(LSH, 4, 2), MOVX(5, 2), X(ADD, 5, 4), MOVX(6, 5), K(ADD, 6, 8)
	GUARDED("a variable header", PACKET, 1, VARIABLE, JX(JGT, 6, 3, 2), LD(H, 0, 5, 6), LD(W, 0, 6, -8), EXIT);
	GUARDED("behind a variable header", PACKET, 2, VARIABLE, JX(JGT, 6, 3, 1), LD(H, 0, 5, 7), EXIT);
	GUARDED("a variable header, in what comes before", PACKET, 1, VARIABLE, JX(JGT, 6, 3, 1), LD(DW, 0, 2, 0), EXIT);
	GUARDED("another variable header", PACKET, 2, VARIABLE, JX(JGT, 6, 3, 3), LD(B, 4, 2, 1), X(ADD, 5, 4), LD(H, 0, 5, 6), EXIT);
	GUARDED("a variable header, in a function", PACKET, 1, VARIABLE, MOVX(1, 5), MOVX(2, 6), LOCAL(1), EXIT, MOV(0, 0), JX(JGT, 2, 3, 1),
	    LD(H, 0, 1, 6), EXIT);
	GUARDED("end - variable < 8", PACKET, 2, VARIABLE, X(SUB, 3, 5), J(JSLT, 3, 8, 1), LD(H, 0, 5, 6), EXIT);
	GUARDED("an end that is moved by what is not known", PACKET, 1, LENGTHS, LD(W, 4, 1, 20), K(AND, 4, 7), X(ADD, 3, 4), MOVX(5, 2),
	    K(ADD, 5, 8), MOV(0, 0), JX(JGT, 5, 3, 1), LD(B, 0, 2, 7), EXIT);
	ACCEPT("two ways, each long enough", PACKET, LENGTHS, MOV(0, 0), MOVX(4, 2), K(ADD, 4, 18), JX(JGT, 4, 3, 5), K(ADD, 2, 14),
	    LD(B, 5, 2, -1), J(JEQ, 5, 0, 1), K(ADD, 2, 2), LD(H, 0, 2, 0), EXIT);
	ACCEPT("the shorter of two ways", PACKET, LENGTHS, MOV(0, 0), LD(W, 6, 1, 20), MOVX(4, 2), J(JEQ, 6, 0, 3), K(ADD, 4, 20),
	    JX(JGT, 4, 3, 4), J(JA, 0, 0, 2), K(ADD, 4, 14), JX(JGT, 4, 3, 1), LD(H, 0, 2, 12), EXIT);
	ACCEPT("a condition that cannot be", PACKET, LD(W, 2, 1, 16), K(AND, 2, 7), J(JGT, 2, 7, 2), RET(0), LD(DW, 0, 1, 100), EXIT);
	ok(!(note[5].flags & BPF_NOTE_REACHED), "is not reached");
}

static void loops(void)
{
	ACCEPT("a table, up", PACKET, WINDOW(2, 0, 0), MOV(3, 0), MOV(0, 0), MOVX(4, 2), X(ADD, 4, 3), LD(DW, 5, 4, 0), X(ADD, 0, 5), K(ADD, 3, 8),
	    J(JNE, 3, 4096, -6), EXIT);
	ok(note[9].charge == 6 && program.fuel == 4096 - 11, "fuel: %u a turn, %u left", note[9].charge, program.fuel);
	ACCEPT("a table, down", PACKET, WINDOW(2, 0, 0), MOV(3, 4088), MOV(0, 0), MOVX(4, 2), X(ADD, 4, 3), LD(DW, 5, 4, 0), K(ADD, 3, -8),
	    J(JSGE, 3, 0, -5), EXIT);
	ACCEPT("by 32-bit numbers", PACKET, WINDOW(2, 0, 0), K32(MOV, 3, 0), MOV(0, 0), MOVX(4, 2), X(ADD, 4, 3), LD(B, 5, 4, 0), K32(ADD, 3, 1),
	    J32(JLT, 3, 4096, -5), EXIT);
	ACCEPT("an address that moved by up to 7 of 100 bytes", PACKET, LENGTHS, MOV(0, 0), MOVX(5, 2), K(ADD, 5, 100), JX(JGT, 5, 3, 4),
	    LD(B, 4, 2, 0), K(AND, 4, 7), X(ADD, 2, 4), LD(B, 0, 2, 92), EXIT);
	GUARDED("and may be behind them", PACKET, 1, LENGTHS, MOV(0, 0), MOVX(5, 2), K(ADD, 5, 100), JX(JGT, 5, 3, 4), LD(B, 4, 2, 0),
	    K(AND, 4, 7), X(ADD, 2, 4), LD(B, 0, 2, 93), EXIT);
	ACCEPT("by address", PACKET, WINDOW(2, 0, 0), WINDOW(3, 0, 4096), LD(DW, 0, 2, 0), K(ADD, 2, 8), JX(JNE, 2, 3, -3), EXIT);
	GUARDED("without a known end", PACKET, 1, WINDOW(2, 0, 0), LD(DW, 3, 1, 24), LD(DW, 0, 2, 0), K(ADD, 2, 8), K(ADD, 3, -1),
	    J(JNE, 3, 0, -4), EXIT);
	GUARDED("a counter that leaves its course, below 0 at first", PACKET, 1, WINDOW(2, 0, 8), MOV(3, -8), MOV(0, 0), MOVX(4, 2), X(ADD, 4, 3),
	    LD(B, 5, 4, 0), K(ADD, 3, 1), J(JSGE, 3, 100, 4), LD(W, 6, 1, 20), K(AND, 6, 4095), X(ADD, 3, 6), J(JA, 0, 0, -9), EXIT);
	ACCEPT("one that does not", PACKET, WINDOW(2, 0, 8), MOV(3, -8), MOV(0, 0), MOVX(4, 2), X(ADD, 4, 3),
	    LD(B, 5, 4, 0), K(ADD, 3, 1), J(JSGE, 3, 100, 1), J(JA, 0, 0, -6), EXIT);
	GUARDED("another address comes to a slot by a way not seen in the text", PACKET, 3, LENGTHS, MOV(0, 0), LD(B, 4, 2, 0), MOVX(5, 2),
	    X(ADD, 5, 4), LD(B, 4, 2, 1), MOVX(8, 2), X(ADD, 8, 4), MOVX(6, 5), K(ADD, 6, 8), JX(JGT, 6, 3, 9), MOVX(7, 10),
	    K(ADD, 7, -8), ST(DW, 10, 5, -8), MOV(9, 3), LD(DW, 1, 10, -8), LD(B, 0, 1, 7), ST(DW, 7, 8, 0), K(ADD, 9, -1),
	    J(JNE, 9, 0, -5), EXIT);
	GUARDED("and one of which something is learned there", PACKET, 3, LENGTHS, MOV(0, 0), LD(B, 4, 2, 0), MOVX(5, 2),
	    X(ADD, 5, 4), LD(B, 4, 2, 1), MOVX(8, 2), X(ADD, 8, 4), MOVX(6, 5), K(ADD, 6, 8), MOVX(7, 10), K(ADD, 7, -8),
	    ST(DW, 10, 5, -8), MOV(9, 3), JX(JGT, 6, 3, 5), LD(DW, 1, 10, -8), LD(B, 0, 1, 7), ST(DW, 7, 8, 0), K(ADD, 9, -1),
	    J(JNE, 9, 0, -6), EXIT);
	GUARDED("a slot that was equal to a register is not, by a way not seen in the text", PACKET, 1, LD(DW, 6, 1, 24), ST(DW, 10, 6, -8),
	    MOVX(7, 10), K(ADD, 7, -8), LD(DW, 8, 1, 24), MOV(9, 0), MOV(0, 0), J(JGE, 9, 3, 3), ST(DW, 7, 8, 0), K(ADD, 9, 1),
	    J(JA, 0, 0, -4), J(JGT, 6, 15, 5), LD(DW, 2, 10, -8), WINDOW(3, 0, 0), X(ADD, 3, 2), LD(B, 0, 3, 0), EXIT);
	GUARDED("nor is it bounded by what the register is compared with", PACKET, 1, LD(DW, 6, 1, 24), ST(DW, 10, 6, -8), MOV(9, 0),
	    MOV(0, 0), K(ADD, 9, 1), J(JLT, 9, 3, -2),
	    J(JGT, 6, 15, 5), LD(DW, 2, 10, -8), WINDOW(3, 0, 0), X(ADD, 3, 2), LD(B, 0, 3, 0), EXIT);
	ACCEPT("an end that it never comes back from", PACKET, WINDOW(2, 0, 0), MOV(3, 100), MOV(0, 0), K(ADD, 3, 1), J(JLT, 3, 50, -2),
	    X(ADD, 2, 3), LD(B, 0, 2, 0), EXIT);
	ACCEPT("endless, by fuel", PACKET, J(JA, 0, 0, -1));
	ok(note[0].charge == 1, "fuel: 1 a turn");
	ACCEPT("options", PACKET, LENGTHS, MOV(0, 0), MOVX(4, 2), K(ADD, 4, 2), JX(JGT, 4, 3, 4), LD(B, 5, 2, 1), K(ADD, 5, 2),
	    X(ADD, 2, 5), J(JA, 0, 0, -7), EXIT);
	ACCEPT("entered in its middle", PACKET, MOV(0, 0), J(JA, 0, 0, 1), K(ADD, 0, 1), J(JLT, 0, 10, -2), EXIT);
	ACCEPT("two, one in the other", PACKET, MOV(0, 0), MOV(2, 0), MOV(3, 0), K(ADD, 0, 1), K(ADD, 3, 1), J(JLT, 3, 10, -3), K(ADD, 2, 1),
	    J(JLT, 2, 10, -6), EXIT);
	REJECT("an address becomes a number", PACKET, MIXED, 1, 1, MOV(0, 0), LD(W, 2, 1, 16), MOV(1, 5), J(JNE, 2, 0, -3), EXIT);
	ACCEPT("a register for other things meanwhile", PACKET, MOVX(6, 1), MOV(0, 0), LD(W, 1, 6, 16), MOVX(2, 6), MOV(2, 1), J(JNE, 1, 7, -4),
	    EXIT);
	REJECT("an address on the stack becomes a number", PACKET, STACK, 1, 10, ST(DW, 10, 1, -8), LD(DW, 2, 10, -8), LD(W, 0, 2, 16),
	    STI(DW, 10, -8, 0), J(JNE, 0, 0, -4), EXIT);
	REJECT("a number leaves its range", PACKET, STACK, 3, 2, MOV(0, 0), MOV(3, 0), MOVX(2, 10), STI(B, 2, -8, 0), K(ADD, 2, -8),
	    K(ADD, 3, 1), J(JNE, 3, 100, -4), EXIT);
	REJECT("written in the loop only", PACKET, STACK, 1, 10, MOV(0, 0), LD(DW, 2, 10, -8), STI(DW, 10, -8, 1), J(JNE, 2, 0, -3), EXIT);
}

static void calls(void)
{
	REJECT("function 0", PACKET, CALL, 0, 0, CALL(0), RET(0));
	REJECT("function 7", PACKET, CALL, 0, 0, CALL(EXO_CODE_CALL_COUNT), RET(0));
	REJECT("function -1", PACKET, CALL, 0, 0, CALL(-1), RET(0));
	REJECT("time of an owner function", OWNER, CALL, 0, 0, CALL(EXO_CODE_CALL_time), RET(0));
	REJECT("emit of a packet's", PACKET, CALL, 0, 0, CALL(EXO_CODE_CALL_emit), RET(0));
	REJECT("wake of a filter", FILTER, CALL, 0, 0, CALL(EXO_CODE_CALL_wake), RET(0));
	ACCEPT("time", WAKE, CALL(EXO_CODE_CALL_time), EXIT);
	ACCEPT("emit", OWNER, MOV(1, 1), MOV(2, 1), MOV(3, 1), CALL(EXO_CODE_CALL_emit), EXIT);
#define COPY(to)	to, MOV(2, 10), MOV(3, 0), MOV(4, 0), CALL(EXO_CODE_CALL_copy), EXIT
	ACCEPT("copy", PACKET, COPY(WINDOW(1, 0, 0)));
	REJECT("copy into memory that is only read", PACKET, WINDOW, 5, 1, COPY(WINDOW(1, 1, 0)));
	REJECT("copy into the stack", PACKET, WINDOW, 4, 1, COPY(MOVX(1, 10)));
	REJECT("copy to a number", PACKET, ADDRESS, 4, 1, COPY(MOV(1, 5)));
	REJECT("an address as a number", PACKET, NUMBER, 4, 2, WINDOW(1, 0, 0), MOVX(2, 1), MOV(3, 0), CALL(EXO_CODE_CALL_sum), RET(0));
	REJECT("an argument that is not set", PACKET, UNSET, 3, 3, WINDOW(1, 0, 0), MOV(2, 0), CALL(EXO_CODE_CALL_sum), RET(0));
	ACCEPT("sum of the packet", PACKET, LD(DW, 1, 1, 0), MOV(2, 20), MOV(3, 0), CALL(EXO_CODE_CALL_sum), EXIT);
	ACCEPT("arguments of a function", PACKET, LENGTHS, MOVX(1, 2), MOVX(2, 3), LOCAL(1), EXIT, MOVX(4, 1), K(ADD, 4, 4), MOV(0, 0),
	    JX(JGT, 4, 2, 1), LD(W, 0, 1, 0), EXIT);
	GUARDED("what all calls have in common", PACKET, 1, WINDOW(6, 0, 0), MOVX(1, 6), LOCAL(4), MOVX(1, 6), K(ADD, 1, 4092), LOCAL(1),
	    EXIT, LD(DW, 0, 1, 0), EXIT);
	GUARDED("what is known of one argument is not of another", PACKET, 3, LENGTHS, MOVX(9, 3), LD(B, 4, 2, 0), LD(B, 5, 2, 1),
	    MOVX(1, 2), X(ADD, 1, 4), MOVX(6, 2), X(ADD, 6, 5), MOVX(2, 6), MOVX(3, 9), LOCAL(1), EXIT, MOVX(4, 1), K(ADD, 4, 8),
	    MOV(0, 0), JX(JGT, 4, 3, 1), LD(B, 0, 2, 7), EXIT);
	ACCEPT("r2 of a filter is a number", FILTER, MOVX(0, 2), EXIT);
	ACCEPT("and may be an argument", FILTER, LOCAL(1), EXIT, MOVX(0, 2), EXIT);
	REJECT("in its functions it is what was passed: a packet's address", FILTER, NUMBER, 6, 2, LD(DW, 2, 1, 0), LOCAL(2), RET(0),
	    WINDOW(3, 0, 0), ATOMIC(DW, 3, 2, 0, BPF_XCHG), RET(0));
	REJECT("one of the caller's stack", FILTER, WINDOW, 6, 2, MOVX(2, 10), LOCAL(2), RET(0), WINDOW(3, 0, 0),
	    ATOMIC(DW, 3, 2, 0, BPF_XCHG), RET(0));
	REJECT("what another function left there", FILTER, UNSET, 9, 2, LOCAL(3), LOCAL(5), RET(0), MOVX(2, 10), RET(0),
	    WINDOW(3, 0, 0), ATOMIC(DW, 3, 2, 0, BPF_XCHG), RET(0));
	REJECT("r2 of a packet's", PACKET, UNSET, 0, 2, MOVX(0, 2), EXIT);
	ACCEPT("r6 to r9 stay", PACKET, MOVX(6, 1), LOCAL(2), LD(W, 0, 6, 16), EXIT, MOV(6, 1), EXIT);
	ok(note[1].charge == 2, "fuel of a call");
}

/* The same result however it is cut into steps; no result other than WORK with less memory. */
static void steps(void)
{
	static struct exo_insn text[EXO_INSNS_MAX];
	size_t least = 0;
	uint32_t n = 0;

	text[n++] = LD(W, 2, 1, 16);
	for (; n < 61; n++)
		text[n] = J(JEQ, 2, (int)n, (int16_t)(120 - 2 * n));
	for (; n < 121; n++)
		text[n] = MOV(0, 1);
	text[n++] = EXIT;
	budget = 1;
	ok(check(PACKET, text, n) == -1 && report.reject == EXO_REJECT_WORK, "sixty ways open at once: more memory is asked for");
	work_bytes = bpf_check_bytes(n) + 300000;
	ok(check(PACKET, text, n) == 0, "with that it goes");
	work_bytes = 64;
	ok(check(PACKET, text, n) == -2, "much too little memory");
	for (work_bytes = 1024; check(PACKET, text, 2) == -2; work_bytes += 1024)
		least = work_bytes;
	ok(least && check(PACKET, text + 119, 3) == 0, "%zu bytes are enough for the smallest", work_bytes);
	work_bytes = 0;
	budget = 1000000;
	for (n = 0; n < EXO_INSNS_MAX - 1; n++)
		text[n] = MOV(0, (int)n);
	text[n++] = EXIT;
	ok(check(PACKET, text, n) == 0 && report.insns == EXO_INSNS_MAX, "the longest program");
}

static void texts(void)
{
	char text[1000];
	const struct exo_insn insn[] = { LENGTHS, LD(B, 0, 3, 4), RET(0) };

	check(PACKET, insn, 5);
	code_report(text, sizeof(text), &report, insn, 5);
	is_string(text,
	    "rejected at instruction 2: r0 = *(u8 *)(r3 + 4)\n"
	    "  the access never lies inside the window\n"
	    "  known: r3 is an address relative to the end of the packet window, 0\n"
	    "  needed: offset 0 to 65534 in the packet window\n"
	    "  mend: test the length before, or mask the offset\n", "a report");
	is_int((long long)code_report(text, 20, &report, insn, 5), 19, "a report that is cut");
	is_string(text, "rejected at instruc", "ends with NUL");
	for (uint32_t reason = 0; reason < 25; reason++) {
		report.reject = reason;
		ok(code_report(text, sizeof(text), &report, insn, 5) > 30, "text of reason %u", reason);
	}
}

int main(void)
{
	structure();
	registers();
	windows();
	atomics();
	stack();
	packets();
	loops();
	calls();
	steps();
	texts();
	return done();
}
