/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scanf and its kin, narrow and wide, in place of picolibc's: `m` allocates, numbers are those of strtold, a prefix of a
 * number that is none ("0x", "1e+") is read and fails, as C has it, and streams of wide characters are text in the
 * locale's encoding.
 *
 * At most one character is given back, which is what a stream can take.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>
#include "libos/posix/libc/format.h"

#define POSITIONS	64

enum end { FINE, MISMATCH, NO_INPUT };		/* of a conversion */

struct scan {
	FILE *file;		/* NULL: `text` */
	const wchar_t *text;
	bool wide;
	intmax_t count;		/* characters read */
};

struct conversion {
	bool silent, allocates;	/* `*`, `m` */
	int position;
	size_t width;		/* SIZE_MAX: none is given */
	char size;		/* 'H': hh, 'h', 0, 'l': all of 64 bits, 'L' */
	char kind;
	struct format set;	/* of %[: behind the bracket and the ^ */
	bool inverted;
};

/* --- input ---------------------------------------------------------------------------------------------- */

static wint_t get(struct scan *scan)
{
	int byte;
	wint_t got;

	if (!scan->file)
		got = *scan->text ? (wint_t)*scan->text++ : WEOF;
	else if (scan->wide)
		got = getwc_unlocked(scan->file);
	else
		got = (byte = getc_unlocked(scan->file)) < 0 ? WEOF : (wint_t)byte;
	scan->count += got != WEOF;
	return got;
}

static void give_back(struct scan *scan, wint_t character)
{
	if (character == WEOF)
		return;
	scan->count--;
	if (!scan->file)
		scan->text--;
	else if (scan->wide)
		ungetwc(character, scan->file);
	else
		ungetc((int)character, scan->file);
}

static bool is_space(const struct scan *scan, wint_t character)
{
	return scan->wide ? character != WEOF && iswspace(character) : character < 256 && isspace((int)character);
}

/* The first character that is no space. */
static wint_t behind_spaces(struct scan *scan)
{
	wint_t got;

	do
		got = get(scan);
	while (is_space(scan, got));
	return got;
}

/* --- numbers -------------------------------------------------------------------------------------------- */

static void store(const struct conversion *c, void *to, uintmax_t value)
{
	if (c->silent)
		return;
	switch (c->size) {
	case 'H':
		*(unsigned char *)to = (unsigned char)value;
		break;
	case 'h':
		*(unsigned short *)to = (unsigned short)value;
		break;
	case 0:
		*(unsigned *)to = (unsigned)value;
		break;
	default:
		*(uintmax_t *)to = value;
	}
}

static unsigned digit(wint_t character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	character |= 32;
	return character >= 'a' && character <= 'z' ? character - 'a' + 10 : 99;
}

/* The next character of a number, while its width lasts. */
static wint_t next(struct scan *scan, size_t *width)
{
	return --*width ? get(scan) : WEOF;
}

static enum end integer(struct scan *scan, const struct conversion *c, void *to, unsigned base, bool sign)
{
	size_t width = c->width;
	wint_t got = behind_spaces(scan);
	bool minus = got == '-', any = false, more = false;
	uintmax_t value = 0, most = sign ? (uintmax_t)INTMAX_MAX + minus : UINTMAX_MAX;

	if (got == WEOF)
		return NO_INPUT;
	if (got == '-' || got == '+')
		got = next(scan, &width);
	if (got == '0') {
		any = true;
		got = next(scan, &width);
		if ((base == 0 || base == 16) && got != WEOF && (got | 32) == 'x') {
			any = false;
			base = 16;
			got = next(scan, &width);
		} else if (base == 0) {
			base = 8;
		}
	}
	base = base ? base : 10;
	for (; got != WEOF && digit(got) < base; got = next(scan, &width)) {
		any = true;
		more |= value > (most - digit(got)) / base;
		value = value * base + digit(got);
	}
	if (width)
		give_back(scan, got);
	if (!any)
		return MISMATCH;
	if (more)
		value = most;
	store(c, to, minus && !(more && !sign) ? 0 - value : value);
	return FINE;
}

/* Text of a number, as it grows. */
struct number {
	char some[128], *text;
	size_t count, room;
	bool failed;
};

