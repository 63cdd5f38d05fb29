/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mathematics at its corners: results and exceptions of functions where C11 F.10 names them, in float, double and long double;
 * whole numbers and fma in each rounding; the floating-point environment; complex functions where C11 G.6 has a table.
 */
#define _GNU_SOURCE
#include <complex.h>
#include <fenv.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "test/guest/tap.h"

#define NONE	0
#define INVALID	FE_INVALID
#define ZERO	FE_DIVBYZERO
#define OVER	FE_OVERFLOW
#define UNDER	FE_UNDERFLOW
#define INF	HUGE_VALL
#define COUNT(of)	(sizeof(of) / sizeof((of)[0]))

static const int ways[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };

/* A value that the compiler does not know, so that it leaves the functions and their exceptions to the library. */
#define V(value)	({ volatile __typeof__(value) hidden = (value); hidden; })

/* The exceptions but for "inexact", which are then forgotten. */
static int raised(void)
{
	int flags = fetestexcept(FE_ALL_EXCEPT & ~FE_INEXACT);

	feclearexcept(FE_ALL_EXCEPT);
	return flags;
}

static bool same(long double a, long double b)
{
	return isnan(a) ? isnan(b) : a == b && !signbit(a) == !signbit(b);
}

/* --- functions of one and of two arguments -------------------------------------------------------------------- */

struct one {
	const char *name;
	float (*f)(float);
	double (*d)(double);
	long double (*l)(long double);
	long double x, is;
	int flags;
};

#define F(name)	#name, name##f, name, name##l

static const struct one one_table[] = {
	{ F(sqrt), -1, NAN, INVALID }, { F(sqrt), -0.0L, -0.0L, NONE }, { F(sqrt), INF, INF, NONE }, { F(sqrt), -INF, NAN, INVALID },
	{ F(log), 0, -INF, ZERO }, { F(log), -1, NAN, INVALID }, { F(log), 1, 0, NONE }, { F(log), INF, INF, NONE },
	{ F(log2), -0.0L, -INF, ZERO }, { F(log2), -INF, NAN, INVALID }, { F(log2), 1, 0, NONE }, { F(log2), 32, 5, NONE },
	{ F(log10), 0, -INF, ZERO }, { F(log10), -2, NAN, INVALID }, { F(log10), 1000, 3, NONE }, { F(log10), 1, 0, NONE },
	{ F(log1p), -1, -INF, ZERO }, { F(log1p), -2, NAN, INVALID }, { F(log1p), -0.0L, -0.0L, NONE }, { F(log1p), INF, INF, NONE },
	{ F(logb), 0, -INF, ZERO }, { F(logb), -INF, INF, NONE }, { F(logb), 0.75L, -1, NONE }, { F(exp), -INF, 0, NONE },
	{ F(exp), 0, 1, NONE }, { F(exp), 1e-30L, 1, NONE }, { F(exp), 20000, INF, OVER }, { F(exp), -20000, 0, UNDER },
	{ F(exp2), 20000, INF, OVER }, { F(exp2), -20000, 0, UNDER }, { F(exp2), 1e-30L, 1, NONE }, { F(exp2), 5, 32, NONE },
	{ F(expm1), -INF, -1, NONE }, { F(expm1), -0.0L, -0.0L, NONE }, { F(expm1), 20000, INF, OVER }, { F(acos), 2, NAN, INVALID },
	{ F(acos), 1, 0, NONE }, { F(asin), -2, NAN, INVALID }, { F(asin), -0.0L, -0.0L, NONE }, { F(acosh), 0.5L, NAN, INVALID },
	{ F(acosh), 1, 0, NONE }, { F(asinh), -INF, -INF, NONE }, { F(atanh), 1, INF, ZERO }, { F(atanh), -1, -INF, ZERO },
	{ F(atanh), 2, NAN, INVALID }, { F(sin), INF, NAN, INVALID }, { F(cos), -INF, NAN, INVALID }, { F(tan), INF, NAN, INVALID },
	{ F(sin), -0.0L, -0.0L, NONE }, { F(cos), 1e-30L, 1, NONE }, { F(tanh), -INF, -1, NONE }, { F(sinh), 20000, INF, OVER },
	{ F(cosh), -20000, INF, OVER }, { F(erf), -INF, -1, NONE }, { F(erfc), INF, 0, NONE }, { F(erfc), 20000, 0, UNDER },
	{ F(tgamma), -INF, NAN, INVALID }, { F(tgamma), -0.0L, -INF, ZERO }, { F(tgamma), -3, NAN, INVALID }, { F(tgamma), 5, 24, NONE },
	{ F(lgamma), -3, INF, ZERO }, { F(lgamma), -INF, INF, NONE }, { F(lgamma), 2, 0, NONE }, { F(cbrt), -27, -3, NONE },
	{ F(fabs), -0.0L, 0, NONE }, { F(ceil), -0.5L, -0.0L, NONE }, { F(floor), -0.5L, -1, NONE }, { F(trunc), -1.5L, -1, NONE },
	{ F(round), -2.5L, -3, NONE }, { F(round), 0.5L, 1, NONE }, { F(ceil), 0x1p-20L, 1, NONE }, { F(rint), -0.25L, -0.0L, NONE },
	{ F(nearbyint), 2.5L, 2, NONE }, { F(nearbyint), -INF, -INF, NONE },
};

