/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of twice long double's digits, and powers that are made of them (power.c). Rounding is to nearest. */
#ifndef LIBOS_POSIX_POWER_H
#define LIBOS_POSIX_POWER_H

#include <stdbool.h>
#include <stdint.h>

/* high + low, where low is below high's last digit. */
struct posix_pair {
	long double high, low;
};

static inline struct posix_pair posix_sum(long double a, long double b)
{
	long double sum = a + b, of_b = sum - a;

	return (struct posix_pair){ sum, (a - (sum - of_b)) + (b - of_b) };
}

/* The upper 32 digits. */
static inline long double posix_upper(long double x)
{
	union {
		long double value;
		uint64_t mantissa;
	} parts = { .value = x };

	parts.mantissa &= 0xffffffff00000000;
	return parts.value;
}

static inline struct posix_pair posix_product(long double a, long double b)
{
	long double upper_a = posix_upper(a), upper_b = posix_upper(b), lower_a = a - upper_a, lower_b = b - upper_b, product = a * b;

	return (struct posix_pair){ product,
		((upper_a * upper_b - product) + upper_a * lower_b + lower_a * upper_b) + lower_a * lower_b };
}

/* The logarithm to base 2 of x > 0, with some 80 digits. */
struct posix_pair posix_log2(long double x);

/* 2^of, or its negative, rounded as fesetround's way says, in which rounding is then. */
long double posix_exp2(struct posix_pair of, bool negative, int way);

#endif
