/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inverses of complex circular and hyperbolic functions. Sine and cosine are by T. E. Hull, T. F. Fairgrieve and P. T. P.
 * Tang, Implementing the complex arcsine and arccosine functions using exception handling, 1997: of the distances r and s
 * from 1 and -1, nothing is subtracted that is nearly equal. The tangent is by Kahan's formulas, 1987. complex.c says how
 * float and double are made, and from where infinite arguments and cuts are.
 */
#include <stdbool.h>
#include "libos/posix/math/complex.h"

#define HALF_PI		0x1.921fb54442d1846ap0L
#define LN_2		0x1.62e42fefa39ef358p-1L
#define FAR		0x1p70L		/* from where 1 is nothing beside a number */
#define TINY		0x1p-8000L	/* whose square is still normal */

COMPLEX_KINDS(acos)
COMPLEX_KINDS(acosh)
COMPLEX_KINDS(asin)
COMPLEX_KINDS(asinh)
COMPLEX_KINDS(atan)
COMPLEX_KINDS(atanh)

/* The arc sine of x + yi, both at least 0, is sine + height i; its arc cosine is cosine - height i. */
struct arc {
	long double sine, cosine, height;
};

/* Where y is too small to be squared. */
static struct arc on_axis(long double x, long double y)
{
	long double root;

	if (x < 1) {
		root = sqrtl((1 - x) * (1 + x));
		return (struct arc){ asinl(x), acosl(x), y == 0 ? 0 : y / root };
	}
	if (x == 1) {
		root = sqrtl(y);
		return (struct arc){ HALF_PI - root, root, root };
	}
	root = sqrtl((x - 1) * (x + 1));
	return (struct arc){ HALF_PI, y / root, log1pl((x - 1) + root) };
}

static struct arc arc(long double x, long double y)
{
	long double r, s, a, side, beyond;
	struct arc result;

	if (isinf(x) || isinf(y) || x > FAR || y > FAR) {
		bool large = x > 0x1p16380L || y > 0x1p16380L;

		result.height = isinf(x) || isinf(y) ? HUGE_VALL : large ? logl(hypotl(x / 4, y / 4)) + 3 * LN_2 : logl(hypotl(x, y)) + LN_2;
		result.sine = atan2l(x, y);
		result.cosine = atan2l(y, x);
		return result;
	}
	if (y < TINY)
		return on_axis(x, y);
	r = hypotl(x + 1, y);
	s = hypotl(x - 1, y);
	a = (r + s) / 2;
	if (x <= 1)
		side = sqrtl((a + x) * (y * y / (r + x + 1) + (s + (1 - x))) / 2);
	else
		side = y * sqrtl(((a + x) / (r + x + 1) + (a + x) / (s + (x - 1))) / 2);
	result.sine = x / a <= 0.6417L ? asinl(x / a) : atan2l(x, side);
	result.cosine = x / a <= 0.6417L ? acosl(x / a) : atan2l(side, x);
	if (a > 1.5L) {
		result.height = logl(a + sqrtl((a - 1) * (a + 1)));
	} else {
		beyond = (y * y / (r + x + 1) + (x < 1 ? y * y / (s + (1 - x)) : s + (x - 1))) / 2;
		result.height = log1pl(beyond + sqrtl(beyond * (a + 1)));
	}
	return result;
}

complex_t casinhl(complex_t z)
{
	long double x = creall(z), y = cimagl(z);
	struct arc of;

	if (isnan(x))
		return isinf(y) ? complex_of(HUGE_VALL, x) : complex_of(x, y == 0 ? y : x);
	if (isnan(y))
		return complex_of(isinf(x) ? x : y, y);
	of = arc(fabsl(y), fabsl(x));
	return complex_of(copysignl(of.height, x), copysignl(of.sine, y));
}

complex_t casinl(complex_t z)
{
	z = casinhl(complex_of(-cimagl(z), creall(z)));
	return complex_of(cimagl(z), -creall(z));
}

complex_t cacosl(complex_t z)
{
	long double x = creall(z), y = cimagl(z);
	struct arc of;

	if (isnan(x) || isnan(y)) {
		if (isinf(x) || isinf(y))
			return complex_of(x + y - (x + y), isinf(y) ? -y : HUGE_VALL);
		return complex_of(x == 0 ? HALF_PI : x + y, x + y);
	}
	of = arc(fabsl(x), fabsl(y));
	return complex_of(signbit(x) ? 2 * HALF_PI - of.cosine : of.cosine, signbit(y) ? of.height : -of.height);
}

complex_t cacoshl(complex_t z)
{
	complex_t arc = cacosl(z);

	return complex_of(fabsl(cimagl(arc)), copysignl(creall(arc), cimagl(z)));
}

complex_t catanhl(complex_t z)
{
	long double x = creall(z), y = cimagl(z), size, beside;

	if (isinf(x) || isinf(y))
		return complex_of(copysignl(0, x), isnan(y) ? y : copysignl(HALF_PI, y));
	if (isnan(x) || isnan(y))
		return complex_of(x == 0 ? x : x + y, x + y);
	if (y == 0 && fabsl(x) <= 1)
		return complex_of(atanhl(x), y);
	if (x == 0)
		return complex_of(x, atanl(y));
	if (fabsl(x) > FAR || fabsl(y) > FAR) {
		if (fabsl(x) > 0x1p16380L || fabsl(y) > 0x1p16380L) {
			size = hypotl(x / 4, y / 4);
			return complex_of(x / 16 / size / size, copysignl(HALF_PI, y));
		}
		size = hypotl(x, y);
		return complex_of(x / size / size, copysignl(HALF_PI, y));
	}
	beside = 1 - fabsl(x);
	if (beside == 0 && fabsl(y) < TINY)
		return complex_of(copysignl((LN_2 - logl(fabsl(y))) / 2, x), copysignl(HALF_PI / 2, y));
	size = fabsl(y) < TINY ? beside * beside : beside * beside + y * y;
	beside = fabsl(x) < TINY && fabsl(y) < 0x1p-70L ? 1 : fabsl(y) < 0x1p-70L ? (1 - x) * (1 + x) - (fabsl(y) < TINY ? 0 : y * y) :
	    fabsl(x) < 0x1p-70L ? (1 - y) * (1 + y) : -posix_complex_beyond_one(x, y);
	return complex_of(copysignl(log1pl(4 * fabsl(x) / size) / 4, x), atan2l(2 * y, beside) / 2);
}

complex_t catanl(complex_t z)
{
	z = catanhl(complex_of(-cimagl(z), creall(z)));
	return complex_of(cimagl(z), -creall(z));
}