static void one_argument(void)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < COUNT(one_table); i++) {
		const struct one *t = &one_table[i];
		int quiet;

		raised();
		for (unsigned type = 0; type < 3; type++) {
			long double is = type == 0 ? t->f((float)t->x) : type == 1 ? t->d((double)t->x) : t->l(t->x);
			int flags = raised();

			if (!same(is, t->is) || flags != t->flags) {
				printf("# %s of type %u: %Lg is %Lg, not %Lg, and raises %#x, not %#x\n", t->name, type, t->x, is, t->is,
				       (unsigned)flags, (unsigned)t->flags);
				bad++;
			}
		}
		quiet = isnan(t->f(V((float)NAN))) && isnan(t->d(NAN)) && isnan(t->l(NAN)) && !raised();
		if (!quiet) {
			printf("# %s of no number\n", t->name);
			bad++;
		}
	}
	ok(!bad, "functions of one argument at their corners: %u are wrong", bad);
}

/* Where a function is its argument but for less than a unit. */
static void small(void)
{
	static const struct one table[] = {
		{ F(sin), 0, 0, 0 }, { F(tan), 0, 0, 0 }, { F(asin), 0, 0, 0 }, { F(atan), 0, 0, 0 }, { F(sinh), 0, 0, 0 }, { F(tanh), 0, 0, 0 },
		{ F(asinh), 0, 0, 0 }, { F(atanh), 0, 0, 0 }, { F(expm1), 0, 0, 0 }, { F(log1p), 0, 0, 0 },
	};
	volatile float f = FLT_TRUE_MIN;
	volatile double d = -DBL_TRUE_MIN;
	volatile long double l = LDBL_TRUE_MIN, near = 0x1p-100L;

	for (unsigned i = 0; i < COUNT(table); i++) {
		bool is = table[i].f(f) == f && raised() == UNDER && table[i].d(d) == d && raised() == UNDER && table[i].l(l) == l &&
		    raised() == UNDER;

		ok(is && same(table[i].f(-0.0f), -0.0L) && same(table[i].l(0), 0) && table[i].l(near) == near && !raised(), "%s near 0",
		   table[i].name);
	}
	ok(cosl(l) == 1 && expl(l) == 1 && exp2l(-l) == 1 && exp2(d) == 1 && pow(1.5, d) == 1 && powf(1.5f, f) == 1 && !raised(),
	   "and what is 1 there");
	ok(exp(V(-740.0)) > 0 && raised() == UNDER && exp2(V(-1074.0)) == DBL_TRUE_MIN && !raised() && pow(V(2.0), -1074) == DBL_TRUE_MIN && !raised() &&
	   pow(V(3.0), -675) > 0 && raised() == UNDER, "at the lower end, which may be exact");
	ok(atan2(d, 1) == d && raised() == UNDER && j1(d) == d / 2 && raised() == UNDER && erf(V(0x1p-1060)) > 0x1p-1060 && raised() == UNDER,
	   "others there");
}

struct two {
	const char *name;
	float (*f)(float, float);
	double (*d)(double, double);
	long double (*l)(long double, long double);
	long double x, y, is;
	int flags;
};

