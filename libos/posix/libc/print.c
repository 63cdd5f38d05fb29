/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * printf and its kin, narrow and wide, in place of picolibc's (which has 17 digits, writes wide characters to files as they
 * lie in memory, and returns no errors for what is too long or no conversion). A format is read once from its start to its
 * end; if it names arguments by position, it is read before that to learn their types.
 *
 * Where text goes is in struct print. Nothing is allocated, but by asprintf.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libos/uni/buffer.h"
#include "libos/posix/libc/format.h"
#include "libos/posix/libc/print.h"

#define POSITIONS	64	/* arguments that can be named by position */

/* --- where text goes ------------------------------------------------------------------------------------ */

static void fail(struct print *print, int error)
{
	if (!print->failed)
		errno = error;
	print->failed = true;
}

/* Whether `count` characters more can be told of. */
static bool room(struct print *print, size_t count)
{
	if (print->failed)
		return false;
	if (count > (size_t)INT_MAX - print->count) {
		fail(print, EOVERFLOW);
		return false;
	}
	print->count += count;
	return true;
}

static void put_wide(struct print *print, wchar_t character)
{
	if (!room(print, 1))
		return;
	if (print->file) {
		if (putwc_unlocked(character, print->file) == WEOF)
			print->failed = true;
	} else if (print->wide_to < print->wide_end) {
		*print->wide_to++ = character;
	}
}

static void put_bytes(struct print *print, const char *text, size_t count)
{
	FILE *file = print->file;
	size_t fits;

	if (!room(print, count))
		return;
	if (file) {
		if (stream_put(file, text, count))
			return;
		for (size_t i = 0; i < count; i++)
			if (file->put(text[i], file) < 0) {
				print->failed = true;
				return;
			}
		return;
	}
	fits = (size_t)(print->end - print->to) < count ? (size_t)(print->end - print->to) : count;
	if (fits > 16) {
		memcpy(print->to, text, fits);
		print->to += fits;
	} else {
		while (fits-- > 0)
			*print->to++ = *text++;
	}
}

void print_text(struct print *print, const char *text, size_t count)
{
	if (count == 0)
		return;
	if (!print->wide)
		put_bytes(print, text, count);
	else
		for (size_t i = 0; i < count; i++)
			put_wide(print, (wchar_t)(unsigned char)text[i]);
}

void print_fill(struct print *print, char character, size_t count)
{
	char block[32];

	if (count == 0)
		return;
	memset(block, character, sizeof(block));
	while (count > 0 && !print->failed) {
		size_t part = count < sizeof(block) ? count : sizeof(block);
		if (!print->file && print->to == print->end && print->wide_to == print->wide_end) {
			room(print, count);		/* nobody sees it */
			return;
		}
		print_text(print, block, part);
		count -= part;
	}
}

size_t print_before(struct print *print, const struct print_spec *spec, const char *prefix, size_t length)
{
	size_t head = strlen(prefix), width = (size_t)spec->width, empty;

	empty = width > head + length ? width - head - length : 0;
	if (!(spec->flags & (PRINT_LEFT | PRINT_ZERO)))
		print_fill(print, ' ', empty);
	print_text(print, prefix, head);
	if ((spec->flags & (PRINT_LEFT | PRINT_ZERO)) == PRINT_ZERO)
		print_fill(print, '0', empty);
	return spec->flags & PRINT_LEFT ? empty : 0;
}

/* --- formats -------------------------------------------------------------------------------------------- */

enum size { SIZE_INT, SIZE_CHAR, SIZE_SHORT, SIZE_LONG, SIZE_LLONG, SIZE_LDOUBLE };

union argument {
	uintmax_t number;
	long double real;
	void *pointer;
};

/* A conversion as the format has it. Numbers of arguments count from 1; 0: the next. */
struct conversion {
	struct print_spec spec;
	enum size size;
	bool star_width, star_precision, by_position;
	int argument, width_from, precision_from;
};

/* A decimal number; -1: it is greater than INT_MAX. */
static int number(struct format *format)
{
	long long value = 0;

	for (; format_next(format) >= '0' && format_next(format) <= '9'; format_step(format))
		if (value <= INT_MAX)
			value = value * 10 + (int)(format_next(format) - '0');
	return value <= INT_MAX ? (int)value : -1;
}

