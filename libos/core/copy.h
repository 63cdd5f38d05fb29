/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying where most that is copied is a few bytes.
 */
#ifndef LIBOS_CORE_COPY_H
#define LIBOS_CORE_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void copy_few(void *to, const void *from, size_t bytes)
{
	if (bytes == 1) {
		*(volatile char *)to = *(const volatile char *)from;
	} else if (bytes > 16) {
		memcpy(to, from, bytes);
	} else if (bytes >= 8) {
		uint64_t first, last;

		__builtin_memcpy(&first, from, 8);
		__builtin_memcpy(&last, (const char *)from + bytes - 8, 8);
		__builtin_memcpy(to, &first, 8);
		__builtin_memcpy((char *)to + bytes - 8, &last, 8);
	} else {
		for (size_t i = 0; i < bytes; i++)
			((volatile char *)to)[i] = ((const volatile char *)from)[i];
	}
}

#endif
