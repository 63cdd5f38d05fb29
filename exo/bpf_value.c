/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Abstract numbers for the verifier: what eBPF's arithmetic and comparisons make of a set of numbers that is
 * known by signed bounds, unsigned bounds and known bits.
 *
 * N1 each operation's result contains every result of the operation on members of its operands
 * N2 bits of `value` are 0 where `unknown` is 1
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
	.kind = EXO_KIND_NUMBER, .room = BPF_ROOM_NONE,
	.min = INT64_MIN, .max = INT64_MAX, .umax = UINT64_MAX, .unknown = UINT64_MAX,
};

static void set(struct bpf_value *v, uint64_t number)
{
	v->min = v->max = (int64_t)number;
	v->umin = v->umax = v->value = number;
	v->unknown = 0;
}

/* The bounds and bits of another. */
static void copy(struct bpf_value *to, const struct bpf_value *from)
{
	__builtin_memcpy(&to->min, &from->min, BPF_KNOWN_BYTES);
}

/* Only bounds and bits: what kind of value it is stays. */
static void forget(struct bpf_value *v)
{
	copy(v, &bpf_any);
}

void bpf_number(struct bpf_value *v, uint64_t number)
{
	*v = bpf_any;
	set(v, number);
}

void bpf_bounded(struct bpf_value *v, int64_t min, int64_t max)
{
	*v = bpf_any;
	v->min = min;
	v->max = max;
	bpf_sync(v);
}

static bool sync_signs(struct bpf_value *v)
{
	if (!((v->umin ^ v->umax) & SIGN)) {
		v->min = v->min > (int64_t)v->umin ? v->min : (int64_t)v->umin;
		v->max = v->max < (int64_t)v->umax ? v->max : (int64_t)v->umax;
	}
	if (!(((uint64_t)v->min ^ (uint64_t)v->max) & SIGN)) {
		v->umin = v->umin > (uint64_t)v->min ? v->umin : (uint64_t)v->min;
		v->umax = v->umax < (uint64_t)v->max ? v->umax : (uint64_t)v->max;
	}
	return v->min <= v->max && v->umin <= v->umax;
}

static bool sync_bits(struct bpf_value *v)
{
	uint64_t differ = v->umin ^ v->umax;
	uint64_t low = differ ? UINT64_MAX >> __builtin_clzll(differ) : 0;	/* above, all bits are as umin's */

	if ((v->value ^ v->umin) & ~low & ~v->unknown)
		return false;
	v->value = (v->value & low) | (v->umin & ~low);
	v->unknown &= low;

	uint64_t most = v->value | v->unknown;
	int64_t min = (int64_t)(v->value | (v->unknown & SIGN)), max = (int64_t)(most & ~(v->unknown & SIGN));

	v->umin = v->umin > v->value ? v->umin : v->value;
	v->umax = v->umax < most ? v->umax : most;
	v->min = v->min > min ? v->min : min;
	v->max = v->max < max ? v->max : max;
	return v->min <= v->max && v->umin <= v->umax;
}

bool bpf_sync(struct bpf_value *v)
{
	if (!sync_signs(v))
		return false;
	if (v->umin == v->umax && !v->unknown)
		return v->value == v->umin;
	return sync_bits(v) && sync_signs(v);
}

/* --- widths ------------------------------------------------------------------------------------------- */

static void cut(struct bpf_value *v, unsigned bits)
{
	uint64_t mask = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;

	if (v->umax <= mask)
		return;
	bool one_run = (v->umin & ~mask) == (v->umax & ~mask);

	v->value &= mask;
	v->unknown &= mask;
	v->umin = one_run ? v->umin & mask : v->value;
	v->umax = one_run ? v->umax & mask : v->value | v->unknown;
	v->min = (int64_t)v->umin;
	v->max = (int64_t)v->umax;
	if (one_run)
		bpf_sync(v);
}

