/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every instruction of RFC 9669 in every variant, by the interpreter and as machine code of the host: results as the
 * tables below say, both ways the same, and nothing else changed. Points are named after the conformance groups of
 * section 7. Each row of a table is run with every pair of registers, since templates treat some of them specially.
 */
#include "test/unit/bpf_isa.h"
#include "test/unit/tap.h"

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT];

#define MIN64	0x8000000000000000u
#define MAX64	0x7fffffffffffffffu
#define MIN32	0x80000000u
#define ONES	0xffffffffffffffffu
#define ALL(a)	(sizeof(a) / sizeof((a)[0]))

static struct both both;
static struct exo_insn made[64];
static uint32_t insns;

static void add(struct exo_insn insn)
{
	made[insns++] = insn;
}

static void add_lddw(unsigned dst, uint64_t value)
{
	add(I(BPF_LDDW, dst, 0, 0, value));
	add(I(0, 0, 0, 0, value >> 32));
}

static uint64_t pattern(unsigned reg)
{
	return 0x8182838485868788 * (2 * reg + 1);
}

/* All registers set; and at the end all written below r10. */
static void begin_all(void)
{
	insns = 0;
	for (unsigned i = 0; i < 10; i++)
		add_lddw(i, pattern(i));
}

static void end_all(void)
{
	for (unsigned i = 0; i < 10; i++)
		add(STORE(BPF_DW, 10, i, -8 * (int)(i + 1)));
	add(EXIT);
}

static uint64_t word_below_top(unsigned n)
{
	uint64_t word;

	memcpy(&word, both.compiled.stack + BPF_STACK_BYTES - 8 * n, 8);
	return word;
}

/* Both ways the same, dst (and src, r0) as wanted, the other registers as they were. */
static bool leaves(unsigned dst, uint64_t want_dst, unsigned src, uint64_t want_src, uint64_t want_r0)
{
	if (!both_plain(&both, made, insns))
		return false;
	for (unsigned i = 0; i < 10; i++) {
		uint64_t want = i == dst ? want_dst : i == src ? want_src : i == 0 ? want_r0 : pattern(i);

		if (word_below_top(i + 1) != want) {
			printf("# r%u is %#llx, not %#llx\n", i, (unsigned long long)word_below_top(i + 1),
			       (unsigned long long)want);
			return false;
		}
	}
	return true;
}

/* --- arithmetic ----------------------------------------------------------------------------------------------- */

struct alu_row {
	const char *name;
	unsigned op;
	int16_t offset;
	uint64_t a, b, wide, narrow;	/* operands; results of ALU64 and ALU */
};