static void append(struct number *number, wint_t character)
{
	if (number->count + 1 >= number->room && !number->failed) {
		char *more = realloc(number->text == number->some ? NULL : number->text, number->room * 2);
		number->failed = !more;
		if (more && number->text == number->some)
			memcpy(more, number->some, number->count);
		number->text = more ? more : number->text;
		number->room *= more ? 2 : 1;
	}
	if (!number->failed)
		number->text[number->count++] = (char)character;
}

/* Reads a word, or as much as is there of it; whether it was all. */
static bool word(struct scan *scan, struct number *number, const char *rest, wint_t *got, size_t *width)
{
	for (; *rest && *got != WEOF && (wint_t)*rest == (*got | 32); rest++, *got = next(scan, width))
		append(number, *got);
	return !*rest;
}

static bool word_number(struct scan *scan, struct number *number, wint_t *got, size_t *width)
{
	if ((*got | 32) == 'i')
		return word(scan, number, "inf", got, width) &&
		    (*got == WEOF || (*got | 32) != 'i' || word(scan, number, "inity", got, width));
	if (!word(scan, number, "nan", got, width) || *got != '(')
		return number->count >= 3 && (number->text[number->count - 1] | 32) == 'n';
	do {
		append(number, *got);
		*got = next(scan, width);
	} while (*got != WEOF && *got < 128 && (isalnum((int)*got) || *got == '_'));
	if (*got != ')')
		return false;
	append(number, *got);
	*got = next(scan, width);
	return true;
}

/* Digits with at most one point, in base 10 or 16, and an exponent: whether they are a number. */
static bool digits(struct scan *scan, struct number *number, wint_t *got, size_t *width)
{
	unsigned base = 10;
	bool any = false, point = false, exponent = false;

	if (*got == '0') {
		any = true;
		append(number, *got);
		*got = next(scan, width);
		if (*got != WEOF && (*got | 32) == 'x') {
			any = false;
			base = 16;
			append(number, *got);
			*got = next(scan, width);
		}
	}
	for (; *got != WEOF && (digit(*got) < base || (*got == '.' && !point)); *got = next(scan, width)) {
		point |= *got == '.';
		any |= *got != '.';
		append(number, *got);
	}
	if (!any || *got == WEOF || (*got | 32) != (base == 16 ? 'p' : 'e'))
		return any;
	append(number, *got);
	*got = next(scan, width);
	if (*got == '-' || *got == '+') {
		append(number, *got);
		*got = next(scan, width);
	}
	for (; *got != WEOF && digit(*got) < 10; *got = next(scan, width)) {
		exponent = true;
		append(number, *got);
	}
	return exponent;
}

static enum end real(struct scan *scan, const struct conversion *c, void *to)
{
	struct number number = { .room = sizeof(number.some) };
	size_t width = c->width;
	wint_t got = behind_spaces(scan);
	bool good;

	if (got == WEOF)
		return NO_INPUT;
	number.text = number.some;
	if (got == '-' || got == '+') {
		append(&number, got);
		got = next(scan, &width);
	}
	good = got != WEOF && ((got | 32) == 'i' || (got | 32) == 'n') ? word_number(scan, &number, &got, &width) :
	    digits(scan, &number, &got, &width);
	if (width)
		give_back(scan, got);
	number.text[number.count] = '\0';
	if (good && !c->silent && !number.failed) {
		if (c->size == 'L')
			*(long double *)to = strtold(number.text, NULL);
		else if (c->size == 'l')
			*(double *)to = strtod(number.text, NULL);
		else
			*(float *)to = strtof(number.text, NULL);
	}
	if (number.text != number.some)
		free(number.text);
	return number.failed ? NO_INPUT : good ? FINE : MISMATCH;
}

/* --- strings -------------------------------------------------------------------------------------------- */

/* Whether a set has a character; a bracket that is its first is one of it. */
static bool in_set(const struct conversion *c, wint_t character)
{
	struct format set = c->set;
	wint_t from, to;
	bool found = false;

	do {
		from = to = format_next(&set);
		format_step(&set);
		if (format_next(&set) == '-') {
			struct format last = set;
			format_step(&last);
			if (format_next(&last) != ']' && format_next(&last) != 0) {
				to = format_next(&last);
				set = last;
				format_step(&set);
			}
		}
		found |= character >= from && character <= to;
	} while (!found && format_next(&set) != ']' && format_next(&set) != 0);
	return found != c->inverted;
}

