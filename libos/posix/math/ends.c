/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mathematical functions at the ends of their ranges, where picolibc's results are right and the exceptions are not (C11 F.10),
 * or long double is not itself. In between picolibc's are called, which posix_renamed (build-aux/target.mk) lets keep a name.
 *
 *  - where a function is its argument but for less than a unit, a result that is not normal is an underflow;
 *  - a result of double at the lower end of the range is that of long double, rounded: so its exceptions are;
 *  - for arguments so small that the result is 1 but for less than a unit, nothing underflows;
 *  - sines of long double are reduced rounding to nearest, without which all digits can be lost;
 *  - a logarithm of 1 is +0 however is rounded;
 *  - functions that are off by more than a unit and a half are those of the wider type, or made of better ones.
 */
#include <fenv.h>
#include <float.h>
#include <math.h>

#define OF(type, name)	type posix_libc_##name(type x); type name(type x)

/* Says that a result has lost what it should have below the least normal number. */
static void underflow(void)
{
	volatile float tiny = FLT_MIN;

	tiny = tiny * tiny;
}

#define SMALL(type, name, size, least, call) \
	OF(type, name) \
	{ \
		if (isless(fabs##size(x), least) && x != 0) { \
			underflow(); \
			return x; \
		} \
		return call; \
	}

/* (e^2x - 1) / (e^2x + 1), so that nothing cancels. */
static double tanh_of(double x)
{
	double size = fabs(x), over;

	if (!isless(size, 22))
		return isnan(x) ? x + x : isinf(x) ? copysign(1, x) : copysign(1 - 0x1p-60, x);
	over = expm1(size > 0.25 ? 2 * size : -2 * size);
	return copysign(size > 0.55 ? 1 - 2 / (over + 2) : over / (over + 2), x);
}

SMALL(float, sinf, f, FLT_MIN, (float)sin(x))
SMALL(float, tanf, f, FLT_MIN, (float)tan(x))
SMALL(float, asinf, f, FLT_MIN, posix_libc_asinf(x))
SMALL(float, atanf, f, FLT_MIN, (float)atan(x))
SMALL(float, sinhf, f, FLT_MIN, (float)sinh(x))
SMALL(float, tanhf, f, FLT_MIN, (float)tanh(x))
SMALL(float, asinhf, f, FLT_MIN, posix_libc_asinhf(x))
SMALL(float, atanhf, f, FLT_MIN, posix_libc_atanhf(x))
SMALL(float, expm1f, f, FLT_MIN, posix_libc_expm1f(x))
SMALL(float, log1pf, f, FLT_MIN, posix_libc_log1pf(x))
SMALL(double, sin, , DBL_MIN, posix_libc_sin(x))
SMALL(double, tan, , DBL_MIN, posix_libc_tan(x))
SMALL(double, asin, , DBL_MIN, posix_libc_asin(x))
SMALL(double, atan, , DBL_MIN, posix_libc_atan(x))
SMALL(double, sinh, , DBL_MIN, posix_libc_sinh(x))
SMALL(double, tanh, , DBL_MIN, tanh_of(x))
SMALL(double, asinh, , DBL_MIN, posix_libc_asinh(x))
SMALL(double, atanh, , DBL_MIN, posix_libc_atanh(x))
SMALL(double, expm1, , DBL_MIN, posix_libc_expm1(x))
SMALL(double, log1p, , DBL_MIN, posix_libc_log1p(x))

/* The same of long double, also where squares of normal numbers underflow. */
#define SMALL_LONG(name, call) \
	OF(long double, name) \
	{ \
		if (isless(fabsl(x), 0x1p-70L)) { \
			if (x != 0 && fabsl(x) < LDBL_MIN) \
				underflow(); \
			return x; \
		} \
		return call; \
	}

static long double to_nearest(long double function(long double x), long double x)
{
	long double result;
	int way = fegetround();

	if (way == FE_TONEAREST)
		return function(x);
	fesetround(FE_TONEAREST);
	result = function(x);
	fesetround(way);
	return result;
}

static long double asinh_of(long double x)
{
	long double size = fabsl(x), square = x * x;

	if (!isless(size, 0x1p60L))
		return isinf(x) || isnan(x) ? x + x : copysignl(logl(size) + 0x1.62e42fefa39ef358p-1L, x);
	return copysignl(log1pl(size + square / (1 + sqrtl(1 + square))), x);
}

long double posix_libc_atanhl(long double x);

static long double atanh_of(long double x)
{
	long double size = fabsl(x);

	return isless(size, 1) ? copysignl(log1pl(2 * size / (1 - size)) / 2, x) : posix_libc_atanhl(x);
}

SMALL_LONG(sinl, to_nearest(posix_libc_sinl, x))
SMALL_LONG(tanl, to_nearest(posix_libc_tanl, x))
SMALL_LONG(asinl, posix_libc_asinl(x))
SMALL_LONG(atanl, posix_libc_atanl(x))
SMALL_LONG(sinhl, posix_libc_sinhl(x))
SMALL_LONG(tanhl, posix_libc_tanhl(x))
SMALL_LONG(asinhl, asinh_of(x))
SMALL_LONG(atanhl, atanh_of(x))
SMALL_LONG(expm1l, posix_libc_expm1l(x))

#define QUOTIENT(name, type, size, least) \
	type posix_libc_##name(type y, type x); \
	type name(type y, type x) \
	{ \
		type result = posix_libc_##name(y, x); \
		if (isless(fabs##size(result), least) && result != 0) \
			underflow(); \
		return result; \
	}

QUOTIENT(atan2f, float, f, FLT_MIN)
QUOTIENT(atan2, double, , DBL_MIN)
QUOTIENT(atan2l, long double, l, LDBL_MIN)

OF(long double, cosl)
{
	return isless(fabsl(x), 0x1p-70L) ? 1 - fabsl(x) : to_nearest(posix_libc_cosl, x);
}

void sincos(double x, double *sine, double *cosine)
{
	*sine = sin(x);
	*cosine = cos(x);
}

void sincosf(float x, float *sine, float *cosine)
{
	*sine = sinf(x);
	*cosine = cosf(x);
}

void sincosl(long double x, long double *sine, long double *cosine)
{
	*sine = sinl(x);
	*cosine = cosl(x);
}

OF(double, erf)
{
	return isless(fabs(x), 0x1p-1000) ? (double)(x * 0x1.20dd750429b6d11ap0L) : posix_libc_erf(x);
}

OF(long double, erfl)
{
	return isless(fabsl(x), 0x1p-70L) ? x * 0x1.20dd750429b6d11ap0L : posix_libc_erfl(x);
}

double erfc(double x)
{
	return (double)erfcl(x);
}

OF(double, j1)
{
	return isless(fabs(x), 0x1p-1000) ? (double)((long double)x * 0x0.ffffffffffffffffp-1L) : posix_libc_j1(x);
}

/* Exponentials and powers. */

OF(float, expf)
{
	return isless(x, -87) ? (float)exp(x) : posix_libc_expf(x);
}

OF(double, exp)
{
	return isless(x, -708) ? (double)expl(x) : posix_libc_exp(x);
}

OF(long double, expl)
{
	long double result;

	if (isless(fabsl(x), 0x1p-70L))
		return 1 + x;
	result = posix_libc_expl(x);
	if (isless(result, LDBL_MIN) && !isinf(x))
		underflow();
	return result;
}

OF(double, exp2)
{
	if (isless(fabs(x), 0x1p-60))
		return 1 + x;
	return isless(x, -1021) ? (double)exp2l(x) : posix_libc_exp2(x);
}

float posix_libc_powf(float x, float y);

float powf(float x, float y)
{
	float result;

	if (isless(fabsf(y), 0x1p-100f))
		return (float)pow(x, y);
	result = posix_libc_powf(x, y);
	return isgreater(fabsf(result), 0x1p-125f) && isless(fabsf(result), 0x1p127f) ? result : (float)pow(x, y);
}

double posix_libc_pow(double x, double y);

double pow(double x, double y)
{
	double result;

	if (isless(fabs(y), 0x1p-100) && y != 0 && isgreater(x, 0) && isless(x, HUGE_VAL))
		return x == 1 ? 1 : 1 + (x > 1 ? y : -y);
	result = posix_libc_pow(x, y);
	return isless(fabs(result), 0x1p-1021) && isfinite(x) && isfinite(y) && x != 0 ? (double)powl(x, y) : result;
}

/* Logarithms. */

OF(long double, logl)
{
	return x == 1 ? 0 : posix_libc_logl(x);
}

OF(long double, log10l)
{
	return x == 1 ? 0 : posix_libc_log10l(x);
}

OF(long double, log2l)
{
	return x == 1 ? 0 : posix_libc_log2l(x);
}

OF(long double, acoshl)
{
	return x == 1 ? 0 : isgreater(x, 1) && isless(x, 0x1p60L) ? log1pl((x - 1) + sqrtl((x - 1) * (x + 1))) : posix_libc_acoshl(x);
}

/* Lengths: no square is out of the wider type's range. */

double hypot(double x, double y)
{
	if (isinf(x) || isinf(y))
		return HUGE_VAL;
	return isnan(x) || isnan(y) ? x + y : (double)sqrtl((long double)x * x + (long double)y * y);
}

long double hypotl(long double x, long double y)
{
	int scale;

	if (isinf(x) || isinf(y))
		return HUGE_VALL;
	if (isnan(x) || isnan(y))
		return x + y;
	x = fabsl(x);
	y = fabsl(y);
	if (x < y) {
		long double less = x;

		x = y;
		y = less;
	}
	if (y == 0)
		return x;
	scale = ilogbl(x);
	if (scale - ilogbl(y) > 66)
		return x + y;
	x = scalbnl(x, -scale);
	y = scalbnl(y, -scale);
	return scalbnl(sqrtl(x * x + y * y), scale);
}
