/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verifier's numbers against real ones: every operation and comparison on every pair of small ranges, and on random
 * sets of 64-bit numbers, of which each member's result, by the interpreter, has to be in the abstract result.
 */
#include "exo/bpf_check.h"
#include "test/unit/tap.h"

bpf_call_fn *const bpf_call[EXO_CODE_CALL_COUNT] = { NULL };

static uint64_t seed = 88172645463325252ull;
static unsigned long long checked;
static int bad;

static uint64_t any64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static uint64_t interesting(void)
{
	static const uint64_t edge[] = {
		0, 1, 2, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
		0xffffffff80000000, 0xffffffff7fffffff, 0xffffffff00000000,
	};
	uint64_t r = any64();

	switch (any64() % 4) {
	case 0:	return edge[r % (sizeof(edge) / sizeof(*edge))];
	case 1:	return edge[r % (sizeof(edge) / sizeof(*edge))] + (uint64_t)((int64_t)(any64() % 9) - 4);
	case 2:	return r >> any64() % 64;
	default: return 0 - (r >> any64() % 64);
	}
}

static bool has(const struct bpf_value *v, uint64_t number)
{
	return number - v->low <= v->span && !((number - v->low) & (v->gap - 1));
}

/* A value with all these members, and no end that is none: the run begins at the first. */
static struct bpf_value hull(const uint64_t *member, unsigned members)
{
	struct bpf_value v;
	uint64_t gaps = 0;

	bpf_number(&v, member[0]);
	for (unsigned i = 1; i < members; i++) {
		v.span = member[i] - v.low > v.span ? member[i] - v.low : v.span;
		gaps |= member[i] - v.low;
	}
	bpf_align(&v, gaps);
	return v;
}

static uint64_t run(struct exo_insn insn, uint64_t a, uint64_t b)
{
	struct exo_insn text[] = {
		insn,
		{ BPF_ALU64 | BPF_MOV | BPF_SRC_REG, 1 << 4, 0, 0 },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0 },
		{ BPF_ALU64 | BPF_MOV, 0, 0, 1 },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0 },
	};
	struct bpf_note note[5] = { { 0 } };
	struct bpf_program program = { .insn = text, .insns = 5, .note = note, .fuel = 10 };
	struct bpf_run r = { 0 };

	for (unsigned i = 0; i < 5; i++)
		note[i].flags = BPF_NOTE_REACHED;
	if (BPF_CLASS(insn.code) == BPF_JMP || BPF_CLASS(insn.code) == BPF_JMP32)
		text[1] = (struct exo_insn){ BPF_ALU64 | BPF_MOV, 0, 0, 0 };
	bpf_begin(&r, &program, NULL);
	return bpf_interpret(&r, a, b);
}

static void complain(const char *what, struct exo_insn insn, uint64_t a, uint64_t b, uint64_t result,
    const struct bpf_value *v)
{
	if (bad++ < 10)
		printf("# %s: code %#x offset %d imm %d: %#llx, %#llx -> %#llx not in %#llx and %#llx behind, %#llx apart\n",
		    what, insn.code, insn.offset, insn.imm, (unsigned long long)a, (unsigned long long)b,
		    (unsigned long long)result, (unsigned long long)v->low, (unsigned long long)v->span,
		    (unsigned long long)v->gap);
}

/* Every operation there is, on registers 1 and 2. */
static struct exo_insn operation[64];
static unsigned operations;
static const uint8_t comparison[] = {
	BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE,
};

static void all_operations(void)
{
	for (unsigned wide = 0; wide < 2; wide++) {
		uint8_t class = wide ? BPF_ALU64 : BPF_ALU;

		for (unsigned op = BPF_ADD; op <= BPF_ARSH; op += 0x10) {
			uint8_t code = (uint8_t)(class | op | (op == BPF_NEG ? 0 : BPF_SRC_REG));

			operation[operations++] = (struct exo_insn){ code, 2 << 4 | 1, 0, 0 };
			if (op == BPF_DIV || op == BPF_MOD)
				operation[operations++] = (struct exo_insn){ code, 2 << 4 | 1, 1, 0 };
			for (int bits = 8; op == BPF_MOV && bits <= (wide ? 32 : 16); bits *= 2)
				operation[operations++] = (struct exo_insn){ code, 2 << 4 | 1, (int16_t)bits, 0 };
		}
		for (int bits = 16; bits <= 64; bits *= 2) {
			operation[operations++] = (struct exo_insn){ (uint8_t)(class | BPF_END), 1, 0, bits };
			if (!wide)
				operation[operations++] =
				    (struct exo_insn){ BPF_ALU | BPF_END | BPF_SRC_REG, 1, 0, bits };
		}
	}
}

/* Is it as N2 says? */
static bool is_proper(const struct bpf_value *v)
{
	return v->gap ? !(v->gap & (v->gap - 1)) && v->span && !(v->span & (v->gap - 1)) && (v->span != -v->gap || v->low < v->gap) :
	    !v->span;
}