static const struct two two_table[] = {
	{ F(pow), -2, 3, -8, NONE }, { F(pow), 0, -1, INF, ZERO }, { F(pow), -0.0L, -3, -INF, ZERO }, { F(pow), -1, INF, 1, NONE },
	{ F(pow), 1, NAN, 1, NONE }, { F(pow), NAN, 0, 1, NONE }, { F(pow), -8, 1 / 3.0L, NAN, INVALID }, { F(pow), -INF, 3, -INF, NONE },
	{ F(pow), -INF, -3, -0.0L, NONE }, { F(pow), -0.0L, 3, -0.0L, NONE }, { F(pow), 2, 20000, INF, OVER }, { F(pow), -2, 20001, -INF, OVER },
	{ F(pow), 2, -20000, 0, UNDER }, { F(pow), -2, -20001, -0.0L, UNDER }, { F(pow), 0.5L, -INF, INF, NONE }, { F(pow), 4, 0.5L, 2, NONE },
	{ F(pow), 3, 5, 243, NONE }, { F(pow), 0, -INF, INF, NONE }, { F(fmod), 1, 0, NAN, INVALID }, { F(fmod), INF, 1, NAN, INVALID },
	{ F(fmod), -6, 3, -0.0L, NONE }, { F(fmod), 5, INF, 5, NONE }, { F(remainder), 5, 3, -1, NONE }, { F(remainder), 1, 0, NAN, INVALID },
	{ F(hypot), INF, NAN, INF, NONE }, { F(hypot), NAN, -INF, INF, NONE }, { F(hypot), 3, -4, 5, NONE }, { F(hypot), 0, -0.0L, 0, NONE },
	{ F(atan2), -0.0L, 1, -0.0L, NONE }, { F(atan2), 0, 0, 0, NONE }, { F(atan2), NAN, 1, NAN, NONE }, { F(fdim), 1, 2, 0, NONE },
	{ F(fdim), INF, INF, 0, NONE }, { F(fmax), NAN, 1, 1, NONE }, { F(fmin), 1, NAN, 1, NONE }, { F(copysign), INF, -0.0L, -INF, NONE },
	{ F(nextafter), 1, 1, 1, NONE }, { F(nextafter), 0, -0.0L, -0.0L, NONE }, { F(nextafter), INF, INF, INF, NONE },
};

static void two_arguments(void)
{
	volatile long double longest = LDBL_MAX, least = LDBL_TRUE_MIN;
	unsigned bad = 0;

	raised();
	for (unsigned i = 0; i < COUNT(two_table); i++) {
		const struct two *t = &two_table[i];

		for (unsigned type = 0; type < 3; type++) {
			long double is = type == 0 ? t->f((float)t->x, (float)t->y) : type == 1 ? t->d((double)t->x, (double)t->y) : t->l(t->x, t->y);
			int flags = raised();

			if (!same(is, t->is) || flags != t->flags) {
				printf("# %s of type %u: of %Lg, %Lg is %Lg, not %Lg, and raises %#x, not %#x\n", t->name, type, t->x, t->y, is,
				       t->is, (unsigned)flags, (unsigned)t->flags);
				bad++;
			}
		}
	}
	ok(!bad, "functions of two arguments: %u are wrong", bad);
	for (unsigned way = 0; way < 4; way++) {
		fesetround(ways[way]);
		ok(isinf(nextafter(V(DBL_MAX), HUGE_VAL)) && raised() == OVER && isinf(nexttowardf(V(-FLT_MAX), -INF)) && raised() == OVER &&
		   nextafterl(longest, INF) == INF && raised() == OVER && nextafter(V(0.0), -1) == -DBL_TRUE_MIN && raised() == UNDER &&
		   same(logl(V(1.0L)), 0) && same(acoshl(V(1.0L)), 0), "neighbours, and a logarithm of 1, rounding %d", ways[way]);
	}
	fesetround(FE_TONEAREST);
	raised();
	ok(nextafterl(V(LDBL_MIN), 0) == LDBL_MIN - least && raised() == UNDER && nexttowardl(V(LDBL_MIN) - least, 1) == LDBL_MIN && !raised() &&
	   nextafterl(V(2.0L), 0) == 2 - LDBL_EPSILON && nextafterl(V(-2.0L), -3) == -2 - 2 * LDBL_EPSILON && nextafterl(-INF, 0) == -longest &&
	   nextafterl(least, 0) == 0 && raised() == UNDER, "neighbours of long double");
	raised();
	ok(hypotl(0, least) == least && hypotl(3 * least, 4 * least) == 5 * least && hypotl(V(0x3p16380L), 0x4p16380L) == 0x5p16380L && !raised(),
	   "hypotl where squares are out of range");
}