static void swap_bytes(struct bpf_value *v, unsigned bits)
{
	uint64_t value = __builtin_bswap64(v->value) >> (64 - bits);
	uint64_t unknown = __builtin_bswap64(v->unknown) >> (64 - bits);

	forget(v);
	v->value = value;
	v->unknown = unknown;
	bpf_sync(v);
}

/* --- arithmetic on 64 bits ---------------------------------------------------------------------------- */

static void add(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t sum = a->value + b->value, open = a->unknown + b->unknown;
	uint64_t unknown = ((sum + open) ^ sum) | a->unknown | b->unknown;
	bool low = __builtin_add_overflow(a->umin, b->umin, &a->umin);
	bool high = __builtin_add_overflow(a->umax, b->umax, &a->umax);

	if (low != high) {		/* some wrap, some do not */
		a->umin = 0;
		a->umax = UINT64_MAX;
	}
	if (__builtin_add_overflow(a->min, b->min, &a->min) | __builtin_add_overflow(a->max, b->max, &a->max)) {
		a->min = INT64_MIN;
		a->max = INT64_MAX;
	}
	a->value = sum & ~unknown;
	a->unknown = unknown;
}

static void sub(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t diff = a->value - b->value, most = diff + a->unknown, least = diff - b->unknown;
	uint64_t unknown = (most ^ least) | a->unknown | b->unknown, umin = a->umin;
	int64_t min = a->min;
	bool low = __builtin_sub_overflow(umin, b->umax, &umin);
	bool high = __builtin_sub_overflow(a->umax, b->umin, &a->umax);

	a->umin = umin;
	if (low != high) {
		a->umin = 0;
		a->umax = UINT64_MAX;
	}
	if (__builtin_sub_overflow(min, b->max, &a->min) | __builtin_sub_overflow(a->max, b->min, &a->max)) {
		a->min = INT64_MIN;
		a->max = INT64_MAX;
	}
	a->value = diff & ~unknown;
	a->unknown = unknown;
}

static void mul(struct bpf_value *a, const struct bpf_value *b)
{
	bool exact = bpf_is_exact(a) && bpf_is_exact(b);
	uint64_t umin = a->umin * b->umin, umax;

	if (!exact && __builtin_mul_overflow(a->umax, b->umax, &umax)) {
		forget(a);
		return;
	}
	umax = a->umax * b->umax;
	forget(a);
	a->umin = umin;
	a->umax = umax;
}

/* Quotient and rest; 0 and the dividend itself where the divisor is 0. */
static void divide(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t umin = b->umin ? a->umin / b->umax : 0, umax = a->umax / (b->umin ? b->umin : 1);

	if (!b->umax)
		umin = umax = 0;
	forget(a);
	a->umin = umin;
	a->umax = umax;
}

static void modulo(struct bpf_value *a, const struct bpf_value *b)
{
	uint64_t umax = a->umax;

	if (!b->umax || (b->umin && a->umax < b->umin))
		return;
	if (bpf_is_exact(a) && bpf_is_exact(b)) {
		set(a, a->umin % b->umin);
		return;
	}
	if (b->umin && b->umax - 1 < umax)
		umax = b->umax - 1;
	forget(a);
	a->umax = umax;
}

static void bits(struct bpf_value *a, const struct bpf_value *b, uint8_t op)
{
	uint64_t a_most = a->value | a->unknown, b_most = b->value | b->unknown, least, most;
	uint64_t umin = 0, umax = UINT64_MAX;

	switch (op) {
	case BPF_AND:
		least = a->value & b->value;
		most = a_most & b_most;
		umax = a->umax < b->umax ? a->umax : b->umax;
		break;
	case BPF_OR:
		least = a->value | b->value;
		most = a_most | b_most;
		umin = a->umin > b->umin ? a->umin : b->umin;
		break;
	default:
		most = a->unknown | b->unknown;
		least = (a->value ^ b->value) & ~most;
		most |= least;
		break;
	}
	forget(a);
	a->umin = umin;
	a->umax = umax;
	a->value = least;
	a->unknown = most & ~least;
}

