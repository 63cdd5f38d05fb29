/* SPDX-License-Identifier: BSD-2-Clause */
/* Printing with one write for one call (buffer.h). */
#include <stdarg.h>
#include <stdio.h>
#include "libos/uni/buffer.h"

#undef putc

static int print(FILE *stream, const char *format, va_list list)
{
	struct stream_gather gather;
	int done;

	done = vfprintf(stream_gather_begin(&gather, stream), format, list);
	return stream_gather_end(&gather) < 0 ? -1 : done;
}

int fprintf(FILE *restrict stream, const char *restrict format, ...)
{
	va_list list;
	int done;

	va_start(list, format);
	done = print(stream, format, list);
	va_end(list);
	return done;
}

int printf(const char *restrict format, ...)
{
	va_list list;
	int done;

	va_start(list, format);
	done = print(stdout, format, list);
	va_end(list);
	return done;
}

int fputs(const char *restrict text, FILE *restrict stream)
{
	struct stream_gather gather;
	int done = 0;

	stream = stream_gather_begin(&gather, stream);
	flockfile(stream);
	while (*text && done >= 0)
		done = putc(*text++, stream);
	funlockfile(stream);
	return stream_gather_end(&gather) < 0 || done < 0 ? EOF : 0;
}

int puts(const char *text)
{
	struct stream_gather gather;
	int done;

	FILE *stream = stream_gather_begin(&gather, stdout);

	flockfile(stream);
	done = fputs(text, stream) < 0 || putc('\n', stream) < 0;
	funlockfile(stream);
	return stream_gather_end(&gather) < 0 || done ? EOF : 0;
}
