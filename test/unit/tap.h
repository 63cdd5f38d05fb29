/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAP for host unit tests. Call ok() and its like in any number, end main with `return done();`.
 */
#ifndef TEST_UNIT_TAP_H
#define TEST_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

/* One test point; name is a printf format. Returns whether it passed. */
__attribute__((format(printf, 2, 3)))
static inline bool ok(bool passed, const char *name, ...)
{
	va_list args;

	printf("%sok %d - ", passed ? "" : "not ", ++tap_count);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	putchar('\n');
	if (!passed)
		fflush(stdout);		/* a sanitizer may end what goes on */
	tap_failed += !passed;
	return passed;
}

static inline bool is_int(long long got, long long wanted, const char *name)
{
	bool same = ok(got == wanted, "%s", name);

	if (!same)
		printf("# got %lld, wanted %lld\n", got, wanted);
	return same;
}

/* The len bytes at got against a string; got may be NULL when wanted is. */
static inline bool is_text(const char *got, size_t len, const char *wanted, const char *name)
{
	bool same = ok(got && wanted ? len == strlen(wanted) && !memcmp(got, wanted, len) : got == wanted,
		       "%s", name);

	if (!same)
		printf("# got \"%.*s\", wanted \"%s\"\n", (int)len, got ? got : "(none)",
		       wanted ? wanted : "(none)");
	return same;
}

static inline bool is_string(const char *got, const char *wanted, const char *name)
{
	return is_text(got, got ? strlen(got) : 0, wanted, name);
}

/* The plan, and the exit status. */
static inline int done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
