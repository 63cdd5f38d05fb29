/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Abstract numbers for the verifier: what eBPF's arithmetic and comparisons make of a set of numbers that is
 * known by a run and by bits.
 *
 * A run is `low` and the `span` numbers behind it, modulo 2^64: -3 to 5 is one as 10 to 20 is, so one pair tells what
 * bounds of signed and of unsigned numbers do (J. Navas and others, "Signedness-Agnostic Program Analysis", APLAS 2012).
 * Adding runs adds both; each comparison with a constant is a run, and its opposite the rest of the circle. What needs
 * an order asks for a *view*: the run's ends as unsigned numbers, or (turned by half the circle) as signed ones, if it
 * does not pass the view's own end; then all numbers.
 *
 * N1 each operation's result contains every result of the operation on members of its operands
 * N2 bits of `value` are 0 where `unknown` is 1; the run of all numbers begins at 0
 *
 * Operations of 32 bits are those of 64 bits on operands that were cut to 32 bits (extended by zeros or,
 * where the sign matters, by the sign), with the result cut again: for every operation of the instruction set
 * the low 32 bits of the result depend on nothing else. The bits of a sum are known up to where a carry can
 * begin: a sum of what is known and the sum of all that may be added differ exactly there (H. Vishwanathan
 * and others, "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers", CGO 2022).
 */
#include "exo/bpf_check.h"

#define LOW32	0xffffffffull
#define SIGN	(1ull << 63)

const struct bpf_value bpf_any = {
	.kind = EXO_KIND_NUMBER, .room = BPF_ROOM_NONE, .span = UINT64_MAX, .unknown = UINT64_MAX,
};

/* Only run and bits: what kind of value it is stays. */
static void copy(struct bpf_value *to, const struct bpf_value *from)
{
	to->low = from->low;
	to->span = from->span;
	to->value = from->value;
	to->unknown = from->unknown;
}

static void run(struct bpf_value *v, uint64_t low, uint64_t span)
{
	v->low = low;
	v->span = span;
	v->value = 0;
	v->unknown = UINT64_MAX;
}

static void set(struct bpf_value *v, uint64_t number)
{
	v->low = v->value = number;
	v->span = v->unknown = 0;
}

void bpf_number(struct bpf_value *v, uint64_t number)
{
	*v = bpf_any;
	set(v, number);
}

void bpf_bounded(struct bpf_value *v, int64_t min, int64_t max)
{
	*v = bpf_any;
	v->low = (uint64_t)min;
	v->span = (uint64_t)max - (uint64_t)min;
	bpf_sync(v);
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
		ends = (struct view){ 0, UINT64_MAX };
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
	return bpf_in_run(v->low, v->span, (uint64_t)min, (uint64_t)max - (uint64_t)min);
}

void bpf_known(const struct bpf_value *v, struct exo_known *known)
{
	known->kind = v->kind;
	known->window = v->window;
	known->min = bpf_min(v);
	known->max = bpf_max(v);
	known->umin = view(v, 0).min;
	known->umax = bpf_umax(v);
	known->value = v->value;
	known->unknown = v->unknown;
}

/* --- runs and bits ------------------------------------------------------------------------------------ */

bool bpf_sync(struct bpf_value *v)
{
	uint64_t max, same;

	v->low = v->span == UINT64_MAX ? 0 : v->low;
	max = v->low + v->span;
	if (!v->span && !v->unknown)
		return v->low == v->value;
	if (max < v->low)
		return true;		/* bits tell nothing of where such a run ends */
	same = v->span ? ~(UINT64_MAX >> __builtin_clzll(v->low ^ max)) : UINT64_MAX;	/* bits that all have */
	if ((v->value ^ v->low) & same & ~v->unknown)
		return false;
	v->value |= v->low & same;
	v->unknown &= ~same;
	v->low = v->low > v->value ? v->low : v->value;
	max = max < (v->value | v->unknown) ? max : v->value | v->unknown;
	v->span = max - v->low;
	return v->low <= max;
}