static struct bpf_value abstract(struct exo_insn insn, const struct bpf_value *a, const struct bpf_value *b)
{
	struct bpf_value v = *a;

	bpf_alu(&v, insn.code, insn.offset, insn.imm, b);
	if (!is_proper(&v))
		complain("not proper", insn, a->low, b->low, 0, &v);
	return v;
}

/* Each operation on two sets and members of theirs. */
static void try_operation(struct exo_insn insn, const uint64_t *as, unsigned na, const uint64_t *bs, unsigned nb,
    const struct bpf_value *a, const struct bpf_value *b)
{
	struct bpf_value v = abstract(insn, a, b);

	for (unsigned i = 0; i < na; i++)
		for (unsigned j = 0; j < nb; j++, checked++) {
			uint64_t result = run(insn, as[i], bs[j]);

			if (!has(&v, result))
				complain("operation", insn, as[i], bs[j], result, &v);
		}
}

static void try_comparison(uint8_t op, bool wide, const uint64_t *as, unsigned na, const uint64_t *bs, unsigned nb,
    const struct bpf_value *a, const struct bpf_value *b)
{
	struct exo_insn insn = { (uint8_t)((wide ? BPF_JMP : BPF_JMP32) | op | BPF_SRC_REG), 2 << 4 | 1, 2, 0 };
	struct bpf_value yes_a = *a, yes_b = *b, no_a = *a, no_b = *b;
	bool yes = bpf_assume(op, wide, &yes_a, &yes_b), no = bpf_assume(bpf_negated(op), wide, &no_a, &no_b);

	for (unsigned i = 0; i < na; i++)
		for (unsigned j = 0; j < nb; j++, checked++) {
			bool taken = run(insn, as[i], bs[j]);

			if (!(taken ? yes : no))
				complain("closed way", insn, as[i], bs[j], taken, a);
			else if (!has(taken ? &yes_a : &no_a, as[i]))
				complain("left", insn, as[i], bs[j], as[i], taken ? &yes_a : &no_a);
			else if (!has(taken ? &yes_b : &no_b, bs[j]))
				complain("right", insn, as[i], bs[j], bs[j], taken ? &yes_b : &no_b);
		}
}

static void try_all(const uint64_t *as, unsigned na, const uint64_t *bs, unsigned nb)
{
	struct bpf_value a = hull(as, na), b = hull(bs, nb);

	for (unsigned i = 0; i < operations; i++)
		try_operation(operation[i], as, na, bs, nb, &a, &b);
	for (unsigned i = 0; i < 2 * sizeof(comparison); i++)
		try_comparison(comparison[i / 2], i % 2, as, na, bs, nb, &a, &b);
}

/* All pairs of ranges of up to 4 numbers, in steps of 1 and 3, where something happens. */
static void small_ranges(void)
{
	static const uint64_t around[] = { 0, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff };
	uint64_t as[4], bs[4], first;

	for (unsigned x = 0; x < 4; x++)
		for (unsigned y = 0; y < 4; y++)
			for (int from = -3; from <= 1; from += 2)
				for (int with = -3; with <= 1; with++)
					for (unsigned step = 1; step <= 3; step += 2)
						for (unsigned n = 1; n <= 4; n += 3) {
							for (unsigned i = 0; i < 4; i++) {
								as[i] = around[x] + (uint64_t)(int64_t)from + i * step;
								bs[i] = around[y] + (uint64_t)(int64_t)with + i;
							}
							try_all(as, n, bs, 4);
							try_all(as, 4, bs, n);
							first = as[0];		/* and runs that leave out what lies between */
							as[0] = as[n - 1];
							as[n - 1] = first;
							try_all(as, n, bs, 4);
						}
}

static void random_sets(unsigned rounds)
{
	uint64_t as[4], bs[4];

	while (rounds--) {
		unsigned na = 1 + (unsigned)(any64() % 4), nb = 1 + (unsigned)(any64() % 4);

		for (unsigned i = 0; i < 4; i++) {
			as[i] = i && any64() % 2 ? as[0] + (any64() >> (40 + any64() % 24)) : interesting();
			bs[i] = i && any64() % 2 ? bs[0] + (any64() >> (40 + any64() % 24)) : interesting();
		}
		try_all(as, na, bs, nb);
	}
}