static const struct alu_row alu_rows[] = {
	{ "add", BPF_ADD, 0, 5, 7, 12, 12 },
	{ "add", BPF_ADD, 0, ONES, 1, 0, 0 },
	{ "add", BPF_ADD, 0, 0xffffffff, 1, 0x100000000, 0 },
	{ "add", BPF_ADD, 0, 1, (uint64_t)-2147483647, 0xffffffff80000002, 0x80000002 },
	{ "add", BPF_ADD, 0, MAX64, MAX64, ONES - 1, 0xfffffffe },
	{ "sub", BPF_SUB, 0, 5, 7, (uint64_t)-2, 0xfffffffe },
	{ "sub", BPF_SUB, 0, 0, 1000, (uint64_t)-1000, 0xfffffc18 },
	{ "sub", BPF_SUB, 0, MIN64, 1, MAX64, 0xffffffff },
	{ "mul", BPF_MUL, 0, 0x100000001, 3, 0x300000003, 3 },
	{ "mul", BPF_MUL, 0, ONES, ONES, 1, 1 },
	{ "mul", BPF_MUL, 0, 0x87654321, 0x12345678, 0x09a0cd0570b88d78, 0x70b88d78 },
	{ "div", BPF_DIV, 0, 100, 7, 14, 14 },
	{ "div", BPF_DIV, 0, 100, 0, 0, 0 },
	{ "div", BPF_DIV, 0, ONES, 3, 0x5555555555555555, 0x55555555 },
	{ "div", BPF_DIV, 0, 0x1234567890abcdef, ONES, 0, 0 },
	{ "div", BPF_DIV, 0, 0x700000009, 0x500000003, 1, 3 },
	{ "div", BPF_DIV, 0, MIN64, ONES, 0, 0 },
	{ "sdiv", BPF_DIV, 1, (uint64_t)-100, 7, (uint64_t)-14, 0xfffffff2 },
	{ "sdiv", BPF_DIV, 1, 100, (uint64_t)-7, (uint64_t)-14, 0xfffffff2 },
	{ "sdiv", BPF_DIV, 1, (uint64_t)-100, (uint64_t)-7, 14, 14 },
	{ "sdiv", BPF_DIV, 1, MIN64, ONES, MIN64, 0 },
	{ "sdiv", BPF_DIV, 1, MIN32, ONES, 0xffffffff80000000, MIN32 },
	{ "sdiv", BPF_DIV, 1, 77, ONES, (uint64_t)-77, 0xffffffb3 },
	{ "sdiv", BPF_DIV, 1, (uint64_t)-5, 0, 0, 0 },
	{ "sdiv", BPF_DIV, 1, MIN64, 2, 0xc000000000000000, 0 },
	{ "mod", BPF_MOD, 0, 100, 7, 2, 2 },
	{ "mod", BPF_MOD, 0, 0xfedcba9876543210, 0, 0xfedcba9876543210, 0x76543210 },
	{ "mod", BPF_MOD, 0, 0xfedcba9876543210, 1000, 720, 328 },
	{ "mod", BPF_MOD, 0, 100, ONES, 100, 100 },
	{ "smod", BPF_MOD, 1, (uint64_t)-100, 7, (uint64_t)-2, 0xfffffffe },
	{ "smod", BPF_MOD, 1, 100, (uint64_t)-7, 2, 2 },
	{ "smod", BPF_MOD, 1, (uint64_t)-100, (uint64_t)-7, (uint64_t)-2, 0xfffffffe },
	{ "smod", BPF_MOD, 1, MIN64, ONES, 0, 0 },
	{ "smod", BPF_MOD, 1, MIN32, ONES, 0, 0 },
	{ "smod", BPF_MOD, 1, 0xfedcba9876543210, 0, 0xfedcba9876543210, 0x76543210 },
	{ "or", BPF_OR, 0, 0xf0f0f0f0f0f0f0f0, 0x0ff0, 0xf0f0f0f0f0f0fff0, 0xf0f0fff0 },
	{ "or", BPF_OR, 0, 0, ONES, ONES, 0xffffffff },
	{ "or", BPF_OR, 0, 1, 0xffffffff80000000, 0xffffffff80000001, 0x80000001 },
	{ "and", BPF_AND, 0, 0xf0f0f0f0f0f0f0f0, 0x0ff0, 0x00f0, 0xf0 },
	{ "and", BPF_AND, 0, 0xf0f0f0f0f0f0f0f0, 0xffffffff80000000, 0xf0f0f0f080000000, 0x80000000 },
	{ "and", BPF_AND, 0, ONES, (uint64_t)-128, (uint64_t)-128, 0xffffff80 },
	{ "xor", BPF_XOR, 0, 0xf0f0f0f0f0f0f0f0, ONES, 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f },
	{ "xor", BPF_XOR, 0, 0xf0f0f0f0f0f0f0f0, 0x12345678, 0xf0f0f0f0e2c4a688, 0xe2c4a688 },
	{ "lsh", BPF_LSH, 0, 0x8000000180000001, 1, 0x0000000300000002, 2 },
	{ "lsh", BPF_LSH, 0, 0x8000000180000001, 0, 0x8000000180000001, 0x80000001 },
	{ "lsh", BPF_LSH, 0, 3, 31, 0x180000000, 0x80000000 },
	{ "lsh", BPF_LSH, 0, 3, 63, MIN64, 0x80000000 },
	{ "lsh", BPF_LSH, 0, 3, 32, 0x300000000, 3 },
	{ "lsh", BPF_LSH, 0, 3, 64, 3, 3 },
	{ "lsh", BPF_LSH, 0, 3, 0x12345641, 6, 6 },
	{ "rsh", BPF_RSH, 0, 0x8000000180000001, 1, 0x40000000c0000000, 0x40000000 },
	{ "rsh", BPF_RSH, 0, 0x8000000180000001, 0, 0x8000000180000001, 0x80000001 },
	{ "rsh", BPF_RSH, 0, ONES, 33, 0x7fffffff, 0x7fffffff },
	{ "rsh", BPF_RSH, 0, ONES, ONES, 1, 1 },
	{ "arsh", BPF_ARSH, 0, 0x8000000180000001, 1, 0xc0000000c0000000, 0xc0000000 },
	{ "arsh", BPF_ARSH, 0, 0x8000000180000001, 0, 0x8000000180000001, 0x80000001 },
	{ "arsh", BPF_ARSH, 0, MIN64, 63, ONES, 0 },
	{ "arsh", BPF_ARSH, 0, 0x7fffffff80000000, 95, 0xffffffff, 0xffffffff },
	{ "mov", BPF_MOV, 0, 1, 0, 0, 0 },
	{ "mov", BPF_MOV, 0, 1, (uint64_t)-1, ONES, 0xffffffff },
	{ "mov", BPF_MOV, 0, 1, 127, 127, 127 },
	{ "mov", BPF_MOV, 0, 1, 128, 128, 128 },
	{ "mov", BPF_MOV, 0, 1, (uint64_t)-128, (uint64_t)-128, 0xffffff80 },
	{ "mov", BPF_MOV, 0, 1, (uint64_t)-129, (uint64_t)-129, 0xffffff7f },
	{ "mov", BPF_MOV, 0, 1, 0x7fffffff, 0x7fffffff, 0x7fffffff },
	{ "mov", BPF_MOV, 0, 1, 0xffffffff80000000, 0xffffffff80000000, 0x80000000 },
	{ "mov", BPF_MOV, 0, 1, 0x123456789abcdef0, 0x123456789abcdef0, 0x9abcdef0 },
	{ "movsx 8", BPF_MOV, 8, 1, 0x1234567f, 0x7f, 0x7f },
	{ "movsx 8", BPF_MOV, 8, 1, 0x12345680, (uint64_t)-128, 0xffffff80 },
	{ "movsx 16", BPF_MOV, 16, 1, 0x12347fff, 0x7fff, 0x7fff },
	{ "movsx 16", BPF_MOV, 16, 1, 0x12348000, 0xffffffffffff8000, 0xffff8000 },
	{ "movsx 32", BPF_MOV, 32, 1, 0x17fffffff, 0x7fffffff, 0 },
	{ "movsx 32", BPF_MOV, 32, 1, 0x180000000, 0xffffffff80000000, 0 },
};

