/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program begins: it is no copy of another. The linker takes a libOS's own function instead if it has one.
 */
#include "libos/core/core.h"

bool core_resumes(void)
{
	return false;
}