/* What two sets make of each other: all that is in one of them, or in both. */
static void sets(void)
{
	for (unsigned round = 0; round < 400000; round++) {
		uint64_t m[4] = { interesting(), interesting(), interesting(), interesting() };
		struct bpf_value a = hull(m, 1 + round % 3), b = hull(m + 1, 3), both = a, common = a;
		bool some;

		bpf_hull(&both, &b);
		some = bpf_clip(&common, b.low, b.span);
		checked += 6;
		for (unsigned i = 0; i < 4; i++) {
			if ((i <= round % 3 || i) && !has(&both, m[i]))
				complain("together", (struct exo_insn){ 0 }, a.low, b.low, m[i], &both);
			if (has(&a, m[i]) && m[i] - b.low <= b.span && !(some && has(&common, m[i])))
				complain("in both", (struct exo_insn){ 0 }, a.low, b.low, m[i], &common);
		}
		if (!is_proper(&both) || !is_proper(&common))
			complain("not proper", (struct exo_insn){ 0 }, a.low, b.low, 0, is_proper(&both) ? &common : &both);
		if (some && common.span > a.span)
			complain("grows", (struct exo_insn){ 0 }, a.low, b.low, 0, &common);
	}
}

/* What programs rely on: it is known as well as it can be. */
static void sharp(void)
{
	struct bpf_value a, b;

	a = bpf_any;
	bpf_number(&b, 15);
	bpf_alu(&a, BPF_ALU64 | BPF_AND, 0, 0, &b);
	bpf_number(&b, 2);
	bpf_alu(&a, BPF_ALU64 | BPF_LSH, 0, 0, &b);
	ok(a.low == 0 && a.span == 60 && a.gap == 4, "(x & 15) << 2");
	bpf_bounded(&a, 0, 255);
	bpf_number(&b, 32);
	bpf_alu(&a, BPF_ALU64 | BPF_LSH, 0, 0, &b);
	bpf_alu(&a, BPF_ALU64 | BPF_ARSH, 0, 0, &b);
	ok(a.low == 0 && a.span == 255, "sign extension of a byte by shifts");
	bpf_bounded(&a, 0, 65535);
	bpf_alu(&a, BPF_ALU | BPF_END | BPF_SRC_REG, 0, 16, &b);
	ok(a.low == 0 && a.span == 65535, "16 bits swapped are 16 bits");
	a = bpf_any;
	bpf_number(&b, 10);
	ok(bpf_assume(BPF_JLT, true, &a, &b) && a.low == 0 && a.span == 9, "x < 10, unsigned");
	a = bpf_any;
	bpf_number(&b, 0xfffffff0);
	ok(bpf_assume(BPF_JSGT, true, &a, &b) && a.low == 0xfffffff1 && bpf_max(&a) == INT64_MAX, "x > n, signed");
	bpf_bounded(&a, 0, 5);
	bpf_number(&b, 6);
	ok(!bpf_assume(BPF_JGE, true, &a, &b) && !bpf_assume(BPF_JEQ, true, &a, &b), "ways that cannot be");
	bpf_bounded(&a, 0, UINT32_MAX);
	bpf_number(&b, 1);
	ok(bpf_assume(BPF_JGE, false, &a, &b) && a.low == 1 && bpf_umax(&a) == UINT32_MAX, "w >= 1, of a number of 32 bits");
	bpf_bounded(&a, -5, INT32_MAX);
	ok(bpf_assume(BPF_JSGE, false, &a, &b) && a.low == 1 && a.span == INT32_MAX - 1, "w >= 1, signed");
	bpf_bounded(&a, 0, 7);
	bpf_number(&b, 8);
	ok(bpf_assume(BPF_JSET, true, &a, &b) && bpf_assume(BPF_JNSET, true, &a, &b) && a.span == 7, "single bits teach nothing");
	bpf_number(&b, 3);
	bpf_alu(&a, BPF_ALU64 | BPF_LSH, 0, 0, &b);
	ok(a.span == 56 && a.gap == 8, "multiples of 8");
	bpf_bounded(&a, 8, 100);
	bpf_number(&b, (uint64_t)-8);
	bpf_alu(&a, BPF_ALU64 | BPF_ADD, 0, 0, &b);
	ok(a.low == 0 && a.span == 92, "x - 8");
	bpf_bounded(&a, -5, 5);
	bpf_number(&b, (uint64_t)-3);
	ok(bpf_assume(BPF_JSGE, true, &a, &b) && a.low == b.low && a.span == 8, "x >= -3, of some around 0");
	bpf_number(&b, 10);
	bpf_alu(&a, BPF_ALU64 | BPF_MUL, 0, 0, &b);
	ok(bpf_min(&a) == -30 && bpf_max(&a) == 50, "times 10");
	bpf_number(&b, 0);
	ok(bpf_assume(BPF_JSLT, true, &a, &b) && bpf_max(&a) == -2, "less than 0, by twos");
}

int main(void)
{
	all_operations();
	sharp();
	sets();
	is_int(bad, 0, "two sets together, and what they have in common");
	small_ranges();
	is_int(bad, 0, "every operation and comparison on small ranges");
	random_sets(20000);
	is_int(bad, 0, "on random sets");
	printf("# %llu results compared\n", checked);
	return done();
}
