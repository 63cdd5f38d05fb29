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

struct format {
	char fill;
	int width;
	bool wide;		/* 64 bits */
	char letter;
};

/* One conversion behind a '%': [0][width][l]letter. Returns what follows it. */
static const char *format_read(const char *at, struct format *f)
{
	*f = (struct format){ .fill = *at == '0' ? '0' : ' ' };
	for (; *at >= '0' && *at <= '9'; at++)
		f->width = f->width * 10 + (*at - '0');
	for (; *at == 'l'; at++)
		f->wide = true;
	f->letter = *at;
	return *at ? at + 1 : at;
}

static void out_text(struct out *out, const char *text)
{
	while (*text)
		out_char(out, *text++);
}

static void out_number(struct out *out, uint64_t value, const struct format *f)
{
	unsigned base = f->letter == 'u' ? 10 : 16;
	char digits[24];
	int length = 0, i;

	do {
		digits[length++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (i = length; i < f->width; i++)
		out_char(out, f->fill);
	while (length)
		out_char(out, digits[--length]);
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
		format = format_read(format + 1, &f);
		switch (f.letter) {
		case 's':
			out_text(&out, va_arg(args, const char *));
			break;
		case 'p':
			f.wide = true;
			__attribute__((fallthrough));
		case 'u':
		case 'x':
			out_number(&out, f.wide ? va_arg(args, uint64_t) : va_arg(args, unsigned), &f);
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

_Noreturn void kassert_failed(const char *what)
{
	panic("%s", what);
}
