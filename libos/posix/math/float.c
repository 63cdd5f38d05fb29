/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mathematical functions of float that picolibc has more than a unit off, or wrong: those of double, rounded once more.
 */
#include <math.h>

float lgammaf_r(float x, int *sign)
{
	return (float)lgamma_r(x, sign);
}

float lgammaf(float x)
{
	return (float)lgamma(x);
}

float gammaf(float x)
{
	return (float)lgamma(x);
}

float acosf(float x)
{
	return (float)acos(x);
}

float acoshf(float x)
{
	return (float)acosh(x);
}

float cosf(float x)
{
	return (float)cos(x);
}

float exp2f(float x)
{
	return (float)exp2(x);
}

float log10f(float x)
{
	return (float)log10(x);
}

float hypotf(float x, float y)
{
	if (isinf(x) || isinf(y))
		return HUGE_VALF;
	return isnan(x) || isnan(y) ? x + y : (float)sqrt((double)x * x + (double)y * y);
}

float cbrtf(float x)
{
	return (float)cbrt(x);
}

float erff(float x)
{
	return (float)erf(x);
}

float erfcf(float x)
{
	return (float)erfc(x);
}

float j0f(float x)
{
	return (float)j0(x);
}

float j1f(float x)
{
	return isless(fabsf(x), 0x1p-100f) ? (float)(x * 0x1.fffffffffffffp-2) : (float)j1(x);
}

float jnf(int order, float x)
{
	return order == 1 ? j1f(x) : order == -1 ? -j1f(x) : (float)jn(order, x);
}

float y0f(float x)
{
	return (float)y0(x);
}

float y1f(float x)
{
	return (float)y1(x);
}

float ynf(int order, float x)
{
	return (float)yn(order, x);
}
