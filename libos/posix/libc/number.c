/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strtod and its kin: correctly rounded, in every mode of rounding, for every length of text. picolibc's are not for long
 * double, and read "0x", "nan(" and "inf" differently from what C says.
 *
 * Up to 19 digits and a small exponent are one multiplication or division of exact long doubles, the result of which is
 * right unless it lies on a boundary of the narrower type. Everything else is made as a decimal number in limbs of nine
 * digits, and is doubled or halved until its whole part has 64 bits: these and how what is left compares with one half
 * say what the number is. Exponents are bounded before, so the work is too: some 10^6 steps at worst.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>
#include <wctype.h>

#define BILLION	1000000000u
#define LIMBS	2600
#define POINT	560		/* the limb before which the point stands: 10^4940 and more has room before it */
#define DIGITS	11700		/* that are looked at; of the others only whether they are 0 */

struct type {
	int bits, least, most;	/* of the mantissa; exponents of the least normal number and of the greatest */
};

static const struct type FLOAT = { 24, -126, 127 }, DOUBLE = { 53, -1022, 1023 }, LONG_DOUBLE = { 64, -16382, 16383 };

/* What lies below the last bit: nothing, less than a half of its unit, a half, more. */
enum below { NOTHING, LESS, HALF, MORE };

static bool rounds_up(enum below below, bool odd, bool minus)
{
	switch (fegetround()) {
	case FE_UPWARD:
		return below != NOTHING && !minus;
	case FE_DOWNWARD:
		return below != NOTHING && minus;
	case FE_TOWARDZERO:
		return false;
	}
	return below == MORE || (below == HALF && odd);
}

/* m * 2^e, and what is below m's last bit, as a number of a type. The highest bit of m is set. */
static long double rounded(uint64_t m, int e, enum below below, const struct type *type, bool minus)
{
	int lead = e + 63, bits = lead < type->least ? type->bits - (type->least - lead) : type->bits;
	int drop = bits < 0 ? 65 : 64 - bits;
	uint64_t kept = drop > 63 ? 0 : m >> drop, rest = drop > 63 ? m : m & ((1ull << drop) - 1);

	if (drop > 64)
		below = LESS;
	else if (drop > 0 && rest != 1ull << (drop - 1))
		below = rest > 1ull << (drop - 1) ? MORE : rest || below != NOTHING ? LESS : NOTHING;
	else if (drop > 0)
		below = below == NOTHING ? HALF : MORE;
	e = drop > 64 ? type->least - type->bits + 1 : e + drop;
	if (rounds_up(below, kept & 1, minus) && ++kept == 0) {
		kept = 1ull << 63;
		e++;
	}
	if (kept && e + 63 - __builtin_clzll(kept) > type->most) {
		errno = ERANGE;
		return rounds_up(MORE, true, minus) ? HUGE_VALL :
		    ldexpl((long double)(~0ull << (64 - type->bits)), type->most - 63);
	}
	if (lead < type->least && below != NOTHING)
		errno = ERANGE;
	return ldexpl((long double)kept, e);
}

/* --- decimal -------------------------------------------------------------------------------------------- */

struct decimal {
	int first, end;		/* limbs that may be other than 0 */
	bool more;		/* there was more behind the last */
	uint32_t limb[LIMBS];
};

static const uint32_t POWER[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000 };

static void multiply(struct decimal *d, int bits)
{
	uint64_t carry = 0;

	for (int i = d->end - 1; i >= d->first; i--) {
		carry += (uint64_t)d->limb[i] << bits;
		d->limb[i] = (uint32_t)(carry % BILLION);
		carry /= BILLION;
	}
	if (carry)
		d->limb[--d->first] = (uint32_t)carry;
	while (d->end > d->first && d->limb[d->end - 1] == 0)
		d->end--;
}

static void divide(struct decimal *d, int bits)
{
	uint32_t carry = 0, mask = (1u << bits) - 1;

	for (int i = d->first; i < d->end; i++) {
		uint32_t limb = d->limb[i];
		d->limb[i] = (limb >> bits) + carry;
		carry = (limb & mask) * (BILLION >> bits);
	}
	if (carry && d->end < LIMBS)
		d->limb[d->end++] = carry;
	else if (carry)
		d->more = true;
	while (d->limb[d->first] == 0)
		d->first++;
}

static int length(unsigned __int128 value)
{
	return value >> 64 ? 128 - __builtin_clzll((uint64_t)(value >> 64)) :
	    value ? 64 - __builtin_clzll((uint64_t)value) : 0;
}