/* Whether two numbers differ by no more than some units of their last place. */
static bool within(long double a, long double b, long double unit, int units)
{
	return fabsl(a - b) <= units * unit * fabsl(b);
}

static void digits(void)
{
	static const struct {
		long double x, y, is;
	} powers[] = {
		{ 1.0000000001L, 1e14L, 0xf.759bb4b335cb11ap+14423L }, { 0x1.0000000000000002p0L, -0x1.234566p76L, 0x8.a03d8c4bcd2dbaep-13450L },
		{ 3.7L, 8000.25L, 0xc.c3abe8d62b34a3bp+15097L }, { 0.1L, 4900.5L, 0xe.d6e9c27b1727886p-16283L },
		{ 10, -4900, 0xb.bb4df56baf62972p-16281L }, { 0.9999L, 1e7L, 0x9.66aa3588ea969a9p-1446L },
	};
	static const struct {
		long double x, is;
	} gammas[] = {
		{ 0.1L, 0x9.83753d9406c3da4p+0L }, { 1.5L, 0xe.2dfc48da77b553dp-4L }, { -0.7L, -0x8.8c1e78d0b3f3c42p-1L },
		{ 14.999L, 0xa.1f2d38ef3c7927bp+33L }, { 100.25L, 0xd.be81afa3de240f9p+516L }, { 1500.5L, 0xa.9496478daa711bap+13660L },
		{ -20.3L, -0xb.df10202a652dbe1p-64L }, { -1700.1L, -0xf.23da3acec850bdep-15799L },
	};
	bool right = true;

	for (unsigned i = 0; i < COUNT(powers); i++)
		right &= within(powl(powers[i].x, powers[i].y), powers[i].is, LDBL_EPSILON, 1);
	for (int i = 1; i < 41; i++)
		right &= powl(V(3.0L), i) == powl(V(3.0L), i - 1) * 3;
	ok(right && powl(V(9.0L), 0.5L) == 3 && powl(V(-2.0L), 63) == -0x1p63L && exp10l(V(19.0L)) == 1e19L, "powl to the last digit");
	right = true;
	for (unsigned i = 0; i < COUNT(gammas); i++)
		right &= within(tgammal(gammas[i].x), gammas[i].is, LDBL_EPSILON, 5);
	ok(right && tgammal(V(21.0L)) == 2432902008176640000, "tgammal");
	ok(within(jn(3, V(0x2.67a2a5d2e368p+0)), 0x1.978d432b58d63p-3, DBL_EPSILON, 1) && within(jn(5, V(5.0)), 0x1.0b686d64fb9b7p-2, DBL_EPSILON, 1) &&
	   within(jn(50, V(1.0)), 0x1.b90c1bb78b2cdp-265, DBL_EPSILON, 1) && within(jn(7, V(100.0)), 0x1.1f6d664dcc5c3p-4, DBL_EPSILON, 8) &&
	   within(jn(20, V(15.5)), 0x1.77cd4fe4f646bp-7, DBL_EPSILON, 1) && within(jn(3, V(-2.5)), -0x1.bb98fc5e82abbp-3, DBL_EPSILON, 1) &&
	   same(jn(-3, V(-0.0)), 0) && same(jn(3, -HUGE_VAL), -0.0L), "Bessel functions, also at zeros of those of order 0");
	ok(within(yn(3, V(2.5)), -0x1.8319b4c1093ep-1, DBL_EPSILON, 4) && within(yn(20, V(1.0)), -0x1.16c60243be144p+75, DBL_EPSILON, 4) &&
	   yn(-3, V(2.5)) == -yn(3, V(2.5)) && !(raised() & INVALID) && yn(-1, V(0.0)) == HUGE_VAL && raised() == ZERO && isnan(yn(2, V(-1.0))) &&
	   raised() == INVALID, "of the second kind");
	ok(cosf(V(0x1.921fc2p+0f)) == -0x1.9777a6p-21f && tanf(V(0x1.921fc2p+0f)) == -0x1.41acc2p+20f &&
	   within(atanhl(V(0x1p-29L)), 0x8.00000000000000bp-32L, LDBL_EPSILON, 1) &&
	   within(exp2l(V(0xf.93d18p-4L)), 0xf.b5b2485fe68bb3bp-3L, LDBL_EPSILON, 1), "others");
	fesetround(FE_DOWNWARD);
	ok(within(sinl(V(0x6.e23688p+16L)), 0xd.f903e4806c3be5cp-7L, LDBL_EPSILON, 2), "a sine, rounding down");
	fesetround(FE_TONEAREST);
	raised();
}

