/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Powers of long double. The logarithm to base 2 is reckoned in pairs of numbers, with some 80 digits, so that a multiple of
 * it up to 2^14 has 64 behind the point, and the power of 2 that it stands for is right to less than a unit: picolibc's powl
 * is off by 150. x is 2^e m with m near 1; of the nearest k/64 the logarithm is in a table, and that of the quotient is a series
 * in (m - k/64) / (m + k/64). The gamma function (gamma.c) is made of the same.
 */
#define _GNU_SOURCE		/* exp10l */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include "libos/posix/math/power.h"

#define FIRST	45	/* of the table: 45/64 < sqrt(1/2) */

/* The logarithms to base 2 of 45/64 and on. */
static const struct {
	long double high;
	double low;
} table[] = {
	{ -0x8.215ea5cd3e4c4c8p-4L, 0x1.931800450f5b2p-66 }, { -0xf.3efaff29c559a78p-5L, 0x1.2ba94db12ef0bp-68 },
	{ -0xe.40cee16a2ff21c5p-5L, 0x1.44ea773361b8p-67 }, { -0xd.47fcb8c0852f0c1p-5L, 0x1.00589050345d7p-67 },
	{ -0xc.544c055fde99333p-5L, -0x1.536fc5bec1a58p-67 }, { -0xb.6587b432e47501bp-5L, -0x1.b502402c94093p-67 },
	{ -0xa.7b7dd96762cc3c7p-5L, -0x1.3a16b94b51cf7p-68 }, { -0x9.95ff71b8773432dp-5L, -0x1.24bc6f1acf95ep-69 },
	{ -0x8.b4e029b1f8ac392p-5L, 0x1.5e0ff45432475p-67 }, { -0xf.afec54831f1a484p-6L, -0x1.fdec9e1ec5cf7p-68 },
	{ -0xd.fe33d3fffa66038p-6L, 0x1.fa8423e8c1444p-68 }, { -0xc.544c055fde99333p-6L, -0x1.536fc5bec1a58p-68 },
	{ -0xa.b1ee14ffd659064p-6L, -0x1.c83794ddf2bcdp-69 }, { -0x9.16d6e1559a4b697p-6L, 0x1.b8a19b1c63767p-68 },
	{ -0xf.058d74797eab326p-7L, 0x1.8b4e49b7b0302p-69 }, { -0xb.eb024b67dda633ap-7L, 0x1.2ebb81cf52c6cp-70 },
	{ -0x8.dd9953002a4e866p-7L, -0x1.8a8a5779ce732p-70 }, { -0xb.b9ca64ecac6aaefp-8L, -0x1.70e03f821c75dp-71 },
	{ -0xb.a1f7430f9aab1b3p-9L, 0x1.6f93dc107e81fp-71 }, { 0x0p+0L, 0x0p+0 },
	{ 0xb.73cb42e16914c53p-9L, 0x1.c4fc4230215f3p-71 }, { 0xb.5d69bac77ec398ap-8L, -0x1.3f21ed2907deep-70 },
	{ 0x8.759c4fd14fcd59ep-7L, 0x1.ee975733242e1p-69 }, { 0xb.31fb7d64898b3e6p-7L, 0x1.8a704c288aeb6p-69 },
	{ 0xd.e4212056d5dd31ep-7L, -0x1.a74b235cd0a8fp-69 }, { 0x8.462c466d3cf1cb1p-6L, 0x1.ef1bf42954a2bp-69 },
	{ 0x9.9574f13c570d0fbp-6L, -0x1.c1a7f14b168b3p-68 }, { 0xa.e00d1cfdeb43cfdp-6L, 0x1.624140d175ba2p-76 },
	{ 0xc.2615e81781d97efp-6L, -0x1.bb6e23138ad52p-68 }, { 0xd.67af16da7649f7fp-6L, 0x1.1ecbc0183634bp-71 },
	{ 0xe.a4f726192cb7e48p-6L, -0x1.69535fb8bf578p-68 }, { 0xf.de0b5c81340511dp-6L, 0x1.1b3314f09de6cp-68 },
	{ 0x8.8983ed6985bae58p-5L, 0x1.2e0b4f2b49d4p-67 }, { 0x9.2203d587039cc12p-5L, 0x1.6e52e91300effp-68 },
	{ 0x9.b892675266f66cdp-5L, -0x1.d9926d3f02374p-67 }, { 0xa.4d3c25e68dc57f2p-5L, 0x1.257edfe9b5fb7p-67 },
	{ 0xa.e00d1cfdeb43cfdp-5L, 0x1.624140d175ba2p-75 }, { 0xb.7110e6ce866f2bcp-5L, 0x1.aa41689ee0789p-67 },
	{ 0xc.0052b18b0e2a195p-5L, 0x1.d6c13e9bef591p-67 }, { 0xc.8ddd448f8b845a6p-5L, -0x1.a95f528f2c755p-67 },
	{ 0xd.19bb053fb0284ecp-5L, -0x1.df9434309d27p-69 }, { 0xd.a3f5fb9c4150521p-5L, -0x1.7220e04ebb0e3p-67 },
	{ 0xe.2c97d694adab3f4p-5L, -0x1.1ab5110ccf3acp-70 }, { 0xe.b3a9f01975077f2p-5L, -0x1.41e66faaaaca5p-70 },
	{ 0xf.393550f3aa69063p-5L, -0x1.cc3da171dd999p-67 }, { 0xf.bd42b4658367671p-5L, -0x1.b39ffeebc2937p-68 },
	{ 0x8.1fed45cbccbf99dp-4L, -0x1.79737f530a5c2p-66 },
};

