/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs in instruction-set mode, over memory and stack: the interpreter and the machine code leave the same
 * r0, memory, stack, fuel and reason. `bpf_random [SEED [COUNT]]` makes others, or more.
 *
 * A program is main and up to three functions; r6 holds the memory's address throughout. Jumps lead anywhere within
 * their function, calls to any function; what does not end is ended by its fuel.
 */
#include <stdlib.h>
#include "test/unit/bpf_isa.h"
#include "test/unit/tap.h"

#define LONGEST		160
#define FUNCTIONS	4
#define BASE		6

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT];

static struct both both;
static struct exo_insn made[LONGEST + 64];
static uint32_t group[LONGEST + 64];	/* where the row of instructions begins into which no jump leads */
static uint32_t count, begins[FUNCTIONS + 1];
static uint64_t state;

static uint64_t draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1d;
}

static unsigned below(unsigned n)
{
	return (unsigned)(draw() >> 33) % n;
}

static uint64_t value(void)
{
	static const uint64_t edges[] = { 0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000 };
	uint64_t edge = edges[below(sizeof(edges) / sizeof(edges[0]))];

	switch (below(4)) {
	case 0:
		return draw();
	case 1:
		return draw() >> below(64);
	case 2:
		return 0 - edge;
	default:
		return edge;
	}
}

static void add(struct exo_insn insn)
{
	made[count++] = insn;
}

static unsigned any_target(void)	/* a register to write */
{
	unsigned reg = below(9);

	return reg == BASE ? 9 : reg;
}

static unsigned source(void)
{
	return below(BPF_REGS);
}

static void add_alu(void)
{
	static const unsigned ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD,
		BPF_XOR, BPF_MOV, BPF_ARSH };
	static const int16_t extend[] = { 0, 8, 16, 32 };
	unsigned op = ops[below(12)], class = below(2) ? BPF_ALU64 : BPF_ALU;
	bool reg = below(2);
	int16_t offset = 0;

	if (op == BPF_DIV || op == BPF_MOD)
		offset = (int16_t)below(2);
	if (op == BPF_MOV && reg)
		offset = extend[below(class == BPF_ALU64 ? 4 : 3)];
	if (reg)
		add(I(class | op | BPF_SRC_REG, any_target(), source(), offset, 0));
	else
		add(I(class | op, any_target(), 0, offset, value()));
}

static void add_one_operand(void)
{
	static const int32_t widths[] = { 16, 32, 64 };

	switch (below(4)) {
	case 0:
		add(I((below(2) ? BPF_ALU64 : BPF_ALU) | BPF_NEG, any_target(), 0, 0, 0));
		break;
	case 1:
		add(I(BPF_ALU64 | BPF_END, any_target(), 0, 0, widths[below(3)]));
		break;
	default:
		add(I(BPF_ALU | BPF_END | (below(2) ? BPF_SRC_REG : 0), any_target(), 0, 0, widths[below(3)]));
	}
}

/* An access of the memory or the stack, or of the memory through another register. */
static void add_memory(void)
{
	static const unsigned sizes[] = { BPF_B, BPF_H, BPF_W, BPF_DW };
	static const int32_t atomics[] = { BPF_ADD, BPF_OR, BPF_AND, BPF_XOR, BPF_ADD | BPF_FETCH, BPF_OR | BPF_FETCH,
		BPF_AND | BPF_FETCH, BPF_XOR | BPF_FETCH, BPF_XCHG, BPF_CMPXCHG };
	unsigned size = sizes[below(4)], base = BASE, what = below(8);
	int offset = (int)below(below(2) ? 64 : MEMORY_BYTES / 8) * 8;

	if (below(3) == 0) {
		base = BPF_FRAME;
		offset = -8 - (int)below(EXO_CODE_STACK / 8) * 8;
	} else if (below(2)) {
		int at = (int)below(MEMORY_BYTES / 8) * 8;

		base = any_target();
		add(X64(BPF_MOV, base, BASE));
		add(K64(BPF_ADD, base, at));
		offset -= at;
	}
	if (what < 6)
		offset += (int)below(8) & -(int)bpf_width((uint8_t)size) & 7;
	if (what < 2)
		add(LOAD(size, any_target(), base, (int16_t)offset));
	else if (what == 2 && size != BPF_DW)
		add(I(BPF_LDX | BPF_MEMSX | size, any_target(), base, (int16_t)offset, 0));
	else if (what < 5)
		add(STORE(size, base, source(), (int16_t)offset));
	else if (what == 5)
		add(I(BPF_ST | BPF_MEM | size, base, 0, (int16_t)offset, value()));
	else
		add(ATOMIC(below(2) ? BPF_DW : BPF_W, base, any_target(), (int16_t)offset, atomics[below(10)]));
}