bool bpf_clip(struct bpf_value *v, uint64_t low, uint64_t span)
{
	uint64_t behind = low - v->low, before = -behind;

	if (behind > v->span) {		/* it begins outside */
		if (before > span)
			return false;
		low = v->low;
		span -= before;
		span = span < v->span ? span : v->span;
	} else if (!behind || before > span) {
		span = span < v->span - behind ? span : v->span - behind;
	}
	if (span < v->span) {		/* what is left is in two pieces: one of both is as near as a run comes */
		v->low = low;
		v->span = span;
	}
	return bpf_sync(v);
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

	if (other < one)
		a->low = b->low;
	if (one == UINT64_MAX && other == one)
		a->low = 0;
	a->span = other < one ? other : one;
	a->unknown |= b->unknown | (a->value ^ b->value);
	a->value &= ~a->unknown;
}

/* --- widths ------------------------------------------------------------------------------------------- */

static uint64_t mask_of(unsigned bits)
{
	return UINT64_MAX >> (64 - bits);
}

static void cut(struct bpf_value *v, unsigned bits)
{
	uint64_t mask = mask_of(bits);

	if (bpf_umax(v) <= mask)
		return;
	v->value &= mask;
	v->unknown &= mask;
	v->low &= mask;
	if (v->span > mask - v->low) {
		v->low = v->value;
		v->span = v->unknown;
	}
	bpf_sync(v);
}

void bpf_extend(struct bpf_value *v, unsigned bits)
{
	uint64_t mask = mask_of(bits), sign = mask ^ mask >> 1;

	if (bpf_in_run(v->low, v->span, -sign, mask))
		return;
	cut(v, bits);
	if (v->low >= sign) {
		v->low |= ~mask;
	} else if (v->span >= sign - v->low) {
		v->low = -sign;
		v->span = mask;
	}
	v->unknown |= v->unknown & sign ? ~mask : 0;
	v->value |= v->value & sign ? ~mask : 0;
	bpf_sync(v);
}

static void swap_bytes(struct bpf_value *v, unsigned bits)
{
	v->value = __builtin_bswap64(v->value) >> (64 - bits);
	v->unknown = __builtin_bswap64(v->unknown) >> (64 - bits);
	v->low = v->value;
	v->span = v->unknown;
}

/* --- arithmetic on 64 bits ---------------------------------------------------------------------------- */

static void spread(struct bpf_value *a, uint64_t more)
{
	if (__builtin_add_overflow(a->span, more, &a->span)) {
		a->low = 0;
		a->span = UINT64_MAX;
	}
}

static void add(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t sum = a->value + b->value, open = a->unknown + b->unknown;
	uint64_t unknown = ((sum + open) ^ sum) | a->unknown | b->unknown;

	a->low += b->low;
	spread(a, b->span);
	a->value = sum & ~unknown;
	a->unknown = unknown;
}

static void sub(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t diff = a->value - b->value, most = diff + a->unknown, least = diff - b->unknown;
	uint64_t unknown = (most ^ least) | a->unknown | b->unknown;

	a->low -= b->low + b->span;
	spread(a, b->span);
	a->value = diff & ~unknown;
	a->unknown = unknown;
}

/* By one number, a run becomes a longer one; else it takes that nothing wraps. */
static void mul(struct bpf_value *a, const struct bpf_value *b)
{
	struct view x = view(a, 0), y = view(b, 0);
	uint64_t low = x.min * y.min, span;
	bool wraps;

	if (bpf_is_exact(a) || bpf_is_exact(b)) {
		low = a->low * b->low;
		wraps = __builtin_mul_overflow(bpf_is_exact(b) ? a->span : b->span, bpf_is_exact(b) ? b->low : a->low, &span);
	} else {
		wraps = __builtin_mul_overflow(x.max, y.max, &span);
		span -= low;
	}
	run(a, wraps ? 0 : low, wraps ? UINT64_MAX : span);
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
	if (bpf_is_exact(a) && bpf_is_exact(b))
		set(a, x.min % y.min);
	else
		run(a, 0, y.min && y.max - 1 < x.max ? y.max - 1 : x.max);
}

