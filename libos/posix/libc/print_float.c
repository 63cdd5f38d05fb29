/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Floating-point numbers as text, exact to any digit. A number is m * 2^e; its decimal expansion is finite, and is made here
 * as a whole, in limbs of nine digits: for e >= 0 by multiplications by 2^29, for e < 0 by divisions by 2^9 (which divides
 * 10^9, so that what a limb loses is a whole number of the next limb's units).
 *
 * Digits have positions: digit 0 is the first of limb 0, the point stands before digit 9 * point. Rounding cuts at a position
 * and looks at all that is dropped. picolibc's printf has 17 digits, and zeros behind them.
 */
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "libos/posix/libc/print.h"

#define BILLION	1000000000u
#define LIMBS	1844		/* 2^-16445 has 1,828 limbs behind the point, and a mantissa three before it */

struct decimal {
	int first, end, point;	/* limbs [first, end) may be other than 0 */
	uint32_t limb[LIMBS];
};

static const uint32_t POWER[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, BILLION };

static void multiply(struct decimal *d, int bits)
{
	while (bits > 0) {
		int step = bits < 29 ? bits : 29;
		uint64_t carry = 0;

		for (int i = d->end - 1; i >= d->first; i--) {
			carry += (uint64_t)d->limb[i] << step;
			d->limb[i] = (uint32_t)(carry % BILLION);
			carry /= BILLION;
		}
		if (carry)
			d->limb[--d->first] = (uint32_t)carry;
		bits -= step;
	}
}

static void divide(struct decimal *d, int bits)
{
	while (bits > 0) {
		int step = bits < 9 ? bits : 9;
		uint32_t carry = 0, mask = (1u << step) - 1;

		for (int i = d->first; i < d->end; i++) {
			uint32_t limb = d->limb[i];
			d->limb[i] = (limb >> step) + carry;
			carry = (limb & mask) * (BILLION >> step);
		}
		if (carry)
			d->limb[d->end++] = carry;
		while (d->first < d->end && d->limb[d->first] == 0)
			d->first++;
		bits -= step;
	}
}

/* The expansion of m * 2^e. There is a limb to spare before the first. */
static void expand(struct decimal *d, uint64_t m, int e)
{
	int low = m ? __builtin_ctzll(m) : 0;

	if (e < 0 && low > 0) {
		low = low < -e ? low : -e;
		m >>= low;
		e += low;
	}
	d->point = d->end = d->first = e >= 0 ? LIMBS : 4;
	for (; m; m /= BILLION)
		d->limb[--d->first] = (uint32_t)(m % BILLION);
	multiply(d, e);
	divide(d, -e);
}

static unsigned digit(const struct decimal *d, int at)
{
	int i = at / 9;

	return i < d->first || i >= d->end ? 0 : d->limb[i] / POWER[8 - at % 9] % 10;
}

/* The position of the first digit that is not 0; of the one before the point, if all are. */
static int leading(const struct decimal *d)
{
	int i = d->first, at;

	while (i < d->end && d->limb[i] == 0)
		i++;
	if (i == d->end)
		return 9 * d->point - 1;
	at = 9 * i;
	while (digit(d, at) == 0)
		at++;
	return at;
}

/* The position behind the last digit that is not 0, at least `from`. */
static int trailing(const struct decimal *d, int from)
{
	int i = d->end, at;

	while (i > d->first && d->limb[i - 1] == 0)
		i--;
	for (at = 9 * i; at > from && digit(d, at - 1) == 0; at--)
		;
	return at > from ? at : from;
}

/* Whether a number of which digits from `at` on are dropped becomes greater. */
static bool rounds_up(const struct decimal *d, int at, bool minus)
{
	unsigned next = digit(d, at);
	bool rest = trailing(d, 0) > at + 1, exact = next == 0 && !rest;

	switch (fegetround()) {
	case FE_UPWARD:
		return !exact && !minus;
	case FE_DOWNWARD:
		return !exact && minus;
	case FE_TOWARDZERO:
		return false;
	}
	return next > 5 || (next == 5 && (rest || digit(d, at - 1) % 2));
}

/* Drops the digits from `at` on, at > 0. */
static void round_at(struct decimal *d, int at, bool minus)
{
	int i = at / 9, last = (at - 1) / 9;
	bool up;

	if (at >= 9 * d->end)
		return;
	up = rounds_up(d, at, minus);
	if (i < d->first)
		d->first = d->end = last;
	else {
		d->limb[i] -= d->limb[i] % POWER[9 - at % 9];
		d->end = i + 1;
	}
	if (!up)
		return;
	if (d->first > last || d->end <= last) {
		d->limb[last] = 0;
		d->end = d->end <= last ? last + 1 : d->end;
		d->first = last;
	}
	d->limb[last] += POWER[8 - (at - 1) % 9];
	for (; d->limb[last] >= BILLION; d->limb[last]++) {
		d->limb[last--] -= BILLION;
		if (last < d->first) {
			d->limb[last] = 0;
			d->first = last;
		}
	}
}

/* Digits [from, to). Behind the last limb there are zeros. */
static void digits(struct print *print, const struct decimal *d, int from, size_t count)
{
	char text[9];
	size_t have = 9 * d->end > from ? (size_t)(9 * d->end - from) : 0, part = 0;

	have = have < count ? have : count;
	for (size_t done = 0; done < have; done += part) {
		part = (size_t)(9 - from % 9) < have - done ? (size_t)(9 - from % 9) : have - done;
		for (size_t i = 0; i < part; i++)
			text[i] = (char)('0' + digit(d, from++));
		print_text(print, text, part);
	}
	print_fill(print, '0', count - have);
}

/* What stands behind the digits of %e and %a: the letter, a sign, and at least `least` digits. */
static int exponent_text(char *text, char letter, int exponent, int least)
{
	int magnitude = exponent < 0 ? -exponent : exponent, count = 2, rest = magnitude;
	char reversed[8];
	int n = 0;

	text[0] = letter;
	text[1] = exponent < 0 ? '-' : '+';
	for (; rest || n < least; rest /= 10)
		reversed[n++] = (char)('0' + rest % 10);
	while (n > 0)
		text[count++] = reversed[--n];
	return count;
}

struct style {
	const char *prefix;		/* the sign */
	bool minus, upper;
};

static void fixed(struct print *print, const struct print_spec *spec, const struct style *style, const struct decimal *d,
    size_t precision)
{
	int lead = leading(d), point = 9 * d->point;
	int from = lead < point ? lead : point - 1;
	bool dot = precision > 0 || (spec->flags & PRINT_ALTERNATE);
	size_t right = print_before(print, spec, style->prefix, (size_t)(point - from) + dot + precision);

	digits(print, d, from, (size_t)(point - from));
	print_text(print, ".", dot);
	digits(print, d, point, precision);
	print_fill(print, ' ', right);
}

static void scientific(struct print *print, const struct print_spec *spec, const struct style *style, const struct decimal *d,
    size_t precision)
{
	int lead = leading(d);
	char tail[12];
	int count = exponent_text(tail, style->upper ? 'E' : 'e', 9 * d->point - 1 - lead, 2);
	bool dot = precision > 0 || (spec->flags & PRINT_ALTERNATE);
	size_t right = print_before(print, spec, style->prefix, 1 + dot + precision + (size_t)count);

	digits(print, d, lead, 1);
	print_text(print, ".", dot);
	digits(print, d, lead + 1, precision);
	print_text(print, tail, (size_t)count);
	print_fill(print, ' ', right);
}

/* %g: the shorter of the two, without zeros at the end. */
static void general(struct print *print, const struct print_spec *spec, const struct style *style, struct decimal *d)
{
	int wanted = spec->precision < 0 ? 6 : spec->precision ? spec->precision : 1, most = 9 * LIMBS;
	int lead = leading(d), exponent, behind;

	round_at(d, wanted < most - lead ? lead + wanted : most, style->minus);
	lead = leading(d);
	exponent = 9 * d->point - 1 - lead;
	if (exponent < -4 || exponent >= wanted) {
		behind = spec->flags & PRINT_ALTERNATE ? wanted - 1 : trailing(d, lead + 1) - lead - 1;
		scientific(print, spec, style, d, (size_t)behind);
	} else {
		behind = trailing(d, 9 * d->point) - 9 * d->point;
		fixed(print, spec, style, d, spec->flags & PRINT_ALTERNATE ? (size_t)((long)wanted - 1 - exponent) : (size_t)behind);
	}
}

static void decimal(struct print *print, const struct print_spec *spec, const struct style *style, uint64_t m, int e)
{
	int kind = spec->conversion | 32, precision = spec->precision < 0 ? 6 : spec->precision, from;
	struct decimal d;

	expand(&d, m, e);
	if (kind == 'g') {
		general(print, spec, style, &d);
		return;
	}
	from = kind == 'f' ? 9 * d.point : leading(&d) + 1;
	if (precision < 9 * LIMBS - from)
		round_at(&d, from + precision, style->minus);
	if (kind == 'f')
		fixed(print, spec, style, &d, (size_t)precision);
	else
		scientific(print, spec, style, &d, (size_t)precision);
}

/* %a: m has its highest bit set, which is the digit before the point. */
static void hexadecimal(struct print *print, const struct print_spec *spec, const struct style *style, uint64_t m, int e)
{
	uint64_t fraction = m << 1, dropped, unit;
	const char *letters = style->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char head[8], text[20], tail[12];
	unsigned first = m != 0, have = fraction ? (unsigned)(67 - __builtin_ctzll(fraction)) / 4 : 0;
	size_t wanted = spec->precision < 0 ? have : (size_t)spec->precision, length, right;
	int count = exponent_text(tail, style->upper ? 'P' : 'p', m ? e + 63 : 0, 1), mode = fegetround();
	bool dot = wanted > 0 || (spec->flags & PRINT_ALTERNATE);

	if (wanted < have) {
		unit = wanted ? 1ull << (64 - 4 * wanted) : 0;
		dropped = wanted ? fraction & (unit - 1) : fraction;
		bool odd = wanted ? (fraction & unit) != 0 : first % 2;
		uint64_t half = wanted ? unit / 2 : 1ull << 63;
		bool up = mode == FE_TONEAREST ? dropped > half || (dropped == half && odd) :
		    mode == FE_UPWARD ? !style->minus : mode == FE_DOWNWARD && style->minus;
		fraction -= dropped;
		if (up && (!wanted || (fraction += unit) == 0))
			first++;
		have = (unsigned)wanted;
	}
	strcpy(head, style->prefix);
	strcat(head, style->upper ? "0X" : "0x");
	length = 1 + dot + wanted + (size_t)count;
	right = print_before(print, spec, head, length);
	text[0] = (char)('0' + first);
	text[1] = '.';
	for (unsigned i = 0; i < have; i++, fraction <<= 4)
		text[2 + i] = letters[fraction >> 60];
	print_text(print, text, 1 + dot + have);
	print_fill(print, '0', wanted - have);
	print_text(print, tail, (size_t)count);
	print_fill(print, ' ', right);
}

void print_float(struct print *print, const struct print_spec *spec, long double value)
{
	bool minus = __builtin_signbit(value);
	struct style style = {
		.prefix = minus ? "-" : spec->flags & PRINT_PLUS ? "+" : spec->flags & PRINT_SPACE ? " " : "",
		.minus = minus, .upper = !(spec->conversion & 32)
	};
	struct print_spec plain = *spec;
	uint64_t m;
	int e = 0;

	if (!__builtin_isfinite(value)) {
		const char *word = __builtin_isnan(value) ? (style.upper ? "NAN" : "nan") : style.upper ? "INF" : "inf";
		plain.flags &= ~(unsigned)PRINT_ZERO;
		size_t right = print_before(print, &plain, style.prefix, 3);
		print_text(print, word, 3);
		print_fill(print, ' ', right);
		return;
	}
	value = frexpl(minus ? -value : value, &e);
	m = (uint64_t)ldexpl(value, 64);
	if ((spec->conversion | 32) == 'a')
		hexadecimal(print, spec, &style, m, e - 64);
	else
		decimal(print, spec, &style, m, e - 64);
}