/* "N$" behind a star or a percent sign; 0: it is not there. */
static int position(struct format *format)
{
	struct format at = *format;
	int value = number(&at);

	if (value <= 0 || value > POSITIONS || !format_take(&at, '$'))
		return 0;
	*format = at;
	return value;
}

static enum size size_of(struct format *format)
{
	if (format_take(format, 'h'))
		return format_take(format, 'h') ? SIZE_CHAR : SIZE_SHORT;
	if (format_take(format, 'l'))
		return format_take(format, 'l') ? SIZE_LLONG : SIZE_LONG;
	if (format_take(format, 'L'))
		return SIZE_LDOUBLE;
	if (format_take(format, 'q'))
		return SIZE_LLONG;
	return format_take(format, 'j') || format_take(format, 'z') || format_take(format, 't') ? SIZE_LONG : SIZE_INT;
}

/* Reads what stands behind a percent sign; an errno value. */
static int conversion_read(struct format *format, struct conversion *c)
{
	static const char letters[] = "-+ #0'";
	const char *letter;

	*c = (struct conversion){ .spec.precision = -1 };
	c->argument = position(format);
	c->by_position = c->argument > 0;
	while (format_next(format) <= '0' && format_next(format) && (letter = strchr(letters, (int)format_next(format)))) {
		c->spec.flags |= 1u << (letter - letters);
		format_step(format);
	}
	if (format_take(format, '*')) {
		c->star_width = true;
		c->width_from = position(format);
	} else if ((c->spec.width = number(format)) < 0) {
		return EOVERFLOW;
	}
	if (format_take(format, '.')) {
		if (format_take(format, '*')) {
			c->star_precision = true;
			c->precision_from = position(format);
		} else if ((c->spec.precision = number(format)) < 0) {
			return EOVERFLOW;
		}
	}
	c->size = size_of(format);
	if (format_next(format) == 0 || format_next(format) > 127)
		return EINVAL;
	c->spec.conversion = (char)format_next(format);
	format_step(format);
	if (c->spec.conversion == 'C' || c->spec.conversion == 'S') {
		c->spec.conversion |= 32;
		c->size = SIZE_LONG;
	}
	switch (c->spec.conversion) {
	case 'd': case 'i': case 'o': case 'u': case 'x': case 'X': case 'b': case 'B': case 'c': case 's': case 'p': case 'n':
	case 'e': case 'E': case 'f': case 'F': case 'g': case 'G': case 'a': case 'A': case 'm': case '%':
		return 0;
	}
	return EINVAL;
}

/* --- arguments ------------------------------------------------------------------------------------------ */

/* Arguments: one after the other, or if there are positions, from a table that was filled before. */
struct arguments {
	va_list list;
	bool by_position;
	union argument one, table[POSITIONS];
};

static char kind_of(const struct conversion *c)
{
	switch (c->spec.conversion) {
	case 'd': case 'i': case 'o': case 'u': case 'x': case 'X': case 'b': case 'B':
		return (char)('0' + c->size);
	case 'c':
		return '0';
	case 's': case 'p': case 'n':
		return 'p';
	case 'm': case '%':
		return 0;
	}
	return c->size == SIZE_LDOUBLE ? 'L' : 'f';
}

static const union argument *next_of(struct arguments *arguments, char kind)
{
	union argument *a = &arguments->one;

	switch (kind) {
	case '0': case '1': case '2':
		a->number = (uintmax_t)va_arg(arguments->list, int);
		break;
	case '3': case '4': case '5':
		a->number = va_arg(arguments->list, uintmax_t);
		break;
	case 'p':
		a->pointer = va_arg(arguments->list, void *);
		break;
	case 'f':
		a->real = va_arg(arguments->list, double);
		break;
	case 'L':
		a->real = va_arg(arguments->list, long double);
		break;
	}
	return a;
}

static const union argument *argument(struct arguments *arguments, int from, char kind)
{
	return arguments->by_position && from > 0 ? &arguments->table[from - 1] : next_of(arguments, kind);
}