/* --- whole numbers, fma --------------------------------------------------------------------------------------- */

/* The functions themselves: what the compiler makes of them in place may be inexact. */
static void whole_numbers(void)
{
	volatile long double half = 0.5L, odd = 4503599627370495.5L, top = 0x7fffffffffffffff.8p0L, far = 0x1p63L, nothing = NAN;
	int quotient;

	feclearexcept(FE_ALL_EXCEPT);
	for (unsigned way = 0; way < 4; way++) {
		bool up = ways[way] == FE_UPWARD, down = ways[way] == FE_DOWNWARD, none;

		fesetround(ways[way]);
		none = V(&ceill)(odd) == 0x1p52L && V(&floorl)(odd) == 0x1p52L - 1 && V(&truncl)(-odd) == 1 - 0x1p52L && V(&roundl)(odd) == 0x1p52L &&
		    V(&ceill)(-half) == 0 && signbit(V(&ceill)(-half)) && V(&roundl)(-half) == -1 && V(&floorl)(V(LDBL_TRUE_MIN)) == 0 && V(&ceill)(V(LDBL_TRUE_MIN)) == 1 &&
		    nearbyint(V(1.5)) == (up || ways[way] == FE_TONEAREST ? 2 : 1) && nearbyintl(-half) == (down ? -1 : 0) &&
		    !fetestexcept(FE_ALL_EXCEPT);
		ok(none, "whole numbers without exceptions, rounding %d", ways[way]);
		ok(rint(V(0.25)) == up && rintl(V(-0.25L)) == -down && lrintf(V(2.5f)) == 2 + up && llrintl(V(-2.5L)) == -2 - down &&
		   fetestexcept(FE_ALL_EXCEPT) == FE_INEXACT, "and with \"inexact\"");
		feclearexcept(FE_ALL_EXCEPT);
	}
	fesetround(FE_TONEAREST);
	lrint(V(0x1p63));
	ok(raised() == INVALID && (llrintl(far), raised()) == INVALID && (lroundl(top), raised()) == INVALID && (lround(V((double)NAN)), raised()) == INVALID &&
	   (llrintl(nothing), raised()) == INVALID && (llround(V(-0x1p64)), raised()) == INVALID && (lroundf(V(HUGE_VALF)), raised()) == INVALID,
	   "out of range");
	ok(lrintl(-far) == LONG_MIN && llroundl(-far) == LLONG_MIN && !raised(), "or just in range");
	ok(ilogb(V(0.0)) == FP_ILOGB0 && raised() == INVALID && ilogbl(nothing) == FP_ILOGBNAN && raised() == INVALID && ilogbf(V(HUGE_VALF)) == INT_MAX &&
	   raised() == INVALID && ilogbl(V(LDBL_TRUE_MIN)) == -16445, "ilogb");
	ok(remquol(V(7.0L), -7, &quotient) == 0 && quotient == -1 && remquo(V(-7.0), 7, &quotient) == 0 && quotient == -1 && remquof(V(29.0f), 3, &quotient) == -1 &&
	   (quotient & 7) == 2 && isnan(remquol(V(1.0L), 0, &quotient)) && raised() == INVALID, "remquo");
	ok(scalbn(V(1.0), 5000) == HUGE_VAL && raised() == OVER && scalbnl(V(-1.0L), -40000) == 0 && raised() == UNDER && scalbnf(V(0.0f), 1000) == 0 && !raised() &&
	   scalbln(V(0x1p-1074), 1074) == 1 && !raised() && ldexpl(V(INF), -9) == INF && !raised(), "scalbn");
	feclearexcept(FE_ALL_EXCEPT);
	ok(sqrt(V(2.0)) == 0x1.6a09e667f3bcdp0 && fetestexcept(FE_ALL_EXCEPT) == FE_INEXACT && (feclearexcept(FE_ALL_EXCEPT), sqrtf(V(2.25f))) == 1.5f &&
	   !fetestexcept(FE_ALL_EXCEPT), "sqrt is inexact where it is");
}

