/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gamma function. picolibc's tgamma is the exponential of lgamma, hundreds of units off (10 gives no whole number).
 *
 * Gamma is reckoned in long double: by Stirling's series from 16 on, moved there by the recurrence (DLMF 5.11.1, 5.5.1),
 * as a product of whole numbers while that is exact, and by reflection below 0 (5.5.3), where the sine's argument is reduced
 * without an error. What is left is far below a unit of double. Of long double it is some dozens, so tgammal is this one
 * only at the ends of its range, where picolibc's overflows too early or gives no number. Exceptions are those of
 * the last operation, or of one made for it.
 */
#include <float.h>
#include <math.h>

#define PI		3.14159265358979323846264338327950288L
#define ROOT_2_PI	2.50662827463100050241576528481104525L	/* of 2 pi */
#define STIRLING	16		/* from which the series' terms below are enough */
#define WHOLE		25		/* whose product has no more than 64 bits */
#define LEAST		1755.0L		/* from which on picolibc's tgammal is not asked */
#define MOST		1760.0L		/* beyond, no result is in range */

long double posix_libc_tgammal(long double x);

static long double above_range(void)
{
	volatile long double huge = LDBL_MAX;

	return huge * huge;
}

/* For x from STIRLING to MOST. */
static long double stirling(long double x)
{
	static const long double term[] = { 1 / 12.0L, -1 / 360.0L, 1 / 1260.0L, -1 / 1680.0L, 1 / 1188.0L, -691 / 360360.0L,
		1 / 156.0L, -3617 / 122400.0L, 43867 / 244188.0L };
	long double sum = 0, square = 1 / (x * x), half = powl(x, x / 2 - 0.25L);

	for (int i = sizeof(term) / sizeof(term[0]) - 1; i >= 0; i--)
		sum = sum * square + term[i];
	return half * expl(-x) * half * ROOT_2_PI * expl(sum / x);	/* the power by halves: it may be out of range */
}

/* For x > 0. */
static long double positive(long double x)
{
	long double product = 1;

	if (x > MOST)
		return above_range();
	if (x <= WHOLE && floorl(x) == x) {
		for (long double factor = 2; factor < x; factor++)
			product *= factor;
		return product;
	}
	for (; x < STIRLING; x++)
		product *= x;
	return stirling(x) / product;
}

/* sin(pi x), for x > 0. */
static long double sine_of_pi(long double x)
{
	x = fmodl(x, 2);
	if (x > 0.5L && x <= 1.5L)
		x = 1 - x;
	else if (x > 1.5L)
		x -= 2;
	return sinl(PI * x);
}

static long double gamma_of(long double x)
{
	volatile long double tiny = LDBL_MIN;

	if (isnan(x) || x == HUGE_VALL)
		return x + x;
	if (x == 0)
		return 1 / x;
	if (x > 0)
		return positive(x);
	if (isinf(x) || floorl(x) == x)
		return (x - x) / (x - x);
	if (x < -MOST)
		return fmodl(floorl(x), 2) == 0 ? tiny * tiny : -tiny * tiny;
	return -PI / (-x * sine_of_pi(-x)) / positive(-x);
}

double tgamma(double x)
{
	return (double)gamma_of(x);
}

float tgammaf(float x)
{
	return (float)gamma_of(x);
}

long double tgammal(long double x)
{
	return isless(fabsl(x), LEAST) ? posix_libc_tgammal(x) : gamma_of(x);
}