static bool belongs(const struct scan *scan, const struct conversion *c, wint_t character)
{
	return c->kind == 'c' || (c->kind == 's' ? !is_space(scan, character) : in_set(c, character));
}

/* Where a string goes. */
struct target {
	void *to, **owner;	/* owner: of what is allocated, which grows */
	size_t count, room;
	bool wide, failed;
	mbstate_t state;
};

static void put_unit(struct target *target, wint_t unit)
{
	size_t bytes = target->wide ? sizeof(wchar_t) : 1;

	if (!target->to || target->failed)
		return;
	if (target->owner && target->count == target->room) {
		void *more = realloc(target->to, target->room * 2 * bytes);
		if (!more) {
			target->failed = true;
			return;
		}
		target->to = *target->owner = more;
		target->room *= 2;
	}
	if (target->wide)
		((wchar_t *)target->to)[target->count++] = (wchar_t)unit;
	else
		((char *)target->to)[target->count++] = (char)unit;
}

/* A character of the input, converted where input and target differ; whether it ended one of the target's. */
static bool put(struct scan *scan, struct target *target, wint_t character)
{
	char bytes[MB_LEN_MAX] = { (char)character };
	wchar_t wide;
	size_t used;

	if (scan->wide == target->wide) {
		put_unit(target, character);
	} else if (target->wide) {
		used = mbrtowc(&wide, bytes, 1, &target->state);
		if (used == (size_t)-1)
			target->failed = true;
		else if (used != (size_t)-2)
			put_unit(target, (wint_t)wide);
	} else {
		used = wcrtomb(bytes, (wchar_t)character, &target->state);
		target->failed |= used == (size_t)-1;
		for (size_t i = 0; used != (size_t)-1 && i < used; i++)
			put_unit(target, (unsigned char)bytes[i]);
	}
	return mbsinit(&target->state);
}

static enum end string(struct scan *scan, const struct conversion *c, void *to)
{
	struct target target = { .to = to, .wide = c->size == 'l', .room = 32 };
	size_t left = c->kind == 'c' && c->width == SIZE_MAX ? 1 : c->width, wanted = left;
	wint_t got = c->kind == 's' ? behind_spaces(scan) : get(scan);

	if (c->allocates && !c->silent) {
		target.owner = to;
		*target.owner = NULL;
	}
	if (got == WEOF)
		return NO_INPUT;
	if (target.owner) {
		target.to = *target.owner = malloc(target.room * (target.wide ? sizeof(wchar_t) : 1));
		target.failed = !target.to;
	}
	while (got != WEOF && !target.failed && belongs(scan, c, got)) {
		left -= put(scan, &target, got);
		got = left ? get(scan) : WEOF;
	}
	give_back(scan, got);
	if (c->kind != 'c' && left != wanted)
		put_unit(&target, 0);
	if (target.failed || left == wanted || (c->kind == 'c' && left)) {
		if (target.owner) {
			free(target.to);
			*target.owner = NULL;
		}
		return target.failed ? NO_INPUT : MISMATCH;
	}
	return FINE;
}

/* --- formats -------------------------------------------------------------------------------------------- */

static size_t number_at(struct format *format)
{
	size_t value = 0;

	for (; format_next(format) >= '0' && format_next(format) <= '9'; format_step(format))
		value = value < INT_MAX ? value * 10 + format_next(format) - '0' : value;
	return value;
}

static char size_at(struct format *format)
{
	if (format_take(format, 'h'))
		return format_take(format, 'h') ? 'H' : 'h';
	if (format_take(format, 'l'))
		return format_take(format, 'l') ? 'q' : 'l';
	if (format_take(format, 'L'))
		return 'L';
	return format_take(format, 'j') || format_take(format, 'z') || format_take(format, 't') || format_take(format, 'q') ? 'q' : 0;
}