/* Distances are given when all is there. */
static void add_jump(void)
{
	static const unsigned ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT,
		BPF_JLE, BPF_JSLT, BPF_JSLE };
	unsigned class = below(2) ? BPF_JMP : BPF_JMP32;

	if (below(8) == 0)
		add(I(class | BPF_JA, 0, 0, 0, 0));
	else if (below(2))
		add(I(class | ops[below(11)] | BPF_SRC_REG, source(), source(), 0, 0));
	else
		add(I(class | ops[below(11)], source(), 0, 0, value()));
}

static void add_any(void)
{
	unsigned what = below(20);
	uint64_t constant;

	if (what < 8)
		add_alu();
	else if (what < 9)
		add_one_operand();
	else if (what < 14)
		add_memory();
	else if (what < 17)
		add_jump();
	else if (what < 18)
		add(CALL(0));
	else {
		unsigned dst = any_target();

		constant = value();
		add(I(BPF_LDDW, dst, 0, 0, constant));
		add(I(0, 0, 0, 0, constant >> 32));
	}
}

/* Jumps within [first, end), mostly ahead; calls to any function. */
static void link_function(uint32_t first, uint32_t end, unsigned functions)
{
	for (uint32_t at = first; at < end; at++) {
		struct exo_insn *insn = &made[at];
		unsigned class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
		uint32_t to;

		if (insn->code == BPF_LDDW)
			at++;
		if ((class != BPF_JMP && class != BPF_JMP32) || op == BPF_EXIT)
			continue;
		if (op == BPF_CALL) {
			to = below(functions);
			insn->imm = (int32_t)(begins[to] + (to == 0) - at - 1);
			continue;
		}
		to = below(8) ? at + 1 + below(end - at - 1) : first + 1 + below(end - first - 1);
		to = group[to];
		if (insn->code == (BPF_JMP32 | BPF_JA))
			insn->imm = (int32_t)(to - at - 1);
		else
			insn->offset = (int16_t)(to - at - 1);
	}
}

static void make(void)
{
	unsigned functions = 1 + below(FUNCTIONS), length = 8 + below(LONGEST / FUNCTIONS - 8);

	count = 0;
	for (unsigned i = 0; i < functions; i++) {
		begins[i] = count;
		if (i == 0)
			add(X64(BPF_MOV, BASE, 1));
		group[begins[i]] = begins[i];
		while (count < begins[i] + length) {
			uint32_t begin = count;

			add_any();
			for (uint32_t at = begin; at < count; at++)
				group[at] = begin;
		}
		group[count] = count;
		add(EXIT);
	}
	begins[functions] = count;
	for (unsigned i = 0; i < functions; i++)
		link_function(begins[i], begins[i + 1], functions);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	unsigned long programs = argc > 2 ? strtoul(argv[2], NULL, 0) : getenv("EXO_TEST_LONG") &&
	    *getenv("EXO_TEST_LONG") ? 1000000 : 20000, ended = 0, differ = 0, wrong = 0;
	const char *why;
	uint32_t where;

	for (unsigned long i = 0; i < programs; i++) {
		state = (seed + i) * 0x9e3779b97f4a7c15 | 1;
		make();
		for (size_t b = 0; b < MEMORY_BYTES; b += 8)
			memcpy(both.memory + b, &(uint64_t){ draw() }, 8);
		both.r1 = (uintptr_t)both_memory;
		both.r2 = MEMORY_BYTES;
		both.key = i % 4 ? draw() : 0;
		both_program(&both, made, count);
		why = plain_prepare(&both.program, &where);
		if (why) {
			wrong++;
			printf("# seed %llu: instruction %u: %s\n", (unsigned long long)(seed + i), where, why);
			continue;
		}
		both.program.fuel = 60;
		if (!both_run(&both)) {
			differ++;
			printf("# seed %llu differs\n", (unsigned long long)(seed + i));
		}
		ended += both.compiled.stop == BPF_STOP_EXIT;
	}
	ok(wrong == 0, "the generator makes programs");
	ok(differ == 0, "%lu random programs: interpreter and compiled code leave the same", programs);
	ok(ended > programs / 4, "%lu of them end by themselves", ended);
	return done();
}
