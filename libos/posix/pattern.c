/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Patterns: fnmatch, and what stands before picolibc's regcomp. A bracket expression is read here for both. picolibc's
 * fnmatch knows no classes; its regcomp does not survive a bracket expression that is wrong, or that begins with a range
 * from ], so it gets a list of characters instead of each, and words' ends in its own way.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#define CLASS_MOST	16	/* letters of the longest name of a class, and more */
#define LIST_MOST	260	/* characters in what stands for a bracket expression */

int posix_libc_regcomp(regex_t *regex, const char *pattern, int flags);

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
		term->c = (unsigned char)at[2];
		term->error = length == 1 ? 0 : REG_ECOLLATE;
	}
	return length + 4;
}

static size_t term_at(const char *at, const char *end, bool escapes, struct term *term)
{
	*term = (struct term){ .c = (unsigned char)*at };
	if (*at == '[' && at + 1 < end && (at[1] == ':' || at[1] == '.' || at[1] == '='))
		return named(at, end, term);
	if (escapes && *at == '\\' && at + 1 < end) {
		term->c = (unsigned char)at[1];
		return 2;
	}
	return 1;
}

struct bracket {
	bool escapes, folds, bang;	/* \ quotes; case does not matter; ! is as ^ */
	int c;				/* is it in there? */
	bool in;
	int error;
};

static bool equal(const struct bracket *bracket, int low, int high)
{
	int c = bracket->c, other = islower(c) ? toupper(c) : tolower(c);

	return (c >= low && c <= high) || (bracket->folds && other >= low && other <= high);
}

/* From behind the [ to behind the ]; NULL: it is wrong. */
static const char *bracket_read(const char *at, const char *end, struct bracket *bracket)
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

/* The characters that an expression names, or those that it does not (after ^), as picolibc reads a list. */
static char *list_put(char *to, const char *at, const char *end)
{
	struct bracket bracket = { .c = 0 };
	bool not = *at == '^', has[256];
	int count = 0;

	for (int c = 1; c < 256; c++) {
		bracket.c = c;
		(void)bracket_read(at, end, &bracket);
		has[c] = bracket.in != not;
		count += has[c];
	}
	if (count == 1 && has['^'] && !not) {
		*to++ = '\\';
		*to++ = '^';
		return to;
	}
	*to++ = '[';
	if (not)
		*to++ = '^';
	if (has[']'])
		*to++ = ']';
	for (int c = 1; c < 256; c++)
		if (has[c] && c != ']' && c != '^' && c != '-')
			*to++ = (char)c;
	if (has['^'])
		*to++ = '^';
	if (has['-'])
		*to++ = '-';
	*to++ = ']';
	return to;
}

/* Into memory that has room; the error, or 0. */
static int pattern_put(char *to, const char *at, const char *end)
{
	struct bracket bracket = { .c = 'x' };

	while (at < end) {
		const char *from = at;
		bool words = end - at >= 7 && (!memcmp(at, "[[:<:]]", 7) || !memcmp(at, "[[:>:]]", 7));

		if (*at == '[' && !words) {
			at = bracket_read(at + 1, end, &bracket);
			if (!at)
				return bracket.error;
			to = list_put(to, from + 1, end);
			continue;
		}
		if (*at == '\\' && at + 1 < end && (at[1] == '<' || at[1] == '>')) {
			memcpy(to, at[1] == '<' ? "[[:<:]]" : "[[:>:]]", 7);
			to += 7;
			at += 2;
			continue;
		}
		at += words ? 7 : *at == '\\' && at + 1 < end ? 2 : 1;
		memcpy(to, from, (size_t)(at - from));
		to += at - from;
	}
	*to = '\0';
	return 0;
}

int regcomp(regex_t *regex, const char *pattern, int flags)
{
	size_t length = flags & REG_PEND ? (size_t)(regex->re_endp - pattern) : strlen(pattern), room = length + 1;
	char *lists;
	int error;

	for (size_t i = 0; i < length; i++)
		room += pattern[i] == '[' ? LIST_MOST : pattern[i] == '\\' ? sizeof("[[:<:]]") : 0;
	if (flags & REG_NOSPEC || room == length + 1 || memchr(pattern, '\0', length))
		return posix_libc_regcomp(regex, pattern, flags);
	lists = malloc(room);
	if (!lists)
		return REG_ESPACE;
	error = pattern_put(lists, pattern, pattern + length);
	if (!error)
		error = posix_libc_regcomp(regex, lists, flags & ~REG_PEND);
	free(lists);
	return error;
}

/* --- fnmatch ---------------------------------------------------------------------------------------------- */

struct match {
	const char *text;	/* all of it */
	int flags;
};

static bool same(int flags, unsigned char a, unsigned char b)
{
	return a == b || (flags & FNM_CASEFOLD && tolower(a) == tolower(b));
}

/* A period at the beginning of a name that only a period matches. */
static bool hidden(const struct match *match, const char *at)
{
	return *at == '.' && match->flags & FNM_PERIOD &&
	    (at == match->text || (match->flags & FNM_PATHNAME && at[-1] == '/'));
}

/* One character of the text against what is at `*pattern`, which is no star. */
static bool one(const struct match *match, const char **pattern, const char *text)
{
	const char *at = *pattern, *behind;
	bool slash = *text == '/' && match->flags & FNM_PATHNAME;

	*pattern = at + 1;
	if (*at == '?')
		return !slash && !hidden(match, text);
	if (*at == '[') {
		struct bracket bracket = { !(match->flags & FNM_NOESCAPE), match->flags & FNM_CASEFOLD, true,
			(unsigned char)*text, false, 0 };
		behind = bracket_read(at + 1, at + strlen(at), &bracket);
		if (behind) {
			*pattern = behind;
			return bracket.in && !slash && !hidden(match, text);
		}
		if (bracket.error != REG_EBRACK)
			return false;
	}
	if (*at == '\\' && !(match->flags & FNM_NOESCAPE)) {
		*pattern = at + 2;
		at++;
	}
	return *at && same(match->flags, (unsigned char)*at, (unsigned char)*text);
}

/* The last star takes more when the rest does not match; an earlier one need not, within a name. */
static bool matches(const struct match *match, const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text || *pattern == '*') {
		const char *next = pattern;

		if (*pattern == '*') {
			if (hidden(match, text))
				return false;
			star = ++pattern;
			from = text;
			continue;
		}
		if (*pattern && one(match, &next, text)) {
			if (*text == '/' && match->flags & FNM_PATHNAME)
				star = NULL;
			pattern = next;
			text++;
			continue;
		}
		if (!*pattern && *text == '/' && match->flags & FNM_LEADING_DIR)
			return true;
		if (!star || (*from == '/' && match->flags & FNM_PATHNAME))
			return false;
		pattern = star;
		text = ++from;
	}
	return !*pattern;
}

int fnmatch(const char *pattern, const char *text, int flags)
{
	struct match match = { text, flags };

	return matches(&match, pattern, text) ? 0 : FNM_NOMATCH;
}
