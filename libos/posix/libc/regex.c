/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands before picolibc's regular expressions, which know single bytes only, do not survive a bracket expression
 * that is wrong, or that begins with a range from ], and have their own way of writing the ends of words.
 *
 * A pattern is written anew for them: a bracket expression as the list of its characters, and each character of several
 * bytes as a *code*, one byte from 0x80 on. Which code stands for which character is a matter of one pattern and one text:
 * where a text has such characters, it is written anew as well, the pattern is compiled again with its codes, and what
 * was found is counted back into bytes. A text of ASCII, or a pattern to which it makes no difference (no list, no
 * period, no such character), is left to what was compiled first. A text with more different characters than there are
 * codes is searched by bytes. Before that, what GNU's expressions have beyond POSIX' is taken out (regex_extend.c).
 */
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>
#include "libos/posix/libc/pattern.h"
#include "libos/posix/libc/regex_extend.h"

#define LIST_MOST	260	/* bytes of what stands for a bracket expression */
#define FIRST_CODE	0x80
#define CODES		127
#define NOTHING		0xff	/* a byte that no text has where there are codes */
#define MAGIC		0x65786f72u

int posix_libc_regcomp(regex_t *regex, const char *pattern, int flags);
int posix_libc_regexec(const regex_t *regex, const char *text, size_t count, regmatch_t match[], int flags);
void posix_libc_regfree(regex_t *regex);

/* What regcomp made; re_g points to it. */
struct held {
	regex_t plain;		/* for texts without codes */
	int flags;
	uint64_t ours;		/* groups that the program's pattern has not */
	size_t length;		/* of the pattern; 0: it makes no difference to it what a character is */
	char pattern[];
};

struct codes {
	int character[CODES];	/* of code FIRST_CODE + n; of both cases the small one, if `folds` */
	int count;
	bool folds, wide, full;	/* wide: there are characters of several bytes */
};

/* What stands for a character. */
static char code_of(struct codes *codes, int c)
{
	if (c < FIRST_CODE || !codes->wide)
		return (char)c;
	if (codes->folds)
		c = (int)towlower((wint_t)c);
	for (int i = 0; i < codes->count; i++)
		if (codes->character[i] == c)
			return (char)(FIRST_CODE + i);
	if (codes->count == CODES) {
		codes->full = true;
		return (char)(FIRST_CODE + CODES - 1);
	}
	codes->character[codes->count++] = c;
	return (char)(FIRST_CODE + codes->count - 1);
}

/* --- the pattern ---------------------------------------------------------------------------------------------- */

static bool is_in(const struct codes *codes, int byte, const char *at, const char *end)
{
	struct bracket bracket = { .c = byte, .folds = codes->folds && byte >= FIRST_CODE };

	if (codes->wide && byte >= FIRST_CODE) {
		if (byte - FIRST_CODE >= codes->count)
			return false;
		bracket.c = codes->character[byte - FIRST_CODE];
	}
	(void)posix_pattern_bracket(at, end, &bracket);
	return bracket.in;
}