/* By a number that is not known, only so much: the result of a shift to the right is no larger. */
static void shift(struct bpf_value *a, const struct bpf_value *by, uint8_t op)
{
	unsigned n = (unsigned)by->umin;
	struct bpf_value was = *a;

	forget(a);
	if (!bpf_is_exact(by)) {
		a->umax = op == BPF_RSH ? was.umax >> n : UINT64_MAX;
		return;
	}
	if (op == BPF_LSH) {
		a->value = was.value << n;
		a->unknown = was.unknown << n;
		if (was.umax << n >> n == was.umax) {
			a->umin = was.umin << n;
			a->umax = was.umax << n;
		}
	} else if (op == BPF_RSH) {
		a->value = was.value >> n;
		a->unknown = was.unknown >> n;
		a->umin = was.umin >> n;
		a->umax = was.umax >> n;
	} else {
		a->unknown = (uint64_t)((int64_t)was.unknown >> n);
		a->value = (uint64_t)((int64_t)was.value >> n) & ~a->unknown;
		a->min = was.min >> n;
		a->max = was.max >> n;
	}
}

void bpf_extend(struct bpf_value *v, unsigned bits)
{
	int64_t sign = bits < 64 ? 1ll << (bits - 1) : INT64_MAX;
	struct bpf_value by;

	if (bits == 64 || (v->min >= -sign && v->max < sign))
		return;
	cut(v, bits);
	bpf_number(&by, 64 - bits);
	shift(v, &by, BPF_LSH);
	bpf_sync(v);
	shift(v, &by, BPF_ARSH);
	bpf_sync(v);
}

static void end(struct bpf_value *v, uint8_t code, unsigned width)
{
	if (BPF_CLASS(code) == BPF_ALU64 || (code & BPF_SRC_REG))
		swap_bytes(v, width);
	else
		cut(v, width);
}