/* Fills the table, if the format names positions; an errno value. */
static int positions(struct arguments *arguments, struct format format)
{
	char kinds[POSITIONS] = { 0 };
	struct conversion c;
	int most = 0;

	for (; format_next(&format); ) {
		if (!format_take(&format, '%')) {
			format_step(&format);
			continue;
		}
		int error = conversion_read(&format, &c);
		int which[] = { c.argument, c.width_from, c.precision_from };
		if (error)
			return error;
		for (int i = 0; i < 3; i++) {
			if (which[i] == 0)
				continue;
			kinds[which[i] - 1] = i == 0 ? kind_of(&c) : '0';
			most = which[i] > most ? which[i] : most;
		}
	}
	arguments->by_position = most > 0;
	for (int i = 0; i < most; i++)
		arguments->table[i] = *next_of(arguments, kinds[i] ? kinds[i] : '0');
	return 0;
}

/* --- conversions ---------------------------------------------------------------------------------------- */

static uintmax_t narrowed(uintmax_t value, enum size size, bool sign)
{
	switch (size) {
	case SIZE_CHAR:
		return sign ? (uintmax_t)(signed char)value : (unsigned char)value;
	case SIZE_SHORT:
		return sign ? (uintmax_t)(short)value : (unsigned short)value;
	case SIZE_INT:
		return sign ? (uintmax_t)(int)value : (unsigned)value;
	default:
		return value;
	}
}

static void integer(struct print *print, struct conversion *c, uintmax_t value)
{
	char text[64], *at = text + sizeof(text), kind = c->spec.conversion, lower = (char)(kind | 32);
	const char *letters = kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef", *prefix = "";
	unsigned base = lower == 'x' || kind == 'p' ? 16 : kind == 'o' ? 8 : lower == 'b' ? 2 : 10;
	bool sign = kind == 'd' || kind == 'i';
	size_t length, zeros = 0, right;

	value = narrowed(value, c->size, sign);
	if (sign) {
		prefix = (intmax_t)value < 0 ? "-" : c->spec.flags & PRINT_PLUS ? "+" : c->spec.flags & PRINT_SPACE ? " " : "";
		value = (intmax_t)value < 0 ? 0 - value : value;
	}
	if (kind == 'p' || ((c->spec.flags & PRINT_ALTERNATE) && value && (base == 16 || base == 2)))
		prefix = kind == 'p' || kind == 'x' ? "0x" : kind == 'X' ? "0X" : kind == 'b' ? "0b" : "0B";
	for (; value; value /= base)
		*--at = letters[value % base];
	length = (size_t)(text + sizeof(text) - at);
	if (c->spec.precision >= 0)
		c->spec.flags &= ~(unsigned)PRINT_ZERO;
	zeros = c->spec.precision < 0 ? length == 0 : (size_t)c->spec.precision > length ? (size_t)c->spec.precision - length : 0;
	if (base == 8 && (c->spec.flags & PRINT_ALTERNATE) && zeros == 0)
		zeros = 1;
	right = print_before(print, &c->spec, prefix, zeros + length);
	print_fill(print, '0', zeros);
	print_text(print, at, length);
	print_fill(print, ' ', right);
}

/* A string of bytes in a wide format: as many characters as the precision says. */
static size_t widen(struct print *print, const char *text, size_t most, bool write)
{
	mbstate_t state = { 0 };
	size_t count = 0, used;
	wchar_t character;

	while (count < most && (used = mbrtowc(&character, text, MB_LEN_MAX, &state)) != 0) {
		if (used == (size_t)-1 || used == (size_t)-2) {
			fail(print, EILSEQ);
			break;
		}
		if (write)
			put_wide(print, character);
		text += used;
		count++;
	}
	return count;
}

/* A wide string in a narrow format: whole characters, at most `most` bytes. */
static size_t narrow(struct print *print, const wchar_t *text, size_t most, bool write)
{
	mbstate_t state = { 0 };
	char bytes[MB_LEN_MAX];
	size_t count = 0, used;

	for (; count < most && *text; text++, count += used) {
		used = wcrtomb(bytes, *text, &state);
		if (used == (size_t)-1) {
			fail(print, EILSEQ);
			break;
		}
		if (used > most - count)
			break;
		if (write)
			put_bytes(print, bytes, used);
	}
	return count;
}

