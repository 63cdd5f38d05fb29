/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of calls, made from include/exo/call.h. The port's entry code checks the number and jumps through
 * it; each handler stands in the file of its object. A handler decodes and checks in a column, then writes
 * what cannot fail.
 */
#include "exo/kernel.h"

call_fn *const call_table[EXO_CALL_COUNT] = {
#define CALL_LINE(nr, name, args, names, rights, meaning) [nr] = sys_##name,
	EXO_CALLS(CALL_LINE)
#undef CALL_LINE
};

int64_t sys_null(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	(void)a0, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	return 0;
}
