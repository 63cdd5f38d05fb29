/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Patterns: fnmatch, and bracket expressions, which regex.c reads here, too. picolibc's fnmatch knows no classes and goes
 * by bytes; this one goes by characters of the locale. A byte that is no character is one by itself, above all others.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>
#include "libos/posix/libc/pattern.h"

#define CLASS_MOST	16	/* letters of the longest name of a class, and more */
#define NO_CHARACTER	0x110000	/* and the byte */

size_t posix_pattern_character(const char *at, const char *end, int *c)
{
	mbstate_t state = { 0 };
	wchar_t wide;
	size_t length;

	*c = (unsigned char)*at;
	if (*c < 0x80 || MB_CUR_MAX == 1)
		return 1;
	length = mbrtowc(&wide, at, (size_t)(end - at), &state);
	if (length == (size_t)-1 || length == (size_t)-2 || length == 0) {
		*c += NO_CHARACTER;
		return 1;
	}
	*c = (int)wide;
	return length;
}

/* One thing in a bracket expression: a character, or a class. */
struct term {
	int c;			/* -1: a class */
	wctype_t class;
	int error;		/* REG_EBRACK, REG_ECTYPE, REG_ECOLLATE */
};

/* [:name:], [.x.] or [=x=]; how many bytes. */
static size_t named(const char *at, const char *end, struct term *term)
{
	const char close[] = { at[1], ']', '\0' };
	char name[CLASS_MOST];
	const char *last = at + 2;
	size_t length;

	while (last + 1 < end && (last[0] != close[0] || last[1] != close[1]))
		last++;
	if (last + 1 >= end) {
		term->error = REG_EBRACK;
		return 0;
	}
	length = (size_t)(last - at) - 2;
	term->c = -1;
	if (at[1] == ':') {
		memcpy(name, at + 2, length < CLASS_MOST ? length : 0);
		name[length < CLASS_MOST ? length : 0] = '\0';
		term->class = wctype(name);
		term->error = term->class ? 0 : REG_ECTYPE;
	} else {
		term->error = length && posix_pattern_character(at + 2, last, &term->c) == length ? 0 : REG_ECOLLATE;
	}
	return length + 4;
}

static size_t term_at(const char *at, const char *end, bool escapes, struct term *term)
{
	*term = (struct term){ .c = 0 };
	if (*at == '[' && at + 1 < end && (at[1] == ':' || at[1] == '.' || at[1] == '='))
		return named(at, end, term);
	if (escapes && *at == '\\' && at + 1 < end)
		return 1 + posix_pattern_character(at + 1, end, &term->c);
	return posix_pattern_character(at, end, &term->c);
}

static int other_case(int c)
{
	return iswlower((wint_t)c) ? (int)towupper((wint_t)c) : (int)towlower((wint_t)c);
}

static bool equal(const struct bracket *bracket, int low, int high)
{
	int c = bracket->c, other = other_case(c);

	return (c >= low && c <= high) || (bracket->folds && other >= low && other <= high);
}

const char *posix_pattern_bracket(const char *at, const char *end, struct bracket *bracket)
{
	bool not = at < end && (*at == '^' || (bracket->bang && *at == '!'));
	struct term low, high;

	at += not;
	bracket->in = false;
	bracket->error = REG_EBRACK;
	for (const char *first = at; at < end && (*at != ']' || at == first);) {
		size_t bytes = term_at(at, end, bracket->escapes, &low);

		high = low;
		at += bytes;
		if (!low.error && at + 1 < end && *at == '-' && at[1] != ']' && low.c >= 0) {
			at += 1 + term_at(at + 1, end, bracket->escapes, &high);
			if (!high.error && (high.c < 0 || high.c < low.c))
				high.error = REG_ERANGE;
		}
		if (low.error || high.error) {
			bracket->error = low.error ? low.error : high.error;
			return NULL;
		}
		bracket->in |= low.c < 0 ? iswctype((wint_t)bracket->c, low.class) != 0 : equal(bracket, low.c, high.c);
	}
	bracket->in ^= not;
	return at < end ? at + 1 : NULL;
}

/* --- fnmatch ---------------------------------------------------------------------------------------------- */

struct match {
	const char *text;	/* all of it */
	int flags;
};

static bool same(int flags, int a, int b)
{
	return a == b || (flags & FNM_CASEFOLD && towlower((wint_t)a) == towlower((wint_t)b));
}

/* A period at the beginning of a name that only a period matches. */
static bool hidden(const struct match *match, const char *at)
{
	return *at == '.' && match->flags & FNM_PERIOD &&
	    (at == match->text || (match->flags & FNM_PATHNAME && at[-1] == '/'));
}

/* One character of the text, `c`, against what is at `*pattern`, which is no star. */
static bool one(const struct match *match, const char **pattern, const char *text, int c)
{
	const char *at = *pattern, *behind;
	int wanted;
	bool slash = *text == '/' && match->flags & FNM_PATHNAME;

	*pattern = at + 1;
	if (*at == '?')
		return !slash && !hidden(match, text);
	if (*at == '[') {
		struct bracket bracket = { !(match->flags & FNM_NOESCAPE), match->flags & FNM_CASEFOLD, true,
			c, false, 0 };
		behind = posix_pattern_bracket(at + 1, at + strlen(at), &bracket);
		if (behind) {
			*pattern = behind;
			return bracket.in && !slash && !hidden(match, text);
		}
		if (bracket.error != REG_EBRACK)
			return false;
	}
	at += *at == '\\' && !(match->flags & FNM_NOESCAPE);
	*pattern = at + (*at ? posix_pattern_character(at, at + strlen(at), &wanted) : 1);
	return *at && same(match->flags, wanted, c);
}

/* The last star takes more when the rest does not match; an earlier one need not, within a name. */
static bool matches(const struct match *match, const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text || *pattern == '*') {
		const char *next = pattern;
		size_t length;
		int c;

		if (*pattern == '*') {
			if (hidden(match, text))
				return false;
			star = ++pattern;
			from = text;
			continue;
		}
		length = posix_pattern_character(text, text + strlen(text), &c);
		if (*pattern && one(match, &next, text, c)) {
			if (*text == '/' && match->flags & FNM_PATHNAME)
				star = NULL;
			pattern = next;
			text += length;
			continue;
		}
		if (!*pattern && *text == '/' && match->flags & FNM_LEADING_DIR)
			return true;
		if (!star || (*from == '/' && match->flags & FNM_PATHNAME))
			return false;
		pattern = star;
		from += posix_pattern_character(from, from + strlen(from), &c);
		text = from;
	}
	return !*pattern;
}

int fnmatch(const char *pattern, const char *text, int flags)
{
	struct match match = { text, flags };

	return matches(&match, pattern, text) ? 0 : FNM_NOMATCH;
}
