/* SPDX-License-Identifier: BSD-2-Clause */
/* error.h: standard output first, then one line of standard error. */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned error_message_count;
int error_one_per_line;
void (*error_print_progname)(void);

static void name(const char *separator)
{
	fflush(stdout);
	if (error_print_progname)
		error_print_progname();
	else
		fprintf(stderr, "%s:%s", program_invocation_name, separator);
}

static void text(int status, int number, const char *format, va_list list)
{
	vfprintf(stderr, format, list);
	error_message_count++;
	if (number)
		fprintf(stderr, ": %s", strerror(number));
	putc('\n', stderr);
	fflush(stderr);
	if (status)
		exit(status);
}

void error(int status, int number, const char *format, ...)
{
	va_list list;

	name(" ");
	va_start(list, format);
	text(status, number, format, list);
	va_end(list);
}

void error_at_line(int status, int number, const char *file, unsigned line, const char *format, ...)
{
	static const char *last_file;
	static unsigned last_line;
	va_list list;

	if (error_one_per_line) {
		if (last_line == line && file && last_file && (file == last_file || !strcmp(file, last_file)))
			return;
		last_file = file;
		last_line = line;
	}
	name("");
	if (file)
		fprintf(stderr, "%s:%u: ", file, line);
	else
		putc(' ', stderr);
	va_start(list, format);
	text(status, number, format, list);
	va_end(list);
}
