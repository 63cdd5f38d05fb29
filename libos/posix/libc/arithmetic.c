/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shell's arithmetic (POSIX.1-2017, Shell & Utilities 2.6.4), without assignments: C's integer expressions in
 * `long`, which overflow by wrapping. Parsed by precedence as it is computed; `live` is false where a value is not
 * wanted (the other side of && || ?:), so that dividing by zero there is no error.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/posix/libc/wordexp.h"

#define DEPTH	64

struct parser {
	const char *at;
	int depth;
	bool bad;
};

static const struct operator {
	char text[3];
	int rank;		/* higher binds closer */
} operators[] = {
	{ "||", 1 }, { "&&", 2 }, { "==", 6 }, { "!=", 6 }, { "<<", 8 }, { ">>", 8 }, { "<=", 7 }, { ">=", 7 },
	{ "|", 3 }, { "^", 4 }, { "&", 5 }, { "<", 7 }, { ">", 7 }, { "+", 9 }, { "-", 9 }, { "*", 10 }, { "/", 10 },
	{ "%", 10 },
};

static long conditional(struct parser *p, bool live);

static void spaces(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

static long wrong(struct parser *p)
{
	p->bad = true;
	return 0;
}

static long number(struct parser *p, const char *text, char **end)
{
	long value;

	errno = 0;
	value = strtol(text, end, 0);
	if (*end == text || errno == ERANGE)
		return wrong(p);
	return value;
}

static long variable(struct parser *p)
{
	const char *name = p->at, *value;
	char copy[256], *end;
	long is;

	while (isalnum((unsigned char)*p->at) || *p->at == '_')
		p->at++;
	if (p->at - name >= (long)sizeof(copy))
		return wrong(p);
	snprintf(copy, sizeof(copy), "%.*s", (int)(p->at - name), name);
	value = getenv(copy);
	if (!value || !*value)
		return 0;
	is = number(p, value, &end);
	while (isspace((unsigned char)*end))
		end++;
	return *end ? wrong(p) : is;
}

static long unary(struct parser *p, bool live)
{
	char sign, *end;
	long value;

	spaces(p);
	if (++p->depth > DEPTH)
		return wrong(p);
	sign = *p->at;
	if (sign == '(') {
		p->at++;
		value = conditional(p, live);
		spaces(p);
		if (*p->at != ')')
			return wrong(p);
		p->at++;
	} else if (sign && strchr("+-!~", sign)) {
		p->at++;
		value = unary(p, live);
		value = sign == '-' ? (long)-(unsigned long)value : sign == '!' ? !value : sign == '~' ? ~value : value;
	} else if (isdigit((unsigned char)sign)) {
		value = number(p, p->at, &end);
		p->at = end;
		if (isalnum((unsigned char)*end) || *end == '_')
			return wrong(p);
	} else if (isalpha((unsigned char)sign) || sign == '_') {
		value = variable(p);
	} else
		return wrong(p);
	p->depth--;
	return value;
}

static long divide(struct parser *p, long a, long b, bool rest, bool live)
{
	if (!live)
		return 0;
	if (!b || (a == LONG_MIN && b == -1))
		return b ? (rest ? 0 : a) : wrong(p);
	return rest ? a % b : a / b;
}

static long apply(struct parser *p, const char *sign, long a, long b, bool live)
{
	switch (sign[0]) {
	case '|':
		return sign[1] ? a || b : a | b;
	case '&':
		return sign[1] ? a && b : (a & b);
	case '=':
		return a == b;
	case '!':
		return a != b;
	case '<':
		return sign[1] == '<' ? (long)((unsigned long)a << (b & 63)) : sign[1] ? a <= b : a < b;
	case '>':
		return sign[1] == '>' ? a >> (b & 63) : sign[1] ? a >= b : a > b;
	case '^':
		return a ^ b;
	case '+':
		return (long)((unsigned long)a + (unsigned long)b);
	case '-':
		return (long)((unsigned long)a - (unsigned long)b);
	case '*':
		return (long)((unsigned long)a * (unsigned long)b);
	default:
		return divide(p, a, b, sign[0] == '%', live);
	}
}

/* The operator at this place, NULL: none of two sides. One with = behind it is an assignment. */
static const struct operator *operator_at(struct parser *p)
{
	spaces(p);
	for (unsigned i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t bytes = strlen(operators[i].text);

		if (strncmp(p->at, operators[i].text, bytes))
			continue;
		if (p->at[bytes] == '=' && !strchr("=!", operators[i].text[0]) && operators[i].text[1] != '=')
			return NULL;
		return &operators[i];
	}
	return NULL;
}

static long binary(struct parser *p, int rank, bool live)
{
	long left = unary(p, live), right;
	const struct operator *sign;

	while (!p->bad && (sign = operator_at(p)) != NULL && sign->rank >= rank) {
		bool wanted = live && (sign->rank > 2 || (sign->rank == 2) == (left != 0));

		p->at += strlen(sign->text);
		right = binary(p, sign->rank + 1, wanted);
		if (p->bad)
			break;
		left = apply(p, sign->text, left, right, live);
	}
	return left;
}

static long conditional(struct parser *p, bool live)
{
	long condition = binary(p, 1, live), yes, no;

	spaces(p);
	if (p->bad || *p->at != '?')
		return condition;
	if (++p->depth > DEPTH)
		return wrong(p);
	p->at++;
	yes = conditional(p, live && condition);
	spaces(p);
	if (p->bad || *p->at != ':')
		return wrong(p);
	p->at++;
	no = conditional(p, live && !condition);
	p->depth--;
	return condition ? yes : no;
}

bool wordexp_arithmetic(const char *text, long *value)
{
	struct parser p = { .at = text };

	*value = conditional(&p, true);
	spaces(&p);
	return !p.bad && !*p.at;
}
