/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's errors in words, from the one list in include/exo/error.h.
 */
#include "libos/core/stub.h"

static const struct {
	const char *name, *text;
} errors[] = {
	{ "NONE", "no error" },
#define ERROR_ENTRY(number, name, text) [number] = { #name, text },
	EXO_ERRORS(ERROR_ENTRY)
#undef ERROR_ENTRY
};

static uint64_t error_index(int64_t error)
{
	uint64_t index = error < 0 ? -(uint64_t)error : (uint64_t)error;

	return index < sizeof(errors) / sizeof(errors[0]) && errors[index].text ? index : ~0ULL;
}

const char *exo_error_text(int64_t error)
{
	uint64_t index = error_index(error);

	return index == ~0ULL ? "unknown error" : errors[index].text;
}

const char *exo_error_name(int64_t error)
{
	uint64_t index = error_index(error);

	return index == ~0ULL ? "UNKNOWN" : errors[index].name;
}
