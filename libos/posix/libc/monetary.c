/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strfmon (POSIX.1-2017). The locales that there are have no currency, so amounts are numbers: two digits behind the point
 * unless the conversion says otherwise, no grouping, a minus sign before what is negative, or parentheses.
 */
#include <errno.h>
#include <monetary.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WIDEST		256	/* digits before the point and behind it */
#define DBL_ROOM	320	/* the digits of the largest double, its sign and point */

struct amount {
	bool parentheses, to_left;
	char fill;
	int width, left, right;		/* left: -1, not said */
};

/* A number of digits; -1: more than there may be. */
static int digits(const char **at)
{
	int value = 0;

	for (; **at >= '0' && **at <= '9'; ++*at)
		if (value >= 0)
			value = value > INT_MAX / 10 - 1 ? -1 : 10 * value + (**at - '0');
	return value;
}

/* Behind a %: as far as the conversion's letter; NULL: it is none. */
static const char *parse(const char *at, struct amount *how)
{
	*how = (struct amount){ .fill = ' ', .left = -1, .right = 2 };
	for (;; at++) {
		if (*at == '=' && at[1])
			how->fill = *++at;
		else if (*at == '(')
			how->parentheses = true;
		else if (*at == '-')
			how->to_left = true;
		else if (!*at || !strchr("^+!", *at))
			break;
	}
	how->width = digits(&at);
	if (*at == '#') {
		at++;
		how->left = digits(&at);
		if (how->left < 0)
			return NULL;
	}
	if (*at == '.') {
		at++;
		how->right = digits(&at);
	}
	if (how->width < 0 || how->left > WIDEST || how->right < 0 || how->right > WIDEST)
		return NULL;
	return *at == 'n' || *at == 'i' ? at : NULL;
}

/* The number with its sign, without the field around it; its length, or -1. */
static int format(char *out, size_t room, const struct amount *how, double value)
{
	bool negative = __builtin_signbit(value) != 0;
	char number[DBL_ROOM + WIDEST], fill[WIDEST + 1];
	int before, missing, length = snprintf(number, sizeof(number), "%.*f", how->right, negative ? -value : value);

	if (length < 0 || length >= (int)sizeof(number))
		return -1;
	before = (int)strcspn(number, ".");
	missing = how->left > before ? how->left - before : 0;
	memset(fill, how->fill, (size_t)missing);
	fill[missing] = '\0';
	if (how->parentheses)
		return snprintf(out, room, "%s%s%s%s", negative ? "(" : how->left >= 0 ? " " : "", fill, number,
		    negative ? ")" : how->left >= 0 ? " " : "");
	return snprintf(out, room, "%s%s%s", negative ? "-" : how->left >= 0 ? " " : "", fill, number);
}

static ssize_t too_big(void)
{
	errno = E2BIG;
	return -1;
}

static ssize_t format_all(char *out, size_t room, const char *at, va_list *list)
{
	char text[DBL_ROOM + 2 * WIDEST + 4];
	struct amount how;
	size_t count = 0;

	for (; *at; at++) {
		int length, pad;

		if (*at != '%' || at[1] == '%') {
			at += *at == '%';
			if (count + 1 >= room)
				return too_big();
			out[count++] = *at;
			continue;
		}
		at = parse(at + 1, &how);
		length = at ? format(text, sizeof(text), &how, va_arg(*list, double)) : -1;
		if (length < 0) {
			errno = EINVAL;
			return -1;
		}
		pad = how.width > length ? how.width - length : 0;
		if ((size_t)length + (size_t)pad >= room - count)
			return too_big();
		count += (size_t)sprintf(out + count, "%*s", how.to_left ? -(length + pad) : length + pad, text);
	}
	if (count >= room)
		return too_big();
	out[count] = '\0';
	return (ssize_t)count;
}

ssize_t strfmon(char *restrict out, size_t room, const char *restrict text, ...)
{
	va_list list;
	ssize_t count;

	va_start(list, text);
	count = format_all(out, room, text, &list);
	va_end(list);
	return count;
}

ssize_t strfmon_l(char *restrict out, size_t room, locale_t locale, const char *restrict text, ...)
{
	va_list list;
	ssize_t count;

	(void)locale;
	va_start(list, text);
	count = format_all(out, room, text, &list);
	va_end(list);
	return count;
}