static void bits(struct bpf_value *a, const struct bpf_value *b, uint8_t op)
{
	struct view x = view(a, 0), y = view(b, 0);
	uint64_t a_most = a->value | a->unknown, b_most = b->value | b->unknown, both = a->unknown | b->unknown;
	uint64_t min = 0, max = UINT64_MAX;

	if (op == BPF_AND) {
		max = x.max < y.max ? x.max : y.max;
		a->value &= b->value;
		a->unknown = (a_most & b_most) ^ a->value;
	} else if (op == BPF_OR) {
		min = x.min > y.min ? x.min : y.min;
		a->value |= b->value;
		a->unknown = (a_most | b_most) ^ a->value;
	} else {
		a->value = (a->value ^ b->value) & ~both;
		a->unknown = both;
	}
	a->low = min;
	a->span = max - min;
}

/* By a number that is not known, only so much: the result of a shift to the right is no larger. */
static void shift(struct bpf_value *a, const struct bpf_value *by, uint8_t op)
{
	unsigned n = (unsigned)by->low;
	struct view x = view(a, op == BPF_ARSH ? SIGN : 0);

	if (!bpf_is_exact(by)) {
		run(a, 0, op == BPF_RSH ? x.max : UINT64_MAX);
	} else if (op == BPF_LSH) {
		a->value <<= n;
		a->unknown <<= n;
		a->low = a->span << n >> n == a->span ? a->low << n : 0;
		a->span = a->span << n >> n == a->span ? a->span << n : UINT64_MAX;
	} else if (op == BPF_RSH) {
		a->value >>= n;
		a->unknown >>= n;
		a->low = x.min >> n;
		a->span = (x.max >> n) - a->low;
	} else {
		a->unknown = (uint64_t)((int64_t)a->unknown >> n);
		a->value = (uint64_t)((int64_t)a->value >> n) & ~a->unknown;
		a->low = (uint64_t)((int64_t)(x.min - SIGN) >> n);
		a->span = (uint64_t)((int64_t)(x.max - SIGN) >> n) - a->low;
	}
}

void bpf_alu(struct bpf_value *a, uint8_t code, int16_t offset, int32_t imm, const struct bpf_value *operand)
{
	bool wide = BPF_CLASS(code) == BPF_ALU64;
	uint8_t op = BPF_OP(code);
	struct bpf_value b = *operand, mask;

	if (op == BPF_END) {
		if (wide || code & BPF_SRC_REG)
			swap_bytes(a, (unsigned)imm);
		else
			cut(a, (unsigned)imm);
		return;
	}
	if (!wide && (op == BPF_ARSH || ((op == BPF_DIV || op == BPF_MOD) && offset))) {
		bpf_extend(a, 32);
		bpf_extend(&b, 32);
	} else if (!wide) {
		cut(a, 32);
		cut(&b, 32);
	}
	switch (op) {
	case BPF_ADD:	add(a, &b); break;
	case BPF_SUB:	sub(a, &b); break;
	case BPF_MUL:	mul(a, &b); break;
	case BPF_DIV: case BPF_MOD:
		if (offset && (bpf_min(a) < 0 || bpf_min(&b) < 0))
			copy(a, &bpf_any);
		else
			(op == BPF_DIV ? divide : modulo)(a, &b);
		break;
	case BPF_OR: case BPF_AND: case BPF_XOR:
			bits(a, &b, op); break;
	case BPF_LSH: case BPF_RSH: case BPF_ARSH:
		set(&mask, wide ? 63 : 31);
		bits(&b, &mask, BPF_AND);
		bpf_sync(&b);
			shift(a, &b, op); break;
	case BPF_NEG:	b = *a; set(a, 0); sub(a, &b); break;
	case BPF_MOV:
		copy(a, &b);
		if (offset)
			bpf_extend(a, (unsigned)offset);
		break;
	}
	bpf_sync(a);
	if (!wide)
		cut(a, 32);
}

/* --- comparisons -------------------------------------------------------------------------------------- */

static bool assume_equal(struct bpf_value *a, struct bpf_value *b)
{
	if ((a->value ^ b->value) & ~a->unknown & ~b->unknown)
		return false;
	a->value |= b->value;
	a->unknown &= b->unknown;
	if (!bpf_clip(a, b->low, b->span))
		return false;
	copy(b, a);
	return true;
}