static bool alu_reg(const struct alu_row *row, unsigned class, uint64_t want)
{
	for (unsigned dst = 0; dst < 10; dst++) {
		for (unsigned src = 0; src < 10; src++) {
			if (dst == src && row->a != row->b)
				continue;
			begin_all();
			add_lddw(dst, row->a);
			add_lddw(src, row->b);
			add(I(class | row->op | BPF_SRC_REG, dst, src, row->offset, 0));
			end_all();
			if (!leaves(dst, want, src, row->b, pattern(0))) {
				printf("# %s r%u, r%u of %#llx and %#llx\n", row->name, dst, src,
				       (unsigned long long)row->a, (unsigned long long)row->b);
				return false;
			}
		}
	}
	return true;
}

static bool alu_imm(const struct alu_row *row, unsigned class, uint64_t want)
{
	bool is_movsx = row->op == BPF_MOV && row->offset;

	if (is_movsx || (class == BPF_ALU64 && row->b != (uint64_t)(int64_t)(int32_t)row->b))
		return true;
	for (unsigned dst = 0; dst < 10; dst++) {
		begin_all();
		add_lddw(dst, row->a);
		add(I(class | row->op, dst, 0, row->offset, row->b));
		end_all();
		if (!leaves(dst, want, dst, want, pattern(0))) {
			printf("# %s r%u, %d of %#llx\n", row->name, dst, (int)row->b, (unsigned long long)row->a);
			return false;
		}
	}
	return true;
}

