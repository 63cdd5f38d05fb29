/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regular expressions as programs of GNU systems write them, for picolibc's regcomp, which has POSIX' and no more:
 *
 *     \| \+ \?         in basic expressions: one of several, repeated, or not there
 *     \w \W \s \S \b   a character of a word, or none; white space, or none; either end of a word
 *     nothing          as a whole expression, or as one of several: it matches the empty string
 *
 * A basic expression with \| becomes an extended one, unless it has references back, which only basic ones have here: then
 * \| stays the character that it was. What is empty becomes (), and \b a group of both ends: such groups are noted, and
 * regexec leaves them out. POSIX leaves all of this undefined.
 *
 * The last of several gets a () too: picolibc's matcher drops the earliest beginning of a match when what it has read led
 * nowhere but to places where it was at first, and so found (c*|a)b in ab at b.
 */
#include <regex.h>
#include <stdbool.h>
#include <string.h>
#include "libos/posix/libc/pattern.h"
#include "libos/posix/libc/regex_extend.h"

struct extending {
	char *to;
	const char *end;
	bool basic, converts;	/* basic: the pattern is; converts: to an extended one */
	bool begins;		/* nothing is there since the (, | or beginning */
	bool anchored;		/* only a ^ */
	int depth, groups, added;
	uint64_t chosen;	/* a bit for each depth: there was a | */
	uint64_t ours;
};

static void put(struct extending *x, const char *text)
{
	size_t length = strlen(text);

	memcpy(x->to, text, length);
	x->to += length;
	x->begins = x->anchored = false;
}

static void put_byte(struct extending *x, char quote, char c)
{
	if (quote)
		*x->to++ = quote;
	*x->to++ = c;
	x->begins = x->anchored = false;
}

static void put_ours(struct extending *x, const char *group)
{
	if (x->groups < REGEX_EXTEND_GROUPS)
		x->ours |= 1ull << x->groups;
	x->groups++;
	x->added++;
	put(x, group);
}

static void open_group(struct extending *x)
{
	put(x, x->basic && !x->converts ? "\\(" : "(");
	x->groups++;
	x->begins = true;
	x->depth++;
}

static uint64_t level(const struct extending *x)
{
	return x->depth >= 0 && x->depth < 64 ? 1ull << x->depth : 0;
}

static void choose(struct extending *x)
{
	if (x->begins)
		put_ours(x, "()");
	put_byte(x, 0, '|');
	x->begins = true;
	x->chosen |= level(x);
}

static void end_choice(struct extending *x)
{
	if (x->chosen & level(x))
		put_ours(x, "()");
	x->chosen &= ~level(x);
}

static void close_group(struct extending *x)
{
	end_choice(x);
	x->depth--;
	put(x, x->basic && !x->converts ? "\\)" : ")");
}

/* What is behind a \ of a basic expression and means something there. */
static bool put_basic(struct extending *x, char c)
{
	const char *plain = x->begins || x->anchored ? x->converts ? "\\" : "" : NULL;

	if (c == '(')
		open_group(x);
	else if (c == ')')
		close_group(x);
	else if (c == '|' && x->converts)
		choose(x);
	else if ((c == '{' || c == '}') && x->converts)
		put_byte(x, 0, c);
	else if ((c == '+' || c == '?') && plain)
		put_byte(x, *plain, c);
	else if (c == '+' || c == '?')
		put(x, x->converts ? c == '+' ? "+" : "?" : c == '+' ? "\\{1,\\}" : "\\{0,1\\}");
	else
		return false;
	return true;
}

static void put_quoted(struct extending *x, char c)
{
	static const char letters[] = "wWsS";
	static const char *const lists[] = { "[[:alnum:]_]", "[^[:alnum:]_]", "[[:space:]]", "[^[:space:]]" };
	const char *letter = strchr(letters, c);

	if (letter)
		put(x, lists[letter - letters]);
	else if (c == 'b' && (!x->basic || x->converts))
		put_ours(x, "([[:<:]]|[[:>:]])");
	else if (!x->basic || !put_basic(x, c))
		put_byte(x, '\\', c);
}

static bool ends_here(const struct extending *x, const char *at)
{
	return at == x->end || (x->end - at >= 2 && at[0] == '\\' && (at[1] == ')' || at[1] == '|'));
}

/* A byte that is not quoted and begins no list. */
static void put_plain(struct extending *x, const char *at)
{
	bool first = x->begins || x->anchored;

	if (!x->basic && *at == '(') {
		open_group(x);
	} else if (!x->basic && *at == '|') {
		choose(x);
	} else if (!x->basic && *at == ')') {
		close_group(x);
	} else if (*at == '^' && x->begins) {
		put_byte(x, 0, '^');
		x->anchored = true;
	} else if (!x->converts) {
		put_byte(x, 0, *at);
	} else if (strchr("(){}|+?^", *at) || (*at == '*' && first) || (*at == '$' && !ends_here(x, at + 1))) {
		put_byte(x, '\\', *at);
	} else {
		put_byte(x, 0, *at);
	}
}

/* The end of a list, or NULL: it is wrong. */
static const char *list_end(const char *at, const char *end)
{
	struct bracket bracket = { .c = 'x' };

	if (end - at >= 7 && (!memcmp(at, "[[:<:]]", 7) || !memcmp(at, "[[:>:]]", 7)))
		return at + 7;
	return posix_pattern_bracket(at + 1, end, &bracket);
}

/* Whether a basic expression has to become an extended one, and can. */
static bool to_convert(const char *at, const char *end)
{
	bool wanted = at == end;

	while (at < end) {
		if (*at == '[') {
			at = list_end(at, end);
			if (!at)
				return false;
		} else if (*at++ == '\\' && at < end) {
			if (*at >= '1' && *at <= '9')
				return false;
			wanted |= *at == '|' || *at == 'b';
			at++;
		}
	}
	return wanted;
}

size_t posix_regex_extend(char *to, const char *pattern, size_t length, int *flags, uint64_t *ours)
{
	const char *at = pattern, *end = pattern + length, *behind;
	struct extending x = { .to = to, .end = end, .basic = !(*flags & REG_EXTENDED), .begins = true };

	x.converts = x.basic && to_convert(at, end);
	while (at < end) {
		if (*at == '[') {
			behind = list_end(at, end);
			if (!behind)
				break;
			put_byte(&x, 0, *at++);
			while (at < behind)
				put_byte(&x, 0, *at++);
		} else if (*at != '\\') {
			put_plain(&x, at++);
		} else if (at + 1 < end) {
			put_quoted(&x, at[1]);
			at += 2;
		} else {
			break;
		}
	}
	if (at == end)
		end_choice(&x);
	while (at < end)		/* from a list or a \ that is wrong, which is to be told */
		put_byte(&x, 0, *at++);
	if (length == 0)
		put_ours(&x, "()");
	if (x.converts)
		*flags |= REG_EXTENDED;
	*ours = x.ours;
	if (x.added && x.groups > REGEX_EXTEND_GROUPS) {		/* too many to tell apart */
		memcpy(to, pattern, length);
		*flags &= x.converts ? ~REG_EXTENDED : ~0;
		*ours = 0;
		return length;
	}
	return (size_t)(x.to - to);
}