static void string(struct print *print, struct conversion *c, const void *text)
{
	size_t most = c->spec.precision < 0 ? SIZE_MAX : (size_t)c->spec.precision, length, right;
	bool wide = c->size == SIZE_LONG;

	if (!text) {
		text = wide ? (const void *)L"(null)" : "(null)";
		most = c->spec.precision >= 0 && most < 6 ? 0 : most;
	}
	if (wide && print->wide)
		length = wcsnlen(text, most);
	else
		length = wide ? narrow(print, text, most, false) : print->wide ? widen(print, text, most, false) :
		    strnlen(text, most);
	if (print->failed)
		return;
	c->spec.flags &= ~(unsigned)PRINT_ZERO;
	right = print_before(print, &c->spec, "", length);
	if (wide && print->wide)
		for (size_t i = 0; i < length; i++)
			put_wide(print, ((const wchar_t *)text)[i]);
	else if (wide)
		narrow(print, text, length, true);
	else if (print->wide)
		widen(print, text, length, true);
	else
		put_bytes(print, text, length);
	print_fill(print, ' ', right);
}

static void character(struct print *print, struct conversion *c, uintmax_t value)
{
	wchar_t wide[2] = { c->size == SIZE_LONG ? (wchar_t)value : (wchar_t)btowc((unsigned char)value), 0 };
	char bytes[MB_LEN_MAX] = { (char)value };
	mbstate_t state = { 0 };
	size_t length = 1, right;

	if (c->size == SIZE_LONG && !print->wide)
		length = wcrtomb(bytes, wide[0], &state);
	if (length == (size_t)-1 || (print->wide && (wint_t)wide[0] == WEOF)) {
		fail(print, EILSEQ);
		return;
	}
	c->spec.flags &= ~(unsigned)PRINT_ZERO;
	right = print_before(print, &c->spec, "", length);
	if (print->wide)
		put_wide(print, wide[0]);
	else
		put_bytes(print, bytes, length);
	print_fill(print, ' ', right);
}

static void tell(const struct print *print, enum size size, void *to)
{
	switch (size) {
	case SIZE_CHAR:
		*(signed char *)to = (signed char)print->count;
		break;
	case SIZE_SHORT:
		*(short *)to = (short)print->count;
		break;
	case SIZE_INT:
		*(int *)to = (int)print->count;
		break;
	default:
		*(intmax_t *)to = (intmax_t)print->count;
	}
}

static void convert(struct print *print, struct arguments *arguments, struct conversion *c, int error)
{
	char kind = kind_of(c);
	const union argument *a;

	if (c->star_width) {
		int width = (int)argument(arguments, c->width_from, '0')->number;
		c->spec.flags |= width < 0 ? PRINT_LEFT : 0;
		if (width == INT_MIN) {
			fail(print, EOVERFLOW);
			return;
		}
		c->spec.width = width < 0 ? -width : width;
	}
	if (c->star_precision) {
		int precision = (int)argument(arguments, c->precision_from, '0')->number;
		c->spec.precision = precision < 0 ? -1 : precision;
	}
	a = kind ? argument(arguments, c->argument, kind) : &arguments->one;
	switch (c->spec.conversion) {
	case '%':
		print_text(print, "%", 1);
		break;
	case 'c':
		character(print, c, a->number);
		break;
	case 's':
		string(print, c, a->pointer);
		break;
	case 'm':
		c->size = SIZE_INT;
		string(print, c, strerror(error));
		break;
	case 'n':
		tell(print, c->size, a->pointer);
		break;
	case 'p':
		c->size = SIZE_LONG;
		integer(print, c, (uintptr_t)a->pointer);
		break;
	default:
		if (kind == 'f' || kind == 'L')
			print_float(print, &c->spec, a->real);
		else
			integer(print, c, a->number);
	}
}