static void test_alu(unsigned class)
{
	for (size_t i = 0; i < ALL(alu_rows);) {
		const char *name = alu_rows[i].name;
		bool divmul = strstr(name, "mul") || strstr(name, "div") || strstr(name, "mod");
		const char *group = divmul ? "divmul" : "base";
		int bits = class == BPF_ALU64 ? 64 : 32;
		bool reg = true, imm = true;

		for (; i < ALL(alu_rows) && strcmp(alu_rows[i].name, name) == 0; i++) {
			const struct alu_row *row = &alu_rows[i];
			uint64_t want = class == BPF_ALU64 ? row->wide : row->narrow;

			if (class == BPF_ALU && row->offset == 32)
				continue;
			reg = reg && alu_reg(row, class, want);
			imm = imm && alu_imm(row, class, want);
		}
		ok(reg, "%s%d: %s with a register", group, bits, name);
		ok(imm, "%s%d: %s with an immediate", group, bits, name);
	}
}

static bool one_operand(struct exo_insn insn, uint64_t a, uint64_t want)
{
	bool all = true;

	for (unsigned dst = 0; dst < 10 && all; dst++) {
		begin_all();
		add_lddw(dst, a);
		insn.regs = (uint8_t)dst;
		add(insn);
		end_all();
		all = leaves(dst, want, dst, want, pattern(0));
	}
	return all;
}

static void test_one_operand(void)
{
	const uint64_t a = 0x1122334455667788;

	ok(one_operand(K64(BPF_NEG, 0, 0), 5, (uint64_t)-5) && one_operand(K64(BPF_NEG, 0, 0), MIN64, MIN64) &&
	   one_operand(K64(BPF_NEG, 0, 0), 0, 0), "base64: neg");
	ok(one_operand(K32(BPF_NEG, 0, 0), 5, 0xfffffffb) && one_operand(K32(BPF_NEG, 0, 0), MIN32, MIN32) &&
	   one_operand(K32(BPF_NEG, 0, 0), ONES, 1), "base32: neg");
	ok(one_operand(K32(BPF_END, 0, 16), a, 0x7788) && one_operand(K32(BPF_END, 0, 32), a, 0x55667788),
	   "base32: le");
	ok(one_operand(K32(BPF_END, 0, 64), a, a), "base64: le 64");
	ok(one_operand(X32(BPF_END, 0, 0), 0, 0) == false, "base32: be 0 is none");
	ok(one_operand(I(BPF_ALU | BPF_END | BPF_SRC_REG, 0, 0, 0, 16), a, 0x8877) &&
	   one_operand(I(BPF_ALU | BPF_END | BPF_SRC_REG, 0, 0, 0, 32), a, 0x88776655), "base32: be");
	ok(one_operand(I(BPF_ALU | BPF_END | BPF_SRC_REG, 0, 0, 0, 64), a, 0x8877665544332211), "base64: be 64");
	ok(one_operand(K64(BPF_END, 0, 16), a, 0x8877) && one_operand(K64(BPF_END, 0, 32), a, 0x88776655),
	   "base32: bswap");
	ok(one_operand(K64(BPF_END, 0, 64), a, 0x8877665544332211), "base64: bswap 64");
}

static void test_lddw(void)
{
	static const uint64_t values[] = { 0, 1, 127, 128, ONES, (uint64_t)-128, (uint64_t)-129, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0xffffffff7fffffff, 0xffffffff80000000, MIN64, MAX64, 0x123456789abcdef0 };
	bool all = true;

	for (size_t i = 0; i < ALL(values) && all; i++) {
		for (unsigned dst = 0; dst < 10 && all; dst++) {
			begin_all();
			add_lddw(dst, values[i]);
			end_all();
			all = leaves(dst, values[i], dst, values[i], pattern(0));
		}
	}
	ok(all, "base64: lddw");
}

/* --- jumps ---------------------------------------------------------------------------------------------------- */

struct jump_row {
	uint64_t a, b;
	uint16_t wide, narrow;	/* bit BPF_OP >> 4: is taken */
};
#define T(op)	(1u << ((op) >> 4))
#define EQUAL	(T(BPF_JEQ) | T(BPF_JGE) | T(BPF_JLE) | T(BPF_JSGE) | T(BPF_JSLE))
#define ABOVE	(T(BPF_JNE) | T(BPF_JGT) | T(BPF_JGE))
#define BELOW	(T(BPF_JNE) | T(BPF_JLT) | T(BPF_JLE))
#define GREATER	(T(BPF_JSGT) | T(BPF_JSGE))
#define LESS	(T(BPF_JSLT) | T(BPF_JSLE))
#define SET	T(BPF_JSET)

