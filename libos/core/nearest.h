/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nearest known word, for errors that name what was probably meant. Needs only string.h.
 */
#ifndef LIBOS_CORE_NEAREST_H
#define LIBOS_CORE_NEAREST_H

#include <stddef.h>

/*
 * Of the words in the NULL-terminated list, the one with the smallest edit distance (insert, delete, replace
 * a character, swap two neighbours) to `word`, len bytes; the first of several. Only the first 31 bytes
 * count. Returns NULL for an empty list.
 */
const char *nearest(const char *word, size_t len, const char *const *known);

#endif
