/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fma: the product and the sum with one rounding, in whole numbers. The exact result's upper 191 bits are kept, and in the
 * last of them whether there is more. For float and double its upper 64 are made a long double, the last bit again with what
 * is below, and the processor rounds that to what is asked for, with the exceptions that belong to it. Long double is rounded
 * here. picolibc's results are right; its exceptions come from operations on the way.
 */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef unsigned __int128 wide_t;

union parts {
	long double value;
	struct {
		uint64_t mantissa;
		uint16_t exponent;	/* with the sign above it */
	};
};

/* high * 2^exponent, and low below; high has at most 127 bits, so that two of them can be added. */
struct sum {
	wide_t high;
	uint64_t low;
	int exponent;
};

#define BIAS	16383

/* |x|, which is finite and not 0, as a mantissa with its first bit set; *exponent is of its last bit. */
static uint64_t mantissa(long double x, int *exponent)
{
	union parts parts = { .value = x };
	int shift = __builtin_clzll(parts.mantissa);

	*exponent = (parts.exponent & 0x7fff ? parts.exponent & 0x7fff : 1) - BIAS - 63 - shift;
	return parts.mantissa << shift;
}

/* To the right; what falls out remains as the last bit. */
static void shift_right(struct sum *sum, int by)
{
	bool more;

	sum->exponent += by;
	for (; by > 63; by -= 64) {
		more = sum->low != 0;
		sum->low = (uint64_t)sum->high | more;
		sum->high >>= 64;
		if (by > 256)
			by = 256;
	}
	if (by > 0) {
		more = sum->low << (64 - by) != 0;
		sum->low = sum->low >> by | (uint64_t)sum->high << (64 - by) | more;
		sum->high >>= by;
	}
}

static bool less(const struct sum *a, const struct sum *b)
{
	return a->high != b->high ? a->high < b->high : a->low < b->low;
}

/* |x y| + |z|, or the difference of both: true if it is the other way round. */
static bool add(struct sum *sum, long double x, long double y, long double z, bool minus)
{
	int of_x, of_y, of_z;
	wide_t product = (wide_t)mantissa(x, &of_x) * mantissa(y, &of_y);
	struct sum a = { product >> 1, (uint64_t)product << 63, of_x + of_y + 1 }, b = { (wide_t)mantissa(z, &of_z) << 63, 0, 0 };
	bool turned;

	b.exponent = of_z - 63;
	shift_right(a.exponent < b.exponent ? &a : &b, abs(a.exponent - b.exponent));
	*sum = a;
	if (!minus) {
		sum->low = a.low + b.low;
		sum->high = a.high + b.high + (sum->low < a.low);
		return false;
	}
	turned = less(&a, &b);
	if (turned) {
		*sum = b;
		b = a;
	}
	sum->high -= b.high + (sum->low < b.low);
	sum->low -= b.low;
	return turned;
}

/* The first bit to the first place. */
static void normalize(struct sum *sum)
{
	while (!(sum->high >> 127)) {
		int by = (uint64_t)(sum->high >> 64) ? __builtin_clzll((uint64_t)(sum->high >> 64)) : 63;

		sum->high = sum->high << by | (by ? sum->low >> (64 - by) : 0);
		sum->low <<= by;
		sum->exponent -= by;
	}
}

static bool up(bool negative, const struct sum *sum)
{
	uint64_t rest = (uint64_t)sum->high, half = 1ULL << 63;

	if (!rest && !sum->low)
		return false;
	switch (fegetround()) {
	case FE_TONEAREST:
		return rest > half || (rest == half && (sum->low || (uint64_t)(sum->high >> 64) & 1));
	case FE_UPWARD:
		return !negative;
	case FE_DOWNWARD:
		return negative;
	default:
		return false;
	}
}

/* The sum, which is normal, as a long double. */
static long double rounded(bool negative, struct sum *sum)
{
	volatile long double huge = LDBL_MAX, tiny = LDBL_MIN, one = 1;
	bool inexact = (uint64_t)sum->high || sum->low, small;
	int exponent = sum->exponent + 127 + BIAS;	/* of the first bit, as it is written */
	union parts parts;

	small = exponent < 0 || (exponent == 0 && !((uint64_t)(sum->high >> 64) == UINT64_MAX && up(negative, sum)));
	if (exponent < 1) {
		shift_right(sum, 1 - exponent);
		inexact = (uint64_t)sum->high || sum->low;
		exponent = 0;
	}
	parts.mantissa = (uint64_t)(sum->high >> 64) + up(negative, sum);
	if (exponent && !parts.mantissa) {
		parts.mantissa = 1ULL << 63;
		exponent++;
	} else if (!exponent && parts.mantissa >> 63) {
		exponent = 1;
	}
	if (exponent > 2 * BIAS)
		return negative ? -huge * huge : huge * huge;
	if (inexact)
		huge = small ? tiny * tiny : one + tiny;
	parts.exponent = (uint16_t)(exponent | negative << 15);
	return parts.value;
}

/* x y + z of finite numbers, none of which is 0; rounded to long double, or so that rounding it once more does no harm. */
static long double fused(long double x, long double y, long double z, bool whole)
{
	bool negative = (signbit(x) != 0) != (signbit(y) != 0);
	union parts parts;
	struct sum sum;

	negative ^= add(&sum, x, y, z, negative != (signbit(z) != 0));
	if (!sum.high && !sum.low)
		return fegetround() == FE_DOWNWARD ? -0.0L : 0.0L;
	normalize(&sum);
	if (whole)
		return rounded(negative, &sum);
	parts.mantissa = (uint64_t)(sum.high >> 64) | ((uint64_t)sum.high || sum.low);
	parts.exponent = (uint16_t)((sum.exponent + 127 + BIAS) | negative << 15);
	return parts.value;
}

#define FMA(name, type, whole) \
	type name(type x, type y, type z) \
	{ \
		if (isfinite(x) && isfinite(y) && x != 0 && y != 0) { \
			if (isfinite(z)) \
				return z == 0 ? x * y : (type)fused(x, y, z, whole); \
			return z + z; \
		} \
		return isnan(x) ? x + x : isnan(y) ? y + y : isnan(z) ? z + z : x * y + z; \
	}

FMA(fmaf, float, false)
FMA(fma, double, false)
FMA(fmal, long double, true)
