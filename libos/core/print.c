/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small formatter for messages of core and of programs without a C library. Never allocates, never
 * recurses; each conversion goes to a sink, which is a buffer or the console by pieces.
 */
#include "libos/core/core.h"

struct sink {
	char *buffer;
	size_t size, used;	/* bytes that fit; bytes that came, for a buffer also beyond size */
	bool console;		/* full: written out and begun anew */
};

static void put(struct sink *sink, char c)
{
	if (sink->console && sink->used == sink->size) {
		core_write(sink->buffer, sink->used);
		sink->used = 0;
	}
	if (sink->used < sink->size)
		sink->buffer[sink->used] = c;
	sink->used++;
}

struct spec {
	int width, precision;	/* precision -1: none */
	bool left, zero;
	bool is_long;
};

static void put_padded(struct sink *sink, const struct spec *spec, const char *text, int length, char fill)
{
	int pad = spec->width > length ? spec->width - length : 0;

	for (int i = 0; !spec->left && i < pad; i++)
		put(sink, fill);
	for (int i = 0; i < length; i++)
		put(sink, text[i]);
	for (int i = 0; spec->left && i < pad; i++)
		put(sink, ' ');
}

static void put_number(struct sink *sink, const struct spec *spec, uint64_t value, unsigned base,
		       bool negative)
{
	char digits[24];
	int at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	bool zero = spec->zero && !spec->left;
	struct spec rest = *spec;
	if (negative && zero) {
		put(sink, '-');
		rest.width--;
	} else if (negative) {
		digits[--at] = '-';
	}
	put_padded(sink, &rest, digits + at, (int)sizeof(digits) - at, zero ? '0' : ' ');
}

static const char *parse(const char *at, struct spec *spec, va_list *arguments)
{
	*spec = (struct spec){ .precision = -1 };
	for (; *at == '-' || *at == '0'; at++) {
		if (*at == '-')
			spec->left = true;
		else
			spec->zero = true;
	}
	if (*at == '*') {
		spec->width = va_arg(*arguments, int);
		at++;
	}
	for (; *at >= '0' && *at <= '9'; at++)
		spec->width = spec->width * 10 + *at - '0';
	if (*at == '.') {
		at++;
		spec->precision = 0;
		if (*at == '*') {
			spec->precision = va_arg(*arguments, int);
			at++;
		}
		for (; *at >= '0' && *at <= '9'; at++)
			spec->precision = spec->precision * 10 + *at - '0';
	}
	for (; *at == 'l' || *at == 'z'; at++)
		spec->is_long = true;
	return at;
}

static void put_string(struct sink *sink, const struct spec *spec, const char *text)
{
	int length = 0;

	if (!text)
		text = "(null)";
	while ((spec->precision < 0 || length < spec->precision) && text[length])
		length++;
	put_padded(sink, spec, text, length, ' ');
}

static void format(struct sink *sink, const char *at, va_list *arguments)
{
	struct spec spec;
	int64_t number;

	for (; *at; at++) {
		if (*at != '%') {
			put(sink, *at);
			continue;
		}
		at = parse(at + 1, &spec, arguments);
		switch (*at) {
		case 's':
			put_string(sink, &spec, va_arg(*arguments, const char *));
			break;
		case 'c':
			put(sink, (char)va_arg(*arguments, int));
			break;
		case 'd':
			number = spec.is_long ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
			put_number(sink, &spec, number < 0 ? -(uint64_t)number : (uint64_t)number, 10,
				   number < 0);
			break;
		case 'p':
			spec.is_long = true;
			put(sink, '0');
			put(sink, 'x');
			/* fall through */
		case 'u':
		case 'x':
			put_number(sink, &spec, spec.is_long ? va_arg(*arguments, uint64_t) :
				   va_arg(*arguments, unsigned), *at == 'u' ? 10 : 16, false);
			break;
		case '\0':
			return;
		default:
			put(sink, *at);
		}
	}
}

size_t core_vformat(char *buffer, size_t size, const char *text, va_list arguments)
{
	struct sink sink = { .buffer = buffer, .size = size ? size - 1 : 0 };
	va_list copy;

	va_copy(copy, arguments);
	format(&sink, text, &copy);
	va_end(copy);
	if (size)
		buffer[sink.used < sink.size ? sink.used : sink.size] = '\0';
	return sink.used;
}

size_t core_format(char *buffer, size_t size, const char *text, ...)
{
	va_list arguments;

	va_start(arguments, text);
	size_t used = core_vformat(buffer, size, text, arguments);
	va_end(arguments);
	return used;
}

void core_vprint(const char *text, va_list arguments)
{
	char buffer[EXO_CONSOLE_MAX];
	struct sink sink = { .buffer = buffer, .size = sizeof(buffer), .console = true };
	va_list copy;

	va_copy(copy, arguments);
	format(&sink, text, &copy);
	va_end(copy);
	core_write(buffer, sink.used);
}

void core_print(const char *text, ...)
{
	va_list arguments;

	va_start(arguments, text);
	core_vprint(text, arguments);
	va_end(arguments);
}

void core_line(const char *format, ...)
{
	char text[EXO_CONSOLE_MAX];
	va_list arguments;
	size_t bytes;

	va_start(arguments, format);
	bytes = core_vformat(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (bytes > sizeof(text) - 1)
		bytes = sizeof(text) - 1;
	text[bytes] = '\n';
	core_write(text, bytes + 1);
}
