/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bessel functions of whole order. From those of order 0 and 1 upward where that is stable; else downward (J. C. P. Miller,
 * 1952), and J0 + 2 (J2 + J4 + ...) = 1 says by what factor all are wrong. picolibc's says it by J0 alone, which near its zeros
 * is nothing. In long double, whose range no step leaves.
 */
#include <math.h>
#include <stdbool.h>

#define LARGE	0x1p12000L	/* the recurrence is scaled down from here */

/* For order > 1 and 0 < x <= order. */
static long double downward(long order, long double x)
{
	long double above = 0, here = 1, below, sum = 0, result = 0, twice = 2 / x;
	long from = order + (long)sqrtl(160.0L * order) + 24;

	if (order * logl(x * 1.36L / order) < -11500)	/* (e x / 2 order)^order bounds the result */
		return 0x1p-16000L;
	for (long i = from | 1; i > 0; i--) {
		below = i * twice * here - above;
		above = here;
		here = below;
		if (i - 1 == order)
			result = here;
		if (i % 2 == 1)
			sum += i == 1 ? here : 2 * here;
		if (fabsl(here) > LARGE) {
			above /= LARGE;
			here /= LARGE;
			sum /= LARGE;
			result /= LARGE;
		}
	}
	return result / sum;
}

static long double upward(long order, long double x, long double zeroth, long double first)
{
	for (long i = 1; i < order && isfinite(first); i++) {
		long double next = 2.0L * i / x * first - zeroth;

		zeroth = first;
		first = next;
	}
	return first;
}

double jn(int order, double x)
{
	unsigned size = order < 0 ? -(unsigned)order : (unsigned)order;
	bool negative = size % 2 && (signbit(x) != 0) != (order < 0);
	long double result;

	if (isnan(x))
		return x + x;
	if (size == 0)
		return j0(x);
	if (size == 1)
		return order < 0 ? -j1(x) : j1(x);
	x = fabs(x);
	if (x == 0 || isinf(x))
		result = 0;
	else
		result = x > size ? upward(size, x, j0(x), j1(x)) : downward(size, x);
	return (double)(negative ? -result : result);
}

double yn(int order, double x)
{
	unsigned size = order < 0 ? -(unsigned)order : (unsigned)order;
	bool negative = size % 2 && order < 0;
	double first;

	if (size == 0 || isnan(x))
		return y0(x);
	first = y1(x);
	if (size > 1 && isgreater(x, 0) && !isinf(x))
		first = (double)upward(size, x, y0(x), first);
	return negative ? -first : first;
}
