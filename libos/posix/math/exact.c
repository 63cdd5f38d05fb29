/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions whose result is exact, or exactly rounded, and the exceptions that belong to it and no others (C11 F.10): whole
 * numbers beside a long double, of which picolibc's raise "inexact" and some are wrong between 2^52 and 2^63; square roots,
 * which picolibc reckons bit by bit without "inexact"; neighbours of the largest number, which are infinite however is
 * rounded, and of long double below the least normal one; remquol's sign where its arguments differ in theirs only.
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

union parts {
	long double value;
	struct {
		uint64_t mantissa;
		uint16_t exponent;	/* with the sign above it */
	};
};

enum way { TO_ZERO, FROM_ZERO, TO_NEAREST };	/* to nearest: and halves from zero */

/* The whole number beside x. In whole numbers: the x87's own instruction would say "inexact". */
static long double whole(long double x, enum way way)
{
	union parts parts = { .value = x };
	int exponent = (parts.exponent & 0x7fff) - 16383;
	uint64_t below, sum;

	if (exponent >= 63)
		return exponent > 16383 ? x + x : x;
	if (exponent < 0) {		/* 0 <= |x| < 1 */
		bool one = x != 0 && (way == FROM_ZERO || (way == TO_NEAREST && exponent == -1));

		return signbit(x) ? -(long double)one : (long double)one;
	}
	below = UINT64_MAX >> (exponent + 1);
	sum = parts.mantissa + (way == FROM_ZERO ? below : way == TO_NEAREST ? below / 2 + 1 : 0);
	if (sum < parts.mantissa) {
		sum = 1ULL << 63;
		parts.exponent++;
		below = 0;
	}
	parts.mantissa = sum & ~below;
	return parts.value;
}

long double truncl(long double x)
{
	return whole(x, TO_ZERO);
}

long double floorl(long double x)
{
	return whole(x, signbit(x) ? FROM_ZERO : TO_ZERO);
}

long double ceill(long double x)
{
	return whole(x, signbit(x) ? TO_ZERO : FROM_ZERO);
}

long double roundl(long double x)
{
	return whole(x, TO_NEAREST);
}

long long llrintl(long double x)
{
	long long result;

	__asm__ volatile("fistpll %0" : "=m"(result) : "t"(x) : "st");
	return result;
}

long lrintl(long double x)
{
	return llrintl(x);
}

long long llroundl(long double x)
{
	return llrintl(roundl(x));
}

long lroundl(long double x)
{
	return llrintl(roundl(x));
}

double sqrt(double x)
{
	__asm__ volatile("sqrtsd %0, %0" : "+x"(x));
	return x;
}

float sqrtf(float x)
{
	__asm__ volatile("sqrtss %0, %0" : "+x"(x));
	return x;
}

long double posix_libc_remquol(long double x, long double y, int *quotient);

long double remquol(long double x, long double y, int *quotient)
{
	long double rest = posix_libc_remquol(x, y, quotient);

	if (!signbit(x) != !signbit(y) && *quotient > 0)
		*quotient = -*quotient;
	return rest;
}

#define NEXT(name, type, toward, size) \
	type posix_libc_##name(type x, toward y); \
	type name(type x, toward y) \
	{ \
		type next = posix_libc_##name(x, y); \
		return next == x && x != y ? copysign##size(HUGE_VAL##size, x) : next; \
	}
#define HUGE_VALf	HUGE_VALF

NEXT(nextafter, double, double, )
NEXT(nextafterf, float, float, f)
NEXT(nexttoward, double, long double, )
NEXT(nexttowardf, float, long double, f)

/* By bits: picolibc's is no smaller than the least normal number just below it. */
long double nextafterl(long double x, long double y)
{
	volatile long double huge = LDBL_MAX, tiny = LDBL_MIN;
	union parts parts = { .value = x };
	bool normal;

	if (isnan(x) || isnan(y))
		return x + y;
	if (x == y)
		return y;
	if (x == 0) {
		tiny = tiny * tiny;
		return copysignl(LDBL_TRUE_MIN, y);
	}
	normal = parts.mantissa >> 63;
	if ((x < y) == (x > 0)) {
		parts.mantissa++;
		if (parts.mantissa == 0 || normal != parts.mantissa >> 63) {
			parts.mantissa = 1ULL << 63;
			parts.exponent++;
		}
	} else {
		parts.mantissa--;
		if (normal && !(parts.mantissa >> 63)) {
			parts.exponent--;
			if (parts.exponent & 0x7fff)
				parts.mantissa = UINT64_MAX;
		}
	}
	if ((parts.exponent & 0x7fff) == 0x7fff)
		huge = huge * huge;
	else if (!(parts.exponent & 0x7fff))
		tiny = tiny * tiny;
	return parts.value;
}

long double nexttowardl(long double x, long double y)
{
	return nextafterl(x, y);
}