/* Makes the whole part one of 64 bits: returns it, and the exponent. */
static uint64_t scale(struct decimal *d, int *exponent)
{
	unsigned __int128 whole;
	int bits, part;

	for (;;) {
		whole = 0;
		for (int i = d->first; i < POINT && i < d->first + 4; i++)
			whole = whole * BILLION + (i < d->end ? d->limb[i] : 0);
		bits = POINT - d->first > 3 ? 128 : length(whole);
		if (bits == 64)
			return (uint64_t)whole;
		part = bits > 64 ? bits - 64 : 64 - bits;
		if (bits > 64) {
			part = part < 9 ? part : 9;
			for (; d->end < POINT; d->end++)
				d->limb[d->end] = 0;
			divide(d, part);
			*exponent += part;
		} else {
			part = part < 29 ? part : 29;
			for (; d->end < POINT; d->end++)
				d->limb[d->end] = 0;
			multiply(d, part);
			*exponent -= part;
		}
	}
}

static enum below behind(const struct decimal *d)
{
	uint32_t next = d->first <= POINT && POINT < d->end ? d->limb[POINT] : 0;
	bool rest = d->more;

	for (int i = POINT + 1; i < d->end && !rest; i++)
		rest = i >= d->first && d->limb[i] != 0;
	if (next == BILLION / 2)
		return rest ? MORE : HALF;
	return next > BILLION / 2 ? MORE : next || rest ? LESS : NOTHING;
}

/* A number as text has it: where its digits stand, how many count, and what the first one's power of ten is. */
struct text {
	const char *digits;		/* the first that is not 0; NULL: there is none */
	int count, exponent;
	uint64_t value;			/* of the first 19 */
};

static long double slowly(const struct text *text, const struct type *type, bool minus)
{
	struct decimal d;
	int at = 9 * POINT - 1 - text->exponent, exponent = 0;
	const char *from = text->digits;
	uint64_t m;

	d.more = false;
	d.first = d.end = at / 9;
	for (int i = 0; i < text->count; from++) {
		if (*from == '.')
			continue;
		if (i < DIGITS) {
			if (at / 9 >= d.end)
				d.limb[d.end++] = 0;
			d.limb[at / 9] += (uint32_t)(*from - '0') * POWER[8 - at % 9];
			at++;
		} else {
			d.more |= *from != '0';
		}
		i++;
	}
	m = scale(&d, &exponent);
	return rounded(m, exponent, behind(&d), type, minus);
}

static long double decimal_value(const struct text *text, const struct type *type, bool minus)
{
	static const long double tens[] = { 1e0L, 1e1L, 1e2L, 1e3L, 1e4L, 1e5L, 1e6L, 1e7L, 1e8L, 1e9L, 1e10L, 1e11L, 1e12L,
	    1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L };
	int power = text->exponent - text->count + 1, drop = 64 - type->bits, e;
	long double value;
	uint64_t m;

	if (!text->digits)
		return 0;
	if (text->exponent > 4940 || text->exponent < -4960)
		return rounded(1ull << 63, text->exponent > 0 ? 20000 : -20000, LESS, type, minus);
	if (text->count <= 19 && power >= -27 && power <= 27 && fegetround() == FE_TONEAREST) {
		value = power < 0 ? (long double)text->value / tens[-power] : (long double)text->value * tens[power];
		m = (uint64_t)ldexpl(frexpl(value, &e), 64);
		if (drop == 0)
			return value;
		if ((m & ((1ull << drop) - 1)) != 1ull << (drop - 1) && e > type->least && e < type->most)
			return rounded(m, e - 64, NOTHING, type, minus);
	}
	return slowly(text, type, minus);
}

/* The exponent behind a letter, if there is one, bounded beyond any count of digits; `at` goes behind it. */
static long long exponent_at(const char **at, char letter)
{
	const char *next = *at + 1;
	bool minus;
	long long value = 0;

	if ((**at | 32) != letter)
		return 0;
	minus = *next == '-';
	next += *next == '-' || *next == '+';
	if (!isdigit((unsigned char)*next))
		return 0;
	for (; isdigit((unsigned char)*next); next++)
		value = value < 100000000000000000 ? value * 10 + (*next - '0') : value;
	*at = next;
	return minus ? -value : value;
}

static long double decimal_at(const char *at, const char **end, const struct type *type, bool minus)
{
	struct text text = { .digits = NULL };
	bool point = false, any = false;
	long long lead = 0;

	*end = NULL;
	for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		any = true;
		if (*at != '0' && !text.digits)
			text.digits = at;
		if (text.digits && text.count < 19)
			text.value = text.value * 10 + (uint64_t)(*at - '0');
		text.count += text.digits != NULL;
		lead += text.digits ? !point : -point;
	}
	if (!any)
		return 0;
	lead += exponent_at(&at, 'e') - 1;
	text.exponent = (int)(lead > 100000 ? 100000 : lead < -100000 ? -100000 : lead);
	*end = at;
	return decimal_value(&text, type, minus);
}