/* Some bit, or none, of `mask` is set in a. */
static bool assume_bits(struct bpf_value *a, const struct bpf_value *b, bool some)
{
	uint64_t both = (a->value | a->unknown) & (b->value | b->unknown);

	if (some ? !both : (a->value & b->value) != 0)
		return false;
	if (!some)
		a->unknown &= ~b->value;
	else if (bpf_is_exact(b) && !(both & (both - 1)))
		a->value |= both, a->unknown &= ~both;
	return bpf_sync(a);
}

bool bpf_assume_number(uint8_t op, struct bpf_value *a, uint64_t n)
{
	uint64_t turn = bpf_is_signed(op) ? SIGN : 0;
	bool strict = !(op & (BPF_JGE ^ BPF_JGT));
	struct bpf_value b;

	if (op == BPF_JEQ)
		return bpf_clip(a, n, 0);
	if (op == BPF_JNE)
		return bpf_clip(a, n + 1, UINT64_MAX - 1);
	if (op == BPF_JSET || op == BPF_JNSET) {
		set(&b, n);
		return assume_bits(a, &b, op == BPF_JSET);
	}
	n += turn;
	if (op >= BPF_JLT)
		return !(strict && !n--) && bpf_clip(a, -turn, n);
	return !(strict && !++n) && bpf_clip(a, n - turn, UINT64_MAX - n);
}

static bool assume(uint8_t op, struct bpf_value *a, struct bpf_value *b)
{
	uint64_t turn = bpf_is_signed(op) ? SIGN : 0;
	struct view x = view(a, turn), y = view(b, turn);
	bool less = op >= BPF_JLT;

	if (op == BPF_JEQ)
		return assume_equal(a, b);
	if (op == BPF_JNE)
		return (!bpf_is_exact(b) || bpf_assume_number(op, a, b->low)) &&
		    (!bpf_is_exact(a) || bpf_assume_number(op, b, a->low));
	if (op == BPF_JSET || op == BPF_JNSET)
		return assume_bits(a, b, op == BPF_JSET);
	return bpf_assume_number(op, a, (less ? y.max : y.min) - turn) &&
	    bpf_assume_number(bpf_mirrored(op), b, (less ? x.min : x.max) - turn);
}

/* The low half of a is `low`, which is a cut to 32 bits, and narrowed. */
static bool put_low(struct bpf_value *a, struct bpf_value *low)
{
	cut(low, 32);
	a->value = (a->value & ~LOW32) | low->value;
	a->unknown = (a->unknown & ~LOW32) | low->unknown;
	return bpf_umax(a) <= LOW32 ? bpf_clip(a, low->low, low->span) : bpf_sync(a);
}

bool bpf_assume(uint8_t op, bool wide, struct bpf_value *a, struct bpf_value *b)
{
	bool is_signed = bpf_is_signed(op);
	void (*low)(struct bpf_value *, unsigned) = is_signed ? bpf_extend : cut;
	struct bpf_value x, y;

	if (wide)
		return assume(op, a, b);
	x = *a;
	y = *b;
	low(&x, 32);
	low(&y, 32);
	return assume(op, &x, &y) && put_low(a, &x) && put_low(b, &y);
}

const uint8_t bpf_negated[16] = {
	[BPF_JEQ >> 4] = BPF_JNE, [BPF_JNE >> 4] = BPF_JEQ, [BPF_JSET >> 4] = BPF_JNSET, [BPF_JNSET >> 4] = BPF_JSET,
	[BPF_JGT >> 4] = BPF_JLE, [BPF_JLE >> 4] = BPF_JGT, [BPF_JGE >> 4] = BPF_JLT, [BPF_JLT >> 4] = BPF_JGE,
	[BPF_JSGT >> 4] = BPF_JSLE, [BPF_JSLE >> 4] = BPF_JSGT, [BPF_JSGE >> 4] = BPF_JSLT, [BPF_JSLT >> 4] = BPF_JSGE,
};