static void products(void)
{
	volatile double one = 1 + DBL_EPSILON, huge = DBL_MAX, least = DBL_TRUE_MIN, zero = 0, none = NAN;
	volatile long double long_one = 1 + LDBL_EPSILON, longest = LDBL_MAX, long_least = LDBL_TRUE_MIN;
	bool is = true;

	feclearexcept(FE_ALL_EXCEPT);
	ok(fma(one, one, -1 - 2 * DBL_EPSILON) == DBL_EPSILON * DBL_EPSILON && fma(huge, 2, -huge) == huge && fmaf(V(FLT_MAX), 2, -FLT_MAX) == FLT_MAX &&
	   fmal(long_one, long_one, -1 - 2 * LDBL_EPSILON) == LDBL_EPSILON * LDBL_EPSILON && fmal(longest, 2, -longest) == longest &&
	   fmal(V(LDBL_MIN), 0x1p16382L, -1) == 0 && fma(V(2.0), 3, 4) == 10 && !fetestexcept(FE_ALL_EXCEPT), "fma that is exact says so");
	ok(fma(least, 0.25, -least) == -least && raised() == UNDER && fmal(long_least, 0.5L, long_least) == 2 * long_least && raised() == UNDER &&
	   fma(huge, huge, -HUGE_VAL) == -HUGE_VAL && !raised() && fma(huge, 2, 0) == HUGE_VAL && raised() == OVER &&
	   fmal(-longest, 2, longest / 2) == -INF && raised() == OVER, "at the ends");
	ok(isnan(fma(V(HUGE_VAL), 0, 1)) && raised() == INVALID && isnan(fma(V(HUGE_VAL), 1, -HUGE_VAL)) && raised() == INVALID &&
	   isnan(fma(huge, huge, none)) && !raised() && same(fma(-1, zero, zero), 0) && same(fma(-1, zero, -zero), -0.0L), "nothing, 0, no number");
	for (unsigned way = 0; way < 4; way++) {
		bool up = ways[way] == FE_UPWARD, down = ways[way] == FE_DOWNWARD;

		fesetround(ways[way]);
		is &= fma(least, least, 1) == (up ? one : 1) && fmal(-long_least, long_least, 1) == (down || ways[way] == FE_TOWARDZERO ?
		    1 - LDBL_EPSILON / 2 : 1) && same(fma(V(1.0), 1, -1), down ? -0.0L : 0.0L) && fmal(long_least, long_least, 0) == (up ? long_least : 0) &&
		    fmaf(V(FLT_MAX), 1, 1) == (up ? HUGE_VALF : FLT_MAX);
	}
	fesetround(FE_TONEAREST);
	ok(is, "in each rounding");
}

/* --- the environment ------------------------------------------------------------------------------------------ */

static void environment(void)
{
	volatile double one = 1, zero = 0;
	volatile long double long_one = 1, long_zero = 0;
	fexcept_t flags;
	fenv_t env;
	bool is = true;

	for (int which = 0; which < 64; which++) {
		feclearexcept(-1);
		is &= feraiseexcept(which & FE_ALL_EXCEPT) == 0 && fetestexcept(-1) == (which & FE_ALL_EXCEPT);
		is &= feclearexcept(FE_INVALID | 2) == 0 && fetestexcept(FE_ALL_EXCEPT) == (which & FE_ALL_EXCEPT & ~FE_INVALID);
	}
	ok(is, "each set of flags");
	feclearexcept(FE_ALL_EXCEPT);
	ok(feupdateenv(FE_DFL_ENV) == 0 && fegetexcept() == 0 && fegetround() == FE_TONEAREST, "the default environment has no traps");
	one = one / zero;
	long_zero = sqrtl(-long_one);
	ok(fetestexcept(FE_ALL_EXCEPT) == (ZERO | INVALID) && fegetexceptflag(&flags, FE_ALL_EXCEPT) == 0, "of both units");
	feclearexcept(FE_ALL_EXCEPT);
	feraiseexcept(OVER);
	ok(fesetexceptflag(&flags, ZERO | UNDER | OVER) == 0 && fetestexcept(FE_ALL_EXCEPT) == ZERO, "flags put back, and down");
	fesetround(FE_DOWNWARD);
	ok(feholdexcept(&env) == 0 && !fetestexcept(FE_ALL_EXCEPT) && fegetround() == FE_DOWNWARD, "held");
	fesetround(FE_UPWARD);
	feraiseexcept(UNDER);
	ok(feupdateenv(&env) == 0 && fetestexcept(FE_ALL_EXCEPT) == (ZERO | UNDER) && fegetround() == FE_DOWNWARD, "and updated");
	long_one = 1;
	one = 1;
	ok(one / 10 < 0.1 && long_one / 3 * 3 < 1 && fesetenv(FE_DFL_ENV) == 0 && !fetestexcept(FE_ALL_EXCEPT) &&
	   fegetround() == FE_TONEAREST, "the default rounds to nearest");
	ok(fesetround(4) != 0 && fesetround(-1) != 0 && fegetround() == FE_TONEAREST, "no such rounding");
	zero = NAN;
	ok(!isgreater(zero, one) && !isless(zero, one) && !isgreaterequal(one, zero) && !islessequal(zero, zero) && !islessgreater(zero, one) &&
	   isunordered(one, zero) && fpclassify(zero) == FP_NAN && fpclassify(long_zero) == FP_NAN && signbit(-0.0L) && !isfinite(zero) &&
	   fpclassify(DBL_TRUE_MIN) == FP_SUBNORMAL && fpclassify(LDBL_MIN) == FP_NORMAL && !raised(), "comparing no number raises nothing");
	ok(!(zero < one) && raised() == INVALID && (math_errhandling & MATH_ERREXCEPT), "unless by an operator");
}

