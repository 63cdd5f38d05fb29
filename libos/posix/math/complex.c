/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Complex functions: exponential, logarithm, root, hyperbolic and circular ones; their inverses are in complex_arc.c. All are
 * reckoned in long double, whose range keeps squares of doubles whole, and rounded once more for double and float: so
 * exceptions are those of the result. Infinite arguments, none, and signs of zeros are as C11 G.6 has them. picolibc's use
 * formulas of the reals throughout, which have no such cases, and lose digits where terms cancel.
 */
#define _GNU_SOURCE		/* clog10 */
#include "libos/posix/math/complex.h"
#include "libos/posix/math/power.h"

#define MUCH	11000		/* whose exponential is still in range, and its inverse normal */

COMPLEX_KINDS(exp)
COMPLEX_KINDS(log)
COMPLEX_KINDS(log10)
COMPLEX_KINDS(sqrt)
COMPLEX_KINDS(cosh)
COMPLEX_KINDS(sinh)
COMPLEX_KINDS(tanh)
COMPLEX_KINDS(cos)
COMPLEX_KINDS(sin)
COMPLEX_KINDS(tan)

/* e^x (a + bi) / 2^halvings, though e^x itself be out of range; a and b are at most 1. */
static complex_t scaled(long double x, long double a, long double b, int halvings)
{
	long double root = expl(x / 4), first = scalbnl(root, -halvings);

	return complex_of(first * a * root * root * root, first * b * root * root * root);
}

/* size (cos y + i sin y) where size is infinite or 0. */
static complex_t around(long double size, long double y)
{
	return complex_of(copysignl(size, cosl(y)), copysignl(size, sinl(y)));
}

complex_t cexpl(complex_t z)
{
	long double x = creall(z), y = cimagl(z), size;

	if (y == 0)
		return complex_of(expl(x), y);
	if (!isfinite(y))
		return isinf(x) ? x < 0 ? complex_of(0, 0) : complex_of(x, y - y) : complex_of(y - y, y - y);
	if (isnan(x))
		return complex_of(x, x);
	if (isinf(x))
		return around(x < 0 ? 0 : x, y);
	if (fabsl(x) > MUCH)
		return scaled(x, cosl(y), sinl(y), 0);
	size = expl(x);
	return complex_of(size * cosl(y), size * sinl(y));
}

/* x^2 + y^2 - 1, where that is between -3/4 and 3. */
long double posix_complex_beyond_one(long double x, long double y)
{
	struct posix_pair of_x, of_y, sum;

	if (fabsl(x) < fabsl(y)) {
		long double other = x;

		x = y;
		y = other;
	}
	of_x = posix_product(x, x);
	of_y = posix_product(y, y);
	sum = posix_sum(of_x.high - 1, of_y.high);
	return sum.high + (sum.low + (of_x.low + of_y.low));
}

/* The logarithm of |z|. */
static long double log_size(long double x, long double y)
{
	long double most = fmaxl(fabsl(x), fabsl(y)), least = fminl(fabsl(x), fabsl(y)), size;

	if (isgreater(most, 0x1p16380L) && isfinite(x) && isfinite(y))
		return logl(hypotl(x / 4, y / 4)) + logl(4);
	if (isless(most, 0x1p-16000L) && most > 0)
		return logl(hypotl(x * 0x1p128L, y * 0x1p128L)) - logl(0x1p128L);
	if (most == 1)
		return isless(least, 0x1p-70L) ? least * least / 2 : log1pl(least * least) / 2;
	if (isless(least, 0x1p-70L) && isgreater(most, 0.5L))
		return logl(most);
	size = hypotl(x, y);
	if (isless(most, 2) && isgreater(size, 0.5L) && isless(size, 2))
		return log1pl(posix_complex_beyond_one(x, y)) / 2;
	return logl(size);
}

complex_t clogl(complex_t z)
{
	return complex_of(log_size(creall(z), cimagl(z)), atan2l(cimagl(z), creall(z)));
}

complex_t clog10l(complex_t z)
{
	long double x = creall(z), y = cimagl(z);

	return complex_of(y == 0 ? log10l(fabsl(x)) : x == 0 ? log10l(fabsl(y)) : log_size(x, y) / logl(10), atan2l(y, x) / logl(10));
}