/* --- hexadecimal, words --------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

static long double hexadecimal_at(const char *at, const char **end, const struct type *type, bool minus)
{
	unsigned __int128 value = 0;
	bool point = false, more = false;
	long long exponent = 0;
	uint64_t low;
	int shift;

	for (; hex_digit(*at) >= 0 || (*at == '.' && !point); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		if (value >> 120) {
			more |= *at != '0';
			exponent += 4 * !point;
		} else {
			value = value << 4 | (unsigned)hex_digit(*at);
			exponent -= 4 * point;
		}
	}
	exponent += exponent_at(&at, 'p');
	*end = at;
	if (value == 0)
		return 0;
	shift = 128 - length(value);
	value <<= shift;
	exponent += 64 - shift;
	exponent = exponent > 20000 ? 20000 : exponent < -20000 ? -20000 : exponent;
	low = (uint64_t)value;
	return rounded((uint64_t)(value >> 64), (int)exponent, low > 1ull << 63 || (low == 1ull << 63 && more) ? MORE :
	    low == 1ull << 63 ? HALF : low || more ? LESS : NOTHING, type, minus);
}

static long double word_at(const char *at, const char **end)
{
	const char *tail = at + 3;

	*end = NULL;
	if (strncasecmp(at, "inf", 3) == 0) {
		*end = at + (strncasecmp(at, "infinity", 8) == 0 ? 8 : 3);
		return HUGE_VALL;
	}
	if (strncasecmp(at, "nan", 3) == 0) {
		do
			tail++;
		while (at[3] == '(' && (isalnum((unsigned char)*tail) || *tail == '_'));
		*end = at[3] == '(' && *tail == ')' ? tail + 1 : at + 3;
		return nanl("");
	}
	return 0;
}

static long double number(const char *text, char **end, const struct type *type)
{
	const char *at = text, *to;
	bool minus;
	long double value;

	while (isspace((unsigned char)*at))
		at++;
	minus = *at == '-';
	at += *at == '-' || *at == '+';
	if (at[0] == '0' && (at[1] | 32) == 'x' && hex_digit(at[at[2] == '.' ? 3 : 2]) >= 0)
		value = hexadecimal_at(at + 2, &to, type, minus);
	else if ((*at | 32) == 'i' || (*at | 32) == 'n')
		value = word_at(at, &to);
	else
		value = decimal_at(at, &to, type, minus);
	if (end)
		*end = (char *)(to ? to : text);
	return minus && to ? -value : value;
}

/* --- what programs call --------------------------------------------------------------------------------- */

/* The same of a wide text: what can be part of a number is ASCII. */
static long double wide_number(const wchar_t *text, wchar_t **end, const struct type *type)
{
	const wchar_t *from = text;
	char some[128], *copy = some, *to;
	size_t count = 0;
	long double value;

	while (iswspace((wint_t)*from))
		from++;
	while (from[count] > 0 && from[count] < 128 && (isalnum((int)from[count]) || strchr("+-.()_", (int)from[count])))
		count++;
	if (count >= sizeof(some) && !(copy = malloc(count + 1))) {
		if (end)
			*end = (wchar_t *)text;
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		copy[i] = (char)from[i];
	copy[count] = '\0';
	value = number(copy, &to, type);
	if (end)
		*end = (wchar_t *)(to == copy ? text : from + (to - copy));
	if (copy != some)
		free(copy);
	return value;
}

#define NUMBER(type, kind, name, wide)								\
type name(const char *restrict text, char **restrict end)					\
{												\
	return (type)number(text, end, &kind);							\
}												\
type name##_l(const char *restrict text, char **restrict end, locale_t locale)			\
{												\
	(void)locale;										\
	return (type)number(text, end, &kind);							\
}												\
type wide(const wchar_t *restrict text, wchar_t **restrict end)					\
{												\
	return (type)wide_number(text, end, &kind);						\
}												\
type wide##_l(const wchar_t *restrict text, wchar_t **restrict end, locale_t locale)		\
{												\
	(void)locale;										\
	return (type)wide_number(text, end, &kind);						\
}

NUMBER(double, DOUBLE, strtod, wcstod)
NUMBER(float, FLOAT, strtof, wcstof)
NUMBER(long double, LONG_DOUBLE, strtold, wcstold)

double atof(const char *text)
{
	return strtod(text, NULL);
}
