/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program finds in its start record, and how it ends. For every libOS, those without core's threads, too.
 */
#include <string.h>
#include "libos/core/core.h"

exo_cap_t core_named(const char *name)
{
	const struct exo_start *start = core_begin;
	uint32_t slots = start->slots < EXO_START_SLOTS_MAX ? start->slots : EXO_START_SLOTS_MAX;

	for (uint32_t i = 0; i < slots; i++)
		if (!strncmp(start->slot[i].name, name, EXO_START_NAME))
			return start->slot[i].cap;
	return EXO_CAP_NONE;
}

/* String number n of a list in the start page; every step stays inside the page. */
static const char *text_at(uint32_t count, uint32_t offset, unsigned n)
{
	const char *at = (const char *)core_begin + offset, *end = (const char *)core_begin + EXO_PAGE_SIZE;

	if (n >= count || offset >= EXO_PAGE_SIZE)
		return NULL;
	while (n-- && at < end)
		at += strnlen(at, (size_t)(end - at)) + 1;
	return at < end && strnlen(at, (size_t)(end - at)) < (size_t)(end - at) ? at : NULL;
}

const char *core_argument(unsigned n)
{
	return text_at(core_begin->argc, core_begin->args, n);
}

const char *core_environment(unsigned n)
{
	return text_at(core_begin->envc, core_begin->envs, n);
}

const char *core_name(void)
{
	const char *name = core_argument(0);

	return name ? name : "?";
}

void core_exit(uint64_t status)
{
	for (;;)
		exo_env_exit(EXO_CAUSE_EXIT, status);
}

void core_fail(const char *format, ...)
{
	va_list arguments;

	core_print("%s: ", core_name());
	va_start(arguments, format);
	core_vprint(format, arguments);
	va_end(arguments);
	core_print("\n");
	core_exit(125);
}