complex_t csqrtl(complex_t z)
{
	long double x = creall(z), y = cimagl(z), t, scale = 1;

	if (x == 0 && y == 0)
		return complex_of(0, y);
	if (isinf(y))
		return complex_of(HUGE_VALL, y);
	if (isnan(x))
		return complex_of(x, x);
	if (isinf(x))
		return x > 0 ? complex_of(x, isnan(y) ? y : copysignl(0, y)) : complex_of(isnan(y) ? y : 0, copysignl(x, y));
	if (isnan(y))
		return complex_of(y, y);
	if (fmaxl(fabsl(x), fabsl(y)) > 0x1p16380L) {
		x /= 16;
		y /= 16;
		scale = 4;
	} else if (fmaxl(fabsl(x), fabsl(y)) < 0x1p-16000L) {
		x *= 0x1p128L;
		y *= 0x1p128L;
		scale = 0x1p-64L;
	}
	t = sqrtl(x == 0 ? fabsl(y) / 2 : fabsl(x) / 2 + hypotl(x, y) / 2);
	y = y / (2 * t);
	return x >= 0 ? complex_of(t * scale, y * scale) : complex_of(fabsl(y) * scale, copysignl(t, y) * scale);
}

complex_t ccoshl(complex_t z)
{
	long double x = creall(z), y = cimagl(z);

	if (y == 0)
		return complex_of(coshl(x), copysignl(0, x) * y);
	if (!isfinite(y))
		return x == 0 ? complex_of(y - y, copysignl(0, x)) : isinf(x) ? complex_of(HUGE_VALL, y - y) : complex_of(y - y, y - y);
	if (isinf(x))
		return complex_of(copysignl(HUGE_VALL, cosl(y)), x * copysignl(1, sinl(y)));
	if (isgreater(fabsl(x), MUCH))
		return scaled(fabsl(x), cosl(y), copysignl(1, x) * sinl(y), 1);
	return complex_of(coshl(x) * cosl(y), sinhl(x) * sinl(y));
}

complex_t csinhl(complex_t z)
{
	long double x = creall(z), y = cimagl(z);

	if (y == 0)
		return complex_of(sinhl(x), y);
	if (!isfinite(y))
		return x == 0 || isinf(x) ? complex_of(x, y - y) : complex_of(y - y, y - y);
	if (isinf(x))
		return complex_of(x * copysignl(1, cosl(y)), copysignl(HUGE_VALL, sinl(y)));
	if (isgreater(fabsl(x), MUCH))
		return scaled(fabsl(x), copysignl(1, x) * cosl(y), sinl(y), 1);
	return complex_of(sinhl(x) * cosl(y), coshl(x) * sinl(y));
}

/* Kahan, Branch cuts for complex elementary functions, 1987. */
complex_t ctanhl(complex_t z)
{
	long double x = creall(z), y = cimagl(z), t, s, beta, below;

	if (y == 0)
		return complex_of(tanhl(x), y);
	if (isinf(x))
		return complex_of(copysignl(1, x), isfinite(y) ? copysignl(0, sinl(y) * cosl(y)) : copysignl(0, y));
	if (!isfinite(y))
		return complex_of(x == 0 ? x : y - y, y - y);
	if (isgreater(fabsl(x), 24))
		return complex_of(copysignl(1, x), 4 * sinl(y) * cosl(y) * expl(-2 * fabsl(x)));
	if (x == 0)
		return complex_of(x, tanl(y));
	t = tanl(y);
	beta = isless(fabsl(t), 0x1p-40L) ? 1 : 1 + t * t;
	s = sinhl(x);
	if (isless(fabsl(s), 0x1p-100L))
		return complex_of(s * beta, t);
	below = 1 + beta * s * s;
	return complex_of(beta * sqrtl(1 + s * s) * s / below, t / below);
}

complex_t ccosl(complex_t z)
{
	return ccoshl(complex_of(-cimagl(z), creall(z)));
}

complex_t csinl(complex_t z)
{
	z = csinhl(complex_of(-cimagl(z), creall(z)));
	return complex_of(cimagl(z), -creall(z));
}

complex_t ctanl(complex_t z)
{
	z = ctanhl(complex_of(-cimagl(z), creall(z)));
	return complex_of(cimagl(z), -creall(z));
}
