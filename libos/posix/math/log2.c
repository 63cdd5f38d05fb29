/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Logarithms. picolibc's log2 is log(x) / log(2), which is not a whole number for all powers of two. The processor's own
 * is right to less than a unit of long double. So is log1p of long double near 0.
 */
#include <float.h>
#include <math.h>

static long double of(long double x)
{
	long double result, one = 1;

	__asm__("fyl2x" : "=t"(result) : "0"(x), "u"(one) : "st(1)");
	return result;
}

double log2(double x)
{
	return isnan(x) ? x + x : x > 0 && x < HUGE_VAL ? (double)of(x) : log(x);
}

float log2f(float x)
{
	return isnan(x) ? x + x : x > 0 && x < HUGE_VALF ? (float)of(x) : logf(x);
}

long double log1pl(long double x)
{
	long double result, sum;

	if (isgreater(x, 0x1p70L))
		return logl(x);
	sum = 1 + x;
	if (!isless(fabsl(x), 0.29L))
		return isgreater(x, -1) ? logl(sum) + (x - (sum - 1)) / sum : logl(sum);
	if (fabsl(x) < 0x1p-70L) {
		volatile float tiny = FLT_MIN;

		if (x != 0 && fabsl(x) < LDBL_MIN)
			tiny = tiny * tiny;
		return x;
	}
	__asm__("fldln2; fxch; fyl2xp1" : "=t"(result) : "0"(x));
	return result;
}