/* What stands before the next conversion, or the end. */
static void literal(struct print *print, struct format *format)
{
	if (format->wide) {
		for (; *format->wide && *format->wide != L'%'; format->wide++)
			put_wide(print, *format->wide);
	} else {
		const char *end = strchrnul(format->narrow, '%');
		put_bytes(print, format->narrow, (size_t)(end - format->narrow));
		format->narrow = end;
	}
}

/* Writes all; the number of characters, or -1 with errno. */
static int format_all(struct print *print, struct format format, va_list list)
{
	bool dollar = format.wide ? wcschr(format.wide, L'$') != NULL : strchr(format.narrow, '$') != NULL;
	struct arguments arguments;
	struct conversion c;
	int saved = errno, error = 0;

	arguments.by_position = false;
	print->wide = format.wide != NULL;
	va_copy(arguments.list, list);
	if (dollar && (error = positions(&arguments, format)) != 0)
		fail(print, error);
	while (!print->failed && format_next(&format)) {
		literal(print, &format);
		if (!format_take(&format, '%'))
			continue;
		if ((error = conversion_read(&format, &c)) != 0)
			fail(print, error);
		else
			convert(print, &arguments, &c, saved);
	}
	va_end(arguments.list);
	return print->failed ? -1 : (int)print->count;
}

/* --- what programs call --------------------------------------------------------------------------------- */

static int stream(FILE *file, struct format format, va_list list)
{
	struct stream_gather gather;
	struct print print = { .file = stream_gather_begin(&gather, file) };
	int done = -1;

	flockfile(file);
	if (file->flags & __SWR)
		done = format_all(&print, format, list);
	else
		errno = EBADF;
	if (stream_gather_end(&gather) < 0)
		done = -1;
	if (done < 0)
		file->flags |= __SERR;
	funlockfile(file);
	return done;
}

int vfprintf(FILE *restrict file, const char *restrict format, va_list list)
{
	return stream(file, (struct format){ .narrow = format }, list);
}

int vfwprintf(FILE *restrict file, const wchar_t *restrict format, va_list list)
{
	fwide(file, 1);
	return stream(file, (struct format){ .wide = format }, list);
}

int vsnprintf(char *restrict to, size_t room, const char *restrict format, va_list list)
{
	char none;
	size_t most = room > INT_MAX ? INT_MAX : room;
	struct print print = { .to = room ? to : &none, .end = room ? to + most - 1 : &none };
	int done = format_all(&print, (struct format){ .narrow = format }, list);

	if (room)
		*print.to = '\0';
	return done;
}

int vsprintf(char *restrict to, const char *restrict format, va_list list)
{
	return vsnprintf(to, (size_t)INT_MAX + 1, format, list);
}

int vswprintf(wchar_t *restrict to, size_t room, const wchar_t *restrict format, va_list list)
{
	struct print print = { .wide_to = to, .wide_end = room ? to + room - 1 : to };
	int done = format_all(&print, (struct format){ .wide = format }, list);

	if (room)
		*print.wide_to = L'\0';
	if (done >= 0 && (size_t)done >= room) {
		errno = EOVERFLOW;
		return -1;
	}
	return done;
}

int vasprintf(char **to, const char *restrict format, va_list list)
{
	char some[256], *made;
	va_list again;
	int length;

	va_copy(again, list);
	length = vsnprintf(some, sizeof(some), format, list);
	made = length < 0 ? NULL : malloc((size_t)length + 1);
	if (made && (size_t)length < sizeof(some))
		memcpy(made, some, (size_t)length + 1);
	else if (made)
		vsnprintf(made, (size_t)length + 1, format, again);
	va_end(again);
	*to = made;
	return made ? length : -1;
}

#define WITH_LIST(call)				\
	va_list list;				\
	int done;				\
						\
	va_start(list, format);			\
	done = call;				\
	va_end(list);				\
	return done

int snprintf(char *restrict to, size_t room, const char *restrict format, ...)
{
	WITH_LIST(vsnprintf(to, room, format, list));
}

int sprintf(char *restrict to, const char *restrict format, ...)
{
	WITH_LIST(vsprintf(to, format, list));
}

int asprintf(char **to, const char *restrict format, ...)
{
	WITH_LIST(vasprintf(to, format, list));
}
