/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * err.h and syslog.h: messages of programs, to standard error. There is no log: what is logged is for whoever
 * has asked for it by LOG_PERROR, and for the console.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

extern const char *core_name(void);

static void say(int error, const char *format, va_list list)
{
	fprintf(stderr, "%s: ", core_name());
	if (format)
		vfprintf(stderr, format, list);
	if (error)
		fprintf(stderr, "%s%s", format ? ": " : "", strerror(error));
	fputc('\n', stderr);
}

void vwarn(const char *format, va_list list)
{
	say(errno, format, list);
}

void vwarnx(const char *format, va_list list)
{
	say(0, format, list);
}

void verr(int status, const char *format, va_list list)
{
	say(errno, format, list);
	exit(status);
}

void verrx(int status, const char *format, va_list list)
{
	say(0, format, list);
	exit(status);
}

void warn(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vwarn(format, list);
	va_end(list);
}

void warnx(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vwarnx(format, list);
	va_end(list);
}

void err(int status, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	verr(status, format, list);
}

void errx(int status, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	verrx(status, format, list);
}

/* --- syslog --------------------------------------------------------------------------------------------- */

static const char *identity;
static int options, mask = 0xff;

void openlog(const char *who, int how, int what)
{
	identity = who;
	options = how;
	(void)what;		/* there is one place for all */
}

void closelog(void)
{
	identity = NULL;
}

int setlogmask(int wanted)
{
	int old = mask;

	if (wanted)
		mask = wanted;
	return old;
}

/* "%m" is the text of errno. */
static void expand(char *to, size_t bytes, const char *format, int error)
{
	size_t at = 0;

	while (*format && at + 1 < bytes) {
		if (format[0] == '%' && format[1] == 'm') {
			at += (size_t)snprintf(to + at, bytes - at, "%s", strerror(error));
			if (at >= bytes)
				at = bytes - 1;
			format += 2;
			continue;
		}
		if (format[0] == '%' && format[1] == '%' && at + 2 < bytes)
			to[at++] = *format++;
		to[at++] = *format++;
	}
	to[at] = '\0';
}

void vsyslog(int priority, const char *format, va_list list)
{
	char text[1024], whole[1024];
	int error = errno, length, fd;

	if (!(LOG_MASK(LOG_PRI(priority)) & mask))
		return;
	expand(whole, sizeof(whole), format, error);
	length = snprintf(text, sizeof(text), "%s", identity ? identity : core_name());
	if (options & LOG_PID)
		length += snprintf(text + length, sizeof(text) - (size_t)length, "[%d]", getpid());
	length += snprintf(text + length, sizeof(text) - (size_t)length, ": ");
	length += vsnprintf(text + length, sizeof(text) - (size_t)length, whole, list);
	if (length > (int)sizeof(text) - 2)
		length = (int)sizeof(text) - 2;
	if (text[length - 1] != '\n')
		text[length++] = '\n';
	if (options & LOG_PERROR)
		write(STDERR_FILENO, text, (size_t)length);
	fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		write(fd, text, (size_t)length);
		close(fd);
	}
	errno = error;
}

void syslog(int priority, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsyslog(priority, format, list);
	va_end(list);
}
