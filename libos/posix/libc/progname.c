/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's own name, as GNU and as BSD ask for it: argv[0], and what stands behind its last slash.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

extern const char *core_name(void);

char *program_invocation_name, *program_invocation_short_name;

static char *behind_slash(const char *name)
{
	const char *slash = strrchr(name, '/');

	return (char *)(slash ? slash + 1 : name);
}

__attribute__((constructor)) static void begin(void)
{
	program_invocation_name = (char *)core_name();
	program_invocation_short_name = behind_slash(program_invocation_name);
}

const char *getprogname(void)
{
	return program_invocation_short_name;
}

void setprogname(const char *name)
{
	program_invocation_short_name = behind_slash(name);
}
