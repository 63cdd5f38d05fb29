/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults on request, for tests that show that a broken server harms only itself. Only with --test-faults.
 *
 *	/.fault/wild-store	stores to an address where nothing is
 *	/.fault/stack-overflow	recurses without end
 *	/.fault/illegal		runs an instruction that does not exist
 *	/.fault/loop		never returns
 *	/.fault/exit		ends the program with status 3
 */
#include <stdlib.h>
#include <string.h>

#include "apps/httpd/httpd.h"

#define NOWHERE	((volatile int *)0x5ead0000000)

static void wild_store(void)
{
	*NOWHERE = 1;
}

/* Each call keeps a frame that the compiler may not share with the next, and none ever sees a 1. */
static int recurse(volatile char *above)
{
	volatile char frame[512];

	frame[0] = 0;
	if (*above)
		return 0;
	return recurse(frame) + frame[0];
}

static void stack_overflow(void)
{
	volatile char first = 0;

	recurse(&first);
}

static void illegal(void)
{
	__builtin_trap();
}

static void loop(void)
{
	for (volatile int forever = 1; forever;)
		;
}

static void leave(void)
{
	exit(3);
}

void faults_run(const char *path)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} faults[] = {
		{ "wild-store", wild_store },
		{ "stack-overflow", stack_overflow },
		{ "illegal", illegal },
		{ "loop", loop },
		{ "exit", leave },
	};

	if (strncmp(path, "/.fault/", 8))
		return;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (!strcmp(path + 8, faults[i].name))
			faults[i].run();
}
