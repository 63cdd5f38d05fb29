/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Abstract numbers for the verifier: what eBPF's arithmetic and comparisons make of a set of numbers that is known by a
 * run: `low`, and each `gap`-th number behind it up to `span` behind it, modulo 2^64.
 *
 * -3 to 5 is a run as 10 to 20 is, so one pair tells what bounds of signed and of unsigned numbers do (J. Navas and others,
 * "Signedness-Agnostic Program Analysis", APLAS 2012). Adding runs adds both; each comparison with a constant is a run, and
 * its opposite the rest of the circle. What needs an order asks for a *view*: the run's ends as unsigned numbers, or (turned
 * by half the circle) as signed ones, if it does not pass the view's own end; then all numbers. The gap, a power of two, is
 * what is kept of single bits: those below it are the same in all members. It tells how an address is aligned.
 *
 * N1 each operation's result contains every result of the operation on members of its operands
 * N2 the gap is 0 if there is one member only, else it divides span; the run of all that are a gap apart begins below it
 *
 * Operations of 32 bits are those of 64 bits on operands that were cut to 32 bits (extended by zeros or,
 * where the sign matters, by the sign), with the result cut again: for every operation of the instruction set
 * the low 32 bits of the result depend on nothing else.
 */
#include "exo/bpf_check.h"

#define SIGN	(1ull << 63)

const struct bpf_value bpf_any = { .kind = EXO_KIND_NUMBER, .room = BPF_ROOM_NONE, .span = UINT64_MAX, .gap = 1 };

static uint64_t lowest(uint64_t bits)
{
	return bits & -bits;
}

void bpf_align(struct bpf_value *v, uint64_t gaps)
{
	v->gap = lowest(gaps);
	v->span &= -v->gap;
	if (!v->span)
		v->gap = 0;
	else if (v->span == -v->gap)
		v->low &= v->gap - 1;
}

static void run(struct bpf_value *v, uint64_t low, uint64_t span)
{
	v->low = low;
	v->span = span;
	bpf_align(v, 1);
}

void bpf_number(struct bpf_value *v, uint64_t number)
{
	*v = (struct bpf_value){ .kind = EXO_KIND_NUMBER, .room = BPF_ROOM_NONE, .low = number };
}

void bpf_bounded(struct bpf_value *v, int64_t min, int64_t max)
{
	*v = bpf_any;
	run(v, (uint64_t)min, (uint64_t)max - (uint64_t)min);
}

/* --- views -------------------------------------------------------------------------------------------- */

struct view {
	uint64_t min, max;
};

/* The ends, `turn` added: 0, or SIGN for signed ones. */
static struct view view(const struct bpf_value *v, uint64_t turn)
{
	struct view ends = { v->low + turn, 0 };

	if (__builtin_add_overflow(ends.min, v->span, &ends.max))
		ends = (struct view){ ends.min & (v->gap - 1), UINT64_MAX };
	return ends;
}

int64_t bpf_min(const struct bpf_value *v)
{
	return (int64_t)(view(v, SIGN).min - SIGN);
}

int64_t bpf_max(const struct bpf_value *v)
{
	return (int64_t)(view(v, SIGN).max - SIGN);
}

uint64_t bpf_umax(const struct bpf_value *v)
{
	return view(v, 0).max;
}

bool bpf_within(const struct bpf_value *v, int64_t min, int64_t max)
{
	uint64_t before = v->low - (uint64_t)min, span = (uint64_t)max - (uint64_t)min;

	return before <= span && v->span <= span - before;
}

void bpf_known(const struct bpf_value *v, struct exo_known *known)
{
	*known = (struct exo_known){ .kind = v->kind, .window = v->window, .min = bpf_min(v), .max = bpf_max(v),
		.umin = view(v, 0).min, .umax = bpf_umax(v), .value = v->low & ~-v->gap, .unknown = -v->gap };
	if (v->window == BPF_WINDOW_CALLER)
		known->window = EXO_WINDOW_STACK;
}

/* --- sets --------------------------------------------------------------------------------------------- */

bool bpf_clip(struct bpf_value *v, uint64_t low, uint64_t span)
{
	uint64_t behind = low - v->low, before = -behind, up;

	if (behind > v->span) {		/* it begins outside */
		if (before > span)
			return false;
		low = v->low;
		span -= before;
	} else if (!behind || before > span) {
		span = span < v->span - behind ? span : v->span - behind;
	}
	if (span >= v->span)
		return true;
	up = (v->low - low) & (v->gap - 1);
	if (up > span)
		return false;
	v->low = low + up;		/* if what is left is in two pieces: one of both is as near as a run comes */
	v->span = span - up;
	bpf_align(v, v->gap);
	return true;
}

/* The span of a run from a's beginning, with `behind` to b's. */
static uint64_t around(const struct bpf_value *a, const struct bpf_value *b, uint64_t behind)
{
	uint64_t span;

	if (__builtin_add_overflow(behind, b->span, &span))
		return UINT64_MAX;
	return span > a->span ? span : a->span;
}