static const struct jump_row jump_rows[] = {
	{ 0, 0, EQUAL, EQUAL },
	{ 5, 5, EQUAL | SET, EQUAL | SET },
	{ 5, 6, BELOW | LESS | SET, BELOW | LESS | SET },
	{ 6, 1, ABOVE | GREATER, ABOVE | GREATER },
	{ ONES, 0, ABOVE | LESS, ABOVE | LESS },
	{ ONES, ONES, EQUAL | SET, EQUAL | SET },
	{ 0, ONES, BELOW | GREATER, BELOW | GREATER },
	{ 0x100000000, 0, ABOVE | GREATER, EQUAL },
	{ 0x500000001, 2, ABOVE | GREATER, BELOW | LESS },
	{ 0x80000000, 1, ABOVE | GREATER, ABOVE | LESS },
	{ 0x80000000, (uint64_t)-2147483648, BELOW | GREATER | SET, EQUAL | SET },
	{ MIN64, 0x7fffffff, ABOVE | LESS, BELOW | LESS },
	{ 0x1000, 0x1000, EQUAL | SET, EQUAL | SET },
	{ (uint64_t)-1000, (uint64_t)-999, BELOW | LESS | SET, BELOW | LESS | SET },
	{ 0x700000000, (uint64_t)-200, BELOW | GREATER | SET, BELOW | GREATER },
	{ MAX64, MIN64, BELOW | GREATER, ABOVE | LESS },
	{ 0x1234567800000000, 0x8765432100000000, BELOW | GREATER | SET, EQUAL },
};

/* A jump over a store that tells whether it was taken. */
static bool jump_is(struct exo_insn insn, unsigned dst, uint64_t a, unsigned src, uint64_t b, bool taken)
{
	begin_all();
	add_lddw(dst, a);
	add_lddw(src, b);
	add(I(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -88, 1));
	insn.regs = (uint8_t)(dst | (insn.code & BPF_SRC_REG ? src << 4 : 0));
	insn.offset = 1;
	add(insn);
	add(I(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -88, 0));
	end_all();
	return leaves(dst, dst == src ? b : a, src, b, pattern(0)) && word_below_top(11) == taken;
}

static bool jump_all(unsigned class, unsigned op, bool reg)
{
	for (size_t i = 0; i < ALL(jump_rows); i++) {
		const struct jump_row *row = &jump_rows[i];
		bool taken = (class == BPF_JMP ? row->wide : row->narrow) >> (op >> 4) & 1;

		if (!reg && class == BPF_JMP && row->b != (uint64_t)(int64_t)(int32_t)row->b)
			continue;
		for (unsigned dst = 0; dst < 10; dst++) {
			unsigned src = (dst * 7 + (unsigned)i) % 10;

			if (src == dst && row->a != row->b)
				src = (dst + 1) % 10;
			if (!jump_is(I(class | op | (reg ? BPF_SRC_REG : 0), 0, 0, 0, reg ? 0 : row->b), dst, row->a,
				     src, row->b, taken)) {
				printf("# row %zu, r%u, r%u\n", i, dst, src);
				return false;
			}
		}
	}
	return true;
}

static void test_jumps(void)
{
	static const struct { const char *name; unsigned op; } jumps[] = {
		{ "jeq", BPF_JEQ }, { "jne", BPF_JNE }, { "jset", BPF_JSET }, { "jgt", BPF_JGT }, { "jge", BPF_JGE },
		{ "jlt", BPF_JLT }, { "jle", BPF_JLE }, { "jsgt", BPF_JSGT }, { "jsge", BPF_JSGE },
		{ "jslt", BPF_JSLT }, { "jsle", BPF_JSLE },
	};

	for (size_t i = 0; i < ALL(jumps); i++) {
		ok(jump_all(BPF_JMP, jumps[i].op, true), "base64: %s with a register", jumps[i].name);
		ok(jump_all(BPF_JMP, jumps[i].op, false), "base64: %s with an immediate", jumps[i].name);
		ok(jump_all(BPF_JMP32, jumps[i].op, true), "base32: %s with a register", jumps[i].name);
		ok(jump_all(BPF_JMP32, jumps[i].op, false), "base32: %s with an immediate", jumps[i].name);
	}
	ok(jump_is(JUMP(BPF_JA, 0, 0, 0), 0, 1, 0, 1, true), "base32: ja");
	ok(!jump_is(I(BPF_JMP32 | BPF_JA, 0, 0, 0, 0), 0, 1, 0, 1, false), "base32: ja by imm with an offset is none");
}

