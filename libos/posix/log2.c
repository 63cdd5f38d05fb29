/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binary logarithms. picolibc's log2 is log(x) / log(2), which is not a whole number for all powers of two. The processor's own
 * is right to less than a unit of long double.
 */
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
