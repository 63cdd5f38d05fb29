/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP for guest tests: ok(condition, what) for each case, then return tap_done() from main.
 */
#ifndef TEST_GUEST_TAP_H
#define TEST_GUEST_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failed;

#define ok(condition, ...) tap_ok(condition, __LINE__, __VA_ARGS__)

static __attribute__((format(printf, 3, 4), unused)) bool tap_ok(bool good, int line, const char *format, ...)
{
	__builtin_va_list arguments;

	tap_count++;
	printf("%sok %d - ", good ? "" : "not ", tap_count);
	__builtin_va_start(arguments, format);
	vprintf(format, arguments);
	__builtin_va_end(arguments);
	printf("\n");
	if (!good) {
		tap_failed++;
		printf("# line %d\n", line);
	}
	return good;
}

static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed != 0;
}

#endif