/* Reads what stands behind a percent sign; false: it is no conversion. */
static bool conversion_read(struct format *format, struct conversion *c)
{
	struct format before = *format;
	size_t number;

	*c = (struct conversion){ .width = SIZE_MAX };
	number = number_at(format);
	if (number > 0 && number <= POSITIONS && format_take(format, '$'))
		c->position = (int)number;
	else
		*format = before;
	c->silent = format_take(format, '*');
	if (format_next(format) >= '0' && format_next(format) <= '9')
		c->width = number_at(format);
	c->allocates = format_take(format, 'm');
	c->size = size_at(format);
	if (format_next(format) == 0 || format_next(format) > 127 || c->width == 0)
		return false;
	c->kind = (char)format_next(format);
	format_step(format);
	if (c->kind == 'C' || c->kind == 'S') {
		c->kind |= 32;
		c->size = 'l';
	}
	if (c->kind == '[') {
		c->inverted = format_take(format, '^');
		c->set = *format;
		if (format_next(format))
			format_step(format);
		while (format_next(format) && format_next(format) != ']')
			format_step(format);
		if (!format_take(format, ']'))
			return false;
	}
	return strchr("diouxXpaAeEfFgGsc[n%", c->kind) != NULL;
}

static enum end convert(struct scan *scan, const struct conversion *c, void *to)
{
	wint_t got;

	switch (c->kind) {
	case 'd':
		return integer(scan, c, to, 10, true);
	case 'i':
		return integer(scan, c, to, 0, true);
	case 'o':
		return integer(scan, c, to, 8, false);
	case 'u':
		return integer(scan, c, to, 10, false);
	case 'x': case 'X': case 'p':
		return integer(scan, c, to, 16, false);
	case 's': case 'c': case '[':
		return string(scan, c, to);
	case 'n':
		store(c, to, (uintmax_t)scan->count);
		return FINE;
	case '%':
		got = behind_spaces(scan);
		if (got == '%')
			return FINE;
		give_back(scan, got);
		return got == WEOF ? NO_INPUT : MISMATCH;
	default:
		return real(scan, c, to);
	}
}

/* What stands in a format that is no conversion. */
static enum end literal(struct scan *scan, struct format *format)
{
	wint_t wanted = format_next(format), got;

	format_step(format);
	if (is_space(scan, wanted)) {
		while (is_space(scan, format_next(format)))
			format_step(format);
		give_back(scan, behind_spaces(scan));
		return FINE;
	}
	got = get(scan);
	if (got == wanted)
		return FINE;
	give_back(scan, got);
	return got == WEOF ? NO_INPUT : MISMATCH;
}

/* The pointer at a position: all arguments are pointers. */
static void *pointer_at(va_list list, int position)
{
	void *found = NULL;
	va_list copy;

	va_copy(copy, list);
	while (position-- > 0)
		found = va_arg(copy, void *);
	va_end(copy);
	return found;
}

static int scan_all(struct scan *scan, struct format format, va_list list)
{
	struct conversion c;
	enum end end = FINE;
	int stored = 0;
	va_list args;

	va_copy(args, list);
	while (end == FINE && format_next(&format)) {
		if (!format_take(&format, '%')) {
			end = literal(scan, &format);
			continue;
		}
		if (!conversion_read(&format, &c)) {
			errno = EINVAL;
			end = stored ? MISMATCH : NO_INPUT;
			break;
		}
		bool stores = !c.silent && c.kind != '%';
		void *to = !stores ? NULL : c.position ? pointer_at(list, c.position) : va_arg(args, void *);
		if (c.kind == 'p')
			c.size = 'q';
		end = convert(scan, &c, to);
		stored += end == FINE && stores && c.kind != 'n';
	}
	va_end(args);
	return end == NO_INPUT && stored == 0 ? EOF : stored;
}

/* --- what programs call --------------------------------------------------------------------------------- */

int vfscanf(FILE *restrict file, const char *restrict format, va_list list)
{
	struct scan scan = { .file = file };
	int done;

	flockfile(file);
	done = scan_all(&scan, (struct format){ .narrow = format }, list);
	funlockfile(file);
	return done;
}

int vfwscanf(FILE *restrict file, const wchar_t *restrict format, va_list list)
{
	struct scan scan = { .file = file, .wide = true };
	int done;

	flockfile(file);
	done = scan_all(&scan, (struct format){ .wide = format }, list);
	funlockfile(file);
	return done;
}

int vswscanf(const wchar_t *restrict text, const wchar_t *restrict format, va_list list)
{
	struct scan scan = { .text = text, .wide = true };

	return scan_all(&scan, (struct format){ .wide = format }, list);
}

int swscanf(const wchar_t *restrict text, const wchar_t *restrict format, ...)
{
	va_list list;
	int done;

	va_start(list, format);
	done = vswscanf(text, format, list);
	va_end(list);
	return done;
}
