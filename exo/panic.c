/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own words: a small printf to the console, and the stop of a broken kernel.
 *
 * Text is collected in a line on the stack and written piece by piece, so nothing here needs memory or a lock, and it
 * works from the first instruction in C on and on any stack. A panic inside a panic only stops.
 */
#include "exo/kernel.h"

struct out {
	size_t used;
	char line[64];
};

static void out_flush(struct out *out)
{
	arch_console_write(out->line, out->used);
	out->used = 0;
}

static void out_char(struct out *out, char c)
{
	if (out->used == sizeof(out->line))
		out_flush(out);
	out->line[out->used++] = c;
}

static void out_fill(struct out *out, char c, int count)
{
	while (count-- > 0)
		out_char(out, c);
}

struct format {
	bool left;
	char fill;
	int width, precision;	/* precision < 0: none */
	int size;		/* 0 int, 1 and more: 64 bits */
	char letter;
};

/* One conversion behind a '%'; returns what follows it. */
static const char *format_read(const char *at, struct format *f, va_list *args)
{
	*f = (struct format){ .fill = ' ', .precision = -1 };
	for (; *at == '-' || *at == '0'; at++) {
		if (*at == '-')
			f->left = true;
		else
			f->fill = '0';
	}
	if (*at == '*') {
		f->width = va_arg(*args, int);
		at++;
	}
	for (; *at >= '0' && *at <= '9'; at++)
		f->width = f->width * 10 + (*at - '0');
	if (*at == '.') {
		f->precision = 0;
		if (*++at == '*') {
			f->precision = va_arg(*args, int);
			at++;
		}
		for (; *at >= '0' && *at <= '9'; at++)
			f->precision = f->precision * 10 + (*at - '0');
	}
	for (; *at == 'l' || *at == 'z'; at++)
		f->size++;
	f->letter = *at;
	return *at ? at + 1 : at;
}

static void out_text(struct out *out, const char *text, const struct format *f)
{
	int length = 0, i;

	while ((f->precision < 0 || length < f->precision) && text[length])
		length++;
	if (!f->left)
		out_fill(out, ' ', f->width - length);
	for (i = 0; i < length; i++)
		out_char(out, text[i]);
	if (f->left)
		out_fill(out, ' ', f->width - length);
}

static void out_number(struct out *out, uint64_t value, unsigned base, bool negative, const struct format *f)
{
	char digits[24];
	int length = 0, i;

	do {
		digits[length++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		digits[length++] = '-';
	if (!f->left)
		out_fill(out, f->fill, f->width - length);
	for (i = length; i-- > 0;)
		out_char(out, digits[i]);
	if (f->left)
		out_fill(out, ' ', f->width - length);
}

static void out_value(struct out *out, const struct format *f, va_list *args)
{
	uint64_t value = f->size ? va_arg(*args, uint64_t) : va_arg(*args, unsigned);
	int64_t number = f->size ? (int64_t)value : (int)value;

	if (f->letter != 'd')
		out_number(out, value, f->letter == 'u' ? 10 : 16, false, f);
	else
		out_number(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, number < 0, f);
}

void kvprintf(const char *format, va_list arguments)
{
	struct out out = { 0 };
	struct format f;
	va_list args;

	va_copy(args, arguments);
	while (*format) {
		if (*format != '%') {
			out_char(&out, *format++);
			continue;
		}
		format = format_read(format + 1, &f, &args);
		switch (f.letter) {
		case 's':
			out_text(&out, va_arg(args, const char *), &f);
			break;
		case 'c':
			out_char(&out, (char)va_arg(args, int));
			break;
		case 'p':
			f.size = 1;
			__attribute__((fallthrough));
		case 'd':
		case 'u':
		case 'x':
			out_value(&out, &f, &args);
			break;
		default:
			out_char(&out, f.letter ? f.letter : '%');
		}
	}
	out_flush(&out);
	va_end(args);
}

void kprintf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	kvprintf(format, args);
	va_end(args);
}

_Noreturn void panic(const char *format, ...)
{
	static bool panicking;
	va_list args;

	if (panicking)
		arch_stop();
	panicking = true;
	kprintf("exo: the kernel is broken and stops: ");
	va_start(args, format);
	kvprintf(format, args);
	va_end(args);
	kprintf("\n");
	arch_panic_stop();
}
