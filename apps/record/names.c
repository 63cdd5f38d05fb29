/* SPDX-License-Identifier: BSD-2-Clause */
/* Names from the kernel's own tables (include/exo/call.h, error.h), so that who reads the log needs none. */
#include <stdio.h>
#include <string.h>
#include "apps/record/log.h"
#include "apps/record/record.h"

#define PART	(6 * sizeof(uint64_t))
#define PARTS	4
#define ERRORS	64
#define VECTORS	32

static const char *const calls[EXO_CALL_COUNT] = {
#define CALL(nr, name, args, names, rights, meaning) [nr] = #name "," args "," names,
	EXO_CALLS(CALL)
#undef CALL
};

static void name(unsigned table, unsigned index, const char *text)
{
	char buffer[PARTS * PART + 1] = "";
	uint64_t word[6];

	snprintf(buffer, sizeof(buffer), "%s", text);
	for (unsigned part = 0; part < PARTS && (!part || buffer[part * PART]); part++) {
		memcpy(word, buffer + part * PART, PART);
		log_write(0, LOG_NAME, (uint64_t)table << 24 | part << 16 | index, word);
	}
}

void names_write(void)
{
	for (unsigned i = 0; i < EXO_CALL_COUNT; i++)
		if (calls[i])
			name(LOG_NAMES_CALL, i, calls[i]);
	for (unsigned i = 1; i < ERRORS; i++)
		name(LOG_NAMES_ERROR, i, exo_error_name(-(int64_t)i));
	for (unsigned i = 0; i < VECTORS; i++)
		name(LOG_NAMES_VECTOR, i, core_vector_name(i));
}
