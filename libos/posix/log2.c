/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binary logarithms. picolibc's log2 is log(x) / log(2), which is not a whole number for all powers of two. The processor's own
 * is right to less than a unit of long double. And powers by enormous numbers, all of which are even: picolibc's powl takes
 * some for odd, and raises no exception; nor does it know the largest number from an infinite one.
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

long double posix_libc_powl(long double x, long double y);

/* Of +-LDBL_MAX, which picolibc takes for infinite; its logarithm is 16384 as far as long double knows. */
static long double of_largest(long double x, long double y)
{
	if (x < 0 && floorl(y) != y)
		return (x - x) / (y - y);
	return (x < 0 && fmodl(y, 2) != 0 ? -1 : 1) * exp2l(LDBL_MAX_EXP * y);
}

long double powl(long double x, long double y)
{
	long double size = fabsl(x);
	volatile long double huge = LDBL_MAX, tiny = LDBL_MIN;

	if (isnan(x) || isnan(y))
		return x == 1 || y == 0 ? 1 : x + y;
	if (size == LDBL_MAX && fabsl(y) < 0x1p64L && y != 0)
		return of_largest(x, y);
	if (isinf(y) || fabsl(y) < 0x1p64L || size == 0 || size == 1 || isinf(x))
		return isinf(x) && fabsl(y) >= 0x1p64L && !isinf(y) ? (y > 0 ? HUGE_VALL : 0) : posix_libc_powl(x, y);
	return (size > 1) == (y > 0) ? huge * huge : tiny * tiny;
}
