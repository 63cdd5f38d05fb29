/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gamma function. picolibc's tgamma is the exponential of lgamma, hundreds of units off (10 gives no whole number).
 *
 * Gamma is reckoned in long double: by Stirling's series from 16 on, moved there by the recurrence (DLMF 5.11.1, 5.5.1),
 * as a product of whole numbers while that is exact, and by reflection below 0 (5.5.3), where the sine's argument is reduced
 * without an error. The logarithm that the series gives has twice long double's digits, and so has the recurrence's product:
 * what is left is a few units of long double. Exceptions are those of the last operation, or of one made for it.
 */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include "libos/posix/math/power.h"

#define PI		3.14159265358979323846264338327950288L
#define LOG2_E		1.44269504088896340735992468100189214L
#define STIRLING	16		/* from which the series' terms below are enough */
#define WHOLE		25		/* whose product has no more than 64 bits */
#define MOST		1760.0L		/* beyond, no result is in range */

static long double above_range(void)
{
	volatile long double huge = LDBL_MAX;

	return huge * huge;
}

static struct posix_pair add(struct posix_pair a, struct posix_pair b)
{
	struct posix_pair sum = posix_sum(a.high, b.high);

	return posix_sum(sum.high, sum.low + (a.low + b.low));
}

static struct posix_pair times(struct posix_pair a, struct posix_pair b)
{
	struct posix_pair product = posix_product(a.high, b.high);

	return posix_sum(product.high, product.low + (a.high * b.low + a.low * b.high));
}

/* The logarithm to base 2, for x from STIRLING on. */
static struct posix_pair stirling(struct posix_pair x)
{
	static const long double term[] = { 1 / 12.0L, -1 / 360.0L, 1 / 1260.0L, -1 / 1680.0L, 1 / 1188.0L, -691 / 360360.0L,
		1 / 156.0L, -3617 / 122400.0L, 43867 / 244188.0L };
	static const struct posix_pair log2_e = { 0x1.71547652b82fe178p0L, -0x1.05e004be5b8bp-65L },
		log2_root_2_pi = { 0xa.9b21cd26377dd6cp-3L, 0x1.b65c9e101511cp-66L };
	struct posix_pair log = posix_log2(x.high), less = { -x.high, -x.low };
	long double sum = 0, square = 1 / (x.high * x.high);

	for (int i = sizeof(term) / sizeof(term[0]) - 1; i >= 0; i--)
		sum = sum * square + term[i];
	log.low += x.low / x.high * LOG2_E;
	log = add(times(posix_sum(x.high - 0.5L, x.low), log), times(less, log2_e));
	return add(add(log, log2_root_2_pi), (struct posix_pair){ sum / x.high * LOG2_E, 0 });
}

/* For x > 0, which is not above MOST; a power that may be out of range is rounded as way says. */
static long double positive(long double x, int way)
{
	struct posix_pair at = { x, 0 }, product = { 1, 0 }, log;

	if (x <= WHOLE && truncl(x) == x) {
		long double whole = 1;

		for (long double factor = 2; factor < x; factor++)
			whole *= factor;
		return whole;
	}
	while (at.high < STIRLING) {
		product = times(product, at);
		at = add(at, (struct posix_pair){ 1, 0 });
	}
	log = stirling(at);
	if (product.high == 1)
		return posix_exp2(log, false, way);
	return posix_exp2(log, false, FE_TONEAREST) / (product.high + product.low);
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

/* 1 / (x gamma(x)) times -pi / sin(pi x), for x > 0 that is no whole number. */
static long double reflected(long double x)
{
	struct posix_pair at = { x, 0 }, product = { 1, 0 }, log;
	long double sine = sine_of_pi(x);

	while (at.high < STIRLING) {
		product = times(product, at);
		at = add(at, (struct posix_pair){ 1, 0 });
	}
	log = stirling(at);
	log.high /= -2;
	log.low /= -2;
	sine = -PI / (x * sine) * (product.high + product.low);
	x = posix_exp2(log, false, FE_TONEAREST);
	return x * sine * x;
}

static long double gamma_of(long double x)
{
	volatile long double tiny = LDBL_MIN;
	long double result;
	int way;

	if (isnan(x) || x == HUGE_VALL)
		return x + x;
	if (x == 0 || fabsl(x) < 0x1p-70L)
		return 1 / x;
	if (x > MOST)
		return above_range();
	if (x < 0 && truncl(x) == x)
		return (x - x) / (x - x);
	if (x < -MOST - 50)
		return fmodl(floorl(x), 2) == 0 ? tiny * tiny : -tiny * tiny;
	way = fegetround();
	if (way != FE_TONEAREST)
		fesetround(FE_TONEAREST);
	result = x > 0 ? positive(x, way) : reflected(-x);
	if (way != FE_TONEAREST)
		fesetround(way);
	return result;
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
	return gamma_of(x);
}