static sigjmp_buf back;

static void caught(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

static void traps(void)
{
	static const int each[] = { FE_DIVBYZERO, FE_INVALID, FE_OVERFLOW, FE_UNDERFLOW, FE_INEXACT };
	volatile unsigned trapped = 0;

	signal(SIGFPE, caught);
	for (volatile unsigned i = 0; i < COUNT(each); i++) {
		fesetenv(FE_DFL_ENV);
		if (sigsetjmp(back, 1) == 0) {
			feenableexcept(each[i]);
			feraiseexcept(FE_ALL_EXCEPT & ~each[i]);
			trapped += fegetexcept() == each[i];
			feraiseexcept(each[i]);
		} else {
			trapped++;
		}
	}
	fesetenv(FE_DFL_ENV);
	ok(trapped == 2 * COUNT(each) && feraiseexcept(FE_ALL_EXCEPT) == 0 && fegetexcept() == 0, "traps, and none by default");
	feclearexcept(FE_ALL_EXCEPT);
	signal(SIGFPE, SIG_DFL);
}

/* --- complex functions ---------------------------------------------------------------------------------------- */

#define C(name)	#name, name##f, name, name##l
#define PI	3.14159265358979323846264338327950288L

static const struct {
	const char *name;
	float complex (*f)(float complex);
	double complex (*d)(double complex);
	long double complex (*l)(long double complex);
	long double x, y, re, im;
	int flags;
} complex_table[] = {
	{ C(cexp), -INF, 1, 0, 0, NONE }, { C(cexp), INF, 3, -INF, INF, NONE }, { C(cexp), INF, INF, INF, NAN, INVALID },
	{ C(cexp), -INF, NAN, 0, 0, NONE }, { C(cexp), NAN, -0.0L, NAN, -0.0L, NONE }, { C(cexp), 1, INF, NAN, NAN, INVALID },
	{ C(clog), -0.0L, 0, -INF, PI, ZERO }, { C(clog), 0, -0.0L, -INF, -0.0L, ZERO }, { C(clog), -INF, INF, INF, 3 * PI / 4, NONE },
	{ C(clog), INF, NAN, INF, NAN, NONE }, { C(clog), -1, -0.0L, 0, -PI, NONE }, { C(csqrt), -1, -0.0L, 0, -1, NONE },
	{ C(csqrt), -4, 0, 0, 2, NONE }, { C(csqrt), 1, INF, INF, INF, NONE }, { C(csqrt), -INF, -1, 0, -INF, NONE },
	{ C(csqrt), -INF, NAN, NAN, INF, NONE }, { C(csqrt), NAN, -INF, INF, -INF, NONE }, { C(csqrt), 3, -4, 2, -1, NONE },
	{ C(ccosh), 0, INF, NAN, 0, INVALID }, { C(ccosh), INF, 0, INF, 0, NONE }, { C(ccosh), -INF, 1, INF, -INF, NONE },
	{ C(csinh), 0, INF, 0, NAN, INVALID }, { C(csinh), -INF, 0, -INF, 0, NONE }, { C(csinh), INF, 3, -INF, INF, NONE },
	{ C(ctanh), INF, 1, 1, 0, NONE }, { C(ctanh), -INF, 2, -1, -0.0L, NONE }, { C(ctanh), 1, INF, NAN, NAN, INVALID },
	{ C(ctanh), NAN, 0, NAN, 0, NONE }, { C(ctanh), 50, 1, 1, 0, -1 }, { C(ccos), 0, INF, INF, -0.0L, NONE },
	{ C(csin), 0, INF, 0, INF, NONE }, { C(ctan), 1, INF, 0, 1, NONE }, { C(cacos), 0, NAN, PI / 2, NAN, NONE },
	{ C(cacos), -INF, INF, 3 * PI / 4, -INF, NONE }, { C(cacos), 2, 0, 0, -1.3169578969248167086250463473079684440L, NONE },
	{ C(cacos), 2, -0.0L, 0, 1.3169578969248167086250463473079684440L, NONE }, { C(cacos), NAN, INF, NAN, -INF, NONE },
	{ C(casin), 2, 0, PI / 2, 1.3169578969248167086250463473079684440L, NONE }, { C(casin), 0, -INF, 0, -INF, NONE },
	{ C(cacosh), 0, INF, INF, PI / 2, NONE }, { C(cacosh), -1, 0, 0, PI, NONE }, { C(cacosh), NAN, INF, INF, NAN, NONE },
	{ C(casinh), 1, INF, INF, PI / 2, NONE }, { C(casinh), INF, INF, INF, PI / 4, NONE }, { C(casinh), NAN, 0, NAN, 0, NONE },
	{ C(catanh), 1, 0, INF, 0, ZERO }, { C(catanh), 2, -0.0L, 0.54930614433405484569762261846126285232L, -PI / 2, NONE },
	{ C(catanh), 1, INF, 0, PI / 2, NONE }, { C(catanh), INF, NAN, 0, NAN, NONE }, { C(catan), 0, 1, 0, INF, ZERO },
	{ C(catan), 0, 2, PI / 2, 0.54930614433405484569762261846126285232L, NONE },
};

static bool near(long double a, long double b, long double unit)
{
	return same(a, b) || (b != 0 && fabsl(a - b) <= 2 * unit * fabsl(b));
}

static void complex_functions(void)
{
	static const long double units[] = { FLT_EPSILON, DBL_EPSILON, LDBL_EPSILON };
	unsigned bad = 0;

	raised();
	for (unsigned i = 0; i < COUNT(complex_table); i++) {
		long double x = complex_table[i].x, y = complex_table[i].y;

		for (unsigned type = 0; type < 3; type++) {
			long double complex is = type == 0 ? complex_table[i].f(__builtin_complex((float)x, (float)y)) : type == 1 ?
			    complex_table[i].d(__builtin_complex((double)x, (double)y)) : complex_table[i].l(__builtin_complex(x, y));
			int flags = raised();

			if (complex_table[i].flags == -1 ? creall(is) == 1 && cimagl(is) > 0 : near(creall(is), complex_table[i].re, units[type]) &&
			    near(cimagl(is), complex_table[i].im, units[type]) && flags == complex_table[i].flags)
				continue;
			printf("# %s of type %u: of (%Lg, %Lg) is (%Lg, %Lg), and raises %#x\n", complex_table[i].name, type, x, y, creall(is), cimagl(is),
			       (unsigned)flags);
			bad++;
		}
	}
	ok(!bad, "complex functions at infinity, on cuts, of no number: %u are wrong", bad);
}

/* That the functions and their inverses belong together, everywhere. */
static void round_trips(void)
{
	double worst = 0;

	srand48(1);
	for (unsigned i = 0; i < 2000; i++) {
		double complex z = __builtin_complex(ldexp(drand48() - 0.5, (int)(lrand48() % 9)), ldexp(drand48() - 0.5, (int)(lrand48() % 9)));
		double complex back[] = { csqrt(z) * csqrt(z), cexp(clog(z)), csin(casin(z)), ccos(cacos(z)), ctan(catan(z)), csinh(casinh(z)),
			ccosh(cacosh(z)), ctanh(catanh(z)) };

		for (unsigned k = 0; k < COUNT(back); k++)
			worst = fmax(worst, cabs(back[k] - z) / (cabs(z) + cabs(z * z)));
	}
	ok(worst < 1e-13, "of their inverses: off by %g", worst);
}

int main(void)
{
	one_argument();
	small();
	two_arguments();
	digits();
	whole_numbers();
	products();
	environment();
	traps();
	complex_functions();
	round_trips();
	return tap_done();
}