/* The result of a program given as an array. */
#define RESULT(want, name, ...) do { \
	static const struct exo_insn array[] = { __VA_ARGS__ }; \
	bool same = both_plain(&both, array, ALL(array)); \
	if (!ok(same && both.compiled.r0 == (uint64_t)(want), "%s", name)) \
		printf("# interpreted %#llx, compiled %#llx\n", (unsigned long long)both.interpreted.r0, \
		       (unsigned long long)both.compiled.r0); \
} while (0)

static void test_ways(void)
{
	RESULT(3, "base32: ja by imm, over more than an offset can say, and back",
	       K64(BPF_MOV, 0, 1), I(BPF_JMP32 | BPF_JA, 0, 0, 0, 2), K64(BPF_ADD, 0, 1), EXIT,
	       I(BPF_JMP32 | BPF_JA, 0, 0, 0, 1), K64(BPF_MOV, 0, 9), K64(BPF_ADD, 0, 1),
	       I(BPF_JMP32 | BPF_JA, 0, 0, 0, -6));
	RESULT(55, "base64: a loop",
	       K64(BPF_MOV, 0, 0), K64(BPF_MOV, 1, 10), X64(BPF_ADD, 0, 1), K64(BPF_SUB, 1, 1),
	       JUMP(BPF_JNE, 1, 0, -3), EXIT);
	RESULT(0, "base64: what nobody has set is 0",
	       X64(BPF_ADD, 0, 3), X64(BPF_ADD, 0, 4), X64(BPF_ADD, 0, 5), X64(BPF_ADD, 0, 6), X64(BPF_ADD, 0, 7),
	       X64(BPF_ADD, 0, 8), X64(BPF_ADD, 0, 9), EXIT);
	RESULT(0x100000000, "base64: lddw over which a jump leads",
	       LDDW(0, 0x100000000), JUMP(BPF_JA, 0, 0, 2), LDDW(0, 7), EXIT);
	RESULT(30, "calls: arguments, result, and what is kept",
	       K64(BPF_MOV, 6, 1), K64(BPF_MOV, 7, 2), K64(BPF_MOV, 8, 3), K64(BPF_MOV, 9, 4), K64(BPF_MOV, 1, 20),
	       CALL(5), X64(BPF_ADD, 0, 6), X64(BPF_ADD, 0, 7), X64(BPF_ADD, 0, 8), X64(BPF_ADD, 0, 9), EXIT,
	       X64(BPF_MOV, 0, 1), K64(BPF_MOV, 6, 100), K64(BPF_MOV, 7, 100), K64(BPF_MOV, 8, 100),
	       K64(BPF_MOV, 9, 100), EXIT);
	RESULT(0x15, "calls: each function has its own stack, and sees that of its caller through an address",
	       I(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 5), X64(BPF_MOV, 1, 10), K64(BPF_ADD, 1, -8), CALL(2),
	       LOAD(BPF_DW, 0, 10, -8), EXIT,
	       I(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 7), LOAD(BPF_DW, 2, 1, 0), K64(BPF_ADD, 2, 0x10),
	       STORE(BPF_DW, 1, 2, 0), EXIT);
	RESULT(7, "calls: as deep as may be",
	       K64(BPF_MOV, 0, 0), K64(BPF_MOV, 1, 7), CALL(1), EXIT,
	       JUMP(BPF_JEQ, 1, 1, 2), K64(BPF_SUB, 1, 1), CALL(-3), K64(BPF_ADD, 0, 1), EXIT);
	ok(both.compiled.stop == BPF_STOP_EXIT, "calls: with an orderly end");
	RESULT(EXO_CODE_STOPPED, "calls: one deeper ends the run",
	       K64(BPF_MOV, 0, 0), K64(BPF_MOV, 1, 8), CALL(1), EXIT,
	       JUMP(BPF_JEQ, 1, 1, 2), K64(BPF_SUB, 1, 1), CALL(-3), K64(BPF_ADD, 0, 1), EXIT);
	ok(both.compiled.stop == BPF_STOP_FUEL, "calls: as if there were no fuel");
	RESULT(EXO_CODE_STOPPED, "calls: without an end", CALL(-1), EXIT);
}