/* Of x > 0, which is finite. */
struct posix_pair posix_log2(long double x)
{
	static const struct posix_pair twice_per_ln2 = { 0xb.8aa3b295c17f0bcp-2L, -0x1.05e004be5b8bp-64L };
	struct posix_pair below, product, sum, more;
	long double m, a, over, s, low, z;
	int exponent, k;

	m = frexpl(x, &exponent);
	if (m < 0x1.6a09e667f3bcdp-1L) {
		m *= 2;
		exponent--;
	}
	k = (int)(m * 64 + 0.5L);
	a = k / 64.0L;
	over = m - a;
	below = posix_sum(m, a);
	s = over / below.high;
	product = posix_product(s, below.high);
	low = ((over - product.high) - product.low - s * below.low) / below.high;
	z = s * s;
	low += s * z * (1 / 3.0L + z * (1 / 5.0L + z * (1 / 7.0L + z * (1 / 9.0L + z / 11))));
	product = posix_product(s, twice_per_ln2.high);
	low = product.low + s * twice_per_ln2.low + low * twice_per_ln2.high;
	sum = posix_sum(exponent, table[k - FIRST].high);
	more = posix_sum(sum.high, product.high);
	return posix_sum(more.high, more.low + (sum.low + (table[k - FIRST].low + low)));
}

/*
 * Exceptions are those of the last multiplication, in which rounding is as way says, and one that it does not know of: what
 * is not normal, nor a power of 2, has been rounded, though its last digits be 0.
 */
long double posix_exp2(struct posix_pair of, bool negative, int way)
{
	volatile float tiny = FLT_MIN;
	long double whole, rest, power;

	if (!(fabsl(of.high) < 40000))
		of = (struct posix_pair){ of.high > 0 ? 40000 : -40000, 0 };
	whole = rintl(of.high);
	of = posix_sum(of.high - whole, of.low);
	__asm__("f2xm1" : "=t"(rest) : "0"(of.high));
	power = 1 + (rest + (1 + rest) * 0xb.17217f7d1cf79acp-4L * of.low);
	if (way != FE_TONEAREST)
		fesetround(way);
	power = scalbnl(negative ? -power : power, (int)whole);
	if (rest != 0 && fabsl(power) < LDBL_MIN)
		tiny = tiny * tiny;
	return power;
}

long double exp2l(long double x)
{
	if (!isfinite(x))
		return isnan(x) || x > 0 ? x + x : 0;
	if (fabsl(x) < 0x1p-70L)
		return 1 + x;
	return posix_exp2((struct posix_pair){ x, 0 }, false, FE_TONEAREST);
}

/* Whether y is whole, and if so whether it is odd. */
static bool is_whole(long double y, bool *odd)
{
	bool whole = fabsl(y) >= 0x1p64L || truncl(y) == y;

	*odd = whole && fmodl(y, 2) != 0;
	return whole;
}

/* x^y where x is 0 or infinite. */
static long double of_end(long double x, long double y, bool negative)
{
	if ((x == 0) == (y > 0))
		return negative ? -0.0L : 0;
	if (x == 0 && !isinf(y))
		return 1 / (negative ? -fabsl(x) : fabsl(x));
	return negative ? -HUGE_VALL : HUGE_VALL;
}

long double powl(long double x, long double y)
{
	struct posix_pair log, product;
	bool odd, negative;
	int way;

	if (x == 1 || y == 0)
		return 1;
	if (isnan(x) || isnan(y))
		return x + y;
	if (isinf(y))
		return x == -1 ? 1 : (fabsl(x) > 1) == (y > 0) ? HUGE_VALL : 0;
	if (!is_whole(y, &odd) && x < 0 && !isinf(x))
		return (x - x) / (y - y);
	negative = odd && signbit(x);
	if (x == 0 || isinf(x))
		return of_end(x, y, negative);
	x = fabsl(x);
	if (x == 1)
		return negative ? -1 : 1;
	if (fabsl(y) < 0x1p-100L)
		return 1 + ((x > 1) == (y > 0) ? 0x1p-100L : -0x1p-100L);
	way = fegetround();
	if (way != FE_TONEAREST)
		fesetround(FE_TONEAREST);
	log = posix_log2(x);
	if (fabsl(y) > 0x1p80L)
		return posix_exp2((struct posix_pair){ (log.high > 0) == (y > 0) ? 40000 : -40000, 0 }, negative, way);
	product = posix_product(log.high, y);
	product.low += log.low * y;
	return posix_exp2(posix_sum(product.high, product.low), negative, way);
}

long double exp10l(long double x)
{
	return powl(10, x);
}

long double pow10l(long double x)
{
	return powl(10, x);
}