void bpf_hull(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t behind = b->low - a->low, one = around(a, b, behind), other = around(b, a, -behind);

	a->low = other < one ? b->low : a->low;
	a->span = other < one ? other : one;
	bpf_align(a, a->gap | b->gap | behind);
}

/* --- widths ------------------------------------------------------------------------------------------- */

static void cut(struct bpf_value *v, unsigned bits)
{
	uint64_t mask = UINT64_MAX >> (64 - bits);

	if (bpf_umax(v) <= mask)
		return;
	v->low &= mask;
	if (v->span > mask - v->low) {
		v->low &= v->gap - 1;
		v->span = mask - v->low;
	}
	bpf_align(v, v->gap & mask);
}

/* Keep the low bits, extended by their sign. */
static void extend(struct bpf_value *v, unsigned bits)
{
	int64_t sign = 1ll << (bits - 1);

	if (!bpf_within(v, -sign, sign - 1))
		run(v, (uint64_t)-sign, 2 * (uint64_t)sign - 1);
}

/* --- arithmetic on 64 bits ---------------------------------------------------------------------------- */

static void add(struct bpf_value *a, const struct bpf_value *b)
{
	a->low += b->low;
	if (__builtin_add_overflow(a->span, b->span, &a->span))
		a->span = UINT64_MAX;
	bpf_align(a, a->gap | b->gap);
}

static void negate(struct bpf_value *a, const struct bpf_value *b)
{
	(void)b;
	a->low = -(a->low + a->span);
	bpf_align(a, a->gap);
}

static void sub(struct bpf_value *a, const struct bpf_value *b)
{
	struct bpf_value less = *b;

	negate(&less, b);
	add(a, &less);
}

/* By one number, a run becomes a longer one. */
static void multiply(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t by = bpf_is_exact(b) ? b->low : a->low;
	bool runs = !bpf_is_exact(a) && !bpf_is_exact(b);

	a->low *= b->low;
	if (__builtin_mul_overflow(a->span | b->span, by, &a->span) || runs)
		a->span = UINT64_MAX;
	bpf_align(a, runs ? 1 : (a->gap | b->gap) * by);
}

/* 0 where the divisor is 0. */
static void divide(struct bpf_value *a, const struct bpf_value *b)
{
	struct view x = view(a, 0), y = view(b, 0);
	uint64_t least = y.min ? x.min / y.max : 0, most = !y.max ? 0 : x.max / (y.min ? y.min : 1);

	run(a, least, most - least);
}

/* The dividend itself where the divisor is 0. */
static void modulo(struct bpf_value *a, const struct bpf_value *b)
{
	struct view x = view(a, 0), y = view(b, 0);

	if (!y.max || (y.min && x.max < y.min))
		return;
	run(a, 0, y.min && y.max - 1 < x.max ? y.max - 1 : x.max);
}

/* A bit of the result is known where both are, or one is and decides. */
static void and(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t most = bpf_umax(a) < bpf_umax(b) ? bpf_umax(a) : bpf_umax(b);
	uint64_t open = (-a->gap | -b->gap) & (a->low | -a->gap) & (b->low | -b->gap);

	a->low &= b->low & (lowest(open) - 1);
	a->span = most - a->low;
	bpf_align(a, open);
}

/* No bit is set above the highest that may be set in one; `low`: what is made of their lowest. */
static void merge(struct bpf_value *a, const struct bpf_value *b, uint64_t low)
{
	uint64_t bits = bpf_umax(a) | bpf_umax(b), open = a->gap | b->gap;

	a->low = low & (lowest(open) - 1);
	a->span = bits ? (UINT64_MAX >> __builtin_clzll(bits)) - a->low : 0;
	bpf_align(a, open);
}

static void or(struct bpf_value *a, const struct bpf_value *b)
{
	merge(a, b, a->low | b->low);
}

static void xor(struct bpf_value *a, const struct bpf_value *b)
{
	merge(a, b, a->low ^ b->low);
}

/* Shifts are by one number: by others, see bpf_alu. */
static void left(struct bpf_value *a, const struct bpf_value *by)
{
	a->span = a->span << by->low >> by->low == a->span ? a->span << by->low : UINT64_MAX;
	a->low <<= by->low;
	bpf_align(a, a->gap << by->low);
}

/* With its sign: all is half the circle further on meanwhile. */
static void shift_right(struct bpf_value *a, uint64_t n, uint64_t turn)
{
	struct view x = view(a, turn);

	a->low = (x.min >> n) - (turn >> n);
	a->span = (x.max >> n) - (x.min >> n);
	bpf_align(a, a->gap >> n ? a->gap >> n : a->gap != 0);
}

static void right(struct bpf_value *a, const struct bpf_value *by)
{
	shift_right(a, by->low, 0);
}

static void right_signed(struct bpf_value *a, const struct bpf_value *by)
{
	shift_right(a, by->low, SIGN);
}

static void move(struct bpf_value *a, const struct bpf_value *b)
{
	a->low = b->low;
	a->span = b->span;
	a->gap = b->gap;
}

