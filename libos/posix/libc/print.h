/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What printf's parts share: where text goes, and how a number is to look.
 */
#ifndef EXO_POSIX_PRINT_H
#define EXO_POSIX_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <wchar.h>

enum { PRINT_LEFT = 1, PRINT_PLUS = 2, PRINT_SPACE = 4, PRINT_ALTERNATE = 8, PRINT_ZERO = 16 };

/* Where text goes: to a stream, or if there is none, to memory: bytes, or wide characters, for as long as there is room. */
struct print {
	FILE *file;
	char *to, *end;
	wchar_t *wide_to, *wide_end;
	bool wide;		/* the format is, and so is what is written */
	bool failed;		/* errno says why; nothing more is written */
	size_t count;		/* characters written, also those that there was no room for */
};

/* One conversion. */
struct print_spec {
	unsigned flags;
	int width, precision;	/* precision: -1: none is given */
	char conversion;
};

/* Writes ASCII text; `print_fill` one character `count` times. */
void print_text(struct print *print, const char *text, size_t count);
void print_fill(struct print *print, char character, size_t count);

/*
 * What stands before a number of `length` characters: spaces, `prefix` (its sign, 0x), zeros. Returns how many spaces are to
 * come behind it.
 */
size_t print_before(struct print *print, const struct print_spec *spec, const char *prefix, size_t length);

/* Writes a number as %a, %e, %f or %g have it, all digits exact, rounded as fegetround() says. */
void print_float(struct print *print, const struct print_spec *spec, long double value);

#endif