/* The characters that an expression names, or those that it does not (after ^), as picolibc reads a list. */
static char *list_put(char *to, const struct codes *codes, const char *at, const char *end)
{
	bool not = *at == '^', has[256];
	int count = 0;

	for (int c = 1; c < 256; c++) {
		has[c] = is_in(codes, c, at, end) != not;
		count += has[c];
	}
	has[NOTHING] |= count == 0;		/* a list has to have something */
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

/* What is neither a list nor a word's end: an ordinary character, or one with a \ before it. */
static char *plain_put(char *to, struct codes *codes, const char **at, const char *end)
{
	bool quoted = **at == '\\' && *at + 1 < end;
	int c;

	*at += quoted;
	*at += posix_pattern_character(*at, end, &c);
	if (quoted && c < FIRST_CODE)
		*to++ = '\\';
	*to++ = code_of(codes, c);
	return to;
}

/* What a \ before this means nothing of: POSIX leaves it open, and whoever writes it has meant something else. */
static int quoted_wrong(const struct codes *codes, unsigned char c, int flags)
{
	if (c == '0' && !(flags & REG_EXTENDED))
		return REG_ESUBREG;
	return c >= FIRST_CODE && !codes->wide ? REG_BADPAT : 0;
}

/* Into memory that has room; the error, or 0. */
static int pattern_put(char *to, struct codes *codes, const char *at, const char *end, int flags)
{
	struct bracket bracket = { .c = 'x' };
	int error;

	while (at < end) {
		const char *from = at;
		bool words = end - at >= 7 && (!memcmp(at, "[[:<:]]", 7) || !memcmp(at, "[[:>:]]", 7));

		if (*at == '[' && !words) {
			at = posix_pattern_bracket(at + 1, end, &bracket);
			if (!at)
				return bracket.error;
			to = list_put(to, codes, from + 1, end);
		} else if (words || (*at == '\\' && at + 1 < end && (at[1] == '<' || at[1] == '>'))) {
			memcpy(to, words ? at : at[1] == '<' ? "[[:<:]]" : "[[:>:]]", 7);
			to += 7;
			at += words ? 7 : 2;
		} else if (*at == '\\' && at + 1 < end && (error = quoted_wrong(codes, (unsigned char)at[1], flags)) != 0) {
			return error;
		} else {
			to = plain_put(to, codes, &at, end);
		}
	}
	*to = '\0';
	return 0;
}

static int compile(regex_t *regex, struct codes *codes, const char *pattern, size_t length, int flags)
{
	size_t room = length + 1;
	char *anew;
	int error;

	for (size_t i = 0; i < length; i++)
		room += pattern[i] == '[' ? LIST_MOST : pattern[i] == '\\' ? sizeof("[[:<:]]") : 0;
	anew = malloc(room);
	if (!anew)
		return REG_ESPACE;
	error = pattern_put(anew, codes, pattern, pattern + length, flags);
	if (!error)
		error = posix_libc_regcomp(regex, anew, flags & ~REG_PEND);
	free(anew);
	return error;
}

/* Does it matter to a pattern what a character is? */
static bool matters(const char *pattern, size_t length, int flags)
{
	bool does = false;

	for (size_t i = 0; i < length; i++)
		does |= pattern[i] == '.' || pattern[i] == '[' || (unsigned char)pattern[i] >= FIRST_CODE;
	return does && MB_CUR_MAX > 1 && !(flags & REG_NOSPEC);
}

int regcomp(regex_t *regex, const char *pattern, int flags)
{
	size_t length = flags & REG_PEND ? (size_t)(regex->re_endp - pattern) : strlen(pattern);
	struct codes codes = { .folds = flags & REG_ICASE, .wide = MB_CUR_MAX > 1 };
	struct held *held = malloc(sizeof(*held) + REGEX_EXTEND_ROOM(length));
	int error;

	if (!held)
		return REG_ESPACE;
	held->flags = flags;
	held->length = 0;
	held->ours = 0;
	held->plain.re_endp = regex->re_endp;
	if (flags & REG_NOSPEC || memchr(pattern, '\0', length)) {
		error = posix_libc_regcomp(&held->plain, pattern, flags);
	} else {
		length = posix_regex_extend(held->pattern, pattern, length, &held->flags, &held->ours);
		held->length = matters(held->pattern, length, flags) ? length : 0;
		error = compile(&held->plain, &codes, held->pattern, length, held->flags);
		if (!error && codes.full)
			held->length = 0;
	}
	if (error) {
		free(held);
		return error;
	}
	regex->re_magic = MAGIC;
	regex->re_nsub = held->plain.re_nsub - (size_t)__builtin_popcountll(held->ours);
	regex->re_g = (void *)held;
	return 0;
}

void regfree(regex_t *regex)
{
	struct held *held = (void *)regex->re_g;

	if (regex->re_magic != MAGIC)
		return;
	regex->re_magic = 0;
	posix_libc_regfree(&held->plain);
	free(held);
}

/* --- the text ------------------------------------------------------------------------------------------------- */

/* A text written anew; `offset` is where each of its bytes was. */
struct coded {
	char *text;
	regoff_t *offset;
	size_t length;
};

static bool encode(struct coded *coded, struct codes *codes, const char *text, size_t length)
{
	const char *end = text + length;
	int c;

	coded->length = 0;
	coded->text = malloc(length + 1);
	coded->offset = calloc(length + 1, sizeof(*coded->offset));
	if (!coded->text || !coded->offset) {
		free(coded->text);
		free(coded->offset);
		return false;
	}
	for (const char *at = text; at < end;) {
		coded->offset[coded->length] = at - text;
		at += posix_pattern_character(at, end, &c);
		coded->text[coded->length++] = code_of(codes, c);
	}
	coded->offset[coded->length] = (regoff_t)length;
	coded->text[coded->length] = '\0';
	return true;
}

static bool is_ascii(const char *text, size_t length)
{
	unsigned char all = 0;

	for (size_t i = 0; i < length; i++)
		all |= (unsigned char)text[i];
	return all < FIRST_CODE;
}

/* By characters, of a text that begins at `base`; -1: there are too many. */
static int by_codes(const struct held *held, const char *text, size_t length, regoff_t base, size_t count, regmatch_t match[], int flags)
{
	struct codes codes = { .folds = held->flags & REG_ICASE, .wide = true };
	struct coded coded;
	regmatch_t whole = { 0, 0 }, *found = count ? match : &whole;
	regex_t regex;
	int result;

	if (!encode(&coded, &codes, text, length))
		return REG_ESPACE;
	result = codes.full ? -1 : compile(&regex, &codes, held->pattern, held->length, held->flags);
	if (!result) {
		found[0] = (regmatch_t){ 0, (regoff_t)coded.length };
		result = posix_libc_regexec(&regex, coded.text, count, found, flags | REG_STARTEND);
		posix_libc_regfree(&regex);
		for (size_t i = 0; !result && !(held->flags & REG_NOSUB) && i < count; i++)
			if (match[i].rm_so >= 0)
				match[i] = (regmatch_t){ base + coded.offset[match[i].rm_so], base + coded.offset[match[i].rm_eo] };
		if (codes.full)
			result = -1;
	}
	free(coded.text);
	free(coded.offset);
	return result;
}

static int search(const struct held *held, const char *text, size_t count, regmatch_t match[], int flags)
{
	regmatch_t range = { 0, 0 };
	int result;

	if (held->length && flags & REG_STARTEND)
		range = match[0];
	else if (held->length)
		range.rm_eo = (regoff_t)strlen(text);
	if (!held->length || is_ascii(text + range.rm_so, (size_t)(range.rm_eo - range.rm_so)))
		return posix_libc_regexec(&held->plain, text, count, match, flags);
	result = by_codes(held, text + range.rm_so, (size_t)(range.rm_eo - range.rm_so), range.rm_so, count, match, flags);
	if (result >= 0)
		return result;
	if (flags & REG_STARTEND)
		match[0] = range;
	return posix_libc_regexec(&held->plain, text, count, match, flags);
}

/* What is found is told without the groups that the pattern has not. */
static int search_ours(const struct held *held, const char *text, size_t count, regmatch_t match[], int flags)
{
	regmatch_t found[1 + REGEX_EXTEND_GROUPS];
	size_t groups = held->plain.re_nsub, to = 1;
	int result;

	if (flags & REG_STARTEND)
		found[0] = match[0];
	result = search(held, text, 1 + groups, found, flags);
	if (result)
		return result;
	match[0] = found[0];
	for (size_t i = 0; i < groups && to < count; i++)
		if (!(held->ours >> i & 1))
			match[to++] = found[1 + i];
	while (to < count)
		match[to++] = (regmatch_t){ -1, -1 };
	return 0;
}

int regexec(const regex_t *restrict regex, const char *restrict text, size_t count, regmatch_t match[restrict], int flags)
{
	const struct held *held = (const void *)regex->re_g;

	if (regex->re_magic != MAGIC)
		return REG_BADPAT;
	if (!match)		/* there is no range; regcomp's REG_NOSUB, given here, has the same value */
		flags &= ~REG_STARTEND;
	if (!held->ours || held->flags & REG_NOSUB || count <= 1 || !match)
		return search(held, text, match ? count : 0, match, flags);
	return search_ours(held, text, count, match, flags);
}