void bpf_alu(struct bpf_value *a, uint8_t code, int16_t offset, int32_t imm, const struct bpf_value *operand)
{
	bool wide = BPF_CLASS(code) == BPF_ALU64;
	uint8_t op = BPF_OP(code);
	bool shifts = op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;
	struct bpf_value b = *operand, mask;

	if (op == BPF_END) {
		end(a, code, (unsigned)imm);
		return;
	}
	if (shifts) {
		bpf_number(&mask, wide ? 63 : 31);
		bits(&b, &mask, BPF_AND);
		bpf_sync(&b);
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
		if (offset && (a->min < 0 || b.min < 0))
			forget(a);
		else
			(op == BPF_DIV ? divide : modulo)(a, &b);
		break;
	case BPF_OR: case BPF_AND: case BPF_XOR:
			bits(a, &b, op); break;
	case BPF_LSH: case BPF_RSH: case BPF_ARSH:
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
	a->umin = a->umin > b->umin ? a->umin : b->umin;
	a->umax = a->umax < b->umax ? a->umax : b->umax;
	a->min = a->min > b->min ? a->min : b->min;
	a->max = a->max < b->max ? a->max : b->max;
	if (!bpf_sync(a))
		return false;
	copy(b, a);
	return true;
}

/* a is not the number `not`. */
static bool assume_other(struct bpf_value *a, uint64_t not)
{
	if (bpf_is_exact(a) && a->umin == not)
		return false;
	a->umin += a->umin == not;
	a->umax -= a->umax == not;
	a->min += a->min == (int64_t)not;
	a->max -= a->max == (int64_t)not;
	return bpf_sync(a);
}

static bool assume_above(struct bpf_value *a, struct bpf_value *b, bool or_equal)
{
	if (!or_equal && (b->umin == UINT64_MAX || a->umax == 0))
		return false;
	uint64_t least = b->umin + !or_equal, most = a->umax - !or_equal;

	a->umin = a->umin > least ? a->umin : least;
	b->umax = b->umax < most ? b->umax : most;
	return bpf_sync(a) && bpf_sync(b);
}

static bool assume_greater(struct bpf_value *a, struct bpf_value *b, bool or_equal)
{
	if (!or_equal && (b->min == INT64_MAX || a->max == INT64_MIN))
		return false;
	int64_t least = b->min + !or_equal, most = a->max - !or_equal;

	a->min = a->min > least ? a->min : least;
	b->max = b->max < most ? b->max : most;
	return bpf_sync(a) && bpf_sync(b);
}

/* Some bit, or none, of `mask` is set in a. */
static bool assume_bits(struct bpf_value *a, const struct bpf_value *b, bool some)
{
	uint64_t both = (a->value | a->unknown) & (b->value | b->unknown);

	if (some) {
		if (!both)
			return false;
		if (bpf_is_exact(b) && !(both & (both - 1))) {
			a->value |= both;
			a->unknown &= ~both;
		}
	} else {
		if (a->value & b->value)
			return false;
		a->unknown &= ~b->value;
	}
	return bpf_sync(a);
}

static bool assume(uint8_t op, struct bpf_value *a, struct bpf_value *b)
{
	bool less = op >= BPF_JLT && op <= BPF_JSLE, or_equal = op & (BPF_JGE ^ BPF_JGT);

	if (op == BPF_JEQ)
		return assume_equal(a, b);
	if (op == BPF_JNE)
		return (!bpf_is_exact(b) || assume_other(a, b->umin)) && (!bpf_is_exact(a) || assume_other(b, a->umin));
	if (op == BPF_JSET || op == BPF_JNSET)
		return assume_bits(a, b, op == BPF_JSET);
	return (op & (BPF_JSGT & BPF_JSLT) ? assume_greater : assume_above)(less ? b : a, less ? a : b, or_equal);
}

/* The low half of a is `low`, which is a cut to 32 bits, and narrowed. */
static bool put_low(struct bpf_value *a, const struct bpf_value *low)
{
	a->value = (a->value & ~LOW32) | low->value;
	a->unknown = (a->unknown & ~LOW32) | low->unknown;
	if (a->umax > LOW32)
		return true;
	a->umin = a->umin > low->umin ? a->umin : low->umin;
	a->umax = a->umax < low->umax ? a->umax : low->umax;
	a->min = (int64_t)a->umin;
	a->max = (int64_t)a->umax;
	return a->umin <= a->umax;
}

bool bpf_assume(uint8_t op, bool wide, struct bpf_value *a, struct bpf_value *b)
{
	struct bpf_value x, y;
	bool is_signed = op == BPF_JSGT || op == BPF_JSGE || op == BPF_JSLT || op == BPF_JSLE;
	void (*low)(struct bpf_value *, unsigned) = is_signed ? bpf_extend : cut;

	if (wide || bpf_is_narrow(op, a, b))
		return assume(op, a, b);
	x = *a;
	y = *b;
	low(&x, 32);
	low(&y, 32);
	if (!assume(op, &x, &y))
		return false;
	cut(&x, 32);
	cut(&y, 32);
	return put_low(a, &x) && put_low(b, &y);
}

const uint8_t bpf_negated[16] = {
	[BPF_JEQ >> 4] = BPF_JNE, [BPF_JNE >> 4] = BPF_JEQ, [BPF_JSET >> 4] = BPF_JNSET, [BPF_JNSET >> 4] = BPF_JSET,
	[BPF_JGT >> 4] = BPF_JLE, [BPF_JLE >> 4] = BPF_JGT, [BPF_JGE >> 4] = BPF_JLT, [BPF_JLT >> 4] = BPF_JGE,
	[BPF_JSGT >> 4] = BPF_JSLE, [BPF_JSLE >> 4] = BPF_JSGT, [BPF_JSGE >> 4] = BPF_JSLT, [BPF_JSLT >> 4] = BPF_JSGE,
};
