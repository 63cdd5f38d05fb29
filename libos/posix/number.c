/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strtod and its kin: what picolibc's do not read as C says. "0x" without a digit behind it is the number 0 and ends
 * before the x, "inf" need not go on to "infinity", and "nan(" without its end is "nan".
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>

double posix_libc_strtod(const char *restrict text, char **restrict end);
float posix_libc_strtof(const char *restrict text, char **restrict end);
long double posix_libc_strtold(const char *restrict text, char **restrict end);

struct word {
	bool nan, minus;
	const char *end;	/* NULL: it is none of these */
	double value;
};

static struct word word_at(const char *text)
{
	struct word word = { .end = NULL };
	const char *at = text;

	while (isspace((unsigned char)*at))
		at++;
	word.minus = *at == '-';
	at += *at == '-' || *at == '+';
	if (at[0] == '0' && (at[1] | 32) == 'x' && !isxdigit((unsigned char)at[2]) &&
	    !(at[2] == '.' && isxdigit((unsigned char)at[3]))) {
		word.end = at + 1;
	} else if (strncasecmp(at, "inf", 3) == 0) {
		word.value = HUGE_VAL;
		word.end = at + (strncasecmp(at, "infinity", 8) == 0 ? 8 : 3);
	} else if (strncasecmp(at, "nan", 3) == 0) {
		const char *tail = at + 3;
		word.nan = true;
		do
			tail++;
		while (at[3] == '(' && (isalnum((unsigned char)*tail) || *tail == '_'));
		word.end = at[3] == '(' && *tail == ')' ? tail + 1 : at + 3;
	}
	return word;
}

#define NUMBER(type, name, other, not_a_number)						\
type name(const char *restrict text, char **restrict end)					\
{												\
	struct word word = word_at(text);							\
	type value;										\
												\
	if (!word.end)										\
		return other(text, end);										\
	if (end)										\
		*end = (char *)word.end;							\
	value = word.nan ? not_a_number("") : (type)word.value;					\
	return word.minus ? -value : value;							\
}

NUMBER(double, strtod, posix_libc_strtod, nan)
NUMBER(float, strtof, posix_libc_strtof, nanf)
NUMBER(long double, strtold, posix_libc_strtold, nanl)

double atof(const char *text)
{
	return strtod(text, NULL);
}