/* --- memory --------------------------------------------------------------------------------------------------- */

static const unsigned sizes[] = { BPF_B, BPF_H, BPF_W, BPF_DW };
static const int16_t offsets[] = { 0, 1, 8, 127, 128, 129, 300, 1000, -1, -128, -129, -1000 };

static bool load_all(unsigned mode, unsigned size)
{
	unsigned width = bpf_width((uint8_t)size);

	for (size_t i = 0; i < ALL(offsets); i++) {
		for (unsigned pair = 0; pair < 100; pair++) {
			unsigned dst = pair / 10, src = pair % 10;
			uint8_t *at = both.memory + 2000 + offsets[i];
			uint64_t base = (uintptr_t)both_memory + 2000, want = 0;

			memcpy(&want, at, width);
			if (mode == BPF_MEMSX && width < 8 && want >> (8 * width - 1))
				want |= ONES << (8 * width);
			begin_all();
			add_lddw(src, base);
			add(I(BPF_LDX | mode | size, dst, src, offsets[i], 0));
			end_all();
			if (!leaves(dst, want, src, base, pattern(0)))
				return false;
		}
	}
	return true;
}

static bool store_all(bool from_reg, unsigned size)
{
	static const int32_t imms[] = { 0, 1, -1, 127, 128, -129, 0x12345678, INT32_MIN };
	unsigned width = bpf_width((uint8_t)size);
	uint8_t want[MEMORY_BYTES];

	for (size_t i = 0; i < ALL(offsets); i++) {
		for (unsigned pair = 0; pair < (from_reg ? 100 : 80); pair++) {
			unsigned dst = pair % 10, src = pair / 10;
			uint64_t base = (uintptr_t)both_memory + 2000;
			uint64_t value = !from_reg ? (uint64_t)(int64_t)imms[src] : src == dst ? base : pattern(src);

			memcpy(want, both.memory, sizeof(want));
			memcpy(want + 2000 + offsets[i], &value, width);
			begin_all();
			add_lddw(dst, base);
			if (from_reg)
				add(STORE(size, dst, src, offsets[i]));
			else
				add(I(BPF_ST | BPF_MEM | size, dst, 0, offsets[i], imms[src]));
			end_all();
			if (!leaves(dst, base, dst, base, pattern(0)) ||
			    memcmp(want, both.compiled.memory, sizeof(want)))
				return false;
		}
	}
	return true;
}

static void test_memory(void)
{
	for (size_t i = 0; i < MEMORY_BYTES; i++)
		both.memory[i] = (uint8_t)(i * 151 + (i >> 8) + 77);
	for (size_t i = 0; i < ALL(sizes); i++) {
		const char *group = sizes[i] == BPF_DW ? "base64" : "base32";
		unsigned width = bpf_width((uint8_t)sizes[i]);

		ok(load_all(BPF_MEM, sizes[i]), "%s: load of %u bytes", group, width);
		ok(store_all(true, sizes[i]), "%s: store of %u bytes of a register", group, width);
		ok(store_all(false, sizes[i]), "%s: store of %u bytes of an immediate", group, width);
		if (width < 8)
			ok(load_all(BPF_MEMSX, sizes[i]), "base64: load of %u bytes with their sign", width);
	}
}

struct atomic_row {
	const char *name;
	int32_t imm;
	uint64_t memory, src, r0;	/* before */
	uint64_t want, want32;		/* in memory, if the operation is done */
};