/* --- the table ---------------------------------------------------------------------------------------- */

/* By BPF_OP >> 4. Of 32 bits, operands are extended by their sign: always, or if the offset says so. */
static const struct operation {
	void (*make)(struct bpf_value *, const struct bpf_value *);
	bool is_signed, by_offset, shifts;
} operations[16] = {
	[BPF_ADD >> 4] = { add },		[BPF_SUB >> 4] = { sub },
	[BPF_MUL >> 4] = { multiply },		[BPF_NEG >> 4] = { negate },
	[BPF_DIV >> 4] = { divide, .by_offset = true },
	[BPF_MOD >> 4] = { modulo, .by_offset = true },
	[BPF_OR >> 4] = { or },			[BPF_AND >> 4] = { and },
	[BPF_XOR >> 4] = { xor },		[BPF_MOV >> 4] = { move },
	[BPF_LSH >> 4] = { left, .shifts = true },
	[BPF_RSH >> 4] = { right, .shifts = true },
	[BPF_ARSH >> 4] = { right_signed, .is_signed = true, .shifts = true },
};

/* To little or big endian: of `bits`, if it is swapped or not. */
static void order(struct bpf_value *a, unsigned bits, bool swaps)
{
	if (swaps && bpf_is_exact(a))
		run(a, __builtin_bswap64(a->low) >> (64 - bits), 0);
	else if (swaps)
		run(a, 0, UINT64_MAX);
	cut(a, bits);
}

void bpf_alu(struct bpf_value *a, uint8_t code, int16_t offset, int32_t imm, const struct bpf_value *operand)
{
	bool wide = BPF_CLASS(code) == BPF_ALU64;
	const struct operation *op = &operations[BPF_OP(code) >> 4];
	void (*low)(struct bpf_value *, unsigned) = op->is_signed || (op->by_offset && offset) ? extend : cut;
	struct bpf_value b = *operand, mask;

	if (BPF_OP(code) == BPF_END) {
		order(a, (unsigned)imm, wide || code & BPF_SRC_REG);
		return;
	}
	if (!wide) {
		low(a, 32);
		low(&b, 32);
	}
	if (op->shifts) {
		run(&mask, wide ? 63 : 31, 0);
		and(&b, &mask);
	}
	if ((op->shifts && !bpf_is_exact(&b)) || (op->by_offset && offset && (bpf_min(a) < 0 || bpf_min(&b) < 0)))
		run(a, 0, op->make == right ? bpf_umax(a) : UINT64_MAX);	/* of a shift to the right: it is no larger */
	else
		op->make(a, &b);
	if (op->make == move && offset)
		extend(a, (unsigned)offset);
	if (!wide)
		cut(a, 32);
}

/* --- comparisons -------------------------------------------------------------------------------------- */

uint8_t bpf_negated(uint8_t op)
{
	bool ordered = op != BPF_JEQ && op != BPF_JNE && op != BPF_JSET && op != BPF_JNSET;

	return op ^ (!ordered ? BPF_JEQ ^ BPF_JNE : bpf_is_signed(op) ? BPF_JSGT ^ BPF_JSLE : BPF_JGT ^ BPF_JLE);
}

/* `turn`: SIGN if it has to do with signs. */
static bool assume_number(uint8_t op, uint64_t turn, struct bpf_value *a, uint64_t n)
{
	bool strict = !(op & (BPF_JGE ^ BPF_JGT));

	if (op == BPF_JEQ)
		return bpf_clip(a, n, 0);
	if (op == BPF_JNE)
		return bpf_clip(a, n + 1, UINT64_MAX - 1);
	n += turn;
	if (op >= BPF_JLT)
		return !(strict && !n--) && bpf_clip(a, -turn, n);
	return !(strict && !++n) && bpf_clip(a, n - turn, UINT64_MAX - n);
}

/* Of 64 bits. */
static bool assume(uint8_t op, uint64_t turn, struct bpf_value *a, struct bpf_value *b)
{
	if (op == BPF_JSET || op == BPF_JNSET)
		return true;
	if (bpf_is_exact(b))
		return assume_number(op, turn, a, b->low);
	if (!bpf_is_exact(a))
		return true;
	if (op != BPF_JEQ && op != BPF_JNE)	/* the other way round */
		op ^= turn ? BPF_JSGT ^ BPF_JSLT : BPF_JGT ^ BPF_JLT;
	return assume_number(op, turn, b, a->low);
}

/* Of 32 bits: as of 64, if both fit. */
bool bpf_assume(uint8_t op, bool wide, struct bpf_value *a, struct bpf_value *b)
{
	bool is_signed = bpf_is_signed(op);
	int64_t min = is_signed ? INT32_MIN : 0, max = is_signed ? INT32_MAX : UINT32_MAX;

	if (!wide && !(bpf_within(a, min, max) && bpf_within(b, min, max)))
		return true;
	return assume(op, is_signed ? SIGN : 0, a, b);
}
