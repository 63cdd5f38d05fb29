/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A format of printf or scanf that is being read: bytes, or wide characters.
 */
#ifndef EXO_POSIX_FORMAT_H
#define EXO_POSIX_FORMAT_H

#include <stdbool.h>
#include <wchar.h>

struct format {
	const char *narrow;
	const wchar_t *wide;		/* NULL: it is narrow */
};

/* What comes next; 0 at the end. */
static inline wint_t format_next(const struct format *format)
{
	return format->wide ? (wint_t)*format->wide : (unsigned char)*format->narrow;
}

static inline void format_step(struct format *format)
{
	if (format->wide)
		format->wide++;
	else
		format->narrow++;
}

/* Go behind a character if it comes next. */
static inline bool format_take(struct format *format, char character)
{
	if (format_next(format) != (wint_t)character)
		return false;
	format_step(format);
	return true;
}

#endif
