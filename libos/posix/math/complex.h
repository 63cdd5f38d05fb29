/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of complex functions share. */
#ifndef LIBOS_POSIX_COMPLEX_H
#define LIBOS_POSIX_COMPLEX_H

#include <complex.h>
#include <float.h>
#include <math.h>

typedef long double complex complex_t;

static inline complex_t complex_of(long double x, long double y)
{
	return __builtin_complex(x, y);
}

/* Says that a part that is not normal, and not 0, has lost digits. */
static inline complex_t posix_complex_small(complex_t z, long double least)
{
	long double x = fabsl(creall(z)), y = fabsl(cimagl(z));
	volatile float tiny = FLT_MIN;

	if ((x != 0 && isless(x, least)) || (y != 0 && isless(y, least)))
		tiny = tiny * tiny;
	return z;
}

/* The functions of float and double are that of long double, rounded. */
#define COMPLEX_KINDS(name) \
	float complex c##name##f(float complex z) \
	{ \
		return (float complex)posix_complex_small(c##name##l(z), FLT_MIN); \
	} \
	double complex c##name(double complex z) \
	{ \
		return (double complex)posix_complex_small(c##name##l(z), DBL_MIN); \
	}

/* x^2 + y^2 - 1 without losing digits, where it is between -3/4 and 3. */
long double posix_complex_beyond_one(long double x, long double y);

#endif