static const struct atomic_row atomic_rows[] = {
	{ "add", BPF_ADD, 0x11111111ffffffff, 0x2222222200000001, 0, 0x3333333400000000, 0x1111111100000000 },
	{ "or", BPF_OR, 0xf0f0f0f0f0f0f0f0, 0x0f000000000f0000, 0, 0xfff0f0f0f0fff0f0, 0xf0f0f0f0f0fff0f0 },
	{ "and", BPF_AND, 0xf0f0f0f0f0f0f0f0, 0x3c3c3c3c3c3c3c3c, 0, 0x3030303030303030, 0xf0f0f0f030303030 },
	{ "xor", BPF_XOR, 0xf0f0f0f0f0f0f0f0, 0x3c3c3c3c3c3c3c3c, 0, 0xcccccccccccccccc, 0xf0f0f0f0cccccccc },
	{ "xchg", BPF_XCHG, 0x123456789abcdef0, 0xfedcba9876543210, 0, 0xfedcba9876543210, 0x1234567876543210 },
	{ "cmpxchg", BPF_CMPXCHG, 0x123456789abcdef0, 0xfedcba9876543210, 0x123456789abcdef0, 0xfedcba9876543210,
	  0x1234567876543210 },
	{ "cmpxchg", BPF_CMPXCHG, 0x123456789abcdef0, 0xfedcba9876543210, 0x5555555512345678, 0x123456789abcdef0,
	  0x123456789abcdef0 },
	{ "cmpxchg", BPF_CMPXCHG, 0x123456789abcdef0, 0xfedcba9876543210, 0x555555559abcdef0, 0x123456789abcdef0,
	  0x1234567876543210 },
};

static bool atomic_one(const struct atomic_row *row, int32_t imm, bool wide, unsigned dst, unsigned src, int16_t offset)
{
	uint64_t base = (uintptr_t)both_memory + 2000, got, old = wide ? row->memory : (uint32_t)row->memory;
	bool exchange = imm == BPF_CMPXCHG;
	uint64_t r0 = exchange ? row->r0 : pattern(0), want_src = row->src;

	memcpy(both.memory + 2000 + offset, &row->memory, 8);
	begin_all();
	add_lddw(0, r0);
	add_lddw(src, row->src);
	add_lddw(dst, base);
	add(ATOMIC(wide ? BPF_DW : BPF_W, dst, src, offset, imm));
	end_all();
	if (imm & BPF_FETCH && !exchange)
		want_src = old;
	if (exchange)
		r0 = old;
	if (!leaves(dst, base, src, want_src, r0))
		return false;
	memcpy(&got, both.compiled.memory + 2000 + offset, 8);
	return got == (wide ? row->want : row->want32);
}

/* dst and src differ: with one register for both, what is in memory would depend on where it lies. */
static bool atomic_all(const struct atomic_row *row, int32_t imm, bool wide)
{
	static const int16_t places[] = { 0, 8, 128, -136 };

	for (unsigned i = 0; i < 400; i++) {
		unsigned dst = i % 10, src = i / 10 % 10;

		if (dst == src || (imm == BPF_CMPXCHG && (dst == 0 || src == 0)))
			continue;
		if (!atomic_one(row, imm, wide, dst, src, places[i / 100]))
			return false;
	}
	return true;
}

static void test_atomic(void)
{
	for (size_t i = 0; i < ALL(atomic_rows); i++) {
		const struct atomic_row *row = &atomic_rows[i];

		for (unsigned wide = 0; wide < 2; wide++) {
			const char *group = wide ? "atomic64" : "atomic32";

			ok(atomic_all(row, row->imm, wide), "%s: %s", group, row->name);
			if (!(row->imm & BPF_FETCH))
				ok(atomic_all(row, row->imm | BPF_FETCH, wide), "%s: fetch %s", group, row->name);
		}
	}
	RESULT(12, "atomic64: the address and the operand in one register",
	       I(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 3), X64(BPF_MOV, 1, 10), K64(BPF_SUB, 1, 8),
	       ATOMIC(BPF_DW, 1, 1, 0, BPF_XCHG), X64(BPF_MOV, 0, 10), LOAD(BPF_DW, 2, 10, -8), X64(BPF_SUB, 0, 2),
	       X64(BPF_ADD, 0, 1), K64(BPF_ADD, 0, 1), EXIT);
	RESULT(6, "atomic64: cmpxchg of r0",
	       K64(BPF_MOV, 0, 3), I(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 3), ATOMIC(BPF_DW, 10, 0, -8, BPF_CMPXCHG),
	       LOAD(BPF_DW, 1, 10, -8), X64(BPF_ADD, 0, 1), EXIT);
}

int main(void)
{
	both.key = 0x9e3779b97f4a7c15;
	test_alu(BPF_ALU64);
	test_alu(BPF_ALU);
	test_one_operand();
	test_lddw();
	test_jumps();
	test_ways();
	test_memory();
	test_atomic();
	return done();
}
